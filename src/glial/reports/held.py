"""The rows by which a run is judged: those of its own test split, or rows that were given."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from glial.core.errors import InputError
from glial.core.seeds import numpy_generator
from glial.data import read
from glial.data.sources import is_of_files
from glial.runs import Plan, Run
from glial.runs.forecasts import Forecasted, forecasted
from glial.runs.origin import plans_found
from glial.runs.pairs import read_pairs
from glial.runs.rows import Tables, read_rows, read_tables
from glial.runs.series import PreparedSeries, prepare_series

logger = logging.getLogger(__name__)

# Ways whose rows are those of a table with targets.
BY_ROWS = ("table", "generate", "reduce", "anomaly", "cluster")


@dataclass
class Held:
    """Rows for a report.

    Attributes:
        why: Why there are none, or what is to be known of them; empty where all is plain.
        judged: The rows by which the run is judged: what `glial.evaluate` takes; None of none.
        called: What these are: ``test``, ``val`` or ``given``.
        tables: All rows of the source by their splits, where they were divided.
        series: The series, of a run that forecasts.
        forecasts: What the run forecasts for the judged moments.
        total: How many there were before some were drawn.
        same: Whether the source holds the rows of the training.
        path: What was read, where it has a name; a list of several.

    Example:
        >>> Held().frame is None
        True
    """

    why: str = ""
    judged: Any = None
    called: str = "test"
    tables: Tables | None = None
    series: PreparedSeries | None = None
    forecasts: Forecasted | None = None
    total: int = 0
    same: bool = False
    path: str | list[str] | None = None

    @property
    def frame(self) -> pl.DataFrame | None:
        """The judged rows as a table; None where they are none."""
        return self.judged if isinstance(self.judged, pl.DataFrame) else None

    @property
    def words(self) -> str:
        """What the judged rows are called in a sentence."""
        named = {
            "test": "test rows, which it never saw while it learnt",
            "val": "validation rows, which chose when training ended",
            "given": "rows that were given for this report",
        }
        return named[self.called]


def hold(
    run: Run | None,
    plan: Plan,
    source: Any,
    *,
    folder: Path | None = None,
    fingerprint: str | None = None,
    most: int = 20_000,
    seed: int = 0,
) -> Held:
    """Find the rows of a run, as it divided them, or take those that were given.

    Args:
        run: The run; None where its network cannot be opened.
        plan: Its plan.
        source: Rows that were given; None for the run's own source.
        folder: Where the run lies, near which its source may.
        fingerprint: What told the run's rows from others when it began.
        most: Rows that are judged at most; of more, so many are drawn.
        seed: Of this draw.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> held = hold(run, run.plan, None)
        >>> held.called, held.frame.height
        ('test', 22)
    """
    if run is not None and run.takes_batches:
        if source is None:
            return Held(
                why="The run learnt from a loader in somebody's own code, so its rows cannot be "
                "read again here. Give a loader: glial.report(run, loader)."
            )
        return Held(judged=source, called="given")
    if source is None and not plan.data.source:
        return Held(
            why="The run learnt from a table in memory, so its rows cannot be read again. Give "
            "them as the second argument: glial report RUN SOURCE."
        )
    way = "table" if run is None else str(run.sizes.get("source", "table"))
    if run is not None and run.members:
        way = str(run.members[0].sizes.get("source", "table"))
    found: list[Held] = []
    for told in plans_found(plan, folder) if source is None else [plan]:
        try:
            held = _held(run, told, source, way, fingerprint)
        except InputError as error:
            found.append(Held(why=f"The rows could not be read: {error}"))
            continue
        if held.tables or held.series or held.judged is not None:
            held.path = _path(told.data.source if source is None else source)
        found.append(held)
        if held.same:
            break
    best = max(found, key=lambda held: (held.same, held.path is not None))
    return _bounded(best, most, seed)


def _path(source: Any) -> str | list[str] | None:
    if isinstance(source, list) and all(isinstance(one, (str, Path)) for one in source):
        return [str(one) for one in source]
    return str(source) if isinstance(source, (str, Path)) else None


def _held(run: Run | None, plan: Plan, source: Any, way: str, fingerprint: str | None) -> Held:
    given = plan.data.source if source is None else source
    if way == "forecasting":
        return _series(run, plan, given, fingerprint, is_own=source is None)
    if way == "translation":
        _, tables, _ = read_pairs(plan, given)
        return _of_tables(tables, fingerprint, given, is_own=source is None, plan=plan)
    if way not in BY_ROWS or (run is None and way != "table"):
        if source is None:
            return Held(why="")
        return Held(judged=source, called="given")
    _, tables, _ = read_tables(plan, read_rows(plan, given))
    return _of_tables(tables, fingerprint, given, is_own=source is None, plan=plan)


def _of_tables(
    tables: Tables, fingerprint: str | None, given: Any, *, is_own: bool, plan: Plan
) -> Held:
    same = fingerprint is None or tables.fingerprint == fingerprint
    if not same and not is_own:
        frame = read(given, plan.data.names if is_of_files(given) else None)
        return Held(judged=frame, called="given", total=frame.height)
    why = ""
    if not same:
        why = (
            "The source has changed since the run was trained: the rows are divided anew, and "
            "some of those that judge it may be rows that it learnt from."
        )
    called = "test" if tables.test.height else "val"
    frame = tables.test if tables.test.height else tables.val
    if not frame.height:
        return Held(why="The run kept no rows back to be judged by.", tables=tables, same=same)
    return Held(why, frame, called, tables, total=frame.height, same=same)


def _series(
    run: Run | None, plan: Plan, given: Any, fingerprint: str | None, *, is_own: bool
) -> Held:
    prepared = prepare_series(plan, given)
    same = fingerprint is None or prepared.fingerprint == fingerprint
    held = Held(series=prepared, same=same)
    if run is None:
        return held
    if not same and not is_own:
        held.forecasts, held.called = forecasted(run, given), "given"
    else:
        rows, stride = prepared.rows, run.plan.task.stride
        for split in ("test", "val"):
            moments = prepared.edges.moments(split, rows.windows.form, stride)
            if moments.shape[0]:
                held.forecasts, held.called = Forecasted.of(run, rows, moments), split
                break
        if not same:
            held.why = "The source has changed since the run was trained."
    if held.forecasts is not None:
        held.judged, held.total = held.forecasts, len(held.forecasts.moments)
    return held


def _bounded(held: Held, most: int, seed: int) -> Held:
    frame = held.frame
    if frame is None or frame.height <= most:
        return held
    drawn = numpy_generator(seed, "report").choice(frame.height, most, replace=False)
    held.judged = frame[np.sort(drawn)]
    held.why = (held.why + f" Of {held.total:,} rows, {most:,} drawn by lot are judged.").strip()
    return held
