"""The generative adversarial network of dense layers, for numbers and small images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from glial.models.adversarial import (
    AdversarialNetwork,
    AdversarialSettings,
    Discriminator,
    Generator,
)
from glial.nn.initialization import initialize

START_BIAS = 0.5
START_STEEPNESS = 3.0


class GANSettings(AdversarialSettings):
    """A generator and a discriminator of dense layers.

    Attributes:
        hidden_sizes: Units of each hidden layer of both.

    Example:
        >>> import torch
        >>> network = GANSettings(hidden_sizes=[8]).build(3)
        >>> network.sample(2, generator=torch.Generator()).shape
        torch.Size([2, 3])
    """

    description: ClassVar[str] = "generative adversarial network of dense layers"
    source: ClassVar[str] = "Goodfellow et al. (2014), arXiv 1406.2661"

    tasks: ClassVar[tuple[str, ...]] = ("generate", "anomaly")

    name: Literal["gan"] = "gan"
    hidden_sizes: list[Annotated[int, Field(ge=1)]] = Field(default=[128, 128, 128], min_length=1)
    penalty_weight: float = Field(default=0.05, ge=0)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Adam of little momentum, its rate falling at the end; an average of the weights.

        Example:
            >>> GANSettings.train_defaults("generate")["restore_best"]
            False
        """
        batch_size = 128
        steps = max(1, num_rows // batch_size)
        return {
            "optimizer": "adam",
            "betas": [0.0, 0.99],
            "lr": 2e-3,
            "batch_size": batch_size,
            "epochs": max(10, math.ceil(8000 / steps)),
            "schedule": "cosine",
            "ema": 0.99,
            "restore_best": False,
        }

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
            num_inputs: Numbers in a row.
            num_outputs: Classes that are given with the rows; 0 is of none.
            cardinalities: None.
            images: [channel, height, width] of the one image.
            sequences: None.
        """
        shape = self.shape_of(
            num_inputs, num_outputs, cardinalities, images=images, sequences=sequences
        )
        classes, width = num_outputs or 0, math.prod(shape)
        latent_size = self.latent_size_of(shape)
        # Images are scaled from -1 to 1, numbers have no bounds.
        end: list[nn.Module] = [nn.Tanh()] if len(shape) > 1 else []
        makes = _hidden([latent_size + classes, *self.hidden_sizes], nn.ReLU())
        last = nn.Linear(self.hidden_sizes[-1], width)
        tells = _hidden([width, *self.hidden_sizes], nn.LeakyReLU(0.2))
        if len(shape) == 1:
            _sharpen(tells[0])
        generator = nn.Sequential(*makes, last, *end, nn.Unflatten(1, shape))
        discriminator = nn.Sequential(nn.Flatten(), *tells)
        return AdversarialNetwork(
            self,
            Generator(generator, classes),
            Discriminator(discriminator, self.hidden_sizes[-1], classes, self.spectral_norm),
            latent_size,
            classes,
        )


def _hidden(sizes: Sequence[int], activation: nn.Module) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layer = nn.Linear(before, after)
        initialize("he_uniform", layer.weight)
        nn.init.uniform_(layer.bias, -START_BIAS, START_BIAS)
        layers += [layer, activation]
    return layers


def _sharpen(layer: nn.Module) -> None:
    """Let a first layer start steep: densities with narrow peaks are learnt much sooner."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(START_STEEPNESS)
