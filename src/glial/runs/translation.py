"""One text from another: pairs of texts prepared, and what a network writes judged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from glial.core.devices import choose_device
from glial.core.errors import InputError
from glial.core.seeds import seeded
from glial.data import (
    Encoding,
    TensorBatches,
    check_target,
    read,
    to_kind_of,
)
from glial.data.batches import Batch, finished, take
from glial.data.encoders import TensorEncoder, fit_phrases
from glial.models.weights import start_from
from glial.nn.summary import evaluating
from glial.runs.network import make_objective
from glial.runs.pairs import read_pairs
from glial.runs.plan import Plan
from glial.runs.preparation import choose_model, chosen_batch_size, weights_of
from glial.runs.request import Request
from glial.runs.rows import Tables, targets_of
from glial.runs.run import Run
from glial.runs.ways import Judged, Way
from glial.runs.writing import ROWS_AT_ONCE, cut, task_of, text_encoder, translate
from glial.tasks import fit_task
from glial.tasks.task import Loss
from glial.tasks.translation import BEHIND, Translation
from glial.training import Objective
from glial.training.freezing import Freezing
from glial.training.objective import Mass

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "seq2seq"
SAMPLED_ROWS = 512
SCORES_AT_ONCE = 1 << 24  # numbers that a network gives for some rows


@dataclass
class TranslationReady:
    """Everything before the first step on pairs of texts.

    Attributes:
        request: What was asked for.
        plan: The plan, with the choices made so far.
        network: The network.
        encoding: How sources become tokens.
        task: How targets become tokens, and what is learnt.
        sizes: What ``model.json`` holds.
        tables: The rows of each split.
        train: Tokens of the training rows.
        val: Tokens of the validation rows.
    """

    request: Request
    plan: Plan
    network: nn.Module
    encoding: Encoding
    task: Translation
    sizes: dict[str, Any]
    tables: Tables
    train: Batch
    val: Batch

    @property
    def fingerprint(self) -> str:
        """What tells the rows from others."""
        return self.tables.fingerprint

    @property
    def loss(self) -> Loss:
        """The task's loss."""
        return self.task.loss

    @property
    def mass(self) -> Mass:
        """The task's: the number of tokens."""
        return self.task.mass

    def example(self) -> Batch:
        """A batch as the network learns from it."""
        first = torch.arange(min(int(self.plan.train.batch_size), len(self.train.target)))
        return self._some("train", first)

    def sampled(self, split: str) -> Batch | None:
        """Some rows of ``train`` or ``val`` in no order, as the network takes them."""
        held = self.train if split == "train" else self.val
        if not len(held.target):
            return None
        with seeded(self.plan.train.seed, "sample"):
            return self._some(split, torch.randperm(len(held.target))[:SAMPLED_ROWS])

    def _some(self, split: str, rows: Tensor) -> Batch:
        held = self.train if split == "train" else self.val
        return finished(take(held, rows.to(held.target.device)), None, cut, seed=0)

    def batches(self) -> TensorBatches:
        """The batches to train on."""
        settings = self.plan.train
        return TensorBatches(self.train, int(settings.batch_size), settings.seed, finish=cut)

    def objective(self, plan: Plan) -> Objective:
        """What changes the network."""
        return make_objective(self.network, self.task, plan)

    def validator(self, run: Run) -> Callable[[], dict[str, float]] | None:
        """Figures of a validation pass, where rows are kept back for it."""
        if not len(self.val.target):
            return None
        return lambda: self.task.monitored_figures(tallied(run.model, self.task, self.val))

    def judged(self, run: Run, split: str) -> Judged | None:
        """How good the network is on a split's rows."""
        frame = getattr(self.tables, split)
        if not frame.height:
            return None
        return _judged(run, frame, baseline=split == "test")


def make_ready(request: Request, plan: Plan) -> TranslationReady:
    """Pairs of texts, a network and its batches, before any of it is trained.

    Args:
        request: What was asked for.
        plan: The plan, or the one of an unfinished run.

    Raises:
        InputError: If there are no two columns of text, or the plan cannot be used.
    """
    _check(request, plan)
    plan, tables, source = read_pairs(plan, request.source)
    num_rows = tables.num_rows("train")
    if plan.model["name"] == "auto":
        plan = plan.model_copy(update={"model": {**plan.model, "name": DEFAULT_MODEL}})
    plan, settings = choose_model(plan, num_rows, {source: "text"})
    column = tables.train[source]
    encoder = fit_phrases(column, plan.data)
    options: dict[str, Any] = {"loss": request.loss, "data": plan.data}
    task: Any = fit_task(tables.train, targets_of(plan), plan.task, **options)
    settings = settings.for_data(num_rows, 0, task.num_outputs, plan.task.name)
    train = plan.train.model_copy(update={"batch_size": chosen_batch_size(plan.train, num_rows)})
    values = settings.model_dump(mode="json")
    plan = plan.model_copy(update={"model": values, "train": train})
    sizes = {
        "num_inputs": 0,
        "num_outputs": task.num_outputs,
        "cardinalities": [],
        "vocabularies": [encoder.size[0], task.num_outputs],
    }
    with seeded(plan.train.seed, "initial weights"):
        network = settings.build(**sizes)
        if settings.weights is not None:
            start_from(network, settings)
    Freezing(network, plan.train)  # refuses what cannot be frozen
    device, reason = choose_device(plan.train.device)
    logger.info("device: %s (%s)", device, reason)
    _say_what_is_trained(plan, tables, network, source)
    told = {"name": settings.name, "source": task.name, "settings": values, **sizes}
    held = [
        _moved(encoded(encoder, source, task, getattr(tables, name), plan), device)
        for name in ("train", "val")
    ]
    encoding = Encoding({source: encoder})
    return TranslationReady(
        request, plan, network.to(device), encoding, task, told, tables, held[0], held[1]
    )


def _check(request: Request, plan: Plan) -> None:
    """Refuse what pairs of texts cannot be asked for."""
    asked = {
        "model=": request.model is not None or plan.model["name"] == "custom",
        "data.sampling": plan.data.sampling != "none",
        "data.augment": plan.data.augment not in ("auto", "none"),
        "data.split.folds": plan.data.split.folds is not None,
    }
    for key, given in asked.items():
        if given:
            raise InputError(
                f"{key} does not go with the task translation",
                expected="a model of the table, seq2seq or transformer, and one network",
                got=key,
                do=f"leave {key} out",
            )


def encoded(
    encoder: TensorEncoder, source: str, task: Translation, frame: pl.DataFrame, plan: Plan
) -> Batch:
    """Pairs of texts as tokens: what is read, what is written so far, and what comes next.

    Args:
        encoder: Of the texts that are read.
        source: Their column.
        task: How targets become tokens.
        frame: The rows.
        plan: Names the column of weights.
    """
    target = task.encode(frame)
    weight = weights_of(frame, plan.data.weight, some=False)
    return Batch(
        (encoder.tensor(frame[source]), task.before(target)),
        target,
        None if weight is None else torch.from_numpy(weight).float(),
    )


def tallied(network: nn.Module, task: Translation, rows: Batch) -> Tensor:
    """The sums of `Translation.tally` over rows, in bounded memory.

    Args:
        network: The network.
        task: The task.
        rows: As `encoded` gives them.
    """
    total = torch.zeros(3, dtype=torch.float64)
    lengths = (rows.target != BEHIND).sum(dim=1)
    order = lengths.argsort(stable=True)
    size = max(1, SCORES_AT_ONCE // (task.num_outputs * max(1, int(lengths.max()))))
    with evaluating(network), torch.inference_mode():
        for some in torch.split(order, min(size, ROWS_AT_ONCE)):
            batch = take(rows, some)
            total += task.tally(network(*cut(batch.inputs)), batch.target).cpu()
    return total


def _judged(run: Run, frame: pl.DataFrame, *, baseline: bool) -> Judged:
    """How good a network is on rows with their targets."""
    task = task_of(run)
    (source,) = run.encoding.encoders
    rows = encoded(text_encoder(run), source, task, frame, run.plan)
    device = next(run.model.parameters()).device
    figures = task.figures(tallied(run.model, task, _moved(rows, device)))
    texts = translate(run, frame[source]).texts[0]
    metrics = {**task.quality(texts, frame), **figures}
    return Judged(metrics, task.baseline(frame[source], frame) if baseline else {})


def _predict(run: Run, source: Any) -> Any:
    frame = read(source)
    if frame.height == 0:
        raise InputError("there are no rows to predict", expected="at least one row", got="none")
    return to_kind_of(translate(run, _texts(run, frame)).frame(), source)


def _evaluate(run: Run, source: Any) -> dict[str, Any]:
    frame = check_target(read(source), run.decoder.targets, run.task, varied=False)
    _texts(run, frame)
    judged = _judged(run, frame, baseline=True)
    return {"metrics": judged.metrics, "baseline": judged.baseline, "details": {}}


def _texts(run: Run, frame: pl.DataFrame) -> pl.Series:
    (source,) = run.encoding.encoders
    if source not in frame.columns:
        raise InputError(
            f"the column {source!r} that the network translates from is missing",
            expected=source,
            got=", ".join(frame.columns),
            do="name the column of texts so",
        )
    return frame[source]


def _moved(batch: Batch, device: torch.device) -> Batch:
    return Batch(
        tuple(part.to(device) for part in batch.inputs),
        batch.target.to(device),
        None if batch.weight is None else batch.weight.to(device),
    )


def _say_what_is_trained(plan: Plan, tables: Tables, network: nn.Module, source: str) -> None:
    logger.info(
        "task %s from %r to %r, model %s with %s parameters; "
        "%d rows to train on, %d to validate, %d to test",
        plan.task.name,
        source,
        plan.data.target,
        plan.model["name"],
        f"{sum(p.numel() for p in network.parameters()):,}",
        *(tables.num_rows(name) for name in ("train", "val", "test")),
    )


TRANSLATION_WAY = Way(make_ready, _predict, _evaluate)
