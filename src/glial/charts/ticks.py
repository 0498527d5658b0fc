"""Where the marks of an axis stand, and how the numbers beside them are written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

STEPS = (1, 2, 5)
UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
MINUTE, HOUR, DAY = 60, 3600, 86400
# Seconds between marks of an axis of time, and how a mark is written.
CLOCK = (
    *((seconds, "%H:%M:%S") for seconds in (1, 2, 5, 10, 15, 30)),
    *((minutes * MINUTE, "%H:%M") for minutes in (1, 2, 5, 10, 15, 30)),
    *((hours * HOUR, "%d %b %H:%M") for hours in (1, 2, 3, 6, 12)),
    *((days * DAY, "%d %b %Y") for days in (1, 2, 4, 7, 14)),
)
MONTHS = (1, 2, 3, 6, 12)
MONTH = 30.44 * DAY


def nice_step(span: float, most: int = 6) -> float:
    """The smallest step of 1, 2 or 5 times a power of ten that divides a span into few parts.

    Args:
        span: The length to be divided, above 0.
        most: The most steps that fit in it.

    Returns:
        The step.

    Source:
        Heckbert (1990), "Nice numbers for graph labels", Graphics Gems I, pages 61 to 63; here the
        smallest step that gives few enough marks, in place of the nearest one.

    Example:
        >>> nice_step(1.0, 5), nice_step(30.0, 6), nice_step(0.0007, 4)
        (0.2, 5.0, 0.0002)
    """
    power = math.floor(math.log10(span / most))
    while True:
        for step in STEPS:
            found = step * 10.0**power if power >= 0 else step / 10.0**-power
            if span / found <= most * (1 + 1e-9):
                return found
        power += 1


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """The multiples of a round step from one number to another.

    Args:
        low: The lower end.
        high: The upper end; where it is not above the lower one, that one is the only mark.
        most: The most steps between marks.

    Returns:
        The marks, all within the ends.

    Example:
        >>> ticks(0.0, 1.0, 5)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        >>> ticks(3.0, 27.0)
        [5.0, 10.0, 15.0, 20.0, 25.0]
    """
    if not high > low or not math.isfinite(high - low):
        return [low]
    step = nice_step(high - low, most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Dividing by 1 / step gives 0.3 where multiplying by 0.1 gives 0.30000000000000004.
    whole = round(1 / step) if step < 1 else 0
    return [place / whole if whole else place * step for place in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Powers of ten from one number to another, or 1, 2 and 5 times them where these are few.

    Args:
        low: The lower end, above 0.
        high: The upper end, above it.
        most: The most marks, about.

    Returns:
        The marks, all within the ends; for less than a third of a power of ten as on a plain axis.

    Example:
        >>> log_ticks(0.001, 1.0)
        [0.001, 0.01, 0.1, 1.0]
        >>> log_ticks(1.0, 30.0)
        [1.0, 2.0, 5.0, 10.0, 20.0]
    """
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    tens = [power for power in range(first, last + 1) if _within(float(f"1e{power}"), low, high)]
    if len(tens) >= 3:
        every = -(-len(tens) // most)
        return [float(f"1e{power}") for power in tens if (power - tens[0]) % every == 0]
    found = [float(f"{step}e{power}") for power in range(first - 1, last + 1) for step in STEPS]
    found = [mark for mark in found if _within(mark, low, high)]
    return found if len(found) >= 3 else ticks(low, high, most)


def _within(mark: float, low: float, high: float) -> bool:
    return low * (1 - 1e-9) <= mark <= high * (1 + 1e-9)


def write_number(value: float, step: float | None = None) -> str:
    """A number as people write it: 1,200, 0.05, 3.2M, 2e-7.

    Args:
        value: The number.
        step: The distance to its neighbours on an axis, which says how many decimals count; four
            digits count where it is not given.

    Example:
        >>> [write_number(number) for number in (1200.0, 0.05, 0.123456, 3_200_000.0, 2e-7)]
        ['1,200', '0.05', '0.1235', '3.2M', '2e-7']
        >>> [write_number(number, 0.25) for number in (0.5, 1.0)]
        ['0.50', '1.00']
    """
    if math.isnan(value):
        return "none"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size < 1e-12 and (step is None or size < step / 1e6):
        return "0"
    sign = "−" if value < 0 else ""
    if size < 1e-3 and (step is None or step < 1e-3):
        return sign + _scientific(size)
    for unit, letter in UNITS:
        if size >= unit * 0.9995:
            return f"{sign}{_decimals(size / unit, None if step is None else step / unit)}{letter}"
    return sign + _decimals(size, step)


def _decimals(size: float, step: float | None) -> str:
    if step is not None and step > 0:
        places = 0
        while places < 9 and abs(step * 10**places - round(step * 10**places)) > 1e-6:
            places += 1
        return f"{size:,.{places}f}"
    places = max(0, 3 - math.floor(math.log10(size))) if size > 0 else 0
    text = f"{size:,.{min(places, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scientific(size: float) -> str:
    digits, power = f"{size:.2e}".split("e")
    digits = digits.rstrip("0").rstrip(".")
    return f"{digits}e{int(power)}"


def time_ticks(low: float, high: float, most: int = 5) -> list[tuple[float, str]]:
    """Marks of an axis of time at round moments, with their words.

    Args:
        low: The first moment, in seconds since 1970 (UTC).
        high: The last moment.
        most: The most steps between marks.

    Returns:
        Each mark's seconds and its words.

    Example:
        >>> [words for _, words in time_ticks(0.0, 86400.0 * 365)]
        ['Jan 1970', 'Apr 1970', 'Jul 1970', 'Oct 1970', 'Jan 1971']
    """
    span = high - low
    for seconds, form in CLOCK:
        if span / seconds <= most:
            first = math.ceil(low / seconds)
            places = [n * seconds for n in range(first, math.floor(high / seconds) + 1)]
            return [(float(place), _moment(place).strftime(form)) for place in places]
    months = next((m for m in MONTHS if span / (m * MONTH) <= most), 0)
    if months and months < 12:
        return [*_by_months(low, high, months)]
    first_year, last_year = _moment(low).year, _moment(high).year
    years = max(1, round(nice_step(max(1.0, last_year - first_year), most)))
    marks = [(_start(year, 1), str(year)) for year in range(first_year, last_year + 1)]
    return [(at, year) for at, year in marks if int(year) % years == 0 and low <= at <= high]


def write_moment(seconds: float) -> str:
    """A moment as people write it, the time left out at midnight.

    Example:
        >>> write_moment(86400.0), write_moment(86460.0)
        ('2 Jan 1970', '2 Jan 1970 00:01')
    """
    moment = _moment(seconds)
    day = f"{moment.day} {moment:%b %Y}"
    return day if seconds % DAY == 0 else f"{day} {moment:%H:%M}"


def _by_months(low: float, high: float, months: int) -> Iterator[tuple[float, str]]:
    for year in range(_moment(low).year, _moment(high).year + 1):
        for month in range(1, 13, months):
            at = _start(year, month)
            if low <= at <= high:
                yield at, _moment(at).strftime("%b %Y")


def _moment(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _start(year: int, month: int) -> float:
    return datetime(year, month, 1, tzinfo=UTC).timestamp()
