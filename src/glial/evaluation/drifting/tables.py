"""Whether two tables come from the same source: each column, and all of them together."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError, unknown_name
from glial.core.seeds import derive_seed
from glial.data import read
from glial.data.columns import infer_kind
from glial.data.quality.quick import affordable, other_half
from glial.data.quality.sheet import Sheet
from glial.data.quality.shift import kolmogorov_smirnov, total_variation
from glial.data.settings import Kind
from glial.data.sources import is_of_files
from glial.runs.request import make_request

logger = logging.getLogger(__name__)

Counts = NDArray[np.int64]
LEVEL = 0.01
BINS = 10
SMALL, LARGE = 0.1, 0.25  # of the population stability index, by custom
FEWEST = 5
COMPARED: tuple[Kind, ...] = ("number", "datetime", "category", "boolean")


@dataclass(frozen=True)
class ColumnDrift:
    """How a column's values differ between two tables.

    Attributes:
        column: The column.
        kind: ``number``, or ``category`` for all else.
        psi: Population stability index over tenths of the reference, or over categories.
        jensen_shannon: Distance of the same shares, from 0 to 1.
        measure: ``kolmogorov_smirnov`` of numbers, ``total_variation`` of categories.
        effect: Its value: the largest difference of a probability.
        p_value: Of the test of Kolmogorov and Smirnov, or of chi-square.
        adjusted: The same, corrected for the number of columns (Benjamini and Hochberg).
        moved: Whether that is below the level.

    Example:
        >>> ColumnDrift("a", "number", 0.3, 0.2, "kolmogorov_smirnov", 0.4, 0, 0, True).size
        'large'
    """

    column: str
    kind: str
    psi: float
    jensen_shannon: float
    measure: str
    effect: float
    p_value: float
    adjusted: float
    moved: bool

    @property
    def size(self) -> str:
        """How much it moved: ``none``, ``small``, ``moderate`` or ``large``, by the index."""
        if not self.moved:
            return "none"
        return "small" if self.psi < SMALL else "moderate" if self.psi < LARGE else "large"

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self) | {"size": self.size}


@dataclass(frozen=True)
class ToldApart:
    """How well a quick model tells rows of two tables apart that it was not shown.

    Attributes:
        auc: Area under its ROC curve: 0.5 where they cannot be told apart.
        p_value: Of a better one than 0.5 by chance.
        moved: Whether that is below the level.
        rows: Rows that it was tried on.

    Example:
        >>> ToldApart(0.51, 0.4, False, 200).moved
        False
    """

    auc: float
    p_value: float
    moved: bool
    rows: int


@dataclass(frozen=True)
class Drift:
    """How a table differs from one that it is held against.

    Attributes:
        rows: Rows of the table and of the reference.
        columns: The columns that both have, those that moved most first.
        not_compared: Columns that were not: column to the reason.
        together: All columns together; None with too few rows.
        level: The chance of a false alarm.

    Example:
        >>> Drift((5, 5), [], {}, None, 0.01).says()
        ['no column moved']
    """

    rows: tuple[int, int]
    columns: list[ColumnDrift]
    not_compared: dict[str, str] = field(default_factory=dict)
    together: ToldApart | None = None
    level: float = LEVEL

    @property
    def moved(self) -> list[ColumnDrift]:
        """The columns that moved."""
        return [column for column in self.columns if column.moved]

    @property
    def matters(self) -> bool:
        """Whether a column moved by more than a little, or rows are told apart."""
        apart = self.together is not None and self.together.moved
        return apart or any(column.size in ("moderate", "large") for column in self.columns)

    def says(self) -> list[str]:
        """What was found, for people."""
        told = [
            f"{one.column} moved, {one.size}: PSI {one.psi:.2g}, "
            f"{one.measure.replace('_', ' ')} {one.effect:.2g}"
            for one in self.moved
        ] or ["no column moved"]
        if self.together is not None:
            apart = "can" if self.together.moved else "cannot"
            told.append(
                f"rows of the two {apart} be told apart by all columns together: "
                f"AUC {self.together.auc:.3f}, p {self.together.p_value:.2g}"
            )
        return told

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON."""
        return {
            "rows": {"new": self.rows[0], "reference": self.rows[1]},
            "matters": self.matters,
            "columns": [column.to_dict() for column in self.columns],
            "not_compared": self.not_compared,
            "together": None if self.together is None else asdict(self.together),
            "says": self.says(),
        }


def source_drift(
    source: Any, reference: Any, *, set: Mapping[str, Any] | None = None, level: float = LEVEL
) -> Drift:
    """How a source differs from another.

    Args:
        source: New rows: a file, glob pattern, data set or table in memory.
        reference: The rows that they are held against, likewise.
        set: Of the keys of a plan ``data.types`` and ``train.seed`` count.
        level: As for :func:`compare_tables`.

    Raises:
        InputError: If a source cannot be read, or they cannot be compared.

    Example:
        >>> source_drift("iris", "iris").matters
        False
    """
    plan = make_request(source, set or {}).plan
    names = plan.data.names
    frames = [read(one, names if is_of_files(one) else None) for one in (source, reference)]
    unknown = [name for name in plan.data.types if name not in frames[1].columns]
    if unknown:
        raise unknown_name("column in data.types", unknown[0], frames[1].columns)
    return compare_tables(*frames, types=plan.data.types, level=level, seed=plan.train.seed)


def compare_tables(
    frame: pl.DataFrame,
    reference: pl.DataFrame,
    *,
    types: Mapping[str, Kind] | None = None,
    level: float = LEVEL,
    seed: int = 0,
) -> Drift:
    """How a table differs from a reference, column by column and all together.

    A missing cell is a value of its own. A column moved where its test is below the level after
    correction; the index says how much: below 0.1 little, above 0.25 much. Columns may each look
    alike and still not together: a quick model learns to tell the rows apart, and is judged on
    rows that it was not shown.

    Args:
        frame: New rows.
        reference: The rows that they are held against, such as those of training.
        types: Kinds of columns; by default read off the reference's cells.
        level: The share of moved columns that are false alarms, and the chance of one where
            nothing moved.
        seed: Of the quick model and of its sample.

    Returns:
        What was found. Free text, images, sounds and identifiers are not compared.

    Raises:
        InputError: If the tables share no column or one has fewer than five rows.

    Source:
        Kolmogorov 1933; Smirnov 1939; Pearson 1900; Lin 1991 (Jensen-Shannon); Benjamini and
        Hochberg 1995; Lopez-Paz and Oquab 2017, arXiv 1610.06545 (told apart by a classifier);
        Siddiqi 2006, Credit risk scorecards (population stability index).

    Example:
        >>> random = np.random.default_rng(0)
        >>> old = pl.DataFrame(random.normal(size=(300, 2)), schema=["a", "b"])
        >>> new = pl.DataFrame(random.normal([0.0, 1.0], size=(300, 2)), schema=["a", "b"])
        >>> drift = compare_tables(new, old)
        >>> [(one.column, one.size) for one in drift.moved], drift.matters
        ([('b', 'large')], True)
    """
    if not 0 < level < 1:
        raise InputError("the level is a share", expected="such as 0.01", got=str(level))
    if min(frame.height, reference.height) < FEWEST:
        raise InputError(
            "there are too few rows to compare",
            expected=f"at least {FEWEST} in each table",
            got=f"{frame.height} and {reference.height}",
            do="give more rows",
        )
    kinds, left_out = _kinds(frame, reference, dict(types or {}))
    if not kinds:
        raise InputError(
            "no column can be compared",
            expected="columns of numbers, dates or categories that both tables have",
            got=f"{', '.join(frame.columns[:20])} and {', '.join(reference.columns[:20])}",
            do="check that these are the right tables",
        )
    sheet = Sheet.of([reference, frame], [], kinds, "")
    found = [(name, *_compare(sheet, name)) for name in sheet.usable]
    adjusted = _corrected(np.array([p for *_, p in found]))
    columns = [
        ColumnDrift(*one, float(p), bool(p < level)) for one, p in zip(found, adjusted, strict=True)
    ]
    columns.sort(key=lambda one: (not one.moved, -one.psi))
    rows = (frame.height, reference.height)
    return Drift(rows, columns, left_out, _tell_apart(sheet, level, seed), level)


def _kinds(
    frame: pl.DataFrame, reference: pl.DataFrame, types: dict[str, Kind]
) -> tuple[dict[str, Kind], dict[str, str]]:
    """The kind of each column that is compared, and why others are not."""
    kinds: dict[str, Kind] = {}
    left_out = dict.fromkeys(frame.columns, "not in the reference")
    for name in reference.columns:
        left_out[name] = "not in the new rows"
        if name not in frame.columns:
            continue
        kind = types.get(name) or infer_kind(reference[name])
        if kind in ("constant", "empty"):
            kind = infer_kind(frame[name])
        kind = "category" if kind in ("constant", "empty") else kind
        if kind in COMPARED:
            kinds[name] = kind
            del left_out[name]
        else:
            left_out[name] = f"a column of the kind {kind}"
    return kinds, left_out


def _compare(sheet: Sheet, name: str) -> tuple[str, float, float, str, float, float]:
    """Kind, index, distance, measure, effect and p-value of a column."""
    old = sheet.split == 0
    if sheet.is_number(name):
        values = np.nan_to_num(sheet.floats(name), nan=-np.inf)
        effect, p_value = kolmogorov_smirnov(values[old], values[~old])
        counts = _binned(values[old], values[~old])
        kind, measure = "number", "kolmogorov_smirnov"
    else:
        codes = sheet.codes(name) + 1
        size = int(codes.max(initial=0)) + 1
        counts = np.stack([np.bincount(codes[part], minlength=size) for part in (old, ~old)])
        effect, p_value = total_variation(counts)
        kind, measure = "category", "total_variation"
    return kind, stability_index(counts), jensen_shannon(counts), measure, effect, p_value


def _binned(old: NDArray[np.float64], new: NDArray[np.float64]) -> Counts:
    """Rows of both in tenths of the old ones; missing ones, minus infinity, in a bin of their own.

    A value that fills several tenths is one bin.
    """
    known = old[np.isfinite(old)]
    ends = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.array([])
    bins = [
        np.where(np.isfinite(part), 1 + np.searchsorted(ends, part, side="left"), 0)
        for part in (old, new)
    ]
    counts = np.stack([np.bincount(part, minlength=len(ends) + 2) for part in bins])
    return np.asarray(counts[:, counts.sum(axis=0) > 0], dtype=np.int64)


def stability_index(counts: Counts) -> float:
    """The population stability index: the sum of ``(p - q) ln (p / q)`` over bins.

    Half a row is added to every bin, so that an empty one does not make it infinite.

    Args:
        counts: Rows of the reference and of the new table in each bin, [2, bin].

    Source:
        Siddiqi 2006, Credit risk scorecards; the symmetric divergence of Jeffreys 1946.

    Example:
        >>> stability_index(np.array([[50, 50], [50, 50]]))
        0.0
    """
    shares = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def jensen_shannon(counts: Counts) -> float:
    """The Jensen-Shannon distance of two tables' shares, in bits: from 0 to 1.

    Args:
        counts: Rows of each in each bin, [2, bin].

    Source:
        Lin 1991; Endres and Schindelin 2003 (its root is a distance).

    Example:
        >>> jensen_shannon(np.array([[10, 0], [0, 10]]))
        1.0
    """
    from scipy.spatial.distance import jensenshannon

    return float(np.nan_to_num(jensenshannon(counts[0], counts[1], base=2)))


def _corrected(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(p_values, method="bh"))


def _tell_apart(sheet: Sheet, level: float, seed: int) -> ToldApart | None:
    """A classifier's two-sample test on rows that it was not shown."""
    from scipy.stats import mannwhitneyu

    some = sheet.some(affordable(sheet), seed, "drift")
    found = other_half(some, some.split.astype(np.int64), derive_seed(seed, "drift"))
    if found is None:
        return None
    rows, shares = found
    new = some.split[rows] == 1
    test = mannwhitneyu(shares[new, 1], shares[~new, 1], alternative="greater")
    auc = float(test.statistic) / (int(new.sum()) * int((~new).sum()))
    return ToldApart(auc, float(test.pvalue), bool(test.pvalue < level), len(rows))
