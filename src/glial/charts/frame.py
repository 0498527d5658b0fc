"""The plain frame of a chart with two axes: title, legend, grid, and numbers beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from glial.charts.scales import Scale
from glial.charts.svg import WIDTH, drawing, element, heading, legend, text_at, width_of, words

DASHES = (None, "7 3", "2 3", "9 3 2 3", "5 2 1 2 1 2", "12 4", "1 4", "4 4")
HIGH = 190  # of the part with the lines
SHAPES = (
    "M-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0z",
    "M-3 -3h6v6h-6z",
    "M0 -3.8L3.6 2.8H-3.6z",
    "M0 -4L4 0L0 4L-4 0z",
    "M-3.5 -1.2h2.3v-2.3h2.4v2.3h2.3v2.4h-2.3v2.3h-2.4v-2.3h-2.3z",
    "M0 3.8L3.6 -2.8H-3.6z",
    "M-3.6 -1.6L0 1.6L3.6 -1.6V1.4L0 4L-3.6 1.4z",
    "M-4 -1.2h8v2.4h-8z",
)
COLOURS = 8


def colour(number: int) -> int:
    """Which of the page's colours the n-th line or group has, from 1.

    Example:
        >>> colour(0), colour(8)
        (1, 1)
    """
    return number % COLOURS + 1


def line_mark(number: int, *, dashed: bool = False) -> str:
    """The mark beside a line's name: its colour and its dashes.

    Example:
        >>> line_mark(0)
        '<path d="M-10 0H10" class="line s1"/>'
    """
    return element(
        "path", d="M-10 0H10", class_=f"line s{colour(number)}", **dashes(number, dashed)
    )


def dashes(number: int, dashed: bool) -> dict[str, str]:
    """The dashes of a line, which tell it from others without its colour.

    Example:
        >>> dashes(0, True), dashes(0, False)
        ({'stroke_dasharray': '5 3'}, {})
    """
    pattern = "5 3" if dashed else DASHES[number % len(DASHES)]
    return {} if pattern is None else {"stroke_dasharray": pattern}


def shape_at(number: int, x: float, y: float, tip: str = "") -> str:
    """The mark of a point of the n-th group, in its colour and shape.

    Example:
        >>> "f2" in shape_at(1, 5.0, 5.0)
        True
    """
    inside = (element("title", words(tip)),) if tip else ()
    place = f"translate({x:.1f} {y:.1f})"
    kind = f"f{colour(number)}"
    return element("path", *inside, d=SHAPES[number % len(SHAPES)], class_=kind, transform=place)


@dataclass(frozen=True)
class Frame:
    """The two axes of a chart on paper, and what stands around them.

    Attributes:
        x: The axis across, in its place.
        y: The axis upwards, in its place.
        parts: What is drawn around them.
        height: Of the whole chart.
    """

    x: Scale
    y: Scale
    parts: list[str]
    height: float

    def chart(self, parts: Sequence[str], *, title: str, describe: str) -> str:
        """The chart with what is drawn between its axes."""
        return drawing(
            [*self.parts, *parts], title=title, describe=describe, height=round(self.height)
        )


def framed(
    x: Scale,
    y: Scale,
    *,
    title: str,
    x_title: str,
    y_title: str,
    entries: Sequence[tuple[str, str]] = (),
    square: bool = False,
    grid: bool = True,
) -> Frame:
    """Put two axes on paper, as large as their words leave room for.

    Example:
        >>> one = Scale("linear", 0.0, 1.0)
        >>> frame = framed(one, one, title="a", x_title="b", y_title="c", square=True)
        >>> frame.x.end - frame.x.start == frame.y.start - frame.y.end
        True
    """
    parts, top = heading(title, y_title)
    drawn, top = legend(entries, top)
    parts += drawn
    top += 8
    y_marks = y.marks()
    left = 12 + max((width_of(told) for _, told in y_marks), default=0.0)
    right = WIDTH - 16.0
    if square:
        side = min(right - left, 300.0)
        left += (right - left - side) / 2
        right, high = left + side, side
    else:
        high = float(HIGH)
    across, up = x.between(left, right), y.between(top + high, top)
    for mark, told in y_marks:
        at = up.place(mark)
        parts.append(element("path", d=f"M{left:.1f} {at:.1f}H{right:.1f}", class_="grid"))
        parts.append(text_at(left - 6, at + 4, told, "tick", "end"))
    x_marks = _apart(across, 6 if x.kind != "time" else 4)
    for mark, told in x_marks:
        at = across.place(mark)
        if grid and x.kind != "names":
            parts.append(element("path", d=f"M{at:.1f} {top:.1f}V{top + high:.1f}", class_="grid"))
        half = width_of(told) / 2
        middle = min(max(at, half + 1), WIDTH - half - 1)
        parts.append(text_at(middle, top + high + 17, told, "tick", "middle"))
    bottom = f"M{left:.1f} {top + high:.1f}H{right:.1f}"
    parts.append(element("path", d=bottom, class_="axis"))
    end = top + high + 22
    if x_title:
        end += 16
        parts.append(text_at((left + right) / 2, end - 2, x_title, "chart-under", "middle"))
    return Frame(across, up, parts, end + 6)


def _apart(scale: Scale, most: int) -> list[tuple[float, str]]:
    """As many marks as fit beside one another."""
    for fewer in range(most, 0, -1):
        marks = scale.marks(fewer)
        places = [(scale.place(mark), width_of(told) / 2) for mark, told in marks]
        gaps = [b - a - half_a - half_b for (a, half_a), (b, half_b) in pairwise(places)]
        if all(gap >= 6 for gap in gaps):
            return marks
    return scale.marks(1)[:1]
