"""Train: from a source or a plan to a run."""

from __future__ import annotations

import contextlib
import logging
import signal as signals
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from glial.core.devices import choose_device
from glial.core.files import folder_lock, make_folder
from glial.data.batches import Batch, Batches
from glial.runs.augmentation import with_measured_augment
from glial.runs.balance import balanced_rows, batches_of, say_balance
from glial.runs.engine import with_engine
from glial.runs.folder import check_same_experiment, next_folder, start_folder, write_start
from glial.runs.loading import load
from glial.runs.members import make_family, member_plans, train_family
from glial.runs.network import make_network, make_objective, with_measured_lr
from glial.runs.plan import Plan
from glial.runs.preparation import Prepared, prepare, weights_of
from glial.runs.request import Request, make_request
from glial.runs.run import Run, TrainingInterrupted
from glial.tasks.metrics import LOWER_IS_BETTER
from glial.tasks.task import Loss, trivial_scores
from glial.training import (
    Callback,
    Loop,
    StopRequest,
    graceful_signals,
    outputs_of,
)
from glial.training.kernels import find_kernels

logger = logging.getLogger(__name__)

CAPACITY = ("hidden_sizes", "members", "widths", "depth")


def train(
    source: Any,
    target: str | Sequence[str] | None = None,
    *,
    task: str | None = None,
    model: str | nn.Module | None = None,
    loss: Loss | str | None = None,
    epochs: int | None = None,
    time_limit: float | None = None,
    val: str | None = None,
    test: str | None = None,
    group: str | None = None,
    time: str | None = None,
    folds: int | None = None,
    weight: str | None = None,
    seed: int | None = None,
    out: str | Path | bool | None = None,
    resume: bool = False,
    set: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Train a network on a table.

    Args:
        source: A file, a glob pattern, the name of a data set, a table in memory, a
            :class:`Plan`, a plan's YAML file, or the folder of a run to go on with.
        target: The column to predict, or several; the data sets of Glial know theirs.
        task: ``classification``, ``multilabel`` or ``regression``; by default read off the
            target.
        model: Name of a model, or a network of your own that takes a float tensor
            [row, input] and gives [row, output]; where several networks are trained, each
            is a copy that starts from its weights.
        loss: Name of a loss, or a function ``loss(outputs, target)`` of your own.
        epochs: Most passes over the training rows.
        time_limit: Most seconds of training.
        val: A file of validation rows; otherwise rows are kept back.
        test: A file of test rows; otherwise rows are kept back.
        group: A column whose equal values stay in one split.
        time: A column by whose order rows are split.
        folds: Train this many networks, each validated by another part of all but the test
            rows; their average predicts.
        weight: A column of row weights.
        seed: Seed of everything random.
        out: The run's folder; by default ``runs/<name>-<n>``; False keeps the run in memory.
        resume: Go on with an unfinished run; a finished one is returned as it is.
        set: Dotted keys of the plan and their values, such as ``{"train.lr": 0.001}``.
        callbacks: Watchers; each is told of the training of every network.

    Returns:
        The run.

    Raises:
        InputError: If the data, the plan or the folder cannot be used; nothing is changed.
        TrainingInterrupted: If Ctrl-C or SIGTERM ended training; its ``run`` is usable.

    Example:
        >>> run = train("iris", model="linear", epochs=20, out=False, set={"train.lr": 0.05})
        >>> run.metrics["test"]["accuracy"] > run.metrics["baseline"]["accuracy"]
        True
    """
    options = {
        "data.target": None
        if target is None
        else target
        if isinstance(target, str)
        else list(target),
        "task.name": task,
        "model.name": model if isinstance(model, str) else None if model is None else "custom",
        "task.loss": loss if isinstance(loss, str) else None if loss is None else "custom",
        "train.epochs": epochs,
        "train.time_limit": None if time_limit is None else float(time_limit),
        "train.seed": seed,
        "data.val": val,
        "data.test": test,
        "data.split.group": group,
        "data.split.time": time,
        "data.split.folds": folds,
        "data.weight": weight,
    }
    changes = {key: value for key, value in options.items() if value is not None} | dict(set or {})
    request = make_request(source, changes)
    request.model = model if isinstance(model, nn.Module) else None
    request.loss = loss if callable(loss) else None
    if resume and out is None and request.folder is not None:
        out = request.folder
    return _train_in_folder(request, out, resume, callbacks)


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


def _train_in_folder(
    request: Request, out: str | Path | bool | None, resume: bool, callbacks: Sequence[Callback]
) -> Run:
    """Prepare first, so that bad input leaves no folder; then hold the folder and train."""
    if out is False:
        return _made_ready(request, None, begun=False)(callbacks)
    asked = request.plan.to_values(given_only=True)
    folder = next_folder(request.name, asked, resume) if out in (None, True) else Path(str(out))
    begun = start_folder(folder, resume)
    if begun:
        check_same_experiment(folder, asked)
        if (folder / "metrics.json").exists():
            run = load(folder, model=request.model)
            if run.status == "finished":
                return run
    start = _made_ready(request, folder, begun=begun)
    with _held(folder, remove_empty=not begun):
        if not begun:
            start_folder(folder, resume)
        return start(callbacks)


def _made_ready(
    request: Request, folder: Path | None, *, begun: bool
) -> Callable[[Sequence[Callback]], Run]:
    """What trains, given callbacks; all that can be wrong with the input is found before."""
    if member_plans(request.plan):
        return partial(train_family, make_family(request, folder), train_one=_train_member)
    plan = request.plan if folder is None else _resumed_plan(request, folder, begun)
    if plan is request.plan and plan.train.step == "compiled":
        find_kernels(required=True)
    return partial(_fit, _make_ready(request, plan), folder)


def _train_member(request: Request, folder: Path | None, callbacks: Sequence[Callback]) -> Run:
    """One network of several, in a folder of its own; what was done of it is not done again."""
    return _train_in_folder(request, folder or False, folder is not None, callbacks)


@contextlib.contextmanager
def _held(folder: Path, *, remove_empty: bool) -> Iterator[None]:
    """Hold the run's folder; one that nothing was written to does not stay behind."""
    make_folder(folder)
    try:
        with folder_lock(folder):
            yield
    finally:
        if remove_empty:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _resumed_plan(request: Request, folder: Path, begun: bool) -> Plan:
    """The plan with the choices that the unfinished run has made already."""
    if begun and (folder / "checkpoints/last/checkpoint.safetensors").exists():
        return Plan.from_file(folder / "plan.yaml")
    return request.plan


@contextlib.contextmanager
def _engine(plan: Plan) -> Iterator[None]:
    """Torch's process-wide switches as the plan wants them, and back again."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(int(plan.train.threads))
    torch.use_deterministic_algorithms(plan.train.deterministic or strict)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


@dataclass
class Ready:
    """Everything before the first step, made without touching the run's folder."""

    request: Request
    prepared: Prepared
    network: nn.Module
    sizes: dict[str, Any]
    train: Batch
    val: Batch


def _make_ready(request: Request, plan: Plan) -> Ready:
    prepared = prepare(plan, request.source, loss=request.loss)
    device, reason = choose_device(plan.train.device)
    logger.info("device: %s (%s)", device, reason)
    held = prepared.training_batch()
    rows = balanced_rows(prepared, held)
    val = prepared.batch(prepared.tables.val)
    network, sizes = make_network(prepared, rows, request.model)
    network.to(device)
    prepared.plan = with_measured_augment(prepared, held)
    _say_what_is_trained(prepared, network)
    say_balance(prepared)
    return Ready(request, prepared, network, sizes, _moved(rows, device), _moved(val, device))


def _fit(ready: Ready, folder: Path | None, callbacks: Sequence[Callback]) -> Run:
    prepared = ready.prepared
    batches = batches_of(prepared, ready.train)
    # The first optimiser of a process loads torch's compiler, a second that is no training time.
    torch.optim.SGD([torch.zeros(1)])
    begin = time.monotonic()
    prepared.plan = with_engine(prepared.plan, ready.network, prepared.task, batches)
    with _engine(prepared.plan):
        plan = with_measured_lr(prepared.plan, prepared, ready.network, batches)
        run = Run(folder, plan, ready.network, prepared.encoding, prepared.task, sizes=ready.sizes)
        if folder is not None:
            asked = ready.request.plan.to_values(given_only=True)
            data = prepared.tables.fingerprint
            prepared.encoding.save(folder)
            write_start(folder, plan.to_yaml(), asked, prepared.task, data)
        with graceful_signals() as stop:
            loop = _loop(run, batches, ready.val, callbacks, stop, time.monotonic() - begin)
            if loop.load():
                logger.info("going on from epoch %d", loop.progress.epoch + 1)
            run.ended_by = loop.run()
            _conclude(run, loop, prepared)
    if run.status == "interrupted":
        raise TrainingInterrupted(run, stop.signal or signals.SIGINT)
    return run


def _moved(batch: Batch, device: torch.device) -> Batch:
    return Batch(
        tuple(part.to(device) for part in batch.inputs),
        batch.target.to(device),
        None if batch.weight is None else batch.weight.to(device),
    )


def _loop(
    run: Run,
    batches: Batches,
    val: Batch,
    callbacks: Sequence[Callback],
    stop: StopRequest,
    seconds: float,
) -> Loop:
    plan = run.plan
    score = run.decoder.monitored[-1]

    def validate() -> dict[str, float]:
        outputs = outputs_of(run.model, val.inputs, run.encoding.finish)
        return run.decoder.monitor(outputs, val.target)

    return Loop(
        run.model,
        make_objective(run.model, run.decoder, plan),
        batches,
        plan.train,
        validate=validate if len(val.target) else None,
        score=(score, score in LOWER_IS_BETTER),
        callbacks=callbacks,
        folder=None if run.path is None else run.path / "checkpoints",
        stop=stop,
        seconds=seconds,
    )


def _conclude(run: Run, loop: Loop, prepared: Prepared) -> None:
    """The best weights in place, every metric computed, the folder complete."""
    progress = loop.progress
    run.status = "interrupted" if run.ended_by == "interrupted" else "finished"
    run.model.load_state_dict(loop.final_weights())
    run.model.cpu().eval()
    run.history = progress.history
    run.epochs = progress.epoch
    run.seconds = progress.seconds
    learnt = progress.step / max(1, loop.num_batches) * loop.num_rows
    run.samples_per_second = learnt / progress.seconds if progress.seconds > 0 else 0.0
    run.metrics = {"val": {}, "test": {}, "baseline": {}}
    for name in ("val", "test"):
        if not prepared.tables.num_rows(name):
            continue
        outputs, frame = _outputs(run, prepared.tables.stretches(name))
        weight = weights_of(frame, run.plan.data.weight)
        if name == "val" and isinstance(run.plan.task.threshold, str):
            run.decoder.tune(outputs, frame, weight)
        run.metrics[name] = run.decoder.scores(outputs, frame, weight)
        if name == "test":
            run.metrics["baseline"] = trivial_scores(run.decoder, frame, weight)
    if run.path is not None:
        run.save()


def _outputs(run: Run, stretches: Iterable[pl.DataFrame]) -> tuple[Tensor, pl.DataFrame]:
    """What the network says of rows, and their targets and weights: all that is kept of them."""
    weight = run.plan.data.weight
    kept = list(dict.fromkeys([*run.decoder.targets, *([] if weight is None else [weight])]))
    outputs: list[Tensor] = []
    frames: list[pl.DataFrame] = []
    for rows in stretches:
        outputs.append(run.outputs(rows, notice=not outputs))
        frames.append(rows.select(kept))
    return torch.cat(outputs), pl.concat(frames)
