"""The classes that a network is told with rows: checked, and drawn by how common they are."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor, nn

from glial.core.errors import InputError


class ToldClasses(nn.Module):
    """How common the classes are that a network is told, and codes for rows that it makes.

    Buffers: ``shares``, of each class.

    Args:
        count: Number of classes; 0 where none are told.

    Example:
        >>> told = ToldClasses(3)
        >>> told.start(torch.tensor([0, 0, 2, 0]))
        >>> told.shares
        tensor([0.7500, 0.0000, 0.2500])
    """

    shares: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.register_buffer("shares", torch.full((count,), 1 / max(1, count)))

    def start(self, codes: Int[Tensor, " row"]) -> None:
        """Learn how common classes are.

        Args:
            codes: Of the training rows.
        """
        self.shares.copy_(torch.bincount(codes, minlength=self.count) / max(1, len(codes)))

    def codes(
        self, num_rows: int, classes: Tensor | None, generator: torch.Generator
    ) -> Tensor | None:
        """Codes of the rows to make, [row] on the processor; None where no classes are told.

        Args:
            num_rows: How many.
            classes: Codes that are asked for; None draws them.
            generator: Draws.

        Raises:
            InputError: If classes are asked for that the network does not know.

        Example:
            >>> ToldClasses(2).codes(3, torch.tensor([1, 0, 1]), torch.Generator())
            tensor([1, 0, 1])
        """
        if not self.count and classes is None:
            return None
        if classes is None:
            shares = self.shares.cpu()
            return torch.multinomial(shares, num_rows, replacement=True, generator=generator)
        codes = classes.cpu()
        integers = not codes.is_floating_point() and codes.shape == (num_rows,)
        if not self.count or not integers or not _within(codes, self.count):
            raise InputError(
                "the network cannot make rows of these classes",
                expected=f"{num_rows} codes from 0 to {self.count - 1}"
                if self.count
                else "no classes, as it was trained without",
                got=f"{codes.dtype} {list(codes.shape)}: {codes.flatten()[:8].tolist()}",
                do="give codes of classes that it was trained with"
                if self.count
                else "train with a target to make rows of a class",
            )
        return codes


def _within(codes: Tensor, count: int) -> bool:
    return not len(codes) or bool(codes.min() >= 0 and codes.max() < count)
