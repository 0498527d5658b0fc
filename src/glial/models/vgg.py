"""VGG: 8 to 16 convolutions of 3 x 3 and three dense layers.

Variants: depth, with or without batch normalisation after each convolution, dropout, width.

Source:
    Simonyan, Zisserman (2015), "Very deep convolutional networks for large-scale image
    recognition", arXiv 1409.1556, table 1 (columns A, B, D, E). The paper has no batch
    normalisation; the variants with it are torchvision's.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from glial.models.alexnet import SequentialNetwork
from glial.models.image import ImageModelSettings

CHANNELS = (64, 128, 256, 512, 512)
HIDDEN = 4096
SIDE = 7
CONVOLUTIONS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}


class VGGSettings(ImageModelSettings):
    """A network of Simonyan and Zisserman.

    Attributes:
        name: The variant; the number counts convolutions and dense layers, ``_bn`` is with batch
            normalisation.
        dropout: Share of the hidden dense layers' outputs dropped in training.

    Example:
        >>> import torch
        >>> network = VGGSettings(name="vgg11", width=0.125).build(0, 5, images=[[3, 32, 32]])
        >>> network(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "VGG: 3 x 3 convolutions one behind another, three dense layers"
    source: ClassVar[str] = "Simonyan, Zisserman (2015), arXiv 1409.1556"

    name: Literal[
        "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"
    ] = "vgg16"
    dropout: float = Field(default=0.5, ge=0, lt=1)

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network for images of some channels."""
        return VGG(self, image[0], num_outputs)


class VGG(SequentialNetwork):
    """Five stages of convolutions that each end in a pooling, and three dense layers.

    Parameters have torchvision's names: ``features.<i>.*`` and ``classifier.<0, 3, 6>.*``. Images
    may be of any size from 32 pixels on.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Example:
        >>> import torch
        >>> network = VGG(VGGSettings(name="vgg11", width=0.125), 3, 10)
        >>> network.features(torch.zeros(1, 3, 64, 64)).shape, network.num_features
        (torch.Size([1, 64, 2, 2]), 512)
    """

    def __init__(self, settings: VGGSettings, channels: int, num_outputs: int) -> None:
        super().__init__()
        depth, _, normed = settings.name.partition("_")
        hidden = settings.scaled(HIDDEN)
        self.features = nn.Sequential()
        before = channels
        for width, count in zip(map(settings.scaled, CHANNELS), CONVOLUTIONS[depth], strict=True):
            for _ in range(count):
                self.features.append(nn.Conv2d(before, width, 3, 1, 1))
                if normed:
                    self.features.append(nn.BatchNorm2d(width))
                self.features.append(nn.ReLU(inplace=True))
                before = width
            self.features.append(nn.MaxPool2d(2))
        self.avgpool = nn.AdaptiveAvgPool2d(SIDE)
        self.classifier = nn.Sequential(
            nn.Linear(before * SIDE**2, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, num_outputs),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
