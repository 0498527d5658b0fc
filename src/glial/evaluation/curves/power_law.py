"""How errors fall with the number of rows: a power law, and what more rows would bring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError

Floats = NDArray[np.float64]
STEEPEST = 3.0  # exponents beyond this are not met, and make fits of few points wild
FEWEST = 4  # sizes: one more than the law has numbers to choose


@dataclass(frozen=True)
class PowerLaw:
    """An error that falls with the number of rows: ``floor + scale (rows / at) ** -exponent``.

    Attributes:
        scale: The part of the error at ``at`` rows that more rows would take away.
        exponent: How fast it goes.
        floor: What no number of rows takes away.
        at: The largest number of rows that was seen.
        covariance: Of scale, exponent and floor, by the scatter around the fit, [3, 3].
        freedom: Points beyond the three numbers that were chosen.

    Example:
        >>> law = PowerLaw(0.2, 0.5, 0.1, 100, np.zeros((3, 3)), 5)
        >>> round(law.error(400), 6)
        0.2
    """

    scale: float
    exponent: float
    floor: float
    at: int
    covariance: Floats
    freedom: int

    def error(self, rows: float) -> float:
        """The error that the law gives for a number of rows."""
        return self.floor + self.scale * math.exp(-self.exponent * math.log(rows / self.at))

    def interval(self, rows: float, confidence: float = 0.95) -> tuple[float, float]:
        """Between which ends the law's error lies, by the delta method; not below 0.

        Args:
            rows: Number of rows.
            confidence: Of the interval.
        """
        reach = self._reach(self._slope(rows), confidence)
        return max(0.0, self.error(rows) - reach), self.error(rows) + reach

    def gain(self, rows: float, confidence: float = 0.95) -> tuple[float, float, float]:
        """By how much the error falls from ``at`` to a number of rows, and between which ends.

        Args:
            rows: Number of rows.
            confidence: Of the interval, which begins below 0 where no fall is shown.
        """
        reach = self._reach(self._slope(self.at) - self._slope(rows), confidence)
        gain = self.error(self.at) - self.error(rows)
        return gain, gain - reach, gain + reach

    def _slope(self, rows: float) -> Floats:
        return _slopes(np.array([self.scale, self.exponent, self.floor]), rows / self.at)

    def _reach(self, slope: Floats, confidence: float) -> float:
        """Half the length of an interval of what has these derivatives."""
        from scipy.stats import t

        spread = math.sqrt(max(0.0, float(slope @ self.covariance @ slope)))
        return float(t.ppf((1 + confidence) / 2, self.freedom)) * spread

    def to_dict(self) -> dict[str, Any]:
        """The numbers of the law, and what it says of twice as many rows."""
        low, high = self.interval(2 * self.at)
        gain = dict(zip(("gain", "gain_low", "gain_high"), self.gain(2 * self.at), strict=True))
        return {
            "scale": self.scale,
            "exponent": self.exponent,
            "floor": self.floor,
            "at": self.at,
            "here": self.error(self.at),
            "twice": {"error": self.error(2 * self.at), "low": low, "high": high, **gain},
        }


def _slopes(numbers: Floats, ratio: Any) -> Floats:
    """The derivatives of the error by scale, exponent and floor, [..., 3]."""
    falling = np.asarray(ratio, dtype=np.float64) ** -numbers[1]
    by_exponent = -numbers[0] * falling * np.log(ratio)
    return np.stack([falling, by_exponent, np.ones_like(falling)], axis=-1)


def fit_power_law(rows: Sequence[int], errors: Sequence[float]) -> PowerLaw:
    """The power law nearest to errors at numbers of rows.

    Errors are taken to scatter in proportion to their size.

    Args:
        rows: Number of rows of each training.
        errors: The error of each, at least 0, which better networks have lower.

    Returns:
        The law; scale, exponent and floor are at least 0.

    Raises:
        InputError: If there are fewer than four different numbers of rows, or an error is
            negative or not finite.

    Source:
        Cortes, Jackel, Solla, Vapnik and Denker 1993, Learning curves: asymptotic values and
        rate of convergence; Hestness et al. 2017, arXiv 1712.00409.

    Example:
        >>> sizes = [100, 200, 400, 800, 1600]
        >>> law = fit_power_law(sizes, [0.1 + 5 * n**-0.5 for n in sizes])
        >>> round(law.exponent, 3), round(law.floor, 3), round(law.error(6400), 4)
        (0.5, 0.1, 0.1625)
    """
    from scipy.optimize import least_squares

    sizes, found = np.asarray(rows, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if len(np.unique(sizes)) < FEWEST or not np.isfinite(found).all() or (found < 0).any():
        raise InputError(
            "no law can be fitted to these errors",
            expected=f"errors of at least 0 at {FEWEST} or more different numbers of rows",
            got=f"{found.tolist()} at {sizes.tolist()}",
            do="ask for more sizes",
        )
    most = float(sizes.max())
    ratio = sizes / most
    level = max(float(np.median(found)), 1e-12)
    mean_of = {size: found[sizes == size].mean() for size in np.unique(sizes)}
    scatter = np.array([max(mean_of[size], 1e-3 * level) for size in sizes])

    def off(numbers: Floats) -> Floats:
        return np.asarray((numbers[2] + numbers[0] * ratio ** -numbers[1] - found) / scatter)

    last, first = mean_of[most], mean_of[float(sizes.min())]
    starts = [
        np.array([max(share * last, 1e-9 * level), exponent, (1 - share) * last])
        for share in (0.1, 0.5, 0.9)
        for exponent in (0.2, 0.5, 1.0)
    ]
    starts = starts if first > last else [*starts, np.array([1e-9 * level, 0.5, float(last)])]
    bounds = ([0.0, 0.0, 0.0], [np.inf, STEEPEST, np.inf])
    size = np.array([level, 1.0, level])
    fits = [least_squares(off, start, bounds=bounds, x_scale=size) for start in starts]
    best = min(fits, key=lambda fit: float(fit.cost))
    freedom = max(1, len(found) - 3)
    slopes = _slopes(best.x, ratio) / scatter[:, None] * size
    covariance = np.linalg.pinv(slopes.T @ slopes, rcond=1e-10) * np.outer(size, size)
    covariance *= 2 * float(best.cost) / freedom
    scale, exponent, floor = map(float, best.x)
    return PowerLaw(scale, exponent, floor, int(most), covariance, freedom)
