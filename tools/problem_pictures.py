"""Draws the picture of each problem from what the example on its page measures.

The Python block of ``docs/problems/NAME.md`` leaves what it measured in ``faulty`` and ``fixed``;
``PICTURES`` says how to draw that. ``python tools/problem_pictures.py [NAME ...]`` writes
``docs/problems/pictures/NAME.svg``, by default of all problems.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

import torch
import yaml

PAGES = Path(__file__).parents[1] / "docs" / "problems"
TABLE = Path(__file__).with_name("problem_pictures.yaml")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 480, 250, 56, 462, 34, 206
COLOURS = ("#c2410c", "#1d4ed8")
MOST_POINTS = 120


@dataclass(frozen=True)
class Picture:
    """How the measurements of a page are drawn.

    Attributes:
        kind: ``curve``: values over 1, 2, 3, ...; ``bars``: a value for each of ``labels``;
            ``histogram``: how often which value came; ``points``: pairs of numbers.
        x: What stands across.
        y: What stands up.
        names: What the faulty and the fixed one are.
        labels: Of the bars; by default their numbers.
        log: Whether heights are logarithmic.
        start: The first number of a curve.
    """

    kind: Literal["curve", "bars", "histogram", "points"]
    x: str
    y: str
    names: tuple[str, str]
    labels: tuple[str, ...] = ()
    log: bool = False
    start: int = 1


def read_pictures() -> dict[str, Picture]:
    """The table of pictures."""
    rows: dict[str, dict[str, Any]] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return {
        name: Picture(**{key: tuple(v) if isinstance(v, list) else v for key, v in row.items()})
        for name, row in rows.items()
    }


def measure(name: str) -> tuple[list[Any], list[Any]]:
    """Run the example of a page."""
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        exec(block, names)  # noqa: S102 - the project's own documents
    return _plain(names["faulty"]), _plain(names["fixed"])


def _plain(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, torch.Tensor) else list(values)


def draw(picture: Picture, faulty: Sequence[Any], fixed: Sequence[Any]) -> str:
    """A picture that stands alone, 480 x 250."""
    across, heights, shapes = _PLANS[picture.kind](picture, (faulty, fixed))
    x_axis, y_axis = Axis(*across, LEFT, RIGHT), Axis(*heights, BOTTOM, TOP, picture.log)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for tick in y_axis.ticks():
        y = y_axis.at(tick)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{tick:.4g}</text>')
    if picture.kind == "bars":
        for at in range(int(across[1] - 0.5)):
            label = picture.labels[at] if picture.labels else f"{at + picture.start}"
            parts.append(_label(x_axis.at(at + 1), BOTTOM + 15, label))
    else:
        for tick in x_axis.ticks():
            parts.append(_label(x_axis.at(tick), BOTTOM + 15, f"{tick:.4g}"))
    parts += [shape(x_axis, y_axis) for shape in shapes]
    parts.append(_label((LEFT + RIGHT) / 2, HEIGHT - 10, picture.x))
    parts.append(f'<text x="6" y="14" fill="#4b5563">{escape(picture.y)}</text>')
    place = RIGHT
    for colour, name in reversed(list(zip(COLOURS, picture.names, strict=True))):
        place -= round(7.4 * len(name)) + 24
        parts.append(f'<rect x="{place}" y="19" width="10" height="8" fill="{colour}"/>')
        parts.append(f'<text x="{place + 14}" y="27">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _label(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{escape(text)}</text>'


class Axis:
    """Numbers to places between two ends."""

    def __init__(
        self, low: float, high: float, start: float, end: float, log: bool = False
    ) -> None:
        self.log = log
        if log:
            low, high = math.floor(math.log10(low)), math.ceil(math.log10(high))
        self.low, self.high = low, high if high > low else low + 1.0
        self.start, self.end = start, end

    def at(self, value: float) -> float:
        """The place of a number, kept between the ends."""
        value = math.log10(value) if self.log and value > 0 else -math.inf if self.log else value
        share = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return self.start + share * (self.end - self.start)

    def ticks(self) -> Iterator[float]:
        """Three to six round numbers."""
        if self.log:
            every = max(1, math.ceil((self.high - self.low) / 5))
            yield from (10.0**at for at in range(int(self.low), int(self.high) + 1, every))
            return
        rough = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(times * unit for times in (1, 2, 5, 10) if times * unit >= rough)
        first = math.ceil(self.low / step - 1e-9)
        while first * step <= self.high + 1e-9 * step:
            yield first * step
            first += 1


Shape = Any  # a function of two axes that gives SVG
Plan = tuple[tuple[float, float], tuple[float, float], list[Shape]]
Both = tuple[Sequence[Any], Sequence[Any]]


def _range(values: list[float], log: bool) -> tuple[float, float]:
    if log:
        seen = [value for value in values if value > 0]
        return min(seen), max(seen)
    return min(0.0, *values), max(values)


def _curves(picture: Picture, both: Both) -> Plan:
    finite = [value for values in both for value in values if math.isfinite(value)]
    last = picture.start + max(map(len, both)) - 1

    def shape(values: Sequence[float], colour: str) -> Shape:
        every = math.ceil(len(values) / MOST_POINTS)
        end = next((at for at, v in enumerate(values) if not math.isfinite(v)), len(values))
        kept = sorted({*range(0, end, every), end - 1} - {-1})

        def svg(x: Axis, y: Axis) -> str:
            places = [(x.at(at + picture.start), y.at(values[at])) for at in kept]
            line = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
            found = f'<polyline points="{line}" stroke="{colour}" stroke-width="2" fill="none"/>'
            if end < len(values) or end < last - picture.start + 1:
                sign = "\u00d7 not finite" if end < len(values) else "\u25cf"
                a, b = places[-1] if places else (LEFT, TOP + 12)
                found += f'<text x="{a - 4:.1f}" y="{b + 4:.1f}" fill="{colour}">{sign}</text>'
            return found

        return svg

    shapes = [shape(values, colour) for values, colour in zip(both, COLOURS, strict=True)]
    return (picture.start, last), _range(finite, picture.log), shapes[::-1]


def _bars(picture: Picture, both: Both) -> Plan:
    def shape(values: Sequence[float], colour: str, side: int) -> Shape:
        def svg(x: Axis, y: Axis) -> str:
            width = 0.36 * (x.at(2) - x.at(1))
            floor = BOTTOM if picture.log else y.at(0)
            found = []
            for at, value in enumerate(values, 1):
                left, top = x.at(at) - width * (1 - side), y.at(value)
                found.append(
                    f'<rect x="{left:.1f}" y="{min(top, floor):.1f}" width="{width:.1f}" '
                    f'height="{max(abs(floor - top), 1):.1f}" fill="{colour}"/>'
                )
            return "".join(found)

        return svg

    heights = _range([float(value) for values in both for value in values], picture.log)
    shapes = [shape(values, COLOURS[side], side) for side, values in enumerate(both)]
    return (0.5, max(map(len, both)) + 0.5), heights, shapes


def _histograms(picture: Picture, both: Both) -> Plan:
    bins = 24
    values = torch.tensor([value for values in both for value in values], dtype=torch.float64)
    low, high = float(values.min()), float(values.max())
    shares = [
        (torch.histc(torch.tensor(one, dtype=torch.float64), bins, low, high) / len(one)).tolist()
        for one in both
    ]

    def shape(heights: list[float], colour: str) -> Shape:
        def svg(x: Axis, y: Axis) -> str:
            width = (x.at(high) - x.at(low)) / bins
            steps = "".join(f"V{y.at(height):.1f}h{width:.2f}" for height in heights)
            outline = f"M{x.at(low):.1f} {BOTTOM}{steps}V{BOTTOM}Z"
            return f'<path d="{outline}" fill="{colour}" fill-opacity=".45" stroke="{colour}"/>'

        return svg

    top = max(map(max, shares))
    return (low, high), (0.0, top), [shape(*one) for one in zip(shares, COLOURS, strict=True)]


def _points(picture: Picture, both: Both) -> Plan:
    every = [pair for pairs in both for pair in pairs]
    xs, ys = [pair[0] for pair in every], [pair[1] for pair in every]

    def shape(pairs: Sequence[Sequence[float]], colour: str) -> Shape:
        def svg(x: Axis, y: Axis) -> str:
            dots = "".join(f"M{x.at(a):.0f} {y.at(b):.0f}h0" for a, b in pairs[:MOST_POINTS])
            return (
                f'<path d="{dots}" stroke="{colour}" stroke-width="5" stroke-linecap="round" '
                'stroke-opacity=".6"/>'
            )

        return svg

    shapes = [shape(pairs, colour) for pairs, colour in zip(both, COLOURS, strict=True)]
    return (min(xs), max(xs)), (min(ys), max(ys)), shapes[::-1]


_PLANS = {"curve": _curves, "bars": _bars, "histogram": _histograms, "points": _points}


def main() -> None:
    """Draw the pictures of the problems named, or of all."""
    torch.set_num_threads(1)
    pictures = read_pictures()
    for name in sys.argv[1:] or pictures:
        (PAGES / "pictures").mkdir(exist_ok=True)
        svg = draw(pictures[name], *measure(name))
        (PAGES / "pictures" / f"{name}.svg").write_text(svg, encoding="utf-8")
        print(name)


if __name__ == "__main__":
    main()
