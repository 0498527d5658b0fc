"""Pooling of maps that torch lacks."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

Maps = Float[Tensor, "row channel height width"]
Pooled = Float[Tensor, "row channel high wide"]
Size = int | tuple[int, int]


def sum_pool2d(
    maps: Maps,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
) -> Pooled:
    """The sum of each window.

    Args:
        maps: Maps of numbers.
        kernel_size: Side of the windows.
        stride: Pixels from one window to the next; None is the side, so that none overlap.
        padding: Zeros on each side.
        ceil_mode: Keep a last window that is not full.

    Returns:
        A map each; differentiable.

    Example:
        >>> sum_pool2d(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 2)
        tensor([[[[10.]]]])
    """
    return functional.avg_pool2d(maps, kernel_size, stride, padding, ceil_mode, divisor_override=1)


def l2_norm_pool2d(
    maps: Maps,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
) -> Pooled:
    """The root of each window's sum of squares.

    Args:
        maps: Maps of numbers.
        kernel_size: Side of the windows.
        stride: Pixels from one window to the next; None is the side.
        padding: Zeros on each side.
        ceil_mode: Keep a last window that is not full.

    Returns:
        A map each, never negative. A window of zeros has a gradient of zero. Torch's
        ``lp_pool2d`` knows no padding, and counts a window that is not full as if it were.

    Source:
        Le, Zou, Yeung, Ng (2011), "Learning hierarchical invariant spatio-temporal features for
        action recognition with independent subspace analysis",
        doi:10.1109/CVPR.2011.5995496.

    Example:
        >>> l2_norm_pool2d(torch.tensor([[[[3.0, 0.0], [0.0, -4.0]]]]), 2)
        tensor([[[[5.]]]])
    """
    sums = sum_pool2d(maps.square(), kernel_size, stride, padding, ceil_mode)
    is_zero = sums == 0
    return sums.masked_fill(is_zero, 1.0).sqrt().masked_fill(is_zero, 0.0)


def generalized_mean_pool2d(
    maps: Maps,
    power: Float[Tensor, " power"],
    kernel_size: Size | None = None,
    stride: Size | None = None,
    *,
    floor: float = 1e-6,
) -> Pooled:
    r"""The generalised mean of each window, between its mean and its largest number.

    .. math:: \Big(\frac{1}{|X|} \sum_{x \in X} x^p\Big)^{1/p}

    Args:
        maps: Maps of numbers that are not negative, as after a ReLU.
        power: p, one for all channels or one each; 1 is the mean, and infinity the largest.
        kernel_size: Side of the windows; None is the whole map.
        stride: Pixels from one window to the next; None is the side.
        floor: Smaller numbers, negative ones too, count as this.

    Returns:
        A map each; differentiable in the maps and in the power.

    Source:
        Radenovic, Tolias, Chum (2018), "Fine-tuning CNN image retrieval with no human annotation",
        arXiv 1711.02512, equation 3.

    Example:
        >>> maps = torch.tensor([[[[1.0, 2.0], [2.0, 4.0]]]])
        >>> generalized_mean_pool2d(maps, torch.tensor([1.0])).item()
        2.25
        >>> generalized_mean_pool2d(maps, torch.tensor([2.0])).item()  # sqrt(25 / 4)
        2.5
    """
    power = power[:, None, None]
    powers = maps.clamp_min(floor).pow(power)
    if kernel_size is None:
        means = powers.mean(dim=(2, 3), keepdim=True)
    else:
        means = functional.avg_pool2d(powers, kernel_size, stride)
    return means.pow(1 / power)


def subsample2d(maps: Maps, step: int) -> Pooled:
    """Every n-th pixel of each side, the first one included; the others are left out.

    A pattern finer than the step comes out as another one (aliasing): poolings have mostly
    replaced it, and `blur_pool2d` does it without that.

    Args:
        maps: Maps of numbers.
        step: n.

    Returns:
        Maps of ``ceil(side / n)``.

    Example:
        >>> subsample2d(torch.arange(9.0).reshape(1, 1, 3, 3), 2)
        tensor([[[[0., 2.],
                  [6., 8.]]]])
    """
    return maps[:, :, ::step, ::step]


def blur_kernel(size: int) -> Float[Tensor, "size size"]:
    """The binomial filter of a side: the outer product of a row of Pascal's triangle, summing to 1.

    Args:
        size: Its side.

    Returns:
        The filter, symmetric.

    Source:
        Zhang (2019), "Making convolutional networks shift-invariant again", arXiv 1904.11486,
        section 4.2 (sides 2, 3 and 5).

    Example:
        >>> blur_kernel(3) * 16
        tensor([[1., 2., 1.],
                [2., 4., 2.],
                [1., 2., 1.]])
    """
    row = torch.ones(1)
    for _ in range(size - 1):
        row = functional.pad(row, (0, 1)) + functional.pad(row, (1, 0))
    row = row / row.sum()
    return torch.outer(row, row)


def blur_pool2d(maps: Maps, kernel: Float[Tensor, "size size"], stride: int = 2) -> Pooled:
    """Maps blurred, and every n-th pixel of that.

    Edges are mirrored. With a stride of 1 the size is that of the maps.

    Args:
        maps: Maps of numbers, with sides longer than half the kernel.
        kernel: The filter, as of `blur_kernel`.
        stride: n.

    Returns:
        Maps of ``ceil(side / n)``, where the kernel's side is odd.

    Source:
        See `blur_kernel`, section 3.

    Example:
        >>> blur_pool2d(torch.ones(1, 1, 4, 4), blur_kernel(3)).flatten()
        tensor([1., 1., 1., 1.])
    """
    channels, size = maps.shape[1], kernel.shape[0]
    before, after = (size - 1) // 2, size // 2
    padded = functional.pad(maps, (before, after, before, after), mode="reflect")
    each = kernel.to(maps.dtype).expand(channels, 1, size, size)
    return functional.conv2d(padded, each, stride=stride, groups=channels)


def spatial_pyramid_pool(
    maps: Maps, levels: tuple[int, ...] = (1, 2, 4), *, kind: str = "max"
) -> Float[Tensor, "row feature"]:
    """Maps of any size as vectors of one length: pooled over grids of several sizes.

    Args:
        maps: Maps of numbers.
        levels: Cells along a side of each grid. Cells are of equal size, up to rounding outwards.
        kind: ``max`` or ``average``, of each cell.

    Returns:
        Grid by grid, and within it channel by channel: the channels times the sum of the levels'
        squares.

    Source:
        He, Zhang, Ren, Sun (2014), "Spatial pyramid pooling in deep convolutional networks for
        visual recognition", arXiv 1406.4729, section 2.2.

    Example:
        >>> spatial_pyramid_pool(torch.zeros(2, 8, 13, 9)).shape  # 8 (1 + 4 + 16)
        torch.Size([2, 168])
    """
    pool = functional.adaptive_max_pool2d if kind == "max" else functional.adaptive_avg_pool2d
    return torch.cat([pool(maps, level).flatten(1) for level in levels], dim=1)


def places_within(
    sizes: Int[Tensor, "row 2"], height: int, width: int
) -> Bool[Tensor, "row height width"]:
    """Where images that stand at the top left of larger ones are.

    Args:
        sizes: Height and width of each image.
        height: Height of the padded images.
        width: Their width.

    Returns:
        True inside of the image, False in its padding.

    Example:
        >>> places_within(torch.tensor([[1, 2]]), 2, 3).int()
        tensor([[[1, 1, 0],
                 [0, 0, 0]]], dtype=torch.int32)
    """
    rows = torch.arange(height, device=sizes.device) < sizes[:, :1]
    columns = torch.arange(width, device=sizes.device) < sizes[:, 1:]
    return rows[:, :, None] & columns[:, None, :]
