"""Means and maxima over the positions of sequences that are no padding."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def masked_mean(
    values: Float[Tensor, "row position feature"], mask: Bool[Tensor, "row position"]
) -> Float[Tensor, "row feature"]:
    """The mean over the positions that the mask marks; 0 where it marks none.

    Args:
        values: A vector at each position.
        mask: True where a position counts.

    Returns:
        A vector a row; differentiable in ``values``.

    Example:
        >>> values = torch.tensor([[[1.0], [3.0], [100.0]]])
        >>> masked_mean(values, torch.tensor([[True, True, False]]))
        tensor([[2.]])
    """
    sums = values.masked_fill(~mask[:, :, None], 0.0).sum(dim=1)
    return sums / mask.sum(dim=1, keepdim=True).clamp_min(1).to(values.dtype)


def masked_max(
    values: Float[Tensor, "row position feature"], mask: Bool[Tensor, "row position"]
) -> Float[Tensor, "row feature"]:
    """The largest value of each feature over the positions that the mask marks; 0 for none.

    Args:
        values: A vector at each position.
        mask: True where a position counts.

    Returns:
        A vector a row; differentiable in ``values``.

    Example:
        >>> values = torch.tensor([[[-1.0], [-3.0], [100.0]]])
        >>> masked_max(values, torch.tensor([[True, True, False]]))
        tensor([[-1.]])
    """
    largest = values.masked_fill(~mask[:, :, None], -torch.inf).amax(dim=1)
    return largest.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


def reversed_within(
    values: Float[Tensor, "row position feature"], lengths: Int[Tensor, " row"]
) -> Float[Tensor, "row position feature"]:
    """Each row's first positions in reverse order, the rest where they are.

    Args:
        values: A vector at each position.
        lengths: How many positions of each row are turned round.

    Returns:
        The vectors in the new order; done twice, it changes nothing.

    Example:
        >>> values = torch.tensor([[[1.0], [2.0], [3.0]]])
        >>> reversed_within(values, torch.tensor([2])).flatten()
        tensor([2., 1., 3.])
    """
    positions = torch.arange(values.shape[1], device=values.device).expand(values.shape[:2])
    turned = lengths[:, None] - 1 - positions
    order = torch.where(turned < 0, positions, turned)
    return values.gather(1, order[:, :, None].expand_as(values))
