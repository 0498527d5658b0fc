"""Train: from a source or a plan to a run."""

from __future__ import annotations

import contextlib
import logging
import signal as signals
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from glial.core.errors import InputError
from glial.core.files import folder_lock, make_folder
from glial.data.batches import Batches
from glial.data.streams import is_loader
from glial.runs.engine import with_engine
from glial.runs.fairness import check_way
from glial.runs.folder import check_same_experiment, next_folder, start_folder, write_start
from glial.runs.generation import GENERATORS
from glial.runs.live import LiveRecord
from glial.runs.loading import load
from glial.runs.made_up import made_up
from glial.runs.members import make_family, member_plans, train_family
from glial.runs.network import with_measured_lr
from glial.runs.plan import Plan
from glial.runs.proxies import without_proxies
from glial.runs.remedies import with_plan_remedies
from glial.runs.reporting import check_reporting, reporting, with_loggers_of
from glial.runs.request import Request, make_request
from glial.runs.run import LOADER, Run, TrainingInterrupted
from glial.runs.watching import TrainingWatch, told_faults
from glial.runs.ways import TABLE, WAYS, Readied, way_name
from glial.tasks.metrics import LOWER_IS_BETTER
from glial.tasks.task import Loss
from glial.training import (
    Callback,
    Loop,
    graceful_signals,
)
from glial.training.kernels import find_kernels

logger = logging.getLogger(__name__)


def train(
    source: Any,
    target: str | Sequence[str] | None = None,
    *,
    task: str | None = None,
    model: str | nn.Module | None = None,
    loss: Loss | str | None = None,
    epochs: int | None = None,
    time_limit: float | None = None,
    val: Any = None,
    test: Any = None,
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
            :class:`Plan`, a plan's YAML file, or the folder of a run to go on with; for a
            network of your own also a torch ``DataLoader`` or data set, an iterable of
            batches, or a function that returns one for each epoch.
        target: The column to predict, or several; the data sets of Glial know theirs.
        task: ``classification``, ``multilabel``, ``regression`` or ``embedding``; by default
            read off the target, and never ``embedding``.
        model: Name of a model, or a network of your own that takes a float tensor
            [row, input] and gives [row, output]; where several networks are trained, each
            is a copy that starts from its weights.
        loss: Name of a loss, or a function ``loss(outputs, target)`` of your own.
        epochs: Most passes over the training rows.
        time_limit: Most seconds of training.
        val: A file of validation rows; otherwise rows are kept back. With a loader, a loader;
            otherwise none validates.
        test: A file of test rows, or a loader, likewise.
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
        "data.val": str(val) if isinstance(val, (str, Path)) else None,
        "data.test": str(test) if isinstance(test, (str, Path)) else None,
        "data.split.group": group,
        "data.split.time": time,
        "data.split.folds": folds,
        "data.weight": weight,
    }
    changes = {key: value for key, value in options.items() if value is not None} | dict(set or {})
    request = make_request(source, changes)
    request.model = model if isinstance(model, nn.Module) else None
    request.loss = loss if callable(loss) else None
    if is_loader(request.source):
        request.val, request.test = val, test
    elif not all(part is None or isinstance(part, (str, Path)) for part in (val, test)):
        raise InputError(
            "val= and test= are no files",
            expected="a file each, as the source is a table",
            got=f"{type(val).__name__} and {type(test).__name__}",
            do="write their rows to files, or give loaders for all three",
        )
    if resume and out is None and request.folder is not None:
        out = request.folder
    return _train_in_folder(request, out, resume, callbacks)


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
    check_reporting(request.plan, folder)
    way = way_name(request, request.plan)
    if member_plans(request.plan) and way != LOADER:
        _check_is_table(way)
        return partial(train_family, make_family(request, folder), train_one=_train_member)
    check_way(request.plan, way)
    plan = request.plan if folder is None else _resumed_plan(request, folder, begun)
    if plan is request.plan and plan.train.step == "compiled":
        find_kernels(required=True)
    return partial(_fit, WAYS.resolve(way).make_ready(request, plan), folder)


def _check_is_table(way: str) -> None:
    if way != TABLE:
        raise InputError(
            "folds and imputations need rows of a table",
            expected="a task of single rows",
            got=way,
            do="leave data.split.folds and data.imputations out",
        )


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
        return with_loggers_of(Plan.from_file(folder / "plan.yaml"), request.plan)
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


def _fit(ready: Readied, folder: Path | None, callbacks: Sequence[Callback]) -> Run:
    batches = ready.batches()
    # The first optimiser of a process loads torch's compiler, a second that is no training time.
    torch.optim.SGD([torch.zeros(1)])
    begin = time.monotonic()
    passes = (ready.loss, ready.mass)
    plan = with_engine(ready.plan, ready.network, *passes, ready.example(), batches.num_batches)
    with _engine(plan):
        plan = with_measured_lr(plan, *passes, ready.network, batches)
        objective = ready.objective(plan)  # refuses what it cannot do before anything is written
        run = Run(folder, plan, ready.network, ready.encoding, ready.task, sizes=ready.sizes)
        run.asked = ready.request.plan
        if folder is not None:
            asked = ready.request.plan.to_values(given_only=True)
            if not run.takes_batches:
                ready.encoding.save(folder)
            write_start(folder, plan.to_yaml(), asked, ready.task, ready.fingerprint)
        with graceful_signals() as stop:
            watch = TrainingWatch(
                run.model,
                objective,
                plan.doctor,
                steps=plan.train.epochs * batches.num_batches,
                keeps_best=plan.train.restore_best,
            )
            recorded = [] if folder is None else [_record(ready, run, watch, lambda: loop)]
            with reporting(run, watch.evidence_so_far) as reports:
                loop = Loop(
                    run.model,
                    objective,
                    batches,
                    plan.train,
                    validate=ready.validator(run),
                    score=(run.decoder.monitored[-1], run.decoder.monitored[-1] in LOWER_IS_BETTER),
                    callbacks=[watch, *recorded, *reports, *callbacks],
                    watch=watch,
                    folder=None if folder is None else folder / "checkpoints",
                    stop=stop,
                    seconds=time.monotonic() - begin,
                )
                if loop.load():
                    logger.info("going on from epoch %d", loop.progress.epoch + 1)
                else:
                    loop.set_modes()
                    watch.preflight(ready.sampled("train"), ready.sampled("val"))
                for report in reports:
                    report.catch_up(loop.progress.history)
                run.ended_by = loop.run()
                finite = run.ended_by != "not_finite"
                steps, faults = loop.progress.step, loop.recovery.faults
                met = [step for fault in faults if fault.healed for step in fault.steps]
                found = watch.findings(steps, finite=finite, met=met)
                found += told_faults(faults, steps, plan.doctor)
                run.findings = with_plan_remedies(found, plan, ready.request.plan)
                run.evidence = watch.evidence
                _conclude(run, loop, ready, batches)
                for record in recorded:
                    record.finish(loop.view(), run.status, run.findings)
                for report in reports:
                    report.conclude(run)
    if run.status == "interrupted":
        raise TrainingInterrupted(run, stop.signal or signals.SIGINT)
    return run


def _record(ready: Readied, run: Run, watch: TrainingWatch, loop: Callable[[], Loop]) -> LiveRecord:
    """What tells of the training in its folder; the loop that it asks is made after it."""
    makes_up = run.task in GENERATORS
    show = made_up if makes_up else getattr(ready, "samples", None)
    return LiveRecord(
        Path(str(run.path)),
        watch,
        lambda: loop().progress.history,
        None if show is None else partial(show, run),
        makes_up=makes_up,
    )


def _conclude(run: Run, loop: Loop, ready: Readied, batches: Batches) -> None:
    """The best weights in place, every metric computed, the folder complete."""
    progress = loop.progress
    run.status = "interrupted" if run.ended_by == "interrupted" else "finished"
    run.model.load_state_dict(loop.final_weights())
    restart = getattr(run.model, "set_progress", None)
    if callable(restart):  # as in a run that is opened from its folder
        restart(0.0)
    run.snapshots = loop.snapshots
    run.model = without_proxies(run.model).cpu().eval()
    # In the layout of a run that is opened from its folder: layouts differ in the last bits.
    run.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    run.history = progress.history
    run.epochs = progress.epoch
    run.seconds = progress.seconds
    learnt = progress.step / max(1, batches.num_batches) * batches.num_rows
    run.samples_per_second = learnt / progress.seconds if progress.seconds > 0 else 0.0
    run.metrics = {"val": {}, "test": {}, "baseline": {}}
    for name in ("val", "test"):
        judged = ready.judged(run, name)
        if judged is None:
            continue
        run.metrics[name] = judged.metrics
        if name == "test":
            run.metrics["baseline"] = judged.baseline
    if run.path is not None:
        run.save()
