"""Attention drawn: which tokens each token looked at, as heat maps with the tokens at both axes."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from glial.core.optional import require
from glial.nn.attended import Attended

CELL, GAP, HEADING, SIZE = 16, 24, 22, 11  # pixels; of letters the last
ACROSS = 3  # maps side by side
INK, WHITE, DARK = (32, 36, 44), (255, 255, 255), (16, 60, 120)


@dataclass(frozen=True)
class Alignment:
    """What each token of one text took from the tokens of another, or of the same.

    Attributes:
        heading: What stands above.
        shares: From white, 0, to dark, 1.
        rows: The tokens that looked.
        columns: The tokens that were looked at.

    Example:
        >>> import torch
        >>> Alignment("one", torch.eye(2), ["a", "b"], ["c", "d"]).size[0] > 2 * CELL
        True
    """

    heading: str
    shares: Float[Tensor, "query place"]
    rows: list[str]
    columns: list[str]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, tokens included."""
        left, top = self.margins
        wide = max(left + CELL * len(self.columns), int(0.62 * SIZE * len(self.heading)))
        return wide, HEADING + top + CELL * len(self.rows)

    @property
    def margins(self) -> tuple[int, int]:
        """Room for the tokens at the left and above."""
        longest = [max(map(len, part), default=0) for part in (self.rows, self.columns)]
        left, top = (int(0.7 * SIZE * length) + 8 for length in longest)
        return left, top


def alignments(found: Sequence[Attended], rows: list[str], columns: list[str]) -> list[Alignment]:
    """A map for each head of each layer; of one row.

    Args:
        found: Where layers looked.
        rows: The tokens that looked.
        columns: The tokens that were looked at.

    Example:
        >>> import torch
        >>> one = Attended("a", torch.ones(1, 2, 1, 1), crosses=True)
        >>> [part.heading for part in alignments([one], ["b"], ["c"])]
        ['a, head 1', 'a, head 2']
    """
    made = []
    for layer in found:
        heads = layer.weights[0].cpu()
        for number, shares in enumerate(heads, 1):
            heading = layer.layer if len(heads) == 1 else f"{layer.layer}, head {number}"
            made.append(Alignment(heading, shares[: len(rows), : len(columns)], rows, columns))
    return made


def alignment_svg(maps: Sequence[Alignment]) -> str:
    """Maps as the text of an SVG file; a cell tells its tokens and its share.

    Args:
        maps: Those to draw.

    Example:
        >>> import torch
        >>> alignment_svg([Alignment("one", torch.eye(1), ["<a>"], ["b"])]).count("&lt;a&gt;")
        2
    """
    places, (width, height) = _laid_out(maps)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="monospace" font-size="{SIZE}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for one, (x, y) in zip(maps, places, strict=True):
        left, top = x + one.margins[0], y + HEADING + one.margins[1]
        parts.append(f'<text x="{x}" y="{y + SIZE}">{html.escape(one.heading)}</text>')
        for number, token in enumerate(one.rows):
            at = top + CELL * number + SIZE
            told = html.escape(token)
            parts.append(f'<text x="{left - 4}" y="{at}" text-anchor="end">{told}</text>')
        for number, token in enumerate(one.columns):
            at = left + CELL * number + SIZE
            told = html.escape(token)
            parts.append(f'<text transform="translate({at},{top - 4}) rotate(-90)">{told}</text>')
        for (row, column), share in _cells(one):
            red, green, blue = _colour(share)
            told = html.escape(f"{one.rows[row]} from {one.columns[column]}: {share:.2f}")
            parts.append(
                f'<rect x="{left + CELL * column}" y="{top + CELL * row}" width="{CELL - 1}" '
                f'height="{CELL - 1}" fill="rgb({red},{green},{blue})"><title>{told}</title></rect>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def alignment_png(maps: Sequence[Alignment]) -> bytes:
    """Maps as the bytes of a PNG file.

    Args:
        maps: Those to draw.

    Raises:
        InputError: If Pillow is not installed.

    Example:
        >>> import torch
        >>> alignment_png([Alignment("one", torch.eye(1), ["a"], ["b"])])[1:4]
        b'PNG'
    """
    pillow = require("PIL.Image", extra="vision", purpose="drawing a network")
    pen = require("PIL.ImageDraw", extra="vision", purpose="drawing a network")
    font = require("PIL.ImageFont", extra="vision", purpose="drawing a network").load_default(SIZE)
    places, size = _laid_out(maps)
    sheet = pillow.new("RGB", size, WHITE)
    draw = pen.Draw(sheet)
    for one, (x, y) in zip(maps, places, strict=True):
        left, top = x + one.margins[0], y + HEADING + one.margins[1]
        draw.text((x, y), one.heading, INK, font)
        for number, token in enumerate(one.rows):
            wide = draw.textlength(token, font)
            draw.text((left - 4 - wide, top + CELL * number + 1), token, INK, font)
        for number, token in enumerate(one.columns):
            _draw_upright(sheet, token, (left + CELL * number, top - 4), font, (pillow, pen))
        for (row, column), share in _cells(one):
            corner = left + CELL * column, top + CELL * row
            end = corner[0] + CELL - 2, corner[1] + CELL - 2
            draw.rectangle((*corner, *end), fill=_colour(share))
    file = io.BytesIO()
    sheet.save(file, "png", optimize=True)
    return file.getvalue()


def _draw_upright(
    sheet: Any, token: str, foot: tuple[int, int], font: Any, tools: tuple[Any, Any]
) -> None:
    """A token that is read from below, with its beginning at ``foot``."""
    pillow, pen = tools
    wide = max(1, int(pen.Draw(sheet).textlength(token, font)) + 1)
    line = pillow.new("RGB", (wide, CELL), WHITE)
    pen.Draw(line).text((0, 1), token, INK, font)
    sheet.paste(line.rotate(90, expand=True), (foot[0], foot[1] - wide))


def _cells(one: Alignment) -> list[tuple[tuple[int, int], float]]:
    values = one.shares.float().tolist()
    return [((r, c), share) for r, row in enumerate(values) for c, share in enumerate(row)]


def _colour(share: float) -> tuple[int, int, int]:
    part = min(1.0, max(0.0, share))
    red, green, blue = (round(w + (d - w) * part) for w, d in zip(WHITE, DARK, strict=True))
    return red, green, blue


def _laid_out(maps: Sequence[Alignment]) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """The corner of each map, and the size of all."""
    wide = max(one.size[0] for one in maps) + GAP
    high = max(one.size[1] for one in maps) + GAP
    places = [
        (GAP + number % ACROSS * wide, GAP + number // ACROSS * high) for number in range(len(maps))
    ]
    across = min(ACROSS, len(maps))
    return places, (GAP + across * wide, GAP + -(-len(maps) // ACROSS) * high)
