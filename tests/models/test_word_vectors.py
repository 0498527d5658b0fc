"""Networks of word vectors: their losses by hand, their probabilities, their parts of words."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import logsigmoid

from glial.core.errors import InputError
from glial.data.word_windows import WordStream
from glial.models import build
from glial.models.fasttext import FastText, FastTextSettings, fnv1a, subwords
from glial.models.glove import GloVe, GloVeSettings
from glial.models.word2vec import Word2Vec, Word2VecSettings
from glial.models.word_vectors import FIRST

TOLD = json.loads(
    (Path(__file__).parents[1] / "data" / "word_vectors" / "told.json").read_text(encoding="utf-8")
)
WORDS, SIZE = 6, 3
AROUND = torch.tensor([[3, 4], [0, 5]])


def network(kind=Word2Vec, settings=None, **options):
    """A small network with random weights and counts."""
    kinds = {Word2Vec: Word2VecSettings, FastText: FastTextSettings, GloVe: GloVeSettings}
    settings = settings or kinds[kind](**options)
    made = kind(settings, FIRST + WORDS, SIZE)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    words = ["the", "thee", "then", "a", "an", "and"]
    made.set_words(words, torch.tensor([0, 0, 9, 7, 5, 3, 2, 1]))
    return made


def test_skip_gram_by_hand():
    made = network(negatives=4)
    word, context = made.embedding.weight.detach(), made.contexts.weight.detach()
    noise = torch.tensor([2, 6])
    pairs = [(2, 3), (2, 4), (3, 5)]
    expected = 0.0
    for one, other in pairs:
        expected -= float(logsigmoid(word[one] @ context[other]))
        expected -= 2 * sum(float(logsigmoid(-word[one] @ context[n])) for n in (2, 6))
    found = made.loss(torch.tensor([2, 3]), AROUND, noise)
    assert float(found.detach()) == pytest.approx(expected / 3, rel=1e-5)


def test_bag_of_words_by_hand():
    made = network(method="cbow", negatives=2)
    word, context = made.embedding.weight.detach(), made.contexts.weight.detach()
    noise = torch.tensor([2, 6])
    expected = 0.0
    for mean, target in (((word[3] + word[4]) / 2, 2), (word[5], 3)):
        expected -= float(logsigmoid(mean @ context[target]))
        expected -= sum(float(logsigmoid(-mean @ context[n])) for n in (2, 6))
    found = made.loss(torch.tensor([2, 3]), AROUND, noise)
    assert float(found.detach()) == pytest.approx(expected / 2, rel=1e-5)


@pytest.mark.parametrize("output", ["hierarchical_softmax", "softmax"])
@pytest.mark.parametrize("method", ["skip-gram", "cbow"])
def test_the_loss_is_what_the_probabilities_say(output, method):
    made = network(output=output, method=method)
    words = torch.tensor([2, 3])
    around, target = made.split(words, AROUND)
    expected = -made.log_probability(around, target).mean()
    assert torch.allclose(made.loss(words, AROUND, torch.zeros(0).long()), expected)


@pytest.mark.parametrize("kind", [Word2Vec, FastText, GloVe])
@pytest.mark.parametrize("output", ["negative_sampling", "hierarchical_softmax", "softmax"])
def test_probabilities_of_all_words_sum_to_one(kind, output, monkeypatch):
    monkeypatch.setattr("glial.models.word_vectors.SCORES_AT_ONCE", 13)
    made = network(kind, **({} if kind is GloVe else {"output": output}))
    for around in ([[2, 0]], [[4, 7]]):
        row = torch.tensor(around).repeat(WORDS, 1)
        found = made.log_probability(row, torch.arange(FIRST, FIRST + WORDS))
        assert float(found.detach().exp().sum()) == pytest.approx(1, abs=1e-5)


def test_scores_of_negative_sampling_are_those_over_noise():
    made = network(noise_power=1.0)
    scores = made.vectors()[4] @ made.contexts.weight[FIRST:].T
    expected = (scores + torch.tensor([9.0, 7, 5, 3, 2, 1]).log()).log_softmax(0)
    found = made.log_probability(torch.full((WORDS, 1), 4), torch.arange(FIRST, FIRST + WORDS))
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", [Word2Vec, FastText])
def test_gradients_are_those_of_whole_tables(kind):
    made = network(kind)
    inputs = torch.tensor([2, 3]), AROUND, torch.tensor([2, 6])
    made.loss(*inputs).backward()
    sparse = [p.grad.to_dense() for p in made.parameters()]
    assert all(p.grad.is_sparse for p in made.parameters())
    made.zero_grad()
    words, around, noise = inputs
    row, place = around.nonzero(as_tuple=True)
    hidden, table = made.vectors()[words], made.contexts.weight
    told = -logsigmoid(-(hidden[row] @ table[noise].T)).sum(dim=1) * 5 / 2
    right = -logsigmoid((hidden[row] * table[around[row, place]]).sum(dim=1))
    (told + right).mean().backward()
    for found, parameter in zip(sparse, made.parameters(), strict=True):
        assert torch.allclose(found, parameter.grad, atol=1e-6)


def test_glove_by_hand():
    made = network(GloVe, x_max=10.0)
    score = (
        made.embedding.weight[2] @ made.contexts.weight[3]
        + made.bias.weight[2, 0]
        + made.context_bias.weight[3, 0]
    )
    expected = 0.5**0.75 * (float(score.detach()) - math.log(5)) ** 2
    found = made.loss(torch.tensor([[2, 3]]), torch.tensor([5.0]))
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)
    assert torch.equal(made.vectors(), made.embedding.weight + made.contexts.weight)


@pytest.mark.parametrize("kind", [Word2Vec, FastText, GloVe])
def test_a_text_is_the_mean_of_its_known_words(kind):
    made = network(kind)
    texts = torch.tensor([[2, 1, 4, 0], [1, 0, 0, 0]])
    expected = (made.vectors()[2] + made.vectors()[4]) / 2
    assert torch.allclose(made(texts)[0], expected)
    assert made(texts)[1].tolist() == [0] * SIZE
    assert torch.equal(made.embed(texts), made(texts))


@pytest.mark.parametrize("word", TOLD["words"])
def test_parts_and_their_hashes_are_those_of_gensim(word):
    assert sorted(subwords(word)) == sorted(TOLD["subwords"][word])
    assert fnv1a(word) == TOLD["hashes"][word]


def test_borders_alone_are_no_parts():
    assert subwords("ab", 1, 1) == ["a", "b"]
    assert subwords("a", 3, 6) == ["<a>"]
    assert subwords("a", 4, 6) == []


def test_words_are_means_of_themselves_and_their_parts():
    made = network(FastText, buckets=50, min_n=3, max_n=4)
    table = made.embedding.weight
    rows = [FIRST + 3, *(8 + fnv1a(part) % 50 for part in ("<a>",))]
    assert torch.allclose(made.vectors()[FIRST + 3], table[rows].mean(dim=0))
    rows = [8 + fnv1a(part) % 50 for part in ("<of", "<of>", "of>")]
    assert torch.allclose(made.vector("of"), table[rows].mean(dim=0))
    assert made.vector("").tolist() == [0] * SIZE
    assert torch.allclose(made.hidden(torch.arange(8)), made.vectors())


def test_without_parts_words_are_those_of_word2vec():
    made = network(FastText, max_n=0)
    assert torch.equal(made.vectors(), made.embedding.weight[: FIRST + WORDS])


def test_buffers_of_any_length_are_loaded_and_wrong_ones_refused():
    made = network(FastText, buckets=50)
    other = FastText(made.settings, FIRST + WORDS, SIZE)
    state = {name: value.clone() for name, value in made.state_dict().items()}
    other.load_state_dict(state)
    assert torch.equal(other.vectors(), made.vectors())
    for damage in ({"parts": state["parts"] + 100}, {"ends": state["ends"] + 1},
                   {"ends": state["ends"][:-1]}, {"parts": state["parts"][:0]},
                   {"parts": state["parts"].float()}, {"ends": state["ends"].flip(0)}):  # fmt: skip
        with pytest.raises(RuntimeError):
            other.load_state_dict({**state, **damage})


def test_frequent_words_are_foretold_less_often_than_they_stand_there():
    made = network(subsample=1e-2)
    foretold = made.foretold()
    assert foretold[2] < made.counts[2]
    assert foretold.shape == made.counts.shape
    assert torch.equal(network(subsample=0.0).foretold(), made.counts.double())


def test_pairs_are_enough_and_no_more():
    stream = WordStream.of([[2, 3, 4, 5] * 10])
    for options, width in (({}, 1), ({"method": "cbow"}, 10)):
        around, words = network(subsample=0.0, **options).pairs(stream, seed=0, most=7)
        assert around.shape == (7, width)
        assert words.shape == (7,)


def test_wrong_settings():
    with pytest.raises(ValidationError, match=r"max_n of at least 3"):
        FastTextSettings(max_n=2)
    with pytest.raises(InputError, match="takes one text"):
        build("word2vec", num_outputs=4, vocabularies=[5, 5])
    with pytest.raises(InputError, match="needs inputs"):
        build("glove", num_outputs=4)
