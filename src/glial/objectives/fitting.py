"""Networks whose weights are computed from all rows: one step of theirs is a step of training."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from glial.core.errors import InputError
from glial.data.batches import Batch
from glial.models.clusters import Fits
from glial.training.schedules import Moment
from glial.training.settings import TrainSettings

_NOT_HEEDED = (
    *("weight_decay", "l1", "l2", "clip_norm", "clip_value", "accumulate"),
    *("group_rate", "freeze", "unfreeze_every", "ema", "swa_start"),
)


class Fitting:
    """Steps that a network makes by itself on all rows, until another would change nothing.

    Args:
        network: A network that keeps `glial.models.clusters.Fits`.
        settings: The plan's ``train`` part: its batches hold all rows.

    Attributes:
        settled: Whether another step would change nothing, so that training may end.

    Raises:
        InputError: If the settings ask for what this objective does not do.
        TypeError: If the network does not keep the protocol.

    Example:
        >>> import torch
        >>> from glial.models.pca import PCASettings
        >>> fitting = Fitting(PCASettings(num_components=1).build(2), TrainSettings())
        >>> rows = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
        >>> left = fitting.step(Batch((rows,), torch.zeros(3)), Moment(0, 0, 0.0))
        >>> bool(left < 1e-6), fitting.settled
        (True, True)
    """

    def __init__(self, network: nn.Module, settings: TrainSettings) -> None:
        plain = TrainSettings()
        wrong = [key for key in _NOT_HEEDED if getattr(settings, key) != getattr(plain, key)]
        if wrong:
            raise InputError(
                f"train.{wrong[0]} does not go with weights that are computed from rows",
                expected="no penalty, clipping, freezing or averaging",
                got=f"train.{wrong[0]}: {getattr(settings, wrong[0])}",
                do=f"leave train.{wrong[0]} out of the plan",
            )
        if not isinstance(network, Fits):
            raise TypeError(f"{type(network).__name__} does not fit itself to rows")
        self._network: Fits = network
        self.settled = False

    def step(self, batch: Batch, moment: Moment) -> Tensor:
        """One step of the network's own; returns the loss before it, or where that is one, after.

        Raises:
            InputError: If the batch is a part of the rows alone.
        """
        if moment.step != moment.epoch:
            raise InputError(
                "weights that are computed from all rows need them in one batch",
                expected="train.batch_size: full",
                got="several batches an epoch",
                do="leave train.batch_size out of the plan",
            )
        loss, self.settled = self._network.refine(*batch.inputs, weight=batch.weight)
        return loss

    def observe(self, value: float) -> None:
        """What fits the training rows does not hang on others."""

    def rate(self) -> float:
        """Steps have no size."""
        return 1.0

    def tensors(self) -> dict[str, Tensor]:
        """Nothing beside the weights."""
        return {}

    def numbers(self) -> dict[str, Any]:
        """Whether it has come to an end."""
        return {"settled": self.settled}

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.settled = bool(numbers["settled"])
