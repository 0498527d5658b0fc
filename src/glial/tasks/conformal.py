"""Sets of classes and intervals of numbers that hold the truth as often as was asked."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from glial.tasks.fitted import Fitted, check_enough
from glial.tasks.metrics import Codes, Floats

ConformalName = Literal["lac", "aps", "raps"]
Share = Annotated[float, Field(gt=0, lt=1)]
PENALTY, FREE_RANKS = 0.01, 5
_ROUNDING = 1e-9  # sums of all probabilities are 1, but for rounding


def rank_of(num_rows: int, coverage: float) -> int:
    """Which of the scores of so many rows, from below, is the level.

    Args:
        num_rows: Number of rows.
        coverage: How often the truth is to be held.

    Returns:
        The smallest whole number that is at least ``(num_rows + 1) * coverage``.

    Source:
        Angelopoulos, Bates (2021), "A gentle introduction to conformal prediction", section 1,
        arXiv 2107.07511.

    Example:
        >>> rank_of(99, 0.9)
        90
    """
    return math.ceil((num_rows + 1) * coverage - _ROUNDING)


def level_of(scores: Floats, coverage: float) -> float:
    """The score that a new row's truth stays at or below with a probability of ``coverage``.

    The rows and the new one must be alike: drawn from the same source, in no order. Over draws of
    n rows without equal scores, the coverage of new rows has the distribution
    Beta(k, n + 1 - k) with k of `rank_of`, whose mean is at least ``coverage``.

    Args:
        scores: How odd each row's truth is, [row].
        coverage: How often a new row's truth is to be held.

    Raises:
        InputError: If there are too few rows for this coverage.

    Source:
        Vovk (2012), "Conditional validity of inductive conformal predictors", arXiv 1209.2673.

    Example:
        >>> level_of(np.arange(1.0, 20.0), 0.9)
        18.0
    """
    needed = math.ceil(coverage / (1 - coverage) - _ROUNDING)
    check_enough(f"task.coverage={coverage:g}", len(scores), needed)
    return float(np.sort(scores)[rank_of(len(scores), coverage) - 1])


class Sets(Fitted):
    """Sets of classes that hold the right one as often as was asked.

    ``lac`` takes all classes whose probability is large enough, which makes the smallest sets;
    ``aps`` the likeliest until their sum is large enough, which makes sets larger where rows are
    hard; ``raps`` is ``aps`` with a penalty on long sets. Sets may be empty.

    Attributes:
        method: Which of them.
        coverage: How often the right class is to be in the set.
        level: What a class's score may reach.

    Source:
        Sadinle, Lei, Wasserman (2019), arXiv 1609.00451 (LAC); Romano, Sesia, Candes (2020), arXiv
        2006.02544 (APS, here without its random part); Angelopoulos, Bates, Malik, Jordan
        (2021), arXiv 2009.14193 (RAPS, lambda 0.01 from the sixth class on).

    Example:
        >>> sets = Sets(method="lac", coverage=0.9, level=0.7)
        >>> sets.hold(np.array([[0.6, 0.3, 0.1]])).tolist()
        [[True, True, False]]
    """

    method: ConformalName
    coverage: Share
    level: float

    @classmethod
    def fit(cls, method: ConformalName, coverage: float, shares: Floats, truth: Codes) -> Sets:
        """The sets of some rows' level.

        Args:
            method: Which sets.
            coverage: How often the right class is to be in the set.
            shares: Probabilities of rows that chose nothing, [row, class].
            truth: Class of each row; -1, a class that training never showed, is in no set.

        Raises:
            InputError: If there are too few rows, or too many of classes never shown.
        """
        scores = _scores(method, shares)[np.arange(len(truth)), truth]
        scores[truth < 0] = np.inf
        level = level_of(scores, coverage)
        if not math.isfinite(level):
            known = scores[np.isfinite(scores)]
            check_enough(f"task.coverage={coverage:g}", len(known), rank_of(len(scores), coverage))
        return cls(method=method, coverage=coverage, level=level)

    def hold(self, shares: Floats) -> NDArray[np.bool_]:
        """Which classes are in the set of each row, [row, class]."""
        return np.asarray(_scores(self.method, shares) <= self.level + _ROUNDING)


def _scores(method: ConformalName, shares: Floats) -> Floats:
    """How odd each class would be, [row, class]."""
    if method == "lac":
        return np.asarray(1 - shares)
    order = np.argsort(-shares, axis=1, kind="stable")
    sums = np.take_along_axis(shares, order, axis=1).cumsum(axis=1)
    if method == "raps":
        sums += PENALTY * np.arange(1 - FREE_RANKS, shares.shape[1] + 1 - FREE_RANKS).clip(0)
    scores = np.empty_like(shares)
    np.put_along_axis(scores, order, sums, axis=1)
    return scores


def set_scores(
    held: NDArray[np.bool_], truth: Codes, weight: Floats | None = None
) -> dict[str, float]:
    """How often sets hold the right class, and how many classes they hold.

    Args:
        held: Which classes are in each row's set, [row, class].
        truth: Class of each row; -1, a class that training never showed, is in no set.
        weight: Weight of each row.

    Example:
        >>> set_scores(np.array([[True, True], [False, True]]), np.array([0, 0]))
        {'coverage': 0.5, 'set_size': 1.5}
    """
    inside = held[np.arange(len(truth)), truth] & (truth >= 0)
    return {
        "coverage": float(np.average(inside, weights=weight)),
        "set_size": float(np.average(held.sum(axis=1), weights=weight)),
    }


class Intervals(Fitted):
    """Intervals around numbers that hold the truth as often as was asked, each output by itself.

    Their half-width is the same for all rows; or, where several members predict, a multiple of the
    members' standard deviation and its mean, so that they are wider where members disagree.

    Attributes:
        coverage: How often the truth is to be inside.
        widths: Half-width of each output, or the multiple.
        floors: What is added to each output's standard deviation; None where it is not used.

    Source:
        Lei, G'Sell, Rinaldo, Tibshirani, Wasserman (2018), algorithm 2 and section 5.2, arXiv
        1604.04173; Papadopoulos, Vovk, Gammerman (2011), doi:10.1613/jair.3198 (what is added).

    Example:
        >>> same = Intervals(coverage=0.9, widths=[2.0])
        >>> low, high = same.ends(np.array([[1.0]]))
        >>> low.tolist(), high.tolist()
        ([[-1.0]], [[3.0]])
    """

    coverage: Share
    widths: list[Annotated[float, Field(ge=0)]] = Field(min_length=1)
    floors: list[Annotated[float, Field(gt=0)]] | None = None

    @classmethod
    def fit(
        cls, coverage: float, values: Floats, truth: Floats, spread: Floats | None = None
    ) -> Intervals:
        """The intervals of some rows' errors.

        Args:
            coverage: How often the truth is to be inside.
            values: Predicted numbers of rows that chose nothing, [row, output].
            truth: The right ones.
            spread: Standard deviation over members of each number, where there are several.

        Raises:
            InputError: If there are too few rows.
        """
        errors, floors = np.abs(values - truth), None
        if spread is not None and (spread.mean(axis=0) > 0).all():
            floors = spread.mean(axis=0).tolist()
            errors = errors / (spread + np.array(floors))
        widths = [level_of(column, coverage) for column in errors.T]
        return cls(coverage=coverage, widths=widths, floors=floors)

    def ends(self, values: Floats, spread: Floats | None = None) -> tuple[Floats, Floats]:
        """The lower and upper ends of each row's intervals, [row, output] both."""
        widths = np.broadcast_to(np.array(self.widths), values.shape)
        if self.floors is not None:
            widths = widths * (np.array(self.floors) + (0 if spread is None else spread))
        return values - widths, values + widths


def interval_scores(
    low: Floats, high: Floats, truth: Floats, weight: Floats | None = None
) -> dict[str, float]:
    """How often intervals hold the truth, and how wide they are; the mean over outputs.

    Args:
        low: Lower ends, [row, output].
        high: Upper ends.
        truth: The right numbers.
        weight: Weight of each row.

    Example:
        >>> interval_scores(np.array([[0.0]]), np.array([[2.0]]), np.array([[3.0]]))
        {'coverage': 0.0, 'interval_width': 2.0}
    """
    inside = ((low <= truth) & (truth <= high)).mean(axis=1)
    return {
        "coverage": float(np.average(inside, weights=weight)),
        "interval_width": float(np.average((high - low).mean(axis=1), weights=weight)),
    }
