"""Missing numbers filled from the rest of the row: neighbours, regressions, low rank.

Every imputer sees numbers that are scaled already, NaN where they are missing. It is fitted on
training rows alone, and fills each row by that row alone.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
logger = logging.getLogger(__name__)

NUM_NEIGHBOURS = 5
MAX_DONORS = 5_000
MAX_FITTED_ROWS = 20_000
MAX_REGRESSED_ROWS = 5_000
MAX_RANK = 8
RIDGE = 1.0


@runtime_checkable
class Imputer(Protocol):
    """Fills missing numbers; fitted by a classmethod ``fit(rows, draw, seed)``."""

    def fill(self, rows: Floats) -> Floats:
        """The rows with every NaN replaced, in a new array."""


@dataclass(frozen=True)
class NeighbourImputer:
    """The mean of the nearest training rows that have the number.

    Attributes:
        donors: Training rows, 0 where they miss a number, [row, number].
        known: 1 where a donor has the number, else 0, [row, number].

    Source:
        Troyanskaya et al. (2001), "Missing value estimation methods for DNA microarrays",
        doi:10.1093/bioinformatics/17.6.520; the work is scikit-learn's ``KNNImputer``.

    Example:
        >>> rows = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, np.nan]])
        >>> NeighbourImputer.fit(rows).fill(rows)[2].tolist()
        [3.0, 15.0]
    """

    donors: Floats
    known: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.donors.ndim != 2 or self.donors.shape != self.known.shape:
            raise ValueError("donors and what is known of them do not fit")

    @classmethod
    def fit(cls, rows: Floats, draw: int | None = None, seed: int = 0) -> NeighbourImputer:
        """Keeps training rows to take from; at most so many, drawn at random."""
        donors = _sample(rows, MAX_DONORS, seed)
        return cls(np.nan_to_num(donors), (~np.isnan(donors)).astype(np.int64))

    def fill(self, rows: Floats) -> Floats:
        """The rows with every NaN replaced."""
        from sklearn.impute import KNNImputer

        gone = np.isnan(rows).any(axis=1)
        filled = rows.copy()
        if gone.any():
            imputer = KNNImputer(n_neighbors=NUM_NEIGHBOURS, keep_empty_features=True)
            donors = np.where(self.known == 1, self.donors, np.nan)
            filled[gone] = imputer.fit(donors).transform(rows[gone])
        return filled


@dataclass(frozen=True)
class RegressionImputer:
    """Each number regressed on all others, round after round.

    Attributes:
        start: What stands for each number before the first regression, [number].
        places: Which number each step fills, [step].
        weights: Weights on the other numbers, 0 on the step's own, [step, number].
        intercepts: Of each step, [step].
        spreads: Standard deviation of what is drawn around each step's prediction, [step].
        ends: The least and the greatest training value of each number, which no prediction
            leaves, [2, number].
        draw: Which draw this is, from 1; 0 draws nothing.

    Source:
        van Buuren and Groothuis-Oudshoorn (2011), "mice: multivariate imputation by chained
        equations", doi:10.18637/jss.v045.i03; fitted by scikit-learn's ``IterativeImputer``.

    Example:
        >>> rows = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, np.nan], [4.0, 8.0]])
        >>> RegressionImputer.fit(rows).fill(rows)[2].round(2).tolist()
        [3.0, 6.0]
    """

    start: Floats
    places: Places
    weights: Floats
    intercepts: Floats
    spreads: Floats
    ends: Floats
    draw: int

    def __post_init__(self) -> None:
        steps, numbers = self.weights.shape
        fit = self.start.shape == self.ends.shape[1:] == (numbers,) and len(self.places) == steps
        if not (fit and len(self.intercepts) == len(self.spreads) == steps):
            raise ValueError("the steps of an imputer do not fit together")

    @classmethod
    def fit(cls, rows: Floats, draw: int | None = None, seed: int = 0) -> RegressionImputer:
        """Fits the regressions; for a draw, on rows drawn with replacement.

        Args:
            rows: Training rows, [row, number].
            draw: Which of several imputations this is; None fills with the mean prediction.
            seed: Of the rows that are drawn.
        """
        from sklearn.experimental import enable_iterative_imputer  # noqa: F401
        from sklearn.impute import IterativeImputer

        rows = _sample(rows, MAX_REGRESSED_ROWS, seed)
        if draw:
            generator = np.random.default_rng([seed, draw])
            rows = rows[generator.integers(0, len(rows), len(rows))]
        ends = _ends(rows)
        imputer: Any = IterativeImputer(
            skip_complete=True,
            keep_empty_features=True,
            min_value=ends[0] - 1e-9,
            max_value=ends[1] + 1e-9,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            imputer.fit(rows)
        steps = imputer.imputation_sequence_
        weights = np.zeros((len(steps), rows.shape[1]))
        for number, step in enumerate(steps):
            weights[number, step.neighbor_feat_idx] = step.estimator.coef_
        spreads = [float(step.estimator.alpha_) ** -0.5 if draw else 0.0 for step in steps]
        return cls(
            np.nan_to_num(imputer.initial_imputer_.statistics_.astype(np.float64)),
            np.array([step.feat_idx for step in steps], dtype=np.int64),
            weights,
            np.array([float(step.estimator.intercept_) for step in steps]),
            np.array(spreads),
            ends,
            draw or 0,
        )

    def fill(self, rows: Floats) -> Floats:
        """The rows with every NaN replaced."""
        filled = rows.copy()
        gone = np.isnan(rows)
        touched = np.flatnonzero(gone.any(axis=1))
        if len(touched) == 0:
            return filled
        part, missing = np.where(gone, self.start, rows)[touched], gone[touched]
        noise = _noise(rows[touched], self.draw) if self.draw else None
        for place, weights, intercept, spread in zip(
            self.places, self.weights, self.intercepts, self.spreads, strict=True
        ):
            wanted = missing[:, place]
            said = part[wanted] @ weights + intercept
            if noise is not None:
                said = said + spread * noise[wanted, place]
            part[wanted, place] = np.clip(said, *self.ends[:, place])
        filled[touched] = part
        return filled


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
        rows = _sample(rows, MAX_FITTED_ROWS, seed)
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
        return cls(profiles, _ends(rows))

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


def _ends(rows: Floats) -> Floats:
    """The least and the greatest present value of each number; 0 where none is present."""
    gone = np.isnan(rows)
    low = np.where(gone, np.inf, rows).min(axis=0)
    high = np.where(gone, -np.inf, rows).max(axis=0)
    ends: Floats = np.where(gone.all(axis=0), 0.0, np.stack([low, high]))
    return ends


def _sample(rows: Floats, limit: int, seed: int) -> Floats:
    if len(rows) <= limit:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), limit, replace=False))]


def _noise(rows: Floats, draw: int) -> Floats:
    """Standard normal numbers that depend on a row's own content and the draw, not its place.

    So a row alone is filled as it is in a table, today and tomorrow.
    """
    bits = np.where(np.isnan(rows), np.float32(0.5), rows).astype(np.float32).view(np.uint32)
    places = np.arange(1, rows.shape[1] + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        row = np.bitwise_xor.reduce(_mixed(bits.astype(np.uint64) + (places << np.uint64(32))), 1)
        keys = row[:, None] + places * np.uint64(0x9E3779B97F4A7C15) + np.uint64(draw * 7919)
    from scipy.special import ndtri

    shares = (_mixed(keys) >> np.uint64(11)).astype(np.float64) / 2**53
    normal: Floats = ndtri(np.clip(shares, 1e-12, 1 - 1e-12))
    return normal


def _mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Well-mixed bits of each key (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


IMPUTERS: dict[str, Any] = {
    "knn": NeighbourImputer,
    "iterative": RegressionImputer,
    "factorization": FactorImputer,
}
