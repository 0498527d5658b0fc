"""Lines over values, drawn as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#475569")
WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 110, 34, 48
MANY_TIMES = 20.0  # positive values that differ by more are drawn on a log scale


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: What it is called.
        x: Values, numbers or anything else.
        y: A number for each.
        spread: Half the length of the bar at each; none by default.

    Example:
        >>> Line("val", [1, 2], [0.5, 0.4]).name
        'val'
    """

    name: str
    x: Sequence[Any]
    y: Sequence[float]
    spread: Sequence[float] = field(default_factory=list)


def draw_lines(lines: Sequence[Line], *, title: str, x_title: str) -> str:
    """Lines over common values, as an SVG; positive values that differ much on a log scale.

    Args:
        lines: The lines; numbers that are not finite are left out.
        title: What is drawn upwards.
        x_title: What is drawn to the right.

    Example:
        >>> draw_lines([Line("val", [1, 2], [0.5, 0.4])], title="loss", x_title="rows")[:4]
        '<svg'
    """
    values = list(dict.fromkeys(str(x) for line in lines for x in line.x))
    numbers = {str(x): float(x) for line in lines for x in line.x if _is_number(x)}
    places = _places(values, numbers)
    heights = [
        end
        for line in lines
        for y, spread in _ends(line)
        if math.isfinite(y)
        for end in (y - spread, y + spread)
    ]
    low, high = (min(heights), max(heights)) if heights else (0.0, 1.0)
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)

    def across(x: Any) -> float:
        return LEFT + places[str(x)] * (WIDTH - LEFT - RIGHT)

    def up(y: float) -> float:
        return HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<text x="{LEFT}" y="20" font-weight="bold">{escape(title)}</text>',
        f'<text x="{(WIDTH - RIGHT + LEFT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(x_title)}</text>",
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = low + share * (high - low)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(y):.1f}" y2="{up(y):.1f}" '
            f'stroke="#e5e7eb"/><text x="{LEFT - 6}" y="{up(y) + 4:.1f}" text-anchor="end">'
            f"{y:.3g}</text>"
        )
    for value in values:
        parts.append(
            f'<text x="{across(value):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{escape(value)}</text>"
        )
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        dots = [
            (across(x), up(y), up(y - spread), up(y + spread))
            for x, (y, spread) in zip(line.x, _ends(line), strict=True)
            if math.isfinite(y)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, *_ in dots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y, bottom, top in dots:
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom:.1f}" y2="{top:.1f}" '
                f'stroke="{colour}"/>'
            )
        parts.append(
            f'<text x="{WIDTH - RIGHT + 14}" y="{TOP + 18 * (number + 1)}" fill="{colour}">'
            f"{escape(line.name)}</text>"
        )
    return "\n".join([*parts, "</svg>\n"])


def _ends(line: Line) -> list[tuple[float, float]]:
    return list(zip(line.y, line.spread or [0.0] * len(line.y), strict=True))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _places(values: Sequence[str], numbers: dict[str, float]) -> dict[str, float]:
    """Where each value stands, from 0 to 1: by its size where all are numbers."""
    if len(numbers) < len(values) or len(set(numbers.values())) < 2:
        return {value: (i + 0.5) / len(values) for i, value in enumerate(values)}
    low, high = min(numbers.values()), max(numbers.values())
    if low > 0 and high > MANY_TIMES * low:
        numbers = {value: math.log(number) for value, number in numbers.items()}
        low, high = math.log(low), math.log(high)
    return {value: (number - low) / (high - low) for value, number in numbers.items()}
