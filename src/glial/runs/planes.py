"""Rows of a source in a plane, drawn in the colours of a column or of their clusters."""

from __future__ import annotations

from typing import Any

import polars as pl
import torch
from torch import Tensor

from glial.core.errors import InputError, unknown_name
from glial.nn.pictures.scatter import MOST_GROUPS, scatter_png
from glial.runs.embedding import Embedded
from glial.runs.prediction import predict, read_for
from glial.runs.run import Run

PREDICTION = "prediction"


def plane_png(run: Run, source: Any, rows: Embedded, color: str | None = None) -> bytes:
    """A picture of rows that were brought to two numbers.

    Args:
        run: The run.
        source: The rows, as for `glial.predict`.
        rows: Their two numbers each.
        color: The column of the source that colours them, or ``prediction``; None takes the run's
            target where the source has it. A column of more than twelve numbers is drawn from
            dark to bright.

    Returns:
        The bytes of a PNG file.

    Raises:
        InputError: If there are not two numbers a row, or there is no such column.

    Example:
        >>> import glial
        >>> from glial.runs.embedding import embed_rows
        >>> run = glial.train("iris", task="reduce", model="pca", out=False)
        >>> plane_png(run, "iris", embed_rows(run, "iris").reduced("pca"), "species")[1:4]
        b'PNG'
    """
    if rows.vectors.shape[1] != 2:
        raise InputError(
            "a picture of a plane needs two numbers a row",
            expected="2",
            got=str(rows.vectors.shape[1]),
            do="add --reduce tsne or --reduce pca",
        )
    frame, _ = read_for(run, source)
    asked = color
    if color is None:
        target = run.plan.data.target
        color = target if isinstance(target, str) and target in frame.columns else None
    if color is None:
        return scatter_png(rows.vectors)
    groups, values = _coloured(_column(run, source, frame, color), named=asked is not None)
    return scatter_png(rows.vectors, groups, values, color)


def _column(run: Run, source: Any, frame: pl.DataFrame, name: str) -> pl.Series:
    """The column that colours rows."""
    if name in frame.columns:
        return frame[name]
    if name != PREDICTION:
        raise unknown_name("column", name, [*frame.columns, PREDICTION])
    told = pl.DataFrame(predict(run, source))
    if PREDICTION not in told.columns:
        raise InputError(
            "this run says more than one thing of a row",
            expected="a run that predicts one column",
            got=", ".join(told.columns),
            do="name a column of the source with --color",
        )
    found = told[PREDICTION]
    return found.replace(-1, None) if run.task == "cluster" else found


def _coloured(column: pl.Series, *, named: bool) -> tuple[list[str | None] | None, Tensor | None]:
    """Groups, or numbers where there are too many; neither where nobody asked for the column."""
    found = column.drop_nulls().unique()
    if len(found) <= MOST_GROUPS:
        return _in_order(column), None
    if column.dtype.is_numeric():
        values = column.cast(pl.Float64).fill_null(strategy="min").fill_nan(None)
        return None, torch.from_numpy(values.fill_null(strategy="min").to_numpy().copy())
    return (_in_order(column), None) if named else (None, None)


def _in_order(column: pl.Series) -> list[str | None]:
    return [None if value is None else str(value) for value in column.to_list()]
