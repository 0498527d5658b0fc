"""Sequences of numbers by convolutions over time that see farther from layer to layer.

Source:
    Bai, Kolter, Koltun (2018), "An empirical evaluation of generic convolutional and recurrent
    networks for sequence modeling", arXiv 1803.01271 (residual blocks, dilations that double).
    Departures: a step sees both sides unless ``causal``, and steps are normalised one by one, so
    that neither padding nor other rows have a part in it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.models.sequence import Lengths, SequenceNetwork, SequenceSettings, States, Steps
from glial.nn.sequence_pooling import steps_within


class SequenceCNNSettings(SequenceSettings):
    """A convolutional network of a sequence.

    Attributes:
        layers: Residual blocks; the one with the number n, from 0, reads steps 2 ** n apart.
        width: Steps that a filter reads.
        causal: Whether a step sees itself and those before only.

    Example:
        >>> network = SequenceCNNSettings(size=8).build(0, 2, sequences=[[3]])
        >>> network(torch.zeros(4, 20, 3), torch.tensor([20, 7, 1, 20])).shape
        torch.Size([4, 2])
    """

    description: ClassVar[str] = "a sequence: dilated convolutions over time"
    source: ClassVar[str] = "Bai, Kolter, Koltun (2018), arXiv 1803.01271"

    name: Literal["sequence_cnn"] = "sequence_cnn"
    layers: int = Field(default=4, ge=1, le=16)
    width: int = Field(default=5, ge=2)
    causal: bool = False

    def network(self, num_numbers: int, num_outputs: int, size: int) -> nn.Module:
        """The network of steps of so many numbers."""
        return SequenceCNN(self, num_numbers, num_outputs, size)


class SequenceCNN(SequenceNetwork):
    """Residual blocks of dilated convolutions, and a linear head.

    Args:
        settings: The settings.
        num_numbers: Numbers at each step.
        num_outputs: Outputs.
        size: Channels.

    Example:
        >>> SequenceCNN(SequenceCNNSettings(), 3, 2, 8).embed(torch.zeros(1, 5, 3)).shape
        torch.Size([1, 8])
    """

    def __init__(
        self, settings: SequenceCNNSettings, num_numbers: int, num_outputs: int, size: int
    ) -> None:
        super().__init__(settings, size, num_outputs)
        self.embedding = nn.Linear(num_numbers, size)
        self.blocks = nn.ModuleList(
            _Block(size, settings.width, 2**number, settings.causal)
            for number in range(settings.layers)
        )
        self.norm = nn.LayerNorm(size)

    def states(self, steps: Steps, lengths: Lengths) -> States:
        """The channels of the last block, at each step."""
        vectors: Tensor = self.embedding(steps)
        mask = steps_within(steps, lengths)
        for block in self.blocks:
            vectors = block(vectors, mask)
        states: Tensor = self.norm(vectors)
        return states


class _Block(nn.Module):
    """A normalised, rectified convolution over time, added to what it is given."""

    def __init__(self, size: int, width: int, dilation: int, causal: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.filters = nn.Conv1d(size, size, width, dilation=dilation)
        self.mix = nn.Linear(size, size)
        reach = (width - 1) * dilation
        self.around = (reach, 0) if causal else (reach // 2, reach - reach // 2)

    def forward(self, vectors: States, mask: Bool[Tensor, "row time"]) -> States:
        seen = self.norm(vectors).masked_fill(~mask[:, :, None], 0.0)
        found = self.filters(functional.pad(seen.transpose(1, 2), self.around)).transpose(1, 2)
        output: Tensor = vectors + self.mix(torch.relu(found))
        return output
