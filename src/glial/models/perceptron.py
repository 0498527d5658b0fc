"""The perceptron: one unit with a step, trained by the perceptron rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from glial.models.pixels import PixelSettings, joined
from glial.nn.activations import Step
from glial.nn.dense import Dense


class ThresholdUnit(nn.Module):
    """A linear score and a step on it.

    Calling it gives the score, whose sign is the decision: at or above zero it fires.

    Args:
        num_inputs: Inputs: numbers and pixels of a row.
        initialization: Starting weights.

    Example:
        >>> import torch
        >>> unit = ThresholdUnit(2)
        >>> unit.fire(torch.tensor([[1.0, -1.0]]))
        tensor([[1.]])
    """

    def __init__(self, num_inputs: int, *, initialization: str = "zero") -> None:
        super().__init__()
        self.linear = Dense(num_inputs, 1, initialization=initialization)
        self.activation = Step()

    def forward(self, *parts: Float[Tensor, "row ..."]) -> Float[Tensor, "row 1"]:
        """The score of each row, before the step.

        Args:
            parts: Numbers [row, feature] and images [row, channel, height, width]: those it has.
        """
        score: Tensor = self.linear(joined(parts))
        return score

    def fire(self, *parts: Float[Tensor, "row ..."]) -> Float[Tensor, "row 1"]:
        """The output of the unit: 1 where the score is at least 0, else 0; no gradient."""
        output: Tensor = self.activation(self(*parts))
        return output.detach()


class PerceptronSettings(PixelSettings):
    """Rosenblatt's perceptron: learns two linearly separable classes, row by row.

    It ends without errors on separable classes and never on others, such as XOR.

    Example:
        >>> PerceptronSettings.objective
        'perceptron_rule'
        >>> PerceptronSettings().build(2, 1).linear.weight.tolist()
        [[0.0, 0.0]]
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    max_outputs: ClassVar[int | None] = 1
    objective: ClassVar[str] = "perceptron_rule"
    description: ClassVar[str] = "the perceptron: a step unit trained by its errors"
    source: ClassVar[str] = "Rosenblatt (1958), doi:10.1037/h0042519"

    name: Literal["perceptron"] = "perceptron"

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Passes over the rows; from zero weights the rate changes only the scale.

        Example:
            >>> PerceptronSettings.train_defaults("classification")["lr"]
            1.0
        """
        return {"epochs": 100, "batch_size": 256, "lr": 1.0, "schedule": "constant"}

    def network(
        self, num_inputs: int, num_outputs: int, cardinalities: Sequence[int] = ()
    ) -> nn.Module:
        """The unit: parameters ``linear.weight`` and ``linear.bias``, all zero."""
        return ThresholdUnit(num_inputs)
