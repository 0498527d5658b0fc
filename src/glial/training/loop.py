"""The one training loop: it drives any objective and knows no model."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.core.seeds import derive_seed
from glial.data.batches import Batch, Batches
from glial.training.averaging import WeightAverage
from glial.training.best import BestWeights
from glial.training.callbacks import Callback, StepWatch, TrainingView
from glial.training.checkpoints import CheckpointWriter, load_checkpoint, under
from glial.training.freezing import Freezing
from glial.training.interrupts import StopRequest
from glial.training.objective import Objective
from glial.training.recovery import Recovery
from glial.training.schedules import Moment
from glial.training.settings import TrainSettings
from glial.training.snapshots import Snapshots, Weights
from glial.training.state import TrainingState

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
Again = Literal["again"]  # from another state than the one that training has come to
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
        self._objective = objective
        self._batches = batches
        self._validate = validate
        self._settings = settings
        self._callbacks = callbacks
        self._watch = watch
        self._folder = folder
        self._stop = stop or StopRequest()
        self._freezing = Freezing(model, settings)
        self._average = WeightAverage.of(model, settings)
        self._snapshots = Snapshots(settings.snapshots, folder)
        self.snapshots: list[Weights] = []
        judged_by = score if settings.monitor == "score" else ("loss", True)
        self._best = BestWeights(judged_by, settings.min_delta)
        self._state = TrainingState(model, objective, self._average, self._best)
        self.progress = self._state.progress
        self.progress.seconds = seconds
        meets = settings.recovery and not getattr(batches, "once", False)
        self.recovery = Recovery(self._state, batches.num_batches, on=meets)
        self._told = self._watched = 0
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
        self._told, self._watched = self.progress.epoch, self.progress.step
        self.recovery.begin()
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
            if end is None:
                end = self._close_epoch()
                due = time.monotonic() >= self._next_checkpoint
                if end != "again" and due and self._save_if_settled():
                    end = "again"
            if end is not None and end != "again":
                return end
        return "epochs"

    def _one_epoch(self) -> End | Again | None:
        """The batches of an epoch from the current one on; says why it broke off, if it did."""
        progress, batches, recovery = self.progress, self._batches, self.recovery
        self.set_modes()
        limit = self._settings.time_limit
        sizes = batches.num_batches
        for batch in batches.epoch(progress.epoch, progress.batch):
            now = time.monotonic()
            seconds = now - self._clock
            if self._stop.signal is not None:
                recovery.leave()
                return "interrupted"
            if limit is not None and seconds + self._validation_seconds >= limit:
                recovery.leave()
                self._partial_validation()
                return "time_limit"
            fraction = progress.step / self._total_steps
            if limit is not None:
                fraction = min(1.0, max(fraction, seconds / limit))
            moment = Moment(progress.step, progress.epoch, fraction)
            if recovery.prepare():
                try:
                    loss = self._step(batch, moment)
                except (RuntimeError, MemoryError) as error:
                    if not recovery.meets(error):
                        raise
                    return "again"
                self._update_average(fraction)
                progress.step += 1
                progress.batch += 1
                if recovery.made(loss, len(batch.target)):
                    return "again"
            else:
                progress.step += 1
                progress.batch += 1
            if now >= self._next_tick:
                self._next_tick = now + TICK_SECONDS
                self._tell("on_tick")
            if now >= self._next_checkpoint and progress.batch < sizes and self._save_if_settled():
                return "again"
        return "again" if recovery.settle(epoch_ends=True) else None

    def _update_average(self, fraction: float) -> None:
        if self._average is not None and (
            self._settings.ema is not None or fraction >= (self._settings.swa_start or 0)
        ):
            self._average.update()

    def _step(self, batch: Batch, moment: Moment) -> Tensor:
        # Steps that are made again were looked into before.
        new, self._watched = moment.step >= self._watched, max(self._watched, moment.step + 1)
        if self._watch is None or not new or not self._watch.is_due(moment.step):
            return self._objective.step(batch, moment)
        self._watch.before_step(batch, moment)
        loss = self._objective.step(batch, moment)
        self._watch.after_step()
        return loss

    def _close_epoch(self) -> End | Again | None:
        """Validate, write history, keep the best; says why training should end, if it should."""
        progress, state = self.progress, self._state
        train_loss = state.loss / max(1, state.rows)
        state.loss, state.rows = 0.0, 0
        progress.epoch += 1
        progress.batch = 0
        row = {"epoch": progress.epoch, "step": progress.step, "train_loss": train_loss}
        figures = self._validation()
        ends = progress.epoch == self._settings.epochs
        if (ends or not math.isfinite(figures.get("loss", 0.0))) and self.recovery.is_lost():
            return "again"
        row |= {f"val_{name}": value for name, value in figures.items()}
        row |= {"lr": self._objective.rate(), "seconds": time.monotonic() - self._clock}
        row |= self.recovery.counted(progress.epoch)
        progress.history.append(row)
        if not math.isfinite(train_loss):
            logger.warning(
                "the training loss is not finite in epoch %d: training ends with the weights of "
                "epoch %d; a lower train.lr may help",
                progress.epoch,
                progress.best_epoch,
            )
            return "not_finite"
        self._best.consider(figures, progress, self._current_weights)
        self._snapshots.take(progress.epoch, self._current_weights)
        if "loss" in figures:
            self._objective.observe(figures["loss"])
        if progress.epoch > self._told:  # others were told before, and are made again
            self._told = progress.epoch
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
            epoch = self.progress.epoch + 1
            self._best.consider(
                self._validation(), self.progress, self._current_weights, epoch=epoch
            )

    def _current_weights(self) -> dict[str, Tensor]:
        def copied() -> dict[str, Tensor]:
            return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

        if self._average is None:
            return copied()
        with self._average.swapped_in():
            return copied()

    def final_weights(self) -> dict[str, Tensor]:
        """The best epoch's weights, or the last ones; where those are not finite, the first."""
        best = self._best.weights
        if self._settings.restore_best and best is not None:
            return best
        weights = self._current_weights()
        finite = all(bool(value.isfinite().all()) for value in weights.values())
        return weights if finite else best or self._first_weights

    def save(self) -> None:
        """Write the checkpoints ``best`` and ``last``, so that :meth:`load` goes on from here."""
        self._checkpoint()
        self._writer.wait()

    def _save_if_settled(self) -> bool:
        """Have a checkpoint written if every step is known to be good; whether one is not."""
        if self._folder is None or self._writer.busy:
            return False
        if self.recovery.settle(sure=True):
            return True
        if self.recovery.is_settled:
            self._checkpoint()
        return False

    def _checkpoint(self) -> None:
        """Have the checkpoints written while training goes on."""
        if self._folder is None:
            return
        begin = time.monotonic()
        self.progress.seconds = begin - self._clock
        numbers = {**self._state.numbers(), "recovery": self.recovery.numbers()}
        path = self._folder / "last" / "checkpoint.safetensors"
        last = (path, self._state.tensors(), numbers)
        self._writer.write([*self._unsaved_best(), *self._snapshots.unsaved(), last])
        now = time.monotonic()
        # Copying may cost at most a fiftieth of the time between two checkpoints.
        wait = max(self._settings.checkpoint_seconds, 50 * (now - begin))
        self._next_checkpoint = now + wait

    def _unsaved_best(self) -> list[tuple[Path, Weights, dict[str, Any]]]:
        return self._best.unsaved(self._folder, self.progress)

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
        self._state.load(tensors, numbers)
        self.recovery.load(numbers["recovery"])
        if self.progress.best is not None:
            best, _ = load_checkpoint(self._folder / "best" / "checkpoint.safetensors")
            weights, device = under("model", best), self._state.device
            self._best.weights = {name: value.to(device) for name, value in weights.items()}

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
