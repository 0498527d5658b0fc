"""The perceptron rule: weights change only on errors, row by row, with no gradient of a loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from glial.data.batches import Batch
from glial.models.pixels import joined
from glial.training.schedules import Moment


class PerceptronRule:
    """Rosenblatt's rule: after each row, ``w += lr * (target - output) * x``, likewise the bias.

    Target and output are 0 or 1, so nothing changes on a row that is right. On linearly
    separable rows it ends without errors after finitely many passes, whatever the rate.

    Args:
        model: A perceptron: one linear unit with the parameters ``weight`` [1, input] and
            ``bias`` [1] somewhere inside.
        lr: Size of a change.

    Raises:
        ValueError: If the model is not one unit.

    Source:
        Rosenblatt (1958), "The perceptron", doi:10.1037/h0042519; convergence: Novikoff (1962).

    Example:
        >>> unit = nn.Linear(1, 1)
        >>> _ = nn.init.zeros_(unit.weight), nn.init.zeros_(unit.bias)
        >>> rule = PerceptronRule(unit, lr=1.0)
        >>> batch = Batch((torch.tensor([[-1.0], [1.0]]),), torch.tensor([0, 1]))
        >>> for _ in range(3):
        ...     errors = rule.step(batch, Moment(0, 0, 0.0))
        >>> errors.item()
        0.0
    """

    def __init__(self, model: nn.Module, lr: float = 1.0) -> None:
        parameters = dict(model.named_parameters())
        sizes = sorted(tuple(p.shape) for p in parameters.values())
        weight = next((p for p in parameters.values() if p.ndim == 2), None)
        bias = next((p for p in parameters.values() if p.ndim == 1), None)
        if weight is None or bias is None or len(sizes) != 2 or weight.shape[0] != 1:
            raise ValueError(f"the perceptron rule trains one unit with a bias, got {sizes}")
        self._weight, self._bias, self._lr = weight, bias, lr

    def step(self, batch: Batch, moment: Moment) -> Tensor:
        """Go through a batch row by row; returns the share of rows that were wrong."""
        with torch.no_grad():
            weight, bias = self._weight[0].cpu().double(), float(self._bias)
            rows = joined(batch.inputs).cpu().double()
            wrong = 0
            for row, target in zip(rows, batch.target.flatten().tolist(), strict=True):
                error = float(target) - float(float(weight @ row) + bias >= 0)
                if error:
                    weight += self._lr * error * row
                    bias += self._lr * error
                    wrong += 1
            self._weight[0] = weight.to(self._weight)
            self._bias.fill_(bias)
            return self._weight.new_tensor(wrong / max(1, len(rows)))

    def observe(self, value: float) -> None:
        """The rule looks at no validation."""

    def rate(self) -> float:
        """The size of a change."""
        return self._lr

    def tensors(self) -> dict[str, Tensor]:
        """Nothing beside the weights."""
        return {}

    def numbers(self) -> dict[str, Any]:
        """Nothing beside the weights."""
        return {}

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Nothing to load."""
