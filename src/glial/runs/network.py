"""The network of a plan: built, checked against this machine and the data, and what trains it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn

from glial.core.errors import InputError
from glial.core.seeds import seeded
from glial.data import Encoding
from glial.data.batches import Batch, Batches
from glial.data.encoders import TokenEncoder
from glial.functional import Stepwise
from glial.models import MODELS
from glial.models.text import start_from_vectors
from glial.models.weights import start_from
from glial.objectives import (
    CompetitiveLearning,
    ContrastiveDivergence,
    Fitting,
    GreedyDescent,
    PerceptronRule,
    Remembering,
    TwoPlayers,
)
from glial.runs.plan import Plan
from glial.tasks import Task
from glial.training import Descent, Objective, lr_range_test, outputs_of
from glial.training.freezing import Freezing
from glial.training.objective import LossFunction, Mass

logger = logging.getLogger(__name__)


class Fitted(Protocol):
    """What a network is built for."""

    @property
    def plan(self) -> Plan:
        """The plan, its model chosen."""

    @property
    def settings(self) -> Any:
        """The model's settings; None for the user's own module."""

    @property
    def encoding(self) -> Encoding:
        """How the source becomes tensors."""

    @property
    def task(self) -> Task:
        """What is learnt."""


def make_network(
    prepared: Fitted, rows: Batch, own: nn.Module | None
) -> tuple[nn.Module, dict[str, Any]]:
    """The network with its first weights, and its sizes as ``model.json`` holds them.

    Args:
        prepared: Data, task and the model's settings.
        rows: The training rows, for models whose first weights look at them.
        own: The user's own network.

    Raises:
        InputError: If the network does not fit the data, the task or this machine.
    """
    if own is not None:
        _check_own_model(own, prepared, rows)
        Freezing(own, prepared.plan.train)
        return own, {"name": "custom"}
    if prepared.settings is None:
        raise InputError(
            "the plan trains a network of the user's own",
            expected="the network, given in Python: glial.train(..., model=network)",
            got="no network",
            do="train from Python, or set model.name",
        )
    sizes: dict[str, Any] = {
        "num_inputs": prepared.encoding.num_numbers,
        "num_outputs": prepared.task.num_outputs,
        "cardinalities": list(prepared.encoding.cardinalities),
    }
    if images := prepared.encoding.sizes("image"):
        sizes["images"] = images
    if sequences := prepared.encoding.sizes("sequence"):
        sizes["sequences"] = sequences
    if texts := prepared.encoding.sizes("text"):
        sizes["vocabularies"] = [vocabulary for (vocabulary,) in texts]
    if words := prepared.encoding.sizes("words"):
        sizes["words"] = words
    network, held = built_network(prepared.settings, sizes, prepared.plan, rows)
    if (vectors := getattr(prepared.settings, "vectors", None)) is not None:
        start_from_vectors(network, _words_of(prepared), vectors)
    return network, held


def _words_of(prepared: Fitted) -> list[str]:
    """The words of the one text, which vectors of words can stand for."""
    encoder = next(iter(prepared.encoding.encoders.values()))
    if not isinstance(encoder, TokenEncoder) or encoder.by != "word":
        raise InputError(
            "vectors of words need words",
            expected="data.tokens: word",
            got=f"data.tokens: {getattr(encoder, 'by', prepared.plan.data.tokens)}",
            do="set data.tokens=word, or leave model.vectors out",
        )
    return encoder.tokens


def built_network(
    settings: Any, sizes: dict[str, Any], plan: Plan, rows: Batch
) -> tuple[nn.Module, dict[str, Any]]:
    """A network of Glial's with its first weights, and its sizes as ``model.json`` holds them.

    Args:
        settings: The model's settings.
        sizes: What they build a network of.
        plan: The plan.
        rows: Training rows, for models whose first weights look at them.

    Raises:
        InputError: If the network does not fit this machine.
    """
    _check_size(settings, sizes)
    with seeded(plan.train.seed, "initial weights"):
        network: nn.Module = settings.build(**sizes)
        start = getattr(network, "start", None)
        # Of a network that tells the next token it is what decoding starts from.
        if start is not None and not isinstance(network, Stepwise):
            start(*(part.cpu() for part in rows.inputs))
        if settings.weights is not None:
            start_from(network, settings)
    Freezing(network, plan.train)  # refuses what cannot be frozen
    name = plan.model["name"]
    return network, {"name": name, "settings": settings.model_dump(mode="json"), **sizes}


def _check_size(settings: Any, sizes: dict[str, Any]) -> None:
    """Refuse a network that cannot fit this machine's memory, before any of it is made."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        with torch.device("meta"):
            count = sum(p.numel() for p in settings.build(**sizes).parameters())
        cause: Exception | None = None
    except (RuntimeError, OverflowError, MemoryError) as error:
        count, cause = memory, error
    # Training holds a weight, its gradient and two running averages, four bytes each.
    if 16 * count > memory:
        raise InputError(
            "the network is too large for this machine",
            expected=f"at most {memory // 16:,} parameters in {memory >> 30} GiB of memory",
            got="more" if cause else f"{count:,} parameters",
            do="make model's sizes smaller",
        ) from cause


def _check_own_model(model: nn.Module, prepared: Fitted, rows: Batch) -> None:
    wanted = prepared.task.num_outputs
    try:
        few = tuple(part[:2].cpu() for part in rows.inputs)
        shape = tuple(outputs_of(model, few, prepared.encoding.finish).shape)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            "the model does not take this table's rows",
            expected=f"a network of {prepared.encoding.num_numbers} numbers a row",
            got=str(error).splitlines()[0],
            do=f"give its first layer {prepared.encoding.num_numbers} inputs",
        ) from error
    if len(shape) not in (2, 3, 4) or shape[-1] != wanted:
        raise InputError(
            "the model's outputs do not fit the task",
            expected=f"[row, {wanted}]",
            got=str(list(shape)),
            do=f"give its last layer {wanted} outputs, without an activation",
        )


def with_measured_lr(
    plan: Plan, loss: LossFunction, mass: Mass, network: nn.Module, batches: Batches
) -> Plan:
    """The plan with its learning rate, measured by a range test where none was given."""
    if plan.train.lr != "auto":
        return plan
    settings = plan.train
    Freezing(network, settings).apply(epoch=0)

    def make_step(schedule: Callable[..., float]) -> Callable[..., torch.Tensor]:
        return Descent(network, loss, settings, 1.0, schedule, mass).step

    found = lr_range_test(network, make_step, batches.epoch, seed=settings.seed)
    lr = float(f"{found.lr:.3g}")
    logger.info("learning rate %g (%s)", lr, found.reason)
    return plan.model_copy(update={"train": settings.model_copy(update={"lr": lr})})


def descends(plan: Plan) -> bool:
    """Whether a plan's model is trained by descent on the task's loss."""
    name = plan.model["name"]
    return bool(name == "custom" or MODELS.resolve(name).objective == "descent")


class Learnt(Protocol):
    """What training makes small."""

    @property
    def loss(self) -> LossFunction:
        """``loss(outputs, target, weight)``, a mean over rows."""

    @property
    def mass(self) -> Mass:
        """What the loss divides its sum by."""


def make_objective(model: nn.Module, learnt: Learnt, plan: Plan) -> Objective:
    """What trains the network: the objective that its model names, else descent on the task's loss.

    Args:
        model: The network.
        learnt: What training makes small: the task, or what is ready to be trained.
        plan: The plan, its learning rate decided.
    """
    lr = float(plan.train.lr)
    if descends(plan):
        return Descent(model, learnt.loss, plan.train, lr, mass=learnt.mass)
    objective = MODELS.resolve(plan.model["name"]).objective
    if objective == "two_players":
        return TwoPlayers(model, plan.train, lr)
    if objective == "competitive":
        return CompetitiveLearning(model, plan.train, lr)
    if objective == "contrastive_divergence":
        return ContrastiveDivergence(model, plan.train, lr)
    if objective == "greedy_descent":
        return GreedyDescent(model, learnt.loss, plan.train, lr, learnt.mass)
    if objective == "fitting":
        return Fitting(model, plan.train)
    if objective == "remembering":
        return Remembering(model)
    return PerceptronRule(model, lr)
