"""Boxes and arrows from top to bottom: where each stands, and the picture of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from glial.charts.svg import drawing, element, heading, shortened, text_at, width_of, words

BoxKind = Literal["layer", "weights", "join", "end"]
GAP_X, GAP_Y, EDGE_ROOM = 18.0, 24.0, 14.0
NARROW, WIDE = 70.0, 200.0
ROUNDS = 60
STACK = 30.0  # room beside a box for how often it comes
LEAST = 440.0  # width of a picture


@dataclass(frozen=True)
class Box:
    """A box of a diagram.

    Attributes:
        name: Its name, unique.
        label: What stands in it.
        detail: A second line.
        kind: How it looks: a part with weights, one without, a joining of several, or an end.
        times: How many of it follow one another.
        tip: What is told of it where one points.

    Example:
        >>> Box("fc", "Linear", "128 to 10").times
        1
    """

    name: str
    label: str
    detail: str = ""
    kind: BoxKind = "layer"
    times: int = 1
    tip: str = ""

    @property
    def width(self) -> float:
        """How wide it is drawn."""
        if self.kind == "join" and len(self.label) <= 2:
            return 26.0
        room = max(width_of(self.label), width_of(self.detail, 10.5)) + 18
        return min(WIDE, max(NARROW, room)) + (2 * STACK if self.times > 1 else 0)

    @property
    def height(self) -> float:
        """How high it is drawn."""
        return 40.0 if self.detail else 26.0


@dataclass(frozen=True)
class Layout:
    """Where everything of a diagram stands.

    Attributes:
        places: The middle of each box.
        routes: Of each arrow, the corners that it goes through, its ends not among them.
        size: Width and height of all.
    """

    places: Mapping[str, tuple[float, float]]
    routes: Mapping[tuple[str, str], list[tuple[float, float]]]
    size: tuple[float, float]


def lay_out(boxes: Sequence[Box], edges: Sequence[tuple[str, str]]) -> Layout:
    """Place boxes in rows, each below all that lead to it, so that few arrows cross.

    An arrow over several rows gets a lane of its own in each row between, so that no arrow runs
    through a box.

    Args:
        boxes: The boxes.
        edges: Arrows, each from a box to one that comes later in the list of boxes; others are left
            out.

    Returns:
        The places; boxes do not overlap.

    Source:
        Sugiyama, Tagawa, Toda (1981), "Methods for visual understanding of hierarchical system
        structures", IEEE Transactions on Systems, Man, and Cybernetics 11(2): rows by longest
        paths, orders by the means of neighbours.

    Example:
        >>> places = lay_out([Box("a", "a"), Box("b", "b")], [("a", "b")]).places
        >>> places["a"][0] == places["b"][0] and places["a"][1] < places["b"][1]
        True
    """
    order = {box.name: n for n, box in enumerate(boxes)}
    kept = [(a, b) for a, b in dict.fromkeys(edges) if order.get(a, 0) < order.get(b, -1)]
    depth = _depths([box.name for box in boxes], kept)
    widths: dict[str, float] = {box.name: box.width for box in boxes}
    rows: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for box in boxes:
        rows[depth[box.name]].append(box.name)
    near: dict[str, list[str]] = {}
    lanes: dict[tuple[str, str], list[str]] = {}
    for start, end in kept:
        lane = [f"{start}\n{end}\n{row}" for row in range(depth[start] + 1, depth[end])]
        lanes[start, end] = lane
        for name, row in zip(lane, range(depth[start] + 1, depth[end]), strict=True):
            rows[row].append(name)
            widths[name] = EDGE_ROOM
        chain = [start, *lane, end]
        for a, b in pairwise(chain):
            near.setdefault(a, []).append(b)
            near.setdefault(b, []).append(a)
    across = _across(_ordered(rows, near), near, widths)
    heights = [
        max((box.height for box in boxes if depth[box.name] == row), default=0.0)
        for row in range(len(rows))
    ]
    tops = [sum(heights[:row]) + GAP_Y * row for row in range(len(rows))]
    left = min((across[name] - widths[name] / 2 for name in across), default=0.0)
    right = max((across[name] + widths[name] / 2 for name in across), default=0.0)
    places = {
        box.name: (across[box.name] - left, tops[depth[box.name]] + heights[depth[box.name]] / 2)
        for box in boxes
    }
    routes = {
        edge: [
            (across[name] - left, tops[row] + side * heights[row])
            for name, row in zip(lane, range(depth[edge[0]] + 1, depth[edge[1]]), strict=True)
            for side in (0, 1)
        ]
        for edge, lane in lanes.items()
    }
    return Layout(places, routes, (right - left, sum(heights) + GAP_Y * max(0, len(rows) - 1)))


def _depths(names: list[str], edges: list[tuple[str, str]]) -> dict[str, int]:
    """Rows by longest paths; what nothing leads to stands just above its first follower."""
    before: dict[str, list[str]] = {name: [] for name in names}
    after: dict[str, list[str]] = {name: [] for name in names}
    for start, end in edges:
        before[end].append(start)
        after[start].append(end)
    depth: dict[str, int] = {}
    for name in names:
        depth[name] = 1 + max((depth[each] for each in before[name]), default=-1)
    for name in names:
        if not before[name] and after[name]:
            depth[name] = min(depth[each] for each in after[name]) - 1
    lowest = min(depth.values(), default=0)
    return {name: row - lowest for name, row in depth.items()}


def _ordered(rows: list[list[str]], near: Mapping[str, list[str]]) -> list[list[str]]:
    rows = [list(row) for row in rows]
    for turn in range(8):
        place = {name: float(n) - len(row) / 2 for row in rows for n, name in enumerate(row)}
        for row in rows if turn % 2 == 0 else reversed(rows):
            means = {
                name: sum(place[each] for each in near[name]) / len(near[name])
                if near.get(name)
                else place[name]
                for name in row
            }
            row.sort(key=means.__getitem__)
            place |= {name: float(n) - len(row) / 2 for n, name in enumerate(row)}
    return rows


def _across(
    rows: list[list[str]], near: Mapping[str, list[str]], widths: Mapping[str, float]
) -> dict[str, float]:
    """Places across that are near those of neighbours, without overlaps."""
    across = {name: 0.0 for row in rows for name in row}
    for turn in range(ROUNDS):
        for row in rows if turn % 2 == 0 else reversed(rows):
            wishes = [
                sum(across[each] for each in near[name]) / len(near[name])
                if near.get(name)
                else across[name]
                for name in row
            ]
            placed = apart(wishes, [widths[name] for name in row], GAP_X)
            across |= dict(zip(row, placed, strict=True))
    return across


def apart(wishes: Sequence[float], widths: Sequence[float], gap: float) -> list[float]:
    """The places nearest to those wished for at which things in a row do not touch.

    Args:
        wishes: Where the middle of each would best be.
        widths: How wide each is.
        gap: The room between two.

    Returns:
        The middles with the least sum of squared distances to the wishes, in the given order
        (regression under an order, by pooling neighbours).

    Source:
        Ayer, Brunk, Ewing, Reid, Silverman (1955), "An empirical distribution function for sampling
        with incomplete information", Annals of Mathematical Statistics 26(4).

    Example:
        >>> apart([0.0, 0.0], [10.0, 10.0], 2.0)
        [-6.0, 6.0]
    """
    offsets, total = [], 0.0
    for n, width in enumerate(widths):
        total += (widths[n - 1] + width) / 2 + gap if n else 0.0
        offsets.append(total)
    pools: list[tuple[float, int]] = []  # sums and counts
    for wish, offset in zip(wishes, offsets, strict=True):
        pool = (wish - offset, 1)
        while pools and pools[-1][0] / pools[-1][1] >= pool[0] / pool[1]:
            earlier = pools.pop()
            pool = (earlier[0] + pool[0], earlier[1] + pool[1])
        pools.append(pool)
    bases = [sums / count for sums, count in pools for _ in range(count)]
    return [base + offset for base, offset in zip(bases, offsets, strict=True)]


def flow_diagram(
    boxes: Sequence[Box],
    edges: Sequence[tuple[str, str]],
    *,
    title: str,
    under: str = "",
    describe: str = "",
) -> str:
    """Boxes from top to bottom, with arrows between them.

    Args:
        boxes: The boxes, each before those that it leads to.
        edges: Arrows, by the names of boxes.
        title: What the picture is called.
        under: Words under the title.
        describe: What one sees, in words; by default every box and what it leads to.

    Returns:
        The text of an SVG.

    Example:
        >>> flow_diagram([Box("a", "input"), Box("b", "Linear")], [("a", "b")], title="Net")[:4]
        '<svg'
    """
    layout = lay_out(boxes, edges)
    width = max(LEAST, layout.size[0] + 24)
    parts, top = heading(title, under, width)
    left, top = (width - layout.size[0]) / 2, top + 8
    by_name = {box.name: box for box in boxes}
    for (start, end), corners in layout.routes.items():
        (x0, y0), (x1, y1) = layout.places[start], layout.places[end]
        whole = [
            (x0, y0 + by_name[start].height / 2),
            *corners,
            (x1, y1 - by_name[end].height / 2 - (10 if by_name[end].times > 1 else 5)),
        ]
        parts += _arrow([(x + left, y + top) for x, y in whole])
    for box in boxes:
        x, y = layout.places[box.name]
        parts.append(_box(box, x + left, y + top))
    told = describe or _told(boxes, layout)
    height = round(layout.size[1] + top + 10)
    return drawing(parts, title=title, describe=told, width=round(width), height=height)


def _arrow(corners: list[tuple[float, float]]) -> list[str]:
    (x, y), *rest = corners
    path = f"M{x:.1f} {y:.1f}"
    for n, (x1, y1) in enumerate(rest):
        if n % 2 == 1:  # along a lane
            path += f"V{y1:.1f}"
        else:
            middle = (y + y1) / 2
            path += f"C{x:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
        x, y = x1, y1
    tip = f"M{x - 4:.1f} {y - 1:.1f}h8l-4 6z"
    return [element("path", d=path, class_="edge"), element("path", d=tip, class_="tip")]


def _box(box: Box, x: float, y: float) -> str:
    wide, high = box.width, box.height
    wide -= 2 * STACK if box.times > 1 else 0.0
    left, upper = x - wide / 2, y - high / 2
    tip = element("title", words(box.tip or " ".join(filter(None, [box.label, box.detail]))))
    parts = [tip]
    if box.times > 1:
        behind = {"width": wide, "height": high, "rx": 6, "class_": "box stack"}
        parts += [element("rect", x=left + n, y=upper - n, **behind) for n in (5, 2.5)]
    rounded = 13 if box.kind in ("join", "end") else 6
    kind = f"box {box.kind}"
    parts.append(element("rect", x=left, y=upper, width=wide, height=high, rx=rounded, class_=kind))
    label = shortened(box.label, wide - 8)
    parts.append(text_at(x, y + (-3 if box.detail else 4), label, "strong", "middle"))
    if box.detail:
        detail = shortened(box.detail, wide - 8, 10.5)
        parts.append(text_at(x, y + 12, detail, "small tick", "middle"))
    if box.times > 1:
        parts.append(text_at(left + wide + 8, y + 4, f"×{box.times}", "strong"))
    return element("g", *parts)


def _told(boxes: Sequence[Box], layout: Layout) -> str:
    by_name = {box.name: box for box in boxes}
    after: dict[str, list[str]] = {}
    for start, end in layout.routes:
        after.setdefault(start, []).append(by_name[end].label)
    told = []
    for box in boxes:
        times = f", {box.times} times" if box.times > 1 else ""
        detail = f" ({box.detail})" if box.detail else ""
        leads = f" leads to {', '.join(after[box.name])}" if box.name in after else ""
        told.append(f"{box.label}{detail}{times}{leads}")
    return f"{len(boxes)} parts from top to bottom: {'; '.join(told)}."
