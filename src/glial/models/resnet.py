"""Residual networks of 18 to 152 layers for images of the size of ImageNet's.

Variants: depth, width. From 50 layers on a block is a bottleneck of a 1 x 1, a 3 x 3 and a
1 x 1 convolution. Where it halves the maps the stride is in the 3 x 3 convolution, as in
torchvision and the networks called "v1.5"; the paper has it in the first 1 x 1 convolution, which
leaves three of four places unseen. Shortcuts that change the shape are a 1 x 1 convolution and a
normalisation (option B of the paper).

Source:
    He, Zhang, Ren, Sun (2016), "Deep residual learning for image recognition", arXiv 1512.03385,
    table 1; the stride: Goyal et al. (2017), "Accurate, large minibatch SGD", arXiv 1706.02677,
    section 5.1.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from glial.models.image import ImageModelSettings, ImageNetwork

CHANNELS = (64, 128, 256, 512)
EXPANSION = 4
BLOCKS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
WITH_BOTTLENECKS = ("resnet50", "resnet101", "resnet152")


class ResNetSettings(ImageModelSettings):
    """A residual network of He et al.

    Attributes:
        name: The variant; the number counts convolutions and the head.

    Example:
        >>> import torch
        >>> network = ResNetSettings(name="resnet18", width=0.125).build(0, 5, images=[[3, 64, 64]])
        >>> network(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "residual networks of 18 to 152 layers, the common measure"
    source: ClassVar[str] = "He, Zhang, Ren, Sun (2016), arXiv 1512.03385"
    min_side: ClassVar[int] = 32

    name: Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"] = "resnet18"

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network for images of some channels."""
        return ResNet(self, image[0], num_outputs)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions, and a way past them.

    Args:
        before: Channels that come in.
        channels: Channels that go out.
        stride: 2 to halve height and width.

    Source:
        He et al. (2016), figure 5 (left).

    Example:
        >>> import torch
        >>> BasicBlock(4, 8, 2)(torch.zeros(1, 4, 6, 6)).shape
        torch.Size([1, 8, 3, 3])
    """

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(before, channels, stride)

    def forward(
        self, maps: Float[Tensor, "row before height width"]
    ) -> Float[Tensor, "row after high wide"]:
        """The rectified sum of what the convolutions give and what came in."""
        hidden = self.relu(self.bn1(self.conv1(maps)))
        hidden = self.bn2(self.conv2(hidden))
        output: Tensor = self.relu(hidden + _past(self.downsample, maps))
        return output


class Bottleneck(nn.Module):
    """A 1 x 1 convolution to few channels, a 3 x 3, a 1 x 1 to four times as many, and a way past.

    Args:
        before: Channels that come in.
        channels: Channels of the 3 x 3 convolution; four times as many go out.
        stride: 2 to halve height and width.

    Source:
        He et al. (2016), figure 5 (right).

    Example:
        >>> import torch
        >>> Bottleneck(4, 8, 2)(torch.zeros(1, 4, 6, 6)).shape
        torch.Size([1, 32, 3, 3])
    """

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        after = channels * EXPANSION
        self.conv1 = nn.Conv2d(before, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(before, after, stride)

    def forward(
        self, maps: Float[Tensor, "row before height width"]
    ) -> Float[Tensor, "row after high wide"]:
        """The rectified sum of what the convolutions give and what came in."""
        hidden = self.relu(self.bn1(self.conv1(maps)))
        hidden = self.relu(self.bn2(self.conv2(hidden)))
        hidden = self.bn3(self.conv3(hidden))
        output: Tensor = self.relu(hidden + _past(self.downsample, maps))
        return output


def _shortcut(before: int, after: int, stride: int) -> nn.Sequential | None:
    if before == after and stride == 1:
        return None
    return nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))


def _past(downsample: nn.Module | None, maps: Tensor) -> Tensor:
    if downsample is None:
        return maps
    output: Tensor = downsample(maps)
    return output


class ResNet(ImageNetwork):
    """A stem that quarters the image, four stages of residual blocks, a mean and a head.

    Parameters have torchvision's names: ``conv1.weight``, ``bn1.*``,
    ``layer<1-4>.<i>.conv<j>.weight``, ``layer<1-4>.<i>.bn<j>.*``, ``layer<1-4>.0.downsample.*``,
    ``fc.weight`` and ``fc.bias``. Images may be of any size from 32 pixels on; there the last maps
    are one place, and batches in training need two rows.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Example:
        >>> import torch
        >>> network = ResNet(ResNetSettings(width=0.125), 3, 10)
        >>> network.features(torch.zeros(1, 3, 65, 65)).shape, network.num_features
        (torch.Size([1, 64, 3, 3]), 64)
    """

    head_name = "fc"
    groups = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",), ("fc",))

    def __init__(self, settings: ResNetSettings, channels: int, num_outputs: int) -> None:
        super().__init__()
        widths = [settings.scaled(width) for width in CHANNELS]
        self.conv1 = nn.Conv2d(channels, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        bottlenecks = settings.name in WITH_BOTTLENECKS
        block = Bottleneck if bottlenecks else BasicBlock
        stages: list[nn.Sequential] = []
        before = widths[0]
        for stage, (width, count) in enumerate(zip(widths, BLOCKS[settings.name], strict=True)):
            after = width * (EXPANSION if bottlenecks else 1)
            blocks = [block(before, width, 1 if stage == 0 else 2)]
            blocks += [block(after, width, 1) for _ in range(count - 1)]
            stages.append(nn.Sequential(*blocks))
            before = after
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = nn.Linear(before, num_outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature high wide"]:
        """Maps of the last stage, a 32nd of the image high and wide."""
        maps: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps = stage(maps)
        return maps
