"""Word vectors learn what a text says, and nothing where its order is lost."""

from __future__ import annotations

import random
from itertools import pairwise, permutations

import pytest
import torch

import glial
from glial.data.word_windows import WordStream
from glial.models.glove import GloVe, GloVeSettings
from glial.models.word2vec import Word2Vec, Word2VecSettings
from glial.objectives import RowDescent
from glial.runs.word_vectors import word_vectors
from glial.training import TrainSettings
from glial.training.schedules import Moment

# Nothing but the words beside it tells what a name means: the verbs its kind, the facts its place.
KINDS = {"land": "king border army", "city": "mayor airport street", "folk": "old happy young"}
ENDS = ["knows the {}", "loves its {}", "talks about {} often"]
PLACES = 6
SETTINGS = {
    "word2vec": {},
    "word2vec cbow": {"model.method": "cbow"},
    "word2vec tree": {"model.output": "hierarchical_softmax"},
    "fasttext": {"model.buckets": 2000},
    "glove": {"model.x_max": 10.0, "train.lr": 0.1},
}


def written(seed=0, lines=1500):
    drawn = random.Random(seed)
    for _ in range(lines):
        kind, words = drawn.choice(list(KINDS.items()))
        place = drawn.randrange(PLACES)
        other = place if drawn.random() < 0.8 else drawn.randrange(PLACES)
        fact = f"{drawn.choice(['tongue', 'river', 'dish'])}{other}"
        start = f"the {drawn.choice(words.split())} of {kind}{place}"
        yield f"{start} {drawn.choice(ENDS).format(fact)}"


QUESTIONS = [
    (f"{one}{i}", f"{other}{i}", f"{one}{j}", f"{other}{j}")
    for one, other in permutations(KINDS, 2)
    for i, j in permutations(range(PLACES), 2)
]


def learnt(lines, name, **changes):
    settings = {
        "task.embedding_size": 16,
        "train.batch_size": 128,
        "train.lr": 0.3,
        "data.split": {"train": 0.9, "val": 0.05, "test": 0.05},
        **SETTINGS[name],
        **changes,
    }
    table = {"text": list(lines)}
    return glial.train(table, task="embedding", model=name.split()[0], out=False, set=settings)


@pytest.mark.parametrize("name", SETTINGS)
def test_analogies_are_solved(name):
    run = learnt(written(), name)
    vectors = word_vectors(run)
    # By chance one of some seventy words.
    least = 0.3 if name == "glove" else 0.9
    assert vectors.solved(QUESTIONS) > least
    assert vectors.solved(QUESTIONS, method="multiply") > least
    assert run.metrics["test"]["roc_auc"] > 0.55
    assert run.findings == []


def test_no_analogy_is_solved_where_words_are_shuffled():
    lines = [line.split() for line in written()]
    words = [word for line in lines for word in line]
    random.Random(0).shuffle(words)
    left = iter(words)
    run = learnt([" ".join(next(left) for _ in line) for line in lines], "word2vec")
    assert word_vectors(run).solved(QUESTIONS) < 0.1
    assert run.metrics["test"]["roc_auc"] == pytest.approx(0.5, abs=0.05)


def test_unseen_inflections_lie_near_their_words():
    verbs = ["walk", "paint", "climb", "whisper", "garden", "wander"]
    drawn = random.Random(0)
    lines = []
    for _ in range(1500):
        verb = drawn.choice(verbs)
        place = verbs.index(verb)
        form = verb if verb == "walk" else drawn.choice([verb, f"{verb}ing"])
        lines.append(f"they {form} near thing{place} and place{place}")
    run = learnt(lines, "fasttext")
    vectors = word_vectors(run)
    unseen = run.model.vector("walking").detach()
    assert "walking" not in vectors
    assert "walk" in [word for word, _ in vectors.nearest(unseen, 3)]


def test_glove_recovers_the_logarithms_of_counts():
    drawn = random.Random(0)
    stream = WordStream.of([[drawn.randrange(2, 6) for _ in range(30)] for _ in range(3)])
    torch.manual_seed(0)
    network = GloVe(GloVeSettings(x_max=1.0, window=2), 6, 4)
    batches = network.batches(stream, batch_size=100, seed=0)
    settings = TrainSettings(optimizer="adagrad", eps=1e-10)
    descent = RowDescent(network, lambda batch: network.loss(*batch.inputs), settings, lr=0.5)
    for epoch in range(300):
        for batch in batches.epoch(epoch):
            loss = descent.step(batch, Moment(0, epoch, 0.0))
    pairs, counts = batches.rows.inputs
    one, other = pairs.unbind(dim=1)
    table = network.embedding.weight @ network.contexts.weight.T
    table = table + network.bias.weight + network.context_bias.weight.T
    assert float(loss) < 1e-4
    assert torch.allclose(table[one, other], counts.log(), atol=0.02)


def test_skip_gram_learns_shifted_mutual_information():
    drawn = random.Random(0)
    lines = [[2 + place for place in drawn.choice([(0, 1, 0), (2, 3, 3), (0, 2, 4), (1, 1, 4)])]
             for _ in range(3000)]  # fmt: skip
    stream = WordStream.of(lines)
    options = {"window": 1, "subsample": 0.0, "noise_power": 1.0, "negatives": 2, "noise": 400}
    torch.manual_seed(0)
    network = Word2Vec(Word2VecSettings(**options), 7, 7)
    network.set_words(list("abcde"), stream.counts(7))
    batches = network.batches(stream, batch_size=900, seed=0)
    settings = TrainSettings(optimizer="adagrad", schedule="linear", eps=1e-10)
    descent = RowDescent(network, lambda batch: network.loss(*batch.inputs), settings, lr=0.3)
    for epoch in range(60):
        for batch in batches.epoch(epoch):
            descent.step(batch, Moment(0, epoch, epoch / 60))
    table = torch.zeros(7, 7)
    for line in lines:
        for one, other in pairwise(line):
            table[one, other] += 1
            table[other, one] += 1
    noise = network.noise().float()
    chances = table / table.sum(dim=1, keepdim=True)
    mutual = (chances / noise).log() - torch.tensor(2.0).log()
    scores = (network.embedding.weight @ network.contexts.weight.T).detach()
    met = table > 0
    assert torch.allclose(scores[met], mutual[met], atol=0.15)
    assert bool((scores[~met & (table.sum(0) > 0) & (table.sum(1) > 0)[:, None]] < -2).all())
