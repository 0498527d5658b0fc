"""What networks have in common that tell how far rows are from those that they learnt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

STEPS = 16


@runtime_checkable
class ScoresAnomalies(Protocol):
    """A network that tells how anomalous rows are, and what in them is.

    Nothing is drawn: the same rows have the same scores.

    Example:
        >>> isinstance(torch.nn.Linear(1, 1), ScoresAnomalies)
        False
    """

    def scores(self, *rows: Tensor) -> Tensor:
        """How anomalous each row is, [row]; higher is more."""

    def parts(self, *rows: Tensor) -> Tensor:
        """What each number of a row adds to its score, in the shape of the first of ``rows``."""


def parts_of_way(
    scores: Callable[..., Tensor], *rows: Tensor, start: Tensor | None = None, steps: int = STEPS
) -> Tensor:
    r"""What each number adds to a score on the straight way from a usual row to the one there is.

    The derivative of the score by each number, averaged over the middles of equal steps of the
    way, times how far the number goes. All parts of a row add up to the difference of the two
    scores, but for the error of the steps.

    Args:
        scores: Of rows, [row], differentiable.
        rows: The rows; what stands behind the first is not moved.
        start: The usual row, [...]; None is all zeros, the mean of standardised numbers.
        steps: How many.

    Returns:
        In the shape of the first of ``rows``.

    Source:
        Sundararajan, Taly, Yan (2017), "Axiomatic attribution for deep networks", arXiv
        1703.01365, equation 3.

    Example:
        >>> parts_of_way(lambda rows: rows.square().sum(dim=1), torch.tensor([[1.0, -2.0]]))
        tensor([[1., 4.]])
    """
    first, others = rows[0].detach(), rows[1:]
    begin = torch.zeros_like(first[:1]) if start is None else start[None]
    way = first - begin
    total = torch.zeros_like(first)
    with torch.enable_grad():
        for step in range(steps):
            points = (begin + way * ((step + 0.5) / steps)).detach().requires_grad_()
            total += torch.autograd.grad(scores(points, *others).sum(), points)[0]
    return total * way / steps
