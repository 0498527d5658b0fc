"""Neighbours against scikit-learn, retrieval scores by hand and by loops, copies, stretches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from glial.core.errors import InputError
from glial.functional import near_copies, nearest, neighbours, recall_at, retrieval_scores


def drawn(rows, features=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, features, generator=generator, dtype=torch.float64)


@pytest.fixture(params=[1 << 22, 64])
def at_once(request, monkeypatch):
    """All rows in one stretch, or a few rows at a time."""
    monkeypatch.setattr(neighbours, "ELEMENTS_AT_ONCE", request.param)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_are_scikit_learns(at_once, metric):
    points, others = drawn(30), drawn(50, seed=1)
    search = NearestNeighbors(n_neighbors=5, metric=metric, algorithm="brute").fit(others.numpy())
    expected = search.kneighbors(points.numpy())
    distances, rows = nearest(points, 5, others, metric=metric)
    np.testing.assert_allclose(distances.numpy(), expected[0], atol=1e-12)
    assert rows.tolist() == expected[1].tolist()
    # Without others, a row itself is not searched.
    search = NearestNeighbors(n_neighbors=5, metric=metric, algorithm="brute").fit(points.numpy())
    expected = search.kneighbors()
    distances, rows = nearest(points, 5, metric=metric)
    np.testing.assert_allclose(distances.numpy(), expected[0], atol=1e-12)
    assert rows.tolist() == expected[1].tolist()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_equal_rows_have_distance_zero_and_the_first_stands_first(metric):
    points = torch.tensor([[0.1, 0.7], [3.0, 1.0], [0.1, 0.7], [0.1, 0.7]])
    distances, rows = nearest(points, 2, metric=metric)
    assert distances[[0, 2, 3]].tolist() == [[0.0, 0.0]] * 3
    assert rows[[0, 2, 3]].tolist() == [[2, 3], [0, 3], [0, 2]]
    assert nearest(points[:1], 1, points, metric=metric)[0].item() == 0.0


def test_a_vector_of_zeros_is_at_cosine_distance_one_of_all():
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    distances, _ = nearest(points, 2)
    assert distances.tolist() == [[1.0, 1.0]] * 3
    assert near_copies(points, 0.5)[0].shape == (0, 2)


@pytest.mark.parametrize("wanted", [0, 3])
def test_more_neighbours_than_rows_are_refused(wanted):
    with pytest.raises(InputError, match="from 1 to 2"):
        nearest(drawn(3), wanted)
    assert nearest(drawn(3), 3, drawn(3))[1].shape == (3, 3)


def test_no_rows_have_no_neighbours():
    distances, rows = nearest(drawn(0), 2, drawn(3))
    assert distances.shape == rows.shape == (0, 2)


def test_scores_by_hand():
    # On a line: a at 0, 1 and 10; b at 1.5 and 4; c alone at 100.
    points = torch.tensor([[0.0], [1.0], [10.0], [1.5], [4.0], [100.0]])
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    # Neighbours in order, right ones marked:
    #  0: 1* 1.5 4 10* | 1: 1.5 0* 4 10* | 10: 4 1.5 1* 0* | 1.5: 1 0 4* | 4: 1.5*
    scores = retrieval_scores(points, labels, (1, 2), metric="euclidean")
    assert scores["recall_at_1"] == pytest.approx(2 / 5)
    assert scores["recall_at_2"] == pytest.approx(3 / 5)
    # R is 2 for the first three: 1/2, (0 + 1/2) / 2, 0; and 1 for the others: 0, 1.
    expected = (0.5 + 0.25 + 0 + 0 + 1) / 5
    assert scores["mean_average_precision_at_r"] == pytest.approx(expected)
    weight = torch.tensor([1.0, 1.0, 1.0, 1.0, 6.0, 9.0])
    weighted = retrieval_scores(points, labels, (1,), metric="euclidean", weight=weight)
    assert weighted["recall_at_1"] == pytest.approx(7 / 10)
    assert recall_at(points, labels, 2, metric="euclidean") == pytest.approx(3 / 5)


def loops(points, labels, recalls, metric):
    """The scores by the definitions, a row at a time."""
    table = pairwise_distances(points.numpy(), metric=metric)
    found = []
    for row, label in enumerate(labels.tolist()):
        order = [int(i) for i in np.argsort(table[row], kind="stable") if i != row]
        right = [labels[i].item() == label for i in order]
        partners = sum(right)
        if partners:
            precision = [sum(right[: i + 1]) / (i + 1) for i in range(partners) if right[i]]
            found.append([*(any(right[:k]) for k in recalls), sum(precision) / partners])
    return np.mean(found, axis=0)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(1, 5), st.integers(0, 99))
def test_scores_are_those_of_plain_loops(rows, classes, seed):
    points = drawn(rows, seed=seed)
    labels = torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(seed))
    for metric in ("cosine", "euclidean"):
        scores = retrieval_scores(points, labels, (1, 3), metric=metric)
        if (labels.bincount() > 1).any():
            expected = loops(points, labels, (1, 3), metric)
            np.testing.assert_allclose(list(scores.values()), expected)
        else:
            assert all(math.isnan(value) for value in scores.values())


def test_scores_do_not_hang_on_stretches(monkeypatch):
    points, labels = drawn(40), torch.arange(40) % 3
    whole = retrieval_scores(points, labels)
    monkeypatch.setattr(neighbours, "ELEMENTS_AT_ONCE", 100)
    assert retrieval_scores(points, labels) == pytest.approx(whole)


def test_classes_that_are_apart_score_one():
    points = torch.eye(3).repeat(4, 1) + 0.01 * drawn(12, 3).float()
    scores = retrieval_scores(points, torch.arange(12) % 3)
    assert set(scores.values()) == {1.0}


def test_copies_are_the_pairs_above_the_threshold(at_once):
    points, others = drawn(25), drawn(20, seed=1)
    table = 1 - pairwise_distances(points.numpy(), metric="cosine")
    expected = {(i, j) for i in range(25) for j in range(i + 1, 25) if table[i, j] >= 0.6}
    pairs, similarities = near_copies(points, 0.6)
    assert {tuple(pair) for pair in pairs.tolist()} == expected
    assert len(pairs) == len(expected) > 0
    assert (similarities.diff() <= 0).all()
    np.testing.assert_allclose(similarities.numpy(), table[tuple(pairs.T.numpy())], rtol=1e-9)
    between = 1 - pairwise_distances(points.numpy(), others.numpy(), metric="cosine")
    pairs, _ = near_copies(points, 0.6, others)
    expected = {tuple(pair) for pair in np.argwhere(between >= 0.6).tolist()}
    assert {tuple(pair) for pair in pairs.tolist()} == expected


def test_equal_directions_are_copies_at_a_threshold_of_one():
    points = torch.tensor([[0.3, 0.7, 0.1], [0.6, 1.4, 0.2], [0.3, 0.7, 0.2]])
    pairs, similarities = near_copies(points, 1.0)
    assert pairs.tolist() == [[0, 1]]
    assert similarities.tolist() == [1.0]


def test_too_many_copies_and_thresholds_out_of_range_are_refused():
    with pytest.raises(InputError, match="raise the threshold"):
        near_copies(torch.ones(10, 2), 0.5, most=44)
    assert len(near_copies(torch.ones(10, 2), 0.5, most=45)[0]) == 45
    for threshold in (0.0, 1.5, -0.2):
        with pytest.raises(InputError, match="at most 1"):
            near_copies(torch.ones(2, 2), threshold)
