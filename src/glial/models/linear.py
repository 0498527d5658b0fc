"""Linear, logistic and softmax regression: one layer, a convex loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from torch import nn

from glial.models.settings import ModelSettings
from glial.nn.dense import BiasKind, Dense


class LinearSettings(ModelSettings):
    """One layer without activation: the head's loss makes it linear or logistic regression.

    The loss is convex, so any start, zero or equal weights too, reaches the same optimum.

    Attributes:
        bias: One bias per output, one shared, or none.
        initialization: Starting weights.

    Example:
        >>> LinearSettings().build(3, 2)
        Dense(3, 2, bias=each)
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

    def build(
        self, num_inputs: int, num_outputs: int, cardinalities: Sequence[int] = ()
    ) -> nn.Module:
        """The layer: parameters ``weight`` and ``bias``."""
        self.check_sizes(num_inputs, num_outputs, cardinalities)
        return Dense(num_inputs, num_outputs, bias=self.bias, initialization=self.initialization)
