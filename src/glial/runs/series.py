"""From a plan to series: read, their season and horizon found, divided in time, and encoded."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.core.errors import InputError, unknown_name
from glial.data import Encoding, Kind, fingerprint, read
from glial.data.cells import missing
from glial.data.columns import infer_kind
from glial.data.series import (
    SeriesColumns,
    SeriesTable,
    WindowForm,
    Windows,
    calendar_columns,
    calendar_seasons,
    filled,
    find_season,
    find_time,
    read_series,
)
from glial.runs.moments import Edges
from glial.runs.plan import Plan
from glial.runs.rows import targets_of
from glial.tasks.forecast_metrics import naive_error
from glial.tasks.forecasting import Forecasting
from glial.tasks.task import Loss

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
COVARIATES = ("number", "category", "boolean")
LEAST_HORIZON, MOST_HORIZON = 6, 48
SEASONS_OF_CONTEXT = 5
LONG_SEASON = 60
CONTEXT_WITHOUT_SEASON = 48


@dataclass(frozen=True)
class SeriesRows:
    """Series with all that is needed to see them through windows.

    Attributes:
        table: The series.
        values: Their targets without gaps, in their own units, [step, target].
        windows: Windows over them, as the task looks at them.
        scale: What errors are divided by, [series, target].
    """

    table: SeriesTable
    values: Floats
    windows: Windows
    scale: Floats

    def naive(self, moments: Tensor) -> Floats:
        """The seasonal naive forecasts of moments, [moment, step, target], in their own units."""
        form = self.windows.form
        last = self.windows.past(moments, form.season).numpy()
        naive: Floats = self.values[last[:, np.arange(form.horizon) % form.season]]
        return naive

    def truth(self, moments: Tensor) -> Floats:
        """What came from moments on, likewise; NaN where unknown."""
        truth: Floats = self.table.values[self.windows.future(moments).numpy()]
        return truth

    def scales(self, moments: Tensor) -> Floats:
        """What the errors of moments are divided by, [moment, 1, target]."""
        scales: Floats = self.scale[self.windows.series_of(moments).numpy()][:, None]
        return scales


@dataclass
class PreparedSeries:
    """Everything before the network.

    Attributes:
        plan: The plan, with every choice made that needs no network.
        task: What is learnt.
        encoding: How what is known in advance becomes numbers.
        rows: The series.
        edges: Where their parts end.
        fingerprint: What tells the source's rows from others.
    """

    plan: Plan
    task: Forecasting
    encoding: Encoding
    rows: SeriesRows
    edges: Edges
    fingerprint: str


def prepare_series(plan: Plan, source: Any = None, *, loss: Loss | None = None) -> PreparedSeries:
    """The series of a plan, with horizon, season and windows decided.

    Args:
        plan: What was asked for.
        source: A source in memory; None reads the one that the plan names.
        loss: The user's own loss.

    Raises:
        InputError: If the data or the plan cannot be used.
    """
    _check_plan(plan)
    frame = read(plan.data.source if source is None else source)
    columns = find_columns(plan, frame)
    table = read_series(frame, columns)
    table = with_known(plan, table)
    plan, form = _decided(plan, table)
    edges = Edges.of(table.edges[:-1], table.ends, plan.data, form.horizon, form.least)
    plan, logarithm = _with_transform(plan, table, edges, form.season)
    known = list(table.columns.known)
    encoding = _fit_encoding(plan, table, edges)
    settings = plan.task
    task = Forecasting(
        table.columns.targets, form, table.frequency, logarithm, known, settings, loss
    )
    rows = series_rows(table, task, encoding, edges.train)
    _check_lengths(edges, form)
    _say_what_is_read(rows, edges)
    return PreparedSeries(plan, task, encoding, rows, edges, fingerprint(frame))


def find_columns(plan: Plan, frame: pl.DataFrame) -> SeriesColumns:
    """What the columns of a table are; what is known in advance is found later.

    Raises:
        InputError: If a column that the plan names is missing.
    """
    targets, group = targets_of(plan), plan.data.split.group
    for name in [*targets, *([] if group is None else [group])]:
        if name not in frame.columns:
            raise unknown_name("column", name, frame.columns)
    aside = [*targets, *([] if group is None else [group])]
    return SeriesColumns(targets, find_time(frame, plan.data.split.time, aside), group)


def with_known(plan: Plan, table: SeriesTable) -> SeriesTable:
    """The series with the columns that are known in advance.

    Raises:
        InputError: If the plan names a column that is missing or holds the target.
    """
    columns, frame = table.columns, table.frame
    asked = plan.task.known
    used = [*columns.targets, columns.time, columns.group]
    if asked != "auto":
        for name in asked:
            if name not in frame.columns or name in used:
                raise unknown_name("column in task.known", name, set(frame.columns) - set(used))
        return replace(table, columns=replace(columns, known=tuple(asked)))
    behind = np.concatenate(
        [table.rows[a:b] for a, b in zip(table.ends, table.edges[1:], strict=True)]
    )
    later = frame[behind[behind >= 0]]
    found = []
    for name in frame.columns:
        kind = plan.data.types.get(name) or infer_kind(frame[name])
        if name in used or kind not in COVARIATES:
            continue
        if later.height and missing(later[name]).all():
            logger.info("%s: not known in advance, as it ends where the target does", name)
            continue
        found.append(name)
    if found:
        logger.warning(
            "taken for known in advance: %s; if some are not, name those that are in task.known",
            ", ".join(found[:10]),
        )
    return replace(table, columns=replace(columns, known=tuple(found)))


def _check_plan(plan: Plan) -> None:
    """Refuse what series cannot do."""
    data = plan.data
    others = {
        "data.val": data.val,
        "data.test": data.test,
        "data.weight": data.weight,
        "data.sampling": None if data.sampling == "none" else data.sampling,
        "data.stream": None if data.stream != "always" else data.stream,
    }
    for key, value in others.items():
        if value is not None:
            raise InputError(
                f"{key} does not go with forecasting",
                expected="one source, whose last steps validate and test",
                got=f"{key} = {value!r}",
                do=f"leave {key} out; data.split.val and data.split.test say how much is kept back",
            )
    if data.split.method not in ("auto", "time"):
        raise InputError(
            "series are divided in time",
            expected="data.split.method: auto or time",
            got=data.split.method,
            do="leave data.split.method out",
        )


def _decided(plan: Plan, table: SeriesTable) -> tuple[Plan, WindowForm]:
    """The plan with season, horizon and context, where they were left open."""
    settings, counts = plan.task, table.ends - table.edges[:-1]
    learnt = np.maximum(2, (counts * plan.data.split.train).astype(np.int64))
    season, reason = _season(settings.season, table, learnt)
    typical = int(np.median(counts))
    seasons = math.ceil(LEAST_HORIZON / season) * season
    horizon = max(1, min(seasons, MOST_HORIZON, typical // 8))
    if settings.horizon != "auto":
        horizon = settings.horizon
    longest = max([season, *calendar_seasons(table.frequency)])
    wanted = max(_usual_context(season), horizon, longest if 6 * longest <= typical else 0)
    context = max(season, min(wanted, 3 * int(np.median(learnt)) // 5))
    if settings.context != "auto":
        context = settings.context
    if context < season:
        raise InputError(
            "the context is shorter than a season",
            expected=f"task.context of at least {season}, the season",
            got=str(context),
            do="set task.context higher, or task.season=1",
        )
    logger.info(
        "%s; season %d (%s), horizon %d, context %d",
        table.frequency.name,
        season,
        reason,
        horizon,
        context,
    )
    decided = {"season": season, "horizon": horizon, "context": context}
    columns = table.columns
    task = settings.model_copy(update={**decided, "known": list(columns.known)})
    split = plan.data.split.model_copy(update={"time": columns.time, "method": "auto"})
    data = plan.data.model_copy(update={"split": split, "stream": "never"})
    form = WindowForm(context, horizon, season, settings.window_scale)
    return plan.model_copy(update={"task": task, "data": data}), form


def _season(asked: int | str, table: SeriesTable, learnt: NDArray[np.int64]) -> tuple[int, str]:
    """The season that was asked for, or the one of the values to learn from."""
    if asked != "auto":
        return int(asked), "as asked"
    values = filled(table, 1)
    parts = [
        values[start : start + count, target]
        for start, count in zip(table.edges[:-1], learnt, strict=True)
        for target in range(values.shape[1])
    ]
    return find_season(parts, table.frequency)


def _usual_context(season: int) -> int:
    if season == 1:
        return CONTEXT_WITHOUT_SEASON
    return season * (SEASONS_OF_CONTEXT if season <= LONG_SEASON else 2)


def _with_transform(plan: Plan, table: SeriesTable, edges: Edges, season: int) -> tuple[Plan, bool]:
    """Whether logarithms are learnt: where values swing the more the higher they are."""
    asked = plan.task.transform
    if asked == "auto":
        parts = [table.values[a:b] for a, b in zip(edges.start, edges.train, strict=True)]
        logarithm = bool(np.nanmin(table.values) > 0) and _swings_with_level(parts, season)
        if logarithm:
            logger.info("logarithms are learnt, as values swing the more the higher they are")
    else:
        logarithm = asked == "log"
    task = plan.task.model_copy(update={"transform": "log" if logarithm else "none"})
    return plan.model_copy(update={"task": task}), logarithm


def _swings_with_level(parts: Sequence[Floats], season: int) -> bool:
    """Whether the spread of seasons is steadier as a share of their mean.

    Source:
        Guerrero (1993), "Time-series analysis supported by power transformations",
        doi:10.1002/for.3980120104, for the powers 0 and 1.
    """
    length, plain, shares = max(season, 4), [], []
    for part in parts:
        for column in part.T:
            known = column[~np.isnan(column)]
            blocks = known[len(known) % length :].reshape(-1, length)
            if len(blocks) < 3 or (blocks.std(axis=1) == 0).any():
                continue
            spread, mean = blocks.std(axis=1), blocks.mean(axis=1)
            plain.append(spread.std() / spread.mean())
            shares.append((spread / mean).std() / (spread / mean).mean())
    return bool(plain) and float(np.mean(shares)) < float(np.mean(plain))


def _fit_encoding(plan: Plan, table: SeriesTable, edges: Edges) -> Encoding:
    """How what is known of each step becomes numbers, fitted on the steps to learn from."""
    frame = covariate_frame(table)
    if not frame.width:
        return Encoding({})
    learnt = np.concatenate(
        [np.arange(a, b) for a, b in zip(edges.start, edges.train, strict=True)]
    )
    types: dict[str, Kind] = {}
    for name in frame.columns:
        known = frame[name]
        types[name] = plan.data.types.get(name) or infer_kind(known)
    usable = {name: kind for name, kind in types.items() if kind in COVARIATES}
    if not usable:
        return Encoding({})
    changes: dict[str, Any] = {"scaling": "standard", "categories": "one-hot", "missing": "median"}
    open_ = {k: v for k, v in changes.items() if getattr(plan.data, k) == "auto"}
    settings = plan.data.model_copy(update=open_)
    return Encoding.fit(frame[learnt], usable, settings, seed=plan.train.seed)


def covariate_frame(table: SeriesTable) -> pl.DataFrame:
    """What is known of each step: the source's columns and the calendar's."""
    calendar = calendar_columns(table.frequency, table.places)
    return pl.concat([table.known(), calendar], how="horizontal")


def series_rows(
    table: SeriesTable, task: Forecasting, encoding: Encoding, learnt: NDArray[np.int64]
) -> SeriesRows:
    """Series as a task looks at them.

    Args:
        table: The series.
        task: What is learnt.
        encoding: How what is known in advance becomes numbers.
        learnt: Where the part of each series ends whose naive error is the scale of errors.

    Raises:
        InputError: If there are values without a logarithm, which is to be learnt.
    """
    values = filled(table, task.form.season)
    if task.logarithm and np.nanmin(table.values) <= 0:
        raise InputError(
            "values of 0 or less have no logarithm",
            expected="values above 0, as this run learns logarithms",
            got=f"{np.nanmin(table.values):g}",
            do="train with --set task.transform=none",
        )
    covariates = torch.zeros(len(values), 0)
    if encoding.encoders:
        covariates = encoding.transform(covariate_frame(table)).numbers.float()
    scale = np.stack(
        [
            naive_error(table.values[start:end], task.form.season)
            for start, end in zip(table.edges[:-1], learnt, strict=True)
        ]
    )
    windows = Windows(
        torch.from_numpy(np.log(values) if task.logarithm else values),
        torch.from_numpy(~np.isnan(table.values)),
        covariates,
        torch.from_numpy(table.edges),
        task.form,
    )
    return SeriesRows(table, values, windows, scale)


def _check_lengths(edges: Edges, form: WindowForm) -> None:
    """Refuse series of which none is long enough to learn from."""
    longest = int((edges.train - edges.start).max())
    if longest < form.least + form.horizon:
        whole = int((edges.test - edges.start).max())
        raise InputError(
            "the series are too short",
            expected=f"at least {form.least + form.horizon} steps to learn from, for a season of "
            f"{form.season} and a horizon of {form.horizon}",
            got=f"{whole} steps in the longest",
            do="give longer series, or set task.horizon or task.season lower",
        )


def _say_what_is_read(rows: SeriesRows, edges: Edges) -> None:
    table = rows.table
    gaps = sum(
        int(np.isnan(table.values[start:end]).sum())
        for start, end in zip(table.edges[:-1], table.ends, strict=True)
    )
    if gaps:
        logger.warning(
            "%d values are missing: what was a season before stands in for them in the past of a "
            "forecast, and none is learnt or judged",
            gaps,
        )
    whole = int((edges.train == edges.test).sum())
    if whole:
        logger.warning("%d series are too short for any part of them to be kept back", whole)
