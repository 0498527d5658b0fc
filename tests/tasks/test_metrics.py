"""Metrics against scikit-learn on random labels, and what they must say on special ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from glial.tasks.metrics import (
    LOWER_IS_BETTER,
    REGRESSION_METRICS,
    class_details,
    class_scores,
    likeliest,
    multilabel_scores,
    regression_scores,
)


def drawn(seed, classes, rows=60):
    rng = np.random.default_rng(seed)
    truth = np.r_[np.arange(classes), rng.integers(classes, size=rows - classes)]
    probabilities = rng.dirichlet(np.ones(classes), size=rows)
    return truth, probabilities, rng.uniform(0.1, 2, size=rows)


def averages(truth, guess, kind, **options):
    functions = {
        "f1": metrics.f1_score,
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
    }
    options |= {"average": kind, "zero_division": 0}
    return {f"{name}_{kind}": score(truth, guess, **options) for name, score in functions.items()}


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("weighted", [False, True])
@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_class_scores_are_scikit_learns(classes, weighted, seed):
    truth, probabilities, weight = drawn(seed, classes)
    weight = weight if weighted else None
    guess = probabilities.argmax(axis=1)
    options = {"sample_weight": weight}
    macro = {"average": "macro", "zero_division": 0, **options}
    positive = probabilities[:, 1] if classes == 2 else probabilities
    expected = {
        "accuracy": metrics.accuracy_score(truth, guess, **options),
        "matthews_corrcoef": metrics.matthews_corrcoef(truth, guess, **options),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, guess, **options),
        "f1_macro": metrics.f1_score(truth, guess, **macro),
        "precision_macro": metrics.precision_score(truth, guess, **macro),
        "recall_macro": metrics.recall_score(truth, guess, **macro),
        "log_loss": metrics.log_loss(truth, probabilities, **options),
        "brier_score": metrics.brier_score_loss(truth, probabilities, **options),
        **averages(truth, guess, "micro", **options),
        **averages(truth, guess, "weighted", **options),
    }
    if classes == 2:
        expected |= {
            "roc_auc": metrics.roc_auc_score(truth, positive, **options),
            "f1": metrics.f1_score(truth, guess, **options),
            "precision": metrics.precision_score(truth, guess, zero_division=0, **options),
            "recall": metrics.recall_score(truth, guess, **options),
            "average_precision": metrics.average_precision_score(truth, positive, **options),
        }
    else:
        each = [
            metrics.roc_auc_score(truth == c, probabilities[:, c], **options)
            for c in range(classes)
        ]
        expected["roc_auc"] = np.mean(each)
        expected["average_precision"] = metrics.average_precision_score(
            truth, probabilities, **options
        )
    assert class_scores(truth, probabilities, weight) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=10)
@given(seed=st.integers(0, 100))
def test_roc_auc_of_several_classes_is_scikit_learns_one_against_the_rest(seed):
    truth, probabilities, _ = drawn(seed, 4)
    expected = metrics.roc_auc_score(truth, probabilities, multi_class="ovr")
    assert class_scores(truth, probabilities)["roc_auc"] == pytest.approx(expected)


def test_one_class_alone_has_no_roc_auc():
    scores = class_scores(np.zeros(4, np.int64), np.full((4, 2), 0.5))
    assert math.isnan(scores["roc_auc"])
    assert math.isnan(scores["average_precision"])
    scores = class_scores(np.full(4, 2), np.full((4, 3), 1 / 3))
    assert math.isnan(scores["roc_auc"])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [5, 6, 30])
def test_being_among_the_five_likeliest_is_scikit_learns(classes, weighted):
    generator = np.random.default_rng(classes)
    truth = generator.integers(0, classes, 60)
    probabilities = generator.dirichlet(np.ones(classes), 60).round(2)  # with ties
    weight = generator.random(60) if weighted else None
    found = class_scores(truth, probabilities, weight).get("top_5_accuracy")
    if classes == 5:
        assert found is None
        return
    options = {"k": 5, "labels": np.arange(classes), "sample_weight": weight}
    expected = metrics.top_k_accuracy_score(truth, probabilities, **options)
    assert found == pytest.approx(expected)
    unseen = class_scores(np.full(3, -1), probabilities[:3])
    assert unseen["top_5_accuracy"] == 0


def test_classes_never_shown_count_as_errors():
    truth = np.array([0, 1, -1, -1])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1], [0.1, 0.9]])
    scores = class_scores(truth, probabilities)
    assert scores["accuracy"] == 0.5
    assert scores["roc_auc"] == 1.0
    assert scores["log_loss"] == pytest.approx(-(math.log(0.9) + math.log(0.8)) / 2)


def test_one_row_that_is_right_has_no_correlation():
    assert class_scores(np.array([0]), np.array([[0.9, 0.1]]))["matthews_corrcoef"] == 0.0


def test_only_classes_never_shown():
    scores = class_scores(np.array([-1, -1]), np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert scores["accuracy"] == 0.0
    assert math.isnan(scores["log_loss"])


def test_a_certain_error_costs_much_but_not_infinitely_much():
    scores = class_scores(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert 100 < scores["log_loss"] < math.inf


def test_a_perfect_and_a_random_classifier():
    truth = np.array([0, 1] * 2000)
    perfect = np.stack([1 - truth, truth], axis=1) * 0.8 + 0.1
    assert class_scores(truth, perfect)["roc_auc"] == 1.0
    rng = np.random.default_rng(0)
    share = rng.uniform(size=4000)
    scores = class_scores(truth, np.stack([1 - share, share], axis=1))
    assert scores["roc_auc"] == pytest.approx(0.5, abs=0.03)


def test_area_under_precision_recall_of_a_random_classifier_is_the_positive_rate():
    rng = np.random.default_rng(0)
    truth = (rng.uniform(size=20_000) < 0.1).astype(np.int64)
    share = rng.uniform(size=20_000)
    scores = class_scores(truth, np.stack([1 - share, share], axis=1))
    assert scores["average_precision"] == pytest.approx(truth.mean(), abs=0.02)


def test_ties_go_to_the_positive_class():
    assert likeliest(np.array([[0.5, 0.5]])).tolist() == [1]


@settings(max_examples=10)
@given(seed=st.integers(0, 100), classes=st.integers(2, 5))
def test_the_confusion_matrix_is_scikit_learns_and_sums_to_n(seed, classes):
    truth, probabilities, _ = drawn(seed, classes)
    names = [str(i) for i in range(classes)]
    counts = class_details(truth, probabilities, names)["confusion_matrix"]["counts"]
    expected = metrics.confusion_matrix(truth, probabilities.argmax(axis=1))
    assert np.array_equal(counts, expected)
    assert np.sum(counts) == len(truth)


def test_the_area_under_the_roc_curve_is_roc_auc():
    truth, probabilities, _ = drawn(3, 2)
    details = class_details(truth, probabilities, ["a", "b"])
    curve = details["roc_curve"]
    area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
    assert area == pytest.approx(class_scores(truth, probabilities)["roc_auc"])
    assert details["precision_recall_curve"]["recall"][0] == 1.0


def test_curves_of_one_class_are_left_out():
    details = class_details(np.array([1, 1, -1]), np.full((3, 2), 0.5), ["a", "b"])
    assert list(details) == ["confusion_matrix"]


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_regression_scores_are_scikit_learns(outputs, weighted, seed):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.normal(size=(2, 30, outputs))
    options = {"sample_weight": rng.uniform(0.1, 2, size=30) if weighted else None}
    rmse = metrics.root_mean_squared_error(truth, predicted, **options)
    mae = metrics.mean_absolute_error(truth, predicted, **options)
    expected = {
        "root_mean_squared_error": rmse,
        "rmse": rmse,
        "mean_absolute_error": mae,
        "mae": mae,
        "mean_squared_error": metrics.mean_squared_error(truth, predicted, **options),
        "median_absolute_error": metrics.median_absolute_error(truth, predicted, **options),
        "r2": metrics.r2_score(truth, predicted, **options),
        "mean_absolute_percentage_error": metrics.mean_absolute_percentage_error(
            truth, predicted, **options
        ),
    }
    assert regression_scores(truth, predicted, options["sample_weight"]) == pytest.approx(expected)


def test_a_share_of_nothing_is_no_percentage_error():
    scores = regression_scores(np.array([[0.0], [2.0]]), np.array([[1.0], [1.0]]))
    assert math.isnan(scores["mean_absolute_percentage_error"])
    assert scores["mae"] == 1.0


def test_brier_scores_by_hand():
    two = class_scores(np.array([0, 1]), np.array([[0.8, 0.2], [0.4, 0.6]]))
    assert two["brier_score"] == pytest.approx((0.2**2 + 0.4**2) / 2)
    three = class_scores(np.array([2, -1]), np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]]))
    assert three["brier_score"] == pytest.approx(0.5**2 + 0.3**2 + 0.8**2)


def test_r2_of_a_perfect_fit_is_1_and_of_the_mean_0():
    truth = np.array([[1.0], [2.0], [6.0]])
    assert regression_scores(truth, truth)["r2"] == 1.0
    assert regression_scores(truth, np.full((3, 1), 3.0))["r2"] == 0.0


def test_one_row_has_no_r2_and_predictions_that_are_not_finite_no_score():
    assert math.isnan(regression_scores(np.ones((1, 1)), np.ones((1, 1)))["r2"])
    scores = regression_scores(np.ones((2, 1)), np.array([[np.nan], [1.0]]))
    assert set(scores) == set(REGRESSION_METRICS)
    assert all(map(math.isnan, scores.values()))


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
@pytest.mark.slow
def test_multilabel_scores_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(size=(40, 3)) < 0.5
    truth[0], truth[1] = True, False
    probabilities = rng.uniform(0.01, 0.99, size=(40, 3))
    guess = probabilities >= 0.5
    expected = {
        "accuracy": metrics.accuracy_score(truth, guess),
        "hamming_loss": metrics.hamming_loss(truth, guess),
        "log_loss": np.mean([metrics.log_loss(truth[:, i], probabilities[:, i]) for i in range(3)]),
        "roc_auc": metrics.roc_auc_score(truth, probabilities),
        "average_precision": metrics.average_precision_score(truth, probabilities),
        "brier_score": metrics.mean_squared_error(truth, probabilities),
        **averages(truth, guess, "macro"),
        **averages(truth, guess, "micro"),
        **averages(truth, guess, "weighted"),
    }
    assert multilabel_scores(truth, probabilities) == pytest.approx(expected)


def test_a_label_that_never_varies_is_left_out_of_the_areas():
    truth = np.array([[True, False], [True, True]])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.8]])
    assert multilabel_scores(truth, probabilities)["roc_auc"] == 1.0
    assert math.isnan(multilabel_scores(truth[:, :1], probabilities[:, :1])["roc_auc"])


def test_which_metrics_are_better_when_lower():
    assert {"rmse", "log_loss", "hamming_loss", "loss"} <= LOWER_IS_BETTER
    assert not {"r2", "accuracy", "roc_auc", "f1"} & LOWER_IS_BETTER
