"""The weakest slices: rows with something in common on which a run does worse than on the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from glial.core.seeds import numpy_generator
from glial.evaluation.failures.traits import Trait, traits_of
from glial.evaluation.metrics.weighted import Codes, Flags, Floats

LEVEL = 0.01  # share of false ones among those that are told
LEAST_ROWS = 20  # of a slice in either half
LEAST_EFFECT = 0.2  # difference of mean losses, in standard deviations of the loss
BEAM = 30  # slices that go on to be narrowed down
TOLD = 10
ALIKE = 0.8  # rows that two slices share, of those of either


@dataclass(frozen=True)
class Slice:
    """Rows with something in common, and how much worse they fare; measured on the second half.

    Attributes:
        texts: What the rows have in common.
        columns: The columns this is about.
        count: Rows of it in the second half.
        share: Their share of the second half.
        loss: Their mean loss.
        rest: The mean loss of the other rows.
        interval: Of the difference, by Student's t.
        p_value: How likely such a difference is by chance where there is none.
        q_value: The same after the correction for all that were tried on the second half.
        rows: Which of all rows are in it, [row].

    Example:
        >>> rows = np.array([True, False])
        >>> one = Slice(["a = 1"], ["a"], 1, 0.5, 2.0, 1.0, (0.5, 1.5), 0.001, 0.002, rows)
        >>> one.to_dict()["difference"]
        1.0
    """

    texts: list[str]
    columns: list[str]
    count: int
    share: float
    loss: float
    rest: float
    interval: tuple[float, float]
    p_value: float
    q_value: float
    rows: Flags

    def to_dict(self) -> dict[str, Any]:
        """What is told of it."""
        return {
            "slice": " and ".join(self.texts),
            "columns": self.columns,
            "rows": self.count,
            "share": self.share,
            "loss": self.loss,
            "rest": self.rest,
            "difference": self.loss - self.rest,
            "interval": list(self.interval),
            "p_value": self.p_value,
            "q_value": self.q_value,
        }


def weakest_slices(
    frame: pl.DataFrame,
    losses: Floats,
    columns: Sequence[str],
    *,
    weight: Floats | None = None,
    clusters: Codes | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Slice]:
    """The slices with the largest losses, by one column or two.

    One half of the rows is searched: what a column may say (see
    `glial.evaluation.failures.traits`), and pairs of such with the worst. The other half confirms:
    a slice is told if its mean loss there is larger than that of the other rows by a fifth of the
    loss's standard deviation at least, with a false discovery rate of 1 %, and, of two columns,
    larger than what either alone says. So what is told was not picked for what it is told by.

    Args:
        frame: The rows.
        losses: What each row costs, [row]; rows with NaN are left out.
        columns: The columns by which slices are made.
        weight: Weight of each row.
        clusters: What belongs together, [row]: stays in one half, and counts as one.
        confidence: Of the intervals.
        seed: Of the halves.

    Returns:
        Slices with the largest difference first, at most ten; of two that share most of their
        rows the better one.

    Source:
        Chung, Kraska, Polyzotis, Tae, Whang (2019), "Slice Finder", arXiv 1807.06068 (effect
        size, Welch's test, lattice of slices); Benjamini, Hochberg (1995), doi:10.1111/
        j.2517-6161.1995.tb02031.x. The halves are ours.

    Example:
        >>> random = np.random.default_rng(0)
        >>> frame = pl.DataFrame({"a": random.choice(["u", "v"], 400), "b": random.random(400)})
        >>> losses = random.random(400) + (frame["a"] == "v").to_numpy()
        >>> [found.texts for found in weakest_slices(frame, losses, ["a", "b"])]
        [['a = v']]
    """
    units = np.arange(frame.height) if clusters is None else clusters
    weight = np.ones(frame.height) if weight is None else weight
    known = ~np.isnan(losses) & (weight > 0)
    traits = traits_of(frame, columns)
    half = _first_half(units, seed)
    search = _Half(losses, weight, units, known & half)
    confirm = _Half(losses, weight, units, known & ~half)
    singles = [((trait,), trait.rows) for trait in traits]
    best = search.best(singles)
    pairs = [
        ((*parts, other), rows & other.rows)
        for parts, rows in best
        for other in traits
        if other.column != parts[0].column
    ]
    once = {frozenset(part.text for part in parts): (parts, rows) for parts, rows in pairs}
    candidates = [*best, *search.best(once.values())]
    tested = [confirm.tested(rows, confidence) for _, rows in candidates]
    q_values = stats.false_discovery_control([t.p_value for t in tested]) if tested else []
    found = [
        Slice(
            [part.text for part in parts],
            [part.column for part in parts],
            one.count,
            one.share,
            one.loss,
            one.rest,
            one.interval,
            one.p_value,
            float(q_value),
            rows,
        )
        for (parts, rows), one, q_value in zip(candidates, tested, q_values, strict=True)
        if q_value <= LEVEL and one.effect >= LEAST_EFFECT and confirm.adds(parts, rows)
    ]
    found.sort(key=lambda one: (one.rest - one.loss, len(one.texts), one.texts))
    told: list[Slice] = []
    for one in found:
        if len(told) < TOLD and not any(_alike(one.rows, other.rows) for other in told):
            told.append(one)
    return told


Candidate = tuple[tuple[Trait, ...], Flags]


@dataclass(frozen=True)
class _Test:
    """What one slice looks like on one half of the rows."""

    count: int
    share: float
    loss: float
    rest: float
    effect: float
    interval: tuple[float, float]
    p_value: float


class _Half:
    """Some rows, and how slices of them fare."""

    def __init__(self, losses: Floats, weight: Floats, units: Codes, rows: Flags) -> None:
        self.rows = rows
        self.losses = losses[rows]
        self.weight = weight[rows]
        self.units = np.unique(units[rows], return_inverse=True)[1]
        mean = float(self.weight @ self.losses) / max(float(self.weight.sum()), 1e-300)
        spread = float(self.weight @ np.square(self.losses - mean))
        self.deviation = np.sqrt(spread / max(float(self.weight.sum()), 1e-300))

    def best(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """The most promising: of enough rows, by Welch's t of inside against outside."""
        ranked = []
        for number, (parts, rows) in enumerate(candidates):
            one = self.tested(rows[self.rows], 0.95, inside=True)
            if one.effect >= LEAST_EFFECT / 2 and one.p_value < 0.5:
                ranked.append((one.p_value, number, (parts, rows)))
        return [candidate for _, _, candidate in sorted(ranked, key=lambda one: one[:2])[:BEAM]]

    def tested(self, rows: Flags, confidence: float, *, inside: bool = False) -> _Test:
        """How a slice differs from the other rows of this half."""
        held = rows if inside else rows[self.rows]
        return self._against(held, ~held, confidence)

    def _against(self, held: Flags, others: Flags, confidence: float) -> _Test:
        counts = [len(np.unique(self.units[part])) for part in (held, others)]
        share = float(held.mean()) if len(held) else 0.0
        if min(counts) < LEAST_ROWS:
            return _Test(int(held.sum()), share, 0.0, 0.0, 0.0, (-np.inf, np.inf), 1.0)
        means, variances = zip(*(self._mean(part) for part in (held, others)), strict=True)
        error = float(np.sqrt(sum(variances)))
        difference = means[0] - means[1]
        freedom = sum(variances) ** 2 / max(
            sum(v**2 / (n - 1) for v, n in zip(variances, counts, strict=True)), 1e-300
        )
        p_value = float(stats.t.sf(difference / error, freedom)) if error > 0 else 1.0
        reach = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error if error > 0 else 0.0
        effect = difference / self.deviation if self.deviation > 0 else 0.0
        ends = (difference - reach, difference + reach)
        return _Test(int(held.sum()), share, means[0], means[1], effect, ends, p_value)

    def _mean(self, held: Flags) -> tuple[float, float]:
        """The mean loss of some rows, and its variance, rows of a unit taken together."""
        weight, losses = self.weight[held], self.losses[held]
        mean = float(weight @ losses / weight.sum())
        pulls = np.bincount(self.units[held], weight * (losses - mean)) / weight.sum()
        count = len(np.unique(self.units[held]))
        return mean, float(np.square(pulls).sum() * count / max(count - 1, 1))

    def adds(self, parts: tuple[Trait, ...], rows: Flags) -> bool:
        """Whether rows of two traits fare worse than the other rows of each alone."""
        held = rows[self.rows]
        if len(parts) == 1:
            return True
        tests = [self._against(held, part.rows[self.rows] & ~held, 0.95) for part in parts]
        return all(one.p_value <= LEVEL for one in tests)


def _first_half(units: Codes, seed: int) -> Flags:
    """Half of the units, drawn at random."""
    names, places = np.unique(units, return_inverse=True)
    order = numpy_generator(seed, "slices").permutation(len(names))
    return np.asarray((order < len(names) // 2)[places])


def _alike(first: Flags, second: Flags) -> bool:
    return bool((first & second).sum() >= ALIKE * (first | second).sum())
