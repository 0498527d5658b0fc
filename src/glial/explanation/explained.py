"""What is told of a prediction: each part of the row and how much it had to do with the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

MOST_VALUES = 4096  # of one part, that are told in JSON


@dataclass(frozen=True)
class Part:
    """What one column of a row had to do with an answer.

    Attributes:
        column: The column; of cells of a table ``""``, as they are many columns.
        kind: ``cells``, ``text``, ``image``, ``sound`` or ``sequence``.
        labels: Of cells their columns, of texts their tokens, of sequences their numbers' columns.
        values: How much: [cell], [token], [height, width], [band, frame] or [step, number].
        shown: What stands in the row: of cells their texts, of images their colours from 0 to 1,
            [channel, height, width], of sounds the bands' levels, of sequences the numbers.

    Example:
        >>> Part("", "cells", ["a"], np.array([0.5])).total
        0.5
    """

    column: str
    kind: str
    labels: list[str]
    values: NDArray[np.float64]
    shown: Any = None

    @property
    def total(self) -> float:
        """The sum of all values."""
        return float(self.values.sum())

    def to_dict(self) -> dict[str, Any]:
        """As JSON; of large pictures the total and the shape alone."""
        told: dict[str, Any] = {"column": self.column, "kind": self.kind, "total": self.total}
        if self.kind == "cells":
            shown = self.shown or [None] * len(self.labels)
            return told | {
                "cells": [
                    {"column": label, "value": value, "attribution": float(part)}
                    for label, value, part in zip(self.labels, shown, self.values, strict=True)
                ]
            }
        if self.kind == "text":
            tokens = zip(self.labels, self.values, strict=True)
            return told | {"tokens": [{"token": t, "attribution": float(v)} for t, v in tokens]}
        values = self.values.tolist() if self.values.size <= MOST_VALUES else None
        return told | {"shape": list(self.values.shape), "attributions": values}


@dataclass(frozen=True)
class ExplainedRow:
    """Why a run answered a row so.

    Attributes:
        row: The row's number in its source, counted from 0.
        prediction: What the run says.
        answer: The class or target that is explained.
        output: The score or probability of that answer.
        reference: The same of what the method compares with; None where it compares with nothing.
        rest: What is attributed to no part of the row, such as biases; None where that is not told.
        parts: The parts of the row.
        path: The file, where the row came from one.

    Example:
        >>> part = Part("", "cells", ["a", "b"], np.array([0.5, -2.0]))
        >>> ExplainedRow(0, "yes", "yes", 1.0, None, None, [part]).strongest(1)
        [('b', -2.0)]
    """

    row: int
    prediction: Any
    answer: str
    output: float
    reference: float | None
    rest: float | None
    parts: list[Part]
    path: str | None = None

    def strongest(self, count: int = 8) -> list[tuple[str, float]]:
        """Cells and tokens with the largest values; of others their whole column."""
        told: list[tuple[str, float]] = []
        for part in self.parts:
            if part.kind in ("cells", "text"):
                told += [(n, float(v)) for n, v in zip(part.labels, part.values, strict=True)]
            else:
                told.append((part.column, part.total))
        return sorted(told, key=lambda pair: -abs(pair[1]))[:count]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        names = ("row", "path", "prediction", "answer", "output", "reference", "rest")
        return {name: getattr(self, name) for name in names} | {
            "parts": [part.to_dict() for part in self.parts]
        }


@dataclass(frozen=True)
class Explanation:
    """What a method says of predictions, or of a network.

    Attributes:
        method: Its name.
        unit: What numbers about rows are in: ``log-odds``, ``probability`` or the target's unit.
        rows: Of a method about predictions, the rows.
        tables: Of a method about a network, what it found, by name.
        notes: What is to be known beside.
        checks: What the method's checks gave, where they were asked for.
        pictures: PNG files by their names, for a page.

    Example:
        >>> Explanation("importance", "", tables={"importance": pl.DataFrame({"a": [1]})}).rows
        []
    """

    method: str
    unit: str
    rows: list[ExplainedRow] = field(default_factory=list)
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    checks: dict[str, Any] | None = None
    pictures: dict[str, bytes] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        told: dict[str, Any] = {"method": self.method, "unit": self.unit, "notes": self.notes}
        told["rows"] = [row.to_dict() for row in self.rows]
        told["tables"] = {name: table.to_dicts() for name, table in self.tables.items()}
        return told if self.checks is None else told | {"checks": self.checks}


def cells_of(frame: pl.DataFrame, row: int, columns: Sequence[str]) -> list[str]:
    """The cells of a row as texts, ``""`` for columns that the table does not have.

    Example:
        >>> cells_of(pl.DataFrame({"a": [1.5]}), 0, ["a", "a*b"])
        ['1.5', '']
    """
    there = set(frame.columns)
    return [
        (
            f"{frame[name][row]:.4g}"
            if isinstance(frame[name][row], float)
            else str(frame[name][row])
        )
        if name in there
        else ""
        for name in columns
    ]
