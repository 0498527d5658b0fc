"""How much each feature contributed to predictions: one form for every method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import polars as pl

from glial.core.errors import InputError
from glial.explanation.functions.games import Floats

Told = TypeVar("Told", bound="Contributions")


@dataclass(frozen=True)
class Contributions:
    """What each feature added to, or took from, one output of each row.

    Attributes:
        names: The features.
        values: Contributions in the output's units, [row, feature].
        base: What is predicted where nothing is known, [row].
        prediction: What is predicted, [row].
        errors: Standard error of each contribution by the method's own sampling, [row, feature]:
            0 where it is exact, NaN where it is not known. That the background is a sample too
            is not in it.
        evaluations: Coalitions that were evaluated for each row.

    Example:
        >>> one = np.ones((1, 1))
        >>> found = Contributions(["a"], one, np.zeros(1), np.ones(1), 0 * one, 2)
        >>> found.gap, found.table().rows()
        (0.0, [(0, 'a', 1.0, 0.0)])
    """

    names: list[str]
    values: Floats
    base: Floats
    prediction: Floats
    errors: Floats
    evaluations: int

    @property
    def gap(self) -> float:
        """How far base and contributions are from the prediction, at most: 0 where they add up."""
        return float(np.abs(self.base + self.values.sum(axis=1) - self.prediction).max())

    @property
    def importance(self) -> Floats:
        """Mean size of each feature's contributions over the rows, [feature]."""
        return np.asarray(np.abs(self.values).mean(axis=0))

    def table(self) -> pl.DataFrame:
        """A row for each row and feature, in their order."""
        num_rows, size = self.values.shape
        return pl.DataFrame(
            {
                "row": np.repeat(np.arange(num_rows), size),
                "feature": self.names * num_rows,
                "contribution": self.values.ravel(),
                "standard_error": self.errors.ravel(),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The attributes as JSON takes them."""
        arrays = ("values", "base", "prediction", "errors")
        return {
            "names": self.names,
            **{name: getattr(self, name).tolist() for name in arrays},
            "gap": self.gap,
            "evaluations": self.evaluations,
        }


def joined(parts: Sequence[Told], places: Sequence[Any]) -> Told:
    """Contributions to different outputs of different rows, brought into the rows' order.

    Args:
        parts: Contributions with the same features.
        places: For each part the numbers of its rows.

    Raises:
        InputError: If there are none, or their features differ.

    Example:
        >>> one = np.ones((1, 1))
        >>> one = Contributions(["a"], one, np.zeros(1), np.ones(1), 0 * one, 2)
        >>> joined([one, one], [[1], [0]]).values.shape
        (2, 1)
    """
    if not parts or any(part.names != parts[0].names for part in parts):
        raise InputError("there are no contributions of the same features to join")
    order = np.argsort(np.concatenate(places))
    arrays: dict[str, Any] = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])[order]
        for field in fields(parts[0])
        if isinstance(getattr(parts[0], field.name), np.ndarray)
    }
    return replace(parts[0], evaluations=max(part.evaluations for part in parts), **arrays)
