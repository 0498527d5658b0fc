"""What a function of two numbers does over a plane: decision boundaries and loss surfaces."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from glial.charts.contours import MANY_TIMES, Place, contours, levels
from glial.charts.frame import COLOURS, Frame, colour, framed, shape_at
from glial.charts.grids import shade_of
from glial.charts.scales import Scale, numbers
from glial.charts.scatter import pick
from glial.charts.svg import element, text_at
from glial.charts.ticks import write_number

FINE = 60  # places of a function along each side
STRENGTHS = 10  # of shades
MOST_POINTS = 600
Range = tuple[float, float]
Predict = Callable[[list[Place]], Iterable[Any]]


def boundary_chart(
    predicted: Predict | Iterable[Iterable[Any]],
    points: Iterable[Iterable[Any]] = (),
    groups: Iterable[Any] = (),
    *,
    title: str,
    x_range: Range | None = None,
    y_range: Range | None = None,
    x_title: str = "",
    y_title: str = "",
    describe: str = "",
) -> str:
    """What a classifier says over a plane, and the points that it was to tell apart.

    Args:
        predicted: A function from places (pairs of numbers) to what is said of each; or a table of
            that, its first row at the lower end. Numbers with a fraction are taken for
            probabilities, shaded from 0 to 1, with a line at one half; all else for classes.
        points: Rows, as pairs of numbers.
        groups: The true class of each; with probabilities in sorted order, the second being the one
            that they are of.
        title: What the chart is called.
        x_range: The ends of the plane across; by default those of the points, and a little more.
        y_range: Its ends upwards.
        x_title: What is drawn to the right.
        y_title: What is drawn upwards.
        describe: What one sees, in words.

    Returns:
        The text of an SVG.

    Example:
        >>> boundary_chart(
        ...     lambda places: [str(x > 0) for x, _ in places],
        ...     [(-1, 0), (1, 1)],
        ...     ["False", "True"],
        ...     title="Right of zero",
        ... )[:4]
        '<svg'
    """
    found = [tuple(numbers(point)) for point in points]
    xs, ys = [point[0] for point in found], [point[1] for point in found]
    names = [str(group) for group in groups] or [""] * len(found)
    across = Scale("linear", *(x_range or _around(xs)))
    up = Scale("linear", *(y_range or _around(ys)))
    table = _table(predicted, across, up)
    is_share = any(isinstance(v, float) and v != round(v) for row in table for v in row)
    said = [] if is_share else [str(value) for row in table for value in row]
    classes = sorted({*names, *said} - {""})
    entries = [(shape_at(n, 0.0, 0.0), name) for n, name in enumerate(classes)]
    frame = framed(
        across, up, title=title, x_title=x_title, y_title=y_title, entries=entries, square=True
    )
    parts = _shares(frame, table) if is_share else _regions(frame, table, classes)
    rows = [n for n in range(len(found)) if math.isfinite(xs[n]) and math.isfinite(ys[n])]
    shown = [
        shape_at(
            classes.index(names[n]) if names[n] in classes else COLOURS - 1,
            frame.x.place(xs[n]),
            frame.y.place(ys[n]),
        )
        for n in pick(rows, [xs, ys], MOST_POINTS)
        if frame.x.low <= xs[n] <= frame.x.high and frame.y.low <= ys[n] <= frame.y.high
    ]
    parts.append(element("g", *shown, class_="halo"))
    told = describe or _said(table, classes, len(found), is_share=is_share)
    return frame.chart(parts, title=title, describe=told)


def _around(values: list[float]) -> Range:
    seen = [value for value in values if math.isfinite(value)]
    low, high = (min(seen), max(seen)) if seen else (-1.0, 1.0)
    more = 0.1 * (high - low) or 1.0
    return low - more, high + more


def steps_between(low: float, high: float, count: int) -> list[float]:
    """Evenly spaced numbers from one end to the other.

    Example:
        >>> steps_between(0.0, 1.0, 3)
        [0.0, 0.5, 1.0]
    """
    return [low + (high - low) * n / (count - 1) for n in range(count)]


def _table(predicted: Any, across: Scale, up: Scale) -> list[list[Any]]:
    if not callable(predicted):
        return [[_plain(value) for value in row] for row in predicted]
    xs = steps_between(across.low, across.high, FINE)
    ys = steps_between(up.low, up.high, FINE)
    said = [_plain(value) for value in predicted([(x, y) for y in ys for x in xs])]
    return [said[start : start + FINE] for start in range(0, FINE * FINE, FINE)]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _shares(frame: Frame, table: list[list[Any]]) -> list[str]:
    """Shades of two colours on both sides of one half, and the line between."""
    shades = [[round(2 * STRENGTHS * (float(v) - 0.5)) for v in numbers(row)] for row in table]
    parts = [_cells(frame, shades, lambda shade: (2 if shade > 0 else 1, _strength(shade)))]
    return [*parts, _lines(frame, table, 0.5, "line s0")]


def _strength(shade: int) -> float:
    return 0.45 * min(1.0, abs(shade) / STRENGTHS)


def _regions(frame: Frame, table: list[list[Any]], classes: list[str]) -> list[str]:
    place = {name: n for n, name in enumerate(classes)}
    numbered = [[place[str(value)] for value in row] for row in table]
    parts = [_cells(frame, numbered, lambda n: (colour(n), 0.22))]
    for number in range(len(classes)):
        inside = [[float(value == number) for value in row] for row in numbered]
        parts.append(_lines(frame, inside, 0.5, "edge"))
    return parts


def _cells(frame: Frame, table: list[list[int]], look: Callable[[int], tuple[int, float]]) -> str:
    """A table as rectangles, neighbours of a row that look alike as one."""
    high = (frame.y.start - frame.y.end) / len(table)
    parts = []
    for number, row in enumerate(table):
        wide = (frame.x.end - frame.x.start) / len(row)
        first = 0
        for place in range(1, len(row) + 1):
            if place < len(row) and row[place] == row[first]:
                continue
            paint, strength = look(row[first])
            parts.append(
                element(
                    "rect",
                    x=frame.x.start + wide * first,
                    y=frame.y.start - high * (number + 1),
                    width=wide * (place - first),
                    height=high,
                    class_=f"f{paint}",
                    fill_opacity=strength,
                )
            )
            first = place
    return element("g", *parts, class_="cells")


def _lines(frame: Frame, table: Sequence[Sequence[Any]], level: float, kind: str) -> str:
    """The lines of one height, drawn through the middles of a table's cells."""
    rows, columns = len(table), len(table[0])
    xs = steps_between(frame.x.start, frame.x.end, 2 * columns + 1)[1::2]
    ys = steps_between(frame.y.start, frame.y.end, 2 * rows + 1)[1::2]
    paths = [
        "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line)
        for line in contours(table, level, xs, ys)
    ]
    return element("path", d="".join(paths), class_=kind)


def _said(table: list[list[Any]], classes: list[str], points: int, *, is_share: bool) -> str:
    flat = [value for row in table for value in row]
    if is_share:
        above = sum(float(value) > 0.5 for value in flat)
        told = f"On {100 * above / len(flat):.0f} % of the plane the probability is above one half."
    else:
        shares = {name: sum(str(value) == name for value in flat) for name in classes}
        told = "Of the plane, " + ", ".join(
            f"{100 * count / len(flat):.0f} % is taken for {name}" for name, count in shares.items()
        )
        told += "."
    return f"{told} {points:,} points."


def surface_chart(
    heights: Iterable[Iterable[Any]],
    path: Iterable[Iterable[Any]] | None = None,
    *,
    title: str = "Loss around where training ended",
    x_range: Range = (-1.0, 1.0),
    y_range: Range = (-1.0, 1.0),
    x_title: str = "first direction",
    y_title: str = "second direction",
    describe: str = "",
) -> str:
    """A surface from above, by shades and lines of equal height, and a way over it.

    Args:
        heights: The surface at evenly spaced places, its first row at the lower end; at least two
            rows of at least two numbers.
        path: A way over it, such as that of training, as pairs of numbers.
        title: What the chart is called.
        x_range: Where its first and its last column are.
        y_range: Where its first and its last row are.
        x_title: What is drawn to the right.
        y_title: What is drawn upwards.
        describe: What one sees, in words.

    Returns:
        The text of an SVG.

    Example:
        >>> bowl = [[x * x + y * y for x in (-1, 0, 1)] for y in (-1, 0, 1)]
        >>> surface_chart(bowl, [(1, 1), (0, 0)], title="A bowl")[:4]
        '<svg'
    """
    table = [numbers(row) for row in heights]
    frame = framed(
        Scale("linear", *x_range),
        Scale("linear", *y_range),
        title=title,
        x_title=x_title,
        y_title=y_title,
        square=True,
    )
    seen = [v for row in table for v in row if math.isfinite(v)]
    steep = bool(seen) and min(seen) > 0 and max(seen) > MANY_TIMES * min(seen)
    shade = shade_of(seen, "log" if steep else "sequential")
    xs = steps_between(frame.x.start, frame.x.end, len(table[0]))
    ys = steps_between(frame.y.start, frame.y.end, len(table))
    means = _means(table)
    shades = [
        [round(STRENGTHS * shade.share(v)) if shade.has(v) else 0 for v in row] for row in means
    ]
    parts = [_cells(frame, shades, lambda n: (1, 0.4 * n / STRENGTHS))]
    named: list[Place] = []
    for level in levels(table):
        lines = contours(table, level, xs, ys)
        drawn = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line) for line in lines)
        parts.append(element("path", d=drawn, class_="edge"))
        at = _free(frame, max(lines, key=len, default=[]), named)
        if at:
            named.append(at)
            told = write_number(float(f"{level:.2g}"))
            parts.append(text_at(at[0], at[1] + 4, told, "small halo", "middle"))
    if path is not None:
        parts += _way(frame, [tuple(numbers(place)) for place in path])
    return frame.chart(parts, title=title, describe=describe or _lowest(table, x_range, y_range))


def _free(frame: Frame, line: list[Place], taken: list[Place]) -> Place | None:
    """A corner of a line that is far enough from the edges and from other words."""
    for x, y in line[len(line) // 2 :] + line[: len(line) // 2]:
        inside = frame.x.start + 18 < x < frame.x.end - 18
        inside = inside and frame.y.end + 10 < y < frame.y.start - 10
        if inside and all(abs(x - a) > 34 or abs(y - b) > 14 for a, b in taken):
            return x, y
    return None


def _means(table: list[list[float]]) -> list[list[float]]:
    """The mean of the corners of each square between four places."""
    return [
        [sum((low[n], low[n + 1], high[n], high[n + 1])) / 4 for n in range(len(low) - 1)]
        for low, high in pairwise(table)
    ]


def _way(frame: Frame, path: list[tuple[float, ...]]) -> list[str]:
    places = [
        (frame.x.place(x), frame.y.place(y))
        for x, y in path
        if frame.x.low <= x <= frame.x.high and frame.y.low <= y <= frame.y.high
    ]
    if not places:
        return []
    drawn = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    (x0, y0), (x1, y1) = places[0], places[-1]
    return [
        element("path", d=drawn, class_="line s2"),
        element("circle", cx=x0, cy=y0, r=4.0, class_="f2"),
        element("rect", x=x1 - 4, y=y1 - 4, width=8.0, height=8.0, class_="f2"),
        text_at(x0 + 7, y0 + 4, "start", "halo"),
        text_at(x1 + 7, y1 + 4, "end", "halo"),
    ]


def _lowest(table: list[list[float]], x_range: Range, y_range: Range) -> str:
    xs = steps_between(*x_range, len(table[0]))
    ys = steps_between(*y_range, len(table))
    cells = [
        (value, xs[n], ys[m])
        for m, row in enumerate(table)
        for n, value in enumerate(row)
        if math.isfinite(value)
    ]
    if not cells:
        return "The surface is nowhere finite."
    value, x, y = min(cells)
    return (
        f"A surface seen from above, by lines of equal height. Its lowest place is "
        f"{write_number(value)} at ({write_number(x)}, {write_number(y)}), its highest "
        f"{write_number(max(cells)[0])}."
    )
