"""Linear-chain conditional random fields: all tag sequences of a row at once, by recursion.

A chain is its potentials ``pairs`` [row, position, before, tag]: the score that a position adds
where it has the tag ``tag`` and the one before it had ``before``. At the first position there is
none before, and the entries of ``before`` 0 count. A sequence's score is the sum over its
positions, and its probability is proportional to the exponential of that. Every function loops over
positions and is vectorised over rows; what stands behind a row's length is never read.

Source:
    Lafferty, McCallum, Pereira (2001), "Conditional random fields: probabilistic models for
    segmenting and labeling sequence data"; Sutton and McCallum (2012), "An introduction to
    conditional random fields", doi:10.1561/2200000013, section 4.1 (the recursions).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Pairs = Float[Tensor, "row position before tag"]
Tags = Int[Tensor, "row position"]
Lengths = Int[Tensor, " row"]
ByRow = Float[Tensor, " row"]


class Paths(NamedTuple):
    """Tag sequences, the best of each row first.

    Attributes:
        tags: [row, best, position]; -1 behind a row's length, and where there is no such sequence.
        scores: [row, best]; -inf where there is no such sequence.

    Example:
        >>> Paths(torch.tensor([[[0, 1]]]), torch.tensor([[2.0]])).tags.shape
        torch.Size([1, 1, 2])
    """

    tags: Int[Tensor, "row best position"]
    scores: Float[Tensor, "row best"]


def pair_scores(
    emissions: Float[Tensor, "row position tag"],
    transitions: Float[Tensor, "tag tag"],
    start: Float[Tensor, " tag"],
    end: Float[Tensor, " tag"],
    lengths: Lengths,
) -> Pairs:
    """The potentials of a chain whose transitions are the same at all positions.

    Args:
        emissions: Score of each tag at each position.
        transitions: Score of each tag (column) behind each other (row).
        start: Score of each tag at the first position.
        end: Score of each tag at the last.
        lengths: Positions of each row.

    Returns:
        The potentials; 0 behind a row's length.

    Example:
        >>> zeros = torch.zeros(2)
        >>> pairs = pair_scores(torch.ones(1, 3, 2), torch.eye(2), zeros, zeros, torch.tensor([2]))
        >>> pairs[0, :, 0].tolist()
        [[1.0, 1.0], [2.0, 1.0], [0.0, 0.0]]
    """
    places = torch.arange(emissions.shape[1], device=emissions.device)[None, :, None, None]
    last = lengths[:, None, None, None] - 1
    between = torch.where(places == 0, start.expand_as(transitions), transitions)
    pairs = emissions[:, :, None] + between + torch.where(places == last, end, 0.0)
    return pairs.masked_fill(places > last, 0.0)


def forbid(
    pairs: Pairs,
    lengths: Lengths,
    transitions: Bool[Tensor, "tag tag"],
    start: Bool[Tensor, " tag"],
    end: Bool[Tensor, " tag"],
) -> Pairs:
    """Potentials of -inf wherever a tag may not stand.

    Args:
        pairs: Potentials.
        lengths: Positions of each row.
        transitions: Whether each tag (column) may stand behind each other (row).
        start: Whether each tag may be the first.
        end: Whether each tag may be the last.

    Example:
        >>> yes, never = torch.tensor([True, True]), torch.tensor([[True, False], [True, True]])
        >>> pairs = forbid(torch.zeros(1, 2, 2, 2), torch.tensor([2]), never, yes, yes)
        >>> pairs[0, 1].tolist()
        [[0.0, -inf], [0.0, 0.0]]
    """
    shut = [
        torch.zeros_like(part, dtype=pairs.dtype).masked_fill(~part, -torch.inf)
        for part in (transitions, start, end)
    ]
    none = pairs.new_zeros(pairs.shape[:3])
    return pairs + pair_scores(none, shut[0], shut[1], shut[2], lengths)


def log_partition(pairs: Pairs, lengths: Lengths) -> ByRow:
    """The logarithm of the sum over all tag sequences of the exponential of their scores.

    Args:
        pairs: Potentials, finite.
        lengths: Positions of each row.

    Returns:
        A number a row, 0 for a row without positions. Its gradient by the potentials is the
        probability of each pair of tags.

    Example:
        >>> log_partition(torch.zeros(1, 3, 2, 2), torch.tensor([3])).exp()
        tensor([8.])
    """
    last = _forward(pairs, lengths)[-1].logsumexp(dim=1)
    return torch.where(lengths > 0, last, 0.0)


def _forward(pairs: Tensor, lengths: Tensor) -> list[Tensor]:
    """Log sums over all sequences that end in each tag at each position; then they stay."""
    sums = [pairs[:, 0, 0]]
    for place in range(1, pairs.shape[1]):
        longer = (sums[-1][:, :, None] + pairs[:, place]).logsumexp(dim=1)
        sums.append(torch.where(place < lengths[:, None], longer, sums[-1]))
    return sums


def sequence_score(pairs: Pairs, tags: Tags, lengths: Lengths) -> ByRow:
    """The score of one tag sequence of each row.

    Args:
        pairs: Potentials.
        tags: The sequences; what stands behind a row's length does not matter.
        lengths: Positions of each row.

    Example:
        >>> pairs = torch.arange(8.0).reshape(1, 2, 2, 2)
        >>> sequence_score(pairs, torch.tensor([[1, 0]]), torch.tensor([2]))
        tensor([7.])
    """
    tags = tags.clamp_min(0)
    before = torch.cat([torch.zeros_like(tags[:, :1]), tags[:, :-1]], dim=1)
    flat = (before * pairs.shape[3] + tags)[:, :, None]
    scores = pairs.flatten(2).gather(2, flat)[:, :, 0]
    places = torch.arange(pairs.shape[1], device=pairs.device)
    return torch.where(places < lengths[:, None], scores, 0.0).sum(dim=1)


def chain_loss(pairs: Pairs, tags: Tags, lengths: Lengths) -> ByRow:
    """Minus the logarithm of the probability of one tag sequence of each row.

    Args:
        pairs: Potentials, finite.
        tags: The sequences.
        lengths: Positions of each row.

    Example:
        >>> chain_loss(torch.zeros(1, 3, 2, 2), torch.tensor([[0, 1, 1]]), torch.tensor([3]))
        tensor([2.0794])
    """
    return log_partition(pairs, lengths) - sequence_score(pairs, tags, lengths)


def chain_marginals(pairs: Pairs, lengths: Lengths) -> Float[Tensor, "row position tag"]:
    """The probability of each tag at each position, over all sequences; 0 behind a row's length.

    Args:
        pairs: Potentials, finite.
        lengths: Positions of each row.

    Example:
        >>> chain_marginals(torch.zeros(1, 2, 2, 2), torch.tensor([1]))
        tensor([[[0.5000, 0.5000],
                 [0.0000, 0.0000]]])
    """
    ahead = _forward(pairs, lengths)
    behind = [torch.zeros_like(ahead[0])]
    for place in range(pairs.shape[1] - 1, 0, -1):
        longer = (pairs[:, place] + behind[-1][:, None]).logsumexp(dim=2)
        behind.append(torch.where(place < lengths[:, None], longer, 0.0))
    both = torch.stack(ahead, dim=1) + torch.stack(behind[::-1], dim=1)
    places = torch.arange(pairs.shape[1], device=pairs.device)
    return both.softmax(dim=2) * (places < lengths[:, None])[:, :, None]


@torch.no_grad()
def viterbi(pairs: Pairs, lengths: Lengths, *, best: int = 1) -> Paths:
    """The tag sequences of the greatest scores.

    Args:
        pairs: Potentials; -inf where something may not be (see `forbid`).
        lengths: Positions of each row.
        best: How many sequences of each row.

    Source:
        Viterbi (1967), doi:10.1109/TIT.1967.1054010; several best: Schwartz and Chow (1990),
        "The N-best algorithm", doi:10.1109/ICASSP.1990.115542.

    Example:
        >>> pairs = torch.tensor([[0.0, 1.0], [0.5, 0.0]]).expand(1, 3, 2, 2)
        >>> viterbi(pairs, torch.tensor([3]), best=2)
        Paths(tags=tensor([[[1, 0, 1],
                 [1, 1, 0]]]), scores=tensor([[2.5000, 1.5000]]))
    """
    rows, length, _, tags = pairs.shape
    # Of each tag the best sequences that end in it: [row, tag, best].
    sums = pairs.new_full((rows, tags, best), -torch.inf)
    sums[:, :, 0] = pairs[:, 0, 0]
    stay = torch.arange(tags * best, device=pairs.device).expand(rows, -1)
    ways = []
    for place in range(1, length):
        longer = sums[:, :, :, None] + pairs[:, place, :, None]
        found, way = longer.flatten(1, 2).topk(best, dim=1)
        on = (place < lengths)[:, None]
        sums = torch.where(on[:, :, None], found.transpose(1, 2), sums)
        ways.append(torch.where(on, way.transpose(1, 2).flatten(1), stay))
    scores, at = sums.flatten(1).topk(min(best, tags * best), dim=1)
    path = [at]
    for way in reversed(ways):
        path.append(way.gather(1, path[-1]))
    found = torch.stack(path[::-1], dim=2) // best
    empty = (lengths == 0)[:, None]
    first = torch.arange(best, device=pairs.device) == 0
    scores = torch.where(empty, torch.where(first, 0.0, -torch.inf).to(scores), scores)
    # Behind a row's length the path stays where it is.
    places = torch.arange(length, device=pairs.device)
    real = (places < lengths[:, None])[:, None] & (scores > -torch.inf)[:, :, None]
    return Paths(found.masked_fill(~real, -1), scores)
