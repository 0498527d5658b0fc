"""Vectors of words whose inner products are logarithms of how often the words meet.

Source:
    Pennington, Socher, Manning (2014), "GloVe: global vectors for word representation",
    doi:10.3115/v1/D14-1162.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.data.batches import Batch, TensorBatches
from glial.data.word_windows import ContextBatches, WordStream, count_pairs
from glial.functional.word_losses import glove
from glial.models.word_vectors import (
    FIRST,
    WordNetwork,
    WordVectorSettings,
    block_size,
    log_shares,
    mean_of_rows,
    rows_of,
)


class GloVeSettings(WordVectorSettings):
    """Weighted least squares over all pairs of words that meet.

    Attributes:
        window: Most words between which two words meet; a meeting counts 1 over the distance.
        x_max: The count from which on all pairs weigh alike.
        alpha: The power of smaller counts by which pairs weigh.

    Example:
        >>> network = GloVeSettings().build(0, 4, vocabularies=[10])
        >>> network(torch.tensor([[5, 7, 0]])).shape
        torch.Size([1, 4])
    """

    description: ClassVar[str] = "plain text: vectors of words that fit how often words meet"
    source: ClassVar[str] = "Pennington et al. (2014), doi:10.3115/v1/D14-1162"

    name: Literal["glove"] = "glove"
    window: int = Field(default=10, ge=1, le=1000)
    x_max: float = Field(default=100.0, gt=0)
    alpha: float = Field(default=0.75, gt=0, le=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """The paper's Adagrad of a constant rate.

        Example:
            >>> GloVeSettings.train_defaults("embedding")["lr"]
            0.1
        """
        size = block_size(num_rows, least=64, most=256)
        changed = {"lr": 0.1, "schedule": "constant", "epochs": 50, "batch_size": size}
        return {**super().train_defaults(task, num_rows), **changed}

    def network(self, vocabulary: int, size: int) -> nn.Module:
        """The network of a vocabulary."""
        return GloVe(self, vocabulary, size)


class GloVe(WordNetwork):
    """Two vectors and two biases for each word; their vector is the sum of the two.

    Args:
        settings: The settings.
        vocabulary: Number of tokens.
        size: Numbers of a word's vector.

    Example:
        >>> network = GloVe(GloVeSettings(), 5, 2)
        >>> bool(network.loss(torch.tensor([[2, 3]]), torch.tensor([100.0])) > 0)
        True
    """

    def __init__(self, settings: GloVeSettings, vocabulary: int, size: int) -> None:
        super().__init__(vocabulary, size)
        self.settings = settings
        self.embedding = nn.Embedding(vocabulary, size)
        self.contexts = nn.Embedding(vocabulary, size)
        self.bias = nn.Embedding(vocabulary, 1)
        self.context_bias = nn.Embedding(vocabulary, 1)
        with torch.no_grad():
            for table in (self.embedding, self.contexts, self.bias, self.context_bias):
                table.weight.uniform_(-0.5 / size, 0.5 / size)
                table.weight[:FIRST] = 0

    def vectors(self) -> Float[Tensor, "word feature"]:
        """The sum of each word's two vectors (section 4.2 of the paper)."""
        return self.embedding.weight + self.contexts.weight

    def foretold(self) -> Float[Tensor, " word"]:
        """How often each word stands in the text."""
        return self.counts.double()

    def windows(self, stream: WordStream, batch_size: int, seed: int) -> ContextBatches:
        """Words of a text with those around them, nearer ones drawn more often."""
        return ContextBatches(stream, self.settings.window, batch_size, seed)

    def batches(self, stream: WordStream, batch_size: int, seed: int) -> TensorBatches:
        """All pairs of words that meet, and how often."""
        pairs, counts = count_pairs(stream, self.settings.window)
        return TensorBatches(Batch((pairs, counts), counts), batch_size, seed)

    def loss(self, *inputs: Tensor) -> Float[Tensor, ""]:
        """The mean loss of pairs of words that meet.

        Args:
            inputs: The pairs [pair, 2], and how often each meets [pair].
        """
        pairs, counts = inputs
        first, second = pairs.unbind(dim=1)
        inner = rows_of(self.embedding.weight, first) * rows_of(self.contexts.weight, second)
        biases = rows_of(self.bias.weight, first) + rows_of(self.context_bias.weight, second)
        scores = inner.sum(dim=1) + biases[:, 0]
        found: Tensor = glove(scores, counts, x_max=self.settings.x_max, alpha=self.settings.alpha)
        return found

    def log_probability(
        self, around: Int[Tensor, "row bag"], word: Int[Tensor, " row"]
    ) -> Float[Tensor, " row"]:
        """The logarithm of each word's chance: its fitted count over those of all words."""
        row, place = around.nonzero(as_tuple=True)
        mean = mean_of_rows(self.embedding.weight.detach()[around[row, place]], row, len(word))
        table = self.contexts.weight.detach()[FIRST:]
        bias = self.context_bias.weight.detach()[FIRST:, 0]
        return log_shares(mean, table, bias, word - FIRST)
