"""Numbers and texts as people can read them."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

# Kinds of characters that nobody sees, some of which turn the direction of what follows.
INVISIBLE = ("Cf", "Cc", "Cs", "Co")
UNITS = ("", " k", " M", " G", " T")


def told(value: Any) -> str:
    """A cell of a table: numbers with four digits, everything else as it is written.

    Example:
        >>> told(0.123456), told(1234567), told(True), told(None), told(float("nan"))
        ('0.1235', '1,234,567', 'yes', '–', '–')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        if value == int(value) and abs(value) < 1e6:
            return f"{int(value):,}"
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"
    return str(value)


def percent(share: float) -> str:
    """A share of a whole.

    Example:
        >>> percent(0.8561), percent(0.0004), percent(1.0), percent(0.99996)
        ('85.6 %', '0.04 %', '100 %', '99.996 %')
    """
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f} %"
    digits = 1 if 0.1 <= value <= 99.9 else 2 if 0.01 <= value <= 99.99 else 3
    return f"{value:.{digits}f} %"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number of things.

    Example:
        >>> counted(1, "row"), counted(2000, "row"), counted(2, "class", "classes")
        ('1 row', '2,000 rows', '2 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def seconds_told(seconds: float) -> str:
    """A time, in the unit that suits it.

    Example:
        >>> seconds_told(0.00052), seconds_told(0.25), seconds_told(75), seconds_told(7300)
        ('0.52 ms', '0.25 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 0.1:
        return f"{1000 * seconds:.2g} ms" if seconds < 0.01 else f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60) if seconds >= 3600 else int(seconds // 60)
    if seconds < 3600:
        return f"{minutes} min {seconds % 60:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min"


def bytes_told(count: float) -> str:
    """An amount of memory.

    Example:
        >>> bytes_told(512), bytes_told(2_500_000)
        ('512 bytes', '2.5 MB')
    """
    if count < 1000:
        return f"{count:.0f} bytes"
    power = min(4, int(math.log10(count) // 3))
    return f"{count / 1000**power:.3g} {UNITS[power].strip().upper() if power > 1 else 'k'}B"


def scaled(count: float) -> str:
    """A large number with the prefix of its thousands.

    Example:
        >>> scaled(950), scaled(12_345), scaled(3_600_000_000)
        ('950', '12.3 k', '3.6 G')
    """
    if count < 1000:
        return f"{count:.0f}"
    power = min(4, int(math.log10(count) // 3))
    return f"{count / 1000**power:.3g}{UNITS[power]}"


def visible(text: str) -> str:
    r"""A text without characters that nobody sees; ends of lines stay.

    Example:
        >>> visible("a\u202eb\x00c")
        'abc'
    """
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in INVISIBLE)


def sentence(text: str) -> str:
    """A text as a sentence: with a capital and a full stop.

    Example:
        >>> sentence("train for more epochs")
        'Train for more epochs.'
    """
    ended = text if text.endswith((".", "?", "!")) else f"{text}."
    return ended[:1].upper() + ended[1:]
