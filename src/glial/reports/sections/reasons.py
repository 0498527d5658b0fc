"""Why the run decides as it does: what counts over many rows, and piece by piece for a few."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import GlialError, InputError
from glial.explanation import Explanation, explain, suitable
from glial.explanation.explained import ExplainedRow, Part
from glial.reports.blocks import Block, Card, Grid, Marked, Picture, Section, Text
from glial.reports.drawings import bars
from glial.reports.numbers import told
from glial.reports.pictures import small_png
from glial.reports.subject import Subject

TASKS = ("classification", "regression", "multilabel")
ROWS = 3
MOST_CELLS = 10
AVERAGED = 20  # rows over which the weight of columns is averaged
WAYS = {
    "shap": "Shapley values: a fair share of the answer for each cell",
    "grad_cam": "Grad-CAM: which places of the picture the last convolutions answered to",
    "integrated_gradients": "integrated gradients: what each piece adds on the way from nothing",
}

# The ninths of a picture and of a sound, whose bands rise.
HEIGHTS, SIDES = ("top", "middle", "bottom"), ("left", "centre", "right")
PITCHES, TIMES = ("lowest", "middle", "highest"), ("beginning", "middle", "end")
PIECES = {"cells": "a column", "text": "a word", "image": "a place", "sound": "a moment"}


def reasons(subject: Subject) -> Section:
    """Why the run decides so.

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> reasons(Subject.of(run)).data["method"]
        'shap'
    """
    section, run, frame = Section("reasons", ""), subject.run, subject.held.frame
    if subject.task not in TASKS:
        section.says = [f"No explanation is made here for the task {subject.task}."]
        return section
    if run is None or frame is None or not frame.height:
        section.says = [subject.held.why or "There are no rows here that could be explained."]
        return section
    try:
        method = suitable(run)
        few = list(range(min(AVERAGED if method == "shap" else ROWS, frame.height)))
        [found] = explain(run, frame, method=method, rows=few, seed=subject.seed)
    except InputError as error:
        section.says = [f"This run cannot be explained here: {error.args[0]}."]
        return section
    section.data = {"method": method, "unit": found.unit}
    section.says.append(f"How it is told: {WAYS.get(method, method)}, in {found.unit}.")
    section.blocks += _overall(found, section)
    section.blocks += [_row(row, found.unit) for row in found.rows[:ROWS]]
    section.blocks += [Text(note, "muted") for note in found.notes[:3]]
    section.blocks.append(
        Text(
            "It tells what the network goes by, not what is true of the world: "
            f"{_piece(found)} that counts much need not be a cause.",
            "muted",
        )
    )
    return section


def _piece(found: Explanation) -> str:
    """What a part of a row is called."""
    kinds = {part.kind for row in found.rows for part in row.parts}
    return PIECES.get(next(iter(kinds)), "a part") if len(kinds) == 1 else "a part"


def _overall(found: Explanation, section: Section) -> list[Block]:
    """The mean size of each cell's share over the explained rows."""
    sums: dict[str, list[float]] = {}
    for row in found.rows:
        for part in row.parts:
            if part.kind == "cells":
                for label, value in zip(part.labels, part.values, strict=True):
                    sums.setdefault(label, []).append(abs(float(value)))
    if not sums:
        return []
    means = {label: float(np.mean(values)) for label, values in sums.items()}
    top = dict(sorted(means.items(), key=lambda pair: -pair[1])[:MOST_CELLS])
    section.data["importance"] = means
    first = ", ".join(list(top)[:3])
    section.says.append(f"What counts most, on average: {first}.")
    title = f"How much each column counts, mean over {len(found.rows)} rows"
    return [bars(top, title=title, x=found.unit)]


def _row(row: ExplainedRow, unit: str) -> Card:
    what = f"row {row.row}" if row.path is None else str(row.path)
    said = f"{what}: it says {told(row.prediction)}"
    line = f"For “{row.answer}” the network gives {told(row.output)} ({unit})"
    if row.reference is not None:
        line += f", where rows in general have {told(row.reference)}"
    blocks: list[Block] = [Text(f"{line}.")]
    for part in row.parts:
        blocks += _part(part, unit)
    return Card(said[:1].upper() + said[1:], blocks)


def _part(part: Part, unit: str) -> list[Block]:
    if part.kind == "cells":
        order = np.argsort(-np.abs(part.values), kind="stable")[:MOST_CELLS]
        shown = part.shown or [""] * len(part.labels)
        values = {
            f"{part.labels[i]} = {str(shown[i])[:30]}" if shown[i] else part.labels[i]: float(
                part.values[i]
            )
            for i in order
        }
        return [bars(values, title="What spoke for it (right) and against it (left)", x=unit)]
    if part.kind == "text":
        most = float(np.abs(part.values).max(initial=0)) or 1.0
        pieces = [
            (token, float(value) / most)
            for token, value in zip(part.labels, part.values, strict=True)
        ]
        says = "Underlined words speak for the answer, dashed ones against it; thick ones more."
        return [Marked(pieces[:600]), Text(says, "muted")]
    if part.kind in ("image", "sound"):
        return _pictures(part)
    return []


def _pictures(part: Part) -> list[Block]:
    """The picture itself, where it spoke for the answer, and that place in words."""
    values = np.abs(np.asarray(part.values, dtype=np.float64))
    most = float(values.max(initial=0)) or 1.0
    shown = np.asarray(part.shown, dtype=np.float64)
    if part.kind == "sound":
        shown = (shown - shown.min()) / (float(np.ptp(shown)) or 1.0)
    try:
        pictures = [
            Picture(small_png(shown), f"The {part.kind}", f"the {part.kind}"),
            Picture(
                small_png(values / most),
                "Where it looked: light places counted most",
                "where it looked (light counts most)",
            ),
        ]
    except (GlialError, ValueError):
        return []
    return [Grid(pictures), *_where(values, part.kind)]


def _where(values: NDArray[np.float64], kind: str) -> list[Block]:
    """Which ninth of a picture or sound counted most, and how small a part holds half of it."""
    total = float(values.sum())
    if min(values.shape) < len(HEIGHTS) or not np.isfinite(total) or total <= 0:
        return []
    ninths = [
        [float(piece.sum()) / total for piece in np.array_split(band, 3, axis=1)]
        for band in np.array_split(values, 3, axis=0)
    ]
    down, across = np.unravel_index(np.argmax(ninths), (3, 3))
    if kind == "sound":
        place = f"the {PITCHES[down]} bands at its {TIMES[across]}"
    elif down == across == 1:
        place = "the middle"
    else:
        place = f"the {HEIGHTS[down]} {SIDES[across]}"
    falling = np.cumsum(np.sort(values, axis=None)[::-1])
    points = (int(np.searchsorted(falling, total / 2)) + 1) / values.size
    share = 100 * ninths[down][across]
    says = (
        f"What counted most lies in {place}: {share:.0f} % of all, where an even look would give "
        f"11 %. Half of what counted lies on {max(100 * points, 1):.0f} % of the {kind}."
    )
    return [Text(says, "muted")]
