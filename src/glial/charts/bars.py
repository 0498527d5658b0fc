"""Bars that lie on their side, so that their names can be read, and histograms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glial.charts.frame import colour, framed, line_mark
from glial.charts.scales import Scale, numbers, scale_of
from glial.charts.svg import (
    WIDTH,
    drawing,
    element,
    heading,
    legend,
    shortened,
    text_at,
    width_of,
    words,
)
from glial.charts.ticks import ticks, write_number

ROW, THICK = 22, 13
MOST_BARS, MOST_BINS = 30, 40
LEFT_ROOM = 160  # for names


@dataclass(frozen=True)
class Bar:
    """A bar with its name.

    Attributes:
        name: What stands at its left.
        value: How long it is, to the left below 0.
        low: The lower end of its interval.
        high: The upper end.
        note: Words behind its number.

    Example:
        >>> Bar("age", 0.3).value
        0.3
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""


def bar_chart(
    bars: Sequence[Bar], *, title: str, x_title: str = "", describe: str = "", most: int = MOST_BARS
) -> str:
    """Bars below one another, in the order given, to both sides of 0 where there are both signs.

    Args:
        bars: The bars.
        title: What the chart is called.
        x_title: What the lengths are.
        describe: What one sees, in words; by default the bars' numbers.
        most: The most bars that are drawn, the first ones.

    Returns:
        The text of an SVG.

    Example:
        >>> bar_chart([Bar("age", 0.3), Bar("fare", -0.1)], title="Importance")[:4]
        '<svg'
    """
    shown = bars[:most]
    left_out = f"the first {most} of {len(bars)}" if len(bars) > most else ""
    parts, top = heading(title, ", ".join(filter(None, [x_title, left_out])))
    values = [bar.value for bar in shown]
    ends = [end for bar in shown for end in (bar.low, bar.high) if end is not None]
    axis = scale_of(values + ends, zero=True)
    told = [" ".join(filter(None, [write_number(bar.value), bar.note])) for bar in shown]
    told = [shortened(each, 120) for each in told]
    both = any(value < 0 for value in values) and any(value > 0 for value in values)
    left = 12 + min(LEFT_ROOM, max((width_of(bar.name) for bar in shown), default=0.0))
    behind = 8 + max((width_of(each) for each in told), default=0.0)
    axis = axis.between(left + (behind if axis.low < 0 else 0.0), WIDTH - behind)
    zero = axis.place(0.0)
    for number, (bar, written) in enumerate(zip(shown, told, strict=True)):
        y = top + ROW * (number + 0.5)
        parts.append(text_at(left - 6, y + 4, shortened(bar.name, LEFT_ROOM), "", anchor="end"))
        parts += _bar(bar, written, axis, y, both=both)
    end = top + ROW * len(shown)
    parts.append(element("path", d=f"M{zero:.1f} {top:.1f}V{end:.1f}", class_="axis"))
    listed = "; ".join(f"{bar.name}: {written}" for bar, written in zip(shown, told, strict=True))
    return drawing(
        parts, title=title, describe=describe or f"{len(bars)} bars. {listed}.", height=end + 8
    )


def _bar(bar: Bar, told: str, axis: Scale, y: float, *, both: bool) -> list[str]:
    zero = axis.place(0.0)
    if not math.isfinite(bar.value):
        return [text_at(zero + 6, y + 4, told, "tick")]
    at = axis.place(bar.value)
    kind = ("over" if bar.value > 0 else "under") if both else "f1"
    tip = element("title", words(f"{bar.name}: {told}"))
    box = element(
        "rect",
        tip,
        x=min(zero, at),
        y=y - THICK / 2,
        width=abs(at - zero),
        height=THICK,
        class_=kind,
    )
    ends = [at]
    parts = [box]
    if bar.low is not None and bar.high is not None:
        low, high = axis.place(bar.low), axis.place(bar.high)
        ends += [low, high]
        whisker = f"M{low:.1f} {y:.1f}H{high:.1f}M{low:.1f} {y - 4:.1f}v8M{high:.1f} {y - 4:.1f}v8"
        parts.append(element("path", d=whisker, class_="line s0"))
    if bar.value < 0:
        return [*parts, text_at(min(ends) - 5, y + 4, told, "tick", "end")]
    return [*parts, text_at(max(ends) + 5, y + 4, told, "tick")]


def bin_edges(values: Sequence[float], most: int = MOST_BINS) -> list[float]:
    """Round edges of equally wide bins for numbers.

    Args:
        values: Finite numbers, at least one.
        most: The most bins.

    Returns:
        The edges; whole numbers of few kinds get a bin each, about the number.

    Source:
        Freedman, Diaconis (1981), "On the histogram as a density estimator", rule for the width:
        twice the interquartile range over the cube root of the count; here rounded to 1, 2 or 5
        times a power of ten.

    Example:
        >>> bin_edges([1.0, 2.0, 2.0, 3.0])
        [0.5, 1.5, 2.5, 3.5]
    """
    low, high = min(values), max(values)
    if all(value == round(value) for value in values) and high - low < most:
        return [low - 0.5 + step for step in range(round(high - low) + 2)]
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return [low - 0.5, low + 0.5]
    ordered = sorted(values)
    middle = ordered[(3 * len(ordered)) // 4] - ordered[len(ordered) // 4]
    width = 2 * middle / len(ordered) ** (1 / 3)
    count = min(most, max(8, math.ceil((high - low) / width))) if width > 0 else 20
    marks = ticks(low, high, count)
    step = marks[1] - marks[0] if len(marks) > 1 else high - low
    first = math.floor(low / step + 1e-9)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    return [place * step for place in range(first, last + 1)]


def histogram(
    groups: Mapping[str, Any],
    *,
    title: str,
    x_title: str = "",
    describe: str = "",
    most: int = 12,
) -> str:
    """How often values occur: bins of numbers, or bars of categories.

    Args:
        groups: Values by the name of their group: numbers; or texts; or a mapping of texts to how
            often each occurs. Several groups are drawn over one another, as shares of each.
        title: What the chart is called.
        x_title: What the values are.
        describe: What one sees, in words.
        most: The most categories that have a bar; the others are one.

    Returns:
        The text of an SVG.

    Example:
        >>> histogram({"age": [22, 38, 26, 35]}, title="Age")[:4]
        '<svg'
        >>> histogram({"sex": {"female": 3, "male": 2}}, title="Sex").count("<rect")
        2
    """
    counted = {name: _counts(values) for name, values in groups.items()}
    if any(counts is not None for counts in counted.values()):
        found = {name: counts or {} for name, counts in counted.items()}
        return _categories(found, title, x_title, describe, most)
    values = {
        name: [v for v in numbers(group) if math.isfinite(v)] for name, group in groups.items()
    }
    missing = sum(len(numbers(group)) for group in groups.values()) - sum(map(len, values.values()))
    every = [value for group in values.values() for value in group]
    if not every:
        parts, top = heading(title, "no finite values")
        return drawing(parts, title=title, describe=describe or "No values.", height=top)
    edges = bin_edges(every)
    heights = {
        name: _filled(group, edges, shares=len(groups) > 1) for name, group in values.items()
    }
    y = scale_of([height for group in heights.values() for height in group], loose=True, zero=True)
    x = Scale("linear", edges[0], edges[-1])
    entries = [(line_mark(n), name) for n, name in enumerate(groups)] if len(groups) > 1 else []
    told_up = "share of the group" if len(groups) > 1 else "how many"
    told_up += f"; {missing:,} missing or not finite left out" if missing else ""
    frame = framed(x, y, title=title, x_title=x_title, y_title=told_up, entries=entries, grid=False)
    parts = []
    for number, group in enumerate(heights.values()):
        path = [f"M{frame.x.place(edges[0]):.1f} {frame.y.place(0.0):.1f}"]
        for height, right in zip(group, edges[1:], strict=True):
            path.append(f"V{frame.y.place(height):.1f}H{frame.x.place(right):.1f}")
        path.append(f"V{frame.y.place(0.0):.1f}Z")
        paint = colour(number)
        parts.append(element("path", d="".join(path), class_=f"band f{paint}"))
        parts.append(element("path", d="".join(path[:-1]), class_=f"line s{paint}"))
    return frame.chart(parts, title=title, describe=describe or _told(values, missing))


def _counts(values: Any) -> dict[str, float] | None:
    """How often each category occurs; None for numbers."""
    if isinstance(values, Mapping):
        return {str(name): float(count) for name, count in values.items()}
    found = list(values)
    if found and any(isinstance(value, (str, bool)) for value in found):
        return dict(Counter("missing" if value is None else str(value) for value in found))
    return None


def _filled(values: Sequence[float], edges: Sequence[float], *, shares: bool) -> list[float]:
    found = [0.0] * (len(edges) - 1)
    width = (edges[-1] - edges[0]) / len(found)
    one = 1 / max(1, len(values)) if shares else 1.0
    for value in values:
        found[min(len(found) - 1, max(0, int((value - edges[0]) / width + 1e-9)))] += one
    return found


def _told(values: Mapping[str, Sequence[float]], missing: int) -> str:
    told = []
    for name, group in values.items():
        if group:
            ordered = sorted(group)
            told.append(
                f"{name}: {len(group):,} values from {write_number(ordered[0])} to "
                f"{write_number(ordered[-1])}, half of them below "
                f"{write_number(ordered[len(ordered) // 2])}."
            )
    return " ".join([*told, f"{missing:,} left out." if missing else ""]).strip()


def _categories(
    groups: Mapping[str, Mapping[str, float]], title: str, x_title: str, describe: str, most: int
) -> str:
    totals: Counter[str] = Counter()
    for counts in groups.values():
        for name, count in counts.items():
            totals[name] += count  # type: ignore[assignment]
    kept = [name for name, _ in totals.most_common(most)]
    rest = len(totals) - len(kept)
    several = len(groups) > 1
    rows = [*kept, f"{rest:,} others"] if rest else kept
    lengths = {
        group: [*(counts.get(name, 0.0) for name in kept), *([_rest(counts, kept)] if rest else [])]
        for group, counts in groups.items()
    }
    if several:
        lengths = {g: [100 * v / (sum(v_s) or 1.0) for v in v_s] for g, v_s in lengths.items()}
    parts, top = heading(title, ", ".join(filter(None, [x_title, "% of the group" * several])))
    marks = [
        (element("rect", x=-10, y=-5, width=20, height=10, class_=f"f{colour(n)}"), name)
        for n, name in enumerate(groups)
    ]
    drawn, top = legend(marks if several else [], top)
    parts += drawn
    left = 12 + min(LEFT_ROOM, max((width_of(name) for name in rows), default=0.0))
    axis = scale_of([v for values in lengths.values() for v in values], zero=True)
    axis = axis.between(left, WIDTH - 60)
    thick = THICK if not several else 9
    pitch = ROW if not several else thick * len(groups) + 8
    for row, name in enumerate(rows):
        parts.append(
            text_at(left - 6, top + pitch * (row + 0.5) + 4, shortened(name, LEFT_ROOM), "", "end")
        )
        for number, values in enumerate(lengths.values()):
            y = top + pitch * row + (pitch - thick * len(groups)) / 2 + thick * number
            end = axis.place(values[row])
            kind = f"f{colour(number)}"
            parts.append(
                element("rect", x=left, y=y, width=end - left, height=thick - 1, class_=kind)
            )
            told = f"{values[row]:.1f}" if several else write_number(values[row])
            parts.append(text_at(end + 5, y + thick - 3, told, "tick small"))
    listed = "; ".join(
        f"{group}: "
        + ", ".join(f"{name} {write_number(v)}" for name, v in zip(rows, values, strict=True))
        for group, values in lengths.items()
    )
    end = top + pitch * len(rows) + 6
    return drawing(parts, title=title, describe=describe or f"{listed}.", height=end)


def _rest(counts: Mapping[str, float], kept: Iterable[str]) -> float:
    known = set(kept)
    return sum(count for name, count in counts.items() if name not in known)
