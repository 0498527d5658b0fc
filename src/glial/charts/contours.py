"""Lines of equal height through a table of heights, by marching squares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from glial.charts.scales import numbers
from glial.charts.ticks import ticks

Place = tuple[float, float]
Edge = tuple[bool, int, int]  # whether it goes upwards, and the row and column where it starts
MANY_TIMES = 100.0  # heights that differ by more, all above 0, get levels by powers of ten


def contours(
    heights: Iterable[Iterable[Any]], level: float, xs: Sequence[float], ys: Sequence[float]
) -> list[list[Place]]:
    """The lines on which a surface has a height.

    The surface is straight along the edges of the table's squares. Where two opposite corners of a
    square are above the height and two are not, the mean of the four decides which are joined. A
    square with a corner that is not finite has no line.

    Args:
        heights: A row for each of ``ys``, in it a number for each of ``xs``.
        level: The height.
        xs: Where the columns are, across.
        ys: Where the rows are, upwards.

    Returns:
        Lines as their corners; a closed one ends where it starts.

    Source:
        Lorensen, Cline (1987), "Marching cubes", Computer Graphics 21(4), in two dimensions.

    Example:
        >>> contours([[0.0, 1.0], [0.0, 1.0]], 0.5, [0.0, 10.0], [0.0, 1.0])
        [[(5.0, 0.0), (5.0, 1.0)]]
    """
    rows = [numbers(row) for row in heights]
    links: dict[Edge, list[Edge]] = {}
    for row in range(len(rows) - 1):
        for column in range(len(rows[row]) - 1):
            for start, end in _segments(rows, row, column, level):
                links.setdefault(start, []).append(end)
                links.setdefault(end, []).append(start)
    places = {edge: _crossing(rows, edge, level, xs, ys) for edge in links}
    lines = []
    ends = [edge for edge, next_ones in links.items() if len(next_ones) == 1]
    for first in [*ends, *links]:
        if links[first]:
            lines.append([places[edge] for edge in _walk(links, first)])
    return lines


def _segments(
    rows: list[list[float]], row: int, column: int, level: float
) -> Iterator[tuple[Edge, Edge]]:
    corners = (
        *(rows[row][column], rows[row][column + 1]),
        *(rows[row + 1][column + 1], rows[row + 1][column]),
    )
    if not all(map(math.isfinite, corners)):
        return
    above = [corner > level for corner in corners]
    bottom, top = (False, row, column), (False, row + 1, column)
    left, right = (True, row, column), (True, row, column + 1)
    around = [bottom, right, top, left]  # edge n is between corners n and n + 1
    crossed = [n for n in range(4) if above[n] != above[(n + 1) % 4]]
    if len(crossed) == 2:
        yield around[crossed[0]], around[crossed[1]]
    elif len(crossed) == 4:
        joined = sum(corners) / 4 > level
        if joined == above[0]:  # corners 0 and 2 are joined, so 1 and 3 are cut off
            yield bottom, right
            yield top, left
        else:
            yield left, bottom
            yield right, top


def _crossing(
    rows: list[list[float]], edge: Edge, level: float, xs: Sequence[float], ys: Sequence[float]
) -> Place:
    upwards, row, column = edge
    start = rows[row][column]
    end = rows[row + 1][column] if upwards else rows[row][column + 1]
    share = (level - start) / (end - start)
    x, y = float(xs[column]), float(ys[row])
    if upwards:
        return x, y + share * (float(ys[row + 1]) - y)
    return x + share * (float(xs[column + 1]) - x), y


def _walk(links: dict[Edge, list[Edge]], first: Edge) -> Iterator[Edge]:
    """From edge to edge until the line ends, taking up what was walked."""
    here = first
    yield here
    while links[here]:
        following = links[here].pop()
        links[following].remove(here)
        here = following
        yield here


def levels(heights: Iterable[Iterable[Any]], most: int = 10) -> list[float]:
    """Heights that show a surface: round ones, or by equal factors where it is very steep.

    Args:
        heights: The surface.
        most: The most heights, about.

    Example:
        >>> levels([[0.0, 1.0], [0.5, 0.9]], 5)
        [0.2, 0.4, 0.6, 0.8]
    """
    seen = [value for row in heights for value in numbers(row) if math.isfinite(value)]
    if not seen or min(seen) == max(seen):
        return []
    low, high = min(seen), max(seen)
    if low > 0 and high > MANY_TIMES * low:
        return [low * (high / low) ** ((n + 1) / (most + 1)) for n in range(most)]
    return [mark for mark in ticks(low, high, most) if low < mark < high]
