"""The one training loop: it drives any objective and knows no model."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.core.seeds import derive_seed
from glial.data.batches import Batch, Batches
from glial.training.averaging import WeightAverage
from glial.training.callbacks import Callback, StepWatch, TrainingView
from glial.training.checkpoints import (
    CheckpointWriter,
    Progress,
    load_checkpoint,
    prefixed,
    random_state,
    restore_random_state,
    under,
)
from glial.training.freezing import Freezing
from glial.training.interrupts import StopRequest
from glial.training.objective import Objective
from glial.training.schedules import Moment
from glial.training.settings import TrainSettings
from glial.training.snapshots import Snapshots, Weights

logger = logging.getLogger(__name__)

End = Literal[
    "epochs",
    "patience",
    "stop_below",
    "settled",
    "time_limit",
    "callback",
    "interrupted",
    "not_finite",
]
TICK_SECONDS = 0.1


class Loop:
    """Trains, validates, keeps the best weights, and writes checkpoints that a kill cannot harm.

    Args:
        model: The networks, as one module.
        objective: How a batch changes them.
        batches: The training rows.
        validate: Figures of a validation pass, ``loss`` first; None where no rows are kept back.
        settings: The plan's ``train`` part.
        score: The validation figure that ``monitor: score`` stands for, and whether lower is
            better.
        callbacks: Watchers.
        watch: Who looks into steps; None for nobody.
        folder: Where checkpoints go; None keeps none.
        stop: A request to stop that a signal may set.
        seconds: Training time already used, by a range test.

    Example:
        >>> from glial.data import Batch, TensorBatches
        >>> from glial.training.objective import Descent
        >>> model, rows = nn.Linear(1, 1), Batch((torch.ones(4, 1),), torch.zeros(4, 1))
        >>> settings = TrainSettings(epochs=2, lr=0.1)
        >>> squared = lambda outputs, target, weight: (outputs - target).square().mean()
        >>> objective = Descent(model, squared, settings, lr=0.1)
        >>> loop = Loop(model, objective, TensorBatches(rows, 2, seed=0), settings)
        >>> loop.run(), loop.progress.step
        ('epochs', 4)
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        batches: Batches,
        settings: TrainSettings,
        *,
        validate: Callable[[], dict[str, float]] | None = None,
        score: tuple[str, bool] = ("loss", True),
        callbacks: Sequence[Callback] = (),
        watch: StepWatch | None = None,
        folder: Path | None = None,
        stop: StopRequest | None = None,
        seconds: float = 0.0,
    ) -> None:
        self.model = model
        self.progress = Progress(seconds=seconds)
        self._objective = objective
        self._batches = batches
        self._validate = validate
        self._settings = settings
        self._score = score if settings.monitor == "score" else ("loss", True)
        self._callbacks = callbacks
        self._watch = watch
        self._folder = folder
        self._stop = stop or StopRequest()
        self._freezing = Freezing(model, settings)
        self._average = WeightAverage.of(model, settings)
        self._snapshots = Snapshots(settings.snapshots, folder)
        self.snapshots: list[Weights] = []
        self._sum = torch.zeros((), device=next(iter(model.parameters())).device)
        self._best_weights: dict[str, Tensor] | None = None
        self._best_is_saved = True
        self._writer = CheckpointWriter()
        self._next_tick = 0.0
        self.num_batches = batches.num_batches
        self.num_rows = batches.num_rows
        self._total_steps = max(1, settings.epochs * batches.num_batches)
        self._validation_seconds = 0.0

    def run(self) -> End:
        """Train to the end, from wherever the progress stands; returns why it ended."""
        if self.progress.step == 0:
            torch.manual_seed(derive_seed(self._settings.seed, "training"))
        self._clock = time.monotonic() - self.progress.seconds
        self._next_checkpoint = time.monotonic() + self._settings.checkpoint_seconds
        self._first_weights = self._current_weights()
        self._tell("on_fit_start")
        end = self._epochs()
        self.progress.seconds = time.monotonic() - self._clock
        if end == "interrupted":
            self.save()
        elif self._folder is not None:
            self._writer.write([*self._unsaved_best(), *self._snapshots.unsaved()])
        self._writer.wait()
        if end != "interrupted" or self._folder is None:
            self.snapshots = self._snapshots.finish(self.progress.epoch)
        self._tell("on_fit_end")
        return end

    def set_modes(self) -> None:
        """Put the network in training mode, but for what is frozen in the current epoch."""
        self.model.train()
        self._freezing.apply(self.progress.epoch)

    def _epochs(self) -> End:
        progress = self.progress
        while progress.epoch < self._settings.epochs:
            end = self._one_epoch()
            if end is not None:
                return end
            end = self._close_epoch()
            if time.monotonic() >= self._next_checkpoint and not self._writer.busy:
                self._checkpoint()
            if end is not None:
                return end
        return "epochs"

    def _one_epoch(self) -> End | None:
        """The batches of an epoch from the current one on; says why it broke off, if it did."""
        progress, batches = self.progress, self._batches
        self.set_modes()
        limit = self._settings.time_limit
        sizes = batches.num_batches
        for batch in batches.epoch(progress.epoch, progress.batch):
            now = time.monotonic()
            seconds = now - self._clock
            if self._stop.signal is not None:
                return "interrupted"
            if limit is not None and seconds + self._validation_seconds >= limit:
                self._partial_validation()
                return "time_limit"
            fraction = progress.step / self._total_steps
            if limit is not None:
                fraction = min(1.0, max(fraction, seconds / limit))
            moment = Moment(progress.step, progress.epoch, fraction)
            loss = self._step(batch, moment)
            self._sum.add_(loss, alpha=len(batch.target))
            if self._average is not None and (
                self._settings.ema is not None or fraction >= (self._settings.swa_start or 0)
            ):
                self._average.update()
            progress.step += 1
            progress.batch += 1
            if now >= self._next_tick:
                self._next_tick = now + TICK_SECONDS
                self._tell("on_tick")
            due = now >= self._next_checkpoint and not self._writer.busy
            if due and progress.batch < sizes:
                self._checkpoint()
        return None

    def _step(self, batch: Batch, moment: Moment) -> Tensor:
        if self._watch is None or not self._watch.is_due(moment.step):
            return self._objective.step(batch, moment)
        self._watch.before_step(batch, moment)
        loss = self._objective.step(batch, moment)
        self._watch.after_step()
        return loss

    def _close_epoch(self) -> End | None:
        """Validate, write history, keep the best; says why training should end, if it should."""
        progress = self.progress
        train_loss = float(self._sum) / self._batches.num_rows
        self._sum.zero_()
        progress.epoch += 1
        progress.batch = 0
        row = {"epoch": progress.epoch, "step": progress.step, "train_loss": train_loss}
        figures = self._validation()
        row |= {f"val_{name}": value for name, value in figures.items()}
        row |= {"lr": self._objective.rate(), "seconds": time.monotonic() - self._clock}
        progress.history.append(row)
        if not math.isfinite(train_loss):
            logger.warning(
                "the training loss is not finite in epoch %d: training ends with the weights of "
                "epoch %d; a lower train.lr may help",
                progress.epoch,
                progress.best_epoch,
            )
            return "not_finite"
        self._keep_best(figures)
        self._snapshots.take(progress.epoch, self._current_weights)
        if "loss" in figures:
            self._objective.observe(figures["loss"])
        wishes = [self._tell_one(callback, "on_epoch_end") for callback in self._callbacks]
        if any(wish is True for wish in wishes):
            return "callback"
        return self._early_end(figures)

    def _early_end(self, figures: dict[str, float]) -> End | None:
        settings = self._settings
        if settings.stop_below is not None and figures.get("loss", math.inf) <= settings.stop_below:
            return "stop_below"
        if getattr(self._objective, "settled", False):
            return "settled"
        if figures and settings.patience is not None and self.progress.waited >= settings.patience:
            return "patience"
        return None

    def _validation(self) -> dict[str, float]:
        if self._validate is None:
            return {}
        begin = time.monotonic()
        if self._average is not None:
            with self._average.swapped_in():
                figures = self._validate()
        else:
            figures = self._validate()
        self._validation_seconds = time.monotonic() - begin
        return figures

    def _partial_validation(self) -> None:
        """Look whether the weights in mid-epoch, where the time ran out, are the best."""
        if self._validate is not None:
            self._keep_best(self._validation(), epoch=self.progress.epoch + 1)

    def _keep_best(self, figures: dict[str, float], epoch: int | None = None) -> None:
        """Hold the weights if they are the best yet; equal scores go to the lower loss."""
        progress = self.progress
        progress.waited += 1
        name, lower = self._score
        if not (math.isfinite(figures.get("loss", math.nan)) and math.isfinite(figures[name])):
            return
        value = figures[name] if lower else -figures[name]
        # Small steps add up: they are measured from the last improvement that was large enough.
        if progress.reference is None or value < progress.reference - self._settings.min_delta:
            progress.reference, progress.waited = value, 0
        key = [value, figures["loss"]]
        if progress.best is None or key < progress.best:
            progress.best, progress.best_epoch = key, epoch or progress.epoch
            self._best_weights = self._current_weights()
            self._best_is_saved = False

    def _current_weights(self) -> dict[str, Tensor]:
        def copied() -> dict[str, Tensor]:
            return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

        if self._average is None:
            return copied()
        with self._average.swapped_in():
            return copied()

    def final_weights(self) -> dict[str, Tensor]:
        """The best epoch's weights, or the last ones; where those are not finite, the first."""
        if self._settings.restore_best and self._best_weights is not None:
            return self._best_weights
        weights = self._current_weights()
        finite = all(bool(value.isfinite().all()) for value in weights.values())
        return weights if finite else self._best_weights or self._first_weights

    def save(self) -> None:
        """Write the checkpoints ``best`` and ``last``, so that :meth:`load` goes on from here."""
        self._checkpoint()
        self._writer.wait()

    def _checkpoint(self) -> None:
        """Have the checkpoints written while training goes on."""
        if self._folder is None:
            return
        begin = time.monotonic()
        self.progress.seconds = begin - self._clock
        tensors = {
            **prefixed("model", self.model.state_dict()),
            **prefixed("objective", self._objective.tensors()),
            **prefixed("average", self._average.tensors() if self._average else {}),
            **prefixed("random", random_state()),
            "loop.sum": self._sum,
        }
        numbers = {
            "progress": asdict(self.progress),
            "objective": self._objective.numbers(),
            "average_count": self._average.count if self._average else 0,
        }
        last = (self._folder / "last" / "checkpoint.safetensors", tensors, numbers)
        self._writer.write([*self._unsaved_best(), *self._snapshots.unsaved(), last])
        now = time.monotonic()
        # Copying may cost at most a fiftieth of the time between two checkpoints.
        wait = max(self._settings.checkpoint_seconds, 50 * (now - begin))
        self._next_checkpoint = now + wait

    def _unsaved_best(self) -> list[tuple[Path, dict[str, Tensor], dict[str, Any]]]:
        """The best weights as a checkpoint, unless they are written already."""
        if self._best_weights is None or self._best_is_saved or self._folder is None:
            return []
        self._best_is_saved = True
        numbers = {"epoch": self.progress.best_epoch, "best": self.progress.best}
        path = self._folder / "best" / "checkpoint.safetensors"
        return [(path, prefixed("model", self._best_weights), numbers)]

    def load(self) -> bool:
        """Go on from the checkpoint ``last``; returns whether there is one.

        Raises:
            InputError: If a checkpoint is damaged, or is another network's.
        """
        if self._folder is None:
            return False
        last = self._folder / "last" / "checkpoint.safetensors"
        if not last.exists():
            return False
        tensors, numbers = load_checkpoint(last)
        try:
            self._take(tensors, numbers)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InputError(
                f"{last} does not fit this training",
                expected="the checkpoint of the same network and plan",
                got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
                do="the file was changed: restore it, or train again",
            ) from error
        return True

    def _take(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        assert self._folder is not None  # noqa: S101 - narrows the type
        device = self._sum.device
        self.model.load_state_dict(under("model", tensors))
        self._objective.load(under("objective", tensors), numbers["objective"])
        if self._average is not None:
            self._average.load(under("average", tensors), numbers["average_count"])
        self._sum = tensors["loop.sum"].to(device)
        self.progress = Progress(**numbers["progress"])
        if self.progress.best is not None:
            best, _ = load_checkpoint(self._folder / "best" / "checkpoint.safetensors")
            weights = under("model", best)
            self._best_weights = {name: value.to(device) for name, value in weights.items()}
        restore_random_state(under("random", tensors))

    def view(self) -> TrainingView:
        """What callbacks see."""
        progress = self.progress
        row = progress.history[-1] if progress.history else {}
        seconds = time.monotonic() - self._clock
        fraction = progress.step / self._total_steps
        if self._settings.time_limit is not None:
            fraction = max(fraction, seconds / self._settings.time_limit)
        return TrainingView(
            progress.epoch,
            self._settings.epochs,
            progress.step,
            min(1.0, fraction),
            seconds,
            MappingProxyType(dict(row)),
            progress.best_epoch,
        )

    def _tell(self, hook: str) -> None:
        for callback in self._callbacks:
            self._tell_one(callback, hook)

    def _tell_one(self, callback: Callback, hook: str) -> Any:
        method = getattr(callback, hook, None)
        return method(self.view()) if method is not None else None
