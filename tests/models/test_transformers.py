"""GPT-2 and BERT against facts that `tools/published_transformers.py` reads off the library."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.functional import beam_search, greedy
from glial.models.bert import BertSettings
from glial.models.gpt2 import GPT2Settings

ROOT = Path(__file__).parents[2]
FACTS: dict[str, Any] = json.loads(
    (ROOT / "tests" / "models" / "published_transformers.json").read_text(encoding="utf-8")
)
SMALL: dict[str, Any] = {"vocabulary": 50, "context": 12, "size": 24, "layers": 2, "heads": 3}
TOKENS = torch.tensor([[2, 7, 11, 3, 30, 49], [5, 9, 1, 0, 0, 0]])
PARTS = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 0]])
TIED = ("lm_head.weight", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
HEADS = ("masked", "classification", "tagging", "span")


def tool() -> ModuleType:
    path = ROOT / "tools" / "published_networks.py"
    spec = importlib.util.spec_from_file_location("published_networks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def network(name: str) -> nn.Module:
    """The small network with the weights of the facts."""
    built: nn.Module = (
        GPT2Settings(**SMALL).network()
        if name == "gpt2"
        else BertSettings(**SMALL, head=name).network(3)
    )
    with torch.no_grad():
        tool().fill(built, leave=TIED)
    return built.eval()


@pytest.mark.parametrize("name", FACTS)
def test_names_and_shapes_of_weights_are_the_librarys(name: str) -> None:
    found = {key: list(value.shape) for key, value in network(name).state_dict().items()}
    assert found == FACTS[name]["shapes"]


@pytest.mark.parametrize("name", FACTS)
def test_numbers_of_parameters_are_the_librarys(name: str) -> None:
    with torch.device("meta"):
        whole = GPT2Settings().network() if name == "gpt2" else BertSettings(head=name).network()
    assert sum(p.numel() for p in whole.parameters()) == FACTS[name]["parameters"]


def test_gpt2_has_its_published_number_of_parameters() -> None:
    assert FACTS["gpt2"]["parameters"] == 124_439_808  # the checkpoint's, on its model card


@pytest.mark.parametrize("name", FACTS)
def test_outputs_are_the_librarys(name: str) -> None:
    built = network(name)
    outputs = built(TOKENS) if name == "gpt2" else built(TOKENS, parts=PARTS)
    wanted = torch.tensor(FACTS[name]["outputs"]).view_as(outputs)
    torch.testing.assert_close(outputs, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_padding_changes_nothing(name: str) -> None:
    built = network(name)
    whole, alone = built(TOKENS, parts=PARTS)[1:], built(TOKENS[1:, :3], parts=PARTS[1:, :3])
    whole = whole if name == "classification" else whole[:, :3]
    torch.testing.assert_close(whole, alone, atol=1e-5, rtol=1e-5)


def test_no_place_sees_what_comes_later() -> None:
    built = network("gpt2")
    other = TOKENS.clone()
    other[:, 3] = 44
    torch.testing.assert_close(built(other)[:, :3], built(TOKENS)[:, :3])
    assert (built(other)[:, 3:] != built(TOKENS)[:, 3:]).any(dim=2).all()


def test_token_by_token_is_all_at_once() -> None:
    built: Any = network("gpt2")
    state, found = built.start(2), []
    for token in TOKENS.unbind(dim=1):
        scores, state = built.step(token, state)
        found.append(scores)
    torch.testing.assert_close(torch.stack(found, 1), built(TOKENS), atol=1e-4, rtol=1e-4)


def test_a_wide_beam_is_no_less_likely_than_greed() -> None:
    built: Any = network("gpt2")
    start = torch.tensor([2, 7])
    options: dict[str, Any] = {"end": 49, "max_length": 6}
    wide = beam_search(built, built.start(2), start, width=20, **options)
    plain = greedy(built, built.start(2), start, **options)
    assert (wide.log_likelihoods >= plain.log_likelihoods - 1e-4).all()
    for row in range(2):  # what is said of a sequence is what the network says of all of it
        length = int(wide.lengths[row, 0])
        sequence = torch.cat([start[row : row + 1], wide.tokens[row, 0, :length]])
        told = built(sequence[None, :-1]).log_softmax(2)[0].gather(1, sequence[1:, None]).sum()
        torch.testing.assert_close(told, wide.log_likelihoods[row, 0], atol=1e-3, rtol=1e-4)


def test_published_files_are_read_with_or_without_their_prefix() -> None:
    built = network("gpt2")
    state = built.state_dict()
    bare = {n.removeprefix("transformer."): v for n, v in state.items() if n != "lm_head.weight"}
    bare["h.0.attn.bias"] = torch.ones(1)
    fresh = GPT2Settings(**SMALL).network()
    fresh.load_state_dict(GPT2Settings(**SMALL).converted(bare))
    torch.testing.assert_close(fresh.eval()(TOKENS), built(TOKENS))
    masked = network("masked")
    old = {
        n.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): v
        for n, v in masked.state_dict().items()
        if n not in TIED
    }
    again = BertSettings(**SMALL, head="masked").network()
    again.load_state_dict(BertSettings(**SMALL).converted(old))
    torch.testing.assert_close(again.eval()(TOKENS), masked(TOKENS))


def test_wrong_sizes_and_long_texts_are_refused() -> None:
    with pytest.raises(InputError, match="heads"):
        GPT2Settings(size=10, heads=3).network()
    with pytest.raises(InputError, match="heads"):
        BertSettings(size=10, heads=3).network()
    for name in ("gpt2", "tagging"):
        with pytest.raises(InputError, match="longer"):
            network(name)(torch.ones(1, 13, dtype=torch.long))
