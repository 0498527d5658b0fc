"""Points in a plane."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import correlation
from typing import Any

from glial.charts.frame import framed, shape_at
from glial.charts.scales import numbers, scale_of
from glial.charts.svg import element
from glial.charts.ticks import write_number

MOST_POINTS = 1000
OTHERS = "others"


def scatter_chart(
    x: Iterable[Any],
    y: Iterable[Any],
    groups: Iterable[Any] | None = None,
    *,
    title: str,
    x_title: str = "",
    y_title: str = "",
    describe: str = "",
    diagonal: bool = False,
    most: int = MOST_POINTS,
) -> str:
    """Points, each in the colour and shape of its group.

    Args:
        x: Where they are, across.
        y: Where they are, upwards.
        groups: What each belongs to; from the eighth group on they are drawn as one.
        title: What the chart is called.
        x_title: What is drawn to the right.
        y_title: What is drawn upwards.
        describe: What one sees, in words.
        diagonal: Whether both axes are the same and the line of equal values is drawn.
        most: The most points that are drawn, evenly picked, those at the edges among them.

    Returns:
        The text of an SVG.

    Example:
        >>> scatter_chart([1, 2], [3, 5], ["a", "b"], title="Points").count("translate")
        6
    """
    xs, ys = numbers(x), numbers(y)
    names = [str(name) for name in groups] if groups is not None else [""] * len(xs)
    rows = [n for n in range(len(xs)) if math.isfinite(xs[n]) and math.isfinite(ys[n])]
    left_out = len(xs) - len(rows)
    kinds = list(dict.fromkeys(names[n] for n in sorted(rows, key=lambda n: names[n])))
    if len(kinds) > 8:
        kinds = [*kinds[:7], OTHERS]
    place = {name: number for number, name in enumerate(kinds)}
    shown = pick(rows, [xs, ys], most)
    across = scale_of([xs[n] for n in rows], loose=True)
    up = scale_of([ys[n] for n in rows], loose=True)
    if diagonal:
        across = up = scale_of([v for n in rows for v in (xs[n], ys[n])], loose=True)
    entries = [(shape_at(n, 0.0, 0.0), name) for name, n in place.items() if name]
    told = f"{len(shown):,} of {len(rows):,} points" if len(shown) < len(rows) else ""
    told_up = ", ".join(filter(None, [y_title, told]))
    frame = framed(
        across, up, title=title, x_title=x_title, y_title=told_up, entries=entries, square=diagonal
    )
    parts = []
    if diagonal:
        ends = [(frame.x.place(v), frame.y.place(v)) for v in (across.low, across.high)]
        (a, b), (c, d) = ends
        parts.append(element("path", d=f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}", class_="guide"))
    points = [
        shape_at(place.get(names[n], 7), frame.x.place(xs[n]), frame.y.place(ys[n])) for n in shown
    ]
    parts.append(element("g", *points, fill_opacity=0.65 if len(shown) > 60 else 0.9))
    seen = _seen(xs, ys, rows, x_title or "across", y_title or "upwards")
    told = describe or f"{seen}{f' {left_out} without a number are left out.' if left_out else ''}"
    return frame.chart(parts, title=title, describe=told)


def pick(rows: list[int], values: list[list[float]], most: int) -> list[int]:
    """At most so many rows, evenly picked, those with the extremes of each value among them.

    Example:
        >>> pick([0, 1, 2, 3, 4, 5], [[0.0, 9.0, 1.0, 1.0, 1.0, 1.0]], 3)
        [0, 1, 4]
    """
    if len(rows) <= most:
        return rows
    kept = {end(rows, key=each.__getitem__) for each in values for end in (min, max)}
    room = max(0, most - len(kept))
    rest = [row for row in rows if row not in kept]
    evenly = [rest[(2 * n + 1) * len(rest) // (2 * room)] for n in range(room)]
    return sorted(kept | set(evenly))


def _seen(xs: list[float], ys: list[float], rows: list[int], x_title: str, y_title: str) -> str:
    if not rows:
        return "No points."
    x, y = [xs[n] for n in rows], [ys[n] for n in rows]
    told = ""
    if len(rows) > 2 and _varies(x) and _varies(y):
        told = f" Their correlation is {correlation(_unit(x), _unit(y)):.2f}."
    return (
        f"{len(rows):,} points; {x_title} from {write_number(min(x))} to {write_number(max(x))}, "
        f"{y_title} from {write_number(min(y))} to {write_number(max(y))}.{told}"
    )


def _varies(values: list[float]) -> bool:
    return len(set(_unit(values))) > 1


def _unit(values: list[float]) -> list[float]:
    """Numbers divided by the largest, so that their squares are numbers too."""
    most = max(map(abs, values)) or 1.0
    return [value / most for value in values]
