"""Tokens hidden at random, for networks that learn a language by finding them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

REPLACED, RANDOM = 0.8, 0.1


class Masked(NamedTuple):
    """Tokens of which some are hidden, where these stand, and what they were.

    Example:
        >>> Masked(torch.tensor([[2, 4, 3]]), torch.tensor([[1]]), torch.tensor([[7]])).places
        tensor([[1]])
    """

    tokens: Int[Tensor, "row place"]
    places: Int[Tensor, "row chosen"]
    target: Int[Tensor, "row chosen"]


def mask_tokens(
    tokens: Int[Tensor, "row place"],
    *,
    mask: int,
    specials: Sequence[int],
    vocabulary: int,
    generator: torch.Generator,
    share: float = 0.15,
) -> Masked:
    """Choose some tokens of each text: hide most, put others in place of some, leave the rest.

    Of each text ``share`` of its tokens are chosen, at least one. Of those chosen 80 % become the
    mask, 10 % a token drawn from all that are not special, and 10 % stay: so every token may be
    wrong, and what the network makes of each counts.

    Args:
        tokens: Numbers of tokens, at least one a text that is not special.
        mask: The number that hides a token.
        specials: Numbers that are neither chosen nor drawn: padding, start, end, mask.
        vocabulary: How many tokens there are.
        generator: Decides what is chosen, on the CPU.
        share: Of the tokens that are chosen.

    Returns:
        The changed tokens; the places of those chosen, 0 behind the last; and what stood there, -1
        behind the last.

    Source:
        Devlin et al. (2019), arXiv 1810.04805, section 3.1 and appendix A.1.

    Example:
        >>> tokens = torch.tensor([[2, 7, 8, 9, 3, 0]])
        >>> generator = torch.Generator().manual_seed(0)
        >>> found = mask_tokens(
        ...     tokens, mask=4, specials=[0, 2, 3, 4], vocabulary=10, generator=generator
        ... )
        >>> found.places.shape, bool(tokens[0, found.places[0, 0]] == found.target[0, 0])
        (torch.Size([1, 1]), True)
    """
    device = tokens.device
    aside = torch.tensor(list(specials), device=device)
    open_ = ~torch.isin(tokens, aside)
    counts = open_.sum(dim=1)
    chosen = (counts * share).round().long().clamp_min(1).minimum(counts)
    most = max(1, int(chosen.max()))
    drawn = torch.rand(tokens.shape, generator=generator).to(device).masked_fill(~open_, -1.0)
    places = drawn.topk(most, dim=1).indices
    valid = torch.arange(most, device=device) < chosen[:, None]
    places = places.where(valid, 0)
    own = tokens.gather(1, places)
    ordinary = torch.arange(vocabulary, device=device)
    ordinary = ordinary[~torch.isin(ordinary, aside)]
    others = torch.randint(len(ordinary), places.shape, generator=generator).to(device)
    how = torch.rand(places.shape, generator=generator).to(device)
    changed = ordinary[others].where(how < REPLACED + RANDOM, own)
    changed = torch.full_like(own, mask).where(how < REPLACED, changed).where(valid, own)
    return Masked(tokens.scatter(1, places, changed), places, own.where(valid, -1))
