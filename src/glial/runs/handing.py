"""Rows that a network refuses, handed to a person, and the person's answers taken back."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from glial.core.errors import InputError, suggest
from glial.data import read
from glial.data.cells import is_nested
from glial.runs.run import Run

ROW, ANSWER = "row", "answer"
MODEL, PERSON = "model", "person"


def refused_rows(frame: pl.DataFrame, paths: pl.Series | None, told: pl.DataFrame) -> pl.DataFrame:
    """The rows that a run refuses, as a table for a person to fill in.

    Args:
        frame: The rows.
        paths: Their paths, where they are files.
        told: What the run says of them.

    Raises:
        InputError: If the run refuses nothing.

    Example:
        >>> told = pl.DataFrame({"prediction": ["x", "y"], "refused": [False, True]})
        >>> refused_rows(pl.DataFrame({"a": [1, 2]}), None, told).rows()
        [(2, 2, 'y', None)]
    """
    if "refused" not in told.columns:
        raise InputError(
            "this run refuses no row",
            expected="a run with task.refuse or task.risk",
            got="one without",
            do="glial calibrate RUN SOURCE --set task.refuse=0.1, with rows kept back",
        )
    shown = _shown(frame, paths)
    taken = {ROW, ANSWER, *told.columns}
    table = pl.DataFrame(
        [
            pl.Series(ROW, range(1, frame.height + 1), dtype=pl.Int64),
            *(column for column in shown.iter_columns() if column.name not in taken),
            *told.drop("refused"),
            pl.Series(ANSWER, [None] * frame.height, dtype=pl.String),
        ]
    )
    return table.filter(told["refused"])


def _shown(frame: pl.DataFrame, paths: pl.Series | None) -> pl.DataFrame:
    """The columns that a person can read."""
    if paths is not None:
        return paths.to_frame()
    return frame.select(column for column in frame.iter_columns() if not is_nested(column))


def check_takes_answers(run: Run) -> None:
    """Refuse a person's answers to a run that tells no classes of rows.

    Args:
        run: The run.

    Raises:
        InputError: If so.

    Example:
        >>> import glial
        >>> check_takes_answers(glial.train("iris", model="linear", epochs=1, out=False))
    """
    if run.task != "classification" or run.takes_batches:
        raise InputError(
            f"a run of the task {run.task} takes no answers",
            expected="a run that tells the classes of rows of a table, images, sounds or texts",
            got=f"a run of {run.sizes.get('source', run.task)}",
            do="leave the answers out",
        )


def with_answers(
    run: Run, frame: pl.DataFrame, paths: pl.Series | None, told: pl.DataFrame, answers: Any
) -> pl.DataFrame:
    """Predictions in which a person's answers stand in place of the network's.

    Args:
        run: A run that tells classes.
        frame: The rows.
        paths: Their paths, where they are files.
        told: What the run says of them.
        answers: A table with ``row``, the number of a row from 1 on, and ``answer``, a class. Rows
            without an answer stay the network's; those that it did not refuse may be answered
            too. Where the table has columns of the rows, they must be the same.

    Returns:
        The predictions, ``prediction`` the person's where there is an answer, and ``decided_by``:
        ``person`` or ``model``.

    Raises:
        InputError: If the table lacks a column, or names a row or a class that is not there.

    Example:
        >>> import glial
        >>> frame = pl.DataFrame({"a": [1.0, 2.0] * 20, "y": ["n", "p"] * 20})
        >>> run = glial.train(frame, "y", model="linear", epochs=1, out=False)
        >>> answers = pl.DataFrame({"row": [2], "answer": ["n"]})
        >>> told = glial.predict(run, frame[:2], answers=answers)
        >>> told["prediction"][1], told["decided_by"].to_list()
        ('n', ['model', 'person'])
    """
    decoder: Any = run.decoder
    given = _read_answers(answers, frame.height)
    _check_same_rows(given, _shown(frame, paths), told.columns)
    codes = decoder.labels.codes(given[ANSWER])
    _check_classes(given, codes, decoder.labels.names)
    rows = given[ROW].to_numpy() - 1
    prediction = told["prediction"].to_numpy().copy()
    prediction[rows] = decoder.labels.values(codes)
    by = np.full(frame.height, MODEL, dtype=object)
    by[rows] = PERSON
    return told.with_columns(
        pl.Series("prediction", prediction, dtype=told["prediction"].dtype),
        pl.Series("decided_by", by, dtype=pl.String),
    )


def _read_answers(answers: Any, height: int) -> pl.DataFrame:
    """The rows of a table that have an answer, each named once."""
    given = read(answers)
    missing = [name for name in (ROW, ANSWER) if name not in given.columns]
    if missing:
        raise _bad("columns row and answer", f"no column {missing[0]!r}")
    texts = given[ANSWER].cast(pl.String, strict=False).str.strip_chars()
    given = given.filter(texts.fill_null("") != "")
    rows = given[ROW].cast(pl.Int64, strict=False)
    known = rows.is_between(1, height).fill_null(False) & (
        rows.cast(pl.Float64) == given[ROW].cast(pl.Float64, strict=False)
    ).fill_null(False)
    if not known.all():
        wrong = given[ROW].filter(~known)[0]
        raise _bad(f"rows from 1 to {height}", f"row {wrong!r}")
    if rows.is_duplicated().any():
        twice = rows.filter(rows.is_duplicated())[0]
        raise _bad("each row once", f"row {twice} more than once")
    return given.with_columns(rows)


def _check_same_rows(given: pl.DataFrame, shown: pl.DataFrame, told: list[str]) -> None:
    """Refuse answers that were given to other rows than these."""
    rows = shown[(given[ROW] - 1).to_list()]
    for name in given.columns:
        if name not in shown.columns or name in (ROW, ANSWER, *told):
            continue
        same = _alike(given[name], rows[name])
        if not same.all():
            place = int((~same).arg_max() or 0)
            raise InputError(
                "the answers were given to other rows",
                expected=f"{name} = {rows[name][place]!r} in row {given[ROW][place]}, as in SOURCE",
                got=repr(given[name][place]),
                do="give the file that was written for this source, or leave its other columns out",
            )


def _alike(left: pl.Series, right: pl.Series) -> pl.Series:
    """Which cells are equal: as numbers where both are, else as text."""
    numbers = [column.cast(pl.Float64, strict=False) for column in (left, right)]
    near = (numbers[0] - numbers[1]).abs() <= 1e-6 * numbers[1].abs()
    texts = [column.cast(pl.String, strict=False).str.strip_chars() for column in (left, right)]
    texts = [text.str.to_lowercase().fill_null("") for text in texts]
    return near.fill_null(False) | (texts[0] == texts[1])


def _check_classes(given: pl.DataFrame, codes: Any, names: list[str]) -> None:
    if (codes >= 0).all():
        return
    place = int(np.flatnonzero(codes < 0)[0])
    text = str(given[ANSWER][place])
    near = suggest(text, names)
    raise InputError(
        f"the answer to row {given[ROW][place]} is a class that the network does not know",
        expected=f"one of {', '.join(names[:10])}",
        got=repr(text),
        do=f"did you mean {near!r}?" if near else "correct the answer, or leave the cell empty",
    )


def _bad(expected: str, got: str) -> InputError:
    return InputError(
        "the answers cannot be used",
        expected=expected,
        got=got,
        do="fill in the column answer of the file that --hand-over wrote",
    )
