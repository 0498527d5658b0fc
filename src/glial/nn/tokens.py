"""Vectors for tokens."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

PADDING, UNKNOWN = 0, 1


class TokenVectors(nn.Embedding):
    """A vector for each token; zeros for padding, whose number is 0.

    In training some tokens are taken for the unknown one, 1, so that its vector is learnt and no
    single word decides alone.

    Args:
        vocabulary: Numbers that a token may be, padding and the unknown token included.
        size: Length of a vector.
        dropout: Share of the tokens taken for unknown in training, in [0, 1).

    Source:
        Iyyer, Manjunatha, Boyd-Graber, Daumé (2015), "Deep unordered composition rivals syntactic
        methods for text classification", doi:10.3115/v1/P15-1162 (word dropout).

    Example:
        >>> layer = TokenVectors(5, 3)
        >>> layer(torch.tensor([[4, 0]]))[0, 1]
        tensor([0., 0., 0.], grad_fn=<SelectBackward0>)
    """

    def __init__(self, vocabulary: int, size: int, *, dropout: float = 0.0) -> None:
        super().__init__(vocabulary, size, padding_idx=PADDING)
        self.dropout = dropout
        with torch.no_grad():
            self.weight.mul_(1 / math.sqrt(size))

    def forward(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row position feature"]:
        """The vectors."""
        if self.training and self.dropout:
            drawn = torch.rand(tokens.shape, device=tokens.device) < self.dropout
            tokens = tokens.masked_fill(drawn & (tokens != PADDING), UNKNOWN)
        return super().forward(tokens)
