"""Groups side by side: each one's measures and the gaps between them, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.core.seeds import derive_seed, numpy_generator
from glial.evaluation.fairness.rates import Flags, Floats, Measures, gaps_of
from glial.evaluation.fairness.sensitive import Grouping
from glial.evaluation.metrics.bootstrap import interval, weight_blocks

MIN_ROWS = 30
ERROR_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Figure:
    """One measure of one group.

    Attributes:
        value: The measure; NaN where it has no rows.
        low: Lower end of its interval; NaN where there are too few rows to say.
        high: Upper end.
        rows: The rows that it is a mean over.
        enough: Whether these are enough for the group to be compared with others.

    Example:
        >>> Figure(0.5, 0.4, 0.6, 90, True).value
        0.5
    """

    value: float
    low: float
    high: float
    rows: int
    enough: bool


@dataclass(frozen=True)
class Gap:
    """The largest difference between groups, or the smallest value over the largest.

    Attributes:
        value: The gap; NaN where fewer than two groups have rows enough.
        low: Lower end of its interval.
        high: Upper end.
        chance: How often groups that are drawn by lot differ as much; NaN where that is not known.

    Example:
        >>> Gap(0.1, 0.05, 0.16, 0.001).chance
        0.001
    """

    value: float
    low: float
    high: float
    chance: float


@dataclass(frozen=True)
class Group:
    """What a run does with the rows of one group.

    Attributes:
        group: Its value in each column.
        rows: Its rows.
        figures: Its measures.
        error_quantiles: Quantiles of prediction minus truth, where numbers are predicted.

    Example:
        >>> Group({"sex": "f"}, 12, {}).rows
        12
    """

    group: dict[str, str]
    rows: int
    figures: dict[str, Figure]
    error_quantiles: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Audit:
    """How differently groups are treated.

    Attributes:
        columns: The columns that tell groups apart.
        outcome: The class, question or target that is looked at.
        groups: Each group's measures.
        gaps: The gaps between groups.
        min_rows: Groups with fewer rows than this behind a measure are not compared by it.
        conflict: What equal precision and equal true positive rates would cost: see
            :func:`conflict`.

    Example:
        >>> Audit(["sex"], "yes", [], {}, 30).to_dict()["by"]
        ['sex']
    """

    columns: list[str]
    outcome: str
    groups: list[Group]
    gaps: dict[str, Gap]
    min_rows: int
    conflict: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The audit as JSON."""
        held = asdict(self)
        return {"by": held.pop("columns"), **held}


def compare_groups(
    measures: Measures,
    grouping: Grouping,
    *,
    outcome: str = "",
    min_rows: int = MIN_ROWS,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
    clusters: NDArray[np.generic] | None = None,
) -> Audit:
    """How differently groups are treated, of rows that are not a run's.

    Args:
        measures: What is measured: see :func:`glial.evaluation.fairness.rates.of_classes`.
        grouping: The groups.
        outcome: The name of what is looked at.
        min_rows: Groups with fewer rows than this behind a measure are not compared by it.
        confidence: Share of the resamples that an interval holds.
        replicates: Resamples of the rows of each group; 0 for no intervals.
        seed: Of the resamples.
        clusters: Cluster of each row, [row], of rows that belong together: whole ones are drawn,
            and no chance is told.

    Example:
        >>> from glial.evaluation.fairness.rates import of_classes
        >>> said = np.array([True] * 60 + [False] * 40)
        >>> measures = of_classes(said, said, said.astype(float))
        >>> sex = Grouping(["sex"], [{"sex": "f"}, {"sex": "m"}], np.arange(100) // 50)
        >>> compare_groups(measures, sex).gaps["demographic_parity_difference"].value
        0.8
    """
    sizes = grouping.sizes
    held = [np.flatnonzero(grouping.codes == code) for code in range(len(sizes))]
    sums = np.stack([measures.features[rows].sum(axis=0) for rows in held])
    rates = measures.rates(sums)
    counts = {
        name: sizes if flags is None else np.bincount(grouping.codes[flags], minlength=len(sizes))
        for name, flags in measures.counted.items()
    }
    enough = {name: count >= min_rows for name, count in counts.items()}
    seeds = [derive_seed(seed, *grouping.columns, code) for code in range(len(sizes))]
    together = [None if clusters is None else clusters[rows] for rows in held]
    drawn = np.stack(
        [
            _resampled(measures.features[rows], replicates, own, some)
            for rows, own, some in zip(held, seeds, together, strict=True)
        ],
        axis=1,
    )
    spread = measures.rates(drawn)
    alone = any(some is not None and len(np.unique(some)) < 2 for some in together)

    def ends(values: Floats, *, known: bool = True) -> tuple[float, float]:
        return interval(values, confidence) if known and not alone else (np.nan, np.nan)

    groups = [
        Group(
            group,
            int(sizes[code]),
            {
                name: Figure(
                    float(values[code]),
                    *ends(spread[name][:, code], known=bool(enough[name][code])),
                    int(counts[name][code]),
                    bool(enough[name][code]),
                )
                for name, values in rates.items()
            },
            {} if measures.errors is None else _quantiles(measures.errors[held[code]]),
        )
        for code, group in enumerate(grouping.groups)
    ]
    draws = replicates if clusters is None else 0
    by_lot = _by_lot(measures, rates, counts, enough, draws, numpy_generator(seed, "lot"))
    spread_gaps = gaps_of(spread, measures, enough)
    gaps = {
        name: Gap(float(value), *ends(spread_gaps[name]), by_lot.get(name, np.nan))
        for name, value in gaps_of(rates, measures, enough).items()
    }
    told = conflict(rates, enough) if "precision" in rates else {}
    return Audit(grouping.columns, outcome, groups, gaps, min_rows, told)


def _resampled(
    features: Floats, replicates: int, seed: int, clusters: NDArray[np.generic] | None
) -> Floats:
    """Sums over resamples of a group's rows, drawn with replacement, [resample, feature]."""
    blocks = weight_blocks(len(features), replicates, seed, clusters=clusters)
    nothing = np.empty((0, features.shape[1]))
    return np.concatenate([nothing, *(block @ features for block in blocks)])


def _quantiles(errors: Floats) -> dict[str, float]:
    found = np.quantile(errors, ERROR_QUANTILES)
    return dict(zip(map(str, ERROR_QUANTILES), found.tolist(), strict=True))


def _by_lot(
    measures: Measures,
    rates: Mapping[str, Floats],
    counts: Mapping[str, Any],
    enough: Mapping[str, Flags],
    replicates: int,
    random: np.random.Generator,
) -> dict[str, float]:
    """How often groups drawn by lot differ as much, for gaps in shares of rows that count alike.

    Of the rows that a share is taken of, those that have it are dealt to groups of the same sizes:
    a permutation test, whose counts are hypergeometric.
    """
    if (measures.features[:, 0] != 1).any() or not replicates:
        return {}
    found = {}
    for gap in measures.shares:
        names = measures.gaps[gap]
        if any(enough[name].sum() < 2 for name in names):
            continue
        here, dealt = [], []
        for name in names:
            compared = enough[name]
            sizes, values = counts[name][compared], rates[name][compared]
            having = int(np.rint(values * sizes).sum())
            shares = random.multivariate_hypergeometric(sizes, having, replicates) / sizes
            here.append(np.ptp(values))
            dealt.append(np.ptp(shares, axis=1))
        as_large = np.maximum.reduce(dealt) >= max(here) - 1e-12
        found[f"{gap}_difference"] = float((1 + as_large.sum()) / (1 + replicates))
    return found


def implied_false_positive_rate(
    base_rate: float, precision: float, true_positive_rate: float
) -> float:
    """The false positive rate that three other figures of a group leave it no choice about.

    Args:
        base_rate: Share of its rows that are positive, in (0, 1).
        precision: Share of positive ones among those said to be, in (0, 1].
        true_positive_rate: Share of the positive ones that are said to be.

    Source:
        Chouldechova (2017), "Fair prediction with disparate impact", arXiv 1610.07524, eq. (2.6).

    Example:
        >>> rates = [implied_false_positive_rate(share, 0.8, 0.6) for share in (0.2, 0.5)]
        >>> [round(rate, 4) for rate in rates]
        [0.0375, 0.15]
    """
    odds = base_rate / (1 - base_rate)
    return odds * (1 - precision) / precision * true_positive_rate


def conflict(rates: Mapping[str, Floats], enough: Mapping[str, Flags]) -> dict[str, Any]:
    """What it costs that measures cannot all be equal where groups have unequal base rates.

    Where two groups had the same precision and the same true positive rate, their false positive
    rates would follow from their base rates; only equal base rates, or a network without any
    error, make them equal too.

    Args:
        rates: The measures of each group, [group].
        enough: For each measure the groups that are compared, [group].

    Returns:
        The mean ``precision`` and ``true_positive_rate`` of the groups with the lowest and the
        highest base rate, these as ``base_rates``, and the ``false_positive_rates`` that groups
        with these base rates must then have; nothing where fewer than two can be compared.

    Source:
        Chouldechova (2017), arXiv 1610.07524; for calibrated scores Kleinberg, Mullainathan,
        Raghavan (2016), arXiv 1609.05807, theorem 1.1.

    Example:
        >>> rates = {"base_rate": np.array([0.2, 0.5]), "precision": np.array([0.8, 0.8]),
        ...     "true_positive_rate": np.array([0.6, 0.6])}
        >>> both = dict.fromkeys(rates, np.array([True, True]))
        >>> [round(rate, 4) for rate in conflict(rates, both)["false_positive_rates"]]
        [0.0375, 0.15]
    """
    names = ("base_rate", "precision", "true_positive_rate")
    compared = np.logical_and.reduce([enough[name] for name in names])
    compared &= (rates["base_rate"] > 0) & (rates["base_rate"] < 1)
    compared &= rates["precision"] > 0
    if compared.sum() < 2:
        return {}
    base = rates["base_rate"][compared]
    ends = [int(base.argmin()), int(base.argmax())]
    precision, hit_rate = (float(rates[name][compared][ends].mean()) for name in names[1:])
    lowest_highest = [float(base[end]) for end in ends]
    return {
        "precision": precision,
        "true_positive_rate": hit_rate,
        "base_rates": lowest_highest,
        "false_positive_rates": [
            implied_false_positive_rate(rate, precision, hit_rate) for rate in lowest_highest
        ],
    }
