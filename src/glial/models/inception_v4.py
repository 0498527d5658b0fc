"""Inception v4: a stem of branches and fourteen blocks of them, all of one plan.

Source:
    Szegedy, Ioffe, Vanhoucke, Alemi (2017), "Inception-v4, Inception-ResNet and the impact of
    residual connections on learning", arXiv 1602.07261.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.models.image import ImageModelSettings, ImageNetwork, Scaling
from glial.models.inception import Branches, Conv, ConvNorm, Step


class InceptionV4Settings(ImageModelSettings):
    """Inception v4, as timm's ``inception_v4``, whose weights it takes.

    Attributes:
        dropout: Share of the features dropped in training before the head.

    Source:
        arXiv 1602.07261, section 3.1.

    Example:
        >>> import torch
        >>> network = InceptionV4Settings(width=0.125).build(0, 5, images=[[3, 75, 75]]).eval()
        >>> network(torch.zeros(2, 3, 75, 75)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "a deep stack of uniform blocks of convolutions side by side"
    source: ClassVar[str] = "Szegedy et al. (2017), arXiv 1602.07261"
    input_size: ClassVar[tuple[int, int, int]] = (3, 299, 299)
    min_side: ClassVar[int] = 75
    normalization: ClassVar[Scaling] = "signed"

    name: Literal["inception_v4"] = "inception_v4"
    dropout: float = Field(default=0.2, ge=0, lt=1)

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network of images of one size."""
        return InceptionV4(self, image[0], num_outputs)


class InceptionV4(ImageNetwork):
    """A stem, blocks A, B and C with reductions between, the mean over all places, and a head.

    Parameters: ``features.0.conv.weight``, ``features.0.bn.*``, ``features.6.branch1.0.*`` and so
    on, ``last_linear.weight`` and ``last_linear.bias``.

    Args:
        settings: The settings.
        channels: Channels of an image.
        num_outputs: Outputs.

    Source:
        arXiv 1602.07261, figures 3 to 9.

    Example:
        >>> import torch
        >>> network = InceptionV4(InceptionV4Settings(width=0.125), 3, 5)
        >>> network.features(torch.zeros(2, 3, 107, 75)).shape, network.num_features
        (torch.Size([2, 192, 2, 1]), 192)
    """

    head_name: ClassVar[str] = "last_linear"
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (
        *(
            tuple(f"features.{number}" for number in numbers)
            for numbers in (range(6), range(6, 11), range(11, 19), range(19, 22))
        ),
        ("last_linear",),
    )

    def __init__(self, settings: InceptionV4Settings, channels: int, num_outputs: int) -> None:
        super().__init__()
        first, second = settings.scaled(32), settings.scaled(64)
        layers: list[nn.Module] = [
            ConvNorm(channels, first, 3, 2),
            ConvNorm(first, first, 3, padding=0),
            ConvNorm(first, second, 3),
        ]
        before = second
        for branches in _blocks():
            block = Branches(before, branches, settings.scaled)
            layers.append(block)
            before = block.out_channels
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(settings.dropout)
        self.last_linear = nn.Linear(before, num_outputs)

    def forward(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row output"]:
        """The head's output for each image."""
        outputs: Tensor = self.last_linear(self.dropout(self.embed(images)))
        return outputs


def _blocks() -> list[Mapping[str, Sequence[Step]]]:
    return [
        *_stem(),
        *(_block_a() for _ in range(4)),
        {
            "branch0": [Conv(384, 3, 2)],
            "branch1": [Conv(192), Conv(224, 3), Conv(256, 3, 2)],
            "branch2": [nn.MaxPool2d(3, 2)],
        },
        *(_block_b() for _ in range(7)),
        {
            "branch0": [Conv(192), Conv(192, 3, 2)],
            "branch1": [Conv(256), Conv(256, (1, 7)), Conv(320, (7, 1)), Conv(320, 3, 2)],
            "branch2": [nn.MaxPool2d(3, 2)],
        },
        *(_block_c() for _ in range(3)),
    ]


def _stem() -> list[Mapping[str, Sequence[Step]]]:
    """The three blocks of the paper's figure 3."""
    return [
        {"maxpool": [nn.MaxPool2d(3, 2)], "conv": [Conv(96, 3, 2)]},
        {
            "branch0": [Conv(64), Conv(96, 3, padding=0)],
            "branch1": [Conv(64), Conv(64, (1, 7)), Conv(64, (7, 1)), Conv(96, 3, padding=0)],
        },
        {"conv": [Conv(192, 3, 2)], "maxpool": [nn.MaxPool2d(3, 2)]},
    ]


def _pooled(channels: int) -> list[Step]:
    return [nn.AvgPool2d(3, 1, 1, count_include_pad=False), Conv(channels)]


def _block_a() -> Mapping[str, Sequence[Step]]:
    """The blocks of the paper's figure 4."""
    return {
        "branch0": [Conv(96)],
        "branch1": [Conv(64), Conv(96, 3)],
        "branch2": [Conv(64), Conv(96, 3), Conv(96, 3)],
        "branch3": _pooled(96),
    }


def _block_b() -> Mapping[str, Sequence[Step]]:
    """The blocks of the paper's figure 5."""
    row, column = (1, 7), (7, 1)
    return {
        "branch0": [Conv(384)],
        "branch1": [Conv(192), Conv(224, row), Conv(256, column)],
        "branch2": [
            Conv(192),
            Conv(192, column),
            Conv(224, row),
            Conv(224, column),
            Conv(256, row),
        ],
        "branch3": _pooled(128),
    }


def _block_c() -> Mapping[str, Sequence[Step]]:
    """The blocks of the paper's figure 6."""
    pair = Conv(256, (1, 3)), Conv(256, (3, 1))
    return {
        "branch0": [Conv(256)],
        "branch1": [Conv(384), pair],
        "branch2": [Conv(384), Conv(448, (3, 1)), Conv(512, (1, 3)), pair],
        "branch3": _pooled(256),
    }
