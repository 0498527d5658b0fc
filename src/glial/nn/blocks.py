"""Ways to join layers: side by side, all with all, and past each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


class ParallelBranches(nn.Module):
    """Networks that see the same maps, and their outputs one after another as channels.

    Args:
        branches: The networks; all give maps of one height and width. The output has as many
            channels as they have together.

    Example:
        >>> block = ParallelBranches(nn.Conv2d(3, 4, 1), nn.Conv2d(3, 8, 3, padding=1))
        >>> block(torch.zeros(1, 3, 9, 9)).shape
        torch.Size([1, 12, 9, 9])
    """

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, maps: Tensor) -> Tensor:
        """All branches' maps."""
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


class InceptionBlock(ParallelBranches):
    """Convolutions of several sizes side by side: details and larger shapes of the same place.

    The branches are a 1 x 1 convolution; for each larger kernel a 1 x 1 convolution to few
    channels and then the kernel; and max pooling of 3 x 3 with a 1 x 1 convolution behind it. A
    ReLU follows each convolution, and all keep height and width.

    Args:
        in_channels: Channels of the maps.
        direct: Channels that the 1 x 1 convolution gives.
        reduced: For each side of a larger, odd kernel: the channels before it, and after it.
        pooled: Channels of the pooling's branch.

    Attributes:
        out_channels: The sum of all branches' channels.

    Source:
        Szegedy et al. (2015), "Going deeper with convolutions", arXiv 1409.4842, figure 2(b).

    Example:
        >>> block = InceptionBlock(192, 64, {3: (96, 128), 5: (16, 32)}, 32)  # GoogLeNet's 3a
        >>> block.out_channels, block(torch.zeros(1, 192, 4, 4)).shape
        (256, torch.Size([1, 256, 4, 4]))
    """

    def __init__(
        self, in_channels: int, direct: int, reduced: Mapping[int, tuple[int, int]], pooled: int
    ) -> None:
        larger = [
            nn.Sequential(*_convolution(in_channels, few, 1), *_convolution(few, many, side))
            for side, (few, many) in reduced.items()
        ]
        super().__init__(
            nn.Sequential(*_convolution(in_channels, direct, 1)),
            *larger,
            nn.Sequential(nn.MaxPool2d(3, 1, 1), *_convolution(in_channels, pooled, 1)),
        )
        self.out_channels = direct + sum(many for _, many in reduced.values()) + pooled


def _convolution(before: int, after: int, side: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(before, after, side, padding=side // 2), nn.ReLU()


class DenseConcatenation(nn.Module):
    """Layers that each see the block's input and the maps of all layers before them.

    Args:
        in_channels: Channels of the input.
        growth_rate: Channels that each layer adds.
        num_layers: Layers.
        layer: Makes a layer from its numbers of channels before and after; by default
            normalisation, ReLU and a 3 x 3 convolution.

    Attributes:
        out_channels: ``in_channels + num_layers * growth_rate``; the input comes first.

    Source:
        Huang, Liu, van der Maaten, Weinberger (2017), "Densely connected convolutional networks",
        arXiv 1608.06993, section 3, equation 2.

    Example:
        >>> block = DenseConcatenation(16, 12, 3)
        >>> block.out_channels, block(torch.zeros(2, 16, 5, 5)).shape
        (52, torch.Size([2, 52, 5, 5]))
    """

    def __init__(
        self,
        in_channels: int,
        growth_rate: int,
        num_layers: int,
        layer: Callable[[int, int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        make = _normalised_convolution if layer is None else layer
        self.layers = nn.ModuleList(
            make(in_channels + number * growth_rate, growth_rate) for number in range(num_layers)
        )
        self.out_channels = in_channels + num_layers * growth_rate

    def forward(self, maps: Tensor) -> Tensor:
        """The input and all layers' maps."""
        for layer in self.layers:
            maps = torch.cat([maps, layer(maps)], dim=1)
        return maps


def _normalised_convolution(before: int, after: int) -> nn.Module:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return nn.Sequential(nn.BatchNorm2d(before), nn.ReLU(), convolution)


class Residual(nn.Module):
    """What a network gives, added to what it was given: ``y = F(x) + x``.

    Args:
        body: F; it learns the difference, and where it gives 0 the output is the input.
        shortcut: What the input passes on its way, for another shape; None leaves it as it is.

    Source:
        He, Zhang, Ren, Sun (2016), "Deep residual learning for image recognition",
        arXiv 1512.03385, equations 1 and 2.

    Example:
        >>> Residual(nn.Threshold(10.0, 0.0))(torch.tensor([1.0, 2.0]))
        tensor([1., 2.])
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, inputs: Tensor) -> Tensor:
        """The sum."""
        output: Tensor = self.body(inputs) + self.shortcut(inputs)
        return output
