"""How many steps a season has: what the calendar says, or what the values do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from glial.data.series.times import DAY, Frequency

Floats = NDArray[np.float64]

LEAST_CORRELATION = 0.3
SEASONS_TO_SEE = 3
MOST_VALUES = 20_000  # of a series, that are looked at


def calendar_seasons(frequency: Frequency) -> list[int]:
    """The seasons that the calendar gives a frequency, the shortest first; none for numbers.

    Example:
        >>> calendar_seasons(Frequency("month", 1.0))
        [12]
        >>> calendar_seasons(Frequency("microsecond", DAY / 48))
        [48, 336]
    """
    step = frequency.step
    if frequency.unit == "month":
        return [int(12 // step)] if step <= 12 and 12 % step == 0 else [1]
    if frequency.unit == "business_day":
        return [5]
    if frequency.unit != "microsecond":
        return []
    if step == 7 * DAY:
        return [52]
    if step == DAY:
        return [7]
    if step < DAY and DAY % step == 0:
        return [int(DAY // step), int(7 * DAY // step)]
    return []


def find_season(series: Sequence[Floats], frequency: Frequency) -> tuple[int, str]:
    """The length of a season, and why.

    Of several that the calendar gives, the one that tells most: by which the values of the season
    before miss the least. Without a calendar, the lag at which the values, freed of their trend,
    agree most with themselves.

    Args:
        series: The values of each series to learn from; none that come later.
        frequency: Their grid.

    Returns:
        Steps of a season, 1 for none, and the reason in words.

    Example:
        >>> wave = np.sin(np.arange(120.0) * 2 * np.pi / 8)
        >>> find_season([wave], Frequency("row", 1.0))[0]
        8
        >>> find_season([wave], Frequency("month", 3.0))
        (4, 'quarterly')
    """
    seen = [values[-MOST_VALUES:] for values in series]
    longest = max((len(values) for values in seen), default=0)
    known = calendar_seasons(frequency)
    if known:
        fitting = [season for season in known if SEASONS_TO_SEE * season <= longest]
        if len(fitting) > 1:
            season = min(fitting, key=lambda lag: _mean_change(seen, lag))
            return season, f"{frequency.name}, the one that misses the least of {fitting}"
        return (fitting or [known[0] if 2 * known[0] <= longest else 1])[0], frequency.name
    votes = [_peak(values) for values in seen]
    season = int(np.median(sorted(votes))) if votes else 1
    if season not in votes or season < 2:
        return 1, "by their autocorrelation, none"
    return season, "by their autocorrelation"


def _mean_change(series: Sequence[Floats], lag: int) -> float:
    """How much values differ from those so many steps before, each series by its own spread."""
    changes = [
        float(np.abs(values[lag:] - values[:-lag]).mean() / (values.std() or 1.0))
        for values in series
        if len(values) > lag
    ]
    return float(np.mean(changes)) if changes else np.inf


def _peak(values: Floats) -> int:
    """The lag of the highest peak of the autocorrelation; 1 where none stands out."""
    count = len(values)
    if count < 8:
        return 1
    time = np.arange(count)
    rest = values - np.polyval(np.polyfit(time, values, 1), time)
    if rest.std() <= 1e-9 * max(1.0, float(np.abs(values).max())):
        return 1
    power = np.abs(np.fft.rfft(rest, 2 * count)) ** 2
    raw = np.fft.irfft(power)[: count // SEASONS_TO_SEE + 1]
    # Each lag by the number of its pairs: else long lags look small.
    correlation = raw / raw[0] * count / (count - np.arange(len(raw)))
    inner = correlation[1:-1]
    peaks = 1 + np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]))
    peaks = peaks[peaks > 1]
    least = max(LEAST_CORRELATION, 2 / np.sqrt(count))
    if len(peaks) == 0 or correlation[peaks].max() < least:
        return 1
    # The first of peaks that are about as high: later ones are its multiples.
    high = peaks[correlation[peaks] >= 0.95 * correlation[peaks].max()]
    return int(high[0])
