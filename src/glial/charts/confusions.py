"""What a classifier took for what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from glial.charts.grids import READABLE, column_labels
from glial.charts.scales import numbers
from glial.charts.svg import WIDTH, drawing, element, heading, shortened, text_at, width_of, words
from glial.charts.ticks import write_number


def confusion_chart(
    labels: Sequence[Any],
    counts: Iterable[Iterable[Any]],
    *,
    title: str = "What was taken for what",
    describe: str = "",
    most: int = 20,
) -> str:
    """A confusion matrix: a row of each true class, shaded by the row's shares.

    Args:
        labels: The classes.
        counts: How many of a class (row) were given a class (column).
        title: What the chart is called.
        describe: What one sees, in words.
        most: The most classes that have a row; of more, those with the most mistakes, and the
            others as one.

    Returns:
        The text of an SVG.

    Example:
        >>> confusion_chart(["cat", "dog"], [[8, 2], [1, 9]]).count("<rect")
        4
    """
    names = [str(label) for label in labels]
    table = [numbers(row) for row in counts]
    told = describe or _confused(names, table)
    if len(names) > most:
        names, table = _others(names, table, most - 1)
    parts, top = heading(title, "truth downwards, prediction across; shades are shares of a row")
    left = 10 + min(100.0, max((width_of(name) for name in names), default=0.0))
    step = min(60.0, (WIDTH - 12 - left) / max(1, len(names)))
    top += 4
    cells = []
    for y, row in enumerate(table):
        total = sum(row) or 1.0
        middle = top + step * (y + 0.5) + 4
        parts.append(text_at(left - 5, middle, shortened(names[y], 100), "", "end"))
        for x, count in enumerate(row):
            tip = f"{names[y]} taken for {names[x]}: {count:,.0f} ({100 * count / total:.1f} %)"
            kind = "good" if x == y else "bad"
            cells.append(
                element(
                    "rect",
                    element("title", words(tip)),
                    x=left + step * x,
                    y=top + step * y,
                    width=step,
                    height=step,
                    class_=f"{kind} cell-line",
                    fill_opacity=READABLE * count / total,
                )
            )
            written = write_number(float(f"{count:.3g}")) if count >= 1e6 else f"{count:,.0f}"
            if count and width_of(written, 10.5) + 2 <= step:
                place = left + step * (x + 0.5)
                cells.append(text_at(place, middle, written, "small", "middle"))
    drawn, end = column_labels(names, left, step, top + step * len(names))
    return drawing([*parts, *cells, *drawn], title=title, describe=told, height=round(end + 6))


def _others(
    names: list[str], table: list[list[float]], kept: int
) -> tuple[list[str], list[list[float]]]:
    """The classes with the most mistakes, and the others as one, last."""
    mistakes = [
        sum(table[n]) + sum(row[n] for row in table) - 2 * table[n][n] for n in range(len(names))
    ]
    order = sorted(range(len(names)), key=lambda n: (-mistakes[n], n))[:kept]
    chosen = sorted(order)
    rest = [n for n in range(len(names)) if n not in set(order)]
    groups = [[n] for n in chosen] + [rest]
    merged = [
        [sum(table[y][x] for y in down for x in across) for across in groups] for down in groups
    ]
    return [*(names[n] for n in chosen), f"{len(rest)} others"], merged


def _confused(names: list[str], table: list[list[float]]) -> str:
    total = sum(map(sum, table))
    right = sum(row[n] for n, row in enumerate(table))
    pairs = [
        (count, names[y], names[x])
        for y, row in enumerate(table)
        for x, count in enumerate(row)
        if x != y and count
    ]
    told = f"{right:,.0f} of {total:,.0f} are right."
    worst = sorted(pairs, key=lambda pair: -pair[0])[:3]
    listed = ", ".join(
        f"{truth} taken for {other} {count:,.0f} times" for count, truth, other in worst
    )
    return f"{told} Most often wrong: {listed}." if worst else f"{told} There are no mistakes."
