"""What a run on series forecasts, and how good that is from many moments on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.data import read, to_kind_of
from glial.data.series import Gathered, SeriesTable, Windows, read_series
from glial.nn.summary import evaluating
from glial.runs.moments import moments_between
from glial.runs.run import Run
from glial.runs.series import SeriesRows, find_columns, series_rows
from glial.runs.ways import Judged
from glial.tasks.forecasting import Forecasting
from glial.training import outputs_of

MOMENTS_AT_ONCE = 512


def forecasts(run: Run, windows: Windows, moments: Tensor) -> Tensor:
    """What a run forecasts from moments on, a row for each step, [row, target * quantile].

    Args:
        run: The run.
        windows: The series, with windows of the run's whole horizon.
        moments: The steps whose values are the first to be forecast.
    """
    task: Any = run.decoder
    recursive = run.plan.task.strategy == "recursive"
    parts = []
    for some in torch.split(moments, MOMENTS_AT_ONCE):
        found = windows.gather(some)
        if recursive:
            outputs = _step_by_step(run.model, found, task)
        else:
            outputs = outputs_of(run.model, _inputs(found.history, found.known))
        parts.append(task.unscaled(outputs, found.level, found.scale))
    return torch.cat(parts)


def _inputs(history: Tensor, known: Tensor) -> tuple[Tensor, ...]:
    return (history, known) if known.shape[2] else (history,)


def _step_by_step(model: nn.Module, found: Gathered, task: Forecasting) -> Tensor:
    """Outputs of a network of one step, each point forecast taken for known by the next."""
    history, season, steps = found.history, task.form.season, []
    with evaluating(model), torch.inference_mode():
        for step in range(task.form.horizon):
            level = history[:, -season:].mean(dim=1, keepdim=True)
            known = found.known[:, step : step + history.shape[1] + 1]
            outputs = outputs_of(model, _inputs(history - level, known))
            parts = task.split(outputs).mean(dim=1) + level[..., None]
            steps.append(parts)
            history = torch.cat([history[:, 1:], parts[..., task.middle]], dim=1)
    return torch.cat(steps, dim=1).flatten(1)


@dataclass(frozen=True)
class Forecasted:
    """What a run forecasts from many moments, and what came; a row for each step of each moment.

    Attributes:
        task: The task.
        outputs: The forecasts, [row, target * quantile].
        truth: What came, [row, target]; NaN where unknown.
        naive: The seasonal naive forecasts, likewise.
        scale: What errors are divided by, likewise.
        moments: The step that each moment's forecasts begin with, [moment].
        series: The series of each moment, [moment].
    """

    task: Forecasting
    outputs: Tensor
    truth: NDArray[np.float64]
    naive: NDArray[np.float64]
    scale: NDArray[np.float64]
    moments: NDArray[np.int64]
    series: NDArray[np.int64]

    @classmethod
    def of(cls, run: Run, rows: SeriesRows, moments: Tensor) -> Forecasted:
        """What a run forecasts from moments of series."""
        task: Any = run.decoder
        truth = rows.truth(moments)
        shape = (-1, truth.shape[2])
        return cls(
            task,
            forecasts(run, rows.windows, moments),
            truth.reshape(shape),
            rows.naive(moments).reshape(shape),
            np.broadcast_to(rows.scales(moments), truth.shape).reshape(shape),
            moments.numpy(),
            rows.windows.series_of(moments).numpy(),
        )

    def judged(self) -> Judged:
        """How good the forecasts are, beside the seasonal naive ones."""
        columns = {name: self.truth[:, i] for i, name in enumerate(self.task.targets)}
        columns |= {f"scale_{name}": self.scale[:, i] for i, name in enumerate(self.task.targets)}
        metrics = self.task.scores(self.outputs, pl.DataFrame(columns))
        return Judged(metrics, self.task.point_scores(self.naive, self.truth, self.scale))


def predict(run: Run, source: Any) -> Any:
    """Forecasts: of the rows at the end of each series that have no target, or of what follows.

    Args:
        run: The run.
        source: A long table with the columns that training had.

    Returns:
        A table of the caller's kind, by series and time: the column of series, that of times,
        ``prediction`` (``prediction_<name>`` with several targets) and ``prediction_<quantile>``.
        Where any series ends in rows without targets, these are forecast; where none does, the
        next steps of each, as many as the horizon.

    Raises:
        InputError: If columns are missing, or more steps are asked for than the run forecasts.

    Example:
        >>> import glial
        >>> frame = {"step": list(range(60)), "y": [float(i % 6) for i in range(60)]}
        >>> run = glial.train(frame, "y", task="forecasting", time="step", epochs=1, out=False)
        >>> predict(run, frame)["step"].to_list()
        [60, 61, 62, 63, 64, 65]
    """
    task: Any = run.decoder
    table = read_as_trained(run, source)
    behind = table.edges[1:] - table.ends
    horizon = task.form.horizon
    if behind.max() > horizon:
        series = int(behind.argmax())
        name = f" of the series {table.names[series]!r}" if table.names[series] else ""
        raise InputError(
            f"more steps{name} are to be forecast than this run can",
            expected=f"at most {horizon} steps behind the last known value",
            got=str(int(behind.max())),
            do=f"leave the later rows out, or train with --set task.horizon={int(behind.max())}",
        )
    if task.known and not behind.any():
        raise InputError(
            "nothing is known of the steps that are to be forecast",
            expected=f"rows behind the last known value, with {', '.join(task.known)} and an "
            "empty target",
            got="no such rows",
            do="add them: a row for each step that is to be forecast",
        )
    asked = np.flatnonzero(behind) if behind.any() else np.arange(len(behind))
    wide = table.extended(horizon)
    rows = series_rows(wide, task, run.encoding, wide.ends)
    moments = torch.from_numpy(wide.ends[asked])
    frame = task.decode(forecasts(run, rows.windows, moments)).frame()
    steps = (wide.ends[asked][:, None] + np.arange(horizon)).ravel()
    columns = list(_told(wide, steps, np.repeat(asked, horizon)))
    found = pl.DataFrame(columns).hstack(frame.get_columns())
    if behind.any():
        found = found.filter(pl.Series(wide.rows[steps] >= 0))
    return to_kind_of(found, source)


def _told(table: SeriesTable, steps: Any, series: Any) -> Iterator[pl.Series]:
    """The columns that say which series and when."""
    columns = table.columns
    if columns.group is not None:
        yield pl.Series(columns.group, [table.names[number] for number in series])
    times = table.frequency.times(table.places[steps])
    name = columns.time or "step"
    if columns.time is not None and table.frame[columns.time].dtype.is_temporal():
        moments = table.frequency.moments(table.places[steps])
        assert moments is not None  # noqa: S101 - narrows the type
        yield moments.cast(table.frame[columns.time].dtype).alias(name)
    elif columns.time is not None:
        # Times that the source has keep its spelling.
        own = table.rows[steps]
        cells = table.frame[columns.time].gather(np.maximum(own, 0)).cast(pl.String)
        spelt = times.cast(pl.String).zip_with(pl.Series(own < 0), cells)
        is_number = table.frame[columns.time].dtype.is_numeric()
        yield (times if is_number else spelt).alias(name)
    else:
        yield times.alias(name)


def read_as_trained(run: Run, source: Any) -> SeriesTable:
    """The series of a source, read with the columns and the grid of times of a run.

    Args:
        run: The run.
        source: A long table.

    Raises:
        InputError: If a column is missing, or the table holds no such series.
    """
    task: Any = run.decoder
    frame = read(source)
    wanted = [*task.known, run.plan.data.split.time, run.plan.data.split.group]
    lacking = [name for name in wanted if name is not None and name not in frame.columns]
    if lacking:
        raise InputError(
            f"the column {lacking[0]!r} is missing",
            expected=", ".join([name for name in wanted if name is not None]),
            got=", ".join(frame.columns),
            do="give a table with the columns that training had",
        )
    columns = replace(find_columns(run.plan, frame), known=tuple(task.known))
    return read_series(frame, columns, task.frequency)


def evaluate(run: Run, source: Any) -> dict[str, Any]:
    """Metrics of forecasts from many moments of a source, beside the seasonal naive forecasts'.

    Each moment has at least a context of values before it. What ``mase`` divides by is the naive
    error of what lies before the first moment.

    Args:
        run: The run.
        source: A long table with the columns that training had.

    Returns:
        ``metrics``, ``baseline`` and ``details``.

    Raises:
        InputError: If columns are missing, or no series is long enough.

    Example:
        >>> import glial
        >>> frame = {"step": list(range(60)), "y": [float(i % 6) for i in range(60)]}
        >>> run = glial.train(frame, "y", task="forecasting", time="step", epochs=1, out=False)
        >>> sorted(evaluate(run, frame))
        ['baseline', 'details', 'metrics']
    """
    judged = forecasted(run, source).judged()
    return {"metrics": judged.metrics, "baseline": judged.baseline, "details": {}}


def forecasted(run: Run, source: Any) -> Forecasted:
    """What a run forecasts from many moments of a source.

    Args:
        run: The run.
        source: As for `evaluate`.

    Raises:
        InputError: If columns are missing, or no series is long enough.
    """
    task: Any = run.decoder
    table = read_as_trained(run, source)
    starts, form = table.edges[:-1], task.form
    firsts = starts + form.context
    moments = moments_between(firsts, table.ends, form.horizon, run.plan.task.stride)
    if not moments.shape[0]:
        raise InputError(
            "no series is long enough to be judged",
            expected=f"at least {form.context + form.horizon} steps: a context of {form.context} "
            f"and a horizon of {form.horizon}",
            got=f"{int((table.ends - starts).max())} steps in the longest",
            do="give longer series",
        )
    rows = series_rows(table, task, run.encoding, np.minimum(firsts, table.ends))
    return Forecasted.of(run, rows, moments)
