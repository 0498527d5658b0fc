"""Runs of several networks: one for each fold and each imputed table; their average predicts."""

from __future__ import annotations

import copy
import logging
import signal as signals
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.core.files import write_atomic
from glial.core.findings import distinct
from glial.core.settings import flat, override, write_yaml
from glial.runs.folder import asked_before, write_start
from glial.runs.plan import Plan
from glial.runs.preparation import weights_of
from glial.runs.request import Request
from glial.runs.rows import Rows, Tables, read_rows, read_tables, targets_of
from glial.runs.run import MEMBERS, Run, TrainingInterrupted
from glial.runs.streams import check_not_streamed
from glial.runs.ways import tune
from glial.tasks import Task, fit_task
from glial.tasks.task import trivial_scores
from glial.training import Callback, StopRequest, TrainingView, graceful_signals

logger = logging.getLogger(__name__)

TrainMember = Callable[[Request, Path | None, Sequence[Callback]], Run]
LEAST_SECONDS = 0.001


def member_plans(plan: Plan) -> list[Plan]:
    """The plans of the single networks that a plan trains; none where it trains one itself.

    Args:
        plan: What was asked for.

    Returns:
        A plan for each fold that is not named, times each imputation that is not named.

    Example:
        >>> plan = Plan.from_values({"data": {"split": {"folds": 3}}})
        >>> [member.data.split.fold for member in member_plans(plan)]
        [1, 2, 3]
    """
    data, values = plan.data, plan.to_values(given_only=True)
    folds: list[dict[str, int]] = [{}]
    if data.split.folds is not None and data.split.fold is None:
        folds = [{"data.split.fold": number} for number in range(1, data.split.folds + 1)]
    draws: list[dict[str, int]] = [{}]
    if data.imputations > 1 and data.imputation is None:
        draws = [{"data.imputation": number} for number in range(1, data.imputations + 1)]
    changes = [fold | draw for fold in folds for draw in draws]
    return [Plan.from_values(override(values, one)) for one in changes] if changes != [{}] else []


@dataclass
class Family:
    """Everything before the first network of several is trained.

    Attributes:
        request: What was asked for.
        folder: The run's folder; None keeps it in memory.
        plans: The plan of each network.
        rows: The source, read once for all.
        tables: All rows that no one tests with, none to validate, and the test rows.
        task: What is learnt, fitted on all rows that no one tests with.
    """

    request: Request
    folder: Path | None
    plans: list[Plan]
    rows: Rows
    tables: Tables
    task: Task

    def request_of(self, number: int, seconds: float) -> Request:
        """What is asked of one network, counted from 1.

        Args:
            number: Which network.
            seconds: Training time that those before it took.
        """
        plan, place = self.plans[number - 1], self.place_of(number)
        limit = plan.train.time_limit
        if limit is not None:
            left = (limit - seconds) / (len(self.plans) - number + 1)
            # A network that had begun keeps the share that it began with.
            begun = None if place is None else asked_before(place)
            share = flat(begun or {}).get("train.time_limit", max(LEAST_SECONDS, left))
            values = plan.to_values(given_only=True)
            plan = Plan.from_values(override(values, {"train.time_limit": share}))
        model = copy.deepcopy(self.request.model)
        return replace(self.request, plan=plan, source=self.rows, model=model)

    def place_of(self, number: int) -> Path | None:
        """The folder of one network, counted from 1."""
        return None if self.folder is None else self.folder / MEMBERS / str(number)


def make_family(request: Request, folder: Path | None) -> Family:
    """Read the rows of a plan of several networks, and look whether each has a task to learn.

    Args:
        request: What was asked for.
        folder: The run's folder, which is not touched; None keeps the run in memory.

    Raises:
        InputError: If the source cannot be used or the folds cannot be made.
    """
    check_not_streamed(request.plan, request.source)
    plans = member_plans(request.plan)
    rows = read_rows(request.plan, request.source)
    # A fold that leaves nothing to learn is found before another was trained.
    for plan in {plan.data.split.fold: plan for plan in plans if plan.data.split.fold}.values():
        _fitted_task(request, *read_tables(plan, rows)[:2])
    decided, tables, _ = read_tables(request.plan, rows)
    return Family(request, folder, plans, rows, tables, _fitted_task(request, decided, tables))


def _fitted_task(request: Request, plan: Plan, tables: Tables) -> Task:
    data, targets = plan.data, targets_of(plan)
    return fit_task(
        tables.train,
        targets,
        plan.task,
        scale_target=data.scale_target,
        loss=request.loss,
        data=data,
    )


def train_family(family: Family, callbacks: Sequence[Callback], *, train_one: TrainMember) -> Run:
    """Train one network after the other, and put them together as one run.

    Args:
        family: What is trained.
        callbacks: Watchers, which are told of every network.
        train_one: Trains a network in its folder, or goes on with it, or returns it if it has
            finished.

    Raises:
        InputError: If a network cannot be trained.
        TrainingInterrupted: If Ctrl-C or SIGTERM ended training; its ``run`` is the average of
            the networks so far.
    """
    new = family.folder is not None and not (family.folder / "environment.json").exists()
    _write_start(family)
    try:
        with graceful_signals() as stop:
            members = _train_members(family, callbacks, train_one, stop)
            run = _concluded(family, members)
    except InputError:
        if new:
            _take_back_start(family)
        raise
    if run.status == "interrupted":
        raise TrainingInterrupted(run, stop.signal or signals.SIGINT)
    return run


def _train_members(
    family: Family, callbacks: Sequence[Callback], train_one: TrainMember, stop: StopRequest
) -> list[Run]:
    members: list[Run] = []
    total = len(family.plans)
    for number in range(1, total + 1):
        logger.info("network %d of %d", number, total)
        request = family.request_of(number, _seconds(members))
        watchers = [_OfMember(callback, number, total) for callback in callbacks]
        try:
            members.append(train_one(request, family.place_of(number), watchers))
        except TrainingInterrupted as stopped:
            return [*members, stopped.run]
        if stop.signal is not None:
            break
    return members


def _seconds(members: list[Run]) -> float:
    return sum((member.seconds for member in members), 0.0)


class _OfMember:
    """Tells a callback which network of several it watches."""

    def __init__(self, callback: Callback, member: int, members: int) -> None:
        self._callback = callback
        self._member = member
        self._members = members

    def on_fit_start(self, view: TrainingView) -> None:
        self._tell("on_fit_start", view)

    def on_tick(self, view: TrainingView) -> None:
        self._tell("on_tick", view)

    def on_epoch_end(self, view: TrainingView) -> bool | None:
        wish: bool | None = self._tell("on_epoch_end", view)
        return wish

    def on_fit_end(self, view: TrainingView) -> None:
        self._tell("on_fit_end", view)

    def _tell(self, hook: str, view: TrainingView) -> Any:
        method = getattr(self._callback, hook, None)
        if method is None:
            return None
        return method(replace(view, member=self._member, members=self._members))


def _write_start(family: Family) -> None:
    if family.folder is None:
        return
    asked = family.request.plan.to_values(given_only=True)
    plan = _yaml(family.rows.decided(family.request.plan))
    write_start(family.folder, plan, asked, family.task, family.rows.fingerprint)


def _yaml(plan: Plan) -> str:
    """A plan without the keys that each network decides for itself."""
    return write_yaml(plan.to_values(given_only=True))


def _take_back_start(family: Family) -> None:
    """Leave no folder behind where not even the first network could begin."""
    if family.folder is not None and not (family.folder / MEMBERS).exists():
        for name in ("decoding.json", "environment.json", "plan.yaml"):
            (family.folder / name).unlink(missing_ok=True)


def _concluded(family: Family, members: list[Run]) -> Run:
    """The networks as one run, every metric computed, the folder complete."""
    whole = len(members) == len(family.plans)
    finished = whole and all(member.status == "finished" for member in members)
    endings = {member.ended_by for member in members}
    seconds = _seconds(members)
    learnt = sum(member.samples_per_second * member.seconds for member in members)
    run = Run(
        family.folder,
        _common_plan(family, members),
        nn.ModuleList([member.model for member in members]),
        members[0].encoding,
        family.task,
        findings=distinct(finding for member in members for finding in member.findings),
        status="finished" if finished else "interrupted",
        ended_by=(endings.pop() if len(endings) == 1 else "several") if finished else "interrupted",
        epochs=sum(member.epochs for member in members),
        seconds=seconds,
        samples_per_second=learnt / seconds if seconds > 0 else 0.0,
        members=members,
        asked=family.request.plan,
    )
    held = _validated(family, run)
    if held is not None:
        tune(run.decoder, *held, _weights(run, held[1]))
    run.metrics["val"] = _scores(run, *held) if held else {}
    if family.task.name == "embedding":  # rows that different networks embed are not compared
        run.metrics["val"] = {name: of["mean"] for name, of in run.spread["val"].items()}
    test = family.tables.test
    run.metrics["test"] = _scores(run, run.outputs(test), test) if len(test) else {}
    weight = _weights(run, test)
    run.metrics["baseline"] = trivial_scores(run.decoder, test, weight) if len(test) else {}
    if run.path is not None:
        write_atomic(run.path / "plan.yaml", _yaml(run.plan))
        run.save()
    return run


def _validated(family: Family, run: Run) -> tuple[Tensor, pl.DataFrame] | None:
    """What is said of the validation rows, each by the networks that it validated."""
    by_fold: dict[int | None, list[tuple[Plan, Run]]] = {}
    for plan, member in zip(family.plans, run.members, strict=False):
        by_fold.setdefault(plan.data.split.fold, []).append((plan, member))
    frames: list[pl.DataFrame] = []
    outputs: list[Tensor] = []
    for pairs in by_fold.values():
        frame = read_tables(pairs[0][0], family.rows)[1].val
        if len(frame):
            frames.append(frame)
            votes = [(member.decoder, member.outputs(frame)) for _, member in pairs]
            outputs.append(run.decoder.pool(votes))
    return (torch.cat(outputs), pl.concat(frames)) if frames else None


def _weights(run: Run, frame: pl.DataFrame) -> NDArray[Any] | None:
    return weights_of(frame, run.plan.data.weight)


def _scores(run: Run, outputs: Tensor, frame: pl.DataFrame) -> dict[str, float]:
    return run.decoder.scores(outputs, frame, _weights(run, frame))


def _common_plan(family: Family, members: list[Run]) -> Plan:
    """The plan with every choice that all networks made alike.

    A choice in which they differ, such as a learning rate that each measured, is left as it was
    asked for, so that training by this plan makes the same choices again.
    """
    asked = family.request.plan
    plans = [member.plan.to_values() for member in members]
    values = _common(plans, asked.to_values(given_only=True))
    values["data"]["imputation"] = asked.data.imputation
    values["data"]["split"]["fold"] = asked.data.split.fold
    values["train"]["time_limit"] = asked.train.time_limit
    return Plan.from_values(values)


def _common(plans: list[dict[str, Any]], asked: Any) -> dict[str, Any]:
    """The keys of nested values that are the same in all; where they differ, what was asked."""
    given = asked if isinstance(asked, dict) else {}
    result: dict[str, Any] = {}
    for key in dict.fromkeys(key for plan in plans for key in plan):
        values = [plan.get(key) for plan in plans]
        nested = [value for value in values if isinstance(value, dict)]
        if len(nested) == len(plans):
            result[key] = _common(nested, given.get(key))
        elif all(value == values[0] for value in values):
            result[key] = values[0]
        elif key in given:
            result[key] = given[key]
    return result
