"""The deep convolutional generative adversarial network, for images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.models.adversarial import (
    AdversarialNetwork,
    AdversarialSettings,
    Discriminator,
    Generator,
)
from glial.nn import PixelNorm

LEAST_SIDE = 8
MOST_CHANNELS = 512


class DCGANSettings(AdversarialSettings):
    """A generator that doubles maps until they are an image, and a discriminator that halves them.

    Attributes:
        width: Channels of the largest maps; each half as large ones have twice as many.
        norm: Of the generator's maps: place by place, which the average of the weights fits as it
            is, by the batch as published, or none. The discriminator has none: its slopes are
            penalised row by row.
        minibatch_std: Whether the discriminator sees how unlike each other the rows beside it
            are, which tells it of a generator that always makes the same.

    Source:
        Maps that spread: Karras et al. (2018), arXiv 1710.10196, section 3.

    Example:
        >>> network = DCGANSettings(width=8).build(images=[[1, 28, 28]])
        >>> network.sample(2, generator=torch.Generator()).shape
        torch.Size([2, 1, 28, 28])
    """

    description: ClassVar[str] = "generative adversarial network of convolutions, for images"
    source: ClassVar[str] = "Radford, Metz, Chintala (2016), arXiv 1511.06434"
    takes_numbers: ClassVar[bool] = False

    name: Literal["dcgan"] = "dcgan"
    width: int = Field(default=32, ge=1)
    norm: Literal["pixel", "batch", "none"] = "pixel"
    minibatch_std: bool = False
    penalty_weight: float = Field(default=1.0, ge=0)
    penalty_every: int = Field(default=4, ge=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Adam of little momentum, its rate falling at the end; an average of the weights.

        Example:
            >>> DCGANSettings.train_defaults("generate")["ema"]
            0.99
        """
        batch_size = 64
        steps = max(1, num_rows // batch_size)
        return {
            "optimizer": "adam",
            "betas": [0.5, 0.99],
            "lr": 1e-3,
            "batch_size": batch_size,
            "epochs": max(8, math.ceil(4000 / steps)),
            "schedule": "flat_cosine",
            "ema": 0.99,
            "restore_best": False,
        }

    def data_defaults(self) -> dict[str, Any]:
        """Images from -1 to 1, as large as the network needs.

        Example:
            >>> DCGANSettings().data_defaults()
            {'images.scaling': 'signed', 'images.min_side': 8}
        """
        return {**super().data_defaults(), "images.min_side": LEAST_SIDE}

    def build(
        self,
        num_inputs: int = 0,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        *,
        images: Sequence[Sequence[int]] = (),
        sequences: Sequence[Sequence[int]] = (),
    ) -> AdversarialNetwork:
        """The network.

        Args:
            num_inputs: 0.
            num_outputs: Classes that are given with the images; 0 is of none.
            cardinalities: None.
            images: [channel, height, width] of the one image.
            sequences: None.

        Raises:
            InputError: If an image has fewer than 8 pixels at a side.
        """
        shape = self.shape_of(
            num_inputs, num_outputs, cardinalities, images=images, sequences=sequences
        )
        if min(shape[1:]) < LEAST_SIDE:
            raise InputError(
                "the images are too small for the model 'dcgan'",
                expected=f"at least {LEAST_SIDE} x {LEAST_SIDE} pixels",
                got=f"{shape[1]} x {shape[2]}",
                do="choose the model gan, or set data.images.size",
            )
        classes = num_outputs or 0
        stages = int(math.log2(min(shape[1:]) // 4))
        widths = [min(MOST_CHANNELS, self.width * 2**stage) for stage in range(stages)]
        halved = _Halving(shape, widths, self.minibatch_std)
        discriminator = Discriminator(halved, halved.num_features, classes, self.spectral_norm)
        latent_size = self.latent_size_of(shape)
        doubled = _Doubling(latent_size + classes, shape, widths[::-1], self.norm)
        network = AdversarialNetwork(
            self, Generator(doubled, classes), discriminator, latent_size, classes
        )
        network.judges_apart = self.minibatch_std
        return network


class _Doubling(nn.Sequential):
    """From numbers to small maps, and from these to an image from -1 to 1."""

    def __init__(
        self, num_inputs: int, shape: Sequence[int], widths: Sequence[int], norm: str
    ) -> None:
        channels, *sides = shape
        first = [-(-side // 2 ** len(widths)) for side in sides]
        layers: list[nn.Module] = [
            nn.Linear(num_inputs, widths[0] * math.prod(first)),
            nn.Unflatten(1, (widths[0], *first)),
        ]
        for before, after in itertools.pairwise([*widths, channels]):
            if norm != "none":
                layers.append(nn.BatchNorm2d(before) if norm == "batch" else PixelNorm())
            layers += [nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1)]
        super().__init__(*layers, nn.Tanh())
        self._sides = sides

    def forward(self, numbers: Float[Tensor, "row number"]) -> Float[Tensor, "row ..."]:
        """The images, cut where doubling ends beyond their size."""
        height, width = self._sides
        images: Tensor = super().forward(numbers)  # type: ignore[no-untyped-call]
        return images[:, :, :height, :width]


class _Halving(nn.Sequential):
    """From an image to features, through ever smaller maps."""

    def __init__(
        self,
        shape: Sequence[int],
        widths: Sequence[int],
        minibatch_std: bool,
    ) -> None:
        channels, *sides = shape
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise([channels, *widths]):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2)]
        last = widths[-1]
        if minibatch_std:
            layers.append(MinibatchStd())
            last += 1
        super().__init__(*layers, nn.Flatten())
        self.num_features = last * math.prod(side // 2 ** len(widths) for side in sides)


class MinibatchStd(nn.Module):
    """One more map: how unlike each other the rows of a batch are, the same number everywhere.

    It is the mean over channels and places of the standard deviation over rows.

    Source:
        Karras et al. (2018), "Progressive growing of GANs", arXiv 1710.10196, section 3.

    Example:
        >>> maps = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1)
        >>> MinibatchStd()(maps)[:, 1].flatten()
        tensor([1., 1.])
    """

    def forward(
        self, maps: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row more height width"]:
        """The maps and, last, the new one."""
        spread = (maps.var(dim=0, correction=0) + 1e-8).sqrt().mean()
        return torch.cat([maps, spread.expand(len(maps), 1, *maps.shape[2:])], dim=1)
