"""From a plan to tensors: rows read, columns understood, splits made, encoding fitted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.core.errors import InputError
from glial.data import (
    Encoding,
    Splits,
    check_target,
    fingerprint,
    infer_columns,
    infer_task,
    read,
    split_rows,
)
from glial.data.batches import Batch
from glial.models import MODELS
from glial.runs.plan import DEFAULT_MODEL, Plan
from glial.tasks import Task, fit_task
from glial.tasks.labels import Labels
from glial.tasks.task import Loss
from glial.training.settings import TrainSettings

logger = logging.getLogger(__name__)


@dataclass
class Tables:
    """The rows of an experiment, before any fitting."""

    train: pl.DataFrame
    val: pl.DataFrame
    test: pl.DataFrame
    fingerprint: str


@dataclass
class Prepared:
    """Everything training needs.

    Attributes:
        plan: The plan with every choice made that does not need the network.
        settings: The model's settings, capacity chosen.
        encoding: How a table becomes tensors, fitted on the training rows.
        task: What is learnt, fitted on the training rows.
        tables: The rows of each split.
    """

    plan: Plan
    settings: Any
    encoding: Encoding
    task: Task
    tables: Tables

    def batch(self, frame: pl.DataFrame) -> Batch:
        """A table as one batch of tensors: inputs, target and weights."""
        inputs = model_inputs(self.encoding, frame)
        weight = weights_of(frame, self.plan.data.weight)
        return Batch(
            inputs,
            self.task.encode(frame),
            None if weight is None else torch.from_numpy(weight).float(),
        )


def model_inputs(encoding: Encoding, frame: pl.DataFrame) -> tuple[Tensor, ...]:
    """What a model is called with: numbers, and category codes where there are any."""
    numbers, categories = encoding.transform(frame)
    return (numbers, categories) if encoding.cardinalities else (numbers,)


def targets_of(plan: Plan) -> list[str]:
    """The names of a plan's target columns.

    Raises:
        InputError: If the plan names none.
    """
    target = plan.data.target
    names = [target] if isinstance(target, str) else list(target or [])
    if not names:
        raise InputError(
            "no target column was named",
            expected="the column to be predicted",
            got="none",
            do="name it with --target COLUMN",
        )
    return names


def weights_of(frame: pl.DataFrame, column: str | None) -> NDArray[Any] | None:
    """The weights of rows, where the plan names a column of them.

    Raises:
        InputError: If the column is missing or holds anything but numbers of at least 0.
    """
    if column is None:
        return None
    if column not in frame.columns:
        raise InputError(f"the weight column {column!r} is not in the data", got=repr(column))
    values = frame[column].cast(pl.Float64, strict=False).to_numpy()
    unusable = not np.isfinite(values).all() or (values < 0).any()
    if unusable or (len(values) > 0 and values.sum() == 0):
        raise InputError(
            f"the weight column {column!r} cannot be used",
            expected="a number of at least 0 in every row, not all 0",
            got="a missing, negative or infinite weight",
            do="mend the column",
        )
    return np.array(values)


def read_tables(plan: Plan, source: Any) -> tuple[Plan, Tables, list[str]]:
    """The rows of each split and the plan with task and column kinds decided.

    Args:
        plan: What was asked for.
        source: A source in memory; None reads the one that the plan names.

    Returns:
        The plan, the tables, and the names of the columns that are not inputs.
    """
    frame = read(plan.data.source if source is None else source)
    targets = targets_of(plan)
    known = None if plan.task.name == "auto" else plan.task.name
    frame = check_target(frame, targets, known)
    name = known or infer_task(frame, targets)
    plan = plan.model_copy(update={"task": plan.task.model_copy(update={"name": name})})
    check_target(frame, targets, name)
    aside = [*targets, *_columns_aside(plan, frame)]
    kinds = infer_columns(frame.drop(aside), plan.data.types)
    data = plan.data.model_copy(update={"types": kinds, "target": plan.data.target})
    plan = plan.model_copy(update={"data": data})
    others = [_own_split(path, targets, name) for path in (data.val, data.test)]
    splits = _split(plan, frame, targets, [other is not None for other in others])
    marks = [fingerprint(part) for part in (frame, *others) if part is not None]
    parts = {
        "train": frame[splits.train],
        "val": others[0] if others[0] is not None else frame[splits.val],
        "test": others[1] if others[1] is not None else frame[splits.test],
    }
    return plan, Tables(**parts, fingerprint="-".join(marks)), aside


def _columns_aside(plan: Plan, frame: pl.DataFrame) -> list[str]:
    aside = []
    for key, name in (
        ("data.weight", plan.data.weight),
        ("data.split.group", plan.data.split.group),
        ("data.split.time", plan.data.split.time),
    ):
        if name is None:
            continue
        if name not in frame.columns:
            raise InputError(
                f"{key} names the column {name!r}, which is not in the data",
                expected=f"one of {', '.join(frame.columns)}",
                got=repr(name),
                do=f"correct {key}",
            )
        if key != "data.split.time":
            aside.append(name)
    return aside


def _own_split(path: str | None, targets: list[str], task: str) -> pl.DataFrame | None:
    return None if path is None else check_target(read(path), targets, task)


def _split(plan: Plan, frame: pl.DataFrame, targets: list[str], given: list[bool]) -> Splits:
    """Split the rows; a split that has its own file takes none of them."""
    settings = plan.data.split
    shares = [
        settings.train,
        0.0 if given[0] else settings.val,
        0.0 if given[1] else settings.test,
    ]
    total = sum(shares)
    settings = settings.model_copy(
        update={
            name: share / total
            for name, share in zip(("train", "val", "test"), shares, strict=True)
        }
    )
    labels = None
    if plan.task.name == "classification":
        labels = Labels.of(frame[targets[0]]).codes(frame[targets[0]])
    return split_rows(frame, settings, labels=labels, seed=plan.train.seed)


def choose_model(plan: Plan, num_rows: int) -> tuple[Plan, Any]:
    """The plan with the model named, and the settings that the model's own recipe adds.

    Args:
        plan: What was asked for, the task decided.
        num_rows: Number of training rows.

    Returns:
        The plan with the model's recipe where the user said nothing, and the model's settings;
        None for the user's own module.
    """
    name = plan.model["name"]
    if name == "custom":
        data = _filled_data(plan, "standard", takes_categories=False)
        return plan.model_copy(update={"data": data}), None
    name = DEFAULT_MODEL if name == "auto" else name
    cls = MODELS.resolve(name)
    settings = cls.read({**plan.model, "name": name}, where="model")
    if plan.task.name not in cls.tasks:
        raise InputError(
            f"the model {name!r} does not learn the task {plan.task.name!r}",
            expected=f"one of {', '.join(cls.tasks)}",
            got=plan.task.name,
            do="choose another model: glial models lists them",
        )
    defaults = dict(cls.train_defaults(plan.task.name, num_rows))
    smoothing = defaults.pop("task.label_smoothing", None)
    given = plan.train.model_dump(exclude_unset=True)
    train = TrainSettings.read({**defaults, **given}, where="train")
    task = plan.task.model_copy()
    if task.label_smoothing is None and plan.task.loss in ("auto", "cross_entropy"):
        task.label_smoothing = smoothing or 0.0
    if task.loss == "auto":
        task.loss = getattr(cls, "loss", "auto")
    data = _filled_data(plan, cls.scaling, takes_categories=cls.takes_categories)
    if cls.max_one_hot is not None and "max_one_hot" not in plan.data.model_fields_set:
        data = data.model_copy(update={"max_one_hot": cls.max_one_hot})
    return plan.model_copy(update={"data": data, "task": task, "train": train}), settings


def _filled_data(plan: Plan, scaling: str, *, takes_categories: bool) -> Any:
    changes = {}
    if plan.data.scaling == "auto":
        changes["scaling"] = scaling
    if not takes_categories:
        changes["categories"] = "one-hot"
    return plan.data.model_copy(update=changes)


def chosen_batch_size(train: TrainSettings, num_rows: int) -> int:
    """Rows of a batch: about fifty batches an epoch, between 16 and 256 rows each.

    Example:
        >>> chosen_batch_size(TrainSettings(), 105), chosen_batch_size(TrainSettings(), 10_000)
        (16, 256)
    """
    if train.batch_size == "full":
        return num_rows
    if train.batch_size != "auto":
        return min(int(train.batch_size), num_rows)
    wanted = max(1.0, num_rows / 50)
    return min(num_rows, 256, max(16, int(2 ** round(float(np.log2(wanted))))))


def prepare(plan: Plan, source: Any = None, *, loss: Loss | None = None) -> Prepared:
    """Everything up to the network itself, fitted on the training rows alone.

    Args:
        plan: What was asked for.
        source: A source in memory, where the plan names none.
        loss: The user's own loss.

    Raises:
        InputError: If the data or the plan cannot be used.
    """
    plan, tables, aside = read_tables(plan, source)
    plan, settings = choose_model(plan, len(tables.train))
    kinds = {name: kind for name, kind in plan.data.types.items() if name not in aside}
    encoding = Encoding.fit(tables.train, kinds, plan.data)
    targets = targets_of(plan)
    task = fit_task(
        tables.train, targets, plan.task, scale_target=plan.data.scale_target, loss=loss
    )
    if settings is not None:
        settings = settings.for_data(
            len(tables.train),
            encoding.num_numbers + len(encoding.cardinalities),
            task.num_outputs,
            plan.task.name,
        )
        values = settings.model_dump(mode="json")
        plan = plan.model_copy(update={"model": values})
    train = plan.train.model_copy(
        update={"batch_size": chosen_batch_size(plan.train, len(tables.train))}
    )
    return Prepared(plan.model_copy(update={"train": train}), settings, encoding, task, tables)


def source_name(source: Any) -> str:
    """A short name for a source, for the run's folder.

    Example:
        >>> source_name("data/titanic.csv.gz"), source_name([1, 2])
        ('titanic', 'table')
    """
    first = source[0] if isinstance(source, list) and source else source
    if not isinstance(first, (str, Path)):
        return "table"
    name = Path(first).name.split(".")[0].strip("*?[]") or "table"
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
