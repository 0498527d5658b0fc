"""Raw columns as numbers that a simple model reads, each with a name that a person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from glial.core.errors import InputError
from glial.data.cells import numbers, texts
from glial.data.columns import infer_kind
from glial.data.settings import Kind
from glial.explanation.functions.games import Floats, Table, names_of

MOST_CATEGORIES = 30
LEAST_ROWS = 5


@dataclass(frozen=True)
class Feature:
    """One number that is made of a raw column.

    Attributes:
        column: The column.
        kind: ``number`` as it is, ``category`` whether it is this one, ``missing`` whether it is.
        category: The category.
        fill: What a missing number is taken as.

    Example:
        >>> feature = Feature("sex", "category", "female")
        >>> feature.name, feature.values(pl.Series(["male", "female"])).tolist()
        ('sex is female', [0.0, 1.0])
    """

    column: str
    kind: Literal["number", "category", "missing"] = "number"
    category: str = ""
    fill: float = 0.0

    @property
    def name(self) -> str:
        """The feature in words."""
        if self.kind == "number":
            return self.column
        return f"{self.column} is {self.category if self.kind == 'category' else 'missing'}"

    def values(self, column: pl.Series) -> Floats:
        """The feature of each cell, [row]."""
        if self.kind == "category":
            return (texts(column).fill_null("") == self.category).to_numpy().astype(np.float64)
        values = numbers(column)
        if self.kind == "missing":
            return values.is_null().to_numpy().astype(np.float64)
        return values.fill_null(self.fill).to_numpy()


def as_frame(table: Table) -> pl.DataFrame:
    """A table of polars of either kind of table.

    Example:
        >>> as_frame(np.zeros((1, 2))).columns
        ['0', '1']
    """
    return table if isinstance(table, pl.DataFrame) else pl.DataFrame(table, schema=names_of(table))


def readable_features(
    rows: Table, kinds: Mapping[str, Kind] | None = None, most_categories: int = MOST_CATEGORIES
) -> list[Feature]:
    """The features of a table's columns: numbers, and a question for each common category.

    Args:
        rows: Rows to look at.
        kinds: Kinds of columns, where they are known; those of an array are numbers.
        most_categories: Categories of a column, the commonest; each in five rows or more.

    Raises:
        InputError: If no column can be read so.

    Example:
        >>> rows = pl.DataFrame({"a": [1.5, 2.0, None] * 5, "b": ["x", "y", "x"] * 5})
        >>> [feature.name for feature in readable_features(rows)]
        ['a', 'a is missing', 'b is x', 'b is y']
    """
    found: list[Feature] = []
    for column in as_frame(rows).iter_columns():
        own = "number" if not isinstance(rows, pl.DataFrame) else infer_kind(column)
        kind = (kinds or {}).get(column.name, own)
        if kind in {"number", "identifier"}:
            values = numbers(column)
            if values.n_unique() - (values.null_count() > 0) < 2:
                continue
            fill = float(np.median(values.drop_nulls().to_numpy()))
            found.append(Feature(column.name, fill=fill))
            if values.null_count() >= LEAST_ROWS:
                found.append(Feature(column.name, "missing"))
        else:
            words = texts(column).fill_null("").alias("word")
            counts = words.value_counts(sort=False).sort(
                ["count", "word"], descending=[True, False]
            )
            common = counts.filter(pl.col("count") >= LEAST_ROWS)["word"][:most_categories]
            if counts.height > 1:
                found += [
                    Feature(column.name, "category" if word else "missing", word)
                    for word in sorted(common.to_list(), key=bool, reverse=True)
                ]
    if not found:
        raise InputError(
            "no column can be read by a simple model",
            expected="a number or a category that differs between rows",
            got=", ".join(names_of(rows)[:20]),
        )
    return found


def feature_matrix(features: Sequence[Feature], rows: Table) -> Floats:
    """The features of rows, [row, feature].

    Example:
        >>> feature_matrix([Feature("0")], np.array([[2.0]])).tolist()
        [[2.0]]
    """
    frame = as_frame(rows)
    return np.stack([feature.values(frame[feature.column]) for feature in features], axis=1)
