"""Inception v3: branches of small and of one-sided kernels, and one auxiliary head in training.

Source:
    Szegedy, Vanhoucke, Ioffe, Shlens, Wojna (2016), "Rethinking the Inception architecture for
    computer vision", arXiv 1512.00567.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.models.image import ImageModelSettings, Scaling
from glial.models.inception import AuxiliaryNetwork, Branches, Conv, ConvNorm, Step


class InceptionV3Settings(ImageModelSettings):
    """Inception v3, as torchvision's ``inception_v3``, whose weights it takes.

    Attributes:
        auxiliary: Whether it has the auxiliary head; without it it is the same network in
            evaluation.
        dropout: Share of the features dropped in training before the head.

    Source:
        arXiv 1512.00567, section 6 and table 1.

    Example:
        >>> import torch
        >>> network = InceptionV3Settings(width=0.125).build(0, 5, images=[[3, 75, 75]]).eval()
        >>> network(torch.zeros(2, 3, 75, 75)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "blocks of small and one-sided convolutions side by side"
    source: ClassVar[str] = "Szegedy et al. (2016), arXiv 1512.00567"
    input_size: ClassVar[tuple[int, int, int]] = (3, 299, 299)
    min_side: ClassVar[int] = 75
    normalization: ClassVar[Scaling] = "signed"

    name: Literal["inception_v3"] = "inception_v3"
    auxiliary: bool = True
    dropout: float = Field(default=0.5, ge=0, lt=1)

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network of images of one size."""
        return InceptionV3(self, image[0], num_outputs)


class InceptionV3(AuxiliaryNetwork):
    """Five convolutions, eleven blocks of branches, the mean over all places, and a head.

    Parameters: ``Conv2d_1a_3x3.conv.weight``, ``Conv2d_1a_3x3.bn.*``, ``Mixed_5b.branch1x1.*``,
    ``Mixed_5b.branch5x5_1.*`` and so on, ``AuxLogits.*``, ``fc.weight`` and ``fc.bias``. The
    auxiliary head sees maps of fewer than 17 x 17 places, which it was not made for, as means over
    5 x 5 parts.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Source:
        arXiv 1512.00567, table 1 and figures 5 to 7 and 10.

    Example:
        >>> import torch
        >>> network = InceptionV3(InceptionV3Settings(width=0.125), 3, 5)
        >>> network.features(torch.zeros(2, 3, 107, 75)).shape, network.num_features
        (torch.Size([2, 256, 2, 1]), 256)
    """

    head_name: ClassVar[str] = "fc"
    auxiliary_names: ClassVar[tuple[str, ...]] = ("AuxLogits",)
    auxiliary_after: ClassVar[dict[str, str]] = {"Mixed_6e": "AuxLogits"}
    auxiliary_last: ClassVar[str] = "fc"
    auxiliary_weight: ClassVar[float] = 0.4
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (
        (
            *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1"),
            *("Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2"),
        ),
        ("Mixed_5b", "Mixed_5c", "Mixed_5d"),
        ("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
        ("Mixed_7a", "Mixed_7b", "Mixed_7c"),
        ("AuxLogits", "fc"),
    )

    def __init__(self, settings: InceptionV3Settings, channels: int, num_outputs: int) -> None:
        super().__init__()
        sizes = [settings.scaled(count) for count in (32, 32, 64, 80, 192)]
        self.Conv2d_1a_3x3 = ConvNorm(channels, sizes[0], 3, 2)
        self.Conv2d_2a_3x3 = ConvNorm(sizes[0], sizes[1], 3, padding=0)
        self.Conv2d_2b_3x3 = ConvNorm(sizes[1], sizes[2], 3)
        self.maxpool1 = nn.MaxPool2d(3, 2)
        self.Conv2d_3b_1x1 = ConvNorm(sizes[2], sizes[3])
        self.Conv2d_4a_3x3 = ConvNorm(sizes[3], sizes[4], 3, padding=0)
        self.maxpool2 = nn.MaxPool2d(3, 2)
        self.AuxLogits: _Auxiliary | None = None
        before = sizes[4]
        for name, branches in _blocks().items():
            block = Branches(before, branches, settings.scaled, first=1)
            self.add_module(name, block)
            before = block.out_channels
            if settings.auxiliary and name in self.auxiliary_after:
                head = _Auxiliary(settings, before, num_outputs)
                setattr(self, self.auxiliary_after[name], head)
        self.dropout = nn.Dropout(settings.dropout)
        self.fc = nn.Linear(before, num_outputs)
        smaller = {"AuxLogits.conv1.conv": 0.01, "AuxLogits.fc": 0.001}
        # A narrow network's sums have fewer terms, and larger ones, to vary as the published ones.
        for name, module in self.named_modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                std = smaller.get(name, 0.1) / settings.width**0.5
                nn.init.normal_(module.weight, std=std)


def _blocks() -> dict[str, Mapping[str, Sequence[Step]]]:
    return {
        "Mixed_5b": _small(32),
        "Mixed_5c": _small(64),
        "Mixed_5d": _small(64),
        "Mixed_6a": {
            "branch3x3": [Conv(384, 3, 2)],
            "branch3x3dbl": [Conv(64), Conv(96, 3), Conv(96, 3, 2)],
            "branch_pool": [nn.MaxPool2d(3, 2)],
        },
        "Mixed_6b": _one_sided(128),
        "Mixed_6c": _one_sided(160),
        "Mixed_6d": _one_sided(160),
        "Mixed_6e": _one_sided(192),
        "Mixed_7a": {
            "branch3x3": [Conv(192), Conv(320, 3, 2)],
            "branch7x7x3": [Conv(192), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, 2)],
            "branch_pool": [nn.MaxPool2d(3, 2)],
        },
        "Mixed_7b": _wide(),
        "Mixed_7c": _wide(),
    }


def _small(pooled: int) -> dict[str, Sequence[Step]]:
    """The blocks of the paper's figure 5, but that one of its branches has a 5x5 kernel."""
    return {
        "branch1x1": [Conv(64)],
        "branch5x5": [Conv(48), Conv(64, 5)],
        "branch3x3dbl": [Conv(64), Conv(96, 3), Conv(96, 3)],
        "branch_pool": [Conv(pooled, pool=nn.AvgPool2d(3, 1, 1))],
    }


def _one_sided(inner: int) -> dict[str, Sequence[Step]]:
    """The blocks of the paper's figure 6."""
    row, column = Conv(inner, (1, 7)), Conv(inner, (7, 1))
    return {
        "branch1x1": [Conv(192)],
        "branch7x7": [Conv(inner), row, Conv(192, (7, 1))],
        "branch7x7dbl": [Conv(inner), column, row, column, Conv(192, (1, 7))],
        "branch_pool": [Conv(192, pool=nn.AvgPool2d(3, 1, 1))],
    }


def _wide() -> dict[str, Sequence[Step]]:
    """The blocks of the paper's figure 7."""
    pair = Conv(384, (1, 3)), Conv(384, (3, 1))
    return {
        "branch1x1": [Conv(320)],
        "branch3x3": [Conv(384), pair],
        "branch3x3dbl": [Conv(448), Conv(384, 3), pair],
        "branch_pool": [Conv(192, pool=nn.AvgPool2d(3, 1, 1))],
    }


class _Auxiliary(nn.Module):
    """Means over 5 x 5 parts of the maps, two convolutions, the mean over places, and a head."""

    def __init__(self, settings: InceptionV3Settings, before: int, num_outputs: int) -> None:
        super().__init__()
        inner, after = settings.scaled(128), settings.scaled(768)
        self.conv0 = ConvNorm(before, inner)
        self.conv1 = ConvNorm(inner, after, 5, padding=0)
        self.fc = nn.Linear(after, num_outputs)

    def forward(
        self, maps: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row output"]:
        if min(maps.shape[2:]) < 17:
            parts = functional.adaptive_avg_pool2d(maps, 5)
        else:
            parts = functional.avg_pool2d(maps, 5, 3)
        outputs: Tensor = self.fc(self.conv1(self.conv0(parts)).mean(dim=(2, 3)))
        return outputs
