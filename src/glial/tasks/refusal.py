"""Which rows are not answered: those where the network is not sure enough."""

from __future__ import annotations

import logging
import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from glial.tasks.fitted import Fitted, check_enough
from glial.tasks.metrics import Floats

logger = logging.getLogger(__name__)

CONFIDENCE = 0.95
NEVER = 2.0


class Refusal(Fitted):
    """The least confidence at which a row is answered.

    A row's confidence is the probability of the class that it is given.

    Attributes:
        threshold: The least confidence; above 1 no row is answered.
        answered: Share of the fitted rows that are answered.
        bound: What the error rate of answered rows stays below, with a confidence of 0.95; None
            where a share of rows was asked for and no risk.

    Example:
        >>> Refusal(threshold=0.8, answered=0.5).refused(np.array([0.7, 0.8])).tolist()
        [True, False]
    """

    threshold: Annotated[float, Field(ge=0, le=NEVER)]
    answered: Annotated[float, Field(ge=0, le=1)]
    bound: Annotated[float, Field(ge=0, le=1)] | None = None

    @classmethod
    def fit(
        cls,
        confidence: Floats,
        wrong: NDArray[np.bool_],
        *,
        risk: float | None = None,
        share: float | None = None,
    ) -> Refusal:
        """The threshold of some rows.

        Args:
            confidence: Confidence of rows that chose nothing, [row].
            wrong: Whether each would be answered wrongly.
            risk: The error rate that answered rows may have: as few as possible are refused.
            share: The share of rows to be refused, or, with a risk, the largest such share.

        Raises:
            InputError: If there are too few rows.
        """
        check_enough("the refusal", len(confidence))
        most = None if share is None else _of_share(confidence, share)
        if risk is None and most is not None:
            return most
        found = _of_risk(confidence, wrong, 1.0 if risk is None else risk)
        if most is None or found.threshold <= most.threshold:
            return found
        bound = upper_bound(wrong[confidence >= most.threshold], CONFIDENCE)
        logger.warning(
            "task.risk=%g would refuse more rows than task.refuse=%g: so many are refused, "
            "and the error rate of the others stays below %.3g",
            risk,
            share,
            bound,
        )
        return most.model_copy(update={"bound": bound})

    def refused(self, confidence: Floats) -> NDArray[np.bool_]:
        """Which rows are not answered."""
        return np.asarray(confidence < self.threshold)


def upper_bound(wrong: NDArray[np.bool_], confidence: float) -> float:
    """What an error rate stays below with so much confidence, given errors of drawn rows.

    Args:
        wrong: Whether each row is wrong; 1 is the bound of no rows.
        confidence: How sure the bound is to be, in (0, 1).

    Source:
        Clopper, Pearson (1934), doi:10.1093/biomet/26.4.404: the exact binomial bound.

    Example:
        >>> round(upper_bound(np.zeros(100, dtype=bool), 0.95), 4)
        0.0295
    """
    from scipy.stats import beta

    errors, total = int(wrong.sum()), len(wrong)
    return 1.0 if errors == total else float(beta.ppf(confidence, errors + 1, total - errors))


def _of_risk(confidence: Floats, wrong: NDArray[np.bool_], risk: float) -> Refusal:
    """The lowest of a few thresholds whose bound is at most a risk, found by halving.

    All thresholds that are tried share the doubt, so that their bounds hold together.

    Source:
        Geifman, El-Yaniv (2017), "Selective classification for deep neural networks",
        algorithm 2, arXiv 1705.08500.
    """
    ordered, total = np.sort(confidence), len(confidence)
    tries = math.ceil(math.log2(total + 1))
    sure = 1 - (1 - CONFIDENCE) / tries
    found = Refusal(threshold=NEVER, answered=0.0, bound=0.0)
    low, high = 0, total - 1
    while low <= high:
        middle = (low + high) // 2
        threshold = float(ordered[middle])
        answered = confidence >= threshold
        bound = upper_bound(wrong[answered], sure)
        if bound <= risk:
            found = Refusal(threshold=threshold, answered=float(answered.mean()), bound=bound)
            high = middle - 1
        else:
            low = middle + 1
    if found.threshold == NEVER:
        logger.warning(
            "no threshold keeps the error rate of answered rows below task.risk=%g with a "
            "confidence of %g on %d rows: every row is refused",
            risk,
            CONFIDENCE,
            total,
        )
    return found


def _of_share(confidence: Floats, share: float) -> Refusal:
    """The threshold below which at most a share of the rows lies."""
    threshold = float(np.sort(confidence)[min(len(confidence) - 1, int(share * len(confidence)))])
    return Refusal(threshold=threshold, answered=float((confidence >= threshold).mean()))


def refusal_scores(
    refused: NDArray[np.bool_], wrong: NDArray[np.bool_], weight: Floats | None = None
) -> dict[str, float]:
    """The share of rows that are refused, and the error rate of the others.

    Args:
        refused: Which rows are not answered.
        wrong: Which rows would be answered wrongly.
        weight: Weight of each row.

    Returns:
        ``refused`` and ``selective_risk``, which is NaN where every row is refused.

    Example:
        >>> refusal_scores(np.array([True, False]), np.array([True, False]))
        {'refused': 0.5, 'selective_risk': 0.0}
    """
    weight = np.ones(len(refused)) if weight is None else weight
    answered = weight[~refused].sum()
    risk = float(weight[~refused & wrong].sum() / answered) if answered > 0 else math.nan
    return {"refused": float(np.average(refused, weights=weight)), "selective_risk": risk}
