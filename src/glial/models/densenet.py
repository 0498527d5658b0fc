"""DenseNet: every layer sees the maps of all layers before it in its block.

Variants: 121, 169 and 201 layers, dropout.

Source:
    Huang, Liu, van der Maaten, Weinberger (2017), "Densely connected convolutional networks",
    arXiv 1608.06993.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.models.image import ImageModelSettings, ImageNetwork
from glial.nn.batch_norm import BatchNorm2d

# Layers of each block: table 1 of the paper.
DEPTHS = {
    "densenet121": (6, 12, 24, 16),
    "densenet169": (6, 12, 32, 32),
    "densenet201": (6, 12, 48, 32),
}
GROWTH = 32
BOTTLENECK = 4
OLD_KEYS = re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.(?=[12]\.)")


class DenseNetSettings(ImageModelSettings):
    """DenseNet-BC of growth rate 32, as torchvision's of the same names, whose weights it takes.

    Attributes:
        name: Number of layers with weights.
        dropout: Share dropped in training of what each dense layer adds; the paper takes 0.2 where
            images are not varied.

    Source:
        arXiv 1608.06993, section 3 and table 1.

    Example:
        >>> network = DenseNetSettings(width=0.125).build(0, 5, images=[[3, 32, 32]]).eval()
        >>> network(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "every layer sees the maps of all layers before it"
    source: ClassVar[str] = "Huang et al. (2017), arXiv 1608.06993"
    min_side: ClassVar[int] = 29

    name: Literal["densenet121", "densenet169", "densenet201"] = "densenet121"
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network of images of one size."""
        return DenseNet(self, image[0], num_outputs)

    def converted(self, state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
        """Published weights in today's names: ``norm.1`` becomes ``norm1``, and so on.

        Args:
            state: Tensors by the names of either time.
            network: Whom they are for.

        Example:
            >>> state = {"features.denseblock1.denselayer1.norm.1.bias": torch.zeros(1)}
            >>> list(DenseNetSettings().converted(state, nn.Identity()))
            ['features.denseblock1.denselayer1.norm1.bias']
        """
        return {OLD_KEYS.sub(r"\1", name): value for name, value in state.items()}


class DenseNet(ImageNetwork):
    """A stem, four dense blocks with transitions between, the mean over all places, and a head.

    Parameters: ``features.conv0.weight``, ``features.norm0.*``,
    ``features.denseblock<i>.denselayer<j>.norm1.*`` and so on, ``features.transition<i>.norm.*``
    and ``features.transition<i>.conv.weight``, ``features.norm5.*``, ``classifier.*``.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Source:
        arXiv 1608.06993, table 1.

    Example:
        >>> network = DenseNet(DenseNetSettings(width=0.125), 3, 5)
        >>> network.features(torch.zeros(2, 3, 64, 64)).shape, network.num_features
        (torch.Size([2, 255, 2, 2]), 255)
    """

    head_name: ClassVar[str] = "classifier"
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("features.conv0", "features.norm0"),
        ("features.denseblock1", "features.transition1"),
        ("features.denseblock2", "features.transition2"),
        ("features.denseblock3", "features.transition3"),
        ("features.denseblock4", "features.norm5"),
        ("classifier",),
    )

    def __init__(self, settings: DenseNetSettings, channels: int, num_outputs: int) -> None:
        super().__init__()
        growth, before = settings.scaled(GROWTH), settings.scaled(2 * GROWTH)
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(channels, before, 7, 2, 3, bias=False),
            norm0=BatchNorm2d(before),
            relu0=nn.ReLU(inplace=True),
            pool0=nn.MaxPool2d(3, 2, 1),
        )
        for number, depth in enumerate(DEPTHS[settings.name], 1):
            if number > 1:
                layers[f"transition{number - 1}"] = _transition(before, before // 2)
                before //= 2
            layers[f"denseblock{number}"] = _Block(before, growth, depth, settings.dropout)
            before += depth * growth
        layers["norm5"] = BatchNorm2d(before)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(before, num_outputs)
        nn.init.zeros_(self.classifier.bias)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def embed(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature"]:
        """The mean over all places of the rectified maps."""
        maps: Tensor = self.features(images)
        return maps.relu_().mean(dim=(2, 3))


def _transition(before: int, after: int) -> nn.Sequential:
    """Fewer channels, of half the height and width."""
    return nn.Sequential(
        OrderedDict(
            norm=BatchNorm2d(before),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(before, after, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )


class _Block(nn.Sequential):
    """Dense layers: each adds channels to what it was given."""

    def __init__(self, before: int, growth: int, depth: int, dropout: float) -> None:
        layers = {
            f"denselayer{number + 1}": _Layer(before + number * growth, growth, dropout)
            for number in range(depth)
        }
        super().__init__(OrderedDict(layers))


class _Layer(nn.Module):
    """A 1x1 convolution to few channels and a 3x3 convolution, each behind a normalisation."""

    def __init__(self, before: int, growth: int, dropout: float) -> None:
        super().__init__()
        inner = BOTTLENECK * growth
        self.norm1 = BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, inner, 1, bias=False)
        self.norm2 = BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, growth, 3, 1, 1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, maps: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row more height width"]:
        """The maps, with new channels behind them."""
        hidden = self.conv1(self.norm1(maps).relu_())
        new = self.dropout(self.conv2(self.norm2(hidden).relu_()))
        return torch.cat([maps, new], dim=1)
