"""Forecasts are good where there is something to be known, and not where that is taken away."""

import numpy as np
import polars as pl
import pytest

import glial


def series(count=240):
    steps = np.arange(count)
    noise = np.random.default_rng(0).normal(0, 0.3, count)
    values = 20 + 0.2 * steps + 4 * np.sin(steps * 2 * np.pi / 12) + noise
    return pl.DataFrame({"step": steps, "y": values})


def mase(frame, **settings):
    run = glial.train(
        frame, "y", task="forecasting", time="step", epochs=25, out=False, set=settings
    )
    test = run.metrics["test"]
    return test["mase"], run.metrics["baseline"]["mase"], test


@pytest.mark.parametrize("model", ["forecast_mlp", "forecast_rnn", "forecast_tcn"])
def test_a_season_with_a_trend_is_forecast_far_better_than_by_the_last_season(model):
    found, naive, test = mase(series(), **{"model.name": model})
    assert found < 0.25
    assert found < 0.3 * naive
    assert 0.5 < test["coverage"] < 0.98


def test_without_its_order_a_series_tells_nothing():
    frame = series()
    mixed = frame.with_columns(y=frame["y"].shuffle(seed=0))
    found, _, _ = mase(mixed, **{"task.season": 12, "task.context": 36, "task.horizon": 12})
    assert found > 0.6


def test_what_is_known_in_advance_decides():
    generator = np.random.default_rng(1)
    open_ = generator.integers(0, 2, 300)
    values = 10 + 5 * open_ + generator.normal(0, 0.2, 300)
    frame = pl.DataFrame({"step": np.arange(300), "y": values, "open": open_})
    known, _, _ = mase(frame)
    without, _, _ = mase(frame.drop("open"))
    assert known < 0.2
    assert without > 3 * known
