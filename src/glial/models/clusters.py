"""What networks that put rows into clusters, or are computed from all rows, have in common."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.functional.losses import reduce
from glial.models.unlabelled import Drawn, UnlabelledSettings

Rows = Float[Tensor, "row ..."]
PerRow = Float[Tensor, " row"]
Own = TypeVar("Own", bound="FittedSettings")
DEFAULT_CLUSTERS, MOST_CLUSTERS = 8, 12
LOOKED_AT = 1000  # rows by which the number of clusters is chosen


@runtime_checkable
class Clusters(Protocol):
    """A network that puts rows into clusters.

    Example:
        >>> isinstance(nn.Linear(1, 1), Clusters)
        False
    """

    def assign(self, *rows: Tensor) -> Tensor:
        """The cluster of each row from 0 on, [row]; -1 of a row that belongs to none."""


class Refined(NamedTuple):
    """What a step of fitting came to.

    Attributes:
        loss: The loss before it.
        settled: Whether another step would change nothing.

    Example:
        >>> Refined(torch.zeros(()), settled=True).settled
        True
    """

    loss: Tensor
    settled: bool


@runtime_checkable
class Fits(Protocol):
    """A network whose weights are computed from all rows at once, and descend no gradient.

    Example:
        >>> isinstance(nn.Linear(1, 1), Fits)
        False
    """

    def refine(self, *rows: Tensor, weight: Tensor | None = None) -> Refined:
        """Make the weights fit rows better, or as well as they ever will.

        Args:
            rows: All training rows.
            weight: Weight of each.
        """


class FittedSettings(UnlabelledSettings):
    """A model that is fitted to all rows at once, by its own steps.

    Example:
        >>> FittedSettings.train_defaults("cluster", 500)["batch_size"]
        'full'
    """

    tasks: ClassVar[tuple[str, ...]] = ("cluster",)
    objective: ClassVar[str] = "fitting"

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """All rows in a step, and steps until nothing changes."""
        return {
            "lr": 1.0,
            "batch_size": "full",
            "epochs": 300,
            "patience": None,
            "restore_best": False,
        }

    def for_data(
        self: Own,
        num_rows: int,
        num_inputs: int,
        num_outputs: int = 0,
        task: str = "cluster",
        images: Sequence[Sequence[int]] = (),
    ) -> Own:
        """As it is: what hangs on rows is chosen by looking at them."""
        return self.model_copy()


class ClusteredSettings(FittedSettings):
    """A model of so many clusters.

    Attributes:
        num_clusters: How many; None takes the number, of 2 to 12, whose clusters have the greatest
            silhouette on up to 1,000 training rows.

    Example:
        >>> ClusteredSettings(num_clusters=3).count
        3
    """

    num_clusters: int | None = Field(default=None, ge=1)

    @property
    def count(self) -> int:
        """How many clusters; 8 where nobody has chosen."""
        return self.num_clusters or DEFAULT_CLUSTERS


class RowNetwork(nn.Module):
    """A network that is held against rows as they are.

    Who derives from it gives :meth:`forward`, the rows as the network stands for them.

    Args:
        shape: Of one row.

    Example:
        >>> RowNetwork((2, 3)).size
        6
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.size = prod(shape)

    def forward(self, rows: Rows) -> Rows:
        """The rows as the network stands for them, [row, number]."""
        raise NotImplementedError

    def draw(self, rows: Rows, *, generator: torch.Generator) -> Drawn:
        """The rows themselves: nothing is drawn.

        Args:
            rows: The rows.
            generator: Is not used.
        """
        return Drawn((rows,), rows)

    def loss(self, outputs: Rows, target: Rows, weight: PerRow | None = None) -> Tensor:
        """The mean squared distance of rows to what the network stands for.

        Args:
            outputs: Rows as the network stands for them.
            target: The rows.
            weight: Of each row.
        """
        return reduce((outputs - target.flatten(1)).square().sum(dim=1), weight)

    def distances(self, rows: Rows) -> PerRow:
        """How far each row is from what the network stands for."""
        given: Tensor = self(rows)
        return (given - rows.flatten(1)).square().sum(dim=1).sqrt()

    def measure(self, rows: Rows, *, generator: torch.Generator) -> dict[str, Tensor]:
        """The distance of each row to what the network stands for.

        Args:
            rows: The rows.
            generator: Is not used.
        """
        return {"distance": self.distances(rows)}


def check_distinct(rows: Tensor, num_clusters: int) -> None:
    """Refuse more clusters than there are different rows.

    Args:
        rows: [row, number].
        num_clusters: How many are wanted.

    Raises:
        InputError: If there are too few rows.

    Example:
        >>> check_distinct(torch.eye(3), 3)
    """
    found = len(torch.unique(rows, dim=0))
    if found >= num_clusters:
        return
    raise InputError(
        f"there are too few different rows for {num_clusters} clusters",
        expected=f"at least {num_clusters} different rows",
        got=f"{found:,}",
        do="set model.num_clusters lower",
    )


def check_unweighted(weight: Tensor | None, name: str) -> None:
    """Refuse weights of rows.

    Args:
        weight: Of each row; None of none.
        name: Who takes every row alike.

    Raises:
        InputError: If there are weights.

    Example:
        >>> check_unweighted(None, "tsne")
    """
    if weight is not None:
        raise InputError(
            f"the model {name} takes every row alike",
            expected="rows without weights",
            got="a column of weights",
            do="leave data.weight out",
        )


def some_of(rows: Tensor, most: int) -> Int[Tensor, " kept"]:
    """The numbers of so many rows, in order: all of few, else drawn alike on every machine.

    Args:
        rows: Rows.
        most: How many at most.

    Example:
        >>> some_of(torch.zeros(3, 1), 5).tolist()
        [0, 1, 2]
    """
    if len(rows) <= most:
        return torch.arange(len(rows))
    generator = torch.Generator().manual_seed(0)
    return torch.randperm(len(rows), generator=generator)[:most].sort().values
