"""The way of series in which steps are told that are not as was to be expected."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from torch import nn

from glial.core.errors import InputError, unknown_name
from glial.data import Encoding, check_target, infer_kind, read, to_kind_of
from glial.data.batches import Batch, Batches
from glial.data.series import find_time, read_series
from glial.runs import forecasting
from glial.runs.anomaly.surprises import (
    Surprises,
    anomaly_task,
    fit_series_threshold,
    forecasting_run,
    read_scored,
    series_rows_of,
    steps_of,
    surprises,
)
from glial.runs.forecasting import ForecastReady
from glial.runs.plan import Plan
from glial.runs.request import Request
from glial.runs.run import Run
from glial.runs.ways import SERIES_ANOMALY, Judged, Way
from glial.tasks import trivial_scores
from glial.tasks.anomaly import Anomaly
from glial.tasks.series_anomaly import SeriesAnomaly
from glial.tasks.task import Loss
from glial.training import Objective
from glial.training.objective import Mass

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "forecast_rnn"


@dataclass
class SeriesAnomalyReady:
    """Everything before the first step of a network whose surprises are to be told.

    Attributes:
        request: What was asked for.
        plan: The plan, but for what is measured.
        task: What is learnt, and how steps are scored.
        forecast: Everything before the first step of its forecasts; marked steps are missing.
        frame: The source.
        network: The network.
        sizes: What ``model.json`` holds.
    """

    request: Request
    plan: Plan
    task: SeriesAnomaly
    forecast: ForecastReady
    frame: pl.DataFrame
    network: nn.Module
    sizes: dict[str, Any]
    _found: Surprises | None = None

    @property
    def encoding(self) -> Encoding:
        """How what is known in advance becomes numbers."""
        return self.forecast.encoding

    @property
    def fingerprint(self) -> str:
        """What tells the source's rows from others."""
        return self.forecast.fingerprint

    @property
    def loss(self) -> Loss:
        """That of forecasts."""
        return self.task.loss

    @property
    def mass(self) -> Mass:
        """How many values are known."""
        return self.task.mass

    def batches(self) -> Batches:
        """The batches to train on."""
        return self.forecast.batches()

    def example(self) -> Batch:
        """A batch as the network learns from it."""
        return self.forecast.example()

    def sampled(self, split: str) -> Batch | None:
        """Some windows of ``train`` or ``val``, spread over all."""
        return self.forecast.sampled(split)

    def objective(self, plan: Plan) -> Objective:
        """What changes the network."""
        return self.forecast.objective(plan)

    def validator(self, run: Run) -> Callable[[], dict[str, float]] | None:
        """Figures of forecasts of the steps that are kept back."""
        return self.forecast.validator(run)

    def judged(self, run: Run, split: str) -> Judged | None:
        """How right scores are; surprises and threshold are learnt before ``val`` is judged."""
        edges = self.forecast.prepared.edges
        if self._found is None:
            forecaster = forecasting_run(run)
            columns = self.forecast.prepared.rows.table.columns
            table = read_series(self.frame, columns, self.task.forecasting.frequency)
            rows = series_rows_of(forecaster, table)
            self._found = surprises(run, forecaster, rows, learnt=edges)
            fit_series_threshold(run, self._found, edges)
        return judged(run, self._found, steps_of(self._found, edges, split), split == "test")


def judged(run: Run, found: Surprises, steps: Any, baseline: bool) -> Judged | None:
    """How right scores and threshold are for some steps; None where there are none."""
    outputs, frame = found.part(steps)
    if not frame.height:
        return None
    task = anomaly_task(run)
    trivial = trivial_scores(task, frame, None) if baseline else {}
    return Judged(task.scores(outputs, frame), trivial)


def make_ready(request: Request, plan: Plan) -> SeriesAnomalyReady:
    """Series, network and windows of a plan, before any of it is trained.

    Args:
        request: What was asked for.
        plan: The plan, or the one of an unfinished run.

    Raises:
        InputError: If the source or the plan cannot be used.
    """
    _check_plan(request, plan)
    frame = read(plan.data.source if request.source is None else request.source)
    marks = [plan.data.target] if isinstance(plan.data.target, str) else []
    for name in marks:
        if name not in frame.columns:
            raise unknown_name("column", name, frame.columns)
    frame = check_target(frame, marks, plan.task.name, varied=False)
    time = find_time(frame, plan.data.split.time, marks)
    columns = _value_columns(plan, frame, [*marks, time, plan.data.split.group])
    known = Anomaly.fit(frame, marks, plan.task, None)
    learnt = frame
    if (marked := known.marked(frame)) is not None:
        gone = pl.Series(marked)
        learnt = frame.with_columns(
            pl.when(~gone).then(pl.col(name)).alias(name) for name in columns
        )
    ready = forecasting.make_ready(
        replace(request, source=learnt), _forecasting_plan(plan, columns, time)
    )
    made = ready.plan
    asked = made.task.model_copy(update={"name": plan.task.name})
    data = made.data.model_copy(update={"target": plan.data.target})
    plan = made.model_copy(update={"task": asked, "data": data})
    target = marks[0] if marks else None
    task = SeriesAnomaly(ready.task, target, known.marks, plan.task)
    sizes = {**ready.sizes, "source": SERIES_ANOMALY}
    return SeriesAnomalyReady(request, plan, task, ready, frame, ready.network, sizes)


def _check_plan(request: Request, plan: Plan) -> None:
    """Refuse what scores of steps have no use for."""
    task = plan.task
    unfit = {
        "several targets": plan.data.target if isinstance(plan.data.target, list) else None,
        "a loss of your own": request.loss,
        "task.known": None if task.known in ("auto", []) else task.known,
        "task.horizon": None if task.horizon in ("auto", 1) else task.horizon,
        "task.strategy": None if task.strategy == "direct" else task.strategy,
    }
    for key, value in unfit.items():
        if value is not None:
            raise InputError(
                f"{key} does not fit the task {task.name} of series",
                expected="columns of numbers, of which the next step is forecast",
                got=repr(value),
                do="leave it out",
            )


def _value_columns(plan: Plan, frame: pl.DataFrame, aside: list[str | None]) -> list[str]:
    """The columns whose steps are scored: all of numbers that are nothing else."""
    kinds = {
        name: plan.data.types.get(name) or infer_kind(frame[name])
        for name in frame.columns
        if name not in aside
    }
    found = [name for name, kind in kinds.items() if kind == "number"]
    for name in kinds.keys() - set(found):
        logger.warning("column %r is left aside: a %s has no series", name, kinds[name])
    if not found:
        raise InputError(
            "there is no series to watch",
            expected="at least one column of numbers beside times, groups and marks",
            got=", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "none",
            do="name kinds with --set data.types.COLUMN=number",
        )
    return found


def _forecasting_plan(plan: Plan, columns: list[str], time: str | None) -> Plan:
    """The plan of the forecasts that surprises are told by: of the next step, by its past."""
    changes = {"name": "forecasting", "known": [], "horizon": 1}
    name = DEFAULT_MODEL if plan.model["name"] == "auto" else plan.model["name"]
    split = plan.data.split.model_copy(update={"time": time})
    data = plan.data.model_copy(update={"target": columns, "split": split})
    return plan.model_copy(
        update={
            "task": plan.task.model_copy(update=changes),
            "data": data,
            "model": {**plan.model, "name": name},
        }
    )


def _predict(run: Run, source: Any) -> Any:
    """Of each row whether it is an anomaly, its score, because of what, and what was expected."""
    task = anomaly_task(run)
    outputs, expected = read_scored(run, source).by_rows()
    table = task.decode(outputs).frame().with_columns(pl.col("score").fill_nan(None))
    names = ["expected"] if len(task.columns) == 1 else [f"expected_{n}" for n in task.columns]
    told = [pl.Series(n, expected[:, i]).fill_nan(None) for i, n in enumerate(names)]
    return to_kind_of(table.with_columns(told), source)


def _evaluate(run: Run, source: Any) -> dict[str, Any]:
    """``metrics``, ``baseline`` and ``details`` of a run on a source."""
    task = anomaly_task(run)
    found = read_scored(run, source)
    check_target(
        found.table.frame,
        [n for n in task.targets if n in found.table.frame.columns],
        run.task,
        varied=False,
    )
    every = np.ones(len(found.outputs), dtype=bool)
    told = judged(run, found, every, baseline=True)
    if told is None:
        raise InputError(
            "no step of these series can be scored",
            expected="at least 21 steps behind the first season and a half",
            got=f"{found.table.frame.height} rows",
            do="give longer series",
        )
    return {
        "metrics": told.metrics,
        "baseline": told.baseline,
        "details": task.details(*found.part(every)),
    }


SERIES_ANOMALY_WAY = Way(make_ready, _predict, _evaluate)
