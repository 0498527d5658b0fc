"""How a plan's steps are computed: threads, layout and precision, measured where that pays."""

from __future__ import annotations

import copy
import logging
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from glial.core.memory import keep_freed_memory
from glial.core.seeds import seeded
from glial.data.batches import Batch
from glial.nn.summary import summarize
from glial.runs.network import descends
from glial.runs.plan import Plan
from glial.training import Descent, Moment
from glial.training.captured import capture_obstacle
from glial.training.freezing import Freezing
from glial.training.kernels import find_kernels
from glial.training.objective import LossFunction, Mass

logger = logging.getLogger(__name__)

# Fewer floating-point operations than this a step, and two threads are slower than one.
SHARED_OPERATIONS = 100_000_000
# A training that takes less is over before a measurement pays: by what a step costs beside its
# operations, and by how many of these a processor makes in a second, both roughly.
MEASURED_SECONDS = 8.0
SECONDS_OF_STEP = 3e-4
OPERATIONS_OF_SECOND = 1e11
# Steps are timed so many at once that what is timed takes long enough.
TIMED_SECONDS = 0.03
# A step with fewer operations is mostly bookkeeping; with fewer steps, tracing is not paid for.
CAPTURED_OPERATIONS = 1_000_000_000
CAPTURED_STEPS = 5_000
# torch.compile takes a minute or two, and gains little or a third.
TORCH_COMPILE_SECONDS = 1800.0
ROUNDS = 3
LEAST_GAIN = 1.1
Choice = dict[str, Any]


def with_engine(
    plan: Plan, network: nn.Module, loss: LossFunction, mass: Mass, batch: Batch, num_batches: int
) -> Plan:
    """The plan with its threads, layout and precision decided, where they were left open.

    Small steps are given what is known to suit them. Where training is long, each choice is
    tried for a few steps on copies of the network, in turns with what it would replace, and
    taken if it is faster by a tenth. Choices that change results are not measured for
    deterministic plans, whose results would hang on the clock.

    Args:
        plan: The plan, its batch size decided.
        network: The network, on its device.
        loss: What is to be small.
        mass: What the loss divides its sum over rows by.
        batch: A batch as the network learns from it.
        num_batches: Batches of an epoch.

    Returns:
        The plan, in which only what its objective does not use is still open.
    """
    operations = _operations(network, batch)
    seconds = SECONDS_OF_STEP + operations / OPERATIONS_OF_SECOND
    steps = num_batches * plan.train.epochs
    if plan.train.time_limit is not None:
        steps = min(steps, int(plan.train.time_limit / seconds))
    images = _has_images(network, batch)
    if images and _is_on_cpu(network):
        keep_freed_memory()
    decided = _known(plan, network, operations, steps, images)
    long = seconds * steps > MEASURED_SECONDS
    repeats = max(1, round(TIMED_SECONDS / seconds))
    open_ = {key: getattr(plan.train, key) == "auto" for key in decided}
    if long and descends(plan) and not plan.train.deterministic and any(open_.values()):

        def trial(tried: Plan) -> Callable[[], float]:
            model = copy.deepcopy(network).train()
            descent = Descent(model, loss, tried.train, lr=1e-6, mass=mass)
            return partial(_seconds_of, descent, batch, tried, repeats)

        decided = _measured(plan, trial, decided, open_, _candidates(plan, network, decided))
        if _may_compile(plan, network, decided, open_):
            now = trial(_changed(plan, decided))
            now()  # warms up
            if now() / repeats * steps > TORCH_COMPILE_SECONDS:
                decided = _measured(plan, trial, decided, open_, {"step": ["torch_compile"]})
    for key, value in decided.items():
        if open_[key]:
            plan = _changed(plan, {key: value})
    return plan


def _changed(plan: Plan, choice: Choice) -> Plan:
    return plan.model_copy(update={"train": plan.train.model_copy(update=choice)})


def _operations(network: nn.Module, batch: Batch) -> int:
    """Floating-point operations of a step: the backward pass has twice those of the forward."""
    few = tuple(part[:2] for part in batch.inputs)
    return 3 * summarize(network, few).flops * len(batch.target) // max(1, len(few[0]))


def _has_images(network: nn.Module, batch: Batch) -> bool:
    pictures = any(part.ndim == 4 for part in batch.inputs)
    return pictures and any(isinstance(module, nn.Conv2d) for module in network.modules())


def _is_on_cpu(network: nn.Module) -> bool:
    return next(iter(network.parameters())).device.type == "cpu"


def _known(plan: Plan, network: nn.Module, operations: int, steps: int, images: bool) -> Choice:
    """What is right without a measurement, with what the plan says in its place."""
    usual: Choice = {
        "step": _step(plan, network, operations, steps),
        "threads": 1 if operations < SHARED_OPERATIONS else torch.get_num_threads(),
        "layout": "channels_last" if images else "contiguous",
        "precision": "float32",
    }
    asked = {key: getattr(plan.train, key) for key in usual}
    return {key: usual[key] if asked[key] == "auto" else asked[key] for key in usual}


def _step(plan: Plan, network: nn.Module, operations: int, steps: int) -> str:
    """Whether steps are captured: small ones, of which there are enough to pay for it."""
    many = steps >= CAPTURED_STEPS
    small = operations < CAPTURED_OPERATIONS
    still = not Freezing.is_asked(plan.train)
    allowed = descends(plan) and still and capture_obstacle(network) is None
    return "captured" if many and small and allowed else "eager"


def _candidates(plan: Plan, network: nn.Module, decided: Choice) -> dict[str, list[Any]]:
    """What is worth a trial, beside what is known to be right."""
    images = any(isinstance(module, nn.Conv2d) for module in network.modules())
    still = not Freezing.is_asked(plan.train)
    products = still and not images and capture_obstacle(network) is None
    return {
        "threads": [1, torch.get_num_threads()] if _is_on_cpu(network) else [],
        "layout": ["contiguous"] if decided["layout"] == "channels_last" else [],
        "step": ["compiled"] if products and find_kernels() else [],
        # What tells numbers of a table apart may be lost in low precision.
        "precision": ["bfloat16"] if images else [],
    }


def _may_compile(plan: Plan, network: nn.Module, decided: Choice, open_: dict[str, bool]) -> bool:
    """Whether the steps of a network of images can be given to torch's compiler."""
    images = any(isinstance(module, nn.Conv2d) for module in network.modules())
    still = not Freezing.is_asked(plan.train) and capture_obstacle(network) is None
    return open_["step"] and decided["step"] == "eager" and images and still


def _measured(
    plan: Plan,
    trial: Callable[[Plan], Callable[[], float]],
    decided: Choice,
    open_: dict[str, bool],
    others: dict[str, list[Any]],
) -> Choice:
    """The choices that a few steps on this machine are fastest with."""
    told = []
    for key, values in others.items():
        for value in [other for other in values if open_[key] and other != decided[key]]:
            tried = {**decided, key: value}
            gain = _gain(*(trial(_changed(plan, one)) for one in (decided, tried)))
            told.append(f"{value} {key} {gain:.2f}x")
            if gain > LEAST_GAIN:
                decided = tried
    if told:
        chosen = ", ".join(f"{key} {decided[key]}" for key in others if open_[key])
        logger.info("engine: %s (measured against what it was: %s)", chosen, ", ".join(told))
    return decided


def _seconds_of(descent: Descent, batch: Batch, plan: Plan, repeats: int) -> float:
    """How long some steps take with a plan's threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(int(plan.train.threads))
    try:
        with seeded(plan.train.seed, "measurement"):
            begin = time.perf_counter()
            for _ in range(repeats):
                descent.step(batch, Moment(0, 0, 0.5))
            if batch.target.device.type != "cpu":
                torch.accelerator.synchronize()
            return time.perf_counter() - begin
    finally:
        torch.set_num_threads(threads)


def _gain(before: Callable[[], float], after: Callable[[], float]) -> float:
    """How many times as fast the second is, in turns with the first; a first turn warms up."""
    ratios = [before() / after() for _ in range(ROUNDS + 1)]
    return statistics.median(ratios[1:])
