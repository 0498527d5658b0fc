"""The task of embeddings: losses, what is monitored and scored, decoding, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional as F

from glial.core.errors import InputError
from glial.functional import contrastive, proxy_nca, triplet
from glial.tasks import Task, TaskSettings, fit_task, healthy_first_loss, load_task, trivial_scores
from glial.tasks.embedding import SCORED_ROWS

IRIS = load_iris()


def fitted(values, **options):
    settings = TaskSettings(name="embedding", **{"embedding_size": 4, **options})
    return fit_task(pl.DataFrame({"y": values}), ["y"], settings)


def drawn(rows, size=4, seed=0):
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(seed))


CODES = torch.tensor([0, 0, 1, 1, 2, 2, 2])
NAMES = pl.DataFrame({"y": list("aabbccc")})


def test_it_is_a_task():
    assert isinstance(fitted(list("aab")), Task)


@pytest.mark.parametrize(
    ("values", "targets"),
    [(["a", "b", "c"], ["y"]), (["a", "a", "a"], ["y"]), (["a", "a", "b"], ["y", "z"])],
)
def test_rows_that_belong_to_no_one_are_refused(values, targets):
    frame = pl.DataFrame({"y": values, "z": values})
    with pytest.raises(InputError, match="cannot be learnt as an embedding"):
        fit_task(frame, targets, TaskSettings(name="embedding"))


def test_labels_that_were_never_shown_are_classes_of_their_own():
    task = fitted(list("aabb"))
    assert task.encode(pl.DataFrame({"y": list("bazzya")})).tolist() == [1, 0, 3, 3, 2, 0]
    numbers = fitted([10, 9, 10])
    assert numbers.encode(pl.DataFrame({"y": [9, 10, 7, 12]})).tolist() == [0, 1, 3, 2]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"loss": "contrastive"}, lambda e: contrastive(e, CODES, margin=0.5)),
        ({"loss": "contrastive", "margin": 1.2}, lambda e: contrastive(e, CODES, margin=1.2)),
        ({"loss": "triplet"}, lambda e: triplet(e, CODES, margin=0.2, mining="semi_hard")),
        (
            {"loss": "triplet", "mining": "hard", "margin": 0.4},
            lambda e: triplet(e, CODES, margin=0.4, mining="hard"),
        ),
    ],
)
def test_losses_of_pairs_are_those_of_unit_vectors(options, expected):
    task, outputs = fitted(list("aabbccc"), **options), drawn(7)
    torch.testing.assert_close(task.loss(outputs, CODES), expected(F.normalize(outputs, dim=1)))
    torch.testing.assert_close(task.loss(7 * outputs, CODES), task.loss(outputs, CODES))
    assert task.num_proxies == 0
    assert task.rows_per_class == 4
    members = torch.stack([outputs, drawn(7, seed=1)], dim=1)
    each = [task.loss(part, CODES) for part in members.unbind(1)]
    torch.testing.assert_close(task.loss(members, CODES), sum(each) / 2)


def test_a_proxy_loss_reads_the_similarities_behind_the_embedding():
    task = fitted(list("aabbccc"), temperature=0.3, margin=0.1, label_smoothing=0.2)
    assert (task.num_proxies, task.rows_per_class, task.num_outputs) == (3, 1, 4)
    similarities = drawn(7, 3).tanh()
    outputs = torch.cat([drawn(7), similarities], dim=1)
    expected = proxy_nca(similarities, CODES, temperature=0.3, margin=0.1, label_smoothing=0.2)
    torch.testing.assert_close(task.loss(outputs, CODES), expected)


def test_without_proxies_the_mean_of_a_classes_other_rows_stands_for_them():
    task, outputs = fitted(list("aabbccc"), temperature=0.5), drawn(7)
    unit = F.normalize(outputs, dim=1)
    losses = []
    for row in range(7):
        logits = []
        for code in range(3):
            members = [i for i in range(7) if CODES[i] == code and i != row]
            centre = F.normalize(unit[members].sum(dim=0), dim=0)
            logits.append(float(unit[row] @ centre) / 0.5)
        exponents = [math.exp(value) for value in logits]
        losses.append(math.log(sum(exponents)) - logits[int(CODES[row])])
    assert task.loss(outputs, CODES).item() == pytest.approx(sum(losses) / 7, rel=1e-5)
    # A row that is alone has no centre to lie near, and does not count.
    alone = torch.tensor([0, 0, 1, 1, 2, 3, 4])
    assert task.loss(outputs, alone).isfinite()
    assert task.loss(outputs, torch.arange(7)).item() == 0.0


def test_weights_of_rows_count():
    for options in ({}, {"loss": "contrastive"}, {"loss": "triplet"}):
        task, weight = fitted(list("aabbccc"), **options), torch.ones(7)
        outputs = drawn(7, 4 + task.num_proxies)
        plain = task.loss(outputs, CODES)
        torch.testing.assert_close(task.loss(outputs, CODES, weight), plain)
        weight[0] = 5.0
        assert not torch.isclose(task.loss(outputs, CODES, weight), plain)
        assert task.mass(CODES, weight).item() == 11.0
        assert task.mass(CODES).item() == 7.0


def test_a_loss_of_ones_own_is_given_unit_vectors():
    settings = TaskSettings(name="embedding", loss="custom", embedding_size=4)
    seen = []

    def own(embeddings, target):
        seen.append(embeddings.norm(dim=1))
        return embeddings.sum()

    task = fit_task(NAMES, ["y"], settings, loss=own)
    assert task.num_proxies == 0
    assert task.loss(drawn(7), CODES).isfinite()
    torch.testing.assert_close(seen[0], torch.ones(7))


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "proxy"])
def test_a_validation_pass_tells_loss_and_recall(loss):
    task = fitted(list("aabbccc"), loss=loss)
    apart = F.one_hot(CODES, 4).float() + 0.01 * drawn(7)
    told = task.monitor(apart, CODES)
    assert set(told) == {"loss", "recall_at_1"} == set(task.monitored)
    assert told["recall_at_1"] == 1.0
    assert told["loss"] < task.monitor(drawn(7), CODES)["loss"]
    assert all(math.isfinite(value) for value in task.monitor(torch.zeros(7, 4), CODES).values())
    # Classes that training never showed count too.
    assert task.monitor(apart, CODES + 3)["recall_at_1"] == 1.0


def test_the_loss_of_many_validation_rows_is_that_of_batches():
    rows = 1000
    task, codes = fitted(list("aabbccc"), loss="contrastive"), torch.arange(rows) % 3
    told = task.monitor(drawn(rows), codes)["loss"]
    whole = task.loss(drawn(rows), codes).item()
    assert told == pytest.approx(whole, rel=0.05)


@pytest.mark.parametrize("outputs", [torch.zeros(600, 4), torch.ones(600, 4)])
def test_rows_that_all_lie_in_one_place_score_by_chance_also_in_order_of_classes(outputs):
    codes = torch.arange(600) // 60
    task = fitted(codes.tolist())
    assert task.monitor(outputs, codes)["recall_at_1"] < 0.25
    scores = task.scores(outputs, pl.DataFrame({"y": codes.numpy()}))
    assert scores["recall_at_1"] < 0.25
    assert scores["mean_average_precision_at_r"] < 0.1


def test_recall_is_that_of_the_nearest_neighbour_classifier_left_one_out():
    frame = pl.DataFrame({"y": IRIS.target})
    task = fitted(IRIS.target.tolist())
    unit = IRIS.data / np.linalg.norm(IRIS.data, axis=1, keepdims=True)
    right = []
    for row in range(150):
        others = np.arange(150) != row
        model = KNeighborsClassifier(1).fit(unit[others], IRIS.target[others])
        right.append(model.predict(unit[[row]])[0] == IRIS.target[row])
    scores = task.scores(torch.from_numpy(IRIS.data), frame)
    assert scores["recall_at_1"] == pytest.approx(np.mean(right), abs=0.007)
    assert set(scores) == {"recall_at_1", "recall_at_5", "mean_average_precision_at_r"}


def test_the_trivial_predictor_ranks_by_chance():
    frame = pl.DataFrame({"y": np.arange(2000) // 200})
    scores = trivial_scores(fitted([0, 0, 1]), frame)
    assert scores["recall_at_1"] == pytest.approx(0.1, abs=0.03)
    assert scores["recall_at_5"] == pytest.approx(1 - 0.9**5, abs=0.04)
    assert scores == trivial_scores(fitted([0, 0, 1]), frame)


def test_of_many_rows_some_are_scored(monkeypatch):
    assert SCORED_ROWS == 10_000
    monkeypatch.setattr("glial.tasks.embedding.SCORED_ROWS", 50)
    codes = np.arange(400) // 100
    outputs = torch.eye(4)[torch.from_numpy(codes)] + 0.01 * drawn(400)
    weight = np.ones(400)
    scores = fitted(codes.tolist()).scores(outputs, pl.DataFrame({"y": codes}), weight)
    assert scores["recall_at_1"] == 1.0


def test_predictions_are_vectors_of_length_one():
    task, outputs = fitted(list("aab")), 9 * drawn(5)
    told = task.decode(outputs)
    assert list(told.predictions) == [f"embedding_{i}" for i in range(4)]
    assert told.probabilities == {}
    vectors = told.frame().to_numpy()
    np.testing.assert_allclose(vectors, F.normalize(outputs, dim=1).numpy(), rtol=1e-5)


def test_several_members_and_networks_agree_on_the_mean_of_their_cosines():
    task = fitted(list("aab"))
    parts = [drawn(5, seed=seed) for seed in range(2)]
    cosines = [F.normalize(part, dim=1) @ F.normalize(part, dim=1).T for part in parts]
    members = task.vectors(torch.stack(parts, dim=1))
    pooled = task.vectors(task.pool([(task, part) for part in parts]))
    for vectors in (members, pooled):
        assert vectors.shape == (5, 8)
        torch.testing.assert_close(vectors @ vectors.T, sum(cosines) / 2)
    assert task.spread([(task, part) for part in parts]) == {}


def test_what_only_classes_have_is_refused():
    with pytest.raises(InputError, match="does not fit the task 'embedding'"):
        fitted(list("aab"), loss="cross_entropy")
    with pytest.raises(InputError, match=r"task\.threshold"):
        fitted(list("aab"), threshold=0.5)
    with pytest.raises(InputError, match=r"task\.costs"):
        fitted(list("aab"), costs={"a": {"b": 2.0}})
    with pytest.raises(InputError, match="does not fit the task 'classification'"):
        fit_task(NAMES, ["y"], TaskSettings(name="classification", loss="triplet"))


def test_a_saved_task_goes_on_as_it_was_and_a_doubled_class_is_damage():
    settings = TaskSettings(name="embedding", loss="triplet", embedding_size=4)
    task = fit_task(NAMES, ["y"], settings)
    again = load_task(task.state(), settings)
    assert (again.loss_name, again.num_outputs, again.labels) == ("triplet", 4, task.labels)
    with pytest.raises(InputError, match="damaged"):
        load_task({**task.state(), "classes": ["a", "a"]}, settings)


def test_a_first_loss_is_finite():
    for loss in ("contrastive", "triplet", "proxy"):
        task = fitted(list("aabbccc"), loss=loss)
        assert math.isfinite(healthy_first_loss(task, CODES))
