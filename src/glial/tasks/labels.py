"""Class labels: their order, their codes, and the spelling they had in the training table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

LabelType = Literal["text", "integer", "number", "boolean"]


def label_texts(column: pl.Series) -> pl.Series:
    """The labels of a column as text: as they stand in a file, ``true``/``false`` for booleans.

    Example:
        >>> label_texts(pl.Series([1, 2])).to_list()
        ['1', '2']
    """
    if column.dtype == pl.String:
        return column.str.strip_chars()
    return column.cast(pl.String)


def label_type(column: pl.Series) -> LabelType:
    """What kind of value the labels were, so that predictions come back as the same kind.

    Example:
        >>> label_type(pl.Series([1, 2]))
        'integer'
    """
    if column.dtype == pl.Boolean:
        return "boolean"
    if column.dtype.is_integer():
        return "integer"
    return "number" if column.dtype.is_float() else "text"


@dataclass(frozen=True)
class Labels:
    """The classes of one target, in sorted order: by value where all are numbers, else as text.

    Attributes:
        names: The spelling of each class.
        kind: What the labels were in the training table.

    Example:
        >>> labels = Labels.of(pl.Series(["10", "9", "10"]))
        >>> labels.names, labels.codes(pl.Series(["9", "?"])).tolist()
        (['9', '10'], [0, -1])
    """

    names: list[str]
    kind: LabelType = "text"

    @classmethod
    def of(cls, column: pl.Series) -> Labels:
        """The classes that a column holds."""
        names = label_texts(column).drop_nulls().unique().to_list()
        return cls(_sorted(names), label_type(column))

    def codes(self, column: pl.Series) -> NDArray[np.int64]:
        """The class index of each cell; -1 for a label that training never showed."""
        table = pl.Series(self.names, dtype=pl.String)
        codes = self._spelt_as_in_training(column).replace_strict(
            table, pl.Series(range(len(self.names)), dtype=pl.Int64), default=-1
        )
        return codes.fill_null(-1).to_numpy().astype(np.int64)

    def unseen(self, column: pl.Series) -> list[str]:
        """The labels of a column that training never showed, in order."""
        texts = label_texts(column).filter(pl.Series(self.codes(column) < 0))
        return sorted(set(texts.drop_nulls().to_list()))

    def _spelt_as_in_training(self, column: pl.Series) -> pl.Series:
        """Labels as text, numbers and truth values brought to the type they had in training."""
        if self.kind == "integer" and column.dtype.is_float():
            whole = column.cast(pl.Int64, strict=False)
            column = pl.select(pl.when(whole == column).then(whole)).to_series()
        elif self.kind == "number" and not column.dtype.is_float():
            column = label_texts(column).cast(pl.Float64, strict=False)
        texts = label_texts(column)
        return texts.str.to_lowercase() if self.kind == "boolean" else texts

    def values(self, codes: NDArray[np.int64]) -> NDArray[Any]:
        """The labels of class indices, as the kind of value that they were in training."""
        return self.typed()[codes]

    def lists(self, held: NDArray[np.bool_]) -> pl.Series:
        """The labels of the classes that each row holds, [row, class], as lists."""
        labels = self.typed()
        kinds = {"integer": pl.Int64, "number": pl.Float64, "boolean": pl.Boolean}
        kind = pl.List(kinds.get(self.kind, pl.String))
        return pl.Series([labels[row].tolist() for row in held], dtype=kind)

    def typed(self) -> NDArray[Any]:
        """The classes as the kind of value that they were."""
        if self.kind == "boolean":
            return np.array([name == "true" for name in self.names])
        if self.kind == "integer":
            return np.array([int(name) for name in self.names])
        if self.kind == "number":
            return np.array([float(name) for name in self.names])
        return np.array(self.names, dtype=object)


def _sorted(names: list[str]) -> list[str]:
    try:
        numbers = {name: float(name) for name in names}
    except ValueError:
        return sorted(names)
    if not all(map(math.isfinite, numbers.values())):
        return sorted(names)
    return sorted(names, key=lambda name: (numbers[name], name))
