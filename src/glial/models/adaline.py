"""Adaline: a linear unit trained on squared error by the delta rule, thresholded afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from torch import nn

from glial.models.perceptron import ThresholdUnit
from glial.models.pixels import PixelSettings


class AdalineSettings(PixelSettings):
    """Widrow and Hoff's adaptive linear neuron.

    It learns on the score before the threshold: the delta rule is gradient descent on the
    half squared error (`loss`) between the score and targets of -1 and 1. So, unlike the
    perceptron, it settles on classes that overlap too.

    Example:
        >>> AdalineSettings().build(2, 1).linear.bias.tolist()
        [0.0]
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    max_outputs: ClassVar[int | None] = 1
    loss: ClassVar[str] = "half_squared_error"
    description: ClassVar[str] = "adaline: a linear unit trained on squared error"
    source: ClassVar[str] = "Widrow and Hoff (1960), 'Adaptive switching circuits'"

    name: Literal["adaline"] = "adaline"

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Plain gradient descent in small steps.

        Example:
            >>> AdalineSettings.train_defaults("classification")["optimizer"]
            'sgd'
        """
        return {
            "optimizer": "sgd",
            "batch_size": 32,
            "epochs": 100,
            "schedule": "cosine",
            "weight_decay": 0.0,
        }

    def network(
        self, num_inputs: int, num_outputs: int, cardinalities: Sequence[int] = ()
    ) -> nn.Module:
        """The unit: parameters ``linear.weight`` and ``linear.bias``, all zero."""
        return ThresholdUnit(num_inputs)
