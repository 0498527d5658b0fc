"""Inputs made from others: products of numbers, principal components, crossed categories."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError, unknown_name
from glial.data.cells import texts

Floats = NDArray[np.float64]
MAX_PRODUCTS = 5_000


@runtime_checkable
class FeatureStep(Protocol):
    """Turns a row's numbers into others."""

    def names(self, before: list[str]) -> list[str]:
        """What each number is afterwards."""

    def transform(self, rows: Floats) -> Floats:
        """The numbers of each row afterwards."""


@dataclass(frozen=True)
class Products:
    """The numbers, and products of them up to a degree.

    Attributes:
        factors: The numbers whose product each new number is, [product, degree]; -1 where a
            product has fewer factors.

    Example:
        >>> Products.fit([0, 1], 2).transform(np.array([[2.0, 3.0]])).tolist()
        [[2.0, 3.0, 4.0, 6.0, 9.0]]
    """

    factors: NDArray[np.int64]

    @classmethod
    def fit(cls, places: Sequence[int], degree: int) -> Products:
        """All products of two to ``degree`` of the numbers at some places.

        Raises:
            InputError: If there would be too many.
        """
        count = math.comb(len(places) + degree, degree) - 1 - len(places)
        if count > MAX_PRODUCTS:
            raise InputError(
                f"data.features.polynomial {degree} would add {count:,} products",
                expected=f"at most {MAX_PRODUCTS:,}",
                got=f"{len(places)} numbers a row",
                do="lower the degree, or choose columns first with data.features.select",
            )
        found = [
            [*chosen, *([-1] * (degree - size))]
            for size in range(2, degree + 1)
            for chosen in itertools.combinations_with_replacement(places, size)
        ]
        return cls(np.array(found, dtype=np.int64).reshape(-1, degree))

    def names(self, before: list[str]) -> list[str]:
        """The numbers' names, then those of their factors."""
        products = [" * ".join(before[i] for i in row if i >= 0) for row in self.factors]
        return before + products

    def transform(self, rows: Floats) -> Floats:
        """The numbers, then the products."""
        ones = np.column_stack([rows, np.ones(len(rows))])
        with np.errstate(over="ignore"):
            products = np.prod(ones[:, self.factors], axis=2)
        return np.column_stack([rows, np.clip(products, -1e300, 1e300)])


@dataclass(frozen=True)
class Components:
    """Principal components: the directions in which the training rows vary most, in turn.

    Attributes:
        mean: Mean of each number, [number].
        directions: Orthogonal directions of unit length, [component, number].
        scales: Standard deviation of the training rows along each, [component].

    Source:
        Pearson (1901), doi:10.1080/14786440109462720; by scikit-learn's ``PCA``.

    Example:
        >>> rows = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
        >>> Components.fit(rows, 0.99).transform(rows).round(2).tolist()
        [[-1.0], [0.0], [1.0]]
    """

    mean: Floats
    directions: Floats
    scales: Floats

    @classmethod
    def fit(cls, rows: Floats, wanted: int | float) -> Components:
        """The components of training rows.

        Args:
            rows: Training rows, [row, number].
            wanted: How many components, or which share of the variance they must hold.

        Raises:
            InputError: If there are fewer numbers or rows than components.
        """
        from sklearn.decomposition import PCA

        most = min(rows.shape)
        if isinstance(wanted, int) and wanted > most:
            raise InputError(
                f"{wanted} principal components cannot be made",
                expected=f"at most {most}",
                got=f"{rows.shape[1]} numbers in {rows.shape[0]} training rows",
                do="lower data.features.pca, or give the share of the variance to keep",
            )
        pca = PCA(n_components=wanted, svd_solver="full").fit(rows)
        directions = pca.components_
        signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])
        scales = np.sqrt(pca.explained_variance_)
        scales = np.where(scales > 1e-12 * max(1e-300, scales.max()), scales, 1.0)
        return cls(pca.mean_, directions * signs[:, None], scales)

    def names(self, before: list[str]) -> list[str]:
        """The components' numbers."""
        return [f"component {number + 1}" for number in range(len(self.directions))]

    def transform(self, rows: Floats) -> Floats:
        """The rows along each component, in its standard deviations."""
        return (rows - self.mean) @ self.directions.T / self.scales


STEPS: dict[str, Any] = {"products": Products, "components": Components}


def cross_name(columns: Sequence[str]) -> str:
    """The name of the category that several columns make.

    Example:
        >>> cross_name(["city", "month"])
        'city x month'
    """
    return " x ".join(columns)


def with_crosses(frame: pl.DataFrame, crosses: Sequence[Sequence[str]]) -> pl.DataFrame:
    """A table with a category for each set of columns: their cells' values together.

    Args:
        frame: The table.
        crosses: Names of the columns of each set.

    Returns:
        The table, columns added; a cell is missing where one of its parts is.

    Raises:
        InputError: If a column is not in the table.

    Example:
        >>> frame = pl.DataFrame({"a": ["x", "y"], "b": [1, None]})
        >>> with_crosses(frame, [["a", "b"]])["a x b"].to_list()
        ['x | 1', None]
    """
    for columns in crosses:
        for name in columns:
            if name not in frame.columns:
                raise unknown_name("column in data.features.crosses", name, frame.columns)
        parts = [texts(frame[name]).alias(str(i)) for i, name in enumerate(columns)]
        joined = pl.DataFrame(parts).select(pl.concat_str(pl.all(), separator=" | "))
        frame = frame.with_columns(joined.to_series().alias(cross_name(columns)))
    return frame
