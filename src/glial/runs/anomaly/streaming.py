"""Scores of a stream's rows as they come, in bounded memory: those that the whole table would have.

A run that learnt series is fed one row after the other. What is kept of a stream is its last
steps, as many as the network looks back on, a few sums, and the largest surprises so far; it can be
written down and taken up again in another process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from glial.core.errors import InputError
from glial.data.cells import numbers
from glial.data.series import calendar_columns
from glial.data.series.windows import FARTHEST, LEAST_SCALE
from glial.functional.tails import Largest
from glial.runs.anomaly.surprises import anomaly_task, working
from glial.runs.loading import load
from glial.runs.run import Run
from glial.runs.ways import SERIES_ANOMALY
from glial.training import outputs_of

Floats = NDArray[np.float64]
MOST_GAP = 10_000  # steps without a row that are filled


class Seen(NamedTuple):
    """What is said of a row.

    Attributes:
        prediction: Whether it is an anomaly, as `glial.predict` spells it.
        score: How anomalous it is; NaN where nothing can be told yet.
        because: The columns that made it one, see [anomalies](anomalies.md).
        expected: What was forecast for each column; NaN likewise.

    Example:
        >>> Seen("normal", 0.1, "", {"y": 2.0}).expected
        {'y': 2.0}
    """

    prediction: Any
    score: float
    because: str
    expected: dict[str, float]


class AnomalyStream:
    """Scores rows one after the other as a run would score the whole table.

    Rows of several series may come in any mixture; those of one come in the order of time. Steps
    without a row are filled as in a table.

    Args:
        run: A run of the task ``anomaly`` on series, or its folder.

    Raises:
        InputError: If the run is none of series.

    Example:
        >>> import glial
        >>> frame = pl.DataFrame({"step": range(80), "y": [float(i % 6) for i in range(80)]})
        >>> run = glial.train(frame, task="anomaly", time="step", epochs=1, out=False)
        >>> stream = AnomalyStream(run)
        >>> seen = [stream.see(row) for row in frame.iter_rows(named=True)]
        >>> stream.see({"step": 80, "y": 60.0}).prediction
        'anomaly'
    """

    def __init__(self, run: Run | str | Path) -> None:
        self.run = run if isinstance(run, Run) else load(run)
        if self.run.sizes.get("source") != SERIES_ANOMALY:
            raise InputError(
                "this run scores no streams",
                expected="a run of the task anomaly on series: --task anomaly --time COLUMN",
                got=f"the task {self.run.task}",
                do="train one",
            )
        self._task = anomaly_task(self.run)
        split = self.run.plan.data.split
        self._time, self._group = split.time, split.group
        self._series: dict[str, _Past] = {}

    def see(self, row: Mapping[str, Any]) -> Seen:
        """Score one row, and remember it.

        Args:
            row: Values by their columns' names; None or NaN where missing.

        Raises:
            InputError: If a column is missing, or a time is not behind the last one.
        """
        wanted = [*self._task.columns, *([self._time] if self._time else [])]
        wanted += [self._group] if self._group else []
        for name in wanted:
            if name not in row:
                raise InputError(
                    f"the row has no {name!r}",
                    expected=", ".join(wanted),
                    got=", ".join(row),
                    do="give it, with None where its value is missing",
                )
        key = "" if self._group is None else str(row[self._group])
        past = self._series.get(key)
        if past is None:
            past = self._series[key] = _Past(self, key)
        cells = [numbers(pl.Series(name, [row[name]])) for name in self._task.columns]
        values = pl.concat([cell.cast(pl.Float64).alias("value") for cell in cells])
        return past.see(row, values.fill_null(math.nan).to_numpy())

    def state(self) -> dict[str, Any]:
        """What is remembered, as plain values that JSON holds."""
        return {name: past.state() for name, past in self._series.items()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from where another stream of the same run was.

        Args:
            state: What it remembered.

        Raises:
            InputError: If that is no such state.
        """
        try:
            self._series = {
                name: _Past.from_state(self, name, _State.model_validate(held))
                for name, held in state.items()
            }
        except (ValidationError, ValueError, AttributeError) as error:
            raise InputError(
                "this is no state of a stream",
                expected="what state() gave",
                got=str(error).splitlines()[0],
                do="begin anew",
            ) from error


class _Past:
    """What is remembered of one series."""

    def __init__(self, stream: AnomalyStream, name: str) -> None:
        task = stream._task
        self._run, self._task, self._time = stream.run, task, stream._time
        self._form, self._frequency = task.forecasting.form, task.forecasting.frequency
        self._surprise = task.surprise(name)
        columns = len(task.columns)
        self.count, self.place = 0, 0
        self.values = np.zeros((0, columns))
        self.observed = np.zeros((0, columns), dtype=bool)
        self.changes, self.changed = np.zeros(columns), np.zeros(columns)

    def see(self, row: Mapping[str, Any], values: Floats) -> Seen:
        if self.count == 0 and np.isnan(values).any():
            return self._told(math.nan, values * math.nan, values * math.nan)
        place = self._place_of(row)
        for missing in range(self.place + 1, place) if self.count else ():
            self._see(missing, np.full_like(values, np.nan))
        return self._see(place, values)

    def _place_of(self, row: Mapping[str, Any]) -> int:
        if self._time is None or self._frequency.unit == "row":
            return self.place + 1
        place = int(self._frequency.places(pl.Series(self._time, [row[self._time]]))[0])
        if self.count and not self.place < place <= self.place + MOST_GAP:
            raise InputError(
                "the row does not follow the last one",
                expected=f"a time behind the last, by at most {MOST_GAP:,} steps",
                got=f"{row[self._time]!r}, {place - self.place:,} steps behind it",
                do="give rows in the order of time, each once; after a long gap begin a new stream",
            )
        return place

    def _see(self, place: int, values: Floats) -> Seen:
        plain = self._forecast(place)
        values = working(self._task, values)
        score, parts = self._surprise.see(values, working(self._task, plain))
        self._keep(values)
        self.place = place
        return self._told(score, parts, plain)

    def _told(self, score: float, parts: Floats, expected: Floats) -> Seen:
        outputs = torch.from_numpy(np.concatenate([[score], parts])[None])
        told = self._task.decode(outputs).frame().row(0, named=True)
        columns = dict(zip(self._task.columns, expected.tolist(), strict=True))
        return Seen(told["prediction"], score, told.get("because") or "", columns)

    def _forecast(self, place: int) -> Floats:
        """What is to be expected of a step, by those before; NaN while there are too few."""
        form = self._form
        if self.count < form.least:
            return np.full(self.values.shape[1], np.nan)
        steps = np.arange(self.count - form.context, self.count)
        # Where the series began later, its first season stands for what was before.
        steps = np.minimum(np.where(steps < 0, steps % form.season, steps), self.count - 1)
        kept = steps - (self.count - len(self.values))
        past = self.values[kept]
        level = past[-form.season :].mean(axis=0)
        scale = np.maximum(self._scale(), LEAST_SCALE * np.abs(level))
        scale = np.where(scale > 0, scale, 1.0)
        history = np.clip((past - level) / scale, -FARTHEST, FARTHEST)
        inputs = [torch.from_numpy(history[None]).float()]
        if self._run.encoding.encoders:
            places = np.append(place - (self.count - steps), place)
            known = self._run.encoding.transform(calendar_columns(self._frequency, places))
            inputs.append(known.numbers.float()[None])
        outputs = outputs_of(self._run.model, tuple(inputs))
        task = self._task.forecasting
        units = [torch.from_numpy(part[None, None]) for part in (level, scale)]
        found = task.values(task.unscaled(outputs, *units))
        expected: Floats = found[0, :, task.middle]
        return expected

    def _scale(self) -> Floats:
        changes, changed = self.changes, self.changed
        if self._form.scaling == "window":
            season, there = self._form.season, min(self._form.context, self.count)
            values, observed = self.values[-there - season :], self.observed[-there - season :]
            known = observed[season:] & observed[:-season]
            changes = (np.abs(values[season:] - values[:-season]) * known).sum(axis=0)
            changed = known.sum(axis=0)
        scale: Floats = changes / np.maximum(changed, 1.0)
        return scale

    def _keep(self, values: Floats) -> None:
        """Add a step, its gaps filled by a season ago, and forget what nothing looks back on."""
        season, observed = self._form.season, ~np.isnan(values)
        if self.count:
            before = self.values[-season if self.count >= season else -1]
            values = np.where(observed, values, before)
        if self.count >= season:
            known = observed & self.observed[-season]
            self.changes = self.changes + np.abs(values - self.values[-season]) * known
            self.changed = self.changed + known
        kept = self._form.context + season
        self.values = np.concatenate([self.values, values[None]])[-kept:]
        self.observed = np.concatenate([self.observed, observed[None]])[-kept:]
        self.count += 1

    def state(self) -> dict[str, Any]:
        surprise = self._surprise
        return {
            "count": self.count,
            "place": self.place,
            "values": self.values.tolist(),
            "observed": self.observed.tolist(),
            "changes": self.changes.tolist(),
            "changed": self.changed.tolist(),
            "largest": [[[one.seen, one.held] for one in c] for c in surprise.largest],
            "seen": surprise.count.tolist(),
            "total": surprise.total.tolist(),
        }

    @classmethod
    def from_state(cls, stream: AnomalyStream, name: str, held: _State) -> _Past:
        past, columns = cls(stream, name), len(stream._task.columns)
        shapes = [len(row) for part in (held.values, held.observed) for row in part]
        lists = (held.changes, held.changed, held.largest, held.seen, held.total)
        sizes = {columns} | {len(part) for part in lists} | set(shapes)
        steps = min(held.count, past._form.context + past._form.season)
        if sizes != {columns} or len(held.values) != steps or len(held.observed) != steps:
            raise ValueError("the sizes are not those of this run")
        past.count, past.place = held.count, held.place
        past.values = np.array(held.values).reshape(-1, columns)
        past.observed = np.array(held.observed, dtype=bool).reshape(-1, columns)
        past.changes, past.changed = np.array(held.changes), np.array(held.changed)
        surprise = past._surprise
        surprise.largest = [[Largest(seen=n, held=h) for n, h in c] for c in held.largest]
        surprise.count, surprise.total = np.array(held.seen), np.array(held.total)
        return past


class _State(BaseModel):
    """What is written down of one series."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    count: int = Field(ge=0)
    place: int
    values: list[list[float]]
    observed: list[list[bool]]
    changes: list[float]
    changed: list[float]
    largest: list[list[tuple[int, list[float]]]]
    seen: list[int]
    total: list[float]
