"""Columns as they stand: how many cells are missing, and which columns say little or nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from glial.data.quality.sheet import Sheet
from glial.data.settings import Kind

NEAR_CONSTANT = 0.99


@dataclass(frozen=True)
class ColumnQuality:
    """What one column holds.

    Attributes:
        column: Its name.
        kind: What it is.
        missing: Number of missing cells.
        missing_share: Share of missing cells.
        distinct: Number of different present values.
        top_share: Share of rows that hold the commonest value, a missing cell being a value.
        verdict: ``empty``, ``constant``, ``near-constant`` (one value in at least 99 % of the
            rows), ``identifier``, or ``fine``.

    Example:
        >>> ColumnQuality("a", "number", 0, 0.0, 3, 0.5, "fine").to_dict()["distinct"]
        3
    """

    column: str
    kind: Kind
    missing: int
    missing_share: float
    distinct: int
    top_share: float
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


def describe_columns(sheet: Sheet) -> list[ColumnQuality]:
    """What every input column holds, in the table's order.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"a": [5.0] * 199 + [None], "y": ["u", "v"] * 100})
        >>> sheet = Sheet.of([frame], ["y"], {"a": "number"}, "classification")
        >>> found = describe_columns(sheet)[0]
        >>> found.missing, found.top_share, found.verdict
        (1, 0.995, 'near-constant')
    """
    return [_describe(sheet, name) for name in sheet.kinds]


def _describe(sheet: Sheet, name: str) -> ColumnQuality:
    column, kind = sheet.frame[name], sheet.kinds[name]
    counts = column.value_counts(sort=True)
    missing, rows = column.null_count(), max(len(column), 1)
    top = int(counts["count"][0]) / rows if len(counts) else 1.0
    return ColumnQuality(
        name,
        kind,
        missing,
        missing / rows,
        len(counts) - (missing > 0),
        top,
        _verdict(kind, top),
    )


def _verdict(kind: Kind, top_share: float) -> str:
    if kind in ("empty", "constant", "identifier"):
        return kind
    return "near-constant" if top_share >= NEAR_CONSTANT else "fine"
