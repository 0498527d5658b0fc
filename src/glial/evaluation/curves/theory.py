"""Two laws of learning that can be counted: far and near in many dimensions, and enough rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError

Floats = NDArray[np.float64]


def distance_contrast(points: Floats, queries: Floats) -> float:
    """How much farther the farthest point is than the nearest, as a share of the nearest.

    With independent columns it goes to 0 as columns are added: what is near and what is far can
    hardly be told apart, which is the curse of dimensionality for all that goes by distances.

    Args:
        points: Points, [row, column].
        queries: Points that distances are measured from, [query, column].

    Returns:
        The mean over queries of ``(farthest - nearest) / nearest``.

    Raises:
        InputError: If shapes do not match or a query is one of the points.

    Source:
        Beyer, Goldstein, Ramakrishnan and Shaft 1999, doi:10.1007/3-540-49257-7_15.

    Example:
        >>> distance_contrast(np.array([[1.0], [3.0]]), np.array([[0.0]]))
        2.0
    """
    from scipy.spatial.distance import cdist

    if points.ndim != 2 or queries.ndim != 2 or points.shape[1] != queries.shape[1]:
        raise InputError(
            "distances cannot be measured",
            expected="two tables with as many columns each",
            got=f"shapes {points.shape} and {queries.shape}",
        )
    distances = cdist(queries, points)
    nearest = distances.min(axis=1, initial=math.inf)
    if not distances.size or (nearest == 0).any():
        raise InputError("there is no contrast", expected="points, none of them a query", got="0")
    return float((distances.max(axis=1) / nearest - 1).mean())


def pac_rows(num_hypotheses: float, error: float, confidence: float) -> int:
    """Rows from which any hypothesis that fits them all is probably approximately correct.

    Where the true rule is one of finitely many (it is realisable), one that is consistent with so
    many independent rows has an error of at most ``error`` (approximately) with a probability
    of at least ``confidence`` (probably): ``(ln H + ln 1 / (1 - confidence)) / error``.

    Args:
        num_hypotheses: Number of rules that can be learnt, H, at least 1.
        error: The share of wrong answers that is tolerated, between 0 and 1.
        confidence: How probable that is to be kept, between 0 and 1.

    Raises:
        InputError: If a number is out of its range.

    Source:
        Valiant 1984, A theory of the learnable; Blumer et al. 1987, Occam's razor.

    Example:
        >>> pac_rows(1000, error=0.1, confidence=0.95)
        100
    """
    if not (num_hypotheses >= 1 and 0 < error < 1 and 0 < confidence < 1):
        raise InputError(
            "no number of rows follows from these",
            expected="at least one hypothesis, and an error and a confidence between 0 and 1",
            got=f"{num_hypotheses}, {error} and {confidence}",
        )
    return math.ceil((math.log(num_hypotheses) - math.log(1 - confidence)) / error)
