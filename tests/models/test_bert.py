"""BERT in the table: pairs read as one text, sizes read off weights, and attention to be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import safetensors.torch
import torch

import glial
from glial.core.errors import InputError
from glial.models import build
from glial.models.bert import BertSettings

SMALL: dict[str, Any] = {"context": 40, "size": 24, "layers": 2, "heads": 3}
FIRST = torch.tensor([[2, 7, 8, 3, 0], [2, 9, 3, 0, 0]])
SECOND = torch.tensor([[2, 10, 3, 0], [2, 11, 12, 3]])


def small(**settings: Any) -> Any:
    torch.manual_seed(0)
    network: Any = BertSettings(**{**SMALL, "vocabulary": 50, **settings}).network(3)
    with torch.no_grad():  # positions and parts that count
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
    return network.eval()


def test_a_pair_is_one_text_with_an_end_between() -> None:
    """Devlin et al., figure 2: [CLS] a [SEP] b [SEP], parts 0 and 1; padding between is nothing."""
    network = small()
    one = network(torch.tensor([[2, 7, 8, 3, 10, 3]]), parts=torch.tensor([[0, 0, 0, 0, 1, 1]]))
    two = network(torch.tensor([[2, 9, 3, 11, 12, 3]]), parts=torch.tensor([[0, 0, 0, 1, 1, 1]]))
    torch.testing.assert_close(network(FIRST, SECOND), torch.cat([one, two]))


def test_a_pair_has_an_order_and_padding_none() -> None:
    network = small()
    found = network(FIRST, SECOND)
    longer = [torch.nn.functional.pad(part, (0, 6)) for part in (FIRST, SECOND)]
    torch.testing.assert_close(network(*longer), found)
    assert (network(SECOND, FIRST) - found).abs().max() > 1e-3
    torch.testing.assert_close(network(FIRST[1:], SECOND[1:]), found[1:])


def test_places_that_are_asked_for_are_those_of_the_whole() -> None:
    network = small(head="masked")
    asked = torch.tensor([[2, 0], [1, 1]])
    found = network(FIRST, FIRST[:, :0], asked)
    whole = network(FIRST)
    torch.testing.assert_close(found[0], whole[0, [2, 0]])
    torch.testing.assert_close(found[1], whole[1, [1, 1]])


def test_attention_is_what_the_layers_use() -> None:
    network = small()
    weights = network.weights(FIRST, SECOND)
    assert [tuple(layer.shape) for layer in weights] == [(2, 3, 8, 8)] * 2
    real = torch.cat([FIRST, SECOND[:, 1:]], dim=1) != 0
    for layer in weights:
        torch.testing.assert_close(layer.sum(dim=3), torch.ones(2, 3, 8))
        assert not layer.masked_select(~real[:, None, None]).any()
    attention: Any = network.bert.encoder.layer[0].attention["self"]
    vectors = network.bert.embedded(FIRST, None, None)
    values = attention._by_head(attention.value, vectors)
    mixed = attention.weights(vectors, FIRST != 0) @ values
    torch.testing.assert_close(
        mixed.transpose(1, 2).flatten(2), attention(vectors, FIRST != 0), atol=1e-5, rtol=1e-5
    )


def test_alone_it_is_the_published_network() -> None:
    with torch.device("meta"):
        network = build("bert")
    # bert-base-uncased with its pooler, as published, and a head for two classes
    assert sum(p.numel() for p in network.parameters()) == 109_482_240 + 2 * 769


def test_sizes_look_at_the_rows_unless_they_are_said() -> None:
    assert BertSettings().for_data(1000, 1, 2).size == 128
    assert BertSettings().for_data(100_000, 1, 2).layers == 4
    chosen = BertSettings(size=64).for_data(1000, 1, 2, "pretrain")
    assert (chosen.size, chosen.layers, chosen.head) == (64, 2, "masked")


def test_what_it_cannot_read_is_refused() -> None:
    for sizes in ([5, 5, 5], [5, 6]):
        with pytest.raises(InputError, match="texts"):
            build("bert", vocabularies=sizes)
    with pytest.raises(InputError, match="nothing else"):
        build("bert", num_inputs=2, vocabularies=[5])


FRAME = pl.DataFrame(
    {
        "say": ["a cat sat", "two cats", "the dog", "dogs sat", None, ""] * 8,
        "kind": ["cat", "cat", "dog", "dog", "dog", "cat"] * 8,
    }
)
CHOICE = {"data.types.say": "text", "train.epochs": 1, "train.lr": 1e-9}


def train(**more: Any) -> glial.Run:
    return glial.train(FRAME, "kind", model="bert", out=False, set={**CHOICE, **more})


def published(folder: Path, **settings: Any) -> Any:
    """A folder as checkpoints are published: weights with other heads, and the vocabulary."""
    words = [
        "[PAD]",
        "[unused0]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "a",
        "the",
        "two",
        "cat",
        "dog",
        "##s",
        "sat",
    ]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    sizes = {"context": 40, "size": 128, "layers": 1, "heads": 2, "hidden": 96}
    network = BertSettings(vocabulary=len(words), **sizes, **settings).network()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    safetensors.torch.save_file(state, folder / "model.safetensors")
    return network


@pytest.mark.slow
@pytest.mark.parametrize("file", ["", "model.safetensors"])
def test_published_weights_are_started_from(tmp_path: Path, file: str) -> None:
    network = published(tmp_path, head="masked")
    run = train(**{"model.weights": str(tmp_path / file)})
    model: Any = run.model
    assert run.plan.model["size"] == 128
    assert run.plan.model["heads"] == 2
    assert model.bert.pooler is not None  # starts anew: the checkpoint has none
    for name, value in network.bert.state_dict().items():
        torch.testing.assert_close(model.bert.state_dict()[name], value, atol=1e-6, rtol=0)
    held = run.encoding.transform(pl.DataFrame({"say": ["Cats SAT"]})).tensors[0]
    assert held.tolist() == [[3, 9, 11, 12, 4]]


@pytest.mark.slow
def test_weights_without_their_vocabulary_are_refused(tmp_path: Path) -> None:
    published(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(InputError, match="no vocabulary"):
        train(**{"model.weights": str(tmp_path)})
    with pytest.raises(InputError, match="there are no weights"):
        train(**{"model.weights": str(tmp_path / "other")})


@pytest.mark.slow
def test_tokens_and_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="between a start and an end"):
        train(**{"data.tokens": "word"})
    with pytest.raises(InputError, match="longer than the model"):
        train(**{"data.max_length": 30, "model.context": 20})
