"""Attention: which places of a sequence each query takes its answer from, and where places are.

Masks are True where a query may look. Shapes are those of torch's scaled dot product: heads before
places.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

Queries = Float[Tensor, "row head query feature"]
Keys = Float[Tensor, "row head place feature"]
Values = Float[Tensor, "row head place value"]
Found = Float[Tensor, "row head query value"]
# To be broadcast to [row, head, query, place].
Mask = Bool[Tensor, "..."]
# A symbol while a network is exported for texts of any length.
Count = int | torch.SymInt


def attention_weights(
    queries: Queries, keys: Keys, mask: Mask | None = None
) -> Float[Tensor, "row head query place"]:
    """How much each query takes from each place: softmax of scaled dot products.

    Args:
        queries: What is looked for.
        keys: What each place offers.
        mask: Where a query may look; None is everywhere.

    Returns:
        Shares that add up to 1 over the places; all 0 for a query that may look nowhere.

    Source:
        Vaswani et al. (2017), arXiv 1706.03762, equation 1.

    Example:
        >>> attention_weights(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 4, 2)).flatten()
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    scores: Tensor = queries @ keys.transpose(-1, -2) / float(queries.shape[-1]) ** 0.5
    if mask is None:
        return scores.softmax(dim=-1)
    shares = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
    return shares.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)


def attend(
    queries: Queries,
    keys: Keys,
    values: Values,
    mask: Mask | None = None,
    *,
    dropout: float = 0.0,
    causal: bool = False,
) -> Found:
    """Each query's mixture of the values, by `attention_weights`, in one kernel.

    Args:
        queries: What is looked for.
        keys: What each place offers.
        values: What is taken from there.
        mask: Where a query may look; None is everywhere.
        dropout: Share of the weights dropped.
        causal: Whether each query looks at its own place and those before alone, as by
            `causal_mask` but quicker; then there are as many queries as places, and no mask.

    Returns:
        The mixtures; zeros for a query that may look nowhere.

    Source:
        Vaswani et al. (2017), arXiv 1706.03762, equation 1.

    Example:
        >>> values = torch.tensor([[[[1.0], [3.0]]]])
        >>> attend(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 2, 2), values).item()
        2.0
    """
    return functional.scaled_dot_product_attention(
        queries, keys, values, mask, dropout, is_causal=causal
    )


def causal_mask(
    num_queries: Count, num_places: Count, device: torch.device | None = None
) -> Bool[Tensor, "query place"]:
    """Each query may look at its own place and those before; the queries are the last places.

    Args:
        num_queries: Queries.
        num_places: Places, at least as many.
        device: Where the mask is made.

    Example:
        >>> causal_mask(2, 3).int()
        tensor([[1, 1, 0],
                [1, 1, 1]], dtype=torch.int32)
    """
    whole = torch.ones(num_queries, num_places, dtype=torch.bool, device=device)
    return whole.tril(num_places - num_queries)


def window_mask(
    num_queries: Count,
    num_places: Count,
    before: int,
    after: int = 0,
    device: torch.device | None = None,
) -> Bool[Tensor, "query place"]:
    """Each query may look at its own place and its neighbours; the queries are the last places.

    Args:
        num_queries: Queries.
        num_places: Places, at least as many.
        before: How many places before its own.
        after: How many behind it.
        device: Where the mask is made.

    Example:
        >>> window_mask(3, 3, before=1).int()
        tensor([[1, 0, 0],
                [1, 1, 0],
                [0, 1, 1]], dtype=torch.int32)
    """
    whole = torch.ones(num_queries, num_places, dtype=torch.bool, device=device)
    own = num_places - num_queries
    return whole.tril(own + after).triu(own - before)


def attend_nearby(
    queries: Queries,
    keys: Keys,
    values: Values,
    before: int,
    after: int = 0,
    mask: Bool[Tensor, "row place"] | None = None,
) -> Found:
    """As `attend` with a `window_mask`, in time and memory that grow with the length only.

    The sequence is cut into blocks as long as the window reaches; each block looks at itself and
    the blocks beside it.

    Args:
        queries: What is looked for, one a place.
        keys: What each place offers.
        values: What is taken from there.
        before: How many places before its own a query may look at.
        after: How many behind it.
        mask: Places that are no padding; None counts all.

    Returns:
        The mixtures; zeros for a query that may look nowhere.

    Source:
        Beltagy, Peters, Cohan (2020), "Longformer", arXiv 2004.05150, section 3.1.

    Example:
        >>> x = torch.randn(1, 2, 9, 4)
        >>> near = attend_nearby(x, x, x, before=2)
        >>> torch.allclose(near, attend(x, x, x, window_mask(9, 9, 2)), atol=1e-6)
        True
    """
    length = queries.shape[2]
    block = max(before, after, 1)
    count = -(-length // block)
    sides = 1 if after else 0
    more = count * block - length
    real = torch.ones(queries.shape[0], length, dtype=torch.bool, device=queries.device)
    real = functional.pad(real if mask is None else mask, (block, more + sides * block))
    padded = functional.pad(queries, (0, 0, 0, more))
    cut = padded.reshape(*queries.shape[:2], count, block, queries.shape[3])
    wide = (2 + sides) * block

    def beside(parts: Tensor) -> Tensor:
        padded = functional.pad(parts, (0, 0, block, more + sides * block))
        return padded.unfold(2, wide, block).transpose(-1, -2)

    near = torch.ones(block, wide, dtype=torch.bool, device=queries.device)
    near = near.tril(block + after).triu(block - before)
    allowed = near & real.unfold(1, wide, block)[:, None, :, None, :]
    mixed = attend(
        cut.flatten(1, 2), beside(keys).flatten(1, 2), beside(values).flatten(1, 2),
        allowed.expand(-1, queries.shape[1], -1, -1, -1).flatten(1, 2),
    )  # fmt: skip
    found: Tensor = mixed.reshape(*queries.shape[:2], count * block, values.shape[3])
    return found[:, :, :length]


def sinusoidal_positions(
    positions: Int[Tensor, " place"], size: int
) -> Float[Tensor, "place size"]:
    """A vector for each position: sines, then cosines, of wavelengths from 2 pi to 10,000 times it.

    Args:
        positions: Numbers of the places, from 0.
        size: Length of a vector, even.

    Source:
        Vaswani et al. (2017), arXiv 1706.03762, section 3.5; sines and cosines one behind the
        other instead of in turns.

    Example:
        >>> sinusoidal_positions(torch.tensor([0]), 4)
        tensor([[0., 0., 1., 1.]])
    """
    angles = _angles(positions, size)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def rotated(
    values: Float[Tensor, "row head place feature"], positions: Int[Tensor, " place"]
) -> Float[Tensor, "row head place feature"]:
    """Queries or keys turned by their position, so that products depend on distances alone.

    Number k turns together with number k + half, by the angle position / 10000^(2 k / feature).

    Args:
        values: Queries or keys; an even number of features.
        positions: Numbers of the places.

    Source:
        Su et al. (2021), "RoFormer", arXiv 2104.09864, equation 34, with halves as pairs.

    Example:
        >>> x = torch.randn(1, 1, 1, 8)
        >>> there, here = rotated(x, torch.tensor([9])), rotated(x, torch.tensor([4]))
        >>> other = rotated(x, torch.tensor([5])), rotated(x, torch.tensor([0]))
        >>> torch.allclose((there * here).sum(), (other[0] * other[1]).sum(), atol=1e-4)
        True
    """
    angles = _angles(positions, values.shape[-1])
    sine, cosine = angles.sin().to(values.dtype), angles.cos().to(values.dtype)
    first, second = values.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


def _angles(positions: Tensor, size: int) -> Tensor:
    rates = 10_000 ** (-torch.arange(0, size, 2, device=positions.device) / size)
    return positions[:, None] * rates
