"""Vectors of words from their letters."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glial.nn.tokens import PADDING, TokenVectors


class CharacterVectors(nn.Module):
    """A vector for each word from its letters: a convolution over them, and its maxima.

    Args:
        vocabulary: Numbers that a letter may be, padding and the unknown letter included.
        size: Length of a letter's vector.
        channels: Length of a word's vector.
        width: Neighbouring letters that a channel sees, an odd number.

    Source:
        Ma and Hovy (2016), "End-to-end sequence labeling via bi-directional LSTM-CNNs-CRF",
        arXiv 1603.01354, section 2.1.

    Example:
        >>> layer = CharacterVectors(30, 8, 12)
        >>> layer(torch.randint(1, 30, (2, 5, 7))).shape  # 2 rows of 5 words of 7 letters
        torch.Size([2, 5, 12])
    """

    def __init__(self, vocabulary: int, size: int, channels: int, *, width: int = 3) -> None:
        super().__init__()
        self.embedding = TokenVectors(vocabulary, size)
        self.convolution = nn.Conv1d(size, channels, width, padding=width // 2)

    def forward(
        self, letters: Int[Tensor, "row position letter"]
    ) -> Float[Tensor, "row position channel"]:
        """The vectors; 0 for a word without letters."""
        words = letters.flatten(0, 1)
        real = (words != PADDING)[:, None]
        found = self.convolution(self.embedding(words).transpose(1, 2))
        largest = found.masked_fill(~real, -torch.inf).amax(dim=2)
        vectors = largest.masked_fill(~real.any(dim=2), 0.0)
        whole: Tensor = vectors.reshape(letters.shape[0], letters.shape[1], -1)
        return whole
