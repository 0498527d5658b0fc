"""The convolutional autoencoder: pictures through strided convolutions to a code, and back.

Source:
    Masci, Meier, Ciresan, Schmidhuber (2011), "Stacked convolutional auto-encoders for
    hierarchical feature extraction", doi:10.1007/978-3-642-21735-7_7; maps that are made larger
    before they are convolved: Odena, Dumoulin, Olah (2016), doi:10.23915/distill.00003.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import log2, prod
from typing import Annotated, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.models.autoencoding import AutoencoderNetwork, AutoencoderSettings, Codes
from glial.nn.activations import activation
from glial.nn.initialization import best_for, initialize

Images = Float[Tensor, "row channel height width"]

FIRST_WIDTH, MOST_WIDTH, SMALLEST_SIDE = 32, 256, 4


class ConvAutoencoderSettings(AutoencoderSettings):
    """A convolutional autoencoder of pictures of any size and number of channels.

    Attributes:
        widths: Channels of each convolution of the encoder, which halves height and width; the
            decoder has them in reverse. None is 32, 64, ... down to maps of about 4 pixels.
        activation: Between layers.

    Example:
        >>> import torch
        >>> network = ConvAutoencoderSettings(widths=[4, 8]).build(0, images=[[3, 13, 10]])
        >>> network.encode(torch.zeros(2, 3, 13, 10)).shape
        torch.Size([2, 39])
        >>> network.reconstruct(torch.zeros(2, 3, 13, 10)).shape
        torch.Size([2, 3, 13, 10])
    """

    takes_numbers: ClassVar[bool] = False
    description: ClassVar[str] = "convolutional autoencoder of pictures"
    source: ClassVar[str] = "Masci et al. (2011), doi:10.1007/978-3-642-21735-7_7"

    name: Literal["conv_autoencoder"] = "conv_autoencoder"
    widths: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None
    activation: str = "relu"

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int = 0,
        task: str = "reduce",
        images: Sequence[Sequence[int]] = (),
    ) -> ConvAutoencoderSettings:
        """Widths by the size of the pictures, and a code narrower than one.

        Example:
            >>> chosen = ConvAutoencoderSettings().for_data(1000, 0, images=[[1, 28, 28]])
            >>> chosen.widths, chosen.code_size
            ([32, 64, 128], 56)
        """
        if not images:
            return self.model_copy()
        image = images[0]
        update = {"widths": self.widths_for(image), "code_size": self.size_for(prod(image))}
        return self.model_copy(update=update)

    def widths_for(self, image: Sequence[int]) -> list[int]:
        """Channels of each convolution, for pictures of a size.

        Args:
            image: [channel, height, width].
        """
        halvings = max(1, round(log2(max(1, min(image[1:]) / SMALLEST_SIDE))))
        usual = [min(MOST_WIDTH, FIRST_WIDTH * 2**stage) for stage in range(halvings)]
        return usual if self.widths is None else self.widths

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network."""
        return ConvAutoencoder(
            self, self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        )


class ConvAutoencoder(AutoencoderNetwork):
    """Convolutions that halve, a code, and as many that double what a nearest pixel fills in.

    Parameters: ``encoder.<i>.*``, ``to_code.*``, ``from_code.*`` and ``decoder.<i>.*``.

    Args:
        settings: The settings.
        shape: [channel, height, width] of a picture.

    Example:
        >>> network = ConvAutoencoder(ConvAutoencoderSettings(widths=[4, 8]), (1, 9, 9))
        >>> network.sizes
        [(9, 9), (5, 5), (3, 3)]
    """

    def __init__(self, settings: ConvAutoencoderSettings, shape: tuple[int, ...]) -> None:
        super().__init__(settings, shape)
        channels, height, width = shape
        widths = [channels, *settings.widths_for(shape)]
        self.sizes = [(height, width)]
        for _ in widths[1:]:
            height, width = (height + 1) // 2, (width + 1) // 2
            self.sizes.append((height, width))
        self.maps = (widths[-1], height, width)
        name = settings.activation
        self.encoder = nn.Sequential(
            *(
                nn.Sequential(_convolution(before, after, name, stride=2), activation(name))
                for before, after in itertools.pairwise(widths)
            )
        )
        code_name = settings.code_activation_name
        self.to_code = nn.Sequential(
            _linear(prod(self.maps), self.latent_size, code_name), activation(code_name)
        )
        self.from_code = nn.Sequential(
            _linear(self.latent_size, prod(self.maps), name), activation(name)
        )
        back = list(itertools.pairwise(widths[::-1]))
        names = [*[name] * (len(back) - 1), "linear"]
        self.decoder = nn.ModuleList(
            nn.Sequential(_convolution(before, after, kind), activation(kind))
            for (before, after), kind in zip(back, names, strict=True)
        )

    def encode(self, rows: Images) -> Codes:
        """The codes of pictures."""
        codes: Tensor = self.to_code(self.encoder(rows).flatten(1))
        return codes

    def decode(self, codes: Codes, classes: Tensor | None = None) -> Images:
        """The pictures that codes stand for, before pixels are cut off at black and white.

        Args:
            codes: A code a row.
            classes: None: the network is told no classes.
        """
        maps = self.from_code(codes).reshape(-1, *self.maps)
        for layer, size in zip(self.decoder, self.sizes[-2::-1], strict=True):
            maps = layer(functional.interpolate(maps, size=size, mode="nearest"))
        images: Tensor = maps
        return images


def _convolution(before: int, after: int, name: str, stride: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, 3, stride, 1)
    initialize(best_for(name), layer.weight)
    return layer


def _linear(before: int, after: int, name: str) -> nn.Linear:
    layer = nn.Linear(before, after)
    initialize(best_for(name), layer.weight)
    return layer
