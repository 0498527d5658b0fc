"""Explanations as one page for a browser, without scripts and with nothing from elsewhere."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.optional import require
from glial.explanation.explained import ExplainedRow, Explanation, Part

Floats = NDArray[np.float64]
FOR, AGAINST = (214, 84, 40), (38, 104, 190)  # what speaks for an answer, and against it
MOST_CELLS, MOST_TABLE_ROWS = 12, 60
SIDE = 240  # pixels of a picture's longer side
WIDE, HIGH = 520, 60  # of the drawing of one number of a sequence
PLANE = 460
COLOURS = ("#d65428", "#2668be", "#2f9e5b", "#8a4fbf", "#c29200", "#128c9c", "#b83280", "#6b6b6b")

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:980px;padding:0 1rem;
color:#20242c;background:#fff}
h2{margin-top:2.2rem}h3{margin:1.6rem 0 .3rem}p.note{color:#5b6472}
table{border-collapse:collapse}td,th{padding:.1rem .7rem .1rem 0;text-align:left;
vertical-align:middle}td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
.bar{display:inline-block;height:.8rem;vertical-align:middle}
.token{padding:.05rem .15rem;border-radius:.2rem;margin:.05rem;display:inline-block}
figure{display:inline-block;margin:.3rem .8rem .3rem 0}figcaption{color:#5b6472;font-size:13px}
img{image-rendering:pixelated;border:1px solid #c4c9d0}.wide{max-width:100%}
@media (prefers-color-scheme:dark){body{background:#14171c;color:#e4e7ec}
p.note,figcaption{color:#9aa4b2}img{border-color:#3a414c}}
"""


def page(explanations: Sequence[Explanation], title: str) -> str:
    """One page about all explanations; texts of the data are escaped.

    Args:
        explanations: What was explained.
        title: What stands above, such as the run's folder.

    Example:
        >>> "<h1>a &amp; b</h1>" in page([], "a & b")
        True
    """
    name = html.escape(title)
    body = "".join(_section(one) for one in explanations)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{name}</h1>"
        f'<p><span class="token" style="{_shade(1)}">speaks for the answer</span> '
        f'<span class="token" style="{_shade(-1)}">speaks against it</span></p>'
        f"{body}</body></html>\n"
    )


def _section(found: Explanation) -> str:
    parts = [f"<h2>{html.escape(found.method)}</h2>"]
    parts += [f'<p class="note">{html.escape(note)}</p>' for note in found.notes]
    if found.checks is not None:
        rows = [[name, value] for name, value in found.checks.items()]
        parts.append("<h3>checks</h3>" + _table(["check", "value"], rows))
    parts += [_row(row, found.unit) for row in found.rows]
    for name, table in found.tables.items():
        if {"x", "y"} <= set(table.columns):
            parts.append(_plane(table))
        else:
            rows = [list(row) for row in table.head(MOST_TABLE_ROWS).rows()]
            parts.append(f"<h3>{html.escape(name)}</h3>" + _table(table.columns, rows))
    for name, data in found.pictures.items():
        parts.append(_picture(data, name, "wide", None))
    return "".join(parts)


def _row(row: ExplainedRow, unit: str) -> str:
    heading = f"row {row.row}" if row.path is None else row.path
    told = f"{row.answer}: {row.output:.4g} {unit}"
    if row.reference is not None:
        told += f", from {row.reference:.4g}"
    body = "".join(_PARTS[part.kind](part) for part in row.parts)
    return f"<h3>{html.escape(heading)}</h3><p>{html.escape(told)}</p>{body}"


def _cells(part: Part) -> str:
    order = np.argsort(-np.abs(part.values), kind="stable")[:MOST_CELLS]
    most = float(np.abs(part.values).max()) or 1.0
    rows = []
    for place in order:
        value = float(part.values[place])
        colour = _rgb(FOR if value > 0 else AGAINST)
        shown = "" if part.shown is None else str(part.shown[place])
        rows.append(
            f"<tr><td>{html.escape(part.labels[place])}</td><td>{html.escape(shown[:60])}</td>"
            f'<td class="number">{value:+.4g}</td><td><span class="bar" style="width:'
            f'{240 * abs(value) / most:.1f}px;background:{colour}"></span></td></tr>'
        )
    left = len(part.values) - len(order)
    rest = f'<p class="note">and {left} smaller ones</p>' if left else ""
    return f"<table>{''.join(rows)}</table>{rest}"


def _text(part: Part) -> str:
    most = float(np.abs(part.values).max(initial=0)) or 1.0
    words = [
        f'<span class="token" style="{_shade(float(value) / most)}" title="{value:+.4g}">'
        f"{html.escape(token)}</span>"
        for token, value in zip(part.labels, part.values, strict=True)
    ]
    return f"<p>{''.join(words)}</p>"


def _image(part: Part) -> str:
    image = np.moveaxis(np.asarray(part.shown, dtype=np.float64), 0, 2)
    if image.shape[2] != 3:
        image = np.repeat(image[:, :, :1], 3, axis=2)
    return _overlay(image, part.values)


def _sound(part: Part) -> str:
    levels = np.asarray(part.shown, dtype=np.float64)[::-1]
    span = float(np.ptp(levels)) or 1.0
    grey = np.repeat(((levels - levels.min()) / span)[:, :, None], 3, axis=2)
    return _overlay(grey, part.values[::-1])


def _overlay(image: Floats, values: Floats) -> str:
    """The picture, what speaks for and against in it, and both over each other."""
    most = float(np.abs(values).max()) or 1.0
    shares = np.abs(values / most)[:, :, None]
    tint = np.where(values[:, :, None] > 0, np.array(FOR), np.array(AGAINST)) / 255
    heat = 1 - shares * (1 - tint)
    grey = image.mean(axis=2, keepdims=True) * np.ones(3)
    over = (1 - shares) * (0.35 + 0.5 * grey) + shares * tint
    pictures = zip((image, heat, over), ("image", "attribution", "both"), strict=True)
    return "".join(_picture(_png(colours), name, "", SIDE) for colours, name in pictures)


def _png(colours: Floats) -> bytes:
    pillow = require("PIL.Image", extra="vision", purpose="drawing an explanation")
    file = io.BytesIO()
    bytes_of = np.ascontiguousarray((colours.clip(0, 1) * 255).round().astype(np.uint8))
    pillow.fromarray(bytes_of).save(file, "png", optimize=True)
    return file.getvalue()


def _picture(data: bytes, name: str, kind: str, side: int | None) -> str:
    text = base64.b64encode(data).decode("ascii")
    size = "" if side is None else f' style="max-width:{side}px;max-height:{side}px" width="{side}"'
    return (
        f'<figure><img class="{kind}"{size} alt="{html.escape(name)}" '
        f'src="data:image/png;base64,{text}"><figcaption>{html.escape(name)}</figcaption></figure>'
    )


def _sequence(part: Part) -> str:
    """A curve for each number, on a ground that says what each step did."""
    shown = np.asarray(part.shown, dtype=np.float64)
    most = float(np.abs(part.values).max(initial=0)) or 1.0
    steps = len(shown)
    width = WIDE / max(1, steps)
    drawn = []
    for number in range(shown.shape[1]):
        label = part.labels[number] if shown.shape[1] == len(part.labels) else f"{number}"
        ground = "".join(
            f'<rect x="{step * width:.2f}" y="0" width="{width + 0.3:.2f}" height="{HIGH}" '
            f'fill="{_rgb(FOR if value > 0 else AGAINST)}" opacity="{abs(value) / most:.3f}"/>'
            for step, value in enumerate(part.values[:, number])
        )
        curve = shown[:, number]
        span = float(np.ptp(curve)) or 1.0
        points = " ".join(
            f"{(step + 0.5) * width:.2f},{HIGH - 6 - (HIGH - 12) * (v - curve.min()) / span:.2f}"
            for step, v in enumerate(curve)
        )
        drawn.append(
            f'<figure><svg width="{WIDE}" height="{HIGH}" role="img" '
            f'aria-label="{html.escape(label)}">{ground}<polyline points="{points}" fill="none" '
            f'stroke="currentColor" stroke-width="1.3"/></svg>'
            f"<figcaption>{html.escape(label)}</figcaption></figure>"
        )
    return "".join(drawn)


def _plane(table: pl.DataFrame) -> str:
    """Rows as points, coloured by their last column."""
    groups = table[table.columns[-1]].cast(pl.String).fill_null("missing").to_list()
    names = sorted(set(groups))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    x, y = (np.asarray(table[axis].to_numpy(), dtype=np.float64) for axis in ("x", "y"))

    def scaled(values: Floats) -> Floats:
        found: Floats = 8 + (PLANE - 16) * (values - values.min()) / (float(np.ptp(values)) or 1.0)
        return found

    points = "".join(
        f'<circle cx="{a:.1f}" cy="{PLANE - b:.1f}" r="3" fill="{colours[g]}" opacity=".75">'
        f"<title>{html.escape(g)}</title></circle>"
        for a, b, g in zip(scaled(x), scaled(y), groups, strict=True)
    )
    legend = "".join(
        f'<span class="token" style="background:{colours[name]};color:#fff">'
        f"{html.escape(name)}</span>"
        for name in names[:40]
    )
    return (
        f'<figure><svg width="{PLANE}" height="{PLANE}" role="img">{points}</svg></figure>{legend}'
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    heads = "".join(f"<th>{html.escape(str(name))}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_told(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{heads}</tr>{body}</table>"


def _told(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _rgb(colour: tuple[int, int, int]) -> str:
    return f"rgb({','.join(map(str, colour))})"


def _shade(share: float) -> str:
    """The background of a word."""
    red, green, blue = FOR if share > 0 else AGAINST
    return f"background:rgba({red},{green},{blue},{min(1.0, abs(share)) * 0.75:.3f})"


_PARTS = {
    "cells": _cells,
    "text": _text,
    "image": _image,
    "sound": _sound,
    "sequence": _sequence,
}
