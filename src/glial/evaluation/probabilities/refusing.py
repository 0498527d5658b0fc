"""What is gained by not answering where a network is unsure: risk against coverage."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from glial.evaluation.metrics.bootstrap import Score, intervals, replicate
from glial.evaluation.metrics.weighted import Codes, Floats

COVERAGES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
POINTS = 100


class RiskCoverage:
    """The risk of the surest rows, by how many of all rows they are.

    Args:
        sureness: The larger, the sooner a row is answered, [row].
        losses: What each row costs where it is answered, [row]. Rows that are equally sure share
            their mean, as nothing says which of them is answered first.
        weight: Weight of each row.

    Example:
        >>> curve = RiskCoverage(np.array([0.9, 0.8, 0.6]), np.array([0.0, 0.0, 1.0]))
        >>> curve.risks(np.ones((1, 3)))[1].round(2).tolist()
        [[0.0, 0.0, 0.33]]
    """

    def __init__(self, sureness: Floats, losses: Floats, weight: Floats | None = None) -> None:
        weight = np.ones(len(losses)) if weight is None else weight
        self.order = np.argsort(-sureness, kind="stable")
        _, ties = np.unique(-sureness, return_inverse=True)
        held = np.bincount(ties, weight)
        shared = np.bincount(ties, weight * losses) / np.where(held > 0, held, 1)
        self.losses = shared[ties][self.order]
        self.ideal = np.argsort(losses, kind="stable")
        self.ideal_losses = losses[self.ideal]

    def risks(self, weights: Floats) -> tuple[Floats, Floats]:
        """Coverage and risk as one row after the other is answered, each [replicate, row]."""
        return _risks(weights[:, self.order], self.losses)

    def areas(self, weights: Floats) -> tuple[Floats, Floats]:
        """The area under the curve, and what it exceeds the best order's by, [replicate]."""
        area = _area(weights[:, self.order], self.losses)
        return area, area - _area(weights[:, self.ideal], self.ideal_losses)


def _risks(weights: Floats, losses: Floats) -> tuple[Floats, Floats]:
    covered = weights.cumsum(axis=1)
    lost = (weights * losses).cumsum(axis=1)
    risks = np.divide(lost, covered, out=np.zeros_like(lost), where=covered > 0)
    return covered / covered[:, -1:], risks


def _area(weights: Floats, losses: Floats) -> Floats:
    """The mean risk over the rows, each as it joins those that are answered."""
    _, risks = _risks(weights, losses)
    return np.asarray((weights * risks).sum(axis=1) / weights.sum(axis=1))


def refusal_of(
    sureness: Floats,
    losses: Floats,
    *,
    weight: Floats | None = None,
    clusters: Codes | None = None,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """How risk falls as unsure rows are not answered.

    Args:
        sureness: How sure a network is of each row, [row]: a probability, or minus a spread.
        losses: What each row costs: 1 for a wrong class, or the size of an error.
        weight: Weight of each row.
        clusters: What is drawn together, as for `glial.evaluation.bootstrap_weights`.
        confidence: Share of resamples that an interval holds.
        replicates: Number of resamples; 0 for no intervals.
        seed: Of the resamples.

    Returns:
        ``measures`` and their ``intervals``: ``aurc``, the area under the risk-coverage curve;
        ``excess_aurc``, what of it another order of the rows would save; ``rank_correlation``
        (Spearman's) of unsureness and loss; ``risk_at_<coverage>``, the mean loss of that share
        of the rows. ``curve``: ``coverage`` and ``risk``, of at most 100 points.

    Source:
        Geifman, El-Yaniv (2017), arXiv 1705.08500, section 2 (the curve); Geifman, Uziel, El-Yaniv
        (2019), arXiv 1805.08206, section 3 (its area, and the excess).

    Example:
        >>> found = refusal_of(np.array([0.9, 0.8, 0.6]), np.array([0.0, 0.0, 1.0]), replicates=0)
        >>> round(found["measures"]["aurc"], 3), round(found["measures"]["excess_aurc"], 3)
        (0.111, 0.0)
    """
    weight = np.ones(len(losses)) if weight is None else weight
    score = _measures(sureness, losses, weight)
    with np.errstate(invalid="ignore"):
        values = {name: float(each[0]) for name, each in score(weight[None]).items()}
    drawn = replicate(score, len(losses), replicates, seed, clusters=clusters, weight=weight)
    coverage, risk = (
        each[0] for each in RiskCoverage(sureness, losses, weight).risks(weight[None])
    )
    places = np.unique(np.linspace(0, len(losses) - 1, POINTS).round().astype(np.int64))
    return {
        "measures": values,
        "intervals": intervals(drawn, confidence),
        "curve": {"coverage": coverage[places].tolist(), "risk": risk[places].tolist()},
    }


def _measures(sureness: Floats, losses: Floats, weight: Floats) -> Score:
    curve = RiskCoverage(sureness, losses, weight)

    def score(weights: Floats) -> dict[str, Floats]:
        area, excess = curve.areas(weights)
        coverage, risks = curve.risks(weights)
        at = {}
        for share in COVERAGES:
            place = (coverage < share - 1e-12).sum(axis=1).clip(max=len(losses) - 1)
            at[f"risk_at_{share:g}"] = risks[np.arange(len(weights)), place]
        found = {"aurc": area, "excess_aurc": excess}
        return found | {"rank_correlation": _ranked(-sureness, losses, weights)} | at

    return score


def _ranked(first: Floats, second: Floats, weights: Floats) -> Floats:
    """Spearman's correlation: that of the mean ranks, each row counted as often as it weighs."""
    ranks = [_mid_ranks(values, weights) for values in (first, second)]
    total = weights.sum(axis=1, keepdims=True)
    centred = [each - (weights * each).sum(axis=1, keepdims=True) / total for each in ranks]
    products = (weights * centred[0] * centred[1]).sum(axis=1)
    spreads = [(weights * each**2).sum(axis=1) for each in centred]
    size = np.sqrt(spreads[0] * spreads[1])
    nothing = np.full(len(weights), math.nan)
    return np.asarray(np.divide(products, size, out=nothing, where=size > 0))


def _mid_ranks(values: Floats, weights: Floats) -> Floats:
    """Weight below each row and half of that of equal rows, [replicate, row]."""
    order = np.argsort(values, kind="stable")
    _, ties = np.unique(values, return_inverse=True)
    firsts = np.flatnonzero(np.diff(ties[order], prepend=-1))
    held = np.add.reduceat(weights[:, order], firsts, axis=1)
    return np.asarray((held.cumsum(axis=1) - held / 2)[:, ties])
