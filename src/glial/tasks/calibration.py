"""Probabilities that say how often they are right: calibrators, fitted on validation rows."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from glial.core.errors import InputError
from glial.tasks.fitted import LEAST_ROWS, Fitted
from glial.tasks.metrics import Codes, Floats
from glial.tasks.settings import CalibrationName

COLDEST, HOTTEST = 0.01, 100.0
_TINY = np.finfo(np.float64).tiny


class _Calibrator(Fitted):
    """A fitted calibrator."""

    @property
    def num_classes(self) -> int | None:
        """Classes that it was fitted for; None suits any number."""
        return None


class Temperature(_Calibrator):
    """One number that all scores are divided by: confidence changes, and no prediction.

    Source:
        Guo, Pleiss, Sun, Weinberger (2017), "On calibration of modern neural networks",
        equation (9), arXiv 1706.04599.

    Example:
        >>> Temperature(temperature=2.0).apply(np.array([[0.8, 0.2]])).round(3).tolist()
        [[0.667, 0.333]]
    """

    method: Literal["temperature"] = "temperature"
    temperature: Annotated[float, Field(gt=0)]

    @classmethod
    def fit(cls, shares: Floats, truth: Codes, weight: Floats) -> Temperature:
        """The temperature of least log loss.

        Args:
            shares: Probabilities, [row, class].
            truth: Class of each row.
            weight: Weight of each row.

        Raises:
            InputError: If every row is right, as the best temperature is then 0.
        """
        from scipy.optimize import minimize_scalar

        logs = _logs(shares)
        rows = np.arange(len(truth))
        if (logs[rows, truth] >= logs.max(axis=1))[weight > 0].all():
            raise InputError(
                "no temperature is best on the validation rows",
                expected="at least one row that the network gets wrong",
                got=f"{len(truth)} rows, all right: the log loss falls as the temperature does",
                do="keep more rows for validation, or set task.calibration=platt",
            )

        def loss(log_temperature: float) -> float:
            return _log_loss(logs / math.exp(log_temperature), truth, weight)

        ends = (math.log(COLDEST), math.log(HOTTEST))
        found = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-9})
        return cls(temperature=float(math.exp(found.x)))

    def apply(self, shares: Floats) -> Floats:
        """Calibrated probabilities, [row, class]."""
        return _softmax(_logs(shares) / self.temperature)


class Platt(_Calibrator):
    """A sigmoid of a scaled and shifted score; of several classes one against the rest.

    The targets are smoothed by the number of rows, so that rows which are told apart without an
    error do not make it certain. The probabilities of several classes are divided by their sum.

    Source:
        Platt (1999), "Probabilistic outputs for support vector machines", section 2; the sums are
        those of Lin, Lin, Weng (2007), doi:10.1007/s10994-007-5018-6.

    Example:
        >>> Platt(slopes=[0.5], shifts=[0.0]).apply(np.array([[0.8, 0.2]])).round(3).tolist()
        [[0.667, 0.333]]
    """

    method: Literal["platt"] = "platt"
    slopes: list[float] = Field(min_length=1)
    shifts: list[float] = Field(min_length=1)

    @property
    def num_classes(self) -> int:
        """Two for one sigmoid, else as many as there are."""
        return _same_length(self.slopes, self.shifts)

    @classmethod
    def fit(cls, shares: Floats, truth: Codes, weight: Floats) -> Platt:
        """The sigmoids of least log loss, arguments as for :meth:`Temperature.fit`."""
        fitted = [_sigmoid(p, truth == c, weight) for c, p in _against_rest(shares)]
        return cls(slopes=[slope for slope, _ in fitted], shifts=[shift for _, shift in fitted])

    def apply(self, shares: Floats) -> Floats:
        """Calibrated probabilities, [row, class]."""
        from scipy.special import expit

        odds = np.stack([_log_odds(p) for _, p in _against_rest(shares)], axis=1)
        return _joined(expit(odds * np.array(self.slopes) + np.array(self.shifts)))


class Isotonic(_Calibrator):
    """A rising curve of as many steps as the rows ask for; of several classes one each.

    It needs many rows, and says 0 and 1 outright where all rows agree. The probabilities of
    several classes are divided by their sum.

    Source:
        Zadrozny, Elkan (2002), "Transforming classifier scores into accurate multiclass
        probability estimates", doi:10.1145/775047.775151; the curve is scikit-learn's.

    Example:
        >>> curve = Isotonic(places=[[0.0, 0.5]], heights=[[0.1, 0.9]])
        >>> curve.apply(np.array([[0.75, 0.25]])).tolist()
        [[0.5, 0.5]]
    """

    method: Literal["isotonic"] = "isotonic"
    places: list[Annotated[list[float], Field(min_length=1)]] = Field(min_length=1)
    heights: list[list[Annotated[float, Field(ge=0, le=1)]]] = Field(min_length=1)

    @property
    def num_classes(self) -> int:
        """Two for one curve, else as many as there are."""
        for places, heights in zip(self.places, self.heights, strict=True):
            if len(places) != len(heights) or (np.diff(places) <= 0).any():
                raise ValueError("the steps of a calibration do not rise")
        return _same_length(self.places, self.heights)

    @classmethod
    def fit(cls, shares: Floats, truth: Codes, weight: Floats) -> Isotonic:
        """The curves of least squared error, arguments as for :meth:`Temperature.fit`.

        Raises:
            InputError: If a class has no row, which would make it impossible.
        """
        from sklearn.isotonic import IsotonicRegression

        present = np.isin(np.arange(shares.shape[1]), truth[weight > 0])
        if not present.all():
            raise InputError(
                "the validation rows lack a class, which an isotonic calibration needs",
                expected=f"rows of all {len(present)} classes",
                got=f"rows of {int(present.sum())}",
                do="keep more rows for validation, or set task.calibration=temperature",
            )
        curves = []
        for code, p in _against_rest(shares):
            curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
            curves.append(curve.fit(p, truth == code, sample_weight=weight))
        return cls(
            places=[curve.X_thresholds_.tolist() for curve in curves],
            heights=[curve.y_thresholds_.tolist() for curve in curves],
        )

    def apply(self, shares: Floats) -> Floats:
        """Calibrated probabilities, [row, class]."""
        parts = zip(_against_rest(shares), self.places, self.heights, strict=True)
        return _joined(np.stack([np.interp(p, x, y) for (_, p), x, y in parts], axis=1))


class Vector(_Calibrator):
    """A scale and a shift for the score of each class.

    Scores are the logarithms of probabilities, less their mean over a row's classes: what a
    network adds to all of them does not matter, and averages of networks have scores too. Scales
    and shifts are drawn towards 1 and 0 as by one row, so that they are finite on any rows.

    Source:
        Guo, Pleiss, Sun, Weinberger (2017), section 4.2, arXiv 1706.04599.

    Example:
        >>> same = Vector(scales=[1.0, 1.0], shifts=[0.0, 0.0])
        >>> same.apply(np.array([[0.8, 0.2]])).round(3).tolist()
        [[0.8, 0.2]]
    """

    method: Literal["vector"] = "vector"
    scales: list[float] = Field(min_length=2)
    shifts: list[float] = Field(min_length=2)
    pull: ClassVar[float] = 1.0

    @property
    def num_classes(self) -> int:
        """A scale each."""
        _same_length(self.scales, self.shifts)
        return len(self.scales)

    @classmethod
    def fit(cls, shares: Floats, truth: Codes, weight: Floats) -> Vector:
        """Scales and shifts of least log loss, arguments as for :meth:`Temperature.fit`."""
        scores, size = _scores(shares), shares.shape[1]
        shared = weight / weight.sum()
        start = np.concatenate([np.ones(size), np.zeros(size)])

        def loss(values: Floats) -> tuple[float, Floats]:
            logits = scores * values[:size] + values[size:]
            excess = _softmax(logits)
            excess[np.arange(len(truth)), truth] -= 1
            excess *= shared[:, None]
            away = values - start
            slope = np.concatenate([(excess * scores).sum(axis=0), excess.sum(axis=0)])
            strength = cls.pull / len(truth)
            value = _log_loss(logits, truth, weight) + strength * float(away @ away) / 2
            return value, slope + strength * away

        found = _least(loss, start)
        return cls(scales=found[:size].tolist(), shifts=found[size:].tolist())

    def apply(self, shares: Floats) -> Floats:
        """Calibrated probabilities, [row, class]."""
        return _softmax(_scores(shares) * np.array(self.scales) + np.array(self.shifts))


Calibrator = Annotated[
    Temperature | Platt | Isotonic | Vector,
    Field(discriminator="method"),
]
CALIBRATORS: dict[CalibrationName, type[Temperature | Platt | Isotonic | Vector]] = {
    "temperature": Temperature,
    "platt": Platt,
    "isotonic": Isotonic,
    "vector": Vector,
}


def fit_calibration(
    name: CalibrationName, shares: Floats, truth: Codes, weight: Floats | None = None
) -> Temperature | Platt | Isotonic | Vector:
    """A calibrator, fitted on rows that a network did not learn from.

    Args:
        name: Which: a name of ``CALIBRATORS``.
        shares: Probabilities, [row, class], rows summing to 1.
        truth: Class of each row; rows of -1, a class that training never showed, are left out.
        weight: Weight of each row.

    Raises:
        InputError: If there are too few rows, or rows of one class alone.

    Example:
        >>> shares = np.array([[0.9, 0.1]] * 10)
        >>> truth = np.array([0] * 7 + [1] * 3)
        >>> fit_calibration("temperature", shares, truth).apply(shares[:1]).round(3).tolist()
        [[0.7, 0.3]]
    """
    known = truth >= 0
    shares, truth = shares[known], truth[known]
    weight = np.ones(len(truth)) if weight is None else np.asarray(weight[known], dtype=np.float64)
    counted = truth[weight > 0]
    if len(counted) < LEAST_ROWS or (counted == counted[:1]).all():
        raise InputError(
            f"the calibration {name} cannot be fitted on the validation rows",
            expected=f"at least {LEAST_ROWS} rows that count, of two classes or more",
            got=f"{len(counted)} rows of {len(np.unique(counted))} classes",
            do="keep more rows for validation, or leave task.calibration out",
        )
    if not np.isfinite(shares).all():
        raise InputError(
            f"the calibration {name} cannot be fitted on the validation rows",
            expected="probabilities",
            got="numbers that are not finite",
            do="lower train.lr: training went astray",
        )
    return CALIBRATORS[name].fit(shares, truth, weight)


def checked_calibration(
    held: Temperature | Platt | Isotonic | Vector | None, size: int
) -> Temperature | Platt | Isotonic | Vector | None:
    """The calibrator of a saved task.

    Args:
        held: What was saved; None where there is none.
        size: Number of classes.

    Raises:
        ValueError: If it is for other classes.

    Example:
        >>> checked_calibration(Temperature(temperature=2.0), 3).temperature
        2.0
    """
    if held is not None and held.num_classes not in (None, size):
        raise ValueError(f"a calibration of {held.num_classes} classes, where there are {size}")
    return held


def calibrated(
    calibration: Temperature | Platt | Isotonic | Vector | None, shares: Floats
) -> Floats:
    """Probabilities, [row, class], calibrated where there is something that does it.

    Example:
        >>> calibrated(None, np.array([[0.5, 0.5]])).tolist()
        [[0.5, 0.5]]
    """
    return shares if calibration is None else calibration.apply(shares)


def _same_length(left: list[float] | list[list[float]], right: object) -> int:
    """The number of classes that so many sigmoids or curves are for."""
    if not isinstance(right, list) or len(left) != len(right):
        raise ValueError("the parts of a calibration do not match")
    return max(2, len(left))


def _logs(shares: Floats) -> Floats:
    return np.log(np.clip(shares, _TINY, None))


def _scores(shares: Floats) -> Floats:
    logs = _logs(shares)
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))


def _softmax(logits: Floats) -> Floats:
    from scipy.special import softmax

    return np.asarray(softmax(logits, axis=1))


def _log_loss(logits: Floats, truth: Codes, weight: Floats) -> float:
    from scipy.special import log_softmax

    told = log_softmax(logits, axis=1)[np.arange(len(truth)), truth]
    return float(np.average(-told, weights=weight))


def _against_rest(shares: Floats) -> list[tuple[int, Floats]]:
    """Each class with its probability; of two classes the last alone."""
    first = 1 if shares.shape[1] == 2 else 0
    return [(code, shares[:, code]) for code in range(first, shares.shape[1])]


def _joined(told: Floats) -> Floats:
    """Probabilities of each class, [row, class], from those of one against the rest."""
    if told.shape[1] == 1:
        return np.concatenate([1 - told, told], axis=1)
    total = told.sum(axis=1, keepdims=True)
    equal = np.full_like(told, 1 / told.shape[1])
    return np.asarray(np.divide(told, total, out=equal, where=total > 0))


def _log_odds(share: Floats) -> Floats:
    return np.asarray(np.log(np.clip(share, _TINY, None)) - np.log(np.clip(1 - share, _TINY, None)))


def _sigmoid(share: Floats, positive: NDArray[np.bool_], weight: Floats) -> tuple[float, float]:
    """Slope and shift of the log odds at which smoothed targets have the least log loss."""
    above, below = float(weight[positive].sum()), float(weight[~positive].sum())
    target = np.where(positive, (above + 1) / (above + 2), 1 / (below + 2))
    odds = _log_odds(share)
    unit = float(np.sqrt(np.average(odds**2, weights=weight))) or 1.0
    scaled, shared = odds / unit, weight / weight.sum()

    def loss(values: Floats) -> tuple[float, Floats]:
        from scipy.special import expit

        logits = scaled * values[0] + values[1]
        excess = shared * (expit(logits) - target)
        value = float(shared @ (np.logaddexp(0, logits) - target * logits))
        return value, np.array([excess @ scaled, excess.sum()])

    slope, shift = _least(loss, np.array([unit, 0.0]))
    return float(slope / unit), float(shift)


def _least(loss: object, start: Floats) -> Floats:
    """Where a convex function, given with its gradient, is least."""
    from scipy.optimize import minimize

    options = {"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-9}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x, dtype=np.float64)
