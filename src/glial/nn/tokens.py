"""Vectors for tokens, and a recurrent layer that passes over padding."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glial.functional import reversed_within

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


class BidirectionalGRU(nn.GRU):
    """One GRU layer read from both ends of each text, whatever stands behind its end.

    Parameters and outputs are those of ``torch.nn.GRU(bidirectional=True)`` on packed sequences;
    but it needs no lengths on the host, and can be exported for any number of rows.

    Args:
        num_inputs: Features of a position.
        num_units: Units of each direction.

    Source:
        Cho et al. (2014), arXiv 1406.1078 (the unit), with the reset gate after the matrix
        product; Schuster and Paliwal (1997), doi:10.1109/78.650093 (both directions).

    Example:
        >>> layer = BidirectionalGRU(3, 4)
        >>> layer(torch.zeros(2, 5, 3), torch.tensor([5, 2])).shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, num_inputs: int, num_units: int) -> None:
        super().__init__(num_inputs, num_units, batch_first=True, bidirectional=True)

    def forward(  # type: ignore[override]
        self, inputs: Float[Tensor, "row position feature"], lengths: Int[Tensor, " row"]
    ) -> Float[Tensor, "row position unit"]:
        """The states of both directions at each position; without meaning behind a text's end.

        Args:
            inputs: A vector at each position.
            lengths: Positions of each row that are no padding, at least 1.
        """
        ahead = self._read(inputs, "l0")
        back = self._read(reversed_within(inputs, lengths), "l0_reverse")
        return torch.cat([ahead, reversed_within(back, lengths)], dim=2)

    def _read(self, inputs: Tensor, direction: str) -> Tensor:
        """One direction of the layer, without dropout."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self, f"{name}_{direction}") for name in names]
        start = inputs.new_zeros(1, inputs.shape[0], self.hidden_size)
        return torch.gru(inputs, start, weights, True, 1, 0.0, self.training, False, True)[0]
