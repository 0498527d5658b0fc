"""What an objective is, and the usual one: descend the gradient of one loss."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from glial.core.devices import is_out_of_memory
from glial.core.errors import InputError
from glial.data.batches import Batch, answers, split
from glial.nn.auxiliary import WithAuxiliary
from glial.training.captured import CannotCaptureError, CapturedPasses, shapes_of
from glial.training.freezing import Freezing
from glial.training.kernels import find_kernels
from glial.training.schedules import Moment, Schedule
from glial.training.settings import TrainSettings
from glial.training.torch_compile import TorchCompiled
from glial.training.updates import Updates

logger = logging.getLogger(__name__)

LossFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]
Mass = Callable[[Tensor, Tensor | None], Tensor]
Passes = Callable[..., Any]


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


@runtime_checkable
class Watchable(Protocol):
    """An objective whose passes can be made once more, for whoever looks into a training.

    Attributes:
        optimizers: What holds the weights, their groups and rates, in the order of their updates.

    Example:
        >>> loss = lambda outputs, target, weight: outputs.mean()
        >>> isinstance(Descent(nn.Linear(1, 1), loss, TrainSettings(), lr=0.1), Watchable)
        True
    """

    optimizers: Sequence[torch.optim.Optimizer]

    def make_passes(self, batch: Batch, moment: Moment) -> Tensor:
        """The passes of a step, call by call and without its update.

        The gradient is left in the parameters; buffers and random states move on.
        """


class Descent:
    """Gradient descent on one loss with one optimiser.

    Args:
        model: The network.
        loss: ``loss(outputs, target, weight)``, the mean over rows.
        settings: Optimiser, schedule, penalties and clipping.
        lr: Base learning rate.
        schedule: Factor on the rate; by default the one that the settings name.
        mass: ``mass(target, weight)``, what the loss divides its sum over rows by; by default
            the sum of the weights, or the number of rows.

    Example:
        >>> model, rows = nn.Linear(1, 1, bias=False), Batch((torch.ones(1, 1),), torch.ones(1, 1))
        >>> _ = nn.init.zeros_(model.weight)
        >>> half = lambda outputs, target, weight: 0.5 * (outputs - target).square().mean()
        >>> descent = Descent(model, half, TrainSettings(optimizer="sgd"), lr=0.5)
        >>> descent.step(rows, Moment(0, 0, 0.0)).item(), model.weight.item()
        (0.5, 0.5)
    """

    # A loss far above those before is a fault, not the game.
    descends = True

    def __init__(
        self,
        model: nn.Module,
        loss: LossFunction,
        settings: TrainSettings,
        lr: float,
        schedule: Schedule | None = None,
        mass: Mass | None = None,
    ) -> None:
        self._mass = mass or _rows
        self._accumulate = settings.accumulate
        self._model = model
        self._loss = loss
        self._captured: CapturedPasses | None = None
        # What is frozen changes what a captured pass computes.
        still = not Freezing.is_asked(settings)
        self._captures = still and settings.step in ("captured", "compiled")
        self._captured_shapes: list[torch.Size] | None = None
        self._kernels = find_kernels() if settings.step == "compiled" else None
        if settings.step == "compiled" and self._kernels is None:
            logger.warning("steps are captured, not compiled: there is no compiler here")
        self._updates = Updates(model, settings, lr, schedule, self._kernels)
        self.optimizer = self._updates.optimizer
        self.optimizers = (self.optimizer,)
        self._set_progress = getattr(model, "set_progress", None)
        self._passes = _passes(model, settings)
        compiles = still and settings.step == "torch_compile"
        self._compiled = TorchCompiled(self._passes) if compiles else None

    def step(self, batch: Batch, moment: Moment) -> Tensor:
        """Forward, loss, backward, update."""
        self._begin(moment)
        try:
            loss = self._descend(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            loss = self._in_smaller_parts(batch, error)
        self._updates.apply(moment)
        return loss

    def make_passes(self, batch: Batch, moment: Moment) -> Tensor:
        """The passes of a step, call by call and without its update."""
        self._begin(moment)
        return self._descend_by_autograd(batch)

    def _begin(self, moment: Moment) -> None:
        self._updates.begin(moment)
        if self._set_progress is not None:
            self._set_progress(moment.fraction)

    def _descend(self, batch: Batch) -> Tensor:
        """The loss of a batch; its gradient is left in the parameters."""
        plain = self._accumulate == 1 and batch.other is None
        if not plain or not (self._captures or self._compiled) or not self._is_like_first(batch):
            return self._descend_by_autograd(batch)
        if self._captures and self._has_captured(batch):
            assert self._captured is not None  # noqa: S101 - narrows the type
            return self._captured.run(batch)
        return self._descend_by_autograd(batch, self._compiled)

    def _descend_by_autograd(self, batch: Batch, passes: Passes | None = None) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        parts = split(batch, self._accumulate)
        if len(parts) == 1:
            loss = self._loss_of(batch, passes)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()
        masses = [self._mass(*answers(part)) for part in parts]
        whole = torch.stack(masses).sum().clamp_min(torch.finfo(masses[0].dtype).tiny)
        total = torch.zeros_like(whole)
        for part, mass in zip(parts, masses, strict=True):
            loss = self._loss_of(part) * (mass / whole)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _is_like_first(self, batch: Batch) -> bool:
        """Whether a batch has the shapes of the very first, for which passes are compiled.

        The first of the training, also where it goes on in mid-epoch with another: compiled
        passes differ from eager ones in their last bits.
        """
        shapes = shapes_of(batch)
        if self._captured_shapes is None:
            self._captured_shapes = shapes
        return shapes == self._captured_shapes

    def _has_captured(self, batch: Batch) -> bool:
        if self._captured is None:
            product = None if self._kernels is None else self._kernels.product
            try:
                self._captured = CapturedPasses(
                    self._model, self._passes, self._loss, batch, product
                )
            except CannotCaptureError as error:
                logger.info("steps are not captured: %s", error)
                self._captures = False
        return self._captured is not None

    def _loss_of(self, batch: Batch, passes: Passes | None = None) -> Tensor:
        return self._loss_of_outputs((passes or self._passes)(*batch.inputs), batch)

    def _loss_of_outputs(self, outputs: Any, batch: Batch) -> Tensor:
        if not isinstance(outputs, WithAuxiliary):
            return self._held_against(outputs, batch)
        loss = self._held_against(outputs.outputs, batch)
        for part in outputs.auxiliary:
            loss = loss + outputs.weight * self._held_against(part, batch)
        return loss

    def _held_against(self, outputs: Tensor, batch: Batch) -> Tensor:
        if batch.other is not None:
            outputs = torch.cat([outputs, outputs])
        return self._loss(outputs, *answers(batch))

    def _in_smaller_parts(self, batch: Batch, cause: BaseException) -> Tensor:
        """Go on where memory ran out, with as many more parts as it takes."""
        error: BaseException | None = cause
        while error is not None:
            if 4 * self._accumulate > len(batch.target):
                raise InputError(
                    "the network does not fit in memory",
                    expected="memory for the training of a few rows at a time",
                    got=str(error).splitlines()[0],
                    do="make model's sizes smaller",
                ) from error
            self._accumulate *= 2
            logger.warning(
                "out of memory: batches are computed in %d parts from now on "
                "(train.accumulate=%d does so from the start)",
                self._accumulate,
                self._accumulate,
            )
            error = None
            torch.accelerator.empty_cache() if torch.accelerator.is_available() else None
            try:
                loss = self._descend(batch)
            except (RuntimeError, MemoryError) as again:
                if not is_out_of_memory(again):
                    raise
                error = again
        return loss

    def observe(self, value: float) -> None:
        """Let the plateau schedule see the validation loss."""
        self._updates.observe(value)

    def rate(self) -> float:
        """The learning rate of the last step."""
        return self._updates.rate

    def damp(self, factor: float) -> None:
        """Multiply the rate by a factor, until another is given."""
        self._updates.damping = factor

    @property
    def parts(self) -> int:
        """In how many parts batches are computed."""
        return self._accumulate

    def tensors(self) -> dict[str, Tensor]:
        """The optimiser's running averages, by parameter number and name."""
        return self._updates.tensors()

    def numbers(self) -> dict[str, Any]:
        """The plateau's state, in how many parts batches are computed, and which are captured."""
        return {
            **self._updates.numbers(),
            "accumulate": self._accumulate,
            "captured": self._captured_shapes and [list(s) for s in self._captured_shapes],
        }

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._updates.load(tensors, numbers)
        self._accumulate = int(numbers["accumulate"])
        captured = numbers.get("captured")
        self._captured_shapes = captured and [torch.Size(shape) for shape in captured]


def _passes(model: nn.Module, settings: TrainSettings) -> Passes:
    """The network's forward pass in the layout and precision of the settings."""
    if settings.layout == "channels_last":
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if settings.layout != "channels_last" and settings.precision != "bfloat16":
        return model
    device = next(iter(model.parameters())).device.type
    low = settings.precision == "bfloat16"

    def passes(*inputs: Tensor) -> Any:
        if settings.layout == "channels_last":
            inputs = tuple(
                part.contiguous(memory_format=torch.channels_last) if part.ndim == 4 else part
                for part in inputs
            )
        with torch.autocast(device, torch.bfloat16, enabled=low):
            outputs: Any = model(*inputs)
        return _as_float(outputs) if low else outputs

    return passes


def _as_float(outputs: Any) -> Any:
    """Outputs of low precision as float32: a tensor, or a tuple of tensors and others."""
    if isinstance(outputs, Tensor):
        return outputs.float() if outputs.is_floating_point() else outputs
    if not isinstance(outputs, tuple):
        return outputs
    parts = [_as_float(part) for part in outputs]
    return type(outputs)(*parts) if hasattr(outputs, "_fields") else tuple(parts)


def _rows(target: Tensor, weight: Tensor | None) -> Tensor:
    """What a mean over rows divides by."""
    if weight is not None:
        return weight.sum()
    return torch.tensor(float(len(target)), device=target.device)
