"""States that go on from a window of a text to the next."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from glial.nn.recurrence import Carried, detached, reset


class Carrying(nn.Module):
    """A recurrent network that in training goes on where it stopped: truncated backpropagation.

    Each call begins with the states at the end of the last one, without the way back, or with zeros
    for rows that begin. They are buffers, so that a checkpoint holds them. In evaluation, and for
    another number of rows, every call begins with zeros.

    Args:
        network: Has ``read(tokens, state)``, which gives outputs and a state, and ``start(rows)``.
        num_rows: Rows that are read side by side.

    Source:
        Williams and Peng (1990), doi:10.1162/neco.1990.2.4.490.

    Example:
        >>> class Sums(nn.Module):
        ...     def start(self, num_rows):
        ...         return torch.zeros(1, num_rows, 1)
        ...     def read(self, tokens, state):
        ...         sums = state[0] + tokens.cumsum(dim=1)
        ...         return sums, sums[None, :, -1:]
        >>> carrying = Carrying(Sums(), 1)
        >>> carrying(torch.tensor([[1, 2]]), torch.tensor([True]))
        tensor([[1., 3.]])
        >>> carrying(torch.tensor([[3, 4]]), torch.tensor([False]))
        tensor([[ 6., 10.]])
    """

    def __init__(self, network: nn.Module, num_rows: int) -> None:
        super().__init__()
        self.network = network
        own: Any = network
        state = own.start(num_rows)
        self._is_one = isinstance(state, Tensor)
        for number, part in enumerate([state] if self._is_one else state):
            self.register_buffer(f"carried_{number}", part.clone())

    @property
    def _carried(self) -> list[Tensor]:
        return [value for name, value in self.named_buffers(recurse=False)]

    def forward(
        self, tokens: Int[Tensor, "row place"], begins: Bool[Tensor, " row"] | None = None
    ) -> Tensor:
        """What the network gives.

        Args:
            tokens: Numbers of tokens.
            begins: Rows in which another text begins; None is all.
        """
        held = self._carried
        if begins is None or not self.training or tokens.shape[0] != held[0].shape[1]:
            alone: Tensor = self.network(tokens)
            return alone
        before: Carried = reset(tuple(part.clone() for part in held), begins)
        own: Any = self.network
        outputs, after = own.read(tokens, before[0] if self._is_one else before)
        behind = detached(after)
        with torch.no_grad():
            for place, part in zip(held, [behind] if self._is_one else behind, strict=True):
                place.copy_(part)
        found: Tensor = outputs
        return found
