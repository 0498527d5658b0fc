"""MobileNetV2: inverted residual blocks with linear ends, for images of the size of ImageNet's.

Variants: width (the paper's multiplier, here on the last convolution too), dropout before the
head.

Source:
    Sandler, Howard, Zhu, Zhmoginov, Chen (2018), "MobileNetV2: inverted residuals and linear
    bottlenecks", arXiv 1801.04381, table 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.models.image import ImageModelSettings, ImageNetwork

STEM, LAST = 32, 1280
# (expansion, channels, blocks, stride of the first of them) of each stage
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2Settings(ImageModelSettings):
    """The second MobileNet.

    Attributes:
        dropout: Share of the features dropped in training before the head.

    Example:
        >>> import torch
        >>> network = MobileNetV2Settings(width=0.25).build(0, 5, images=[[3, 64, 64]])
        >>> network(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "inverted residual blocks with linear ends: small and quick"
    source: ClassVar[str] = "Sandler, Howard, Zhu, Zhmoginov, Chen (2018), arXiv 1801.04381"
    min_side: ClassVar[int] = 32

    name: Literal["mobilenet_v2"] = "mobilenet_v2"
    dropout: float = Field(default=0.2, ge=0, lt=1)

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network for images of some channels."""
        return MobileNetV2(self, image[0], num_outputs)


def normed_convolution(
    before: int,
    after: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    groups: int = 1,
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    activation: nn.Module | None = None,
) -> nn.Sequential:
    """A padded convolution without bias, a normalisation and, where there is one, an activation.

    Args:
        before: Channels that come in.
        after: Channels that go out.
        kernel: Side of the kernel; odd.
        stride: 2 to halve height and width.
        groups: Groups of channels that do not see each other.
        norm: Makes the normalisation of some channels.
        activation: The activation.

    Example:
        >>> import torch
        >>> normed_convolution(3, 8, 5, stride=2)(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 8, 4, 4])
    """
    padding = (kernel - 1) // 2
    layers = nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=False), norm(after)
    )
    return layers if activation is None else layers.append(activation)


def start_by_fan_out(network: nn.Module) -> None:
    """Fill a mobile network as torchvision's: weights normal, biases zero.

    Weights of convolutions get the variance 2 / fan_out, where the fan-out counts all channels,
    whatever the groups; those of linear layers the standard deviation 0.01.

    Args:
        network: The network; it is changed in place.

    Example:
        >>> layer = nn.Conv2d(100, 100, 3, groups=100)
        >>> start_by_fan_out(layer)
        >>> 0.04 < layer.weight.std().item() < 0.055
        True
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


class InvertedResidual(nn.Module):
    """To many channels, a filter on each of them, back to few without an activation.

    Args:
        before: Channels that come in.
        after: Channels that go out; where they are as many and the stride is 1, what came in is
            added to them.
        stride: 2 to halve height and width.
        expansion: Channels between, as a multiple of those that come in; 1 leaves the first
            convolution out.

    Source:
        Sandler et al. (2018), table 1 and figure 4 (d).

    Example:
        >>> import torch
        >>> InvertedResidual(4, 8, 2, 6)(torch.zeros(1, 4, 6, 6)).shape
        torch.Size([1, 8, 3, 3])
    """

    def __init__(self, before: int, after: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = before * expansion
        self.conv = nn.Sequential()
        if expansion > 1:
            self.conv.append(normed_convolution(before, hidden, 1, activation=nn.ReLU6(True)))
        self.conv.append(
            normed_convolution(hidden, hidden, 3, stride, groups=hidden, activation=nn.ReLU6(True))
        )
        self.conv.append(nn.Conv2d(hidden, after, 1, bias=False))
        self.conv.append(nn.BatchNorm2d(after))
        self.adds = stride == 1 and before == after

    def forward(
        self, maps: Float[Tensor, "row before height width"]
    ) -> Float[Tensor, "row after high wide"]:
        """The maps, not rectified."""
        output: Tensor = self.conv(maps)
        return maps + output if self.adds else output


class MobileNetV2(ImageNetwork):
    """A convolution, seventeen inverted residual blocks, a convolution, a mean and a head.

    Parameters have torchvision's names: ``features.<i>.*`` for the layers from the first to the
    last convolution, ``classifier.1.weight`` and ``classifier.1.bias``. Images may be of any size
    from 32 pixels on.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Example:
        >>> import torch
        >>> network = MobileNetV2(MobileNetV2Settings(width=0.125), 3, 10)
        >>> network.features(torch.zeros(1, 3, 65, 65)).shape, network.num_features
        (torch.Size([1, 160, 3, 3]), 160)
    """

    head_name = "classifier.1"
    groups = (
        *((f"features.{number}",) for number in range(2 + sum(row[2] for row in STAGES))),
        ("classifier",),
    )

    def __init__(self, settings: MobileNetV2Settings, channels: int, num_outputs: int) -> None:
        super().__init__()
        before = settings.scaled(STEM)
        layers = nn.Sequential(
            normed_convolution(channels, before, 3, 2, activation=nn.ReLU6(inplace=True))
        )
        for expansion, published, count, stride in STAGES:
            after = settings.scaled(published)
            for number in range(count):
                step = stride if number == 0 else 1
                layers.append(InvertedResidual(before, after, step, expansion))
                before = after
        last = settings.scaled(LAST)
        layers.append(normed_convolution(before, last, 1, activation=nn.ReLU6(inplace=True)))
        self.features = layers
        self.classifier = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(last, num_outputs))
        start_by_fan_out(self)

    def forward(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row output"]:
        """The head's output for each image."""
        output: Tensor = self.classifier(self.embed(images))
        return output
