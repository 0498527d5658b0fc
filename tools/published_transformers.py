"""Writes what the transformers library says of BERT and GPT-2, for tests to hold Glial's to it.

Usage: python tools/published_transformers.py > tests/models/published_transformers.json
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
from published_networks import fill, import_torchvision

# Where torchvision lacks its compiled part, the library imports it in vain.
if importlib.util.find_spec("torchvision"):
    import_torchvision()
import transformers

SMALL = {"vocabulary": 50, "context": 12, "size": 24, "layers": 2, "heads": 3}
# Rows of tokens with padding behind them; of a pair of texts, the second from the fourth on.
TOKENS = [[2, 7, 11, 3, 30, 49], [5, 9, 1, 0, 0, 0]]
PARTS = [[0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 0]]
TIED = ("lm_head.weight", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias")


def gpt2(small: bool) -> Any:
    """The library's GPT-2, with random weights."""
    names = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
    sizes = dict(zip(names, SMALL.values(), strict=True))
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes if small else {})).eval()


def bert(head: str, small: bool) -> Any:
    """The library's BERT with a head, with random weights."""
    names = (
        "vocab_size",
        "max_position_embeddings",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
    )
    sizes = dict(zip(names, SMALL.values(), strict=True))
    sizes["intermediate_size"] = 4 * SMALL["size"]
    config = transformers.BertConfig(**sizes if small else {}, num_labels=3 if small else 2)
    kinds = {
        "masked": transformers.BertForMaskedLM,
        "classification": transformers.BertForSequenceClassification,
        "tagging": transformers.BertForTokenClassification,
        "span": transformers.BertForQuestionAnswering,
    }
    if head == "span":
        config.num_labels = 2
    return kinds[head](config).eval()


def facts_of(network: Any) -> dict[str, Any]:
    """Names and shapes of all tensors."""
    return {name: list(value.shape) for name, value in network.state_dict().items()}


def main() -> None:
    """Print the facts of each network."""
    tokens, parts = torch.tensor(TOKENS), torch.tensor(PARTS)
    found: dict[str, Any] = {}
    for name in ("gpt2", "masked", "classification", "tagging", "span"):
        network = gpt2(True) if name == "gpt2" else bert(name, True)
        with torch.no_grad():
            fill(network, leave=TIED)
            if name == "gpt2":
                outputs = network(tokens).logits
            else:
                given = {"attention_mask": (tokens != 0).long(), "token_type_ids": parts}
                said = network(tokens, **given)
                outputs = (
                    torch.stack([said.start_logits, said.end_logits], dim=-1)
                    if name == "span"
                    else said.logits
                )
        with torch.device("meta"):
            whole = gpt2(False) if name == "gpt2" else bert(name, False)
        found[name] = {
            "shapes": facts_of(network),
            "parameters": sum(p.numel() for p in whole.parameters()),
            "outputs": [round(number, 6) for number in outputs.flatten().tolist()],
        }
    json.dump(found, sys.stdout)
    print()


if __name__ == "__main__":
    main()
