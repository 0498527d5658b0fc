"""A look at a source before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from glial.data import QualityReport, Splits, inspect_quality, read
from glial.data.cells import missing
from glial.data.splits import Rows
from glial.runs.request import make_request
from glial.runs.rows import read_tables, targets_of


def inspect(
    source: Any,
    target: str | Sequence[str] | None = None,
    *,
    set: Mapping[str, Any] | None = None,
) -> QualityReport:
    """What a source is like: copies, leaks, labels that look wrong, shifts between its splits.

    The splits are those that :func:`glial.train` makes of the same source with the same changes.

    Args:
        source: As for :func:`glial.train`.
        target: The column or columns to predict; named data sets know theirs.
        set: Dotted keys of the plan and their values, such as ``{"data.split.group": "patient"}``.

    Returns:
        The report. Rows are counted from 0 in the table that they came from: the source's own,
        or the file of the split.

    Raises:
        InputError: If training would refuse the source, the target or a key.

    Example:
        >>> report = inspect("iris")
        >>> report.giveaways, report.rows
        ([], {'train': 105, 'val': 23, 'test': 22})
    """
    changes = dict(set or {})
    if target is not None:
        changes["data.target"] = target if isinstance(target, str) else list(target)
    request = make_request(source, changes)
    frame = read(request.plan.data.source if request.source is None else request.source)
    # Copies are looked for, so none is dropped first.
    data = request.plan.data.model_copy(update={"duplicates": "keep"})
    asked = request.plan.model_copy(update={"data": data})
    plan, tables, aside = read_tables(asked, frame)
    targets = targets_of(plan)
    split = plan.data.split
    return inspect_quality(
        tables.train,
        tables.val,
        tables.test,
        targets,
        {name: kind for name, kind in plan.data.types.items() if name not in aside},
        str(plan.task.name),
        seed=plan.train.seed,
        split_by=split.time or split.group,
        row_numbers=_row_numbers(frame, tables.splits, targets, (plan.data.val, plan.data.test)),
    )


def _row_numbers(
    frame: pl.DataFrame, splits: Splits, targets: list[str], files: Sequence[str | None]
) -> list[Rows]:
    """The number of each split's rows in the table that they came from."""
    known = _with_target(frame, targets)
    own = [None if path is None else _with_target(read(path), targets) for path in files]
    return [
        known[rows] if other is None else other
        for rows, other in zip(splits, [None, *own], strict=True)
    ]


def _with_target(frame: pl.DataFrame, targets: list[str]) -> Rows:
    """The rows that training keeps: those whose targets are all known."""
    gone = np.zeros(frame.height, dtype=bool)
    for name in targets:
        gone |= missing(frame[name]).to_numpy()
    return np.flatnonzero(~gone)
