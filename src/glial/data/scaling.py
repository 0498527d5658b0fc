"""How numbers are scaled and scaled back: fitted on training values, monotone, saved as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glial.data.settings import ScalingName

Floats = NDArray[np.float64]
_HUGE, _GIANT, _TINY = 1e300, 1e100, 1e-300
_NUM_KNOTS = 1000
_FITTED_ROWS = 50_000
# The normal quantile of 1e-7, where scikit-learn's quantile transformer ends too.
_TAIL = 5.199337582605575
_BEND = 3.0


@dataclass(frozen=True)
class Scaling:
    """A monotone map of numbers.

    Attributes:
        how: ``standard`` (mean 0, variance 1), ``minmax`` (0 to 1), ``robust`` (median and
            quartiles, bent smoothly into (-3, 3)), ``quantile`` (to a normal distribution),
            ``power`` (Yeo-Johnson, then standard) or ``none``.
        shift: Subtracted first (of ``power``: second).
        factor: Multiplied next.
        power: Yeo-Johnson's lambda.
        knots: Quantiles of the training values, rising, of ``quantile``; the least and the
            greatest of ``power``, because its way back may run away beyond them.

    Source:
        Yeo and Johnson (2000), doi:10.1093/biomet/87.4.954; robust: Holzmüller et al. (2024),
        arXiv 2407.04491, section 3.1.

    Example:
        >>> scaling = Scaling.fit(np.array([1.0, 2.0, 3.0]), "minmax")
        >>> scaling.apply(np.array([2.0, 5.0])).tolist(), scaling.undo(np.array([0.5])).tolist()
        ([0.5, 2.0], [2.0])
    """

    how: ScalingName = "none"
    shift: float = 0.0
    factor: float = 1.0
    power: float = 1.0
    knots: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        wanted = self.how in ("quantile", "power")
        if (len(self.knots) >= 2) != wanted or (self.knots[1:] < self.knots[:-1]).any():
            raise ValueError("the knots of a scaling do not fit its kind")

    @classmethod
    def fit(cls, values: Floats, how: ScalingName) -> Scaling:
        """The scaling of some values.

        Args:
            values: Finite numbers, at least one.
            how: Which scaling.
        """
        if how == "quantile":
            levels = np.linspace(0, 1, min(_NUM_KNOTS, max(2, len(values))))
            knots = np.maximum.accumulate(np.quantile(_thinned(values), levels))
            return cls(how, knots=knots)
        if how == "power":
            power = _yeo_johnson_power(values)
            ends = np.array([values.min(), values.max()])
            spread = _mean_and_spread(_yeo_johnson(values, power))
            return cls(how, *spread, power=power, knots=ends)
        return cls(how, *_AFFINE[how](values))

    def apply(self, values: Floats) -> Floats:
        """The scaled values; NaN stays NaN, nothing becomes infinite.

        Args:
            values: Numbers in the units of the fitted ones.
        """
        if self.how == "quantile":
            return self._to_normal(values)
        if self.how == "power":
            values = _yeo_johnson(values, self.power)
        with np.errstate(over="ignore"):
            distance = np.clip(values - self.shift, -_HUGE, _HUGE)
            scaled = np.clip(distance * self.factor, -_HUGE, _HUGE)
        return scaled / np.hypot(1.0, scaled / _BEND) if self.how == "robust" else scaled

    def undo(self, scaled: Floats) -> Floats:
        """The values that :meth:`apply` maps to these; beyond its range, the nearest end.

        Args:
            scaled: Scaled numbers.
        """
        if self.how == "quantile":
            from scipy.special import ndtr

            levels = np.linspace(0, 1, len(self.knots))
            levels_of: Floats = ndtr(scaled)
            return np.interp(levels_of, levels, self.knots)
        if self.how == "robust":
            share = np.clip(scaled / _BEND, -1 + 1e-12, 1 - 1e-12)
            scaled = scaled / np.sqrt(1 - share**2)
        values = scaled / (self.factor or 1.0) + self.shift
        if self.how == "power":
            values = np.clip(_yeo_johnson_back(values, self.power), *self.knots[[0, -1]])
        return values

    def _to_normal(self, values: Floats) -> Floats:
        from scipy.special import ndtri

        levels = np.linspace(0, 1, len(self.knots))
        # The middle of the levels that a value holds, where many training values were the same.
        rising = np.interp(values, self.knots, levels)
        falling = np.interp(-values, -self.knots[::-1], -levels[::-1])
        normal: Floats = np.clip(ndtri((rising - falling) / 2), -_TAIL, _TAIL)
        return normal


def size_of(values: Floats) -> float:
    """What to divide by so that sums and squares of the values stay finite; mostly 1.

    Example:
        >>> size_of(np.array([3.0])), size_of(np.array([1e200]))
        (1.0, 1e+200)
    """
    largest = float(np.abs(values).max())
    return largest if largest > _GIANT else 1.0


def _mean_and_spread(values: Floats) -> tuple[float, float]:
    size = size_of(values)
    values = values / size
    mean, std = float(values.mean()), float(values.std())
    differ = std > max(_TINY, 1e-13 * abs(mean))
    return mean * size, 1 / std / size if differ else 1.0


def _least_and_range(values: Floats) -> tuple[float, float]:
    size = size_of(values)
    low, width = float(values.min()), float(np.ptp(values / size))
    return low, 1 / width / size if width > _TINY else 1.0


def _median_and_quartiles(values: Floats) -> tuple[float, float]:
    """The median and the quartiles' distance, or half the range where the quartiles agree."""
    size = size_of(values)
    values = values / size
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    width = high - low if high > low else 0.5 * (values.max() - values.min())
    return float(middle) * size, float(1 / width) / size if width > _TINY else 0.0


_AFFINE: dict[str, Callable[[Floats], tuple[float, float]]] = {
    "standard": _mean_and_spread,
    "minmax": _least_and_range,
    "robust": _median_and_quartiles,
    "none": lambda values: (0.0, 1.0),
}


def _thinned(values: Floats) -> Floats:
    """At most so many values, evenly through them: enough for quantiles and powers."""
    return values[:: max(1, len(values) // _FITTED_ROWS)]


def _yeo_johnson_power(values: Floats) -> float:
    """The power of the greatest likelihood; 1, which changes nothing, where there is none."""
    from scipy.optimize import minimize_scalar

    values = _thinned(values)
    if size_of(values) != 1.0 or np.ptp(values) <= 1e-12 * np.abs(values).max():
        return 1.0
    logs = float(np.sum(np.sign(values) * np.log1p(np.abs(values))))

    def unlikeliness(power: float) -> float:
        with np.errstate(all="ignore"):
            variance = float(_yeo_johnson(values, power).var())
            if not 0 < variance < np.inf:
                return _HUGE
            return float(len(values) / 2 * np.log(variance) - (power - 1) * logs)

    found = minimize_scalar(unlikeliness, bounds=(-5, 5), method="bounded", options={"xatol": 1e-6})
    return float(found.x) if found.fun < _HUGE else 1.0


def _yeo_johnson(values: Floats, power: float) -> Floats:
    size = np.abs(values)
    up, down = _box_cox(size, power), -_box_cox(size, 2 - power)
    return np.where(np.isnan(values), np.nan, np.where(values >= 0, up, down))


def _box_cox(size: Floats, power: float) -> Floats:
    """``((1 + size)^power - 1) / power``, the logarithm at power 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        logs = np.log1p(size)
        grown = logs if abs(power) < 1e-12 else np.expm1(power * logs) / power
    return np.clip(grown, -_HUGE, _HUGE)


def _yeo_johnson_back(values: Floats, power: float) -> Floats:
    size = np.abs(values)
    up, down = _box_cox_back(size, power), -_box_cox_back(size, 2 - power)
    return np.where(values >= 0, up, down)


def _box_cox_back(grown: Floats, power: float) -> Floats:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if abs(power) < 1e-12:
            back = np.expm1(grown)
        else:
            # A negative power has a ceiling, -1 / power, that predictions may pass.
            base = np.maximum(power * grown, -1 + 1e-12)
            back = np.expm1(np.log1p(base) / power)
    return np.clip(back, -_HUGE, _HUGE)
