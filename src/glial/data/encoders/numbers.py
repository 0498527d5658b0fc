"""Numbers and yes-or-no columns: filled, scaled, flagged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.data.cells import booleans, numbers
from glial.data.scaling import Scaling, size_of
from glial.data.settings import DataSettings

Floats = NDArray[np.float64]
Filling = Literal["value", "mask", "knn", "iterative", "factorization", "vae", "gan"]


@dataclass(frozen=True)
class NumberEncoder:
    """Fills, scales and flags numbers.

    Attributes:
        filling: What becomes of a missing cell: ``value`` puts ``fill`` there before scaling,
            ``mask`` a 0 after scaling, the others leave NaN to an imputer of the whole table.
        fill: What stands in for a missing number.
        scaling: How numbers are scaled.
        flags: Whether a second number tells a missing cell (1) from a present one (0).
    """

    filling: Filling
    fill: float
    scaling: Scaling
    flags: bool

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> NumberEncoder:
        """Statistics of the present cells, and of the filled ones where a value fills them."""
        asked = settings.of(column.name)
        how = asked.missing or "median"
        filling: Filling = how if how in get_args(Filling) else "value"  # type: ignore[assignment]
        values = numbers(column)
        present = values.drop_nulls().to_numpy()
        flags = settings.missing_flags and len(present) < len(values)
        flags = flags or filling == "mask"
        constant = float(asked.missing_value or 0.0) if how == "constant" else None
        if len(present) == 0:
            return cls("value", constant or 0.0, Scaling(), flags)
        fill = _fill(present, how) if constant is None else constant
        if filling == "value":
            present = values.fill_null(fill).to_numpy()
        return cls(filling, fill, Scaling.fit(present, asked.scaling or "standard"), flags)

    @property
    def labels(self) -> list[str]:
        """The value, and the flag."""
        return ["", "is missing"] if self.flags else [""]

    def transform(self, column: pl.Series) -> Floats:
        """Scaled numbers; NaN where an imputer of the whole table is to fill them."""
        values = numbers(column).to_numpy()
        gone = np.isnan(values)
        if self.filling == "value":
            values = np.where(gone, self.fill, values)
        scaled = self.scaling.apply(values)
        if self.filling == "mask":
            scaled = np.where(gone, 0.0, scaled)
        return np.stack([scaled, gone], axis=1) if self.flags else scaled[:, None]

    def restore(self, values: Floats) -> pl.Series:
        """The cells that numbers of :meth:`transform` stand for; missing where so flagged.

        Args:
            values: [row, number], such as a network gives.
        """
        cells = pl.Series(self.scaling.undo(values[:, 0]))
        return cells.set(pl.Series(values[:, 1] > 0.5), None) if self.flags else cells


def _fill(present: Floats, how: str) -> float:
    size = size_of(present)
    if how == "mean":
        return float((present / size).mean()) * size
    if how == "mode":
        values, counts = np.unique(present, return_counts=True)
        return float(values[np.argmax(counts)])
    return float(np.median(present / size)) * size


@dataclass(frozen=True)
class BooleanEncoder:
    """Yes is 1, no is -1, missing is 0."""

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> BooleanEncoder:
        """Nothing to fit."""
        return cls()

    @property
    def labels(self) -> list[str]:
        """The answer."""
        return [""]

    def transform(self, column: pl.Series) -> Floats:
        """-1, 0 or 1."""
        said = column if column.dtype == pl.Boolean else booleans(column)
        return (said.cast(pl.Float64) * 2 - 1).fill_null(0.0).to_numpy()[:, None]

    def restore(self, values: Floats) -> pl.Series:
        """True for what is above 0, else false."""
        return pl.Series(values[:, 0] > 0)
