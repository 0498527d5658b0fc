"""Trainings of one experiment again and again: other rows, other settings, the same judges."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError, unknown_name
from glial.core.seeds import numpy_generator
from glial.core.settings import override
from glial.runs import Plan, Run, train
from glial.runs.preparation import weights_of
from glial.runs.request import make_request
from glial.runs.rows import Rows, Tables, read_rows, read_tables, targets_of
from glial.runs.streams import is_streamed
from glial.runs.ways import TABLE, way_name
from glial.tasks.labels import Labels
from glial.tasks.metrics import LOWER_IS_BETTER

logger = logging.getLogger(__name__)

RowNumbers = NDArray[np.int64]
SPLITS = ("train", "val", "test")
DECIDING = {"classification": "log_loss", "multilabel": "log_loss"}
DECIDING |= {"regression": "root_mean_squared_error", "tagging": "log_loss"}


@dataclass
class Trainings:
    """An experiment whose rows are read and split once, for trainings that share its judges.

    Attributes:
        plan: What was asked for.
        rows: The source.
        tables: Its splits: every training is judged by the same validation and test rows.

    Example:
        >>> trainings = Trainings.of("iris", {"model.name": "linear", "train.epochs": 1})
        >>> some = trainings.order(0)[:20]
        >>> scores = trainings.scores(trainings.train(some), some)
        >>> sorted(scores), "accuracy" in scores["train"]
        (['test', 'train', 'val'], True)
    """

    plan: Plan
    rows: Rows
    tables: Tables

    @classmethod
    def of(cls, source: Any, changes: Mapping[str, Any]) -> Trainings:
        """Read what a plan names.

        Args:
            source: As for :func:`glial.train`.
            changes: Dotted keys of the plan and their values.

        Raises:
            InputError: If training would refuse the plan or the source, or its rows cannot be
                given out in parts.
        """
        request = make_request(source, changes)
        plan = request.plan
        way = way_name(request, plan)
        if way != TABLE or is_streamed(plan, request.source):
            raise InputError(
                "these rows cannot be given out in parts",
                expected="a task of single rows that fit in memory",
                got=plan.task.name if way == TABLE else way,
                do="choose a source of rows, or set data.stream=never",
            )
        if plan.data.split.folds is not None or plan.data.imputations > 1:
            raise InputError(
                "several networks for each training are not needed here",
                expected="a plan without data.split.folds and data.imputations",
                got=f"{plan.data.split.folds or 1} folds, {plan.data.imputations} imputations",
                do="leave them out: trainings are repeated as often as you say",
            )
        rows = read_rows(plan, request.source)
        decided, tables, _ = read_tables(plan, rows)
        targets = targets_of(decided)
        plan = Plan.from_values(
            override(plan.to_values(given_only=True), {"data.target": _one_or_several(targets)})
        )
        return cls(plan, rows, tables)

    @property
    def num_rows(self) -> int:
        """Rows to train on."""
        return len(self.tables.train)

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.rows.task

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Class of each training row; None of numbers."""
        if self.task != "classification":
            return None
        column = self.tables.train[targets_of(self.plan)[0]]
        return Labels.of(column).codes(column)

    def asked(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The parts of the plan with changes, but for where the rows come from.

        Raises:
            InputError: If a change names an unknown key, or a value that it cannot have.
        """
        values = override(self.plan.to_values(given_only=True), changes)
        values = Plan.from_values(values).to_values(given_only=True)
        for key in ("source", "val", "test"):
            values["data"].pop(key, None)
        return values

    def train(
        self,
        chosen: RowNumbers,
        changes: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        place: Path | None = None,
    ) -> Run:
        """One training.

        Args:
            chosen: Which of the training rows it sees, in this order; a row may be named twice.
            changes: Dotted keys of the plan.
            seed: Of everything random in it; by default the plan's.
            place: The run's folder: one that has finished is opened, one that has not goes on.

        Raises:
            InputError: If it cannot be trained, or the folder holds another training.
            TrainingInterrupted: If Ctrl-C ended it.
        """
        changes = dict(changes or {}) | ({} if seed is None else {"train.seed": seed})
        tables = self.tables
        part = Rows(
            **{
                **vars(self.rows),
                "frame": tables.train[chosen],
                "val": tables.val,
                "test": tables.test,
            }
        )
        options: dict[str, Any] = {"out": False} if place is None else {"out": place}
        with _unheard():
            return train(part, set=self.asked(changes), resume=place is not None, **options)

    def scores(self, run: Run, chosen: RowNumbers) -> dict[str, dict[str, float]]:
        """Every metric on the rows that a training saw, and on the other splits.

        Args:
            run: What was trained.
            chosen: The training rows that it saw.
        """
        frame = self.tables.train[chosen]
        weight = weights_of(frame, run.plan.data.weight)
        seen = run.decoder.scores(run.outputs(frame, notice=False), frame, weight)
        return {"train": seen} | {name: run.metrics.get(name, {}) for name in SPLITS[1:]}

    def order(self, seed: int) -> RowNumbers:
        """The training rows shuffled, one of each class first.

        The first rows, however many, have nearly the shares of classes of all.

        Args:
            seed: Seed of the shuffle.
        """
        random = numpy_generator(seed, "curve")
        order = random.permutation(self.num_rows)
        labels = self.labels
        if labels is None:
            return order
        places = np.empty(self.num_rows)
        for code in np.unique(labels):
            rows = order[labels[order] == code]
            places[rows] = (np.arange(len(rows)) + random.uniform()) / len(rows)
            places[rows[0]] = -1.0
        return np.argsort(places, kind="stable")


def changes_of(
    target: str | Sequence[str] | None, given: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Dotted keys of the plan, the target among them.

    Example:
        >>> changes_of("y", {"train.epochs": 3})
        {'train.epochs': 3, 'data.target': 'y'}
    """
    changes = dict(given or {})
    if target is not None:
        changes["data.target"] = target if isinstance(target, str) else list(target)
    return changes


def deciding_metric(task: str, asked: str | None, known: Collection[str]) -> str:
    """The metric that a curve is about.

    Args:
        task: Name of the task.
        asked: What was asked for.
        known: The metrics of a training.

    Raises:
        InputError: If it is not among them.

    Example:
        >>> deciding_metric("classification", None, ["accuracy", "log_loss"])
        'log_loss'
    """
    usual = DECIDING.get(task, "")
    metric = asked or (usual if usual in known else next(iter(known)))
    if metric not in known:
        raise unknown_name("metric", metric, list(known))
    return metric


def is_better(metric: str, value: float, than: float) -> bool:
    """Whether a value of a metric is better than another.

    Example:
        >>> is_better("log_loss", 0.1, 0.2), is_better("accuracy", 0.1, 0.2)
        (True, False)
    """
    return value < than if metric in LOWER_IS_BETTER else value > than


def _one_or_several(targets: list[str]) -> str | list[str]:
    return targets[0] if len(targets) == 1 else targets


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Notes of single trainings are not printed: there are many."""
    top = logging.getLogger("glial")
    level = top.level
    top.setLevel(logging.ERROR)
    try:
        yield
    finally:
        top.setLevel(level)
