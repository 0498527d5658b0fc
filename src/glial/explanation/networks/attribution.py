"""What an explanation of predictions is: how much each input had a part in an output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glial.explanation.networks.owners import shares_of_codes
from glial.explanation.networks.reading import Opened


@dataclass(frozen=True)
class Attribution:
    """How much each input had a part in the output that was chosen for each row.

    Attributes:
        values: For each input of the network a tensor of its shape; of codes a number each, of
            inputs that cannot be explained by, such as lengths, None.
        output: The chosen output, [row].
        reference: The same of the reference that the method compares with, [row]; None where it
            compares with none. Complete methods share out ``output - reference``.
        rest: What is attributed to no input but to biases and other constants, all rows together.

    Example:
        >>> Attribution((torch.tensor([[1.0, 2.0]]),), torch.tensor([3.5])).total
        tensor([3.])
    """

    values: tuple[Tensor | None, ...]
    output: Tensor
    reference: Tensor | None = None
    rest: float = 0.0

    @property
    def total(self) -> Tensor:
        """The sum over all inputs, [row]."""
        parts = [value.flatten(1).sum(dim=1) for value in self.values if value is not None]
        return torch.stack(parts).sum(dim=0)

    @property
    def gap(self) -> Tensor:
        """What a complete method leaves: output less reference less the sum, [row]."""
        told = self.output if self.reference is None else self.output - self.reference
        return told - self.total


def gathered(opened: Opened, parts: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """Numbers for entries of a network as numbers for its inputs.

    Args:
        opened: The network.
        parts: Of each entry a tensor of its shape, see `Opened.entries`.
    """
    count = len(opened.numbers)
    values: list[Tensor | None] = [None] * len(opened.inputs)
    for place, part in zip(opened.numbers, parts[:count], strict=True):
        values[place] = part
    if opened.codes:
        found = shares_of_codes(opened, parts[count:])
        for place, value in zip(opened.codes, found, strict=True):
            values[place] = value
    return tuple(values)
