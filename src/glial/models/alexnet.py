"""AlexNet: the network of 2012, and the one of a single tower that came after it.

Variants: the network, width. ``alexnet`` is the one of 2014 as torchvision has it: fewer channels,
no groups, no normalisation, dropout before the dense layers. ``alexnet_lrn`` is the network of
2012: in groups of two where its two processors did not see each other (the second, fourth and
fifth convolution), with local response normalisation after the first two convolutions, across all
channels as in Caffe.

Source:
    Krizhevsky, Sutskever, Hinton (2012), "ImageNet classification with deep convolutional neural
    networks", NIPS 25; Krizhevsky (2014), "One weird trick for parallelizing convolutional neural
    networks", arXiv 1404.5997, section 5.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.models.image import ImageModelSettings, ImageNetwork
from glial.nn.normalization import LocalResponseNorm

HIDDEN = 4096
SIDE = 6


class AlexNetSettings(ImageModelSettings):
    """AlexNet of one tower, as torchvision has it.

    Attributes:
        name: Always ``alexnet``.
        dropout: Share of the dense layers' inputs dropped in training.

    Example:
        >>> import torch
        >>> network = AlexNetSettings(width=0.125).build(0, 5, images=[[3, 64, 64]])
        >>> network(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "AlexNet of one tower: five convolutions, three dense layers"
    source: ClassVar[str] = "Krizhevsky (2014), arXiv 1404.5997"
    min_side: ClassVar[int] = 63

    name: Literal["alexnet"] = "alexnet"
    dropout: float = Field(default=0.5, ge=0, lt=1)

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network for images of some channels."""
        return AlexNet(self, image[0], num_outputs)


class AlexNetLRNSettings(ImageModelSettings):
    """AlexNet of 2012, with groups and local response normalisation.

    Attributes:
        name: Always ``alexnet_lrn``.
        dropout: Share of the dense layers' outputs dropped in training.

    Example:
        >>> import torch
        >>> network = AlexNetLRNSettings(width=0.125).build(0, 5, images=[[3, 67, 67]])
        >>> network(torch.zeros(2, 3, 67, 67)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "AlexNet of 2012: groups, and local response normalisation"
    source: ClassVar[str] = "Krizhevsky, Sutskever, Hinton (2012), NIPS 25"
    input_size: ClassVar[tuple[int, int, int]] = (3, 227, 227)
    min_side: ClassVar[int] = 67

    name: Literal["alexnet_lrn"] = "alexnet_lrn"
    dropout: float = Field(default=0.5, ge=0, lt=1)

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network for images of some channels."""
        return AlexNetLRN(self, image[0], num_outputs)


class SequentialNetwork(ImageNetwork):
    """Convolutions and poolings one behind another, a mean over a grid of cells, dense layers.

    Who derives from it gives the three parts, the last of them of seven modules.

    Attributes:
        features: Convolutions; each pooling ends a group of layers.
        avgpool: Brings the maps of any image to one size.
        classifier: Dense layers; the last is the head.

    Example:
        >>> import torch
        >>> network = AlexNetSettings(width=0.125).build(0, 5, images=[[1, 63, 63]])
        >>> network.embed(torch.zeros(1, 1, 80, 70)).shape
        torch.Size([1, 512])
    """

    head_name = "classifier.6"
    features: nn.Sequential
    avgpool: nn.AdaptiveAvgPool2d
    classifier: nn.Sequential

    def embed(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature"]:
        """What the last dense layer but the head gives."""
        hidden: Tensor = self.avgpool(self.features(images)).flatten(1)
        for layer in list(self.classifier)[:-1]:
            hidden = layer(hidden)
        return hidden

    def layer_groups(self) -> list[list[str]]:
        """The convolutions between two poolings together, and each dense layer."""
        groups: list[list[str]] = [[]]
        for name, layer in self.features.named_children():
            if isinstance(layer, nn.MaxPool2d):
                groups.append([])
            elif any(True for _ in layer.parameters()):
                groups[-1].append(f"features.{name}")
        dense = [n for n, layer in self.classifier.named_children() if isinstance(layer, nn.Linear)]
        return [group for group in groups if group] + [[f"classifier.{name}"] for name in dense]


class AlexNet(SequentialNetwork):
    """Five convolutions, three of them with a pooling behind, and three dense layers.

    Parameters have torchvision's names: ``features.<0, 3, 6, 8, 10>.*`` and
    ``classifier.<1, 4, 6>.*``. Images may be of any size from 63 pixels on.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Example:
        >>> import torch
        >>> network = AlexNet(AlexNetSettings(width=0.125), 3, 10)
        >>> network.features(torch.zeros(1, 3, 224, 224)).shape, network.num_features
        (torch.Size([1, 32, 6, 6]), 512)
    """

    def __init__(self, settings: AlexNetSettings, channels: int, num_outputs: int) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = map(settings.scaled, (64, 192, 384, 256, 256))
        hidden = settings.scaled(HIDDEN)
        self.features = nn.Sequential(
            nn.Conv2d(channels, c1, 11, 4, 2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(c1, c2, 5, 1, 2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(c2, c3, 3, 1, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c3, c4, 3, 1, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c4, c5, 3, 1, 1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(SIDE)
        self.classifier = nn.Sequential(
            nn.Dropout(settings.dropout),
            nn.Linear(c5 * SIDE**2, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, num_outputs),
        )


class AlexNetLRN(SequentialNetwork):
    """The network of 2012: groups, local response normalisation, poolings that overlap.

    Weights start normal with a deviation of 0.01; biases start at 1 in the second, fourth and
    fifth convolution and the hidden dense layers, else at 0, all as in the paper.

    Parameters: ``features.<0, 4, 8, 10, 12>.*`` and ``classifier.<0, 3, 6>.*``. Images may be of
    any size from 67 pixels on; at 227 the mean over cells changes nothing.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Source:
        Krizhevsky, Sutskever, Hinton (2012), sections 3.3 to 3.5, 4.2 and 5.

    Example:
        >>> import torch
        >>> network = AlexNetLRN(AlexNetLRNSettings(width=0.125), 3, 10)
        >>> network.features(torch.zeros(1, 3, 227, 227)).shape, network.num_features
        (torch.Size([1, 32, 6, 6]), 512)
    """

    def __init__(self, settings: AlexNetLRNSettings, channels: int, num_outputs: int) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = map(settings.scaled, (96, 256, 384, 384, 256))
        hidden = settings.scaled(HIDDEN)
        self.features = nn.Sequential(
            nn.Conv2d(channels, c1, 11, 4),
            nn.ReLU(inplace=True),
            LocalResponseNorm(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(c1, c2, 5, 1, 2, groups=2),
            nn.ReLU(inplace=True),
            LocalResponseNorm(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(c2, c3, 3, 1, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c3, c4, 3, 1, 1, groups=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(c4, c5, 3, 1, 1, groups=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(SIDE)
        self.classifier = nn.Sequential(
            nn.Linear(c5 * SIDE**2, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(settings.dropout),
            nn.Linear(hidden, num_outputs),
        )
        firing = (*(self.features[i] for i in (4, 10, 12)), self.classifier[0], self.classifier[3])
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.constant_(module.bias, float(module in firing))
