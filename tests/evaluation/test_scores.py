"""Metrics as functions of weights are the metrics of the weighted, or repeated, rows."""

import math

import numpy as np
import pytest
from sklearn import metrics

from glial.evaluation.metrics.bootstrap import bootstrap_weights
from glial.evaluation.metrics.scores import (
    class_replicates,
    multilabel_replicates,
    regression_replicates,
)
from glial.evaluation.metrics.weighted import Ranking, weighted_median, weighted_sums
from glial.tasks.decisions import mean_cost
from glial.tasks.metrics import class_scores, multilabel_scores, regression_scores


def check_repeated(score, expected, num_rows, replicates=6):
    """Every replicate is the metric of the rows that were drawn, each as often as drawn."""
    weights = bootstrap_weights(num_rows, replicates, seed=num_rows)
    found = score(weights)
    for number, times in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(num_rows), times)
        told = expected(rows)
        known = {name: value for name, value in told.items() if not math.isnan(value)}
        mine = {name: values[number] for name, values in found.items()}
        assert mine == pytest.approx({**dict.fromkeys(mine, math.nan), **known}, nan_ok=True)


def classes(seed, size, rows, unknown=0):
    generator = np.random.default_rng(seed)
    truth = generator.integers(-unknown, size, rows).clip(-1)
    shares = generator.dirichlet(np.ones(size), rows).round(1)  # with ties
    return truth, shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize(("rows", "unknown"), [(40, 0), (12, 0), (25, 2)])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.slow
def test_class_scores_of_drawn_rows(size, rows, unknown):
    truth, shares = classes(rows, size, rows, unknown)
    guess = np.random.default_rng(1).integers(0, size, rows)
    costs = 1 + np.random.default_rng(2).random((size, size))

    def expected(drawn):
        scores = class_scores(truth[drawn], shares[drawn], guess=guess[drawn])
        return scores | {"cost": mean_cost(truth[drawn], guess[drawn], costs)}

    check_repeated(class_replicates(truth, shares, guess, costs), expected, rows)


@pytest.mark.parametrize("size", [2, 4, 7])
def test_class_scores_of_weighted_rows_are_scikit_learns(size):
    truth, shares = classes(5, size, 60)
    weights = np.random.default_rng(0).uniform(0.1, 3, (2, 60))
    guess = shares.argmax(axis=1)
    found = class_replicates(truth, shares, guess)(weights)
    for number, weight in enumerate(weights):
        expected = class_scores(truth, shares, weight, guess)
        assert {name: values[number] for name, values in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize("rows", [8, 50])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_multilabel_scores_of_drawn_rows(rows):
    generator = np.random.default_rng(rows)
    truth = generator.random((rows, 3)) < [0.5, 0.2, 0.9]
    shares = generator.random((rows, 3)).round(1)
    guess = shares > 0.4

    def expected(drawn):
        return multilabel_scores(truth[drawn], shares[drawn], guess[drawn])

    check_repeated(multilabel_replicates(truth, shares, guess), expected, rows)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("rows", [7, 40])
def test_regression_scores_of_drawn_rows(outputs, rows):
    generator = np.random.default_rng(rows)
    truth, predicted = generator.normal(5, 1, size=(2, rows, outputs))

    def expected(drawn):
        return regression_scores(truth[drawn], predicted[drawn])

    check_repeated(regression_replicates(truth, predicted), expected, rows)


@pytest.mark.parametrize("outputs", [1, 2])
def test_regression_scores_of_weighted_rows_are_scikit_learns(outputs):
    generator = np.random.default_rng(0)
    truth, predicted = generator.normal(5, 1, size=(2, 31, outputs))
    weights = generator.uniform(0.1, 2, (2, 31))
    found = regression_replicates(truth, predicted)(weights)
    for number, weight in enumerate(weights):
        expected = regression_scores(truth, predicted, weight)
        assert {name: values[number] for name, values in found.items()} == pytest.approx(expected)


def test_r2_of_a_constant_truth_is_scikit_learns():
    truth = np.array([[2.0], [2.0], [3.0]])
    weights = np.array([[1.0, 1.0, 0.0]])
    wrong = regression_replicates(truth, truth + 1)(weights)["r2"]
    right = regression_replicates(truth, truth)(weights)["r2"]
    assert wrong.tolist() == [metrics.r2_score([2.0, 2.0], [3.0, 3.0])] == [0.0]
    assert right.tolist() == [metrics.r2_score([2.0, 2.0], [2.0, 2.0])] == [1.0]


def test_a_share_of_zero_has_no_replicates():
    score = regression_replicates(np.zeros((2, 1)), np.ones((2, 1)))
    assert "mean_absolute_percentage_error" not in score(np.ones((1, 2)))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_areas_by_hand_and_of_nothing():
    # Of the four pairs of a yes and a no, three stand right and one is a tie.
    ranking = Ranking.of(np.array([True, False, True, False]), np.array([0.9, 0.5, 0.5, 0.1]))
    area, average = ranking.areas(np.ones((1, 4)))
    assert area.tolist() == [3.5 / 4]
    assert average.tolist() == pytest.approx([(1 + 2 / 3) / 2])
    area, average = ranking.areas(np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
    assert np.isnan(area).all()
    assert average.tolist() == pytest.approx([1.0, math.nan], nan_ok=True)


def test_medians_and_sums_by_hand():
    values = np.array([3.0, 1.0, 2.0])
    weights = np.array([[1.0, 1, 1], [0, 1, 1], [1, 3, 0], [0.5, 0.2, 0.3], [0, 0, 0]])
    assert weighted_median(values, weights).tolist()[:4] == [2.0, 1.5, 1.0, 2.5]
    assert np.isnan(weighted_median(values, weights)[4])
    sums = weighted_sums(np.array([1, 0, 1]), 3, weights[:1])
    assert sums.tolist() == [[1.0, 2.0, 0.0]]
