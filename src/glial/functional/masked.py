"""Means and maxima over the positions of sequences, and of maps, that are no padding."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


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


def last_within(
    values: Float[Tensor, "row position feature"],
    lengths: Int[Tensor, " row"] | None,
    start: Float[Tensor, "row feature"],
) -> Float[Tensor, "row feature"]:
    """The vector at each row's last position that counts.

    Args:
        values: A vector at each position.
        lengths: How many positions of each row count; None counts all.
        start: What stands for a row of which none does.

    Example:
        >>> values = torch.tensor([[[1.0], [2.0], [3.0]]])
        >>> last_within(values, torch.tensor([2]), torch.zeros(1, 1))
        tensor([[2.]])
    """
    if lengths is None:
        return values[:, -1]
    places = (lengths - 1).clamp_min(0)[:, None, None].expand(-1, 1, values.shape[2])
    return torch.where(lengths[:, None] > 0, values.gather(1, places)[:, 0], start)


def masked_places(
    maps: Float[Tensor, "row channel high wide"], mask: Float[Tensor, "row 1 height width"] | None
) -> Float[Tensor, "row channel high wide"]:
    """Maps that are 0 wherever no real pixel is, as beyond the border of an unpadded image.

    Args:
        maps: Maps of padded images, of their size or a smaller one.
        mask: 1 where a pixel is real, else 0; None leaves the maps as they are.

    Example:
        >>> mask = torch.tensor([1.0, 0.0, 0.0, 0.0]).reshape(1, 1, 1, 4)
        >>> masked_places(torch.full((1, 1, 1, 2), 7.0), mask).flatten()
        tensor([7., 0.])
    """
    if mask is None:
        return maps
    return maps * functional.adaptive_max_pool2d(mask, maps.shape[-2:]).to(maps.dtype)


def mean_of_places(
    maps: Float[Tensor, "row channel high wide"], mask: Float[Tensor, "row 1 height width"] | None
) -> Float[Tensor, "row channel"]:
    """The mean over all places of maps, or over those with real pixels.

    A place counts by the share of its pixels that are real, so an image of any size counts by its
    own pixels only (global average pooling).

    Args:
        maps: Maps of padded images, of their size or a smaller one.
        mask: 1 where a pixel is real, else 0; None counts all places alike.

    Returns:
        A vector a row; 0 where nothing is real.

    Source:
        Lin, Chen, Yan (2014), "Network in network", arXiv 1312.4400, section 3.2, for the mean.

    Example:
        >>> mask = torch.tensor([1.0, 1.0, 1.0, 0.0]).reshape(1, 1, 1, 4)
        >>> mean_of_places(torch.tensor([3.0, 9.0]).reshape(1, 1, 1, 2), mask)
        tensor([[5.]])
    """
    if mask is None:
        return maps.mean(dim=(2, 3))
    high, wide = maps.shape[-2:]
    shares = functional.adaptive_avg_pool2d(mask, (high, wide)).to(maps.dtype)
    sums = (maps * shares).sum(dim=(2, 3))
    total = shares.sum(dim=(2, 3))
    return sums / total.where(total > 0, 1.0)
