"""Columns of sequences: cells that are lists of numbers, or of steps of several numbers."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
NUM_TRIED = 20
_SPELT = r"^\[[-+\d.eE,\s\[\]nul]*\]$"


def holds_sequences(column: pl.Series) -> bool:
    """Whether cells are lists of numbers, or of steps of several numbers, or spell them as JSON.

    Example:
        >>> holds_sequences(pl.Series([[1, 2], [3]])), holds_sequences(pl.Series([["a"]]))
        (True, False)
        >>> holds_sequences(pl.Series(["[1, 2.5, null]", "[]"]))
        True
    """
    if column.dtype == pl.String:
        words = column.str.strip_chars().drop_nulls()
        words = words.filter(words != "")
        if len(words) == 0 or not words.str.contains(_SPELT).all():
            return False
        column = words.head(NUM_TRIED)
    try:
        return as_lists(column).dtype != pl.List(pl.Null)
    except InputError:
        return False


@dataclass(frozen=True)
class Unpacked:
    """The steps of all rows one behind the other, [step, feature], and each row's length."""

    steps: Floats
    lengths: NDArray[np.int64]


def unpack(column: pl.Series) -> Unpacked:
    """The numbers of a column of sequences; NaN where one is missing or infinite.

    A row that is missing or empty has one step, in which all is missing.

    Args:
        column: Cells that are lists or arrays of numbers, or of steps of several numbers each; or
            text that spells such a list as JSON does.

    Raises:
        InputError: If a cell is something else, or steps have unequal numbers of features.

    Example:
        >>> found = unpack(pl.Series([[[1, 2], [3, 4]], [], [[5, None]]]))
        >>> found.steps.tolist(), found.lengths.tolist()
        ([[1.0, 2.0], [3.0, 4.0], [nan, nan], [5.0, nan]], [2, 1, 1])
    """
    cells = as_lists(column)
    lengths = cells.list.len().fill_null(0).to_numpy().astype(np.int64)
    inner = cells.filter(lengths > 0).explode()
    there = _table(inner, cells, lengths)
    if not lengths.all():
        logger.warning("column %r: %d rows have no steps", column.name, int((lengths == 0).sum()))
    steps = np.full((int(np.maximum(lengths, 1).sum()), there.shape[1]), np.nan)
    steps[np.repeat(lengths > 0, np.maximum(lengths, 1))] = there
    endless = np.isinf(steps)
    if endless.any():
        logger.warning(
            "column %r: %d infinite numbers are taken as missing", column.name, endless.sum()
        )
        steps[endless] = np.nan
    return Unpacked(steps, np.maximum(lengths, 1))


def as_lists(column: pl.Series) -> pl.Series:
    """A column of sequences as one of lists of numbers, or of lists of lists of them.

    Raises:
        InputError: If it is none.

    Example:
        >>> as_lists(pl.Series(["[1, 2]", None])).to_list()
        [[1.0, 2.0], None]
    """
    cells = column
    if column.dtype == pl.String:
        cells = _spelt_out(column)
    elif isinstance(column.dtype, pl.Array):
        cells = column.arr.to_list()
    inner = getattr(cells.dtype, "inner", None)
    if isinstance(inner, (pl.List, pl.Array)) and len(getattr(inner, "shape", (1,))) == 1:
        inner = inner.inner
    numbers = inner is not None and (inner.is_numeric() or inner in (pl.Boolean, pl.Null))
    if not isinstance(cells.dtype, pl.List) or not numbers:
        raise InputError(
            f"the cells of the column {column.name!r} are no sequences of numbers",
            expected="a list of numbers a cell, or a list of steps of several numbers each",
            got=f"cells of the type {column.dtype}",
            do="write lists, in parquet or JSON lines, or leave the column out with "
            f"--set data.types.{column.name}=identifier",
        )
    return cells


def _spelt_out(column: pl.Series) -> pl.Series:
    """Lists from text that spells them as JSON does."""
    words = column.str.strip_chars()
    words = words.set(words == "", None)
    deep = words.str.contains(r"^\[\s*\[").any()
    kind = pl.List(pl.List(pl.Float64)) if deep else pl.List(pl.Float64)
    try:
        return words.str.json_decode(kind)
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"the text of the column {column.name!r} spells no sequences",
            expected="a list of numbers a cell, such as [0.5, 1, null]",
            got=" ".join(str(error).split())[:200],
            do="mend these cells",
        ) from error


def _table(inner: pl.Series, cells: pl.Series, lengths: NDArray[np.int64]) -> Floats:
    """The steps that there are, [step, feature]."""
    if isinstance(inner.dtype, pl.Array):
        inner = inner.arr.to_list()
    if not isinstance(inner.dtype, pl.List):
        numbers: Floats = inner.cast(pl.Float64).fill_null(np.nan).to_numpy()
        return numbers[:, None]
    widths = inner.list.len()
    usual = int(widths.drop_nulls().max() or 1)  # type: ignore[arg-type]
    odd = (widths != usual).fill_null(False).arg_true()
    if len(odd):
        row = int(np.searchsorted(np.cumsum(lengths), odd[0], side="right"))
        raise InputError(
            f"the steps of the column {cells.name!r} have unequal numbers of features",
            expected=f"{usual} numbers at each step",
            got=f"{widths[odd[0]]} at a step of row {row + 1}",
            do="give each step the same features, null where one is missing",
        )
    found = np.full((len(inner), usual), np.nan)
    there = inner.drop_nulls().explode().cast(pl.Float64).fill_null(np.nan)
    found[inner.is_not_null().to_numpy()] = there.to_numpy().reshape(-1, usual)
    return found
