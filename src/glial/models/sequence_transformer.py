"""Sequences of numbers whose steps all look at each other.

Source:
    Vaswani et al. (2017), "Attention is all you need", arXiv 1706.03762 (the encoder); normalising
    first: Xiong et al. (2020), arXiv 2002.04745; on series: Zerveas et al. (2021), "A
    transformer-based framework for multivariate time series representation learning",
    arXiv 2010.02803, with sines for learnt positions, so that any length can be read.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from glial.functional import sinusoidal_positions
from glial.models.sequence import Lengths, SequenceNetwork, SequenceSettings, States, Steps
from glial.models.text import text_recipe
from glial.models.vit import EncoderLayer
from glial.nn.attention import check_heads
from glial.nn.sequence_pooling import steps_within


class SequenceTransformerSettings(SequenceSettings):
    """A transformer of a sequence.

    Attributes:
        layers: Layers.
        heads: Heads of each attention, by which ``size`` can be divided.

    Example:
        >>> network = SequenceTransformerSettings(size=8).build(0, 2, sequences=[[3]])
        >>> network(torch.zeros(4, 20, 3), torch.tensor([20, 7, 1, 20])).shape
        torch.Size([4, 2])
    """

    description: ClassVar[str] = "a sequence: a transformer's encoder over its steps"
    source: ClassVar[str] = "Vaswani et al. (2017), arXiv 1706.03762"

    name: Literal["sequence_transformer"] = "sequence_transformer"
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall, at a lower rate than of the others.

        Example:
            >>> SequenceTransformerSettings.train_defaults("classification")["lr"]
            0.001
        """
        return text_recipe(num_rows, lr=0.001, epochs=12)

    def network(self, num_numbers: int, num_outputs: int, size: int) -> nn.Module:
        """The network of steps of so many numbers.

        Raises:
            InputError: If the size cannot be divided by the heads.
        """
        check_heads(size, self.heads)
        check_heads(size, 2)
        return SequenceTransformer(self, num_numbers, num_outputs, size)


class SequenceTransformer(SequenceNetwork):
    """Vectors of steps and of their positions, a transformer's encoder, and a linear head.

    Args:
        settings: The settings.
        num_numbers: Numbers at each step.
        num_outputs: Outputs.
        size: Numbers of a vector.

    Example:
        >>> network = SequenceTransformer(SequenceTransformerSettings(), 3, 2, 8)
        >>> network.embed(torch.zeros(1, 5, 3)).shape
        torch.Size([1, 8])
    """

    def __init__(
        self, settings: SequenceTransformerSettings, num_numbers: int, num_outputs: int, size: int
    ) -> None:
        super().__init__(settings, size, num_outputs)
        self.embedding = nn.Linear(num_numbers, size)
        self.layers = nn.ModuleList(
            EncoderLayer(size, settings.heads, settings.dropout) for _ in range(settings.layers)
        )
        self.norm = nn.LayerNorm(size)

    def states(self, steps: Steps, lengths: Lengths) -> States:
        """The vectors of the last layer."""
        vectors: Tensor = self.embedding(steps)
        places = torch.arange(steps.shape[1], device=steps.device)
        vectors = vectors + sinusoidal_positions(places, vectors.shape[2]).to(vectors.dtype)
        mask = steps_within(steps, lengths)
        for layer in self.layers:
            vectors = layer(vectors, mask)
        states: Tensor = self.norm(vectors)
        return states
