"""Metrics as functions of many weightings of the same rows at once.

Each takes weights [replicate, row] and gives a number a replicate; with one replicate of the rows'
own weights it is the metric itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
SAME = 1e-12


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """The mean of numbers.

    Args:
        values: [row] or [row, column].
        weights: [replicate, row].

    Returns:
        [replicate] or [replicate, column]; NaN where nothing weighs.

    Example:
        >>> weighted_mean(np.array([1.0, 4.0]), np.array([[1.0, 1.0], [2.0, 1.0]]))
        array([2.5, 2. ])
    """
    total = weights.sum(axis=1)
    return np.asarray(((weights @ values).T / total).T)


def mean_of_known(values: Floats, weights: Floats) -> Floats:
    """The mean of the numbers that are not NaN.

    Args:
        values: [row], or several a row, [row, ...].
        weights: [replicate, row].

    Returns:
        [replicate]; NaN where nothing known weighs.

    Example:
        >>> mean_of_known(np.array([1.0, 4.0, np.nan]), np.array([[1.0, 1.0, 5.0]]))
        array([2.5])
    """
    flat = values.reshape(len(values), -1)
    known = ~np.isnan(flat)
    sums, held = weights @ np.where(known, flat, 0).sum(axis=1), weights @ known.sum(axis=1)
    return np.asarray(np.divide(sums, held, out=np.full(len(sums), np.nan), where=held > 0))


def weighted_sums(
    codes: Codes,
    size: int,
    weights: Floats,
    rows: Codes | None = None,
    values: Floats | None = None,
) -> Floats:
    """The weight of the rows of each code, or the weighed sum of their numbers.

    Args:
        codes: Code of each row, [row], from 0 to below ``size``.
        size: How many codes there are.
        weights: [replicate, row].
        rows: The row of each code, where a row may have several codes or none.
        values: A number for each code, which is weighed and summed.

    Returns:
        [replicate, code].

    Example:
        >>> weighted_sums(np.array([0, 2, 2]), 3, np.array([[1.0, 2.0, 3.0]]))
        array([[1., 0., 5.]])
    """
    rows = np.arange(len(codes)) if rows is None else rows
    shape = (size, weights.shape[1])
    values = np.ones(len(codes)) if values is None else values
    table = sparse.csr_array((values, (codes, rows)), shape=shape)
    return np.ascontiguousarray((table @ weights.T).T)


def weighted_median(values: Floats, weights: Floats) -> Floats:
    """The median: the middle of the two ends of the stretch with half the weight on each side.

    Args:
        values: [row].
        weights: [replicate, row].

    Returns:
        [replicate]; NaN where nothing weighs.

    Example:
        >>> weighted_median(np.array([5.0, 1.0, 2.0]), np.array([[1.0, 1, 1], [2, 1, 1]]))
        array([2. , 3.5])
    """
    order = np.argsort(values)
    below = weights[:, order].cumsum(axis=1)
    total = below[:, -1:]
    last = len(values) - 1
    ends = [(below < half).sum(axis=1) for half in (total * (0.5 - SAME), total * (0.5 + SAME))]
    low, high = (values[order][np.minimum(end, last)] for end in ends)
    return np.where(total[:, 0] > 0, (low + high) / 2, np.nan)


@dataclass(frozen=True)
class Ranking:
    """Rows in falling order of a score, for the areas under the curves of a yes-or-no question.

    Attributes:
        order: The rows, the highest score first.
        ends: Last place of each run of equal scores.
        positive: Whether the answer is yes, by place.

    Example:
        >>> ranking = Ranking.of(np.array([False, True]), np.array([0.2, 0.7]))
        >>> ranking.areas(np.ones((1, 2)))
        (array([1.]), array([1.]))
    """

    order: Codes
    ends: Codes
    positive: Flags

    @classmethod
    def of(cls, positive: Flags, score: Floats) -> Ranking:
        """The ranking of rows by a score.

        Args:
            positive: Whether the answer is yes, [row].
            score: The higher, the likelier a yes, [row].
        """
        order = np.argsort(-score, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
        return cls(order, ends, positive[order])

    def areas(self, weights: Floats) -> tuple[Floats, Floats]:
        """The areas under the ROC curve and, by steps, under the precision-recall curve.

        Args:
            weights: [replicate, row].

        Returns:
            Each [replicate]; NaN where yes has no weight, the first also where no has none.
        """
        ranked = weights[:, self.order]
        both = ranked.cumsum(axis=1)[:, self.ends]
        ranked *= self.positive
        hits = ranked.cumsum(axis=1)[:, self.ends]
        total_hits, total = hits[:, -1:], both[:, -1:].copy()
        gained = np.diff(hits, axis=1, prepend=0)
        precision = np.divide(hits, both, out=np.zeros_like(hits), where=both > 0)
        average = (gained * precision).sum(axis=1) / total_hits[:, 0]
        misses = np.subtract(both, hits, out=both)
        # A pair counts where the positive row stands above the other, and half where they tie.
        beaten = total - total_hits - misses + np.diff(misses, axis=1, prepend=0) / 2
        pairs = total_hits[:, 0] * (total - total_hits)[:, 0]
        area = (gained * beaten).sum(axis=1) / pairs
        area[pairs <= 0] = np.nan
        average[total_hits[:, 0] <= 0] = np.nan
        return area, average
