"""What networks have in common whose cells compete for rows, and learn with those beside them."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from glial.functional.self_organizing import Fading, Neighborhood

Learning = Literal["batch", "online"]


@runtime_checkable
class Competes(Protocol):
    """A network that `glial.objectives.CompetitiveLearning` can train: cells with a vector each.

    Attributes:
        prototypes: The cells' vectors, [cell, number].
        places: Where cells lie, [cell, 2].
        learning: Row by row (``online``), or from all rows of a batch at once.
        neighborhood: How far a cell's rows teach others.
        rate_decay: How the rate falls.

    Example:
        >>> isinstance(nn.Linear(1, 1), Competes)
        False
    """

    prototypes: nn.Parameter
    places: Tensor
    learning: Learning
    neighborhood: Neighborhood
    rate_decay: Fading

    def flat(self, *rows: Tensor) -> Tensor:
        """Rows as they compete for, [row, number]."""

    def radius(self, share: float) -> float:
        """The neighbourhood's radius after a share of the training."""
