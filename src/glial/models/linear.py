"""Linear, logistic and softmax regression: one layer, a convex loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from glial.models.pixels import PixelSettings, joined
from glial.nn.dense import BiasKind, Dense


class Linear(Dense):
    """One dense layer that is joined to all numbers and pixels of a row.

    Example:
        >>> import torch
        >>> Linear(6, 1)(torch.zeros(3, 2), torch.zeros(3, 1, 2, 2)).shape
        torch.Size([3, 1])
    """

    def embed(self, *parts: Float[Tensor, "row ..."]) -> Float[Tensor, "row feature"]:
        """What the layer sees of each row: its numbers, then its pixels."""
        return joined(parts)

    def forward(self, *parts: Float[Tensor, "row ..."]) -> Float[Tensor, "row output"]:
        """The outputs for each row.

        Args:
            parts: Numbers [row, feature] and images [row, channel, height, width]: those it has.
        """
        return super().forward(self.embed(*parts))


class LinearSettings(PixelSettings):
    """One layer without activation: the head's loss makes it linear or logistic regression.

    The loss is convex, so any start, zero or equal weights too, reaches the same optimum.

    Attributes:
        bias: One bias per output, one shared, or none.
        initialization: Starting weights.

    Example:
        >>> LinearSettings().build(3, 2)
        Linear(3, 2, bias=each)
    """

    description: ClassVar[str] = "linear, logistic or softmax regression"
    source: ClassVar[str] = "Legendre (1805); Cox (1958), doi:10.1111/j.2517-6161.1958.tb00292.x"

    name: Literal["linear"] = "linear"
    bias: BiasKind = "per-neuron"
    initialization: str = "zero"

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """A small network's usual training; no decay, the model has little to overfit with.

        Example:
            >>> LinearSettings.train_defaults("regression")["optimizer"]
            'adam'
        """
        return {
            "optimizer": "adam",
            "batch_size": 256,
            "epochs": 100,
            "schedule": "cosine",
            "weight_decay": 0.0,
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "classification",
        images: Sequence[Sequence[int]] = (),
    ) -> LinearSettings:
        """The settings as they are; but an embedding that starts at zero has no direction.

        Example:
            >>> LinearSettings().for_data(100, 4, 2, "embedding").initialization
            'xavier_normal'
        """
        blank = task == "embedding" and self.initialization == "zero"
        return self.model_copy(update={"initialization": "xavier_normal"} if blank else {})

    def network(
        self, num_inputs: int, num_outputs: int, cardinalities: Sequence[int] = ()
    ) -> nn.Module:
        """The layer: parameters ``weight`` and ``bias``."""
        return Linear(num_inputs, num_outputs, bias=self.bias, initialization=self.initialization)
