"""LeNet-5: the network that read digits on cheques.

Variants: width (1 is the published one). As in the paper there are trainable subsampling, a
partial connection of the second convolution by the paper's table I, and the scaled hyperbolic
tangent. Departures: ten linear outputs in place of the units that measure distances to drawn
characters; subsampling takes the mean of four places where the paper takes their sum, so its
coefficients are four times the paper's; images larger than 32 x 32 pixels are taken too, by the
mean over places behind the last convolution.

Source:
    LeCun, Bottou, Bengio, Haffner (1998), "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE 86(11), section II.B and appendix A.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from glial.models.image import ImageModelSettings, ImageNetwork, Scaling

# Table I: the maps of S2 that each map of C3 sees.
SEEN = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)


class LeNetSettings(ImageModelSettings):
    """LeNet-5 of LeCun et al.

    Attributes:
        name: Always ``lenet5``.

    Example:
        >>> import torch
        >>> network = LeNetSettings().build()
        >>> network(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 10])
    """

    description: ClassVar[str] = "LeNet-5 of 1998, with its partial connections and subsampling"
    source: ClassVar[str] = "LeCun, Bottou, Bengio, Haffner (1998), Proceedings of the IEEE 86(11)"
    input_size: ClassVar[tuple[int, int, int]] = (1, 32, 32)
    normalization: ClassVar[Scaling] = "standard"
    num_classes: ClassVar[int] = 10

    name: Literal["lenet5"] = "lenet5"

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network for images of some channels."""
        return LeNet5(self, image[0], num_outputs)


class ScaledTanh(nn.Module):
    """The squashing function ``1.7159 tanh(2x / 3)``: about 1 at 1 and -1 at -1.

    Source:
        LeCun et al. (1998), equation (6) and appendix A.

    Example:
        >>> round(ScaledTanh()(torch.tensor(1.0)).item(), 4)
        1.0
    """

    def forward(self, inputs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The function of each number."""
        return 1.7159 * torch.tanh(inputs * (2 / 3))


class Subsampling(nn.Module):
    """The mean of each 2 x 2 places, times a coefficient and plus a bias, one of each a map.

    Args:
        channels: Maps.

    Source:
        LeCun et al. (1998), section II.B, layers S2 and S4.

    Example:
        >>> Subsampling(6)(torch.zeros(1, 6, 28, 28)).shape
        torch.Size([1, 6, 14, 14])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        _draw(self.weight, torch.ones(channels))
        _draw(self.bias, torch.ones(channels))

    def forward(
        self, maps: Float[Tensor, "row map height width"]
    ) -> Float[Tensor, "row map high wide"]:
        """Maps of half the height and width."""
        means = functional.avg_pool2d(maps, 2)
        return means * self.weight[:, None, None] + self.bias[:, None, None]


class PartialConv2d(nn.Module):
    """A 5 x 5 convolution in which each map sees some of the incoming maps only.

    Args:
        seen: The incoming maps that each outgoing map sees.
        before: Incoming maps.

    Attributes:
        weight: A filter for each pair of an outgoing map and one that it sees, [pair, 5, 5].
        bias: One for each outgoing map.

    Source:
        LeCun et al. (1998), table I: so that maps have to find different features.

    Example:
        >>> layer = PartialConv2d([[0, 1], [1, 2]], 3)
        >>> layer.weight.shape, layer(torch.zeros(1, 3, 6, 6)).shape
        (torch.Size([4, 5, 5]), torch.Size([1, 2, 2, 2]))
    """

    before: Tensor
    after: Tensor

    def __init__(self, seen: Sequence[Sequence[int]], before: int) -> None:
        super().__init__()
        pairs = [(after, old) for after, maps in enumerate(seen) for old in maps]
        self.shape = (len(seen), before, 5, 5)
        self.register_buffer("after", torch.tensor([pair[0] for pair in pairs]), persistent=False)
        self.register_buffer("before", torch.tensor([pair[1] for pair in pairs]), persistent=False)
        self.weight = nn.Parameter(torch.empty(len(pairs), 5, 5))
        self.bias = nn.Parameter(torch.empty(len(seen)))
        inputs = torch.tensor([25.0 * len(maps) for maps in seen])
        _draw(self.weight, inputs[self.after, None, None])
        _draw(self.bias, inputs)

    def forward(
        self, maps: Float[Tensor, "row before height width"]
    ) -> Float[Tensor, "row after high wide"]:
        """The outgoing maps, four places less high and wide."""
        whole = self.weight.new_zeros(self.shape).index_put((self.after, self.before), self.weight)
        return functional.conv2d(maps, whole, self.bias)


def _draw(weight: Tensor, num_inputs: Tensor) -> None:
    """Uniform between -2.4 / n and 2.4 / n for n inputs of a unit: the paper's appendix A."""
    with torch.no_grad():
        weight.uniform_(-2.4, 2.4).div_(num_inputs)


class LeNet5(ImageNetwork):
    """Three convolutions with subsampling between them, a dense layer and a head.

    Parameters: ``c1.*``, ``s2.*``, ``c3.*``, ``s4.*``, ``c5.*``, ``f6.*`` and ``head.*``, a weight
    and a bias each. Images may be of any size from 32 pixels on. Widths other than 1 take whole
    multiples of 6 and 16 maps, so that table I stays what it is.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Example:
        >>> network = LeNet5(LeNetSettings(), 1, 10)
        >>> sum(parameter.numel() for parameter in network.parameters()), network.num_features
        (60850, 84)
    """

    head_name = "head"
    groups = (("c1", "s2"), ("c3", "s4"), ("c5",), ("f6",), ("head",))

    def __init__(self, settings: LeNetSettings, channels: int, num_outputs: int) -> None:
        super().__init__()
        first, second = settings.scaled(6, 6), settings.scaled(16, 16)
        third, fourth = settings.scaled(120), settings.scaled(84)
        wider, more = first // 6, second // 16
        seen = [
            [old * wider + copy for old in SEEN[new // more] for copy in range(wider)]
            for new in range(second)
        ]
        self.squash = ScaledTanh()
        self.c1 = nn.Conv2d(channels, first, 5)
        self.s2 = Subsampling(first)
        self.c3 = PartialConv2d(seen, first)
        self.s4 = Subsampling(second)
        self.c5 = nn.Conv2d(second, third, 5)
        self.f6 = nn.Linear(third, fourth)
        self.head = nn.Linear(fourth, num_outputs)
        for layer in (self.c1, self.c5, self.f6, self.head):
            inputs = torch.tensor(float(layer.weight[0].numel()))
            for parameter in layer.parameters():
                _draw(parameter, inputs)

    def features(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature high wide"]:
        """Maps of the last convolution; one place of an image of 32 x 32 pixels."""
        maps = images
        for layer in (self.c1, self.s2, self.c3, self.s4, self.c5):
            maps = self.squash(layer(maps))
        return maps

    def embed(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature"]:
        """What the dense layer gives for the mean over places."""
        hidden: Tensor = self.squash(self.f6(super().embed(images)))
        return hidden
