"""The dense autoencoder: plain, deep, denoising, sparse or contractive, as its settings say.

Source:
    Hinton and Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
    doi:10.1126/science.1127647 (deep, symmetric halves); others in `glial.models.autoencoding`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from math import prod
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.models.autoencoding import (
    AutoencoderNetwork,
    AutoencoderSettings,
    Codes,
    PerRow,
    Rows,
)
from glial.nn.activations import activation
from glial.nn.dense import Dense, DenseBlock
from glial.nn.initialization import best_for

DEFAULT_HIDDEN_SIZES = (128, 64)
# Of networks that tell odd rows: what takes noise away knows where normal rows lie, and needs no
# narrow code. The noise is in standard deviations.
FOR_ANOMALIES = {
    "corruption": "gaussian",
    "corruption_level": 0.3,
    "code_size": 32,
    "skip": False,
}
FIRST_SHARE = 0.01  # of what the hidden layers add to principal components
# Derivatives of activations, told by what they give.
_SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": torch.ones_like,
    "sigmoid": lambda code: code * (1 - code),
    "tanh": lambda code: 1 - code.square(),
}


class DenseAutoencoderSettings(AutoencoderSettings):
    """A dense autoencoder of numbers, or of pictures as the numbers that their pixels are.

    Attributes:
        hidden_sizes: Units of the encoder's hidden layers; the decoder has the same in reverse. A
            deep one has four layers a half with ``[512, 256, 128]``. None chooses two by the
            number of rows; an empty list is one layer a half, with linear codes the principal
            components' subspace.
        activation: Of hidden layers.
        skip: Whether codes and rows have a linear way past the hidden layers too, which begins as
            the principal components of the training rows where codes are linear. So it is never
            far worse than these, as it else is where rows are few.
        tied: Whether the decoder's weights are the encoder's, transposed; its biases are its own,
            and there is no way past.

    Example:
        >>> network = DenseAutoencoderSettings(hidden_sizes=[8], code_size=2).build(16, 0)
        >>> network.encode(torch.zeros(3, 16)).shape
        torch.Size([3, 2])
    """

    description: ClassVar[str] = "dense autoencoder: plain, deep, denoising, sparse or contractive"
    source: ClassVar[str] = "Hinton, Salakhutdinov (2006), doi:10.1126/science.1127647"

    name: Literal["autoencoder"] = "autoencoder"
    hidden_sizes: list[Annotated[int, Field(ge=1)]] | None = None
    activation: str = "silu"
    skip: bool = True
    tied: bool = False

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int = 0,
        task: str = "reduce",
        images: Sequence[Sequence[int]] = (),
    ) -> DenseAutoencoderSettings:
        """A code narrower than a row, and two hidden layers that are wider where there are rows.

        For the task ``anomaly`` what is left open makes a network that takes noise of 0.3 away
        through a code of 32 numbers, without a way past the hidden layers.

        Example:
            >>> chosen = DenseAutoencoderSettings().for_data(1000, 13)
            >>> chosen.hidden_sizes, chosen.code_size
            ([128, 64], 6)
        """
        update: dict[str, Any] = {}
        if task == "anomaly" and not images:
            asked = self.model_fields_set
            left = asked | ({"corruption_level"} if "corruption" in asked else set())
            update = {key: value for key, value in FOR_ANOMALIES.items() if key not in left}
        hidden = self.hidden_sizes
        if hidden is None:
            width = 2 ** round(math.log2(4 * math.sqrt(max(1, num_rows))))
            width = min(512, max(64, width))
            hidden = [width, width // 2]
        numbers = num_inputs + sum(prod(image) for image in images)
        size = update.get("code_size", self.size_for(numbers))
        return self.model_copy(update={**update, "hidden_sizes": hidden, "code_size": size})

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; without `for_data` with hidden layers of 128 and 64 units."""
        return Autoencoder(
            self, self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        )


class Autoencoder(AutoencoderNetwork):
    """An encoder, a code, and the encoder's mirror.

    Parameters: ``encoder.<i>.linear.weight`` and ``.bias``, ``decoder.<i>.linear.weight`` and
    ``.bias``, ``encoder_shortcut.*`` and ``decoder_shortcut.*``; with tied weights ``biases.<i>``
    in place of all but the encoder.

    Args:
        settings: The settings.
        shape: Of one row: (number,) or (channel, height, width).

    Example:
        >>> network = Autoencoder(DenseAutoencoderSettings(hidden_sizes=[5], tied=True), (8,))
        >>> [name for name, _ in network.named_parameters() if "encoder" not in name]
        ['biases.0', 'biases.1']
    """

    def __init__(self, settings: DenseAutoencoderSettings, shape: tuple[int, ...]) -> None:
        super().__init__(settings, shape)
        hidden = settings.hidden_sizes
        inner = DEFAULT_HIDDEN_SIZES if hidden is None else hidden
        sizes = [prod(shape), *inner, self.latent_size]
        names = [settings.activation] * len(inner)
        code_name = settings.code_activation_name
        self.encoder = _half(sizes, [*names, "linear"], best_for(code_name))
        self.code_activation = activation(code_name)
        self.decoder = None if settings.tied else _half(sizes[::-1], [*names, "linear"])
        self.biases = nn.ParameterList(
            [nn.Parameter(torch.zeros(size)) for size in sizes[-2::-1]] if settings.tied else []
        )
        self.mirrored_activations = nn.ModuleList(
            [activation(name) for name in [*names, "linear"]] if settings.tied else []
        )
        self.tells_contraction = not inner and code_name in _SLOPES
        self.encoder_shortcut: Dense | None = None
        self.decoder_shortcut: Dense | None = None
        if settings.skip and inner and self.decoder is not None:
            self.encoder_shortcut = Dense(sizes[0], sizes[-1], initialization=best_for(code_name))
            self.decoder_shortcut = Dense(sizes[-1], sizes[0], initialization=best_for("linear"))

    def encode(self, rows: Rows) -> Codes:
        """The codes of rows."""
        flat = rows.flatten(1)
        sums = self.encoder(flat)
        if self.encoder_shortcut is not None:
            sums = sums + self.encoder_shortcut(flat)
        codes: Tensor = self.code_activation(sums)
        return codes

    def decode(self, codes: Codes, classes: Tensor | None = None) -> Rows:
        """The rows that codes stand for, before pixels are cut off at black and white.

        Args:
            codes: A code a row.
            classes: None: the network is told no classes.
        """
        values = codes
        if self.decoder is not None:
            values = self.decoder(codes)
            if self.decoder_shortcut is not None:
                values = values + self.decoder_shortcut(codes)
        else:
            layers = zip(self._weights()[::-1], self.biases, self.mirrored_activations, strict=True)
            for weight, bias, squash in layers:
                values = squash(functional.linear(values, weight.T, bias))
        return values.reshape(-1, *self.shape)

    @torch.no_grad()
    def start(self, rows: Rows) -> None:
        """Let the linear way past hidden layers begin as the principal components of some rows.

        Args:
            rows: Training rows. Nothing changes where codes are not linear.
        """
        to_code, from_code = self.encoder_shortcut, self.decoder_shortcut
        if to_code is None or from_code is None or self.settings.code_activation_name != "linear":
            return
        flat = rows.flatten(1)
        count = min(self.latent_size, *flat.shape)
        mean = flat.mean(dim=0)
        axes = torch.pca_lowrank(flat - mean, q=count, center=False, niter=4)[2]
        to_code.weight.zero_()[:count] = axes.T
        from_code.weight.zero_()[:, :count] = axes
        to_code.get_parameter("bias").copy_(-to_code.weight @ mean)
        from_code.get_parameter("bias").copy_(mean)
        for half in (self.encoder, self.decoder):
            last: Any = half and half[-1]
            last.linear.weight.mul_(FIRST_SHARE)

    def exact_contraction(self, code: Codes) -> PerRow:
        """Of one layer the sum over units of (slope times length of the weights), squared.

        Args:
            code: What the encoder gave.

        Source:
            Rifai et al. (2011), equation 6.
        """
        slopes = _SLOPES[self.settings.code_activation_name](code)
        return slopes.square() @ self._weights()[0].square().sum(dim=1)

    def _weights(self) -> list[Tensor]:
        return [block.get_parameter("linear.weight") for block in self.encoder]


def _half(
    sizes: Sequence[int], names: Sequence[str], last: str = "xavier_uniform"
) -> nn.Sequential:
    first = [best_for(name) for name in names[:-1]]
    layers = zip(itertools.pairwise(sizes), names, [*first, last], strict=True)
    return nn.Sequential(
        *(DenseBlock(*pair, name, initialization=start) for pair, name, start in layers)
    )
