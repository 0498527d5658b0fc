"""Networks of texts: what each sees of the order of words, and values by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import glial
from glial.core.errors import InputError
from glial.models import build
from glial.models.bag_of_words import BagOfWordsSettings
from glial.models.bert_layers import Embeddings
from glial.models.text import text_recipe
from glial.nn.tokens import TokenPresence, pair_numbers

NAMES = ("bag_of_words", "text_cnn", "text_gru")


def small(name: str, **settings: object) -> nn.Module:
    torch.manual_seed(0)
    network = build(name, num_outputs=2, vocabularies=[20], size=8, **settings)
    return network.eval()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing(name: str, training: bool) -> None:
    network = small(name, token_dropout=0.0, dropout=0.0).train(training)
    tokens = torch.tensor([[3, 4, 5], [6, 0, 0], [1, 7, 0]])
    longer = torch.cat([tokens, torch.zeros(3, 40, dtype=torch.int64)], dim=1)
    torch.testing.assert_close(network(longer), network(tokens), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_text_alone_is_the_text_among_longer_ones(name: str) -> None:
    network = small(name)
    alone, among = torch.tensor([[3, 4]]), torch.tensor([[5, 6, 7, 8, 9], [3, 4, 0, 0, 0]])
    torch.testing.assert_close(network(among)[1:], network(alone), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_stand_before_the_head(name: str) -> None:
    network = small(name)
    tokens = torch.tensor([[3, 4, 0]])
    features = network.embed(tokens)
    assert features.shape == (1, network.num_features)
    torch.testing.assert_close(network.head(features), network(tokens))


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_for_padding_has_no_gradient(name: str) -> None:
    network = small(name)
    network(torch.tensor([[3, 4, 0, 0]])).square().sum().backward()
    gradient = network.embedding.weight.grad
    assert not gradient[0].any()
    assert gradient[3].any()


def test_filters_by_hand() -> None:
    network = build("text_cnn", num_outputs=1, vocabularies=[4], size=1, channels=1, widths=[2])
    with torch.no_grad():
        network.embedding.weight.copy_(torch.tensor([[0.0], [0.0], [1.0], [10.0]]))
        network.filters[0].weight.copy_(torch.tensor([[[1.0, -1.0]]]))
        network.filters[0].bias.zero_()
    found = network.eval().embed(torch.tensor([[2, 3, 0], [3, 2, 0], [2, 0, 0]]))
    assert found.tolist() == [[10.0], [9.0], [1.0]]  # the last word stands before a zero


def test_a_bag_is_blind_to_order_and_pairs_are_not() -> None:
    there, back = torch.tensor([[3, 4, 5]]), torch.tensor([[5, 4, 3]])
    bag, pairs = small("bag_of_words", wide=0), small("bag_of_words", pairs=1000, wide=0)
    torch.testing.assert_close(bag(there), bag(back))
    assert (pairs(there) - pairs(back)).abs().max() > 1e-3


def test_presence_by_hand() -> None:
    layer = TokenPresence(6, 50, 1, scale=2.0)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(56.0)[:, None])
    tokens = torch.tensor([[4, 3, 4, 0], [5, 0, 0, 0], [0, 0, 0, 0]])
    # The first has the tokens 3 and 4 and the pairs 43 and 34, each counted once.
    places = [6 + int(number) for number in pair_numbers(tokens, 50)[0, :2]]
    expected = [2 * (3 + 4 + sum(places)) / 2, 2 * 5.0, 0.0]
    assert len(set(places)) == 2
    torch.testing.assert_close(layer(tokens)[:, 0], torch.tensor(expected))


def test_a_bag_starts_as_the_sum_of_its_parts() -> None:
    network: Any = small("bag_of_words")
    tokens = torch.tensor([[3, 4, 5]])
    before = network(tokens)
    with torch.no_grad():
        network.wide.weight[3] = torch.tensor([1.0, -2.0])
    added = network.wide(tokens)
    assert added.abs().min() > 1
    torch.testing.assert_close(network(tokens), before + added)


def test_many_outputs_share_fewer_places() -> None:
    with torch.device("meta"):
        few, many = (build("bag_of_words", num_outputs=n, vocabularies=[9]) for n in (2, 64))
    assert few.wide.pairs == 131_072
    assert many.wide.pairs == 8192


@pytest.mark.parametrize("name", NAMES)
def test_other_inputs_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="needs inputs"):
        build(name, num_outputs=1)
    with pytest.raises(InputError, match="nothing else"):
        build(name, num_outputs=1, vocabularies=[5, 5, 5])
    with pytest.raises(InputError, match="nothing else"):
        build(name, num_inputs=2, num_outputs=1, vocabularies=[5])
    with pytest.raises(InputError, match="one vocabulary"):
        build(name, num_outputs=1, vocabularies=[5, 6])


def test_sizes_look_at_the_rows() -> None:
    assert BagOfWordsSettings().for_data(500, 1, 2).size == 64
    assert BagOfWordsSettings(size=7).for_data(50_000, 1, 2).size == 7
    assert [text_recipe(n, lr=0.1, epochs=5)["epochs"] for n in (10, 2000, 90_000)] == [20, 10, 5]


def word_order(rows: int) -> pl.DataFrame:
    """The same words in every text: what "not" stands before decides."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, rows)
    texts = []
    for label in labels:
        filler = list(generator.choice(["it", "was", "a", "film", "today", "again"], 5))
        first, second = ("not good", "very bad") if label else ("not bad", "very good")
        place = int(generator.integers(0, 5))
        texts.append(" ".join([*filler[:place], first, *filler[place:], second]))
    return pl.DataFrame({"text": texts, "said": [("worse", "better")[i] for i in labels]})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("bag_of_words", 0.3, 0.7),
        ("bag_of_words wide", 0.9, 1.0),
        ("text_cnn", 0.97, 1.0),
        ("text_gru", 0.97, 1.0),
        ("bert", 0.97, 1.0),
    ],
)
def test_only_networks_that_see_order_learn_it(name: str, low: float, high: float) -> None:
    settings = {"data.types.text": "text", "model.size": 16, "train.epochs": 12}
    name, *wide = name.split()
    if name == "bag_of_words" and not wide:
        settings |= {"model.wide": 0}
    if name == "bert":
        settings |= {"model.layers": 1, "train.lr": 0.005}
    run = glial.train(word_order(600), "said", model=name, out=False, set=settings)
    assert low <= run.metrics["test"]["accuracy"] <= high


@pytest.mark.slow
def test_a_transformer_without_places_is_a_bag(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Embeddings.forward

    def nowhere(self: Any, tokens: Any, parts: Any, places: Any = None) -> Any:
        return forward(self, tokens, parts, torch.zeros_like(tokens))

    monkeypatch.setattr(Embeddings, "forward", nowhere)
    settings = {"data.types.text": "text", "model.size": 16, "model.layers": 1, "train.lr": 0.005}
    run = glial.train(word_order(300), "said", model="bert", epochs=6, out=False, set=settings)
    assert 0.2 <= run.metrics["test"]["accuracy"] <= 0.8


THINGS = ["cat", "tree", "house", "boat", "cloud", "stone"]


def pairs(rows: int) -> pl.DataFrame:
    """Whether two texts name the same thing, in other words around it."""
    generator = np.random.default_rng(0)
    first = generator.integers(0, 6, rows)
    same = generator.integers(0, 2, rows)
    second = np.where(same, first, (first + generator.integers(1, 6, rows)) % 6)
    filler = ["here", "now", "again", "there", "often", "soon", "later", "today"]
    return pl.DataFrame(
        {
            "one": [f"{THINGS[a]} {generator.choice(filler)}" for a in first],
            "two": [f"{generator.choice(filler)} {THINGS[b]}" for b in second],
            "same": np.where(same, "yes", "no"),
        }
    )


PAIR = {"data.types.one": "text", "data.types.two": "text", "data.duplicates": "drop"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["text_gru", "bert"])
def test_pairs_are_compared(name: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {**PAIR, "model.size": 64, "model.dropout": 0.0}
    settings |= {"train.epochs": 20, "train.lr": 0.002}
    if name == "text_gru":
        settings |= {"model.token_dropout": 0.0}
    run = glial.train(pairs(700), "same", model=name, out=tmp_path / "run", set=settings)
    assert run.metrics["test"]["accuracy"] > 0.9
    again = glial.load(tmp_path / "run")
    new = pl.DataFrame({"two": ["cat , cat", None], "one": ["cat", "tree"]})
    assert glial.predict(again, new).equals(glial.predict(run, new))


@pytest.mark.slow
def test_pairs_without_one_vocabulary_are_refused() -> None:
    settings = {**PAIR, "data.shared_vocabulary": False}
    with pytest.raises(InputError, match="one vocabulary"):
        glial.train(pairs(80), "same", model="text_gru", epochs=1, out=False, set=settings)


def test_a_pair_of_texts_through_one_network_by_hand() -> None:
    torch.manual_seed(0)
    network: Any = build("bag_of_words", num_outputs=2, vocabularies=[9, 9], size=3).eval()
    one, two = torch.tensor([[3, 4, 0]]), torch.tensor([[5, 6, 7, 0]])
    u, v = network.text.embed(one), network.text.embed(two)
    expected = network.head(torch.cat([u, v, (u - v).abs(), u * v], dim=1))
    torch.testing.assert_close(network(one, two), expected)
    torch.testing.assert_close(network(one[:, :2], two), expected)
