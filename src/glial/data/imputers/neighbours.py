"""Missing numbers filled by the mean of the nearest rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glial.data.imputers.drawing import Floats, sampled

NUM_NEIGHBOURS = 5
MAX_DONORS = 5_000


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
        donors = sampled(rows, MAX_DONORS, seed)
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
