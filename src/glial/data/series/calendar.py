"""What the calendar says of steps of time, which is always known in advance."""

from __future__ import annotations

import numpy as np
import polars as pl

from glial.data.series.times import DAY, Frequency, Places

TURN = 2 * np.pi


def calendar_columns(frequency: Frequency, places: Places) -> pl.DataFrame:
    """Cycles of the calendar that are longer than a step, as numbers from -1 to 1.

    Args:
        frequency: The grid of times.
        places: Steps on it.

    Returns:
        Sines and cosines of the time of day, of the week and of the year, and whether it is a
        weekend; no column where the grid is not one of dates.

    Example:
        >>> calendar_columns(Frequency("microsecond", DAY), np.arange(3)).columns
        ['time: weekend', 'time: week sin', 'time: week cos', 'time: year sin', 'time: year cos']
    """
    moments = frequency.moments(places)
    columns: dict[str, pl.Series] = {}
    if moments is None or frequency.unit == "month":
        return pl.DataFrame(columns)
    step = frequency.step if frequency.unit == "microsecond" else DAY
    day = moments.dt.hour().cast(pl.Float64) / 24 + moments.dt.minute().cast(pl.Float64) / 1440
    weekday = moments.dt.weekday().cast(pl.Float64) - 1
    turns = {}
    if step < DAY:
        turns["day"] = day
    if step < 7 * DAY:
        if frequency.unit != "business_day":
            columns["time: weekend"] = (weekday >= 5).cast(pl.Float64) * 2 - 1
        turns["week"] = (weekday + day) / 7
    turns["year"] = (moments.dt.ordinal_day().cast(pl.Float64) - 1 + day) / 365.25
    for name, turn in turns.items():
        columns[f"time: {name} sin"] = (turn * TURN).sin()
        columns[f"time: {name} cos"] = (turn * TURN).cos()
    return pl.DataFrame(columns)
