"""Missing numbers filled by regressions on all others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.data.imputers.drawing import Floats, ends_of, noise_of, sampled

Places = NDArray[np.int64]
MAX_REGRESSED_ROWS = 5_000


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

        rows = sampled(rows, MAX_REGRESSED_ROWS, seed)
        if draw:
            generator = np.random.default_rng([seed, draw])
            rows = rows[generator.integers(0, len(rows), len(rows))]
        ends = ends_of(rows)
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
        noise = noise_of(rows[touched], self.draw) if self.draw else None
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
