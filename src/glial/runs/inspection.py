"""A look at a source before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from glial.data import QualityReport, inspect_quality, read, read_source
from glial.data.cells import missing
from glial.data.sources import is_of_files
from glial.data.splits import Rows
from glial.runs.request import make_request
from glial.runs.rows import read_rows, read_tables, targets_of


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
    data = request.plan.data
    found = read_source(data.source if request.source is None else request.source, data.names)
    # Copies are looked for, so none is dropped first.
    data = data.model_copy(update={"duplicates": "keep"})
    asked = request.plan.model_copy(update={"data": data})
    rows = read_rows(asked, found)
    plan, tables, aside = read_tables(asked, rows)
    targets = targets_of(plan)
    val, test = (
        own if path is None else read(path, data.names if is_of_files(path) else None)
        for own, path in ((found.val, data.val), (found.test, data.test))
    )
    own = {"train": found.frame, "val": val, "test": test}
    numbers = {
        name: _with_target(table, targets)[rows.kept[name]]
        for name, table in own.items()
        if table is not None
    }
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
        row_numbers=[
            numbers[name] if name != "train" and name in numbers else numbers["train"][part]
            for name, part in tables.splits._asdict().items()
        ],
    )


def _with_target(frame: pl.DataFrame, targets: list[str]) -> Rows:
    """The rows that training keeps: those whose targets are all known."""
    gone = np.zeros(frame.height, dtype=bool)
    for name in targets:
        gone |= missing(frame[name]).to_numpy()
    return np.flatnonzero(~gone)
