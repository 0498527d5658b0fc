"""What an objective is, and the usual one: descend the gradient of one loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from glial.data.batches import Batch
from glial.training.optimizers import (
    add_l2_gradient,
    clip,
    decay,
    make_optimizer,
    soften,
)
from glial.training.schedules import (
    Moment,
    PlateauFactor,
    Schedule,
    flat_cosine,
    make_schedule,
)
from glial.training.settings import TrainSettings

LossFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@runtime_checkable
class Objective(Protocol):
    """Knows how one batch changes the networks; the loop drives any of them alike.

    Example:
        >>> loss = lambda outputs, target, weight: outputs.mean()
        >>> isinstance(Descent(nn.Linear(1, 1), loss, TrainSettings(), lr=0.1), Objective)
        True
    """

    def step(self, batch: Batch, moment: Moment) -> Tensor:
        """Learn from a batch; returns the batch's loss, detached and not read back."""

    def observe(self, value: float) -> None:
        """Take in the validation loss at the end of an epoch."""

    def rate(self) -> float:
        """The learning rate of the last step."""

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that a checkpoint must hold beside the model's."""

    def numbers(self) -> dict[str, Any]:
        """The plain values that a checkpoint must hold, as JSON."""

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from a checkpoint."""


class Descent:
    """Gradient descent on one loss with one optimiser.

    Args:
        model: The network.
        loss: ``loss(outputs, target, weight)``, the mean over rows.
        settings: Optimiser, schedule, penalties and clipping.
        lr: Base learning rate.
        schedule: Factor on the rate; by default the one that the settings name.

    Example:
        >>> model, rows = nn.Linear(1, 1, bias=False), Batch((torch.ones(1, 1),), torch.ones(1, 1))
        >>> _ = nn.init.zeros_(model.weight)
        >>> half = lambda outputs, target, weight: 0.5 * (outputs - target).square().mean()
        >>> descent = Descent(model, half, TrainSettings(optimizer="sgd"), lr=0.5)
        >>> descent.step(rows, Moment(0, 0, 0.0)).item(), model.weight.item()
        (0.5, 0.5)
    """

    def __init__(
        self,
        model: nn.Module,
        loss: LossFunction,
        settings: TrainSettings,
        lr: float,
        schedule: Schedule | None = None,
    ) -> None:
        self._model = model
        self._loss = loss
        self._settings = settings
        self._lr = lr
        self._schedule = schedule or make_schedule(settings)
        self._plateau = (
            PlateauFactor(settings.schedule_gamma, settings.schedule_patience)
            if settings.schedule == "plateau"
            else None
        )
        self._optimizer = make_optimizer(model, settings, lr)
        self._parameters = [p for g in self._optimizer.param_groups for p in g["params"]]
        self._set_progress = getattr(model, "set_progress", None)
        self._clips = settings.clip_norm is not None or settings.clip_value is not None
        self._rate = lr

    def step(self, batch: Batch, moment: Moment) -> Tensor:
        """Forward, loss, backward, update."""
        self._set_rates(moment)
        if self._set_progress is not None:
            self._set_progress(moment.fraction)
        loss = self._loss(self._model(*batch.inputs), batch.target, batch.weight)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._update(moment)
        return loss.detach()

    def _set_rates(self, moment: Moment) -> None:
        factor = self._schedule(moment) * (self._plateau.factor if self._plateau else 1.0)
        self._rate = self._lr * factor
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * group["lr_factor"]

    def _update(self, moment: Moment) -> None:
        settings = self._settings
        if settings.l2:
            add_l2_gradient(self._optimizer, settings.l2)
        if self._clips:
            clip(self._parameters, settings)
        if settings.weight_decay:
            flat = settings.decay_schedule == "flat_cosine"
            shape = flat_cosine(moment.fraction) if flat else 1.0
            self._decay(settings.weight_decay * shape)
        self._optimizer.step()
        if settings.l1:
            soften(self._optimizer, settings.l1)

    def _decay(self, amount: float) -> None:
        if self._settings.optimizer != "adamw":
            decay(self._optimizer, amount)
            return
        for group in self._optimizer.param_groups:
            group["weight_decay"] = amount * group["decay_factor"]

    def observe(self, value: float) -> None:
        """Let the plateau schedule see the validation loss."""
        if self._plateau is not None:
            self._plateau.observe(value)

    def rate(self) -> float:
        """The learning rate of the last step."""
        return self._rate

    def tensors(self) -> dict[str, Tensor]:
        """The optimiser's running averages, by parameter number and name."""
        return {
            f"{number}.{key}": value
            for number, state in self._optimizer.state_dict()["state"].items()
            for key, value in state.items()
            if isinstance(value, Tensor)
        }

    def numbers(self) -> dict[str, Any]:
        """The plateau schedule's state."""
        return {"plateau": self._plateau.state() if self._plateau else None}

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            number, _, key = name.partition(".")
            state.setdefault(int(number), {})[key] = value
        whole = self._optimizer.state_dict()
        with torch.no_grad():
            self._optimizer.load_state_dict({**whole, "state": state})
        if self._plateau is not None and numbers.get("plateau"):
            self._plateau.load(numbers["plateau"])
