"""The metrics of forecasts over many weightings of the moments that are forecast from."""

from __future__ import annotations

import numpy as np

from glial.evaluation.metrics.bootstrap import Score
from glial.evaluation.metrics.weighted import Codes, Floats, mean_of_known
from glial.runs.forecasts import Forecasted
from glial.tasks.forecast_metrics import forecast_values, quantile_values

MANY_SERIES = 10  # so many or more are drawn whole


def forecast_replicates(found: Forecasted) -> tuple[Score, Score]:
    """Metrics of a run's forecasts, and of the naive ones, as functions of weights of moments.

    Args:
        found: What a run forecasts from moments.
    """
    task = found.task
    values = task.values(found.outputs)
    naive = np.repeat(found.naive[:, :, None], values.shape[2], axis=2)
    first = _score(found, values[:, :, task.middle], values)
    second = _score(found, found.naive, naive)
    return first, lambda weights: {
        name: each for name, each in second(weights).items() if name != "coverage"
    }


def _score(found: Forecasted, point: Floats, quantiles: Floats) -> Score:
    values = forecast_values(found.truth, point, found.scale)
    if found.task.quantiles:
        values |= quantile_values(found.truth, quantiles, found.task.quantiles)
    by_moment = {name: each.reshape(len(found.moments), -1) for name, each in values.items()}

    def score(weights: Floats) -> dict[str, Floats]:
        means = {name: mean_of_known(each, weights) for name, each in by_moment.items()}
        return means | {"rmse": np.sqrt(means["rmse"])}

    return score


def stretches(found: Forecasted) -> tuple[Codes, str]:
    """What is drawn together, as neighbouring moments forecast the same steps.

    Args:
        found: What a run forecasts from moments.

    Returns:
        A number for each moment, and what they are: whole series where there are ten or more,
        else stretches of a series as long as the horizon.

    Source:
        Carlstein (1986), "The use of subseries values for estimating the variance of a general
        statistic from a stationary sequence", doi:10.1214/aos/1176350057 (stretches).
    """
    if len(np.unique(found.series)) >= MANY_SERIES:
        return found.series, "series"
    horizon = found.task.form.horizon
    both = np.stack([found.series, found.moments // horizon], axis=1)
    places = np.unique(both, axis=0, return_inverse=True)[1]
    return places.reshape(-1), f"stretches of {horizon} steps"
