"""Thresholds of two classes that differ from group to group, so that rates are alike."""

from __future__ import annotations

import logging
from typing import Annotated

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from glial.core.errors import InputError
from glial.data.sensitive import FairnessSettings, Groups
from glial.tasks.metrics import Codes, Floats

logger = logging.getLogger(__name__)

NOBODY = 2.0  # the threshold that no probability reaches
FEW = 30
_SAME = 1e-9
_RATES: dict[str, tuple[int, ...]] = {
    "demographic_parity": (0,),
    "equal_opportunity": (1,),
    "predictive_equality": (2,),
    "equalized_odds": (1, 2),
}


class Mixture(BaseModel):
    """Thresholds of one group, and how often each is taken.

    Attributes:
        thresholds: The least probability at which the positive class is predicted.
        shares: How often, in the same order; they sum to 1.

    Example:
        >>> Mixture(thresholds=[0.4, 0.6], shares=[0.5, 0.5]).chance(np.array([0.3, 0.5, 0.7]))
        array([0. , 0.5, 1. ])
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    thresholds: list[Annotated[float, Field(ge=0, le=NOBODY)]] = Field(min_length=1)
    shares: list[Annotated[float, Field(ge=0, le=1)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Mixture:
        if len(self.shares) != len(self.thresholds) or abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError("a share for each threshold, which sum to 1")
        return self

    def chance(self, positive: Floats) -> Floats:
        """How likely the positive class is predicted at each of some probabilities of it."""
        reached = positive[:, None] >= np.array(self.thresholds)
        return np.asarray(reached @ np.array(self.shares))


class GroupThresholds(BaseModel):
    """What decides between two classes, group by group.

    Attributes:
        groups: The groups.
        settings: Which groups, what is alike between them, and whether thresholds are mixed.
        mixtures: What decides in each group.
        other: The one threshold for rows of a group that was not there.

    Source:
        Hardt, Price, Srebro (2016), "Equality of opportunity in supervised learning", arXiv
        1610.02413, section 3.2.

    Example:
        >>> frame = pl.DataFrame({"sex": ["f", "f", "m", "m"]})
        >>> positive, truth = np.array([0.2, 0.4, 0.6, 0.8]), np.array([0, 1, 0, 1])
        >>> settings = FairnessSettings(group="sex", how="thresholds")
        >>> fitted = GroupThresholds.fit(settings, positive, truth, frame)
        >>> fitted.decide(positive, frame).tolist()
        [0, 1, 0, 1]
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    groups: Groups
    settings: FairnessSettings
    mixtures: list[Mixture]
    other: Annotated[float, Field(ge=0, le=NOBODY)]

    @model_validator(mode="after")
    def _one_each(self) -> GroupThresholds:
        if len(self.mixtures) != len(self.groups.members):
            raise ValueError("thresholds for each group")
        return self

    @classmethod
    def fit(
        cls,
        settings: FairnessSettings,
        positive: Floats,
        truth: Codes,
        frame: pl.DataFrame,
        weight: Floats | None = None,
    ) -> GroupThresholds:
        """The thresholds at which most rows are right among those by which groups are alike.

        Args:
            settings: Which groups, and what is to be alike.
            positive: Probability of the positive class, [row].
            truth: 1 where it is true, else 0, [row].
            frame: The rows, with the sensitive columns.
            weight: Weight of each row.

        Raises:
            InputError: If a column is missing, or a group lacks the rows of a class that the
                criterion is about.
        """
        groups = Groups.fit(frame, settings.columns, bins=settings.bins)
        codes = groups.codes(frame)
        weight = np.ones(len(truth)) if weight is None else weight
        curves = [
            _Curve.of(positive[codes == code], truth[codes == code], weight[codes == code])
            for code in range(len(groups.members))
        ]
        rates = _RATES[settings.criterion]
        for name, curve, rows in zip(groups.names, curves, np.bincount(codes), strict=True):
            _check(name, curve, rates, settings.criterion, int(rows))
        shares, alike = _mixed(curves, rates)
        mixtures = []
        for curve, mix in zip(curves, shares, strict=True):
            taken = np.flatnonzero(mix > _SAME)
            if not settings.randomized:
                distance = np.abs(curve.rates[:, rates] - alike).max(axis=1)
                taken = np.array([_best(distance, curve)])
            parts = mix[taken] / mix[taken].sum() if settings.randomized else np.ones(1)
            mixtures.append(Mixture(thresholds=curve.cuts[taken].tolist(), shares=parts.tolist()))
        whole = _Curve.of(positive, truth, weight)
        fitted = cls(
            groups=groups,
            settings=settings,
            mixtures=mixtures,
            other=float(whole.cuts[whole.right.argmax()]),
        )
        fitted._say(curves, rates)
        return fitted

    def _say(self, curves: list[_Curve], rates: tuple[int, ...]) -> None:
        """Tell the thresholds, and how alike the groups are where they were fitted."""
        reached = np.array(
            [
                curve.at(mixture)[list(rates)]
                for curve, mixture in zip(curves, self.mixtures, strict=True)
            ]
        )
        told = [
            f"{', '.join(name.values())}: {' or '.join(f'{t:.3g}' for t in mixture.thresholds)}"
            for name, mixture in zip(self.groups.names, self.mixtures, strict=True)
        ]
        logger.info(
            "thresholds of groups (%s), fitted for %s: they differ by %.2g on the rows that they "
            "were fitted on%s",
            "; ".join(told),
            self.settings.criterion.replace("_", " "),
            np.ptp(reached, axis=0).max(),
            "" if self.settings.randomized else "; data.fairness.randomized=true makes that 0",
        )

    def decide(self, positive: Floats, frame: pl.DataFrame | None) -> Codes:
        """The class of each row: 1 for the positive one.

        Where thresholds are mixed, a number is drawn for each row from its probability and its
        group, so that a row gets the same answer wherever it stands.

        Args:
            positive: Probability of the positive class, [row].
            frame: The rows, with the sensitive columns.

        Raises:
            InputError: If they are not at hand, or lack a column.
        """
        names = [column.name for column in self.groups.columns]
        lacking = names if frame is None else [name for name in names if name not in frame.columns]
        if frame is None or lacking:
            raise InputError(
                "this run decides by groups, whose columns are not in the data",
                expected=f"the columns {', '.join(names)}",
                got=f"rows without {', '.join(lacking)}",
                do="give these columns too: they decide, though the network does not see them",
            )
        codes = self.groups.codes(frame)
        chance = (positive >= self.other).astype(np.float64)
        for code, mixture in enumerate(self.mixtures):
            chance[codes == code] = mixture.chance(positive[codes == code])
        unknown = int((codes < 0).sum())
        if unknown:
            logger.warning(
                "%d rows are of groups that were not there when thresholds were fitted: they get "
                "the threshold %.3g, which is the best for all rows",
                unknown,
                self.other,
            )
        return (_drawn(positive, codes) < chance).astype(np.int64)


class _Curve:
    """What each threshold does in one group.

    Attributes:
        cuts: The thresholds, rising, [cut].
        rates: Selection rate, true and false positive rate at each, [cut, 3].
        right: Weight of the rows that are right at each, [cut].
    """

    def __init__(self, cuts: Floats, rates: Floats, right: Floats) -> None:
        self.cuts, self.rates, self.right = cuts, rates, right

    @classmethod
    def of(cls, positive: Floats, truth: Codes, weight: Floats) -> _Curve:
        values, places = np.unique(positive, return_inverse=True)
        yes = np.bincount(places, weight * (truth == 1), len(values))
        no = np.bincount(places, weight * (truth != 1), len(values))
        # At the k-th cut the rows from the k-th value on are chosen; at the last, none.
        hits, alarms = (np.append(np.cumsum(part[::-1])[::-1], 0.0) for part in (yes, no))
        edges = np.concatenate([[0.0], values, [NOBODY]])
        cuts = np.append((edges[:-2] + edges[1:-1]) / 2, NOBODY)
        rates = np.stack(
            [
                (hits + alarms) / (yes.sum() + no.sum()),
                hits / yes.sum() if yes.sum() else np.full(len(hits), np.nan),
                alarms / no.sum() if no.sum() else np.full(len(hits), np.nan),
            ],
            axis=1,
        )
        return cls(cuts, rates, hits + no.sum() - alarms)

    def at(self, mixture: Mixture) -> Floats:
        """The rates of mixed thresholds, [3]."""
        places = np.searchsorted(self.cuts, mixture.thresholds)
        return np.asarray(np.array(mixture.shares) @ self.rates[places])


def _check(
    name: dict[str, str], curve: _Curve, rates: tuple[int, ...], criterion: str, rows: int
) -> None:
    """Refuse a group whose rates cannot be known; say where they are known badly."""
    told = ", ".join(f"{column}={value}" for column, value in name.items())
    if np.isnan(curve.rates[:, rates]).any():
        raise InputError(
            f"the group {told} lacks a class among the rows that thresholds are fitted on",
            expected=f"rows of the class that {criterion} is about",
            got=f"{rows} rows without any",
            do="keep more rows for validation with data.split.val, or join groups",
        )
    if rows < FEW:
        logger.warning("the thresholds of the group %s are fitted on %d rows alone", told, rows)


def _mixed(curves: list[_Curve], rates: tuple[int, ...]) -> tuple[list[Floats], Floats]:
    """How often each group takes each of its thresholds, and the rates that all then have.

    A linear program: most weight of right rows, where each group's shares sum to 1 and its rates
    are those of the first.
    """
    from scipy.optimize import linprog

    sizes = [len(curve.cuts) for curve in curves]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    equal = np.zeros((len(curves) + len(rates) * (len(curves) - 1), starts[-1]))
    to = np.zeros(len(equal))
    for number, curve in enumerate(curves):
        equal[number, starts[number] : starts[number + 1]] = 1
        to[number] = 1
        for place, rate in enumerate(rates):
            if number == 0:
                continue
            row = len(curves) + (number - 1) * len(rates) + place
            equal[row, : sizes[0]] = curves[0].rates[:, rate]
            equal[row, starts[number] : starts[number + 1]] = -curve.rates[:, rate]
    right = np.concatenate([curve.right for curve in curves])
    found = linprog(-right / right.max(), A_eq=equal, b_eq=to, method="highs-ds")
    shares = [found.x[starts[n] : starts[n + 1]] for n in range(len(curves))]
    return shares, np.asarray(shares[0] @ curves[0].rates[:, rates])


def _best(distance: Floats, curve: _Curve) -> int:
    """Of the thresholds that come nearest the one at which most rows are right."""
    near = np.flatnonzero(distance <= distance.min() + _SAME)
    return int(near[curve.right[near].argmax()])


def _drawn(positive: Floats, codes: NDArray[np.int64]) -> Floats:
    """A number in [0, 1) for each row that hangs on its probability and its group alone.

    Probabilities are taken to six digits, so that how they were rounded does not matter; their
    digits are mixed by a bijection of 64 bits.

    Source:
        Steele, Lea, Flood (2014), "Fast splittable pseudorandom number generators",
        doi:10.1145/2660193.2660195, figure 17.
    """
    bits = np.rint(positive * 1e6).astype(np.uint64) + (codes + 2).astype(np.uint64) * np.uint64(
        0x9E3779B97F4A7C15
    )
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    bits ^= bits >> np.uint64(31)
    return np.asarray((bits >> np.uint64(11)).astype(np.float64) / 2**53)
