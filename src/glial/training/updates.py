"""What turns gradients into updates: an optimiser, its rate over time, penalties and clipping."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from glial.training.kernels import CompiledAdam, Kernels
from glial.training.optimizers import (
    DirectAdam,
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


class Updates:
    """The updates of some weights, whatever their gradient comes from.

    Args:
        model: What holds the weights.
        settings: Optimiser, schedule, penalties and clipping.
        lr: Base learning rate.
        schedule: Factor on the rate; by default the one that the settings name.
        kernels: What compiles Adam's arithmetic; None leaves it to torch.

    Attributes:
        optimizer: Torch's optimiser.
        parameters: The weights.
        rate: The learning rate of the last step.
        damping: Factor on the rate, of whoever meets faults.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.zeros_(model.weight)
        >>> updates = Updates(model, TrainSettings(optimizer="sgd"), lr=0.5)
        >>> updates.begin(Moment(0, 0, 0.0))
        >>> model.weight.grad = torch.ones(1, 1)
        >>> updates.apply(Moment(0, 0, 0.0))
        >>> model.weight.item()
        -0.5
    """

    def __init__(
        self,
        model: nn.Module,
        settings: TrainSettings,
        lr: float,
        schedule: Schedule | None = None,
        kernels: Kernels | None = None,
    ) -> None:
        self._settings = settings
        self._lr = lr
        self._schedule = schedule or make_schedule(settings)
        self._plateau = (
            PlateauFactor(settings.schedule_gamma, settings.schedule_patience)
            if settings.schedule == "plateau"
            else None
        )
        self._kernels = kernels
        self._direct: DirectAdam | None = None
        self._clips = settings.clip_norm is not None or settings.clip_value is not None
        self.optimizer = make_optimizer(model, settings, lr)
        self.parameters = [p for g in self.optimizer.param_groups for p in g["params"]]
        self.rate = lr
        self.damping = 1.0

    def begin(self, moment: Moment) -> None:
        """Set the rates of a step."""
        factor = self._schedule(moment) * (self._plateau.factor if self._plateau else 1.0)
        self.rate = self._lr * factor * self.damping
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * group["lr_factor"]

    def apply(self, moment: Moment) -> None:
        """Update the weights by the gradient that lies in them."""
        settings = self._settings
        if settings.l2:
            add_l2_gradient(self.optimizer, settings.l2)
        if self._clips:
            clip(self.parameters, settings)
        if settings.weight_decay:
            flat = settings.decay_schedule == "flat_cosine"
            shape = flat_cosine(moment.fraction) if flat else 1.0
            self._decay(settings.weight_decay * shape)
        self._step()
        if settings.l1:
            soften(self.optimizer, settings.l1)

    def _step(self) -> None:
        if self._direct is None and DirectAdam.suits(self.optimizer):
            own = self._kernels and CompiledAdam(self.optimizer, self._kernels)
            self._direct = own or DirectAdam(self.optimizer)
        if self._direct is None:
            self.optimizer.step()
            return
        with torch.no_grad():
            self._direct.step()

    def _decay(self, amount: float) -> None:
        if self._settings.optimizer != "adamw":
            decay(self.optimizer, amount)
            return
        for group in self.optimizer.param_groups:
            group["weight_decay"] = amount * group["decay_factor"]

    def observe(self, value: float) -> None:
        """Let the plateau schedule see the validation loss."""
        if self._plateau is not None:
            self._plateau.observe(value)

    def tensors(self) -> dict[str, Tensor]:
        """The optimiser's running averages, by parameter number and name."""
        return {
            f"{number}.{key}": value
            for number, state in self.optimizer.state_dict()["state"].items()
            for key, value in state.items()
            if isinstance(value, Tensor)
        }

    def numbers(self) -> dict[str, Any]:
        """The plateau's state."""
        return {"plateau": self._plateau.state() if self._plateau else None}

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            number, _, key = name.partition(".")
            state.setdefault(int(number), {})[key] = value
        self._direct = None
        whole = self.optimizer.state_dict()
        with torch.no_grad():
            self.optimizer.load_state_dict({**whole, "state": state})
            self._lay_out_state()
        if self._plateau is not None and numbers.get("plateau"):
            self._plateau.load(numbers["plateau"])

    def _lay_out_state(self) -> None:
        """Running averages in their parameters' layout: fused optimisers read memory as it lies."""
        for parameter, state in self.optimizer.state.items():
            for key, value in state.items():
                if value.shape == parameter.shape and value.stride() != parameter.stride():
                    state[key] = torch.empty_like(parameter).copy_(value)
