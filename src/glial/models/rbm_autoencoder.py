"""The deep autoencoder whose halves begin as a stack of restricted Boltzmann machines, unrolled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from glial.models.autoencoder import Autoencoder, DenseAutoencoderSettings
from glial.models.autoencoding import Codes, Rows
from glial.models.energy import STEEPNESS, StackedSettings
from glial.models.visible_units import Visible, VisibleUnits
from glial.nn.dense import Dense


class RBMAutoencoderSettings(StackedSettings, DenseAutoencoderSettings):
    """A dense autoencoder of logistic units, with a linear code, that learns layer by layer first.

    The encoder's layers learn one by one, each as a restricted Boltzmann machine; the decoder
    begins as the same machines upside down; backpropagation makes both better.

    Source:
        Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
        doi:10.1126/science.1127647.

    Example:
        >>> network = RBMAutoencoderSettings(hidden_sizes=[8], code_size=2).build(16, 0)
        >>> network.embed(torch.zeros(3, 16)).shape
        torch.Size([3, 2])
    """

    description: ClassVar[str] = "deep autoencoder that begins as a stack of Boltzmann machines"
    objective: ClassVar[str] = "greedy_descent"

    name: Literal["rbm_autoencoder"] = "rbm_autoencoder"  # type: ignore[assignment]
    activation: Literal["sigmoid"] = "sigmoid"
    code_activation: Literal["linear"] = "linear"
    skip: Literal[False] = False
    tied: Literal[False] = False

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """As of other autoencoders, without an early end: layers learn first what no loss tells.

        Example:
            >>> RBMAutoencoderSettings.train_defaults("reduce")["patience"] is None
            True
        """
        return {**super().train_defaults(task, num_rows), "patience": None}

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> RBMAutoencoder:
        """The network; without `for_data` with hidden layers of 128 and 64 units."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        return RBMAutoencoder(self, shape)


class RBMAutoencoder(Autoencoder):
    """Rows as visible units, an encoder of logistic layers, and its mirror.

    Parameters: as of `glial.models.autoencoder.Autoencoder`.

    Args:
        settings: The settings.
        shape: Of one row: (number,) or (channel, height, width).

    Attributes:
        visible_units: What rows are to the lowest layer.
        linear_code: True: codes are numbers.

    Example:
        >>> network = RBMAutoencoder(RBMAutoencoderSettings(hidden_sizes=[5]), (8,))
        >>> [tuple(layer.weight.shape) for layer in network.stack()]
        [(5, 8), (4, 5)]
    """

    linear_code = True
    settings: RBMAutoencoderSettings

    def __init__(self, settings: RBMAutoencoderSettings, shape: tuple[int, ...]) -> None:
        super().__init__(settings, shape)
        self.visible_units = VisibleUnits(settings.visible, shape)
        with torch.no_grad():
            halves = [self.decoder] if settings.pretraining_share else [self.encoder, self.decoder]
            for half in halves:
                for layer in self._layers(half)[:-1]:
                    layer.weight.mul_(STEEPNESS)

    @torch.no_grad()
    def start(self, rows: Rows) -> None:
        """See what rows are like as visible units; what is given back begins as their mean.

        Args:
            rows: Training rows.
        """
        base = self.visible_units.start(rows)
        self._layers(self.decoder)[-1].get_parameter("bias").copy_(base)

    def encode(self, rows: Rows) -> Codes:
        """The codes of rows."""
        codes: Tensor = self.encoder(self.visible_of(rows))
        return codes

    def decode(self, codes: Codes, classes: Tensor | None = None) -> Rows:
        """The rows that codes stand for.

        Args:
            codes: A code a row.
            classes: None: the network is told no classes.
        """
        assert self.decoder is not None  # noqa: S101 - narrows the type
        sums = self.decoder(codes)
        values = self.visible_units.mean(sums)
        if not self.visible_units.is_binary:
            return values.reshape(-1, *self.shape)
        return self.visible_units.rows(values)

    def stack(self) -> list[Dense]:
        """The encoder's layers from the bottom."""
        return self._layers(self.encoder)

    def visible_of(self, rows: Rows, *others: Tensor) -> Visible:
        """What the lowest layer sees of rows.

        Args:
            rows: The rows.
            others: What else the network is called with.
        """
        return self.visible_units.chances(rows)

    @torch.no_grad()
    def unroll(self, biases: Sequence[Tensor]) -> None:
        """Let the decoder begin as the encoder upside down.

        Args:
            biases: Of each layer's lower units, from the bottom.
        """
        mirrored = zip(self._layers(self.decoder)[::-1], self.stack(), biases, strict=True)
        for layer, mirror, bias in mirrored:
            layer.weight.copy_(mirror.weight.t())
            layer.get_parameter("bias").copy_(bias)

    @staticmethod
    def _layers(half: Any) -> list[Dense]:
        return [block.linear for block in half]
