"""What can be said of rows in few words: values, ranges of numbers, length, brightness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from glial.data.cells import missing, numbers, texts
from glial.evaluation.metrics.weighted import Flags, Floats

RANGES = 4  # of numbers, by their quantiles
MOST_VALUES = 20  # of a column of words, the commonest
FEW = 10  # numbers of so few values are taken one by one
WORDS = 3.0  # words of a cell on average, above which a column is text


@dataclass(frozen=True)
class Trait:
    """Something that some rows have in common.

    Attributes:
        column: The column it is about.
        text: What it is, such as ``age from 20 to 30``.
        rows: Which rows have it, [row].

    Example:
        >>> Trait("sex", "sex = f", np.array([True, False])).rows.sum()
        np.int64(1)
    """

    column: str
    text: str
    rows: Flags


def traits_of(frame: pl.DataFrame, columns: Sequence[str]) -> list[Trait]:
    """What rows may have in common, by each column.

    Words are told apart by their commonest values, numbers by quarters of the rows, texts and
    lists by their length, images by how bright and how varied they are; cells may also be missing.

    Args:
        frame: The rows.
        columns: The columns that are looked at.

    Example:
        >>> frame = pl.DataFrame({"sex": ["f", "m", None], "age": [20, 30, 40]})
        >>> [trait.text for trait in traits_of(frame, ["sex", "age"])]
        ['sex = f', 'sex = m', 'sex is missing', 'age = 20', 'age = 30', 'age = 40']
    """
    return [trait for name in columns for trait in _of_column(frame[name], name)]


def _of_column(column: pl.Series, name: str) -> Iterator[Trait]:
    if isinstance(column.dtype, pl.Array):
        pixels = column.to_numpy().reshape(len(column), -1)
        yield from _ranges(pixels.mean(axis=1, dtype=np.float64), name, "mean of ")
        yield from _ranges(pixels.std(axis=1, dtype=np.float64), name, "spread of ")
        return
    if isinstance(column.dtype, pl.List):
        yield from _ranges(column.list.len().cast(pl.Float64).to_numpy(), name, "length of ")
        return
    if column.dtype.is_temporal():
        column = column.to_physical()
    lost = missing(column).to_numpy()
    words, values = texts(column), numbers(column)
    if values.null_count() == int(lost.sum()):
        yield from _of_numbers(values, name)
    else:
        yield from _of_words(words, name)
    if lost.any():
        yield Trait(name, f"{name} is missing", lost)


def _of_numbers(values: pl.Series, name: str) -> Iterator[Trait]:
    held = values.fill_null(np.nan).to_numpy()
    distinct = np.unique(held[~np.isnan(held)])
    if len(distinct) > FEW:
        yield from _ranges(held, name)
    else:
        for value in distinct:
            yield Trait(name, f"{name} = {value:g}", held == value)


def _of_words(words: pl.Series, name: str) -> Iterator[Trait]:
    counts = words.drop_nulls().str.count_matches(r"\S+")
    if float(counts.mean() or 0) > WORDS:  # type: ignore[arg-type]
        size = words.str.count_matches(r"\S+").cast(pl.Float64).fill_null(np.nan)
        yield from _ranges(size.to_numpy(), name, "words of ")
        return
    common = words.drop_nulls().value_counts(sort=True, name="rows").head(MOST_VALUES)
    for value in sorted(common[words.name].to_list()):
        yield Trait(name, f"{name} = {value}", (words == value).fill_null(value=False).to_numpy())


def _ranges(values: Floats, name: str, of: str = "") -> Iterator[Trait]:
    """Quarters of the rows by a number, equal numbers together."""
    known = values[~np.isnan(values)]
    if not len(known):
        return
    inner = np.quantile(known, np.linspace(0, 1, RANGES + 1)[1:-1], method="inverted_cdf")
    edges = np.unique(inner[inner < known.max()])
    places = np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="left"))
    for place in range(len(edges) + 1):
        rows = places == place
        low, high = values[rows].min(), values[rows].max()
        span = f"= {low:g}" if low == high else f"from {low:g} to {high:g}"
        yield Trait(name, f"{of}{name} {span}", rows)
