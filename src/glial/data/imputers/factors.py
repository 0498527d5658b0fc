"""Missing numbers filled from a few common profiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glial.data.imputers.drawing import Floats, ends_of, sampled

MAX_FITTED_ROWS = 20_000
MAX_RANK = 8
RIDGE = 1.0


@dataclass(frozen=True)
class FactorImputer:
    """Rows as mixtures of a few common profiles, found from the numbers that are there.

    Attributes:
        profiles: The common profiles and, last, each number's level, [number, profile].
        ends: The least and the greatest training value of each number, which no filled one
            leaves, [2, number].

    Source:
        Koren, Bell, Volinsky (2009), "Matrix factorization techniques for recommender
        systems", doi:10.1109/MC.2009.263, by alternating least squares with a ridge.

    Example:
        >>> rows = np.outer(np.arange(-4.0, 5.0), [1.0, 2.0, -1.0])
        >>> rows[7, 1] = np.nan
        >>> bool(abs(FactorImputer.fit(rows).fill(rows)[7, 1] - 6.0) < 1.5)
        True
    """

    profiles: Floats
    ends: Floats

    def __post_init__(self) -> None:
        if self.profiles.ndim != 2 or self.ends.shape != (2, len(self.profiles)):
            raise ValueError("the profiles of an imputer and their ends do not fit")

    @classmethod
    def fit(cls, rows: Floats, draw: int | None = None, seed: int = 0) -> FactorImputer:
        """Alternates between the rows' mixtures and the profiles."""
        rows = sampled(rows, MAX_FITTED_ROWS, seed)
        present = ~np.isnan(rows)
        values = np.where(present, rows, 0.0)
        counts = np.maximum(present.sum(axis=0), 1)
        rank = max(1, min(MAX_RANK, rows.shape[1] // 2))
        generator = np.random.default_rng(seed)
        start = 0.1 * generator.normal(size=(rows.shape[1], rank))
        level = values.sum(axis=0, keepdims=True).T / counts[:, None]
        profiles = np.concatenate([start, level], axis=1, dtype=np.float64)
        for _ in range(30):
            mixtures = _mixtures(values, present, profiles)
            ones = np.column_stack([mixtures, np.ones(len(mixtures))])
            profiles = _ridge_solutions(values.T, present.T, ones)
        return cls(profiles, ends_of(rows))

    def fill(self, rows: Floats) -> Floats:
        """The rows with every NaN replaced."""
        present = ~np.isnan(rows)
        mixtures = _mixtures(np.where(present, rows, 0.0), present, self.profiles)
        said = mixtures @ self.profiles[:, :-1].T + self.profiles[:, -1]
        return np.where(present, rows, np.clip(said, *self.ends))


def _mixtures(values: Floats, present: NDArray[np.bool_], profiles: Floats) -> Floats:
    """The mixture of each row, by ridge regression on the numbers that are there."""
    return _ridge_solutions(values - present * profiles[:, -1], present, profiles[:, :-1])


def _ridge_solutions(values: Floats, present: NDArray[np.bool_], design: Floats) -> Floats:
    """For each row: the ridge solution over its present places."""
    width = design.shape[1]
    products = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    gram = (present @ products).reshape(-1, width, width) + RIDGE * np.eye(width)
    solved = np.linalg.solve(gram, (values @ design)[:, :, None])[:, :, 0]
    return np.asarray(solved, dtype=np.float64)
