"""Resampled weights, and the intervals that they give."""

import math
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy import stats

import glial
from glial.core.errors import InputError
from glial.evaluation.metrics import bootstrap
from glial.evaluation.metrics.answers import clusters_of
from glial.evaluation.metrics.bootstrap import (
    bootstrap_weights,
    check_bootstrap,
    interval,
    intervals,
    replicate,
    weight_blocks,
)


def mean_of(rows):
    return lambda weights: {"mean": weights @ rows / weights.sum(axis=1)}


def test_weights_are_draws_with_replacement():
    weights = bootstrap_weights(50, 4000, seed=3)
    assert (weights.sum(axis=1) == 50).all()
    # Multinomial: mean 1, variance 1 - 1/n, covariance -1/n.
    assert abs(weights.mean(axis=0) - 1).max() < 5 * math.sqrt(0.98 / 4000)
    assert weights.var() == pytest.approx(0.98, abs=0.02)
    assert np.cov(weights[:, :2].T)[0, 1] == pytest.approx(-0.02, abs=0.05)


def test_the_same_seed_gives_the_same_weights_whatever_a_block_holds(monkeypatch):
    whole = bootstrap_weights(30, 20, seed=1)
    monkeypatch.setattr(bootstrap, "WEIGHTS_AT_ONCE", 70)
    assert [len(block) for block in weight_blocks(30, 5)] == [2, 2, 1]
    np.testing.assert_array_equal(bootstrap_weights(30, 20, seed=1), whole)
    assert (bootstrap_weights(30, 20, seed=2) != whole).any()
    assert bootstrap_weights(30, 0).shape == (0, 30)


def test_rows_of_a_cluster_are_drawn_together():
    clusters = np.array(["b", "a", "b", "c"])
    weights = bootstrap_weights(4, 500, clusters=clusters)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_clusters_of_one_row_are_rows():
    rows = bootstrap_weights(6, 40)
    np.testing.assert_array_equal(bootstrap_weights(6, 40, clusters=np.arange(6)), rows)


def test_the_interval_of_a_mean_is_the_normal_one_and_scipys():
    rows = np.random.default_rng(0).exponential(size=400)
    values = replicate(mean_of(rows), 400, 4000)["mean"]
    deviation = rows.std() / 20
    assert values.std() == pytest.approx(deviation, rel=0.05)
    low, high = interval(values)
    expected = stats.bootstrap((rows,), np.mean, n_resamples=4000, method="percentile", rng=0)
    ends = expected.confidence_interval
    assert (low, high) == pytest.approx((ends.low, ends.high), abs=0.15 * deviation)


def test_clusters_widen_the_interval_by_what_their_rows_share():
    # Rows of a cluster are equal: 40 clusters of 10 rows say as much as 40 rows.
    values = np.random.default_rng(0).normal(size=40)
    rows, clusters = values.repeat(10), np.arange(40).repeat(10)
    wide = replicate(mean_of(rows), 400, 2000, clusters=clusters)["mean"].std()
    assert wide == pytest.approx(values.std() / math.sqrt(40), rel=0.1)
    narrow = replicate(mean_of(rows), 400, 2000)["mean"].std()
    assert wide / narrow == pytest.approx(math.sqrt(10), rel=0.1)


def test_rows_weigh_what_they_are_told_to():
    rows, weight = np.array([1.0, 5.0]), np.array([1.0, 0.0])
    values = replicate(mean_of(rows), 2, 50, weight=weight)["mean"]
    assert set(values[~np.isnan(values)]) == {1.0}


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say():
    held = 0
    for seed in range(300):
        rows = np.random.default_rng(seed).random(100) < 0.8
        low, high = interval(replicate(mean_of(rows), 100, 400, seed)["mean"])
        held += low <= 0.8 <= high
    assert 0.9 <= held / 300 <= 0.98


def test_replicates_without_a_value_are_left_out_and_too_many_say_nothing():
    values = np.r_[np.full(5, np.nan), np.arange(101.0)]
    assert interval(values, 0.5) == (25.0, 75.0)
    assert np.isnan(interval(np.r_[values, np.full(20, np.nan)])).all()
    assert np.isnan(interval(np.array([]))).all()
    assert intervals({"a": values}, 0.5) == {"a": [25.0, 75.0]}


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.1, math.nan])
def test_a_confidence_is_a_share(confidence):
    with pytest.raises(InputError, match="a share"):
        check_bootstrap(confidence, 1000)


def test_few_replicates_make_no_interval():
    check_bootstrap(0.95, 0)
    check_bootstrap(0.95, 40)
    with pytest.raises(InputError, match="at least 40"):
        check_bootstrap(0.95, 39)


def test_rows_without_a_group_are_groups_of_their_own():
    frame = pl.DataFrame({"g": ["b", None, "a", None, "b"]})
    plan = glial.Plan.from_values({"data": {"split": {"group": "g"}}})
    run = SimpleNamespace(plan=plan)
    found = clusters_of(SimpleNamespace(run=run, frame=frame))
    assert found[0] == found[4]
    assert len(set(found.tolist())) == 4
