"""Risk and coverage by hand, in limiting cases, and by laws."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from glial.evaluation.probabilities.refusing import RiskCoverage, refusal_of


def test_a_curve_by_hand():
    sureness, losses = np.array([0.6, 0.9, 0.8]), np.array([1.0, 0.0, 1.0])
    coverage, risks = RiskCoverage(sureness, losses).risks(np.ones((1, 3)))
    assert coverage[0].tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert risks[0].tolist() == pytest.approx([0, 1 / 2, 2 / 3])
    found = refusal_of(sureness, losses, replicates=0)["measures"]
    assert found["aurc"] == pytest.approx((0 + 1 / 2 + 2 / 3) / 3)
    assert found["excess_aurc"] == pytest.approx(0)  # the surest was the right one
    assert found["risk_at_1"] == pytest.approx(2 / 3)
    assert found["risk_at_0.5"] == pytest.approx(1 / 2)


def test_the_best_order_has_no_excess_and_the_worst_the_most():
    losses = np.random.default_rng(0).random(200) < 0.3
    best, worst = (
        refusal_of(sign * losses, losses.astype(float), replicates=0)["measures"]
        for sign in (-1, 1)
    )
    assert best["excess_aurc"] == pytest.approx(0, abs=1e-12)
    assert best["rank_correlation"] == pytest.approx(1)
    assert worst["rank_correlation"] == pytest.approx(-1)
    assert worst["aurc"] > losses.mean() > best["aurc"]


def test_where_all_rows_are_equally_sure_the_risk_is_the_mean():
    losses = np.random.default_rng(0).random(50)
    found = refusal_of(np.zeros(50), losses, replicates=0)
    assert found["measures"]["aurc"] == pytest.approx(losses.mean())
    assert found["curve"]["risk"] == pytest.approx([losses.mean()] * 50)
    assert math.isnan(found["measures"]["rank_correlation"])


def test_the_excess_of_a_zero_one_loss_is_the_published_one():
    # Geifman et al. (2019), equation 1: the best area of r wrong among n.
    random = np.random.default_rng(0)
    sureness, wrong = random.random(300), random.random(300) < 0.2
    found = refusal_of(sureness, wrong.astype(float), replicates=0)["measures"]
    count, right = 300, 300 - int(wrong.sum())
    best = sum((place - right) / place for place in range(right + 1, count + 1)) / count
    assert found["excess_aurc"] == pytest.approx(found["aurc"] - best)


def test_weights_are_repetitions_and_ranks_are_scipys():
    random = np.random.default_rng(0)
    sureness, losses = random.random(40).round(1), random.random(40)
    times = random.integers(0, 4, 40)
    rows = np.repeat(np.arange(40), times)
    weighed = refusal_of(sureness, losses, weight=times.astype(float), replicates=0)["measures"]
    repeated = refusal_of(sureness[rows], losses[rows], replicates=0)["measures"]
    assert weighed["rank_correlation"] == pytest.approx(repeated["rank_correlation"])
    expected = spearmanr(-sureness[rows], losses[rows])[0]
    assert weighed["rank_correlation"] == pytest.approx(expected)
    assert weighed["risk_at_1"] == pytest.approx(losses[rows].mean())


def test_intervals_hold_the_values():
    random = np.random.default_rng(0)
    sureness = random.random(300)
    losses = (random.random(300) > sureness).astype(float)
    found = refusal_of(sureness, losses, replicates=200)
    for name in ("aurc", "risk_at_0.8", "rank_correlation"):
        low, high = found["intervals"][name]
        assert low < found["measures"][name] < high
    assert found["measures"]["risk_at_0.5"] < found["measures"]["risk_at_1"]
    assert len(found["curve"]["risk"]) == 100
