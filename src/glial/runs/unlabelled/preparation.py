"""From a plan without a target to tensors: the model chosen, the encoding fitted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.data import Encoding, Kind
from glial.data.batches import Batch, take
from glial.data.columns import USED
from glial.models import MODELS
from glial.models.unlabelled import UnlabelledSettings
from glial.runs.plan import Plan
from glial.runs.preparation import choose_model, chosen_batch_size, weights_of
from glial.runs.rows import Tables, read_tables
from glial.runs.transfer import with_model_data, with_model_of_weights
from glial.tasks import fit_task
from glial.tasks.unlabelled import Generation

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
STARTING_ROWS = 2048  # that a network's sizes and first weights may look at
# What suits numbers, one column of images, and sequences.
DEFAULTS = {
    "reduce": {
        "number": "autoencoder",
        "image": "conv_autoencoder",
        "sequence": "sequence_autoencoder",
    },
    "anomaly": {
        "number": "autoencoder",
        "image": "conv_autoencoder",
        "sequence": "sequence_autoencoder",
    },
    "cluster": {"number": "kmeans", "image": "kmeans", "sequence": "kmeans"},
    "generate": {"number": "diffusion", "image": "diffusion", "sequence": "sequence_autoencoder"},
}
# What is made of these columns cannot be turned back into them.
ONE_WAY = ("datetime", "text")


@dataclass
class Rows:
    """Rows without a target, as a network takes them.

    Attributes:
        plan: The plan with every choice made that does not need the network.
        settings: The model's settings, capacity chosen.
        encoding: How a table becomes tensors, fitted on the training rows.
        task: What is learnt, fitted on the training rows.
        tables: The rows of each split.
        train: The training rows as they are held; as targets the codes of their classes.
        val: The validation rows, likewise.
    """

    plan: Plan
    settings: Any
    encoding: Encoding
    task: Generation
    tables: Tables
    train: Batch
    val: Batch


def read_unlabelled(plan: Plan, source: Any = None) -> Rows:
    """Everything up to the network itself, fitted on the training rows alone.

    Args:
        plan: What was asked for.
        source: A source in memory, where the plan names none.

    Raises:
        InputError: If the data or the plan cannot be used.
    """
    check_plan(plan)
    plan = _with_data_of_model(with_model_of_weights(plan))
    plan, tables, aside = read_tables(plan, source)
    kinds = {name: kind for name, kind in plan.data.types.items() if name not in aside}
    kinds = _learnable(kinds, plan.task.name)
    others = {name: "identifier" for name in aside if name != plan.data.target}
    data = plan.data.model_copy(update={"types": {**plan.data.types, **others}})
    plan = plan.model_copy(update={"data": data})
    plan = _with_data_of_model(_with_model(plan, kinds))
    target = plan.data.target
    targets = [target] if isinstance(target, str) else list(target or [])
    task: Any = fit_task(tables.train, targets, plan.task)
    learnt = task.learns_from(tables.train)
    plan, settings = choose_model(plan, learnt.height, kinds)
    plan = _filling(plan)
    encoding, inputs = Encoding.fit_transform(learnt, kinds, plan.data, seed=plan.train.seed)
    images = {"images": found} if (found := encoding.sizes("image")) else {}
    settings = settings.for_data(
        learnt.height, encoding.num_numbers, task.num_outputs, plan.task.name, **images
    )
    train = batch_of(plan, encoding, task, learnt, encoding.arguments(inputs))
    if (choose := getattr(settings, "for_rows", None)) is not None:
        few = take(train, torch.arange(min(STARTING_ROWS, len(train.target))))
        settings = choose(*rows_of(encoding, task, few), seed=plan.train.seed)
    size = chosen_batch_size(plan.train, learnt.height)
    changes = {
        "model": settings.model_dump(mode="json"),
        "train": plan.train.model_copy(update={"batch_size": size}),
    }
    plan = plan.model_copy(update=changes)
    val = batch_of(plan, encoding, task, task.learns_from(tables.val))
    return Rows(plan, settings, encoding, task, tables, train, val)


def batch_of(
    plan: Plan,
    encoding: Encoding,
    task: Generation,
    frame: pl.DataFrame,
    arguments: tuple[Tensor, ...] | None = None,
) -> Batch:
    """A table's rows as they are held, with the codes of their classes as targets.

    Args:
        plan: The plan.
        encoding: How the table becomes tensors.
        task: What is learnt.
        frame: The rows.
        arguments: Their tensors, where they are at hand.
    """
    if arguments is None:
        arguments = encoding.arguments(encoding.transform(frame))
    check_classes(task, frame)
    weight = weights_of(frame, plan.data.weight, some=False)
    held = None if weight is None else torch.from_numpy(weight).float()
    return Batch(arguments, task.encode(frame), held)


def rows_of(encoding: Encoding, task: Generation, batch: Batch) -> tuple[Tensor, ...]:
    """What a network's methods are called with: finished tensors, and codes of classes.

    Args:
        encoding: How the rows became tensors.
        task: Says whether the network is told classes.
        batch: Rows as they are held.
    """
    rows = encoding.finish(batch.inputs)
    return (*rows, batch.target) if task.num_outputs else rows


def check_classes(task: Generation, frame: pl.DataFrame) -> None:
    """Refuse rows whose classes a network that is told them cannot be told.

    Args:
        task: Says whether it is told any.
        frame: The rows.

    Raises:
        InputError: If the column is missing, or holds a class that training never showed.
    """
    for name in task.targets if task.num_outputs else ():
        labels = task.labels
        if name not in frame.columns:
            raise InputError(
                f"the network is told the class of each row, and there is no column {name!r}",
                expected=f"the column {name!r}",
                got=", ".join(frame.columns),
                do="add it",
            )
        unseen = [] if labels is None else labels.unseen(frame[name])
        if unseen:
            raise InputError(
                f"the column {name!r} holds classes that training never showed",
                expected=f"one of {', '.join(labels.names if labels else [])}",
                got=", ".join(unseen[:10]),
                do="leave these rows out",
            )


def check_plan(plan: Plan) -> None:
    """Refuse what learning from rows alone has no use for.

    Raises:
        InputError: If the plan asks for it.
    """
    data, task = plan.data, plan.task
    unfit: Mapping[str, Any] = {
        "data.sampling": None if data.sampling == "none" else data.sampling,
        "data.stratified_batches": data.stratified_batches or None,
        "data.imputations": data.imputations if data.imputations > 1 else None,
        "data.fairness.how": None if data.fairness.how == "none" else data.fairness.how,
        "several targets": data.target if isinstance(data.target, list) else None,
        "task.loss": None if task.loss == "auto" else task.loss,
        "a network of your own": "model" if plan.model["name"] == "custom" else None,
    }
    for key, value in unfit.items():
        if value is not None:
            raise InputError(
                f"{key} does not fit the task {task.name}",
                expected="rows, and how they are divided",
                got=repr(value),
                do="leave it out",
            )


def _learnable(kinds: dict[str, Kind], task: str) -> dict[str, Kind]:
    """The columns without those that cannot be made up, where rows are to be."""
    if task != "generate":
        return kinds
    for name in [name for name, kind in kinds.items() if kind in ONE_WAY]:
        logger.warning("column %r is left aside: a %s is not made up", name, kinds[name])
        kinds = {**kinds, name: "identifier"}
    return kinds


def _with_model(plan: Plan, kinds: dict[str, Kind]) -> Plan:
    if plan.model["name"] != "auto":
        return plan
    used = {kind for kind in kinds.values() if kind in USED}
    thing = "image" if used & {"image", "sound"} else "sequence" if "sequence" in used else "number"
    name = DEFAULTS[plan.task.name][thing]
    return plan.model_copy(update={"model": {**plan.model, "name": name}})


def _with_data_of_model(plan: Plan) -> Plan:
    """The plan's data as the model needs it, where one is named."""
    if plan.model["name"] == "auto":
        return plan
    cls = MODELS.resolve(plan.model["name"])
    if not issubclass(cls, UnlabelledSettings):
        return plan  # refused with the tasks that it does learn
    settings = cls.read(plan.model, where="model")
    return plan.model_copy(update={"data": with_model_data(plan.data, settings)})


def _filling(plan: Plan) -> Plan:
    """Missing numbers by the median, unless one asks for another filling."""
    if plan.data.missing != "auto":
        return plan
    return plan.model_copy(update={"data": plan.data.model_copy(update={"missing": "median"})})
