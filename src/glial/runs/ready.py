"""Everything before the first step of a training on a table."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from glial.core.devices import choose_device
from glial.core.seeds import seeded
from glial.data import Encoding
from glial.data.batches import Batch, Batches, finished, take
from glial.runs.augmentation import with_measured_augment
from glial.runs.balance import balanced_rows, batches_of, say_balance
from glial.runs.fairness import adversarial_objective, fair_rows, with_last_epoch
from glial.runs.network import make_network, make_objective
from glial.runs.plan import Plan
from glial.runs.preparation import Prepared, prepare
from glial.runs.proxies import with_proxies
from glial.runs.request import Request
from glial.runs.run import Run
from glial.runs.samples import Sample, sampled_rows
from glial.runs.ways import Judged, judged_rows
from glial.tasks import Task
from glial.tasks.task import Loss
from glial.training import Objective, outputs_of
from glial.training.inference import joined
from glial.training.objective import Mass

logger = logging.getLogger(__name__)

SAMPLED_ROWS = 32, 1500
SAMPLED_VALUES = 500_000
CAPACITY = ("hidden_sizes", "members", "widths", "depth")


@dataclass
class Ready:
    """Everything before the first step on a table, made without touching the run's folder."""

    request: Request
    prepared: Prepared
    network: nn.Module
    sizes: dict[str, Any]
    train: Batch
    val: Batch

    @property
    def plan(self) -> Plan:
        """The plan, but for what is measured."""
        return self.prepared.plan

    @property
    def encoding(self) -> Encoding:
        """How the table becomes tensors."""
        return self.prepared.encoding

    @property
    def task(self) -> Task:
        """What is learnt."""
        return self.prepared.task

    @property
    def fingerprint(self) -> str:
        """What tells the rows from others."""
        return self.prepared.tables.fingerprint

    @property
    def loss(self) -> Loss:
        """The task's loss."""
        return self.task.loss

    @property
    def mass(self) -> Mass:
        """What the task's loss divides its sum over rows by."""
        return self.task.mass

    def example(self) -> Batch:
        """A batch as the network learns from it."""
        first = torch.arange(min(int(self.plan.train.batch_size), len(self.train.target)))
        batch = take(self.train, first.to(self.train.target.device))
        return finished(batch, None, self.encoding.finish, seed=0)

    def sampled(self, split: str) -> Batch | None:
        """Some rows of ``train`` or ``val`` in no order, as the network takes them; None of none.

        Like an example, but so many that they can be compared.
        """
        held = self.train if split == "train" else self.val
        if not len(held.target):
            return None
        values = sum(part[:1].numel() for part in held.inputs)
        most = max(SAMPLED_ROWS[0], min(SAMPLED_ROWS[1], SAMPLED_VALUES // max(1, values)))
        with seeded(self.plan.train.seed, "sample"):
            some = torch.randperm(len(held.target))[:most]
        batch = take(held, some.to(held.target.device))
        return finished(batch, None, self.encoding.finish, seed=0)

    def batches(self) -> Batches:
        """The batches to train on."""
        return batches_of(self.prepared, self.train)

    def objective(self, plan: Plan) -> Objective:
        """What changes the network."""
        if plan.data.fairness.how == "adversarial":
            return adversarial_objective(self.network, self.task, plan, self.train)
        return make_objective(self.network, self.task, plan)

    def validator(self, run: Run) -> Callable[[], dict[str, float]] | None:
        """Figures of a validation pass, where rows are kept back for it."""
        if not len(self.val.target):
            return None

        def validate() -> dict[str, float]:
            inputs, encoding = self.val.inputs, run.encoding
            outputs = outputs_of(run.model, inputs, encoding.finish, encoding.groups(inputs))
            return run.decoder.monitor(outputs, self.val.target)

        return validate

    def samples(self, run: Run) -> list[Sample]:
        """What the network says now of a few rows that it does not learn from."""
        return sampled_rows(run, self.val, self.prepared.tables.val)

    def judged(self, run: Run, split: str) -> Judged | None:
        """How good the network is on a split's rows."""
        if not self.prepared.tables.num_rows(split):
            return None
        data = run.plan.data
        weight = [] if data.weight is None else [data.weight]
        kept = list(dict.fromkeys([*run.decoder.targets, *weight, *data.fairness.columns]))
        outputs: list[Tensor] = []
        frames: list[pl.DataFrame] = []
        for rows in self.prepared.tables.stretches(split):
            outputs.append(run.outputs(rows, notice=not outputs))
            frames.append(rows.select(kept))
        return judged_rows(run, joined(outputs), pl.concat(frames), split)


def make_ready(request: Request, plan: Plan) -> Ready:
    """Data, network and batches of a plan, before any of it is trained.

    Args:
        request: What was asked for.
        plan: The plan, or the one of an unfinished run.

    Raises:
        InputError: If the source or the plan cannot be used.
    """
    prepared = prepare(plan, request.source, loss=request.loss)
    prepared.plan = with_last_epoch(prepared.plan, plan)
    device, reason = choose_device(plan.train.device)
    logger.info("device: %s (%s)", device, reason)
    held = fair_rows(prepared, prepared.training_batch())
    rows = balanced_rows(prepared, held)
    val = prepared.batch(prepared.tables.val)
    network, sizes = make_network(prepared, rows, request.model)
    network = with_proxies(network, prepared.task, prepared.plan.train.seed).to(device)
    prepared.plan = with_measured_augment(prepared, held)
    _say_what_is_trained(prepared, network)
    say_balance(prepared)
    return Ready(request, prepared, network, sizes, _moved(rows, device), _moved(val, device))


def _say_what_is_trained(prepared: Prepared, network: nn.Module) -> None:
    plan = prepared.plan
    count = sum(p.numel() for p in network.parameters())
    rows = [prepared.tables.num_rows(name) for name in ("train", "val", "test")]
    logger.info(
        "task %s, model %s with %s parameters; %d rows to train on, %d to validate, %d to test",
        plan.task.name,
        plan.model["name"],
        f"{count:,}",
        *rows,
    )
    chosen = {k: v for k, v in plan.model.items() if k in CAPACITY}
    if chosen:
        logger.info("capacity, chosen from the data unless the plan says it: %s", chosen)


def _moved(batch: Batch, device: torch.device) -> Batch:
    rest = [None if value is None else value.to(device) for value in batch[2:]]
    inputs = tuple(part.to(device) for part in batch.inputs)
    return Batch(inputs, batch.target.to(device), *rest)
