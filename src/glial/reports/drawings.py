"""Drawings of a report: each a chart, and one sentence that says how to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glial import charts
from glial.reports.blocks import Chart

Points = tuple[Sequence[float], Sequence[float]]
MOST_LINES = 8


def lines(
    found: Mapping[str, Points], *, title: str, x: str, y: str, says: str = "", **options: Any
) -> Chart:
    """Curves, each named.

    Args:
        found: By name, the places across and up.
        title: What the drawing shows.
        x: What is drawn to the right.
        y: What is drawn upwards.
        says: How to read it.
        options: As for `glial.charts.line_chart`.

    Example:
        >>> lines({"a": ([1, 2], [3, 4])}, title="A", x="step", y="loss").svg[:4]
        '<svg'
    """
    few = list(found.items())[:MOST_LINES]
    drawn = [charts.Line(name, list(xs), list(ys)) for name, (xs, ys) in few]
    return Chart(charts.line_chart(drawn, title=title, x_title=x, y_title=y, **options), says)


def bars(
    values: Mapping[str, float],
    *,
    title: str,
    x: str = "",
    says: str = "",
    intervals: Mapping[str, Sequence[float]] | None = None,
) -> Chart:
    """Bars, the given order kept.

    Args:
        values: By name, how long each is.
        title: What the drawing shows.
        x: What the length means.
        says: How to read it.
        intervals: By name, the ends of each value's interval.

    Example:
        >>> bars({"a": 1.0}, title="A").svg[:4]
        '<svg'
    """
    ends = intervals or {}
    drawn = [
        charts.Bar(name, value, ends[name][0], ends[name][1])
        if name in ends
        else charts.Bar(name, value)
        for name, value in values.items()
    ]
    return Chart(charts.bar_chart(drawn, title=title, x_title=x), says)


def unit_square(
    found: Mapping[str, Points], *, title: str, x: str, y: str, says: str, diagonal: bool = False
) -> Chart:
    """Curves between 0 and 1.

    Args:
        found: By name, the places across and up.
        title: What the drawing shows.
        x: What is drawn to the right.
        y: What is drawn upwards.
        says: How to read it.
        diagonal: Whether the diagonal is drawn.

    Example:
        >>> unit_square({"a": ([0, 1], [0, 1])}, title="A", x="x", y="y", says="").svg[:4]
        '<svg'
    """
    options = {"unit_square": True, "diagonal": diagonal}
    return lines(found, title=title, x=x, y=y, says=says, **options)
