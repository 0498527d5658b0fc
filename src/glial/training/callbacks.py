"""Callbacks: they watch training and may ask it to stop; they can change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from glial.data.batches import Batch
from glial.training.schedules import Moment


@dataclass(frozen=True)
class TrainingView:
    """What a callback sees.

    Attributes:
        epoch: Epochs done.
        epochs: Most epochs.
        step: Updates done.
        fraction: Share of the whole training that is done.
        seconds: Training time so far.
        metrics: The last epoch's row of the history.
        best_epoch: The best epoch so far, from 1; 0 before the first.
        member: Which network this is, from 1, in a run that trains several.
        members: Number of networks that the run trains.

    Example:
        >>> TrainingView(epoch=1, epochs=10, step=5, fraction=0.1, seconds=0.2).best_epoch
        0
    """

    epoch: int
    epochs: int
    step: int
    fraction: float
    seconds: float
    metrics: Mapping[str, float | int] = field(default_factory=lambda: MappingProxyType({}))
    best_epoch: int = 0
    member: int = 1
    members: int = 1


@runtime_checkable
class Callback(Protocol):
    """Watches training.

    ``on_epoch_end(view)`` comes after validation, and returning True asks the loop to stop. Three
    more hooks are called where a callback has them: ``on_fit_start(view)`` and
    ``on_fit_end(view)`` frame the training, ``on_tick(view)`` comes a few times a second, for
    progress bars.

    Example:
        >>> class StopAtOnce:
        ...     def on_epoch_end(self, view):
        ...         return True
        >>> isinstance(StopAtOnce(), Callback)
        True
    """

    def on_epoch_end(self, view: TrainingView) -> bool | None:
        """An epoch ended; return True to ask for the end of training."""


@runtime_checkable
class StepWatch(Protocol):
    """Looks into some of the steps of a training, which must not notice.

    Example:
        >>> class Blind:
        ...     def is_due(self, step): return False
        ...     def before_step(self, batch, moment): ...
        ...     def after_step(self): ...
        >>> isinstance(Blind(), StepWatch)
        True
    """

    def is_due(self, step: int) -> bool:
        """Whether a step, counted from 0, is to be looked into; asked before each."""

    def before_step(self, batch: Batch, moment: Moment) -> None:
        """A step that is looked into is about to be made."""

    def after_step(self) -> None:
        """It was made."""
