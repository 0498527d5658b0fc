"""An evaluation as one sheet of pictures: curves, reliability and the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#475569", "#0891b2", "#be185d")
SIDE, LEFT, TOP, GAP, LEGEND = 240, 52, 34, 46, 14
MOST_CLASSES = 20  # of a confusion matrix that is drawn


@dataclass(frozen=True)
class Curve:
    """A line in the unit square.

    Attributes:
        name: What it is called.
        points: Its corners, each across and up, in [0, 1].

    Example:
        >>> Curve("a", [(0.0, 0.0), (1.0, 1.0)]).name
        'a'
    """

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """A unit square with curves.

    Attributes:
        title: What stands above it.
        across: What is drawn to the right.
        up: What is drawn upwards.
        curves: What is drawn.
        bars: Upright bars, each its place across, its lower and its upper end.
        guide: Whether the diagonal is drawn.

    Example:
        >>> Panel("ROC", "false", "true", [Curve("a", [(0.0, 0.0), (1.0, 1.0)])]).svg(0, 0)[:2]
        '<g'
    """

    title: str
    across: str
    up: str
    curves: list[Curve]
    bars: list[tuple[float, float, float]] = field(default_factory=list)
    guide: bool = False

    def svg(self, left: float, top: float) -> str:
        """The panel with its corner at a place of the sheet."""
        return "\n".join(self._parts(left, top))

    def _parts(self, left: float, top: float) -> Iterator[str]:
        yield f'<g transform="translate({left:g} {top:g})">{_text(0, -10, self.title, bold=True)}'
        yield f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="#c4c9d0"/>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            place = SIDE * (1 - share)
            yield f'<path d="M0 {place}H{SIDE}M{SIDE - place} 0V{SIDE}" stroke="#eef0f3"/>'
            yield _text(-6, place + 4, f"{share:g}", anchor="end")
            yield _text(SIDE - place, SIDE + 15, f"{share:g}", anchor="middle")
        yield _text(SIDE / 2, SIDE + 30, self.across, anchor="middle")
        yield (
            f'<text transform="translate(-38 {SIDE / 2}) rotate(-90)" text-anchor="middle">'
            f"{escape(self.up)}</text>"
        )
        if self.guide:
            yield f'<path d="M0 {SIDE}L{SIDE} 0" stroke="#9aa1ab" stroke-dasharray="4 4"/>'
        for place, low, high in self.bars:
            x = SIDE * place
            ends = f"M{x:.1f} {SIDE * (1 - low):.1f}V{SIDE * (1 - high):.1f}"
            yield f'<path d="{ends}" stroke="{COLOURS[0]}" stroke-opacity="0.5"/>'
        for number, curve in enumerate(self.curves):
            colour = COLOURS[number % len(COLOURS)]
            corners = " ".join(f"{SIDE * x:.1f},{SIDE * (1 - y):.1f}" for x, y in curve.points)
            yield f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            if len(self.curves) > 1:
                place = SIDE - 6 - LEGEND * (len(self.curves) - 1 - number)
                yield _text(SIDE - 6, place, curve.name, anchor="end", colour=colour)
        yield "</g>"


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix, each row coloured by its shares.

    Attributes:
        labels: The classes.
        counts: Rows of a class (row) that were given a class (column).

    Example:
        >>> Matrix(["a", "b"], [[2, 1], [0, 3]]).svg(0, 0).count("<rect")
        4
    """

    labels: list[str]
    counts: list[list[int]]

    def svg(self, left: float, top: float) -> str:
        """The matrix with its corner at a place of the sheet."""
        step = SIDE / len(self.labels)
        parts = [
            f'<g transform="translate({left:g} {top:g})">'
            f"{_text(0, -10, 'truth (down), prediction (across)', bold=True)}"
        ]
        for row, (label, counts) in enumerate(zip(self.labels, self.counts, strict=True)):
            for column, count in enumerate(counts):
                share = count / max(1, sum(counts))
                x, y = column * step, row * step
                parts.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{step:.1f}" height="{step:.1f}" '
                    f'fill="{COLOURS[0]}" fill-opacity="{0.9 * share:.3f}" stroke="#eef0f3"/>'
                )
                if step >= 20:
                    ink = "#ffffff" if share > 0.5 else "#20242c"
                    middle = (x + step / 2, y + step / 2 + 4)
                    parts.append(_text(*middle, str(count), anchor="middle", colour=ink))
            short = label if len(label) <= 8 else f"{label[:7]}…"
            centre = (row + 0.5) * step
            parts.append(_text(-6, centre + 4, short, anchor="end"))
            if step >= 40:
                parts.append(_text(centre, SIDE + 15, short, anchor="middle"))
        return "\n".join([*parts, "</g>"])


def draw_evaluation(result: dict[str, Any]) -> str:
    """A sheet of what an evaluation told, as an SVG.

    Args:
        result: As `glial.evaluation.evaluate` gives it: the confusion matrix and curves, and, where
            calibration was asked for, the reliability diagram (bins of equal mass, with their
            intervals) and the risk-coverage curve.

    Example:
        >>> draw_evaluation({"details": {}}).count("<g")
        0
    """
    panels = [*_panels(result)]
    columns = min(3, max(1, len(panels)))
    wide, high = LEFT + SIDE + 16, TOP + SIDE + GAP
    rows = -(-len(panels) // columns) if panels else 0
    size = f"0 0 {columns * wide} {max(1, rows * high)}"
    drawn = [
        panel.svg(number % columns * wide + LEFT, number // columns * high + TOP)
        for number, panel in enumerate(panels)
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" font-family="sans-serif" '
    return "\n".join([f'{head}font-size="11">', *drawn, "</svg>\n"])


def _panels(result: dict[str, Any]) -> Iterator[Panel | Matrix]:
    details = result["details"]
    curves = details.get("curves") or {"": details}
    curves = dict(list(curves.items())[: len(COLOURS)])
    for key, title, across, up in (
        ("roc_curve", "ROC", "false_positive_rate", "true_positive_rate"),
        ("precision_recall_curve", "precision and recall", "recall", "precision"),
    ):
        found = {name: each[key] for name, each in curves.items() if key in each}
        if found:
            lines = [
                Curve(name, list(zip(each[across], each[up], strict=True)))
                for name, each in found.items()
            ]
            names = (across.replace("_", " "), up.replace("_", " "))
            yield Panel(title, *names, lines, guide=key == "roc_curve")
    if result.get("calibration"):
        yield _reliability(result["calibration"]["diagrams"]["equal_mass"])
    unsure = result.get("uncertainty")
    if unsure and max(unsure["curve"]["risk"]) <= 1:
        points = list(zip(unsure["curve"]["coverage"], unsure["curve"]["risk"], strict=True))
        yield Panel("risk and coverage", "share of rows answered", "risk", [Curve("", points)])
    matrix = details.get("confusion_matrix")
    if matrix and len(matrix["labels"]) <= MOST_CLASSES:
        yield Matrix(matrix["labels"], matrix["counts"])


def _reliability(bins: list[dict[str, Any]]) -> Panel:
    points = [(one["probability"], one["frequency"]) for one in bins]
    bars = [
        (one["probability"], *one["interval"])
        for one in bins
        if one["interval"] and one["interval"][0] == one["interval"][0]
    ]
    curve = [Curve("", points)]
    return Panel("reliability", "probability", "frequency", curve, bars, guide=True)


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    colour: str = "#20242c",
    bold: bool = False,
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>'
        f"{escape(text)}</text>"
    )
