"""Attention of convolutional networks: over channels, and over places."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Maps = Float[Tensor, "row channel height width"]


class SqueezeExcitation(nn.Module):
    """Each channel times a factor that hangs on the means of all channels.

    Args:
        channels: Channels of the maps.
        squeeze: Units of the hidden layer, fewer than the channels.
        activation: Makes what stands behind the hidden layer.
        gate: Makes what turns the second layer's numbers into factors.

    Source:
        Hu, Shen, Sun (2018), "Squeeze-and-excitation networks", arXiv 1709.01507, section 3;
        with ``nn.Hardsigmoid`` as the gate: Howard et al. (2019), "Searching for MobileNetV3",
        arXiv 1905.02244, section 5.3.

    Example:
        >>> layer = SqueezeExcitation(8, 2)
        >>> layer(torch.ones(1, 8, 5, 5)).shape, layer.fc1.weight.shape
        (torch.Size([1, 8, 5, 5]), torch.Size([2, 8, 1, 1]))
    """

    def __init__(
        self,
        channels: int,
        squeeze: int,
        activation: Callable[[], nn.Module] = nn.ReLU,
        gate: Callable[[], nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeeze, 1)
        self.fc2 = nn.Conv2d(squeeze, channels, 1)
        self.activation = activation()
        self.gate = gate()

    def attention(self, maps: Maps) -> Float[Tensor, "row channel 1 1"]:
        """The factor of each channel; in (0, 1) with a sigmoid."""
        means = maps.mean(dim=(2, 3), keepdim=True)
        factors: Tensor = self.gate(self.fc2(self.activation(self.fc1(means))))
        return factors

    def forward(self, maps: Maps) -> Maps:
        """The maps, each times its factor."""
        return maps * self.attention(maps)


class SpatialAttention(nn.Module):
    """Each place times a factor, by the mean and the largest of its channels and its neighbours'.

    Args:
        kernel_size: Side of the convolution's kernel; odd, so that the size is kept.

    Source:
        Woo, Park, Lee, Kweon (2018), "CBAM: convolutional block attention module",
        arXiv 1807.06521, section 3, equation 3.

    Example:
        >>> layer, maps = SpatialAttention(), torch.ones(2, 8, 5, 5)
        >>> layer(maps).shape, layer.attention(maps).shape
        (torch.Size([2, 8, 5, 5]), torch.Size([2, 1, 5, 5]))
    """

    def __init__(self, kernel_size: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def attention(self, maps: Maps) -> Float[Tensor, "row 1 height width"]:
        """The factor of each place, in (0, 1)."""
        means, largest = maps.mean(dim=1, keepdim=True), maps.amax(dim=1, keepdim=True)
        return torch.sigmoid(self.conv(torch.cat([means, largest], dim=1)))

    def forward(self, maps: Maps) -> Maps:
        """The maps, each place times its factor."""
        return maps * self.attention(maps)
