"""Units of 0 and 1 that stand for rows: pixels by their greys, numbers between two ends."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

Visible = Float[Tensor, "row visible"]


class GreyUnits(nn.Module):
    """What networks of binary units share that learn from rows.

    Args:
        shape: Of one row: (number,) or (channel, height, width).

    Attributes:
        shape: Of one row.

    Example:
        >>> units = GreyUnits((2,))
        >>> units.fit(torch.tensor([[0.0, 5.0], [10.0, 6.0]]))
        >>> units.visible_of(torch.tensor([[2.0, 6.0]]))
        tensor([[0.2000, 1.0000]])
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.register_buffer("least", torch.full((prod(shape),), -1.0))
        self.register_buffer("span", torch.full((prod(shape),), 2.0))

    @torch.no_grad()
    def fit(self, rows: Tensor) -> None:
        """Find the ends between which numbers lie; pixels run from -1 to 1.

        Args:
            rows: Training rows.
        """
        if rows.ndim == 2:
            least, most = rows.amin(dim=0), rows.amax(dim=0)
            self.get_buffer("least").copy_(least)
            self.get_buffer("span").copy_((most - least).where(most > least, 1.0))

    def visible_of(self, rows: Tensor) -> Visible:
        """Rows as the chances of their units to be on."""
        flat = rows.flatten(1)
        return ((flat - self.get_buffer("least")) / self.get_buffer("span")).clamp(0, 1)

    def seen_of(self, rows: Tensor, generator: torch.Generator | None) -> Visible:
        """Rows as units of 0 and 1, drawn by their chances; these themselves by no generator."""
        chances = self.visible_of(rows)
        if generator is None:
            return chances
        drawn = torch.rand(chances.shape, generator=generator, dtype=chances.dtype)
        return (drawn.to(chances.device) < chances).to(chances)

    def rows_of(self, visible: Visible) -> Tensor:
        """What units, or their chances, stand for, in the units and the shape of rows."""
        flat = self.get_buffer("least") + self.get_buffer("span") * visible
        return flat.reshape(-1, *self.shape)
