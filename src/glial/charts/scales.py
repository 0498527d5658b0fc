"""From values to places on paper: plain, by powers of ten, in time, or one step a name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from glial.charts.ticks import log_ticks, ticks, time_ticks, write_number

MANY_TIMES = 20.0
Kind = Literal["linear", "log", "time", "names"]


@dataclass(frozen=True)
class Scale:
    """Where values stand on an axis.

    Attributes:
        kind: How a value becomes a place.
        low: The value at the axis' start.
        high: The value at its end.
        start: The place where the axis starts.
        end: The place where it ends; before the start on an axis that runs upwards.
        names: What stands at 0, 1, 2 ... on an axis of names.

    Example:
        >>> Scale("linear", 0.0, 10.0, start=100.0, end=300.0).place(2.5)
        150.0
    """

    kind: Kind
    low: float
    high: float
    start: float = 0.0
    end: float = 1.0
    names: Sequence[str] = field(default_factory=tuple)

    def place(self, value: float) -> float:
        """Where a value stands; a value that has no place, such as 0 on a log scale, is NaN."""
        if self.kind == "log":
            if value <= 0:
                return math.nan
            share = (math.log10(value) - math.log10(self.low)) / math.log10(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def between(self, start: float, end: float) -> Scale:
        """The same axis at another place."""
        return Scale(self.kind, self.low, self.high, start, end, self.names)

    def marks(self, most: int = 6) -> list[tuple[float, str]]:
        """The values that are marked, and their words."""
        if self.kind == "names":
            every = max(1, -(-len(self.names) // most))
            return [(float(n), name) for n, name in enumerate(self.names) if n % every == 0]
        if self.kind == "time":
            return time_ticks(self.low, self.high, most)
        if self.kind == "log":
            return [(mark, write_number(mark)) for mark in log_ticks(self.low, self.high, most)]
        found = ticks(self.low, self.high, most)
        step = found[1] - found[0] if len(found) > 1 else None
        return [(mark, write_number(mark, step)) for mark in found]


def scale_of(
    values: Iterable[float], *, log: bool = False, loose: bool = False, zero: bool = False
) -> Scale:
    """The axis on which numbers fit.

    Args:
        values: The numbers; those that are not finite, or not above 0 on a log scale, do not count.
        log: Whether a place is by powers of ten.
        loose: Whether the axis goes on to the next round number at both ends.
        zero: Whether 0 is on the axis.

    Example:
        >>> scale = scale_of([0.13, 0.88], loose=True)
        >>> scale.low, scale.high
        (0.0, 1.0)
    """
    seen = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    seen += [0.0] if zero and not log else []
    low, high = (min(seen), max(seen)) if seen else (1.0, 10.0) if log else (0.0, 1.0)
    if log:
        if high / low < 1 + 1e-9:
            low, high = low / 2, high * 2
        return Scale("log", low, high)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        apart = abs(low) / 2 or 0.5
        low, high = low - apart, high + apart
    if loose:
        found = ticks(low, high)
        step = found[1] - found[0] if len(found) > 1 else high - low
        if len(found) > 1:
            low = math.floor(low / step + 1e-9) * step
            high = math.ceil(high / step - 1e-9) * step
    return Scale("linear", low, high)


def numbers(values: Iterable[Any]) -> list[float]:
    """Numbers as plain floats; what is missing becomes NaN.

    Example:
        >>> numbers([1, None, 2.5])
        [1.0, nan, 2.5]
    """
    return [math.nan if value is None else float(value) for value in values]


def axis_values(
    values: Sequence[Sequence[Any]], *, log: bool | None
) -> tuple[Scale, list[list[float]]]:
    """The axis of values of several lines, and these as its numbers.

    Args:
        values: Of each line: numbers, dates, or anything else, which is drawn one step apart in the
            order in which it comes.
        log: Whether numbers are placed by powers of ten; None does so with numbers above 0 of which
            the largest is over twenty times the least.

    Returns:
        The axis, and each line's values as numbers on it.

    Example:
        >>> scale, (line,) = axis_values([["small", "large"]], log=False)
        >>> scale.kind, line
        ('names', [0.0, 1.0])
    """
    every = [value for line in values for value in line if value is not None]
    if every and all(isinstance(value, date) or hasattr(value, "astype") for value in every):
        moments = [[_seconds(value) for value in line] for line in values]
        if not any(math.isnan(moment) for line in moments for moment in line):
            flat = [moment for line in moments for moment in line]
            first, last = min(flat), max(flat)
            return Scale("time", first, last if last > first else first + 1.0), moments
    if all(_is_number(value) for value in every):
        lines = [numbers(line) for line in values]
        flat = [value for line in lines for value in line]
        seen = [value for value in flat if math.isfinite(value)]
        above = bool(seen) and min(seen) > 0
        by_tens = above and (max(seen) > MANY_TIMES * min(seen) if log is None else log)
        return scale_of(flat, log=by_tens), lines
    names = list(dict.fromkeys(str(value) for line in values for value in line))
    places = {name: float(place) for place, name in enumerate(names)}
    scale = Scale("names", -0.5, len(names) - 0.5, names=names)
    return scale, [[places[str(value)] for value in line] for line in values]


def _is_number(value: Any) -> bool:
    if isinstance(value, (str, bytes, bool, date)):
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _seconds(value: Any) -> float:
    """A moment as seconds since 1970; NaN where it is not one."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    if getattr(getattr(value, "dtype", None), "kind", "") == "M":
        return float(value.astype("datetime64[us]").astype("int64")) / 1e6
    return math.nan
