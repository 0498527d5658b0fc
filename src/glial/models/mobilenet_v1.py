"""MobileNet: depthwise separable convolutions, for images of the size of ImageNet's.

Variants: width (the paper's multiplier), dropout before the head. Rectifiers stop at 6, as in the
weights that the authors published.

Source:
    Howard et al. (2017), "MobileNets: efficient convolutional neural networks for mobile vision
    applications", arXiv 1704.04861, table 1.
"""

from __future__ import annotations

from math import sqrt
from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.models.image import ImageModelSettings, ImageNetwork, Scaling

STEM = 32
# (channels, blocks, stride of the first of them) of each stage
STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))


class MobileNetV1Settings(ImageModelSettings):
    """The first MobileNet.

    Attributes:
        dropout: Share of the features dropped in training before the head.

    Example:
        >>> import torch
        >>> network = MobileNetV1Settings(width=0.25).build(0, 5, images=[[3, 64, 64]])
        >>> network(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "depthwise separable convolutions: small and quick"
    source: ClassVar[str] = "Howard et al. (2017), arXiv 1704.04861"
    min_side: ClassVar[int] = 32
    normalization: ClassVar[Scaling] = "signed"

    name: Literal["mobilenet_v1"] = "mobilenet_v1"
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network for images of some channels."""
        return MobileNetV1(self, image[0], num_outputs)


def start_by_groups(network: nn.Module) -> None:
    """Fill a mobile network as its TensorFlow original: normal, by what a weight's output sees.

    Weights of convolutions get the variance 2 / fan_out, where the fan-out counts the channels of
    a group only; those of linear layers the standard deviation 0.01, biases zero.

    Args:
        network: The network; it is changed in place.

    Example:
        >>> layer = nn.Conv2d(100, 100, 3, groups=100)
        >>> start_by_groups(layer)
        >>> 0.4 < layer.weight.std().item() < 0.55
        True
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=sqrt(2 / fan_out))
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)


class SeparableBlock(nn.Module):
    """A filter on each channel by itself, then a mixture of channels at each place.

    Args:
        before: Channels that come in.
        after: Channels that go out.
        stride: 2 to halve height and width.

    Source:
        Howard et al. (2017), figure 3 (right).

    Example:
        >>> import torch
        >>> SeparableBlock(4, 8, 2)(torch.zeros(1, 4, 6, 6)).shape
        torch.Size([1, 8, 3, 3])
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(before, before, 3, stride, 1, groups=before, bias=False)
        self.bn1 = nn.BatchNorm2d(before)
        self.conv_pw = nn.Conv2d(before, after, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU6(inplace=True)

    def forward(
        self, maps: Float[Tensor, "row before height width"]
    ) -> Float[Tensor, "row after high wide"]:
        """The rectified maps."""
        hidden = self.relu(self.bn1(self.conv_dw(maps)))
        output: Tensor = self.relu(self.bn2(self.conv_pw(hidden)))
        return output


class MobileNetV1(ImageNetwork):
    """A convolution, thirteen separable blocks, a mean and a head.

    Parameters have timm's names: ``conv_stem.weight``, ``bn1.*``,
    ``blocks.<stage>.<i>.conv_dw.weight``, ``.bn1.*``, ``.conv_pw.weight``, ``.bn2.*``,
    ``classifier.weight`` and ``classifier.bias``. Images may be of any size from 32 pixels on.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Example:
        >>> import torch
        >>> network = MobileNetV1(MobileNetV1Settings(width=0.125), 3, 10)
        >>> network.features(torch.zeros(1, 3, 65, 65)).shape, network.num_features
        (torch.Size([1, 128, 3, 3]), 128)
    """

    head_name = "classifier"
    groups = (
        ("conv_stem", "bn1"),
        *((f"blocks.{stage}",) for stage in range(len(STAGES))),
        ("classifier",),
    )

    def __init__(self, settings: MobileNetV1Settings, channels: int, num_outputs: int) -> None:
        super().__init__()
        before = settings.scaled(STEM)
        self.conv_stem = nn.Conv2d(channels, before, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(before)
        self.relu = nn.ReLU6(inplace=True)
        self.blocks = nn.Sequential()
        for published, count, stride in STAGES:
            after = settings.scaled(published)
            stage = nn.Sequential(SeparableBlock(before, after, stride))
            stage.extend(SeparableBlock(after, after, 1) for _ in range(count - 1))
            self.blocks.append(stage)
            before = after
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(before, num_outputs)
        start_by_groups(self)

    def features(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature high wide"]:
        """Maps of the last stage, a 32nd of the image high and wide."""
        maps: Tensor = self.blocks(self.relu(self.bn1(self.conv_stem(images))))
        return maps

    def forward(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row output"]:
        """The head's output for each image."""
        output: Tensor = self.classifier(self.dropout(self.embed(images)))
        return output
