"""ConvNeXt: a convolutional network built as vision transformers are.

Variants: width, stochastic depth, the first scale of what a block adds.

Source:
    Liu, Mao, Wu, Feichtenhofer, Darrell, Xie (2022), "A ConvNet for the 2020s", arXiv 2201.03545,
    section 3.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.functional import stochastic_depth
from glial.models.image import ImageModelSettings, ImageNetwork

CHANNELS = {"convnext_tiny": (96, 192, 384, 768)}
BLOCKS = {"convnext_tiny": (3, 3, 9, 3)}
EPSILON = 1e-6


class ConvNeXtSettings(ImageModelSettings):
    """A ConvNeXt.

    Attributes:
        name: The variant.
        stochastic_depth: Chance that the last block is skipped in training; it grows in equal
            steps from 0 at the first.
        layer_scale: First value of the factor that each channel a block adds is multiplied by.

    Example:
        >>> import torch
        >>> network = ConvNeXtSettings(width=0.125).build(0, 5, images=[[3, 64, 64]])
        >>> network(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "a convolutional network built as vision transformers are"
    source: ClassVar[str] = "Liu, Mao, Wu, Feichtenhofer, Darrell, Xie (2022), arXiv 2201.03545"

    name: Literal["convnext_tiny"] = "convnext_tiny"
    stochastic_depth: float = Field(default=0.1, ge=0, lt=1)
    layer_scale: float = Field(default=1e-6, gt=0)

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network for images of some channels."""
        return ConvNeXt(self, image[0], num_outputs)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each place.

    Args:
        channels: Channels of the maps.

    Example:
        >>> ChannelNorm(2)(torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1)).flatten().tolist()
        [-0.99999..., 0.99999...]
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, EPSILON)

    def forward(
        self, maps: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row channel height width"]:
        """The maps, at each place of mean 0 and variance 1 before scale and shift."""
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Permute(nn.Module):
    """The axes in another order."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, values: Tensor) -> Tensor:
        return values.permute(self.order)


class Block(nn.Module):
    """A 7 x 7 filter on each channel, two linear layers at each place, and a way past them.

    Args:
        channels: Channels that come in and go out.
        layer_scale: First value of the factors of what is added.
        rate: Chance that the block is skipped in training.

    Source:
        Liu et al. (2022), figure 4.

    Example:
        >>> Block(4, 1e-6)(torch.zeros(1, 4, 6, 6)).shape
        torch.Size([1, 4, 6, 6])
    """

    def __init__(self, channels: int, layer_scale: float, rate: float = 0.0) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            _Permute(0, 2, 3, 1),
            nn.LayerNorm(channels, EPSILON),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            _Permute(0, 3, 1, 2),
        )
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), layer_scale))
        self.rate = rate

    def forward(
        self, maps: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row channel height width"]:
        """The maps with what the block adds."""
        added: Tensor = self.layer_scale * self.block(maps)
        return maps + stochastic_depth(added, self.rate, training=self.training)


class ConvNeXt(ImageNetwork):
    """Patches of 4 x 4 pixels, four stages of blocks, a mean, a normalisation and a head.

    Parameters have torchvision's names: ``features.0.*`` for the patches, ``features.<1, 3, 5,
    7>.<i>.*`` for the blocks, ``features.<2, 4, 6>.*`` for what halves the maps between,
    ``classifier.0.*`` and ``classifier.2.*``. Images may be of any size from 32 pixels on.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Example:
        >>> network = ConvNeXt(ConvNeXtSettings(width=0.125), 3, 10)
        >>> network.features(torch.zeros(1, 3, 64, 64)).shape, network.num_features
        (torch.Size([1, 96, 2, 2]), 96)
    """

    head_name = "classifier.2"
    groups = (*((f"features.{number}",) for number in range(8)), ("classifier",))

    def __init__(self, settings: ConvNeXtSettings, channels: int, num_outputs: int) -> None:
        super().__init__()
        counts = BLOCKS[settings.name]
        before = settings.scaled(CHANNELS[settings.name][0])
        layers = nn.Sequential(
            nn.Sequential(nn.Conv2d(channels, before, 4, 4), ChannelNorm(before))
        )
        step, done = settings.stochastic_depth / (sum(counts) - 1), 0
        for stage, count in enumerate(counts):
            after = settings.scaled(CHANNELS[settings.name][stage])
            if stage:
                layers.append(nn.Sequential(ChannelNorm(before), nn.Conv2d(before, after, 2, 2)))
            numbers = range(done, done + count)
            blocks = (Block(after, settings.layer_scale, step * number) for number in numbers)
            layers.append(nn.Sequential(*blocks))
            before, done = after, done + count
        self.features = layers
        self.classifier = nn.Sequential(
            nn.LayerNorm(before, EPSILON), nn.Flatten(1), nn.Linear(before, num_outputs)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                assert isinstance(module.bias, Tensor)  # noqa: S101 - narrows the type
                nn.init.zeros_(module.bias)

    def embed(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature"]:
        """The mean over all places, normalised."""
        vectors: Tensor = self.classifier[0](super().embed(images))
        return vectors
