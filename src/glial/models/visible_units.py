"""Rows as the visible units of a Boltzmann machine, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glial.functional.rbm import below, drawn

Rows = Float[Tensor, "row ..."]
Visible = Float[Tensor, "row visible"]

VisibleName = Literal["auto", "bernoulli", "gaussian"]
START_SHARES = (0.01, 0.99)


class VisibleUnits(nn.Module):
    """What rows are to visible units: chances of being on, or numbers as they are.

    Pixels from -1 to 1 are on by their greys; numbers by where they lie between the least and the
    greatest of the rows that :meth:`start` is shown.

    Args:
        kind: ``bernoulli`` units are 0 or 1, ``gaussian`` ones numbers; ``auto`` is ``bernoulli``
            for images of one channel.
        shape: Of a row: (number,) or (channel, height, width).

    Attributes:
        is_binary: Whether units are 0 or 1.
        size: How many there are.
        base: Log odds of independent units like the rows, or their means, [visible].

    Example:
        >>> units = VisibleUnits("auto", (1, 1, 2))
        >>> units.chances(torch.tensor([[[[-1.0, 0.0]]]]))
        tensor([[0.0000, 0.5000]])
    """

    base: Tensor
    least: Tensor
    span: Tensor

    def __init__(self, kind: VisibleName, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        grey = len(self.shape) == 3 and self.shape[0] == 1
        self.is_binary = grey if kind == "auto" else kind == "bernoulli"
        self.size = math.prod(self.shape)
        self.register_buffer("base", torch.zeros(self.size))
        self.register_buffer("least", torch.full((self.size,), -1.0))
        self.register_buffer("span", torch.full((self.size,), 2.0))

    @torch.no_grad()
    def start(self, rows: Rows) -> Float[Tensor, " visible"]:
        """Look at some rows; returns the biases that make units as likely as they are in these.

        Args:
            rows: Training rows.
        """
        if self.is_binary and rows.ndim == 2:
            least, most = rows.amin(dim=0), rows.amax(dim=0)
            self.least.copy_(least)
            self.span.copy_((most - least).where(most > least, 1.0))
        means = self.chances(rows).mean(dim=0)
        self.base.copy_(torch.logit(means.clamp(*START_SHARES)) if self.is_binary else means)
        return self.base

    def chances(self, rows: Rows) -> Visible:
        """The units' chances of being on, or the numbers that they are.

        Args:
            rows: The rows.
        """
        flat = rows.flatten(1)
        return ((flat - self.least) / self.span).clamp(0, 1) if self.is_binary else flat

    def states(self, rows: Rows, generator: torch.Generator) -> Visible:
        """Rows as states: 0 and 1 are drawn by the chances.

        Args:
            rows: The rows.
            generator: Draws, on the processor.
        """
        chances = self.chances(rows)
        if not self.is_binary:
            return chances
        return below(drawn(chances, generator), chances)

    def noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """What visible states are drawn by: even numbers in [0, 1), or standard normal ones.

        Args:
            like: Has the shape.
            generator: Draws, on the processor.
        """
        if self.is_binary:
            return drawn(like, generator)
        numbers = torch.randn(like.shape, generator=generator, dtype=like.dtype)
        return numbers.to(like.device)

    def mean(self, sums: Visible) -> Visible:
        """What to expect of units whose log odds, or whose means, are these.

        Args:
            sums: As of `glial.functional.rbm.rbm_visible_sums`.
        """
        return torch.sigmoid(sums) if self.is_binary else sums

    def rows(self, visible: Visible) -> Rows:
        """What states or chances stand for, in the units and the shape of rows.

        Args:
            visible: The states.
        """
        if self.is_binary:
            visible = self.least + self.span * visible
        elif len(self.shape) == 3:
            visible = visible.clamp(-1, 1)
        return visible.reshape(-1, *self.shape)
