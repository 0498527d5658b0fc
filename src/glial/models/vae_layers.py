"""Encoders and decoders of networks that keep rows as short codes: dense, and of maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.nn.activations import activation

BodyName = Literal["auto", "dense", "convolutional"]
CONV_SIDE, LEAST_SIDE = 12, 4


class DenseBody(nn.Module):
    """Hidden layers over flattened rows and what is told beside them.

    Args:
        num_inputs: Numbers of a flattened row.
        hidden_sizes: Units of each layer.
        num_outputs: Numbers that it gives.
        num_told: Numbers that are told beside.
        activation_name: Between layers.

    Example:
        >>> DenseBody(4, [8], 3, 2, "relu")(torch.zeros(5, 4), torch.zeros(5, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        num_inputs: int,
        hidden_sizes: Sequence[int],
        num_outputs: int,
        num_told: int,
        activation_name: str,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        before = num_inputs + num_told
        for size in hidden_sizes:
            self.layers.extend([nn.Linear(before, size), activation(activation_name)])
            before = size
        self.layers.append(nn.Linear(before, num_outputs))

    def forward(self, rows: Tensor, told: Tensor | None = None) -> Tensor:
        """Numbers for each row."""
        flat = rows.flatten(1)
        given: Tensor = self.layers(flat if told is None else torch.cat([flat, told], dim=1))
        return given


class ConvEncoder(nn.Module):
    """Maps that halve at every stage, and a dense layer over them and what is told beside.

    Args:
        image: [channel, height, width].
        widths: Channels of each stage.
        hidden_size: Units between the maps and the output.
        num_outputs: Numbers that it gives.
        num_told: Numbers that are told beside.
        activation_name: Between layers.

    Example:
        >>> ConvEncoder([1, 9, 8], [4, 8], 16, 3, 0, "relu")(torch.zeros(2, 1, 9, 8)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        image: Sequence[int],
        widths: Sequence[int],
        hidden_size: int,
        num_outputs: int,
        num_told: int,
        activation_name: str,
    ) -> None:
        super().__init__()
        sizes = stage_sizes(image, len(widths))
        self.stages = nn.Sequential()
        for before, after in zip([image[0], *widths], widths, strict=False):
            self.stages.extend([nn.Conv2d(before, after, 4, 2, 1), activation(activation_name)])
        places = widths[-1] * sizes[-1][0] * sizes[-1][1]
        self.head = DenseBody(places, [hidden_size], num_outputs, num_told, activation_name)

    def forward(self, images: Tensor, told: Tensor | None = None) -> Tensor:
        """Numbers for each image."""
        given: Tensor = self.head(self.stages(images), told)
        return given


class ConvDecoder(nn.Module):
    """The way back: dense layers to small maps, which double at every stage.

    Args:
        image: [channel, height, width] of what it gives.
        widths: Channels of each stage of the encoder.
        hidden_size: Units between the code and the maps.
        num_inputs: Numbers of a code.
        num_told: Numbers that are told beside.
        activation_name: Between layers.

    Example:
        >>> ConvDecoder([1, 9, 8], [4, 8], 16, 3, 0, "relu")(torch.zeros(2, 3)).shape
        torch.Size([2, 1, 9, 8])
    """

    def __init__(
        self,
        image: Sequence[int],
        widths: Sequence[int],
        hidden_size: int,
        num_inputs: int,
        num_told: int,
        activation_name: str,
    ) -> None:
        super().__init__()
        sizes = stage_sizes(image, len(widths))[::-1]
        channels = [*reversed(widths), image[0]]
        self.first = (channels[0], *sizes[0])
        places = channels[0] * sizes[0][0] * sizes[0][1]
        self.head = DenseBody(num_inputs, [hidden_size], places, num_told, activation_name)
        self.stages = nn.Sequential()
        for number, after in enumerate(channels[1:]):
            (high, wide), (higher, wider) = sizes[number : number + 2]
            odd = (higher - 2 * high, wider - 2 * wide)
            self.stages.append(activation(activation_name))
            self.stages.append(nn.ConvTranspose2d(channels[number], after, 4, 2, 1, odd))

    def forward(self, codes: Tensor, told: Tensor | None = None) -> Tensor:
        """An image for each code."""
        given: Tensor = self.stages(self.head(codes, told).unflatten(1, self.first))
        return given


def stage_sizes(image: Sequence[int], num_stages: int) -> list[tuple[int, int]]:
    """Height and width of an image and after each halving.

    Example:
        >>> stage_sizes([1, 9, 8], 2)
        [(9, 8), (4, 4), (2, 2)]
    """
    _, height, width = image
    return [(height >> stage, width >> stage) for stage in range(num_stages + 1)]


def make_halves(
    shape: Sequence[int],
    latent_size: int,
    num_told: int,
    *,
    body: BodyName,
    hidden_sizes: Sequence[int],
    widths: Sequence[int] | None,
    activation_name: str,
) -> tuple[nn.Module, nn.Module]:
    """An encoder to the mean and the variance of codes, and a decoder.

    Args:
        shape: Of a row.
        latent_size: Numbers of a code.
        num_told: Numbers that are told beside.
        body: Of dense layers or of convolutions; ``auto`` takes these for images from 12 pixels a
            side on.
        hidden_sizes: Units of the encoder's dense layers; convolutions have one, of the last.
        widths: Channels of each stage of convolutions.
        activation_name: Between layers.

    Raises:
        InputError: If convolutions do not fit the rows.

    Example:
        >>> sizes = {"hidden_sizes": [8], "widths": None, "activation_name": "relu"}
        >>> [type(half).__name__ for half in make_halves([5], 2, 0, body="auto", **sizes)]
        ['DenseBody', 'DenseBody']
    """
    side = min(shape[1:]) if len(shape) == 3 else 0
    if body == "dense" or (body == "auto" and side < CONV_SIDE):
        numbers, sizes = math.prod(shape), list(hidden_sizes)
        return (
            DenseBody(numbers, sizes, 2 * latent_size, num_told, activation_name),
            DenseBody(latent_size, sizes[::-1], numbers, num_told, activation_name),
        )
    widths = widths or _widths(side)
    if side >> len(widths) < 1:
        raise InputError(
            "the rows are too small for the convolutions",
            expected=f"images of at least {1 << len(widths)} x {1 << len(widths)} pixels",
            got=f"rows of {' x '.join(str(length) for length in shape)}",
            do="set model.body=dense",
        )
    width = hidden_sizes[-1] if hidden_sizes else 256
    return (
        ConvEncoder(shape, widths, width, 2 * latent_size, num_told, activation_name),
        ConvDecoder(shape, widths, width, latent_size, num_told, activation_name),
    )


def _widths(side: int) -> list[int]:
    """16, 32, 64 and so on, 256 at most, for as often as 4 pixels a side are left."""
    stages = max(1, int(math.log2(max(1, side / LEAST_SIDE))))
    return [min(256, 16 << stage) for stage in range(stages)]
