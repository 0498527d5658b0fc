"""Poolings that torch lacks. None but the generalised mean has parameters."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from glial.functional import pooling
from glial.functional.masked import masked_max, masked_mean
from glial.functional.pooling import Maps, Pooled, Size


class _Windows(nn.Module):
    """A pooling by windows."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        """The sizes, as the module's printed form shows them."""
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}"


class SumPool2d(_Windows):
    """The sum of each window: the mean times its number of pixels.

    Args:
        kernel_size: Side of the windows.
        stride: Pixels from one window to the next; None is the side.
        padding: Zeros on each side.
        ceil_mode: Keep a last window that is not full.

    Example:
        >>> SumPool2d(2)(torch.ones(1, 1, 4, 4)).flatten()
        tensor([4., 4., 4., 4.])
    """

    def forward(self, maps: Maps) -> Pooled:
        """The sums."""
        return pooling.sum_pool2d(maps, self.kernel_size, self.stride, self.padding, self.ceil_mode)


class L2NormPool2d(_Windows):
    """The root of each window's sum of squares; see `glial.functional.l2_norm_pool2d`.

    Args:
        kernel_size: Side of the windows.
        stride: Pixels from one window to the next; None is the side.
        padding: Zeros on each side.
        ceil_mode: Keep a last window that is not full.

    Example:
        >>> L2NormPool2d(2)(torch.ones(1, 1, 2, 2)).item()
        2.0
    """

    def forward(self, maps: Maps) -> Pooled:
        """The roots."""
        return pooling.l2_norm_pool2d(
            maps, self.kernel_size, self.stride, self.padding, self.ceil_mode
        )


class GeneralizedMeanPool2d(nn.Module):
    """A mean with a power that is learnt; see `glial.functional.generalized_mean_pool2d`.

    Args:
        power: What the power starts from.
        kernel_size: Side of the windows; None is the whole map.
        stride: Pixels from one window to the next; None is the side.
        channels: Channels that have a power of their own; 1 is one for all.
        floor: Smaller numbers count as this.

    Source:
        Radenovic, Tolias, Chum (2018), arXiv 1711.02512, equation 3; a power of 3 at the start.

    Example:
        >>> GeneralizedMeanPool2d()(torch.rand(2, 8, 5, 5)).shape
        torch.Size([2, 8, 1, 1])
    """

    def __init__(
        self,
        power: float = 3.0,
        kernel_size: Size | None = None,
        stride: Size | None = None,
        *,
        channels: int = 1,
        floor: float = 1e-6,
    ) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.full((channels,), power))
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.floor = floor

    def forward(self, maps: Maps) -> Pooled:
        """The means."""
        return pooling.generalized_mean_pool2d(
            maps, self.power, self.kernel_size, self.stride, floor=self.floor
        )


class GlobalPool2d(nn.Module):
    """One number a channel, over the whole map: it admits images of any size.

    Args:
        kind: ``average`` or ``max``.

    Source:
        Lin, Chen, Yan (2014), "Network in network", arXiv 1312.4400, section 3.2 (average).

    Example:
        >>> maps = torch.tensor([[[[1.0, 3.0, 100.0]]]])
        >>> GlobalPool2d()(maps[:, :, :, :2]).item()
        2.0
        >>> GlobalPool2d("max")(maps, torch.tensor([[1, 2]])).item()  # the third is padding
        3.0
    """

    def __init__(self, kind: Literal["average", "max"] = "average") -> None:
        super().__init__()
        self.kind = kind

    def forward(
        self,
        maps: Maps,
        mask: Bool[Tensor, "row height width"] | Int[Tensor, "row 2"] | None = None,
    ) -> Float[Tensor, "row channel"]:
        """The mean or the largest number of each channel.

        Args:
            maps: Maps of numbers.
            mask: Places that count, for images padded to one size: True at each of them, or
                [height, width] of each image at the top left, in places of these maps. A row
                where none counts gives 0.
        """
        if mask is None:
            return maps.mean(dim=(2, 3)) if self.kind == "average" else maps.amax(dim=(2, 3))
        if mask.dtype != torch.bool:
            mask = pooling.places_within(mask, maps.shape[2], maps.shape[3])
        pool = masked_mean if self.kind == "average" else masked_max
        return pool(maps.flatten(2).transpose(1, 2), mask.flatten(1))

    def extra_repr(self) -> str:
        """The kind, as the module's printed form shows it."""
        return self.kind


class SpatialPyramidPool(nn.Module):
    """Vectors of one length from maps of any size; see `glial.functional.spatial_pyramid_pool`.

    Args:
        levels: Cells along a side of each grid.
        kind: ``max`` or ``average``, of each cell.

    Attributes:
        num_cells: Numbers of the vector for each channel.

    Source:
        He, Zhang, Ren, Sun (2014), arXiv 1406.4729, section 2.2.

    Example:
        >>> pool = SpatialPyramidPool((1, 2))
        >>> pool(torch.zeros(1, 3, 7, 9)).shape, 3 * pool.num_cells
        (torch.Size([1, 15]), 15)
    """

    def __init__(
        self, levels: tuple[int, ...] = (1, 2, 4), kind: Literal["max", "average"] = "max"
    ) -> None:
        super().__init__()
        self.levels, self.kind = levels, kind
        self.num_cells = sum(level**2 for level in levels)

    def forward(self, maps: Maps) -> Float[Tensor, "row feature"]:
        """The vectors."""
        return pooling.spatial_pyramid_pool(maps, self.levels, kind=self.kind)


class Subsample2d(nn.Module):
    """Every n-th pixel of each side, and none of the others.

    Args:
        step: n.

    Example:
        >>> Subsample2d(2)(torch.zeros(1, 1, 5, 4)).shape
        torch.Size([1, 1, 3, 2])
    """

    def __init__(self, step: int) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = 1, step, 0

    def forward(self, maps: Maps) -> Pooled:
        """What is kept."""
        return pooling.subsample2d(maps, self.stride)


class BlurPool2d(nn.Module):
    """Subsampling of maps that were blurred before it, so that a small shift changes little.

    Args:
        stride: Pixels from one place to the next.
        kernel_size: Side of the binomial filter.

    Source:
        Zhang (2019), "Making convolutional networks shift-invariant again", arXiv 1904.11486.

    Example:
        >>> BlurPool2d()(torch.zeros(1, 3, 8, 8)).shape
        torch.Size([1, 3, 4, 4])
    """

    kernel: Tensor

    def __init__(self, stride: int = 2, kernel_size: int = 3) -> None:
        super().__init__()
        self.register_buffer("kernel", pooling.blur_kernel(kernel_size), persistent=False)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, (kernel_size - 1) // 2

    def forward(self, maps: Maps) -> Pooled:
        """The blurred maps, subsampled."""
        return pooling.blur_pool2d(maps, self.kernel, self.stride)


class AntiAliasedMaxPool2d(nn.Sequential):
    """Max pooling at every pixel, then `BlurPool2d`, in the place of strided max pooling.

    Args:
        kernel_size: Side of the windows of which the largest number is taken.
        stride: Pixels from one place to the next, in the second part.
        blur_size: Side of the blur.

    Source:
        Zhang (2019), arXiv 1904.11486, section 3.3.

    Example:
        >>> AntiAliasedMaxPool2d()(torch.zeros(1, 3, 9, 9)).shape
        torch.Size([1, 3, 4, 4])
    """

    def __init__(self, kernel_size: int = 2, stride: int = 2, blur_size: int = 3) -> None:
        super().__init__(nn.MaxPool2d(kernel_size, stride=1), BlurPool2d(stride, blur_size))
