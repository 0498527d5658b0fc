"""Residual networks of 20 to 110 layers for images of 32 x 32 pixels.

Variants: depth, with or without skips (without them it is the paper's plain network), width.
Where the maps are halved, the shortcut takes every second place and adds channels of zeros behind
its own (option A of the paper), so that shortcuts have no parameters.

Source:
    He, Zhang, Ren, Sun (2016), "Deep residual learning for image recognition", arXiv 1512.03385,
    section 4.2.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from glial.models.image import ImageModelSettings, ImageNetwork, Scaling
from glial.nn.initialization import initialize

CHANNELS = (16, 32, 64)
DEPTHS = {
    "resnet20_cifar": 20,
    "resnet32_cifar": 32,
    "resnet44_cifar": 44,
    "resnet56_cifar": 56,
    "resnet110_cifar": 110,
}


class CifarResNetSettings(ImageModelSettings):
    """A residual network of He et al. for small images.

    Attributes:
        name: The variant; the number counts convolutions and the head.
        skip: Whether there are shortcuts; without them it is the plain network that they are
            measured against.

    Example:
        >>> import torch
        >>> network = CifarResNetSettings().build()
        >>> network(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    description: ClassVar[str] = "residual networks of 20 to 110 layers for small images"
    source: ClassVar[str] = "He, Zhang, Ren, Sun (2016), arXiv 1512.03385, section 4.2"
    input_size: ClassVar[tuple[int, int, int]] = (3, 32, 32)
    min_side: ClassVar[int] = 5  # At 4 the last maps are one place: no variance in one row.
    normalization: ClassVar[Scaling] = "standard"
    num_classes: ClassVar[int] = 10

    name: Literal[
        "resnet20_cifar", "resnet32_cifar", "resnet44_cifar", "resnet56_cifar", "resnet110_cifar"
    ] = "resnet20_cifar"
    skip: bool = True

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network for images of some channels."""
        return CifarResNet(self, image[0], num_outputs)


class CifarBlock(nn.Module):
    """Two 3 x 3 convolutions, and a way past them that has no parameters.

    Args:
        before: Channels that come in.
        after: Channels that go out, at least as many.
        stride: 2 to halve height and width.
        skip: Whether there is a way past.

    Source:
        He et al. (2016), section 4.2 and option A of section 4.1.

    Example:
        >>> import torch
        >>> CifarBlock(4, 8, 2)(torch.zeros(1, 4, 6, 6)).shape
        torch.Size([1, 8, 3, 3])
    """

    def __init__(self, before: int, after: int, stride: int = 1, skip: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.stride = stride
        self.more = after - before
        self.skip = skip

    def forward(
        self, maps: Float[Tensor, "row before height width"]
    ) -> Float[Tensor, "row after high wide"]:
        """What the convolutions give, with what came in added if there is a skip, rectified."""
        hidden = self.relu(self.bn1(self.conv1(maps)))
        hidden = self.bn2(self.conv2(hidden))
        if self.skip:
            hidden = hidden + self.shortcut(maps)
        output: Tensor = self.relu(hidden)
        return output

    def shortcut(
        self, maps: Float[Tensor, "row before height width"]
    ) -> Float[Tensor, "row after high wide"]:
        """What came in, at every `stride`-th place and with channels of zeros behind."""
        if self.stride > 1:
            maps = maps[:, :, :: self.stride, :: self.stride]
        return functional.pad(maps, (0, 0, 0, 0, 0, self.more)) if self.more else maps


class CifarResNet(ImageNetwork):
    """A 3 x 3 convolution, three stages of residual blocks, the mean over all places and a head.

    Parameters: ``conv1.weight``, ``bn1.*``, ``layer<1-3>.<i>.conv<1-2>.weight``,
    ``layer<1-3>.<i>.bn<1-2>.*``, ``fc.weight`` and ``fc.bias``. Images may be of any size from 5
    pixels on.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Example:
        >>> import torch
        >>> network = CifarResNet(CifarResNetSettings(), 1, 10)
        >>> network.features(torch.zeros(1, 1, 28, 28)).shape, network.num_features
        (torch.Size([1, 64, 7, 7]), 64)
    """

    head_name = "fc"
    groups = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("fc",))

    def __init__(self, settings: CifarResNetSettings, channels: int, num_outputs: int) -> None:
        super().__init__()
        widths = [settings.scaled(width) for width in CHANNELS]
        count = (DEPTHS[settings.name] - 2) // 6
        self.conv1 = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        stages: list[nn.Sequential] = []
        before = widths[0]
        for stage, width in enumerate(widths):
            blocks = [CifarBlock(before, width, 1 if stage == 0 else 2, settings.skip)]
            blocks += [CifarBlock(width, width, skip=settings.skip) for _ in range(count - 1)]
            stages.append(nn.Sequential(*blocks))
            before = width
        self.layer1, self.layer2, self.layer3 = stages
        self.fc = nn.Linear(before, num_outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                initialize("he_normal", module.weight)

    def features(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature high wide"]:
        """Maps of the last stage, a quarter of the image high and wide."""
        maps: Tensor = self.relu(self.bn1(self.conv1(images)))
        for stage in (self.layer1, self.layer2, self.layer3):
            maps = stage(maps)
        return maps
