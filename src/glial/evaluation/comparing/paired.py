"""Tests of two networks on the same rows, or on the same folds: is one really better?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.evaluation.metrics.bootstrap import interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tested:
    """A test of whether two networks are equally good.

    Attributes:
        statistic: What was computed.
        p_value: How probable a statistic as far out is where they are equally good.

    Example:
        >>> Tested(2.0, 0.05).to_dict()
        {'statistic': 2.0, 'p_value': 0.05}
    """

    statistic: float
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two networks' right and wrong answers to the same rows.

    Attributes:
        only_first: Rows that the first alone gets right.
        only_second: Rows that the second alone gets right.
        exact: p-value by the binomial distribution.
        mid_p: The same with half of the probability of what was seen: less timid.
        chi2: The approximation by chi-square, with continuity correction.

    Example:
        >>> McNemar(0, 0, 1.0, 1.0, Tested(0.0, 1.0)).to_dict()["exact"]
        1.0
    """

    only_first: int
    only_second: int
    exact: float
    mid_p: float
    chi2: Tested

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Whether two networks are right equally often, by the rows of which one alone is right.

    Args:
        first: Whether the first network is right, [row].
        second: Whether the second is, for the same rows.

    Returns:
        The test; where no row tells the two apart every p-value is 1.

    Source:
        McNemar 1947; Edwards 1948 (continuity); Fagerland, Lydersen and Laake 2013 (mid-p).

    Example:
        >>> found = mcnemar(np.array([True] * 5), np.array([False] * 5))
        >>> found.only_first, found.exact, round(found.mid_p, 6)
        (5, 0.0625, 0.03125)
    """
    from scipy.stats import binom, binomtest, chi2

    one, two = int((first & ~second).sum()), int((second & ~first).sum())
    total = one + two
    if total == 0:
        return McNemar(0, 0, 1.0, 1.0, Tested(0.0, 1.0))
    least = min(one, two)
    mid = 2 * binom.cdf(least, total, 0.5) - binom.pmf(least, total, 0.5)
    statistic = (abs(one - two) - 1) ** 2 / total
    return McNemar(
        one,
        two,
        float(binomtest(least, total).pvalue),
        min(1.0, float(mid)),
        Tested(statistic, float(chi2.sf(statistic, 1))),
    )


def paired_t(differences: Floats) -> Tested:
    """Student's t test of whether differences, row by row, have the mean 0.

    Args:
        differences: The first network's loss less the second's, [row].

    Source:
        Student 1908, The probable error of a mean.

    Example:
        >>> round(paired_t(np.array([1.0, 2.0, 3.0])).statistic, 6)
        3.464102
    """
    return _t(differences, 1 / max(1, len(differences)))


def corrected_resampled_t(differences: Sequence[float] | Floats, test_share: float) -> Tested:
    """The t test of scores of several trainings whose training rows overlap.

    Folds and repeated splits share most of their training rows, so that their scores are not
    independent, and the plain t test finds differences where there are none. The variance of the
    mean is taken for ``1 / n + test_share / (1 - test_share)`` times the scores' variance
    instead of ``1 / n`` times.

    Args:
        differences: The first network's score less the second's on each of the n splits.
        test_share: Share of the rows that each was tested on, between 0 and 1; it was trained
            on the others. Of k folds it is 1 / k.

    Raises:
        InputError: If the share is not between 0 and 1, or there are fewer than two differences
            or one that is not finite.

    Source:
        Nadeau and Bengio 2003, Inference for the generalization error, equation 10 and
        section 4.2.

    Example:
        >>> found = corrected_resampled_t([0.01, 0.03, 0.02, 0.02], 0.25)
        >>> round(found.statistic, 4), round(found.p_value, 4)
        (3.2071, 0.0491)
    """
    values = np.asarray(differences, dtype=np.float64)
    if not 0 < test_share < 1:
        raise InputError(
            "test_share is no share",
            expected="a number between 0 and 1, such as 0.1 for ten folds",
            got=str(test_share),
        )
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise InputError(
            "these differences cannot be tested",
            expected="a finite difference for each of two splits or more",
            got=str(values.tolist()),
        )
    return _t(values, 1 / len(values) + test_share / (1 - test_share))


def _t(differences: Floats, factor: float) -> Tested:
    """The t test with a variance of the mean that is so many times that of the differences."""
    from scipy.stats import t

    if len(differences) < 2:
        return Tested(math.nan, math.nan)
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) * math.sqrt(factor)
    if error == 0:
        return Tested(0.0, 1.0) if mean == 0 else Tested(math.copysign(math.inf, mean), 0.0)
    statistic = mean / error
    return Tested(statistic, 2 * float(t.sf(abs(statistic), len(differences) - 1)))


def signed_rank(differences: Floats) -> Tested:
    """Wilcoxon's signed rank test: whether differences lie evenly around 0; no bell is assumed.

    Args:
        differences: The first network's loss less the second's, [row].

    Returns:
        The smaller sum of ranks, and the p-value; 1 where nothing differs.

    Source:
        Wilcoxon 1945, Individual comparisons by ranking methods.

    Example:
        >>> signed_rank(np.array([1.0, 2.0, 3.0, 4.0, -0.5])).statistic
        1.0
    """
    from scipy.stats import wilcoxon

    if not differences.any():
        return Tested(0.0, 1.0)
    found = wilcoxon(differences)
    return Tested(float(found.statistic), float(found.pvalue))


@dataclass(frozen=True)
class Difference:
    """By how much two networks differ on a metric.

    Attributes:
        first: The first network's metric.
        second: The second's.
        difference: The first less the second.
        low: Lower end of the difference's interval.
        high: Upper end.
        p_value: Of the difference being 0, two-sided.

    Example:
        >>> Difference(0.9, 0.8, 0.1, 0.02, 0.18, 0.01).difference
        0.1
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


def difference_of(
    first: float, second: float, drawn: Floats, num_rows: int, *, confidence: float = 0.95
) -> Difference:
    """A difference with its interval, from what it was in resamples of the rows.

    Args:
        first: The first network's metric on all rows.
        second: The second's.
        drawn: The first's less the second's on each resample, [replicate].
        num_rows: Number of rows that were resampled.
        confidence: Share of the resamples that lie in the interval.

    Returns:
        The difference. Its p-value is twice the share of resamples on the other side of 0 (or
        on 0), the sample itself counted among them, so that it is never 0; and no less than
        that of rows which all point one way, 2 / 2^rows.

    Source:
        Efron and Tibshirani 1993, An introduction to the bootstrap, sections 13.3 and 15.4.

    Example:
        >>> difference_of(2.0, 1.0, np.array([0.5, 1.0, 1.5]), 10).p_value
        0.5
        >>> difference_of(2.0, 1.0, np.ones(1000), 3).p_value
        0.25
    """
    low, high = interval(drawn, confidence)
    if math.isnan(low):
        return Difference(first, second, first - second, low, high, math.nan)
    drawn = drawn[~np.isnan(drawn)]
    beyond = 1 + min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p_value = max(2 * beyond / (len(drawn) + 1), 2.0 ** (1 - num_rows))
    return Difference(first, second, first - second, low, high, min(1.0, p_value))
