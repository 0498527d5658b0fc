"""Points in a plane, drawn as PNG, each in the colour of its group or its number."""

from __future__ import annotations

import io
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from glial.core.errors import InputError
from glial.core.optional import require
from glial.nn.pictures.sheet import INK, PALETTES

SIDE, MARGIN, LEGEND, LINE, DOT = 460, 14, 150, 18, 4  # pixels
FINER = 2  # it is drawn so many times as large, and made smaller
COLOURS = (
    *((37, 99, 235), (217, 119, 6), (5, 150, 105), (147, 51, 234), (220, 38, 38), (8, 145, 178)),
    *((190, 24, 93), (101, 163, 13), (120, 83, 60), (250, 150, 140), (20, 50, 120), (160, 160, 60)),
)
NONE = (186, 190, 198)
MOST_GROUPS = len(COLOURS)


def scatter_png(
    points: Float[Tensor, "row 2"],
    groups: Sequence[str | None] | None = None,
    values: Float[Tensor, " row"] | None = None,
    title: str = "",
) -> bytes:
    """A picture of points.

    Args:
        points: Where they are, across and up; a unit is as long across as up.
        groups: What each belongs to, None of nothing, drawn grey; at most twelve groups, named in
            order.
        values: In place of groups a number of each, from dark (least) to bright.
        title: What stands above the legend.

    Returns:
        The bytes of a PNG file.

    Raises:
        InputError: If there are too many groups, or Pillow is not installed.

    Example:
        >>> scatter_png(torch.eye(2), ["a", "b"])[1:4]
        b'PNG'
    """
    pillow = require("PIL.Image", extra="vision", purpose="drawing points")
    pen = require("PIL.ImageDraw", extra="vision", purpose="drawing points")
    fonts = require("PIL.ImageFont", extra="vision", purpose="drawing points")
    names = sorted({name for name in groups or [] if name is not None}, key=_order)
    if len(names) > MOST_GROUPS:
        raise InputError(
            "there are too many groups to tell their colours apart",
            expected=f"at most {MOST_GROUPS}",
            got=f"{len(names):,}",
            do="choose another column with --color",
        )
    wide = SIDE + (LEGEND if names or values is not None else 0)
    sheet = pillow.new("RGB", (FINER * wide, FINER * SIDE), "white")
    draw = pen.Draw(sheet)
    places = _placed(points.detach().cpu().double())
    colours = _colours(len(points), groups, values, names)
    half = FINER * DOT / 2
    for (x, y), colour in zip(places.tolist(), colours, strict=True):
        draw.ellipse((x - half, y - half, x + half, y + half), fill=colour)
    small = fonts.load_default(11 * FINER)
    left, top = FINER * (SIDE + 4), FINER * MARGIN
    if title:
        draw.text((left, top), title, fill=INK, font=small)
        top += FINER * LINE
    entries = list(zip(names, COLOURS, strict=False))
    if groups is not None and None in groups:
        entries.append(("none", NONE))
    if values is not None:
        ends = (float(values.min()), float(values.max()))
        entries = [(f"{end:g}", _heat(share)) for end, share in zip(ends, (0.0, 1.0), strict=True)]
    for name, colour in entries:
        draw.ellipse(
            (left, top + 3 * FINER, left + 9 * FINER, top + 12 * FINER), fill=colour, outline=None
        )
        draw.text((left + 14 * FINER, top), name[:20], fill=INK, font=small)
        top += FINER * LINE
    buffer = io.BytesIO()
    sheet.resize((wide, SIDE), pillow.Resampling.LANCZOS).quantize(64).save(
        buffer, "PNG", optimize=True
    )
    return buffer.getvalue()


def _order(name: str) -> tuple[int, float, str]:
    """Numbers by size, before words by letters."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def _placed(points: Tensor) -> Tensor:
    """Where points stand on the sheet, in its pixels."""
    low, high = points.amin(dim=0), points.amax(dim=0)
    unit = float((high - low).max()) or 1.0
    room = SIDE - 2 * MARGIN
    shares = (points - (low + high) / 2) / unit + 0.5
    shares[:, 1] = 1 - shares[:, 1]
    return FINER * (MARGIN + room * shares)


def _colours(
    count: int, groups: Sequence[str | None] | None, values: Tensor | None, names: list[str]
) -> list[tuple[int, int, int]]:
    if values is not None:
        low, high = float(values.min()), float(values.max())
        unit = (high - low) or 1.0
        return [_heat((value - low) / unit) for value in values.tolist()]
    known = dict(zip(names, COLOURS, strict=False))
    return [known.get(str(name), NONE) for name in groups or [None] * count]


def _heat(share: float) -> tuple[int, int, int]:
    """A colour from the middle of the palette, so that it stands out from white."""
    colours = torch.tensor(PALETTES["heat"][:-1], dtype=torch.float64)
    place = share * (len(colours) - 1)
    below = min(int(place), len(colours) - 2)
    red, green, blue = colours[below] + (place - below) * (colours[below + 1] - colours[below])
    return int(red), int(green), int(blue)
