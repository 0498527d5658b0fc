"""Paired tests beside statsmodels, SciPy and values by hand; their levels and powers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from glial.core.errors import InputError
from glial.evaluation import (
    corrected_resampled_t,
    mcnemar,
    paired_t,
    replicate,
    signed_rank,
)
from glial.evaluation.comparing.paired import difference_of


def rights(only_first: int, only_second: int, both: int = 3, neither: int = 2):
    first = [True] * only_first + [False] * only_second + [True] * both + [False] * neither
    second = [False] * only_first + [True] * only_second + [True] * both + [False] * neither
    return np.array(first), np.array(second)


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (0, 1), (5, 5), (3, 11), (40, 21), (300, 260)])
def test_mcnemar_is_that_of_statsmodels(counts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.stats.contingency_tables import mcnemar as oracle

    found = mcnemar(*rights(*counts))
    assert (found.only_first, found.only_second) == counts
    one, two = counts
    table = [[3, one], [two, 2]]
    assert found.exact == pytest.approx(oracle(table, exact=True).pvalue, rel=1e-12)
    if one + two:
        approximate = oracle(table, exact=False, correction=True)
        assert found.chi2.statistic == pytest.approx(approximate.statistic, rel=1e-12)
        assert found.chi2.p_value == pytest.approx(approximate.pvalue, rel=1e-12)


def test_mid_p_counts_half_of_what_was_seen():
    # Two tails of 3 of 14: 2 (P(0) + P(1) + P(2) + P(3) / 2) by hand.
    hand = 2 * (1 + 14 + 91 + 364 / 2) / 2**14
    assert mcnemar(*rights(3, 11)).mid_p == pytest.approx(hand)
    assert mcnemar(*rights(5, 5)).mid_p == pytest.approx(1.0)


def test_t_and_signed_ranks_are_those_of_scipy():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 40))
    found, oracle = paired_t(first - second), stats.ttest_rel(first, second)
    assert (found.statistic, found.p_value) == pytest.approx((oracle.statistic, oracle.pvalue))
    ranks, oracle = signed_rank(first - second), stats.wilcoxon(first, second)
    assert (ranks.statistic, ranks.p_value) == pytest.approx((oracle.statistic, oracle.pvalue))


def test_tests_of_nothing_and_of_constants():
    assert paired_t(np.zeros(4)).p_value == 1.0
    assert paired_t(np.ones(4)).p_value == 0.0
    assert np.isnan(paired_t(np.ones(1)).p_value)
    assert signed_rank(np.zeros(4)).p_value == 1.0


def test_corrected_t_by_hand_and_in_the_limit():
    differences = np.array([0.02, 0.01, 0.03, -0.01, 0.02])
    # Five folds: the variance of the mean is (1/5 + 1/4) times 0.00023.
    hand = 0.014 / np.sqrt((1 / 5 + 1 / 4) * 0.00023)
    found = corrected_resampled_t(differences, 1 / 5)
    assert found.statistic == pytest.approx(hand)
    assert found.p_value == pytest.approx(2 * stats.t.sf(hand, 4))
    uncorrected = stats.ttest_1samp(differences, 0)
    assert corrected_resampled_t(differences, 1e-12).p_value == pytest.approx(uncorrected.pvalue)


@pytest.mark.parametrize(
    ("differences", "share"),
    [([1.0], 0.2), ([1.0, np.nan], 0.2), ([1.0, 2.0], 0.0), ([1.0, 2.0], 1.0), ([], 0.5)],
)
def test_corrected_t_refuses(differences, share):
    with pytest.raises(InputError):
        corrected_resampled_t(differences, share)


def scores_of_equal_learners(random, repeats: int, height: int = 60, share: float = 0.2):
    """Differences of two equally good nearest-mean classifiers over repeated random splits."""
    labels = random.integers(2, size=height)
    columns = random.normal(size=(height, 2)) + 0.8 * labels[:, None]
    held = round(share * height)
    found = []
    for _ in range(repeats):
        order = random.permutation(height)
        test, train = order[:held], order[held:]
        wrong = []
        for column in columns.T:
            means = [column[train][labels[train] == c].mean() for c in (0, 1)]
            guess = np.abs(column[test] - means[1]) < np.abs(column[test] - means[0])
            wrong.append((guess != labels[test]).mean())
        found.append(wrong[0] - wrong[1])
    return np.array(found)


@pytest.mark.slow
def test_corrected_t_holds_its_level_where_the_plain_one_does_not():
    """Splits that share training rows make the plain t test find differences between equals."""
    random = np.random.default_rng(0)
    trials = [scores_of_equal_learners(random, repeats=15) for _ in range(150)]
    corrected = np.mean([corrected_resampled_t(d, 0.2).p_value < 0.05 for d in trials])
    plain = np.mean([paired_t(d).p_value < 0.05 for d in trials])
    assert corrected < 0.13 < 0.3 < plain


def drawn_difference(pairs, replicates: int = 400, seed: int = 0):
    """The difference of two columns' means, by a paired bootstrap."""
    gaps = pairs[:, 0] - pairs[:, 1]
    score = lambda counts: {"gap": counts @ gaps / len(gaps)}  # noqa: E731
    drawn = replicate(score, len(gaps), replicates, seed)["gap"]
    return difference_of(*pairs.mean(axis=0), drawn, len(gaps))


def test_bootstrap_is_scipys():
    pairs = np.random.default_rng(1).exponential(size=(80, 2))
    found, gaps = drawn_difference(pairs, 9999), pairs[:, 0] - pairs[:, 1]
    oracle = stats.bootstrap(
        (gaps,), np.mean, method="percentile", n_resamples=9999, rng=0
    ).confidence_interval
    spread = gaps.std() / np.sqrt(80)
    assert found.low == pytest.approx(oracle.low, abs=0.12 * spread)
    assert found.high == pytest.approx(oracle.high, abs=0.12 * spread)
    assert found.difference == pytest.approx(gaps.mean())


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(0)
    found = [drawn_difference(random.normal([0.3, 0], 1, (60, 2)), seed=i) for i in range(150)]
    assert 0.89 <= np.mean([one.low <= 0.3 <= one.high for one in found]) <= 0.98


@pytest.mark.slow
def test_p_values_of_equals_are_even():
    random = np.random.default_rng(0)
    found = [drawn_difference(random.normal(size=(60, 2)), seed=i).p_value for i in range(150)]
    assert 0.01 <= np.mean(np.array(found) < 0.05) <= 0.1
    assert 0.4 <= np.mean(np.array(found) < 0.5) <= 0.6


def test_p_values_of_few_rows_and_of_nothing():
    # All of 400 resamples point one way, as all do of three rows by a chance of a quarter.
    assert difference_of(1.0, 0.0, np.ones(400), 3).p_value == 0.25
    assert difference_of(1.0, 0.0, np.ones(400), 1).p_value == 1.0
    assert difference_of(1.0, 0.0, np.ones(400), 60).p_value == pytest.approx(2 / 401)
    assert difference_of(0.0, 0.0, np.zeros(400), 60).p_value == 1.0
    assert np.isnan(difference_of(0.0, 0.0, np.array([np.nan]), 5).p_value)
