"""Everything before the first step of a network that learns from rows alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glial.core.devices import choose_device
from glial.core.errors import InputError
from glial.core.seeds import derive_seed, torch_generator
from glial.data import Encoding
from glial.data.batches import Batch, Batches, TensorBatches, take
from glial.models import MODELS
from glial.nn.summary import evaluating
from glial.runs.network import make_network, make_objective
from glial.runs.plan import Plan
from glial.runs.request import Request
from glial.runs.run import Run
from glial.runs.unlabelled.judging import JUDGED_AT_ONCE, batch_parts, judged, with_figures
from glial.runs.unlabelled.preparation import STARTING_ROWS, Rows, read_unlabelled, rows_of
from glial.runs.ways import Judged
from glial.tasks.task import Loss
from glial.tasks.unlabelled import Generation
from glial.training import Objective
from glial.training.objective import Mass

logger = logging.getLogger(__name__)

SAMPLED_ROWS = 512
MONITORED_ROWS = 5000


@dataclass
class UnlabelledReady:
    """Everything before the first step on rows alone.

    Attributes:
        request: What was asked for.
        rows: The rows, the plan, and what was fitted on them.
        network: The network, which says itself what it learns.
        sizes: What ``model.json`` holds.
    """

    request: Request
    rows: Rows
    network: nn.Module
    sizes: dict[str, Any]

    @property
    def plan(self) -> Plan:
        """The plan, but for what is measured."""
        return self.rows.plan

    @property
    def encoding(self) -> Encoding:
        """How the table becomes tensors."""
        return self.rows.encoding

    @property
    def task(self) -> Generation:
        """What is learnt."""
        return self.rows.task

    @property
    def fingerprint(self) -> str:
        """What tells the rows from others."""
        return self.rows.tables.fingerprint

    @property
    def loss(self) -> Loss:
        """The network's own."""
        own: Any = self.network
        loss: Loss = own.loss
        return loss

    @property
    def mass(self) -> Mass:
        """The number of rows."""
        return self.task.mass

    def batches(self) -> Batches:
        """Rows with other draws in every epoch, as the batch's place decides."""
        train = self.plan.train
        return TensorBatches(
            self.rows.train, int(train.batch_size), train.seed, augment=self._drawn
        )

    def _drawn(self, batch: Batch, seed: int) -> Batch:
        return drawn(self.network, self.encoding, self.task, batch, seed)

    def example(self) -> Batch:
        """The first batch."""
        return next(iter(self.batches().epoch(0)))

    def sampled(self, split: str) -> Batch | None:
        """Some rows in no order, drawn for; None of none."""
        held = self.rows.train if split == "train" else self.rows.val
        if not len(held.target):
            return None
        generator = torch_generator(self.plan.train.seed, "sample")
        some = torch.randperm(len(held.target), generator=generator)[:SAMPLED_ROWS]
        seed = derive_seed(self.plan.train.seed, "sampled draws")
        return self._drawn(take(held, some.to(held.target.device)), seed)

    @staticmethod
    def completed(
        network: nn.Module, encoding: Encoding, task: Generation, rows: Batch
    ) -> Generation:
        """The task with what a network tells of rows, see `with_figures`."""
        return with_figures(network, encoding, task, rows)

    def objective(self, plan: Plan) -> Objective:
        """What changes the network: the objective that its model names."""
        return make_objective(self.network, self, plan)

    def validator(self, run: Run) -> Callable[[], dict[str, float]] | None:
        """The loss of validation rows, for which the same is drawn each time."""
        if not len(self.rows.val.target):
            return None
        kept = torch.arange(min(MONITORED_ROWS, len(self.rows.val.target)))
        held = take(self.rows.val, kept.to(self.rows.val.target.device))

        def validate() -> dict[str, float]:
            return {"loss": loss_of(run.model, self.encoding, self.task, held)}

        return validate

    def judged(self, run: Run, split: str) -> Judged | None:
        """How good the network is for each row, and what it makes up."""
        frame = getattr(self.rows.tables, split)
        if not frame.height:
            return None
        known = self.rows.tables.train if split == "test" else None
        return judged(run, frame, baseline=split == "test", known=known)


def make_ready(
    request: Request, plan: Plan, kind: type[UnlabelledReady] = UnlabelledReady
) -> UnlabelledReady:
    """Rows and network of a plan, before any of it is trained.

    Args:
        request: What was asked for.
        plan: The plan, or the one of an unfinished run.
        kind: What holds them.

    Raises:
        InputError: If the source or the plan cannot be used.
    """
    if request.model is not None or request.loss is not None:
        raise InputError(
            f"the task {plan.task.name} has networks of its own",
            expected="a model of the table: glial models",
            got="a network or a loss in Python",
            do="name a model, or train your network in a loop under glial.Doctor.watch",
        )
    rows = read_unlabelled(plan, request.source)
    _check_batches(rows)
    device, reason = choose_device(plan.train.device)
    logger.info("device: %s (%s)", device, reason)
    first = take(rows.train, torch.arange(min(STARTING_ROWS, len(rows.train.target))))
    network, sizes = make_network(
        rows, first._replace(inputs=rows_of(rows.encoding, rows.task, first)), None
    )
    rows.task = kind.completed(network, rows.encoding, rows.task, first)
    rows.train, rows.val = moved(rows.train, device), moved(rows.val, device)
    logger.info(
        "task %s, model %s with %s parameters; %d rows to train on, %d to validate, %d to test",
        rows.plan.task.name,
        rows.plan.model["name"],
        f"{sum(p.numel() for p in network.parameters()):,}",
        len(rows.train.target),
        *(part.height for part in (rows.tables.val, rows.tables.test)),
    )
    return kind(request, rows, network.to(device), {**sizes, "source": rows.plan.task.name})


def _check_batches(rows: Rows) -> None:
    """Refuse parts of the rows where weights are computed from all."""
    count, size = len(rows.train.target), int(rows.plan.train.batch_size)
    if MODELS.resolve(rows.plan.model["name"]).objective == "fitting" and size < count:
        raise InputError(
            f"the model {rows.plan.model['name']} is fitted to all rows at once",
            expected="train.batch_size: full",
            got=f"{size} of {count:,} rows",
            do="leave train.batch_size out of the plan",
        )


def drawn(
    network: nn.Module, encoding: Encoding, task: Generation, batch: Batch, seed: int
) -> Batch:
    """Rows as a network learns from them.

    Args:
        network: Draws; it keeps the protocol `glial.models.unlabelled.Unlabelled`.
        encoding: How the rows became tensors.
        task: Says whether the network is told classes.
        batch: Rows as they are held.
        seed: Decides what is drawn.
    """
    own: Any = network
    generator = torch.Generator().manual_seed(seed)
    found = own.draw(*rows_of(encoding, task, batch), generator=generator)
    return Batch(found.inputs, found.target, batch.weight)


def loss_of(network: nn.Module, encoding: Encoding, task: Generation, rows: Batch) -> float:
    """The mean of a network's loss over rows, for which the same is drawn each time."""
    own: Any = network
    total = torch.zeros((), device=rows.target.device)
    with evaluating(network), torch.no_grad():
        for number, part in enumerate(batch_parts(rows, JUDGED_AT_ONCE)):
            batch = drawn(network, encoding, task, part, derive_seed(0, "validation", number))
            loss: Tensor = own.loss(network(*batch.inputs), batch.target, batch.weight)
            total += loss * len(part.target)
    return float(total) / len(rows.target)


def moved(batch: Batch, device: torch.device) -> Batch:
    """Rows as they are held, on a device."""
    inputs = tuple(part.to(device) for part in batch.inputs)
    weight = None if batch.weight is None else batch.weight.to(device)
    return Batch(inputs, batch.target.to(device), weight)
