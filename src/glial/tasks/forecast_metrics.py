"""How far forecasts are off, and how often what came lies between their quantiles."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def naive_error(values: Floats, season: int) -> Floats:
    """The mean absolute error of the seasonal naive forecast within a series.

    Args:
        values: [step, target]; NaN where unknown.
        season: Steps of a season.

    Returns:
        [target]; NaN where no two values are a season apart, or they are all alike.

    Source:
        Hyndman and Koehler (2006), doi:10.1016/j.ijforecast.2006.03.001, section 3.

    Example:
        >>> naive_error(np.array([[1.0], [2.0], [4.0], [7.0]]), 1)
        array([2.])
    """
    found = np.full(values.shape[1], np.nan)
    for target, column in enumerate(values.T):
        changes = np.abs(column[season:] - column[:-season])
        known = changes[~np.isnan(changes)]
        if len(known) and known.mean() > 0:
            found[target] = known.mean()
    return found


def forecast_scores(truth: Floats, predicted: Floats, scale: Floats) -> dict[str, float]:
    """Metrics of point forecasts; each is the mean over all values that are known.

    Args:
        truth: What came, [row, target]; NaN where unknown.
        predicted: Likewise.
        scale: By what ``mase`` divides each error, see `naive_error`; NaN leaves a value out.

    Returns:
        ``mae``, ``rmse``, ``smape`` (in percent, from 0 to 200) and ``mase``; NaN where no value
        counts.

    Source:
        Hyndman and Koehler (2006), doi:10.1016/j.ijforecast.2006.03.001 (mase); Makridakis (1993),
        doi:10.1016/0169-2070(93)90079-3 (smape).

    Example:
        >>> scores = forecast_scores(np.array([[2.0]]), np.array([[4.0]]), np.array([[4.0]]))
        >>> {name: round(value, 2) for name, value in scores.items()}
        {'mae': 2.0, 'rmse': 2.0, 'smape': 66.67, 'mase': 0.5}
    """
    values = forecast_values(truth, predicted, scale)
    scores = {name: _mean(each) for name, each in values.items()}
    return scores | {"rmse": math.sqrt(scores["rmse"])}


def forecast_values(truth: Floats, predicted: Floats, scale: Floats) -> dict[str, Floats]:
    """What each value adds to the metrics of `forecast_scores`, [row, target]; NaN where unknown.

    Args:
        truth: As there.
        predicted: Likewise.
        scale: Likewise.

    Returns:
        Metric to numbers whose mean it is; of ``rmse`` it is the root of their mean.

    Example:
        >>> values = forecast_values(np.array([[2.0]]), np.array([[4.0]]), np.array([[4.0]]))
        >>> values["rmse"], values["mase"]
        (array([[4.]]), array([[0.5]]))
    """
    error = np.abs(truth - predicted)
    size = np.abs(truth) + np.abs(predicted)
    return {
        "mae": error,
        "rmse": error**2,
        "smape": 200 * np.divide(error, size, out=error * 0.0, where=size > 0),
        "mase": error / scale,
    }


def quantile_scores(truth: Floats, predicted: Floats, quantiles: list[float]) -> dict[str, float]:
    """Metrics of forecast quantiles.

    Args:
        truth: What came, [row, target]; NaN where unknown.
        predicted: [row, target, quantile].
        quantiles: Shares between 0 and 1, rising.

    Returns:
        ``quantile_loss``, the pinball loss averaged over quantiles, and with several quantiles
        ``coverage``, the share of values from the lowest to the highest, beside
        ``nominal_coverage``, what that should be.

    Example:
        >>> scores = quantile_scores(np.array([[1.0]]), np.array([[[0.0, 2.0]]]), [0.1, 0.9])
        >>> {name: round(value, 2) for name, value in scores.items()}
        {'quantile_loss': 0.1, 'coverage': 1.0, 'nominal_coverage': 0.8}
    """
    values = quantile_values(truth, predicted, quantiles)
    scores = {name: _mean(each) for name, each in values.items()}
    if len(quantiles) > 1:
        scores["nominal_coverage"] = quantiles[-1] - quantiles[0]
    return scores


def quantile_values(truth: Floats, predicted: Floats, quantiles: list[float]) -> dict[str, Floats]:
    """What each value adds to the metrics of `quantile_scores`, [row, target]; NaN where unknown.

    Args:
        truth: As there.
        predicted: Likewise.
        quantiles: Likewise.

    Example:
        >>> values = quantile_values(np.array([[1.0]]), np.array([[[0.0, 2.0]]]), [0.1, 0.9])
        >>> values["coverage"]
        array([[1.]])
    """
    shares = np.array(quantiles)
    error = truth[:, :, None] - predicted
    values = {"quantile_loss": np.maximum(shares * error, (shares - 1) * error).mean(axis=2)}
    if len(quantiles) > 1:
        inside = (predicted[:, :, 0] <= truth) & (truth <= predicted[:, :, -1])
        values["coverage"] = np.where(np.isnan(truth), np.nan, inside)
    return values


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
