"""Tables in memory: from the caller's kind to ours, and predictions back to theirs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.images.arrays import inputs_of_array
from glial.data.sequences import holds_sequences


def _is_a(value: Any, module: str, name: str) -> bool:
    """Whether a value is of a class of a package, without importing the package."""
    return any(
        kind.__name__ == name and kind.__module__.split(".")[0] == module
        for kind in type(value).__mro__
    )


def from_memory(source: Any) -> pl.DataFrame:
    """A table from an object.

    Args:
        source: A table of polars, pandas or Arrow, a NumPy matrix (columns ``0``, ``1``, ...)
            or images (column ``image``) or sequences [row, time, number] whose numbers cannot all
            be pixels (column ``sequence``), a pair of these and targets (column ``target``), a
            scikit-learn bunch, or a dictionary of columns.

    Raises:
        InputError: If the object is none of these, or cannot be made a table.

    Example:
        >>> from_memory((np.zeros((2, 1)), ["a", "b"])).columns
        ['0', 'target']
    """
    try:
        return _converted(source)
    except InputError:
        raise
    except Exception as error:
        raise _no_table(source, str(error)) from error


def _converted(source: Any) -> pl.DataFrame:
    if isinstance(source, pl.DataFrame):
        return source
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    if _is_a(source, "pandas", "DataFrame"):
        return _from_pandas(source)
    if _is_a(source, "pyarrow", "Table"):
        frame = pl.from_arrow(source)
        return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()
    if _is_a(source, "sklearn", "Bunch"):
        return _from_bunch(source)
    if isinstance(source, np.ndarray):
        return _from_matrix(source)
    if _is_a(source, "torch", "Tensor"):
        return _from_matrix(source.detach().cpu().numpy())
    if isinstance(source, tuple) and len(source) == 2:
        return _with_target(from_memory(source[0]), source[1])
    if isinstance(source, Mapping):
        return pl.DataFrame(
            {str(name): _column(cells) for name, cells in source.items()}, strict=False
        )
    raise _no_table(source, f"an object of {type(source).__name__}")


def _no_table(source: Any, got: str) -> InputError:
    return InputError(
        "the source is not a table",
        expected="a path, a table of polars, pandas, Arrow or NumPy, a bunch, or columns by name",
        got=got or type(source).__name__,
        do="convert it to one of these",
    )


def _column(cells: Any) -> Any:
    if isinstance(cells, np.ndarray):
        return cells.tolist() if cells.dtype == object else cells
    return cells


def _from_pandas(table: Any) -> pl.DataFrame:
    """Column by column, so that a mixed column becomes text instead of an error."""
    columns = {}
    for position, name in enumerate(table.columns):
        column = table.iloc[:, position]
        kind = str(column.dtype)
        if kind in ("object", "category", "str") or kind.startswith("string"):
            gone = column.isna().tolist()
            cells = [None if g else cell for cell, g in zip(column.tolist(), gone, strict=True)]
            columns[str(name)] = _mixed(str(name), cells)
        elif kind.startswith("datetime"):
            if column.dt.tz is not None:
                column = column.dt.tz_convert("UTC").dt.tz_localize(None)
            columns[str(name)] = pl.Series(str(name), column.to_numpy().astype("datetime64[us]"))
        else:
            columns[str(name)] = _numeric(str(name), column)
    if len(columns) != len(table.columns):
        raise InputError(
            "the table has a column name twice",
            expected="a name of its own for each column",
            got=", ".join(map(str, table.columns[:20])),
            do="rename one of them",
        )
    return pl.DataFrame(list(columns.values()))


def _mixed(name: str, cells: list[Any]) -> pl.Series:
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {bool, np.bool_}:
        return pl.Series(name, cells, dtype=pl.Boolean)
    if kinds <= {int, float, np.int64, np.float64}:
        return pl.Series(name, [None if c is None else float(c) for c in cells], dtype=pl.Float64)
    if kinds and kinds <= {list, tuple, np.ndarray}:
        lists = [c.tolist() if isinstance(c, np.ndarray) else c for c in cells]
        return pl.Series(name, [None if c is None else list(c) for c in lists])
    return pl.Series(name, [None if c is None else str(c) for c in cells], dtype=pl.String)


def _numeric(name: str, column: Any) -> pl.Series:
    values = column.to_numpy(dtype=None) if not hasattr(column.dtype, "na_value") else None
    if values is None or values.dtype == object:
        gone = column.isna().tolist()
        cells = [
            None if is_gone else cell for cell, is_gone in zip(column.tolist(), gone, strict=True)
        ]
        series = pl.Series(name, cells)
        return _mixed(name, cells) if series.dtype == pl.Object else series
    return pl.Series(name, values)


def _from_matrix(matrix: NDArray[Any]) -> pl.DataFrame:
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.ndim in (3, 4):
        (column,) = inputs_of_array(matrix, "image")
        return pl.DataFrame([column.alias("sequence") if holds_sequences(column) else column])
    if matrix.ndim != 2:
        raise _no_table(matrix, f"an array of {matrix.ndim} dimensions")
    if matrix.dtype.kind == "c":
        raise _no_table(matrix, "an array of complex numbers")
    if matrix.dtype == object:
        return pl.DataFrame([_mixed(str(i), matrix[:, i].tolist()) for i in range(matrix.shape[1])])
    return pl.DataFrame([pl.Series(str(i), matrix[:, i].copy()) for i in range(matrix.shape[1])])


def _with_target(frame: pl.DataFrame, target: Any) -> pl.DataFrame:
    values = np.asarray(target)
    if len(values) != frame.height:
        raise InputError(
            "rows and targets do not match",
            expected=f"{frame.height} targets",
            got=str(len(values)),
            do="give one target a row",
        )
    columns = _from_matrix(values)
    taken = [name for name in frame.columns if name == "target" or name.startswith("target_")]
    if taken:
        raise InputError(
            f"the table has a column {taken[0]!r}, and targets were given beside it",
            expected="a table of inputs and, apart from it, the targets",
            got=f"a column {taken[0]!r}",
            do="rename the column, or give the table alone and name its target",
        )
    names = ["target"] if columns.width == 1 else [f"target_{i}" for i in range(columns.width)]
    return frame.with_columns(
        column.alias(name) for name, column in zip(names, columns.iter_columns(), strict=True)
    )


def _from_bunch(bunch: Any) -> pl.DataFrame:
    if getattr(bunch, "frame", None) is not None:
        return from_memory(bunch.frame)
    data = np.asarray(bunch.data)
    names = [str(name) for name in getattr(bunch, "feature_names", range(data.shape[1]))]
    frame = _from_matrix(data).rename(dict(zip(map(str, range(data.shape[1])), names, strict=True)))
    target = np.asarray(bunch.target)
    labels = getattr(bunch, "target_names", None)
    if labels is not None and target.dtype.kind in "iu" and len(labels) > 1 and target.ndim == 1:
        target = np.asarray(labels).astype(str)[target]
    return _with_target(frame, target)


def to_kind_of(frame: pl.DataFrame, like: Any) -> Any:
    """A table as the caller's kind: pandas for pandas (with its index), Arrow, NumPy.

    A single column becomes a NumPy vector, several a structured array, whose columns keep their
    names: ``array["prediction"]``.

    Args:
        frame: Ours; where it has a row for each of the caller's, these keep their index.
        like: What the caller gave.

    Returns:
        A table of the same kind where there is one, else polars.

    Example:
        >>> type(to_kind_of(pl.DataFrame({"a": [1]}), "file.csv")).__module__.split(".")[0]
        'polars'
    """
    if _is_a(like, "pandas", "DataFrame"):
        pandas = sys.modules["pandas"]
        return pandas.DataFrame(
            {c.name: c.to_numpy() for c in frame.iter_columns()},
            index=like.index if frame.height == len(like) else None,
        )
    if _is_a(like, "pyarrow", "Table"):
        return frame.to_arrow()
    if isinstance(like, np.ndarray):
        return _structured(frame)
    if isinstance(like, tuple) and len(like) == 2:
        return to_kind_of(frame, like[0])
    return frame


def _structured(frame: pl.DataFrame) -> NDArray[Any]:
    columns = {column.name: column.to_numpy() for column in frame.iter_columns()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    rows = np.empty(frame.height, dtype=[(name, cells.dtype) for name, cells in columns.items()])
    for name, cells in columns.items():
        rows[name] = cells
    return rows
