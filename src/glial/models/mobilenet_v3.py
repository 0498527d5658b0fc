"""MobileNetV3, large and small: searched inverted residual blocks, some with squeeze-excitation.

Variants: small or large, width (on every layer), dropout before the head.

Source:
    Howard et al. (2019), "Searching for MobileNetV3", arXiv 1905.02244, tables 1 and 2.
    Departure: running statistics move by a tenth of each batch's, not by a hundredth, or a
    network of a few hundred steps would be evaluated by those that it started with.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal, NamedTuple

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.models.image import ImageModelSettings, ImageNetwork
from glial.models.mobilenet_v2 import normed_convolution, start_by_fan_out
from glial.nn.map_attention import SqueezeExcitation

STEM = 16


class Bottleneck(NamedTuple):
    """A row of the paper's tables.

    Attributes:
        kernel: Side of the filters.
        expanded: Channels between.
        channels: Channels that go out.
        squeezes: Whether there is squeeze-excitation.
        hard_swish: Whether the activation is a hard swish; if not, a rectifier.
        stride: 2 to halve height and width.

    Example:
        >>> Bottleneck(3, 16, 16, False, False, 1).channels
        16
    """

    kernel: int
    expanded: int
    channels: int
    squeezes: bool
    hard_swish: bool
    stride: int


LARGE = (
    Bottleneck(3, 16, 16, False, False, 1),
    Bottleneck(3, 64, 24, False, False, 2),
    Bottleneck(3, 72, 24, False, False, 1),
    Bottleneck(5, 72, 40, True, False, 2),
    Bottleneck(5, 120, 40, True, False, 1),
    Bottleneck(5, 120, 40, True, False, 1),
    Bottleneck(3, 240, 80, False, True, 2),
    Bottleneck(3, 200, 80, False, True, 1),
    Bottleneck(3, 184, 80, False, True, 1),
    Bottleneck(3, 184, 80, False, True, 1),
    Bottleneck(3, 480, 112, True, True, 1),
    Bottleneck(3, 672, 112, True, True, 1),
    Bottleneck(5, 672, 160, True, True, 2),
    Bottleneck(5, 960, 160, True, True, 1),
    Bottleneck(5, 960, 160, True, True, 1),
)
SMALL = (
    Bottleneck(3, 16, 16, True, False, 2),
    Bottleneck(3, 72, 24, False, False, 2),
    Bottleneck(3, 88, 24, False, False, 1),
    Bottleneck(5, 96, 40, True, True, 2),
    Bottleneck(5, 240, 40, True, True, 1),
    Bottleneck(5, 240, 40, True, True, 1),
    Bottleneck(5, 120, 48, True, True, 1),
    Bottleneck(5, 144, 48, True, True, 1),
    Bottleneck(5, 288, 96, True, True, 2),
    Bottleneck(5, 576, 96, True, True, 1),
    Bottleneck(5, 576, 96, True, True, 1),
)
# The blocks, channels of the last convolution, units of the layer before the head
VARIANTS = {"mobilenet_v3_small": (SMALL, 576, 1024), "mobilenet_v3_large": (LARGE, 960, 1280)}

_norm = partial(nn.BatchNorm2d, eps=1e-3)


class MobileNetV3Settings(ImageModelSettings):
    """The third MobileNet, small or large.

    Attributes:
        name: The variant.
        dropout: Share of the features dropped in training before the head.

    Example:
        >>> import torch
        >>> network = MobileNetV3Settings(width=0.25).build(0, 5, images=[[3, 64, 64]])
        >>> network(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "searched inverted residual blocks: small and quick"
    source: ClassVar[str] = "Howard et al. (2019), arXiv 1905.02244"
    min_side: ClassVar[int] = 32

    name: Literal["mobilenet_v3_small", "mobilenet_v3_large"] = "mobilenet_v3_small"
    dropout: float = Field(default=0.2, ge=0, lt=1)

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network for images of some channels."""
        return MobileNetV3(self, image[0], num_outputs)


def squeezed(channels: int) -> int:
    """Units of the squeeze: a quarter, as a multiple of 8 that is at most a tenth less.

    Example:
        >>> squeezed(16), squeezed(72), squeezed(120), squeezed(960)
        (8, 24, 32, 240)
    """
    quarter = channels // 4
    near = max(8, (quarter + 4) // 8 * 8)
    return near if near >= 0.9 * quarter else near + 8


class Block(nn.Module):
    """An inverted residual block, with squeeze-excitation between the filters and the way back.

    Args:
        before: Channels that come in.
        expanded: Channels between.
        after: Channels that go out; where they are as many and the stride is 1, what came in is
            added to them.
        row: The kernel, the stride, the activation and whether it squeezes.
        expands: Whether there is a convolution to the channels between.

    Source:
        Howard et al. (2019), figure 4.

    Example:
        >>> import torch
        >>> Block(8, 16, 8, SMALL[4])(torch.zeros(1, 8, 6, 6)).shape
        torch.Size([1, 8, 6, 6])
    """

    def __init__(
        self, before: int, expanded: int, after: int, row: Bottleneck, *, expands: bool = True
    ) -> None:
        super().__init__()
        activation = nn.Hardswish if row.hard_swish else nn.ReLU
        convolution = partial(normed_convolution, norm=_norm)
        self.block = nn.Sequential()
        if expands:
            self.block.append(convolution(before, expanded, 1, activation=activation(inplace=True)))
        self.block.append(
            convolution(
                expanded,
                expanded,
                row.kernel,
                row.stride,
                groups=expanded,
                activation=activation(inplace=True),
            )
        )
        if row.squeezes:
            self.block.append(SqueezeExcitation(expanded, squeezed(expanded), gate=nn.Hardsigmoid))
        self.block.append(convolution(expanded, after, 1))
        self.adds = row.stride == 1 and before == after

    def forward(
        self, maps: Float[Tensor, "row before height width"]
    ) -> Float[Tensor, "row after high wide"]:
        """The maps, not rectified."""
        output: Tensor = self.block(maps)
        return maps + output if self.adds else output


class MobileNetV3(ImageNetwork):
    """A convolution, blocks, a convolution, a mean, a linear layer and a head.

    Parameters have torchvision's names: ``features.<i>.*`` for the layers from the first to the
    last convolution, ``classifier.0.*`` and ``classifier.3.*``. Images may be of any size from 32
    pixels on.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Example:
        >>> import torch
        >>> network = MobileNetV3(MobileNetV3Settings(width=0.125), 3, 10).eval()
        >>> network.features(torch.zeros(1, 3, 65, 65)).shape, network.num_features
        (torch.Size([1, 72, 3, 3]), 128)
    """

    head_name = "classifier.3"

    def __init__(self, settings: MobileNetV3Settings, channels: int, num_outputs: int) -> None:
        super().__init__()
        rows, last, units = VARIANTS[settings.name]
        published = STEM
        before = settings.scaled(STEM)
        convolution = partial(normed_convolution, norm=_norm)
        layers = nn.Sequential(
            convolution(channels, before, 3, 2, activation=nn.Hardswish(inplace=True))
        )
        for row in rows:
            expanded, after = settings.scaled(row.expanded), settings.scaled(row.channels)
            expands = row.expanded != published
            layers.append(Block(before, expanded, after, row, expands=expands))
            published, before = row.channels, after
        last = settings.scaled(last)
        layers.append(convolution(before, last, 1, activation=nn.Hardswish(inplace=True)))
        self.features = layers
        units = settings.scaled(units)
        self.classifier = nn.Sequential(
            nn.Linear(last, units),
            nn.Hardswish(inplace=True),
            nn.Dropout(settings.dropout),
            nn.Linear(units, num_outputs),
        )
        start_by_fan_out(self)

    def embed(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature"]:
        """The mean over all places, through the layer before the head."""
        layer, activation = self.classifier[0], self.classifier[1]
        vectors: Tensor = activation(layer(super().embed(images)))
        return vectors

    def forward(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row output"]:
        """The head's output for each image."""
        dropout, head = self.classifier[2], self.classifier[3]
        output: Tensor = head(dropout(self.embed(images)))
        return output

    def layer_groups(self) -> list[list[str]]:
        """The first convolution, each block, the last convolution, the two last layers."""
        layers = self.get_submodule("features").named_children()
        return [*([f"features.{number}"] for number, _ in layers), ["classifier"]]
