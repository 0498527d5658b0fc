"""Learning by heart: a memory takes in each batch, and no gradient is followed."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from glial.data.batches import Batch
from glial.training.schedules import Moment


@runtime_checkable
class Remembers(Protocol):
    """A network with a memory of bounded size, which is among its buffers.

    Example:
        >>> import torch
        >>> isinstance(torch.nn.Linear(1, 1), Remembers)
        False
    """

    def remember(self, *inputs: Tensor) -> Tensor:
        """Take rows in; returns how far they are from what is remembered, in the mean."""


class Remembering:
    """Give a network each batch to remember.

    All that is learnt lies in the network, so there is nothing beside it to go on from.

    Args:
        model: The network; it keeps the protocol `Remembers`.

    Example:
        >>> import torch
        >>> class Last:
        ...     def remember(self, rows):
        ...         self.last = rows[-1]
        ...         return (rows - self.last).abs().mean()
        >>> rows = torch.tensor([[1.0], [3.0]])
        >>> Remembering(Last()).step(Batch((rows,), rows), Moment(0, 0, 0.0)).item()
        1.0
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def step(self, batch: Batch, moment: Moment) -> Tensor:
        """Remember a batch; returns how far its rows are from what is remembered."""
        distance: Tensor = self._model.remember(*batch.inputs)
        return distance

    def observe(self, value: float) -> None:
        """A memory looks at no validation."""

    def rate(self) -> float:
        """1: each row is taken in whole."""
        return 1.0

    def tensors(self) -> dict[str, Tensor]:
        """Nothing beside the network."""
        return {}

    def numbers(self) -> dict[str, Any]:
        """Nothing beside the network."""
        return {}

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Nothing to load."""
