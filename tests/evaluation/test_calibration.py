"""Calibration errors by hand, against scikit-learn, and on data whose calibration is known."""

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from glial.evaluation.metrics.answers import ClassAnswers, LabelAnswers
from glial.evaluation.probabilities.calibration import (
    Events,
    brier_parts,
    calibration_measures,
    calibration_of,
    top_events,
)


def binary(shares, truth, guess=None):
    shares = np.stack([1 - shares, shares], axis=1)
    guess = np.ones(len(truth), dtype=int) if guess is None else guess
    return ClassAnswers(["no", "yes"], np.asarray(truth), shares, guess)


def several(rows=300, classes=4, seed=0):
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.ones(classes), rows)
    truth = (shares.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1)
    return ClassAnswers(list("abcd")[:classes], truth, shares, shares.argmax(axis=1))


def values_of(answers, weight=None, **options):
    weight = np.ones(len(answers.truth)) if weight is None else weight
    found = calibration_measures(answers, **options)
    return {name: measure(weight[None])[0] for name, measure in found.items()}


@pytest.mark.parametrize(
    ("how", "strategy"), [("equal_width", "uniform"), ("equal_mass", "quantile")]
)
def test_diagrams_are_scikit_learns(how, strategy):
    random = np.random.default_rng(0)
    shares = random.random(500)
    came = random.random(500) < shares**2
    sums = Events.of(shares, came).binned(how, 10).sums(np.ones((1, 500)))
    frequency, mean = calibration_curve(came, shares, n_bins=10, strategy=strategy)
    if how == "equal_width":
        np.testing.assert_allclose(sums.came[0], frequency)
        np.testing.assert_allclose(sums.shares[0], mean)
    else:  # scikit-learn's quantiles lie between two rows, ours on one
        np.testing.assert_allclose(sums.came[0], frequency, atol=0.05)
        assert sums.weight[0].tolist() == [50] * 10


def test_errors_by_hand():
    # Two bins: 0.2 and 0.3 of which one came, 0.9 and 0.8 of which both came.
    answers = binary(np.array([0.2, 0.3, 0.9, 0.8]), [0, 1, 1, 1])
    gaps = np.array([0.5 - 0.25, 1 - 0.85])
    found = values_of(answers, bins=2)
    assert found["expected_calibration_error"] == pytest.approx(gaps.mean())
    assert found["adaptive_calibration_error"] == pytest.approx(gaps.mean())
    # Of the class "no" the gaps are the same in other bins.
    assert found["class_wise_calibration_error"] == pytest.approx(gaps.mean())
    assert found["maximum_calibration_error"] == pytest.approx(gaps.max())
    assert found["root_mean_squared_calibration_error"] == pytest.approx(
        math.sqrt((gaps**2).mean())
    )
    debiased = ((gaps[0] ** 2 - 0.25) + gaps[1] ** 2) / 2
    assert found["debiased_calibration_error"] == pytest.approx(math.sqrt(max(0, debiased)))


def test_rows_weigh_as_often_as_they_stand_there():
    answers = several(60)
    times = np.random.default_rng(1).integers(0, 4, 60)
    rows = np.repeat(np.arange(60), times)
    repeated = ClassAnswers(
        answers.names, answers.truth[rows], answers.shares[rows], answers.guess[rows]
    )
    weighted, plain = values_of(answers, times.astype(float)), values_of(repeated)
    for name in ("expected_calibration_error", "class_wise_calibration_error"):
        assert weighted[name] == pytest.approx(plain[name])


@pytest.mark.slow
def test_one_bin_of_calibrated_coins_has_the_error_of_their_mean():
    # All probabilities are 1/2: the error is |mean - 1/2|, which for n coins is
    # sqrt(2 / pi) * sqrt(1 / 4n) on average.
    errors = []
    for seed in range(200):
        truth = np.random.default_rng(seed).integers(0, 2, 100)
        errors.append(values_of(binary(np.full(100, 0.5), truth))["expected_calibration_error"])
    expected = math.sqrt(2 / math.pi) * math.sqrt(1 / 400)
    assert np.mean(errors) == pytest.approx(expected, abs=4 * np.std(errors) / 14)


def test_debiasing_takes_away_what_chance_adds():
    plain, debiased = [], []
    for seed in range(60):
        random = np.random.default_rng(seed)
        shares = random.random(400)
        found = values_of(binary(shares, (random.random(400) < shares).astype(int)))
        plain.append(found["root_mean_squared_calibration_error"])
        debiased.append(found["debiased_calibration_error"])
    assert np.mean(debiased) < 0.6 * np.mean(plain)


def test_a_known_shift_is_found():
    random = np.random.default_rng(0)
    truth_shares = random.uniform(0.1, 0.8, 20_000)
    truth = (random.random(20_000) < truth_shares).astype(int)
    found = values_of(binary(truth_shares + 0.1, truth))
    for name in ("expected_calibration_error", "adaptive_calibration_error"):
        assert found[name] == pytest.approx(0.1, abs=0.01)
    assert found["debiased_calibration_error"] == pytest.approx(0.1, abs=0.01)


@pytest.mark.slow
def test_intervals_hold_a_known_error():
    held = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        shares = random.uniform(0.1, 0.8, 600)
        truth = (random.random(600) < shares).astype(int)
        found = calibration_of(
            binary(shares + 0.1, truth), replicates=120, confidence=0.9, seed=seed
        )
        low, high = found["intervals"]["adaptive_calibration_error"]
        held += low <= 0.1 <= high
    assert 48 <= held <= 60


@pytest.mark.parametrize("bins", [1, 5, 15])
@pytest.mark.parametrize("classes", [2, 4])
def test_parts_add_up_to_the_brier_score(bins, classes):
    answers = several(classes=classes)
    weight = np.random.default_rng(0).uniform(0.5, 2, 300)
    parts = brier_parts(answers, weight, bins)
    score = brier_score_loss(
        answers.truth, answers.shares, sample_weight=weight, labels=range(classes)
    )
    assert parts["brier_score"] == pytest.approx(score)
    whole = parts["reliability"] - parts["resolution"] + parts["uncertainty"]
    assert whole + parts["within_bins"] == pytest.approx(score)


def test_parts_by_hand():
    # Said 0.8 of four rows of which three came, and 0.1 of two of which none came.
    answers = binary(np.array([0.8] * 4 + [0.1] * 2), [1, 1, 1, 0, 0, 0])
    parts = brier_parts(answers, np.ones(6))
    assert parts["reliability"] == pytest.approx((4 * 0.05**2 + 2 * 0.1**2) / 6)
    assert parts["resolution"] == pytest.approx((4 * 0.25**2 + 2 * 0.5**2) / 6)
    assert parts["uncertainty"] == pytest.approx(0.25)
    assert parts["within_bins"] == pytest.approx(0, abs=1e-12)


def test_labels_are_events_of_their_rows():
    random = np.random.default_rng(0)
    shares = random.random((200, 3))
    answers = LabelAnswers(list("abc"), random.random((200, 3)) < shares, shares, shares > 0.5)
    events = top_events(answers)
    assert events.rows[:4].tolist() == [0, 0, 0, 1]
    found = calibration_of(answers, replicates=40)
    assert found["measures"]["expected_calibration_error"] < 0.1
    parts = found["brier"]
    assert parts["brier_score"] == pytest.approx(((answers.truth - shares) ** 2).mean())


def test_few_rows_and_unknown_classes_are_borne():
    shares = np.array([[0.2, 0.8]])
    for truth in (1, -1):
        found = calibration_of(
            ClassAnswers(["a", "b"], np.array([truth]), shares, np.array([1])), replicates=0
        )
        error = 0.2 if truth == 1 else 0.8
        assert found["measures"]["expected_calibration_error"] == pytest.approx(error)
        assert found["intervals"] == {}
    assert math.isnan(found["brier"]["brier_score"])
    assert found["diagrams"]["equal_width"][0]["weight"] == 1
