"""Optimisers: what they are set to, whether gradients are cleared, and what their steps do."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from types import FrameType

import torch

from glial.core.findings import Place
from glial.doctor.evidence import OptimizerSeen
from glial.doctor.watching.by_hand import HandUpdate, Stepper
from glial.doctor.watching.networks import Networks
from glial.doctor.watching.parameters import StepWatch, held_by, numbers_of, total_norm
from glial.doctor.watching.places import name_of, place_of

SAME = 1e-6
MOST_OPTIMIZERS = 50


class OptimizerWatch:
    """One optimiser.

    Args:
        optimizer: It.
        networks: The networks that are known.
        frame: The user's frame that calls its ``step``.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(1))
        >>> watch = OptimizerWatch(torch.optim.SGD([weight], lr=0.5), Networks(), None)
        >>> watch.seen.settings["lr"], watch.seen.parameters
        (0.5, 1)
    """

    def __init__(self, optimizer: Stepper, networks: Networks, frame: FrameType | None) -> None:
        self.optimizer = weakref.ref(optimizer)
        group = optimizer.param_groups[0] if optimizer.param_groups else {}
        parameters = held_by(optimizer)
        kind = type(optimizer).__name__
        self.seen = OptimizerSeen(
            name=name_of(optimizer, frame) or kind,
            kind=kind,
            settings=numbers_of(group),
            at=place_of(frame),
            made_at=networks.places.get(optimizer),
            scheduler_at=networks.schedules.get(optimizer),
            parameters=len(parameters),
        )
        self.holds = {id(parameter) for parameter in parameters}
        self._networks = networks
        self._steps = StepWatch(self.seen, networks.find)
        self._norm_at_step: float | None = None
        self._norm_before: float | None = None
        self._norm_after: float | None = None
        self._is_kept: bool | None = None
        self._backwards = self._passes = 0
        self._closure_of: int | None = None
        self._backward_at: Place | None = None

    def _note_owner(self, optimizer: Stepper) -> None:
        self.seen.model = self._networks.owner(held_by(optimizer))
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                seen = self._networks.find(parameter)
                if seen is not None:
                    seen.optimizer = self.seen.name
                    seen.weight_decay = float(group.get("weight_decay", 0.0))
                    seen.lr = float(group.get("lr", float("nan")))

    def before_backward(self) -> None:
        """See whether gradients of its last step are there before a backward pass of a round."""
        optimizer = self.optimizer()
        if optimizer is None:
            return
        norm = _gradient_norm(optimizer)
        self._norm_before = norm
        if not norm:
            self._is_kept = False
        elif self._is_kept is None and self._norm_at_step:
            old = self._norm_at_step
            self._is_kept = abs(norm - old) <= SAME * old

    def after_backward(self, place: Place | None) -> None:
        """See whether the pass, taken at a line, reached it."""
        optimizer = self.optimizer()
        if optimizer is None:
            return
        self._passes += 1
        self._backward_at = place
        norm = _gradient_norm(optimizer)
        if norm is not None and norm != self._norm_before:
            self._backwards += 1
            self._norm_after = norm
        if self._closure_of is not None:
            if self._passes == 1:  # later ones are taken at other weights
                self._note_gradients(optimizer, self._closure_of)
            self._norm_at_step = norm  # of the last is what may be left to the next step

    def before_step(self, step: int, *, looks: bool, closure: bool) -> None:
        """It is about to step; with a closure, gradients are taken while it steps."""
        optimizer = self.optimizer()
        if optimizer is None:
            return
        rate = optimizer.param_groups[0].get("lr")
        if rate is not None:
            self.seen.lr.add(step, float(rate))
        self.seen.cleared_at = self._networks.cleared.get(optimizer)
        if not looks:
            self._norm_at_step = None
            return
        self._note_owner(optimizer)
        self.seen.backward_at = self._backward_at or self.seen.backward_at
        if closure:
            self._closure_of, self._passes = step, 0
            return
        self._note_gradients(optimizer, step)
        if self._norm_after is not None:
            self.seen.norm.add(step, self._steps.norm)
            self.seen.norm_before.add(step, self._norm_after)
        gone = (self._norm_after or 0.0) > 0 and not self._steps.norm > 0
        if self.seen.steps:  # it was not known before its first step
            self.seen.empty_steps += _gradient_norm(optimizer) is None or gone or not self._passes

    def _note_gradients(self, optimizer: Stepper, step: int) -> None:
        """Measure the gradients that it steps by, and whether older ones are among them."""
        self._steps.before(optimizer, step)
        self._note_clearing()

    def _note_clearing(self) -> None:
        if self._norm_at_step is not None and self._is_kept is not None:
            self.seen.kept_gradients += self._is_kept
            self.seen.cleared_gradients += not self._is_kept
        self._norm_at_step = self._steps.norm

    def await_update(self, update: HandUpdate) -> None:
        """Its weights may be changed next, by the user's own code."""
        self._steps.keep(update)

    def was_updated(self, update: HandUpdate, step: int, *, looks: bool) -> None:
        """Its weights were changed so."""
        self._norm_at_step = self._norm_at_step if looks else None
        if looks:
            self._note_owner(update)
            self._steps.measure_kept(update, step)
            self._note_clearing()
        self.after_step(step, looks=looks)
        update.describe(self.seen, self._steps.rate)

    @property
    def is_known(self) -> bool:
        """Whether it is an optimiser, or has acted as one."""
        return self.seen.steps > 0 or not isinstance(self.optimizer(), HandUpdate)

    def after_step(self, step: int, *, looks: bool) -> None:
        """It stepped."""
        optimizer = self.optimizer()
        self.seen.steps += 1
        if optimizer is None:
            return
        if looks and self._norm_at_step is not None:
            self._steps.after(optimizer, step)
            self.seen.backwards += [self._backwards] if self.seen.steps > 1 else []
            del self.seen.backwards[:-50]
        self._closure_of = None
        self._is_kept, self._backwards, self._passes = None, 0, 0
        self._norm_before = self._norm_after = None

    def changes(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Each parameter with what it was before the last step; empty if that is not known."""
        optimizer = self.optimizer()
        return self._steps.changes(optimizer) if optimizer is not None else []

    def summary(self) -> OptimizerSeen:
        """What was seen so far."""
        optimizer = self.optimizer()
        if optimizer is not None and self.seen.steps:
            scheduler = getattr(optimizer.step, "_wrapped_by_lr_sched", None)
            if scheduler is not None and self.seen.scheduler is None:
                self.seen.scheduler = "LRScheduler"
        return self.seen


class Optimizers:
    """All optimisers that step, up to a number of them.

    Args:
        networks: The networks that are known.

    Example:
        >>> optimizers = Optimizers(Networks())
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])
        >>> optimizers.of(optimizer, None) is optimizers.find(optimizer)
        True
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._watches: dict[int, OptimizerWatch] = {}
        self._gone: list[OptimizerWatch] = []

    def __iter__(self) -> Iterator[OptimizerWatch]:
        return iter([*self._gone, *self._watches.values()])

    def find(self, optimizer: Stepper) -> OptimizerWatch | None:
        """What watches an optimiser; None of one that is not known."""
        watch = self._watches.get(id(optimizer))
        return watch if watch is not None and watch.optimizer() is optimizer else None

    def forget(self, optimizer: Stepper) -> None:
        """Leave one out that turned out to be none."""
        self._watches.pop(id(optimizer), None)

    def count(self, optimizer: Stepper) -> bool:
        """Count a step that nothing else is known of; whether it is one of them."""
        watch = self.find(optimizer)
        if watch is not None:
            watch.seen.steps += 1
        return watch is not None

    def of(self, optimizer: Stepper, frame: FrameType | None) -> OptimizerWatch | None:
        """What watches an optimiser, from now on; None where there are too many."""
        watch = self.find(optimizer)
        if watch is not None:
            return watch
        old = self._watches.pop(id(optimizer), None)
        self._gone += [] if old is None else [old]
        if len(self._watches) + len(self._gone) >= MOST_OPTIMIZERS:
            return None
        watch = self._watches[id(optimizer)] = OptimizerWatch(optimizer, self._networks, frame)
        return watch


def _gradient_norm(optimizer: Stepper) -> float | None:
    """The norm of its gradients; None where there are none."""
    gradients = [p.grad for p in held_by(optimizer) if p.grad is not None]
    return total_norm(gradients) if gradients else None
