"""One artificial neuron: ``Z = W x + b``, ``Y = activation(Z)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from glial.models.pixels import PixelSettings, joined
from glial.nn.activations import activation
from glial.nn.dense import Dense


class Neuron(nn.Module):
    """A single unit: one weight per input, a bias, any activation.

    Args:
        num_inputs: Inputs: numbers and pixels of a row.
        activation_name: A name in `glial.nn.ACTIVATIONS`.
        initialization: Starting weights.

    Example:
        >>> import torch
        >>> unit = Neuron(2, "sigmoid", initialization="zero")
        >>> unit(torch.ones(1, 2)).item()
        0.5
    """

    def __init__(
        self, num_inputs: int, activation_name: str, *, initialization: str = "small"
    ) -> None:
        super().__init__()
        self.linear = Dense(num_inputs, 1, initialization=initialization)
        self.activation = activation(activation_name)

    def forward(self, *parts: Float[Tensor, "row ..."]) -> Float[Tensor, "row 1"]:
        """How far the neuron fires for each row.

        Args:
            parts: Numbers [row, feature] and images [row, channel, height, width]: those it has.
        """
        output: Tensor = self.activation(self.linear(joined(parts)))
        return output


class NeuronSettings(PixelSettings):
    """One neuron.

    Attributes:
        activation: Of the output. Classification applies the sigmoid in its loss, so leave
            it linear there.
        initialization: Starting weights.

    Example:
        >>> sum(p.numel() for p in NeuronSettings().build(3, 1).parameters())
        4
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel", "regression")
    max_outputs: ClassVar[int | None] = 1
    description: ClassVar[str] = "one neuron: a weight per input, a bias, an activation"
    source: ClassVar[str] = "McCulloch and Pitts (1943), doi:10.1007/BF02478259"

    name: Literal["neuron"] = "neuron"
    activation: str = "linear"
    initialization: str = "small"

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Plain training of a small convex model.

        Example:
            >>> NeuronSettings.train_defaults("regression")["optimizer"]
            'adam'
        """
        return {
            "optimizer": "adam",
            "batch_size": 256,
            "epochs": 100,
            "schedule": "cosine",
            "weight_decay": 0.0,
        }

    def network(
        self, num_inputs: int, num_outputs: int, cardinalities: Sequence[int] = ()
    ) -> nn.Module:
        """The unit: parameters ``linear.weight`` and ``linear.bias``."""
        return Neuron(num_inputs, self.activation, initialization=self.initialization)
