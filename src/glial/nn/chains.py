"""The head of a conditional random field: scores of tags as potentials of a chain."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glial.functional import pair_scores


class ChainScores(nn.Module):
    """Scores of tags, and of tags behind each other, as the potentials of a chain.

    The whole conditional random field stands in these outputs: a loss and a search are functions of
    them and have no parameters (`glial.functional.chain_loss`, `glial.functional.viterbi`), so a
    network with such a head is trained, averaged, saved and exported like any other. It costs
    [tag, tag] numbers a position, where tags with transitions apart would cost [tag].

    At each position a constant is subtracted, which changes no probability, so that the
    exponentials of its numbers sum to 1. So no position is all 0 but those behind a row's length.

    Args:
        num_tags: Tags.

    Source:
        Lample et al. (2016), "Neural architectures for named entity recognition",
        arXiv 1603.01360, section 2.2.

    Example:
        >>> layer = ChainScores(3)
        >>> layer(torch.zeros(1, 4, 3), torch.tensor([2])).shape
        torch.Size([1, 4, 3, 3])
    """

    def __init__(self, num_tags: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))

    def forward(
        self, emissions: Float[Tensor, "row position tag"], lengths: Int[Tensor, " row"]
    ) -> Float[Tensor, "row position before tag"]:
        """The potentials; 0 behind a row's length.

        Args:
            emissions: Score of each tag at each position.
            lengths: Positions of each row.
        """
        pairs = pair_scores(emissions, self.transitions, self.start, self.end, lengths)
        places = torch.arange(pairs.shape[1], device=pairs.device)[None, :, None, None]
        logs = pairs - pairs.logsumexp(dim=(2, 3), keepdim=True)
        return logs.masked_fill(places >= lengths[:, None, None, None], 0.0)
