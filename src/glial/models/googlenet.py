"""GoogLeNet: nine blocks of branches side by side, and two auxiliary heads in training.

Source:
    Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich (2015), "Going deeper
    with convolutions", arXiv 1409.4842, table 1; batch normalisation: Ioffe and Szegedy (2015),
    arXiv 1502.03167.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.models.image import ImageModelSettings, Scaling
from glial.models.inception import AuxiliaryNetwork, Branches, Conv, ConvNorm

# Channels of table 1 of the paper: of 1x1, before 3x3, of 3x3, before 5x5, of 5x5, behind pooling.
BLOCKS = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}


class GoogLeNetSettings(ImageModelSettings):
    """GoogLeNet, also called Inception v1, with batch normalisation.

    It is the network of torchvision's ``googlenet`` and takes its weights. From the paper's it
    differs by batch normalisation behind every convolution, in place of local response
    normalisation and biases, by less dropout, and by 3x3 convolutions where the paper has 5x5
    ones: a slip of the first who wrote it so, which the published weights keep.

    Attributes:
        auxiliary: Whether it has the two auxiliary heads; without them it is the same network in
            evaluation.
        dropout: Share of the features dropped in training before the head; the paper's is 0.4.
        auxiliary_dropout: The same, of the auxiliary heads.

    Source:
        arXiv 1409.4842, section 5 and table 1.

    Example:
        >>> import torch
        >>> network = GoogLeNetSettings(width=0.125).build(0, 5, images=[[3, 32, 32]]).eval()
        >>> network(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "nine blocks of convolutions side by side, with auxiliary heads"
    source: ClassVar[str] = "Szegedy et al. (2015), arXiv 1409.4842"
    min_side: ClassVar[int] = 15
    normalization: ClassVar[Scaling] = "signed"

    name: Literal["googlenet"] = "googlenet"
    auxiliary: bool = True
    dropout: float = Field(default=0.2, ge=0, lt=1)
    auxiliary_dropout: float = Field(default=0.7, ge=0, lt=1)

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network of images of one size."""
        return GoogLeNet(self, image[0], num_outputs)


class GoogLeNet(AuxiliaryNetwork):
    """Three convolutions, nine blocks of branches, the mean over all places, and a head.

    Parameters: ``conv1.conv.weight``, ``conv1.bn.*``, ``inception3a.branch1.conv.weight`` and so
    on, ``aux1.*`` and ``aux2.*``, ``fc.weight`` and ``fc.bias``.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Source:
        arXiv 1409.4842, table 1.

    Example:
        >>> import torch
        >>> network = GoogLeNet(GoogLeNetSettings(width=0.125), 3, 5)
        >>> network.features(torch.zeros(2, 3, 64, 64)).shape, network.num_features
        (torch.Size([2, 128, 2, 2]), 128)
    """

    head_name: ClassVar[str] = "fc"
    auxiliary_names: ClassVar[tuple[str, ...]] = ("aux1", "aux2")
    auxiliary_after: ClassVar[dict[str, str]] = {"inception4a": "aux1", "inception4d": "aux2"}
    auxiliary_last: ClassVar[str] = "fc2"
    auxiliary_weight: ClassVar[float] = 0.3
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("conv1", "maxpool1", "conv2", "conv3", "maxpool2"),
        ("inception3a", "inception3b", "maxpool3"),
        ("inception4a", "inception4b", "inception4c", "inception4d", "inception4e", "maxpool4"),
        ("inception5a", "inception5b"),
        ("aux1", "aux2", "fc"),
    )

    def __init__(self, settings: GoogLeNetSettings, channels: int, num_outputs: int) -> None:
        super().__init__()
        first, second = settings.scaled(64), settings.scaled(192)
        self.conv1 = ConvNorm(channels, first, 7, 2, 3)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = ConvNorm(first, first)
        self.conv3 = ConvNorm(first, second, 3)
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.maxpool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.maxpool4 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.aux1: _Auxiliary | None = None
        self.aux2: _Auxiliary | None = None
        before = second
        for name, counts in BLOCKS.items():
            block = Branches(before, _branches(*counts), settings.scaled)
            self.add_module(name, block)
            before = block.out_channels
            if settings.auxiliary and name in self.auxiliary_after:
                head = _Auxiliary(settings, before, num_outputs)
                setattr(self, self.auxiliary_after[name], head)
        self.dropout = nn.Dropout(settings.dropout)
        self.fc = nn.Linear(before, num_outputs)
        # A narrow network's sums have fewer terms, and larger ones, to vary as the published ones.
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(module.weight, std=0.01 / settings.width**0.5)


def _branches(
    one: int, before3: int, three: int, before5: int, five: int, pooled: int
) -> dict[str, list[Conv | nn.Module]]:
    return {
        "branch1": [Conv(one)],
        "branch2": [Conv(before3), Conv(three, 3)],
        "branch3": [Conv(before5), Conv(five, 3)],
        "branch4": [nn.MaxPool2d(3, 1, 1), Conv(pooled)],
    }


class _Auxiliary(nn.Module):
    """Means over 4 x 4 parts of the maps, a convolution, a hidden layer, and a head."""

    def __init__(self, settings: GoogLeNetSettings, before: int, num_outputs: int) -> None:
        super().__init__()
        channels, hidden = settings.scaled(128), settings.scaled(1024)
        self.conv = ConvNorm(before, channels)
        self.fc1 = nn.Linear(channels * 4 * 4, hidden)
        self.fc2 = nn.Linear(hidden, num_outputs)
        self.dropout = nn.Dropout(settings.auxiliary_dropout)

    def forward(
        self, maps: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row output"]:
        parts = self.conv(functional.adaptive_avg_pool2d(maps, 4)).flatten(1)
        outputs: Tensor = self.fc2(self.dropout(functional.relu(self.fc1(parts), inplace=True)))
        return outputs
