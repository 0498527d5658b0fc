"""Networks of texts: what each sees of the order of words, and values by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import glial
from glial.core.errors import InputError
from glial.models import build
from glial.models.bag_of_words import BagOfWordsSettings
from glial.models.text import text_recipe

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
    bag, pairs = small("bag_of_words"), small("bag_of_words", pairs=1000)
    torch.testing.assert_close(bag(there), bag(back))
    assert (pairs(there) - pairs(back)).abs().max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_other_inputs_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="needs inputs"):
        build(name, num_outputs=1)
    with pytest.raises(InputError, match="one text and nothing else"):
        build(name, num_outputs=1, vocabularies=[5, 5])
    with pytest.raises(InputError, match="one text and nothing else"):
        build(name, num_inputs=2, num_outputs=1, vocabularies=[5])


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
    [("bag_of_words", 0.3, 0.7), ("text_cnn", 0.97, 1.0), ("text_gru", 0.97, 1.0)],
)
def test_only_networks_that_see_order_learn_it(name: str, low: float, high: float) -> None:
    settings = {"data.types.text": "text", "model.size": 16, "train.epochs": 12}
    run = glial.train(word_order(600), "said", model=name, out=False, set=settings)
    assert low <= run.metrics["test"]["accuracy"] <= high
