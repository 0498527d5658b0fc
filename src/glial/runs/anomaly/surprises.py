"""How anomalous the steps of series are to a run that forecasts them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.core.errors import InputError
from glial.data.series import SeriesTable
from glial.runs.forecasts import forecasts, read_as_trained
from glial.runs.moments import Edges
from glial.runs.run import Run
from glial.runs.series import SeriesRows, series_rows
from glial.runs.ways import tune
from glial.tasks.series_anomaly import SeriesAnomaly

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Surprises:
    """What a run says of each step of some series.

    Attributes:
        table: The series.
        outputs: The score of each step and what each column adds to it, [step, 1 + column], in the
            task's terms; NaN where nothing can be told.
        expected: What was forecast, [step, column]; NaN likewise.
    """

    table: SeriesTable
    outputs: Tensor
    expected: Floats

    @property
    def told(self) -> NDArray[np.bool_]:
        """The steps that have a row in the source, and a score."""
        return np.asarray((self.table.rows >= 0) & ~np.isnan(self.outputs[:, 0].numpy()))

    def part(self, steps: NDArray[np.bool_]) -> tuple[Tensor, pl.DataFrame]:
        """The outputs of some steps that are told, and their rows of the source."""
        kept = np.flatnonzero(self.told & steps)
        return self.outputs[torch.from_numpy(kept)], self.table.frame[self.table.rows[kept]]

    def by_rows(self) -> tuple[Tensor, Floats]:
        """Outputs and forecasts, a row for each of the source's."""
        height, there = self.table.frame.height, self.table.rows >= 0
        outputs = torch.full((height, self.outputs.shape[1]), torch.nan, dtype=torch.float64)
        outputs[torch.from_numpy(self.table.rows[there])] = self.outputs[torch.from_numpy(there)]
        expected = np.full((height, self.expected.shape[1]), np.nan)
        expected[self.table.rows[there]] = self.expected[there]
        return outputs, expected


def anomaly_task(run: Run) -> SeriesAnomaly:
    """The task of a run on series."""
    task = run.decoder
    assert isinstance(task, SeriesAnomaly)  # noqa: S101 - narrows the type
    return task


def forecasting_run(run: Run) -> Run:
    """The run as one that forecasts the columns whose steps it scores."""
    task = anomaly_task(run).forecasting
    plan = run.plan.model_copy(
        update={
            "task": run.plan.task.model_copy(update={"name": "forecasting"}),
            "data": run.plan.data.model_copy(update={"target": list(task.targets)}),
        }
    )
    return replace(run, plan=plan, decoder=task)


def read_scored(run: Run, source: Any) -> Surprises:
    """What a run says of each step of a source.

    Args:
        run: The run.
        source: A long table with the columns that training had.

    Raises:
        InputError: If a column is missing, or the table holds no such series.
    """
    forecaster = forecasting_run(run)
    table = read_as_trained(forecaster, source)
    return surprises(run, forecaster, series_rows_of(forecaster, table))


def series_rows_of(forecaster: Run, table: SeriesTable) -> SeriesRows:
    """Series as a run looks at them."""
    task: Any = forecaster.decoder
    return series_rows(table, task, forecaster.encoding, table.ends)


def surprises(
    run: Run, forecaster: Run, rows: SeriesRows, *, learnt: Edges | None = None
) -> Surprises:
    """Score each step of series, in the order of time.

    Args:
        run: The run.
        forecaster: The same as one that forecasts.
        rows: The series.
        learnt: Where the parts end whose surprises the task is to know from now on; None leaves
            them as they are.
    """
    task, table, form = anomaly_task(run), rows.table, rows.windows.form
    firsts = table.edges[:-1] + form.least
    moments = torch.cat(
        [torch.arange(a, b) for a, b in zip(firsts, np.maximum(firsts, table.ends), strict=True)]
    )
    expected = np.full(table.values.shape, np.nan)
    if len(moments):
        found = task.forecasting.values(forecasts(forecaster, rows.windows, moments))
        expected[moments.numpy()] = found[:: form.horizon, :, task.forecasting.middle]
    if learnt is not None:
        task.largest = {}
    outputs = np.full((len(expected), 1 + len(task.columns)), np.nan)
    values, forecast = working(task, table.values), working(task, expected)
    gone = np.zeros(len(values), dtype=bool)
    if learnt is not None and (marked := _marked_steps(task, table)) is not None:
        gone = marked & _between(learnt.start, learnt.train, len(values))
    for number, name in enumerate(table.names):
        surprise = task.surprise(name)
        for step in range(int(table.edges[number]), int(table.ends[number])):
            if learnt is not None and step == learnt.train[number]:
                task.largest[name] = [[one.copy() for one in c] for c in surprise.largest]
            outputs[step, 0], outputs[step, 1:] = surprise.see(
                values[step], forecast[step], learns=not gone[step]
            )
    return Surprises(table, torch.from_numpy(outputs), expected)


def _marked_steps(task: SeriesAnomaly, table: SeriesTable) -> NDArray[np.bool_] | None:
    """Which steps are marked as anomalies; None where no column says so."""
    marked = task.marked(table.frame)
    return None if marked is None else np.where(table.rows >= 0, marked[table.rows], False)


def working(task: SeriesAnomaly, values: Floats) -> Floats:
    """Values as errors are told of: their logarithms, where these are learnt."""
    if not task.forecasting.logarithm:
        return values
    if np.nanmin(values, initial=1.0) <= 0:
        raise InputError(
            "values of 0 or less have no logarithm",
            expected="values above 0, as this run learns logarithms",
            got=f"{np.nanmin(values):g}",
            do="train with --set task.transform=none",
        )
    logarithms: Floats = np.log(values)
    return logarithms


def fit_series_threshold(run: Run, found: Surprises, edges: Edges) -> None:
    """Fit what the task asks for to steps that were not learnt from.

    These are the validation steps, and the marked ones of training, which weigh as much less as
    there are more of the normal ones that are left out.

    Args:
        run: The run.
        found: What it says of each step.
        edges: Where the parts of each series end; where there are no validation steps those of
            training stand in for them.
    """
    task = anomaly_task(run)
    train, val = (steps_of(found, edges, part) for part in ("train", "val"))
    if not (found.told & val).any():
        tune(task, *found.part(train), None)
        return
    known = _marked_steps(task, found.table)
    if known is None:
        tune(task, *found.part(val), None)
        return
    normal = [int((found.told & part & ~known).sum()) for part in (val, train)]
    steps = val | (train & known)
    weight = np.where(known, normal[0] / max(1, sum(normal)), 1.0)[found.told & steps]
    tune(task, *found.part(steps), weight)


def steps_of(found: Surprises, edges: Edges, part: str) -> NDArray[np.bool_]:
    """Which steps lie in ``train``, ``val`` or ``test``."""
    firsts = {"train": edges.start, "val": edges.train, "test": edges.val}[part]
    return _between(firsts, getattr(edges, part), len(found.outputs))


def _between(firsts: NDArray[np.int64], lasts: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Which of so many steps lie from a first up to its last."""
    steps = np.zeros(count, dtype=bool)
    for first, last in zip(firsts, lasts, strict=True):
        steps[first:last] = True
    return steps
