"""Lines over numbers, dates or names, with bands, marks and bars of uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from glial.charts.frame import Frame, colour, dashes, framed, line_mark, shape_at
from glial.charts.scales import Scale, axis_values, numbers, scale_of
from glial.charts.svg import drawing, element, shortened, text_at, width_of, words
from glial.charts.thinning import thin
from glial.charts.ticks import write_moment, write_number

MANY_TIMES = 100.0  # heights that differ by more, all above 0, are drawn by powers of ten
MOST_TOLD = 6  # lines whose ends are told in words


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: What it is called.
        x: Numbers, dates, or anything else, which is drawn one step apart.
        y: A number for each; the line is broken where one is missing or not finite.
        dashed: Whether it is dashed, whatever its place among the others.
        points: Whether its points are marked.
        spread: Half the length of a bar at each point; none by default.

    Example:
        >>> Line("val", [1, 2], [0.5, 0.4]).name
        'val'
    """

    name: str
    x: Iterable[Any]
    y: Iterable[Any]
    dashed: bool = False
    points: bool = False
    spread: Iterable[float] = ()


@dataclass(frozen=True)
class Mark:
    """An upright line at a value across, with words.

    Attributes:
        x: Where.
        text: The words.

    Example:
        >>> Mark(3, "best").text
        'best'
    """

    x: Any
    text: str


@dataclass(frozen=True)
class Band:
    """An area between two lines, such as an interval.

    Attributes:
        x: Values across.
        low: Its lower end at each.
        high: Its upper end at each.
        name: What it is called; a band with a line's name has its colour.

    Example:
        >>> Band([1, 2], [0.1, 0.2], [0.3, 0.4], "90 % interval").name
        '90 % interval'
    """

    x: Iterable[Any]
    low: Iterable[Any]
    high: Iterable[Any]
    name: str


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_title: str = "",
    y_title: str = "",
    describe: str = "",
    log_x: bool | None = False,
    log_y: bool | None = None,
    marks: Sequence[Mark] = (),
    bands: Sequence[Band] = (),
    unit_square: bool = False,
    diagonal: bool = False,
) -> str:
    """Lines, drawn with at most 400 points each, their extremes among them.

    Args:
        lines: The lines.
        title: What the chart is called.
        x_title: What is drawn to the right.
        y_title: What is drawn upwards.
        describe: What one sees, in words; by default where each line starts, ends and turns.
        log_x: Whether numbers across are drawn by powers of ten; None decides by the data: all
            above 0, and the largest over twenty times the least.
        log_y: Whether heights are; None decides by the data: all above 0, and the highest over a
            hundred times the lowest.
        marks: Upright lines with words.
        bands: Areas behind the lines.
        unit_square: Whether both axes go from 0 to 1 and are equally long.
        diagonal: Whether the line from the lower left to the upper right is drawn.

    Returns:
        The text of an SVG.

    Example:
        >>> loss = Line("train", [1, 2, 3], [0.9, 0.5, 0.4])
        >>> line_chart([loss], title="Loss", x_title="epoch")[:4]
        '<svg'
    """
    xs = [list(line.x) for line in lines]
    band_xs = [list(band.x) for band in bands]
    every = [*xs, *band_xs, [mark.x for mark in marks]]
    x, found = axis_values(every, log=log_x)
    heights = [numbers(line.y) for line in lines]
    spreads = [
        numbers(line.spread) or [0.0] * len(h) for line, h in zip(lines, heights, strict=True)
    ]
    edges = [(numbers(band.low), numbers(band.high)) for band in bands]
    y = _upward(heights, spreads, edges, log_y)
    if unit_square:
        x, y = Scale("linear", 0.0, 1.0), Scale("linear", 0.0, 1.0)
    many = len(lines) > 1 or any(band.name for band in bands)
    colours = _band_colours(lines, bands)
    entries = [
        (line_mark(n, dashed=line.dashed), line.name)
        for n, line in enumerate(lines)
        if many and line.name
    ]
    names = {line.name for line in lines}
    entries += [
        (element("rect", x=-10, y=-5, width=20, height=10, class_=f"band f{paint}"), band.name)
        for band, paint in zip(bands, colours, strict=True)
        if band.name and band.name not in names
    ]
    one = lines[0].name if len(lines) == 1 and not many else ""
    told_up = y_title or one
    frame = framed(
        x, y, title=title, x_title=x_title, y_title=told_up, entries=entries, square=unit_square
    )
    parts: list[str] = []
    if diagonal:
        parts.append(_diagonal(frame))
    for place, (band, paint) in enumerate(zip(bands, colours, strict=True)):
        across = found[len(lines) + place]
        parts.append(_band(frame, across, *edges[place], paint, band.name))
    for number, line in enumerate(lines):
        parts += _line(frame, number, line, found[number], heights[number], spreads[number])
    parts += _marks(frame, found[-1], marks)
    told = describe or _described(lines, x, found, heights, x_title)
    return frame.chart(parts, title=title, describe=told)


def _upward(
    heights: list[list[float]],
    spreads: list[list[float]],
    edges: list[tuple[list[float], list[float]]],
    log: bool | None,
) -> Scale:
    ends = [
        end
        for line, around in zip(heights, spreads, strict=True)
        for value, spread in zip(line, around, strict=True)
        for end in ((value - spread, value + spread) if spread else (value,))
    ]
    ends += [value for band in edges for edge in band for value in edge]
    seen = [value for value in ends if math.isfinite(value)]
    if log is None:
        log = bool(seen) and min(seen) > 0 and max(seen) > MANY_TIMES * min(seen)
    return scale_of(ends, log=log and any(value > 0 for value in seen), loose=True)


def _band_colours(lines: Sequence[Line], bands: Sequence[Band]) -> list[int]:
    names = [line.name for line in lines]
    return [
        colour(names.index(band.name) if band.name in names else min(n, max(0, len(lines) - 1)))
        for n, band in enumerate(bands)
    ]


def _diagonal(frame: Frame) -> str:
    low = max(frame.x.low, frame.y.low)
    high = min(frame.x.high, frame.y.high)
    start = f"M{frame.x.place(low):.1f} {frame.y.place(low):.1f}"
    return element(
        "path", d=f"{start}L{frame.x.place(high):.1f} {frame.y.place(high):.1f}", class_="guide"
    )


def _line(
    frame: Frame, number: int, line: Line, xs: list[float], ys: list[float], spreads: list[float]
) -> list[str]:
    parts = []
    path, single = trace(frame, xs, ys)
    kind = f"line s{colour(number)}"
    if path:
        parts.append(element("path", d=path, class_=kind, **dashes(number, line.dashed)))
    shown = range(len(xs)) if line.points and len(xs) <= 100 else single
    for place in shown:
        at, up = frame.x.place(xs[place]), frame.y.place(ys[place])
        if math.isfinite(at) and math.isfinite(up):
            parts.append(shape_at(number, at, up, f"{write_number(ys[place])}"))
    for place, spread in enumerate(spreads):
        if spread and math.isfinite(spread) and math.isfinite(ys[place]):
            at = frame.x.place(xs[place])
            low = frame.y.place(max(ys[place] - spread, frame.y.low))
            high = frame.y.place(ys[place] + spread)
            parts.append(element("path", d=f"M{at:.1f} {low:.1f}V{high:.1f}", class_=kind))
    return parts


def trace(frame: Frame, xs: list[float], ys: list[float]) -> tuple[str, list[int]]:
    """The path of a line, broken where it is not finite, and its points that stand alone.

    Example:
        >>> axis = Scale("linear", 0.0, 2.0, start=0.0, end=20.0)
        >>> trace(Frame(axis, axis, [], 0.0), [0.0, 1.0, 2.0], [0.0, 2.0, math.nan])
        ('M0.0 0.0L10.0 20.0', [])
    """
    runs: list[list[int]] = [[]]
    for place in thin(ys):
        if math.isfinite(frame.x.place(xs[place])) and math.isfinite(frame.y.place(ys[place])):
            runs[-1].append(place)
        elif runs[-1]:
            runs.append([])
    steps = [
        ("M" if n == 0 else "L") + f"{frame.x.place(xs[place]):.1f} {frame.y.place(ys[place]):.1f}"
        for run in runs
        if len(run) > 1
        for n, place in enumerate(run)
    ]
    return "".join(steps), [run[0] for run in runs if len(run) == 1]


def _band(
    frame: Frame, xs: list[float], low: list[float], high: list[float], paint: int, name: str
) -> str:
    kept = sorted({*thin(low), *thin(high)})
    upper = [(frame.x.place(xs[n]), frame.y.place(high[n])) for n in kept]
    lower = [(frame.x.place(xs[n]), frame.y.place(low[n])) for n in reversed(kept)]
    corners = [(x, y) for x, y in upper + lower if math.isfinite(x) and math.isfinite(y)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    inside = (element("title", words(name)),) if name else ()
    return element("polygon", *inside, points=points, class_=f"band f{paint}")


def _marks(frame: Frame, places: list[float], marks: Sequence[Mark]) -> list[str]:
    parts = []
    for number, (place, mark) in enumerate(zip(places, marks, strict=True)):
        at = frame.x.place(place)
        parts.append(
            element("path", d=f"M{at:.1f} {frame.y.start:.1f}V{frame.y.end:.1f}", class_="mark")
        )
        told = shortened(mark.text, 200)
        before = at + 5 + width_of(told) > frame.x.end
        up = frame.y.end + 11 + 14 * (number % 3)
        parts.append(
            text_at(at - 5 if before else at + 5, up, told, "halo", "end" if before else None)
        )
    return parts


def _described(
    lines: Sequence[Line],
    x: Scale,
    xs: list[list[float]],
    heights: list[list[float]],
    x_title: str,
) -> str:
    told = []
    for line, places, ys in zip(lines[:MOST_TOLD], xs, heights, strict=False):
        seen = [(p, y) for p, y in zip(places, ys, strict=True) if math.isfinite(y)]
        if not seen:
            told.append(f"{line.name or 'the line'} has no finite value.")
            continue
        low, high = min(seen, key=lambda one: one[1]), max(seen, key=lambda one: one[1])
        broken = len(ys) - len(seen)
        told.append(
            f"{line.name or 'the line'} goes from {write_number(seen[0][1])} to "
            f"{write_number(seen[-1][1])}, lowest {write_number(low[1])} at {_value(x, low[0])}, "
            f"highest {write_number(high[1])} at {_value(x, high[0])}"
            f"{f', {broken} values not finite' if broken else ''}."
        )
    if len(lines) > MOST_TOLD:
        told.append(f"And {len(lines) - MOST_TOLD} more lines.")
    return f"{len(lines)} lines{f' over {x_title}' if x_title else ''}: " + " ".join(told)


def _value(x: Scale, value: float) -> str:
    if x.kind == "names":
        return str(x.names[round(value)])
    if x.kind == "time":
        return write_moment(value)
    return write_number(value)


def sparkline(values: Iterable[Any], *, title: str = "") -> str:
    """A line as small as a word, without axes.

    Args:
        values: Its heights.
        title: What it is called.

    Returns:
        The text of an SVG.

    Example:
        >>> sparkline([3, 1, 2], title="loss")[:4]
        '<svg'
    """
    ys = numbers(values)
    up, across = scale_of(ys), Scale("linear", 0.0, max(1.0, len(ys) - 1.0), 3.0, 117.0)
    frame = Frame(across, up.between(25.0, 3.0), [], 28.0)
    xs = [float(place) for place in range(len(ys))]
    path, single = trace(frame, xs, ys)
    parts = [element("path", d=path, class_="line s1")] if path else []
    finite = [place for place, y in enumerate(ys) if math.isfinite(y)]
    for place in {*single, *finite[-1:]}:
        at = (frame.x.place(xs[place]), frame.y.place(ys[place]))
        parts.append(element("circle", cx=at[0], cy=at[1], r=2.4, class_="f1"))
    line = Line(title, xs, ys)
    told = _described([line], across, [xs], [ys], "")
    return drawing(
        parts, title=title or "small curve", describe=told, width=120, height=28, kind="chart spark"
    )
