"""Rows made worse on purpose: noise, gaps, and blur, which what learns to restore them undoes.

Strengths come as one number a row, [row], and all that is random from a generator on the
processor, wherever the rows are.
"""

from __future__ import annotations

from math import ceil, pi

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Values = Float[Tensor, "row ..."]
Strength = Float[Tensor, " row"]
Kernels = Float[Tensor, "row side side"]

_POINTS_A_PIXEL = 16


def gaussian_noise(values: Values, std: Strength, generator: torch.Generator) -> Values:
    """Values with independent normal noise added.

    Args:
        values: Numbers or pixels.
        std: Standard deviation of each row's noise, in the values' units.
        generator: Draws.

    Example:
        >>> gaussian_noise(torch.ones(1, 2), torch.zeros(1), torch.Generator())
        tensor([[1., 1.]])
    """
    noise = torch.randn(values.shape, generator=generator).to(values)
    return values + _beside(std, values) * noise


def masking_noise(
    values: Values, share: Strength, generator: torch.Generator, *, fill: float = 0.0
) -> Values:
    """Values of which some are forgotten.

    Args:
        values: Numbers or pixels.
        share: Chance of each of a row's values to be forgotten.
        generator: Draws.
        fill: What stands for those.

    Source:
        Vincent, Larochelle, Bengio, Manzagol (2008), "Extracting and composing robust features
        with denoising autoencoders", doi:10.1145/1390156.1390294, section 2.3.

    Example:
        >>> masking_noise(torch.ones(1, 2), torch.ones(1), torch.Generator())
        tensor([[0., 0.]])
    """
    drawn = torch.rand(values.shape, generator=generator).to(values)
    return values.masked_fill(drawn < _beside(share, values), fill)


def salt_and_pepper(
    values: Values, share: Strength, generator: torch.Generator, *, low: float, high: float
) -> Values:
    """Values of which some are set to the least or the greatest, as likely the one as the other.

    Args:
        values: Numbers or pixels.
        share: Chance of each of a row's values to be set.
        generator: Draws.
        low: The least.
        high: The greatest.

    Example:
        >>> draws = torch.Generator().manual_seed(0)
        >>> salt_and_pepper(torch.zeros(1, 4), torch.ones(1), draws, low=-1.0, high=1.0)
        tensor([[-1.,  1., -1., -1.]])
    """
    drawn = torch.rand(values.shape, generator=generator).to(values)
    share = _beside(share, values)
    salted = values.masked_fill(drawn < share, high)
    return salted.masked_fill(drawn < share / 2, low)


def gaussian_kernels(std: Strength, radius: int | None = None) -> Kernels:
    """Round kernels whose weights fall off as a normal density does.

    Args:
        std: Of each kernel, in pixels, positive.
        radius: Pixels from a kernel's centre to its edge; None is three of the largest deviation.

    Returns:
        Kernels of ``2 radius + 1`` pixels a side, each of sum 1.

    Example:
        >>> gaussian_kernels(torch.tensor([1.0]), 1).round(decimals=2)
        tensor([[[0.0800, 0.1200, 0.0800],
                 [0.1200, 0.2000, 0.1200],
                 [0.0800, 0.1200, 0.0800]]])
    """
    reach = max(1, ceil(3 * float(std.max()))) if radius is None else radius
    places = torch.arange(-reach, reach + 1, device=std.device, dtype=std.dtype)
    weights = torch.exp(-0.5 * (places / std[:, None]).square())
    weights = weights / weights.sum(dim=1, keepdim=True)
    return weights[:, :, None] * weights[:, None, :]


def motion_kernels(length: Strength, angle: Strength) -> Kernels:
    """Kernels of a camera that moves straight on while it looks.

    Args:
        length: Way of each, in pixels, at least 1.
        angle: Its direction in radians, against the axis of the width.

    Returns:
        Kernels of one odd side, each of sum 1: what a pixel weighs is how much of the way lies in
        it, around the middle of the kernel.

    Example:
        >>> motion_kernels(torch.tensor([2.0]), torch.tensor([0.0]))
        tensor([[[0.0000, 0.0000, 0.0000],
                 [0.2500, 0.5000, 0.2500],
                 [0.0000, 0.0000, 0.0000]]])
    """
    longest = float(length.max())
    reach = ceil((longest - 1) / 2)
    count = _POINTS_A_PIXEL * ceil(longest)
    points = (torch.arange(count).to(length) + 0.5) / count - 0.5
    way = length[:, None] * points
    grid = torch.arange(-reach, reach + 1).to(length)
    columns = _pixels_of(way * torch.cos(angle)[:, None], grid)
    rows = _pixels_of(way * torch.sin(angle)[:, None], grid)
    return torch.einsum("npr,npc->nrc", rows, columns) / count


def blurred(
    images: Float[Tensor, "row channel height width"], kernels: Float[Tensor, "blur side side"]
) -> Float[Tensor, "row channel height width"]:
    """Pictures seen through kernels; beyond their border they go on as they end.

    Args:
        images: Pictures.
        kernels: One a picture, or one for all, of an odd side.

    Example:
        >>> blurred(torch.ones(2, 3, 5, 5), gaussian_kernels(torch.tensor([1.0]))).shape
        torch.Size([2, 3, 5, 5])
    """
    rows, channels, height, width = images.shape
    reach = kernels.shape[-1] // 2
    padded = functional.pad(images, (reach, reach, reach, reach), mode="replicate")
    weights = kernels.expand(rows, -1, -1).repeat_interleave(channels, dim=0)[:, None]
    flat = padded.reshape(1, rows * channels, *padded.shape[2:])
    found = functional.conv2d(flat, weights, groups=rows * channels)
    return found.reshape(rows, channels, height, width)


def random_angles(rows: int, generator: torch.Generator) -> Strength:
    """Directions in radians, all as likely, from 0 to pi.

    Args:
        rows: How many.
        generator: Draws.

    Example:
        >>> random_angles(3, torch.Generator().manual_seed(0)).shape
        torch.Size([3])
    """
    return pi * torch.rand(rows, generator=generator)


def _pixels_of(places: Tensor, grid: Tensor) -> Tensor:
    return (places.round()[:, :, None] == grid).to(places)


def _beside(strength: Tensor, values: Tensor) -> Tensor:
    return strength.to(values).reshape(-1, *(1,) * (values.ndim - 1))
