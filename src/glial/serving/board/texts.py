"""Text of strangers, made harmless to look at: no control characters, no turned lines, no end."""

from __future__ import annotations

import math
import re
from typing import Any

MOST_ITEMS, MOST_DEPTH = 20_000, 12
# Control characters, marks that turn the direction of text, half characters, and ends of lines.
_ODD = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def shown(text: object, most: int = 200) -> str:
    r"""A text as it can be shown: what cannot be seen is spelt out, and what is long is cut.

    Args:
        text: Anything.
        most: How many characters are kept.

    Example:
        >>> shown("a\u202eb\n"), shown("abcdef", most=3)
        ('a\\u202eb ', 'abc…')
    """
    whole = str(text)
    cut = whole[:most] + ("…" if len(whole) > most else "")
    return _ODD.sub(_spelt, cut)


def _spelt(found: re.Match[str]) -> str:
    return " " if found[0] in "\n\r\t" else f"\\u{ord(found[0]):04x}"


def harmless(value: Any, most: int = 2000, depth: int = 0) -> Any:
    """Plain JSON of a stranger's JSON: bounded in depth and size, every text as it can be shown.

    Args:
        value: What was read.
        most: How many characters of a text are kept.
        depth: How deep it lies.

    Example:
        >>> harmless({"a": [1, float("inf"), "x"]})
        {'a': [1, None, 'x']}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value if abs(value) < 1e300 and math.isfinite(value) else None
    if isinstance(value, str):
        return shown(value, most)
    if depth >= MOST_DEPTH:
        return "…"
    if isinstance(value, dict):
        items = list(value.items())[:MOST_ITEMS]
        return {shown(key): harmless(item, most, depth + 1) for key, item in items}
    if isinstance(value, (list, tuple)):
        return [harmless(item, most, depth + 1) for item in value[:MOST_ITEMS]]
    return shown(value, most)


def number(value: Any) -> float | None:
    """A finite number, or None.

    Example:
        >>> number(3), number("3"), number(True), number(float("nan"))
        (3, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < 1e300 and math.isfinite(value) else None
