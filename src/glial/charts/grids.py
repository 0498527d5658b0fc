"""Tables of numbers drawn as shades."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from glial.charts.scales import numbers
from glial.charts.svg import (
    WIDTH,
    drawing,
    element,
    heading,
    shortened,
    text_at,
    width_of,
    words,
)
from glial.charts.ticks import write_number

MOST_ROWS, MOST_COLUMNS = 60, 110
MOST_TOLD = 1500  # cells that are told one by one where one points
STRENGTHS = 32  # shades of more cells
LABEL_ROOM = 130
READABLE = 0.5  # the strongest shade on which words can be read
Shading = Literal["sequential", "diverging", "log"]


@dataclass(frozen=True)
class Shade:
    """How numbers become shades.

    Attributes:
        scale: From low to high; or to both sides of 0; or from low to high by powers of ten.
        low: The number with the faintest shade.
        high: The number with the strongest.

    Example:
        >>> Shade("sequential", 0.0, 4.0).share(1.0)
        0.25
    """

    scale: Shading
    low: float
    high: float

    def share(self, value: float) -> float:
        """How strong a number's shade is, from 0 to 1; below 0 on the other side."""
        if self.scale == "diverging":
            return max(-1.0, min(1.0, value / self.high)) if self.high > 0 else 0.0
        low, high, at = self.low, self.high, value
        if self.scale == "log":
            low, high, at = math.log10(low), math.log10(high), math.log10(value)
        return max(0.0, min(1.0, (at - low) / (high - low))) if high > low else 0.5

    def has(self, value: float) -> bool:
        """Whether a number has a shade."""
        return math.isfinite(value) and (self.scale != "log" or value > 0)


def shade_of(values: Iterable[float], scale: Shading) -> Shade:
    """The shades that numbers need.

    Example:
        >>> shade_of([1.0, -3.0], "diverging").high
        3.0
    """
    seen = [v for v in values if math.isfinite(v) and (scale != "log" or v > 0)]
    if scale == "diverging":
        most = max((abs(value) for value in seen), default=0.0)
        return Shade(scale, -most, most)
    low, high = (min(seen), max(seen)) if seen else (1.0, 1.0)
    return Shade(scale, low, high)


def heat_map(
    values: Iterable[Iterable[Any]],
    *,
    x_labels: Sequence[Any],
    y_labels: Sequence[Any],
    title: str,
    scale: Shading = "sequential",
    x_title: str = "",
    y_title: str = "",
    describe: str = "",
    show_numbers: bool | None = None,
) -> str:
    """A table of numbers as shades, a row of it a row of the picture.

    Args:
        values: The rows; a number that is missing or not finite is drawn as a cross, in large
            tables grey. Many rows or columns are drawn as the means of neighbours.
        x_labels: Names of the columns.
        y_labels: Names of the rows.
        title: What the chart is called.
        scale: ``sequential``: from the lowest to the highest number; ``diverging``: to both sides
            of 0, in two colours; ``log``: by powers of ten, numbers above 0 only.
        x_title: What the columns are.
        y_title: What the rows are.
        describe: What one sees, in words.
        show_numbers: Whether the numbers are written; None writes them where they fit.

    Returns:
        The text of an SVG.

    Example:
        >>> heat_map([[1, 2], [3, 4]], x_labels=["a", "b"], y_labels=["c", "d"], title="Four")[:4]
        '<svg'
    """
    rows = [numbers(row) for row in values]
    wide = max((len(row) for row in rows), default=0)
    told = _largest(rows, [str(v) for v in x_labels], [str(v) for v in y_labels])
    fewer, every, each = _fewer(rows, wide, scale)
    shown_y = [str(label) for label in list(y_labels)[::every]]
    shown_x = [str(label) for label in list(x_labels)[::each]]
    merged = "" if every == each == 1 else "each cell the mean of its neighbours"
    parts, top = heading(title, "; ".join(filter(None, [y_title, merged])))
    top += 4
    shade = shade_of([value for row in rows for value in row], scale)
    left = 10 + min(LABEL_ROOM, max((width_of(label) for label in shown_y), default=0.0))
    columns = max((len(row) for row in fewer), default=0)
    step = (WIDTH - 12 - left) / max(1, columns)
    high = min(max(12.0, 220 / max(1, len(fewer))), 26.0, max(12.0, step))
    longest = max((width_of(_short(v), 10.5) for row in fewer for v in row), default=0.0)
    numbered = longest + 4 <= step and high >= 14 if show_numbers is None else show_numbers
    cells = _cells(fewer, shade, (left, top), (step, high), (shown_x, shown_y), numbered=numbered)
    parts.append(element("g", *cells, class_="cells"))
    every_row = max(1, -(-13 // max(1, int(high))))
    for number, label in enumerate(shown_y):
        if number % every_row == 0:
            at = top + high * (number + 0.5) + 4
            parts.append(text_at(left - 5, at, shortened(label, LABEL_ROOM), "", "end"))
    bottom = top + high * len(fewer)
    drawn, bottom = column_labels(shown_x, left, step, bottom)
    parts += drawn
    if x_title:
        bottom += 16
        parts.append(text_at((left + WIDTH - 12) / 2, bottom, x_title, "chart-under", "middle"))
    drawn, bottom = _key(shade, left, bottom + 10)
    return drawing(
        [*parts, *drawn], title=title, describe=describe or told, height=round(bottom + 6)
    )


def _cells(
    rows: list[list[float]],
    shade: Shade,
    corner: tuple[float, float],
    size: tuple[float, float],
    labels: tuple[list[str], list[str]],
    *,
    numbered: bool,
) -> list[str]:
    (left, top), (wide, high) = corner, size
    if sum(map(len, rows)) > MOST_TOLD:
        return _many_cells(rows, shade, corner, size)
    parts = []
    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            at = (left + wide * x, top + high * y)
            tip = f"{_named(labels[1], y)}, {_named(labels[0], x)}: {write_number(value)}"
            if not shade.has(value):
                parts.append(_nothing(*at, wide, high, tip))
                continue
            share = shade.share(value) * (READABLE if numbered else 1.0)
            kind = "heat" if shade.scale != "diverging" else "under" if share < 0 else "over"
            parts.append(
                element(
                    "rect",
                    element("title", words(tip)),
                    x=at[0],
                    y=at[1],
                    width=wide,
                    height=high,
                    class_=kind,
                    fill_opacity=abs(share),
                )
            )
            if numbered:
                place = (at[0] + wide / 2, at[1] + high / 2 + 4)
                parts.append(text_at(*place, _short(value), "small", "middle"))
    return parts


def _many_cells(
    rows: list[list[float]], shade: Shade, corner: tuple[float, float], size: tuple[float, float]
) -> list[str]:
    """Cells as one shape for each of few shades, which takes a fifth of the letters."""
    (left, top), (wide, high) = corner, size
    box = f"h{wide:.2f}v{high:.2f}h{-wide:.2f}z"
    shapes: dict[int | None, list[str]] = {}
    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            strength = round(STRENGTHS * shade.share(value)) if shade.has(value) else None
            place = f"M{left + wide * x:.2f} {top + high * y:.2f}"
            shapes.setdefault(strength, []).append(place)
    parts = []
    for strength, places in shapes.items():
        kind = "nothing" if strength is None else "heat"
        if shade.scale == "diverging" and strength is not None:
            kind = "under" if strength < 0 else "over"
        opacity = None if strength is None else abs(strength) / STRENGTHS
        drawn = "".join(place + box for place in places)
        parts.append(element("path", d=drawn, class_=kind, fill_opacity=opacity))
    return parts


def _named(names: Sequence[str], place: int) -> str:
    return names[place] if place < len(names) else str(place)


def _nothing(x: float, y: float, wide: float, high: float, tip: str) -> str:
    cross = f"M{x:.1f} {y:.1f}l{wide:.1f} {high:.1f}m0 {-high:.1f}l{-wide:.1f} {high:.1f}"
    return element("path", element("title", words(tip)), d=cross, class_="edge")


def _short(value: float) -> str:
    """A number in few letters, for a cell."""
    if not math.isfinite(value):
        return ""
    return write_number(float(f"{value:.3g}"))


def _fewer(
    rows: list[list[float]], wide: int, scale: Shading
) -> tuple[list[list[float]], int, int]:
    """The rows with neighbours merged until they can be drawn, and how many became one."""
    every, each = -(-len(rows) // MOST_ROWS) or 1, -(-wide // MOST_COLUMNS) or 1
    if every == each == 1:
        return rows, 1, 1
    fewer = []
    for first in range(0, len(rows), every):
        block = rows[first : first + every]
        fewer.append(
            [
                _mean([value for row in block for value in row[at : at + each]], log=scale == "log")
                for at in range(0, wide, each)
            ]
        )
    return fewer, every, each


def _mean(values: list[float], *, log: bool) -> float:
    """The mean, by powers of ten where these are drawn; not a number where one is not finite."""
    if not values or not all(math.isfinite(v) and (v > 0 or not log) for v in values):
        return math.nan
    if log:
        return float(10 ** (sum(math.log10(value) for value in values) / len(values)))
    return sum(values) / len(values)


def column_labels(
    labels: Sequence[str], left: float, step: float, top: float
) -> tuple[list[str], float]:
    """The names below columns, upright where they do not fit, and where they end.

    Example:
        >>> column_labels(["a"], 0.0, 40.0, 100.0)[1]
        117.0
    """
    widest = max((width_of(label) for label in labels), default=0.0)
    if widest + 4 <= step:
        drawn = [
            text_at(left + step * (n + 0.5), top + 14, label, "tick", "middle")
            for n, label in enumerate(labels)
        ]
        return drawn, top + 17
    short = all(len(label) <= 6 for label in labels)
    if short:  # numbers, of which some are enough
        every = -(-int(widest + 10) // max(1, int(step)))
        drawn = [
            text_at(left + step * (n + 0.5), top + 14, label, "tick", "middle")
            for n, label in enumerate(labels)
            if n % every == 0
        ]
        return drawn, top + 17
    every = max(1, -(-13 // max(1, int(step))))
    room = min(90.0, widest)
    drawn = []
    for n, label in enumerate(labels):
        if n % every == 0:
            at = f"translate({left + step * (n + 0.5) + 4:.1f} {top + 6:.1f}) rotate(-90)"
            told = words(shortened(label, 90))
            drawn.append(element("text", told, transform=at, class_="tick", text_anchor="end"))
    return drawn, top + room + 10


def _key(shade: Shade, left: float, top: float) -> tuple[list[str], float]:
    """What the shades mean."""
    parts, steps, wide = [], 24, 6.0
    low, high = write_number(float(f"{shade.low:.3g}")), write_number(float(f"{shade.high:.3g}"))
    start = max(left, 8 + width_of(low))
    parts.append(text_at(start - 5, top + 9, low, "tick", "end"))
    for step in range(steps):
        share = step / (steps - 1)
        kind = "heat"
        if shade.scale == "diverging":
            share = 2 * share - 1
            kind = "under" if share < 0 else "over"
        parts.append(
            element(
                "rect",
                x=start + wide * step,
                y=top,
                width=wide,
                height=10,
                class_=kind,
                fill_opacity=abs(share),
            )
        )
    told = high + (", by powers of ten" if shade.scale == "log" else "")
    parts.append(text_at(start + wide * steps + 5, top + 9, told, "tick"))
    box = element("rect", x=start, y=top, width=wide * steps, height=10, class_="axis")
    return [element("g", *parts, class_="cells"), box], top + 14


def _largest(rows: list[list[float]], columns: list[str], names: list[str]) -> str:
    cells = [
        (value, y, x)
        for y, row in enumerate(rows)
        for x, value in enumerate(row)
        if math.isfinite(value)
    ]
    told = f"{len(rows)} rows by {max((len(row) for row in rows), default=0)} columns."
    if not cells:
        return f"{told} No finite numbers."
    (low, *at_low), (high, *at_high) = min(cells), max(cells)

    top, bottom = (
        f"{write_number(value)} ({_named(names, place[0])}, {_named(columns, place[1])})"
        for value, place in ((high, at_high), (low, at_low))
    )
    return f"{told} The highest is {top}, the lowest {bottom}."
