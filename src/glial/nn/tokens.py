"""Vectors for tokens, and scores of the tokens and pairs that a text has."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

PADDING, UNKNOWN = 0, 1
_PRIME = 1_000_003


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


class TokenPresence(nn.Embedding):
    """A linear map of which tokens, and which pairs of neighbouring ones, a text has.

    A text is a vector with a place for each token and each pair, of one value wherever it has
    them, once or often, and of length ``scale``; pairs share places by their hash. The scores
    start at zero.

    Args:
        vocabulary: Numbers that a token may be, padding and the unknown token included.
        pairs: Places that pairs share.
        num_outputs: Scores of a text.
        scale: Length of a text's vector: as an optimiser of Adam's kind makes steps of one
            length for all, it says how fast these scores learn beside other parts.

    Source:
        Wang and Manning (2012), "Baselines and bigrams: simple, good sentiment and topic
        classification", ACL, section 2 (presence and not counts, of words and of pairs); places
        shared by a hash: Weinberger et al. (2009), arXiv 0902.2206.

    Example:
        >>> layer = TokenPresence(5, 8, 2)
        >>> layer(torch.tensor([[4, 3, 4, 0]]))
        tensor([[0., 0.]], grad_fn=<DivBackward0>)
    """

    def __init__(
        self, vocabulary: int, pairs: int, num_outputs: int, *, scale: float = 5.0
    ) -> None:
        super().__init__(vocabulary + pairs, num_outputs, padding_idx=PADDING)
        self.vocabulary, self.pairs, self.scale = vocabulary, pairs, scale
        nn.init.zeros_(self.weight)

    def forward(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row output"]:
        """The scores of each text."""
        both = self.vocabulary + pair_numbers(tokens, self.pairs)
        both = both.masked_fill(tokens[:, 1:] == PADDING, PADDING)
        places = torch.cat([tokens, both], dim=1).sort(dim=1).values
        # Padding, 0, sorts first; each other place counts where it first stands.
        counted = places.diff(dim=1, prepend=torch.zeros_like(places[:, :1])) != 0
        sums = super().forward(places).masked_fill(~counted[:, :, None], 0.0).sum(dim=1)
        length = counted.sum(dim=1, keepdim=True).clamp_min(1).to(sums.dtype).sqrt()
        return self.scale * sums / length


def pair_numbers(tokens: Int[Tensor, "row position"], pairs: int) -> Int[Tensor, "row pair"]:
    """A number for each two neighbouring tokens, by a hash of both in their order.

    Args:
        tokens: Tokens of each text.
        pairs: How many numbers there are.

    Example:
        >>> pair_numbers(torch.tensor([[1, 2, 1]]), 1000)
        tensor([[5, 7]])
    """
    return (tokens[:, :-1] * _PRIME + tokens[:, 1:]) % pairs
