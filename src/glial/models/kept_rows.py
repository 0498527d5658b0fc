"""Networks that keep training rows, and let a new row follow the nearest of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional.neighbours import nearest
from glial.models.clusters import FittedSettings, PerRow, RowNetwork, Rows, some_of

logger = logging.getLogger(__name__)
Own = TypeVar("Own", bound="KeptRowsSettings")
UNFITTED_ROWS = 8


class KeptRowsSettings(FittedSettings):
    """A model that keeps training rows.

    Attributes:
        kept_rows: How many are kept, and fitted to: all of training, or so many of them, drawn;
            None is 5,000, and of DBSCAN 20,000. Their values stand in the run, scaled.

    Example:
        >>> KeptRowsSettings(kept_rows=50).for_data(1000, 3).kept_rows
        50
    """

    default_rows: ClassVar[int] = 5000

    kept_rows: int | None = Field(default=None, ge=1)

    def for_data(
        self: Own,
        num_rows: int,
        num_inputs: int,
        num_outputs: int = 0,
        task: str = "cluster",
        images: Sequence[Sequence[int]] = (),
    ) -> Own:
        """All rows are kept, or as many as there may be."""
        most = self.kept_rows or self.default_rows
        return self.model_copy(update={"kept_rows": min(most, num_rows)})

    @property
    def count_kept(self) -> int:
        """How many rows are kept; 8 where nobody has chosen."""
        return self.kept_rows or UNFITTED_ROWS


class KeptRows(RowNetwork):
    """A network of rows that are kept.

    Parameters: ``rows`` [kept, number], which descend no gradient.

    Args:
        count: How many.
        shape: Of one row.

    Example:
        >>> KeptRows(2, (3,)).rows.shape
        torch.Size([2, 3])
    """

    def __init__(self, count: int, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.rows = nn.Parameter(torch.zeros(count, self.size), requires_grad=False)

    @torch.no_grad()
    def keep(self, rows: Rows, name: str) -> Int[Tensor, " kept"]:
        """Take rows to keep, and return their numbers.

        Args:
            rows: Training rows, at least as many as are kept.
            name: The model, for what is said where not all are kept.
        """
        flat = rows.flatten(1)
        if len(flat) > len(self.rows):
            logger.warning(
                "%s is fitted to %d of %d rows, which were drawn (model.kept_rows)",
                name,
                len(self.rows),
                len(flat),
            )
        numbers = some_of(flat, len(self.rows)).to(flat.device)
        self.rows.copy_(flat[numbers])
        return numbers

    def nearest_kept(self, rows: Rows) -> tuple[PerRow, Int[Tensor, " row"]]:
        """The distance of each row to the nearest kept one, and which that is."""
        return self.nearest_of(rows, self.rows)

    @staticmethod
    def nearest_of(
        rows: Rows, others: Float[Tensor, "other number"]
    ) -> tuple[PerRow, Int[Tensor, " row"]]:
        """The distance of each row to the nearest of others, and which that is.

        Args:
            rows: Rows.
            others: Kept rows.
        """
        flat = rows.flatten(1).double()
        distances, found = nearest(flat, 1, others.double(), metric="euclidean")
        return distances[:, 0].to(rows), found[:, 0]

    def forward(self, rows: Rows) -> Float[Tensor, "row number"]:
        """The nearest kept row of each row."""
        return self.rows[self.nearest_kept(rows)[1]]

    def distances(self, rows: Rows) -> PerRow:
        """How far each row is from the nearest kept one."""
        return self.nearest_kept(rows)[0]
