"""Vectors for categories, and features of numbers, in front of a dense network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def embedding_size(cardinality: int) -> int:
    """A usual length of a category's vector: ``1.6 c^0.56``, at most 64.

    Args:
        cardinality: Number of codes.

    Source:
        Howard and Gugger (2020), fastai's rule of thumb.

    Example:
        >>> embedding_size(10), embedding_size(10_000)
        (6, 64)
    """
    return max(1, min(64, round(1.6 * math.pow(cardinality, 0.56))))


class CategoryEmbeddings(nn.Module):
    """One vector for each value of each category; code 0 is the bucket of unknown values.

    The vector of code 0 starts at zero and is learnt only from rows that have it.

    Args:
        cardinalities: Number of codes of each category, code 0 included.
        size: Length of every vector; None chooses by `embedding_size`.

    Example:
        >>> layer = CategoryEmbeddings([3, 5], size=4)
        >>> layer(torch.tensor([[0, 4]])).shape
        torch.Size([1, 8])
    """

    def __init__(self, cardinalities: Sequence[int], size: int | None = None) -> None:
        super().__init__()
        sizes = [size or embedding_size(count) for count in cardinalities]
        self.num_outputs = sum(sizes)
        self.tables = nn.ModuleList(
            _table(count, width) for count, width in zip(cardinalities, sizes, strict=True)
        )

    def forward(self, codes: Int[Tensor, "row category"]) -> Float[Tensor, "row feature"]:
        """The vectors of a row's categories, one after the other."""
        vectors = [table(codes[:, i]) for i, table in enumerate(self.tables)]
        return torch.cat(vectors, dim=1)


def _table(count: int, width: int) -> nn.Embedding:
    table = nn.Embedding(count, width)
    with torch.no_grad():
        table.weight.normal_(0.0, 1 / math.sqrt(width))
        table.weight[0] = 0.0
    return table
