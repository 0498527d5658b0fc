"""Networks that see rows with noise and the time, and tell what the noise hides.

Source:
    The U-Net: Ho, Jain, Abbeel (2020), arXiv 2006.11239, appendix B, with the time as scale and
    shift after normalisation (Dhariwal, Nichol 2021, arXiv 2105.05233, section 3.1) and pixels in
    patches as channels of the first maps (Luhman, Luhman 2022, arXiv 2207.04316).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

TIME_SCALE = 1000.0
LONGEST_WAVE = 10_000.0
MOST_GROUPS = 8
QUIET = 0.01

Told = Float[Tensor, "row feature"]
Maps = Float[Tensor, "row channel height width"]


class Moments(nn.Module):
    """A vector of the time of each row, and of its class where one is told.

    Args:
        size: Numbers of the vector.
        num_times: The last time.
        num_classes: Classes; the code of this number says that none is told.

    Example:
        >>> Moments(8, num_times=100)(torch.tensor([1, 50, 100])).shape
        torch.Size([3, 8])
    """

    frequencies: Tensor

    def __init__(self, size: int, num_times: int, num_classes: int = 0) -> None:
        super().__init__()
        half = max(1, size // 4)
        waves = torch.exp(-math.log(LONGEST_WAVE) * torch.arange(half) / half)
        self.register_buffer("frequencies", waves * TIME_SCALE / num_times, persistent=False)
        self.linear1 = nn.Linear(2 * half, size)
        self.linear2 = nn.Linear(size, size)
        self.classes = nn.Embedding(num_classes + 1, size) if num_classes else None

    def forward(self, times: Int[Tensor, " row"], codes: Int[Tensor, " row"] | None = None) -> Told:
        """The vectors.

        Args:
            times: From 1 to the last.
            codes: Of classes.
        """
        angles = times[:, None] * self.frequencies
        waves = torch.cat([angles.sin(), angles.cos()], dim=1)
        told: Tensor = self.linear2(functional.silu(self.linear1(waves)))
        if self.classes is not None:
            told = told + self.classes(codes)
        return functional.silu(told)


class DenseDenoiser(nn.Module):
    """A residual network of numbers that is told the time.

    Parameters: ``moments.*``, ``stem.*``, ``blocks.<i>.linear1.*`` and so on, ``norm.*``,
    ``head.*``. The head gives little at first.

    Args:
        num_inputs: Numbers in a row.
        size: Units of each layer.
        depth: Residual blocks, of two layers each.
        num_times: The last time.
        num_classes: Classes that may be told.

    Example:
        >>> network = DenseDenoiser(3, 16, 2, num_times=100)
        >>> network(torch.zeros(4, 3), torch.tensor([1, 2, 50, 100])).shape
        torch.Size([4, 3])
    """

    def __init__(
        self, num_inputs: int, size: int, depth: int, num_times: int, num_classes: int = 0
    ) -> None:
        super().__init__()
        self.moments = Moments(size, num_times, num_classes)
        self.stem = nn.Linear(num_inputs, size)
        self.blocks = nn.ModuleList(_DenseBlock(size) for _ in range(depth))
        self.norm = nn.LayerNorm(size)
        self.head = nn.Linear(size, num_inputs)
        _quiet(self.head)

    def forward(
        self,
        rows: Float[Tensor, "row number"],
        times: Int[Tensor, " row"],
        codes: Int[Tensor, " row"] | None = None,
    ) -> Float[Tensor, "row number"]:
        """A number for each number, called as `UNet`."""
        told = self.moments(times, codes)
        hidden = self.stem(rows)
        for block in self.blocks:
            hidden = block(hidden, told)
        output: Tensor = self.head(functional.silu(self.norm(hidden)))
        return output


class _DenseBlock(nn.Module):
    """Two layers, scaled and shifted between them by what is told, added to their input."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(size)
        self.linear1 = nn.Linear(size, size)
        self.told = nn.Linear(size, 2 * size)
        self.norm2 = nn.LayerNorm(size)
        self.linear2 = nn.Linear(size, size)
        _quiet(self.linear2)

    def forward(self, hidden: Tensor, told: Tensor) -> Tensor:
        inner = self.linear1(functional.silu(self.norm1(hidden)))
        scale, shift = self.told(told).chunk(2, dim=1)
        inner = torch.addcmul(shift, self.norm2(inner), 1 + scale)
        output: Tensor = hidden + self.linear2(functional.silu(inner))
        return output


class UNet(nn.Module):
    """Maps that shrink stage by stage and grow again, each stage beside its mirror, told the time.

    Parameters: ``moments.*``, ``stem.*``, ``down.<stage>.<block>.*``, ``shrink.<stage>.*``,
    ``attention.*``, ``middle.*``, ``grow.<stage>.*``, ``up.<stage>.<block>.*``, ``norm.*``,
    ``head.*``. The head gives little at first. Images may have any size.

    Args:
        channels: Channels of an image.
        widths: Channels of each stage's maps; each stage after the first halves their sides.
        depth: Residual blocks of each stage, on the way down and on the way up.
        num_times: The last time.
        num_classes: Classes that may be told.
        patch: Side of the squares of pixels that are the channels of one place of the first maps.
        attention: Whether places of the smallest maps see each other.

    Example:
        >>> network = UNet(1, [8, 16], depth=1, num_times=100, patch=2)
        >>> network(torch.zeros(2, 1, 15, 11), torch.tensor([1, 100])).shape
        torch.Size([2, 1, 15, 11])
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        depth: int,
        num_times: int,
        num_classes: int = 0,
        patch: int = 1,
        attention: bool = True,
    ) -> None:
        super().__init__()
        self.patch = patch
        size = 4 * widths[0]
        self.moments = Moments(size, num_times, num_classes)
        self.stem = nn.Conv2d(channels * patch**2, widths[0], 3, padding=1)
        earlier = [widths[0], *widths[:-1]]
        self.down = nn.ModuleList(
            nn.ModuleList(
                _ConvBlock(before if number == 0 else width, width, size) for number in range(depth)
            )
            for before, width in zip(earlier, widths, strict=True)
        )
        self.shrink = nn.ModuleList(
            nn.Conv2d(width, width, 3, stride=2, padding=1) for width in widths[:-1]
        )
        self.attention = _PlaceAttention(widths[-1]) if attention else None
        self.middle = _ConvBlock(widths[-1], widths[-1], size)
        self.up = nn.ModuleList(
            _stage([2 * width] * depth, width, size) for width in reversed(widths)
        )
        self.grow = nn.ModuleList(
            nn.Conv2d(above, below, 3, padding=1)
            for above, below in itertools.pairwise(reversed(widths))
        )
        self.norm = _norm(widths[0])
        self.head = nn.Conv2d(widths[0], channels * patch**2, 3, padding=1)
        _quiet(self.head)

    def forward(
        self,
        images: Maps,
        times: Int[Tensor, " row"],
        codes: Int[Tensor, " row"] | None = None,
    ) -> Maps:
        """A number for each pixel.

        Args:
            images: With noise.
            times: From 1 to the last.
            codes: Of classes; their number where none is told.
        """
        told = self.moments(times, codes)
        height, width = images.shape[2:]
        maps = self.stem(self._in_patches(images))
        kept = []
        for number, stage in enumerate(_stages(self.down)):
            if number:
                maps = self.shrink[number - 1](maps)
            for block in stage:
                maps = block(maps, told)
                kept.append(maps)
        if self.attention is not None:
            maps = self.attention(maps)
        maps = self.middle(maps, told)
        for number, stage in enumerate(_stages(self.up)):
            if number:
                sides = kept[-1].shape[2:]
                maps = self.grow[number - 1](functional.interpolate(maps, size=sides))
            for block in stage:
                maps = block(torch.cat([maps, kept.pop()], dim=1), told)
        maps = self.head(functional.silu(self.norm(maps)))
        return functional.pixel_shuffle(maps, self.patch)[:, :, :height, :width]

    def _in_patches(self, images: Tensor) -> Tensor:
        if self.patch == 1:
            return images
        right, below = -images.shape[3] % self.patch, -images.shape[2] % self.patch
        if right or below:
            images = functional.pad(images, (0, right, 0, below))
        return functional.pixel_unshuffle(images, self.patch)


def _stage(in_channels: Sequence[int], width: int, told: int) -> nn.ModuleList:
    return nn.ModuleList(_ConvBlock(before, width, told) for before in in_channels)


def _stages(stages: nn.ModuleList) -> Iterator[nn.ModuleList]:
    for stage in stages:
        assert isinstance(stage, nn.ModuleList)  # noqa: S101 - narrows the type
        yield stage


class _ConvBlock(nn.Module):
    """Two convolutions, scaled and shifted between them by what is told, and a way past them."""

    def __init__(self, before: int, after: int, told: int) -> None:
        super().__init__()
        self.norm1 = _norm(before)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.told = nn.Linear(told, 2 * after)
        self.norm2 = _norm(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        _quiet(self.conv2)

    def forward(self, maps: Tensor, told: Tensor) -> Tensor:
        hidden = self.norm2(self.conv1(functional.silu(self.norm1(maps))))
        scale, shift = self.told(told)[:, :, None, None].chunk(2, dim=1)
        hidden = torch.addcmul(shift, hidden, 1 + scale)
        output: Tensor = self.shortcut(maps) + self.conv2(functional.silu(hidden))
        return output


class _PlaceAttention(nn.Module):
    """Each place of maps, and what the other places add to it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.in_proj = nn.Linear(channels, 3 * channels)
        self.out_proj = nn.Linear(channels, channels)
        _quiet(self.out_proj)

    def forward(self, maps: Tensor) -> Tensor:
        places = self.norm(maps).flatten(2).transpose(1, 2)
        query, key, value = self.in_proj(places).chunk(3, dim=2)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        added: Tensor = self.out_proj(mixed).transpose(1, 2).reshape(maps.shape)
        return maps + added


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(MOST_GROUPS, channels), channels)


def _quiet(layer: nn.Linear | nn.Conv2d) -> None:
    """Let a layer give little at first, so that what it is added to passes nearly unchanged."""
    with torch.no_grad():
        layer.weight.mul_(QUIET)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
