"""A sheet of small pictures: strips of tiles under headings, drawn as PNG."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from glial.core.optional import require

WIDTH = 1104  # pixels of a sheet
MARGIN, GAP, LINE, HEADING = 14, 6, 13, 22
INK, FAINT, EDGE, BOX = (32, 36, 44), (104, 112, 124), (196, 201, 208), (0, 214, 255)
# Colours at even steps from the lowest value to the highest.
PALETTES = {
    "grey": [(0, 0, 0), (255, 255, 255)],
    "heat": [(6, 6, 18), (62, 30, 110), (168, 44, 104), (240, 118, 52), (252, 208, 92), (255,) * 3],
    "signs": [(10, 60, 140), (110, 160, 220), (244, 244, 244), (232, 140, 100), (150, 20, 30)],
}


@dataclass(frozen=True)
class Tile:
    """One small picture.

    Attributes:
        values: Numbers [height, width], or of red, green and blue [3, height, width].
        label: What stands under it, in one line or several.
        box: An outlined part of it: top, left, height and width in places; it may lie partly
            outside.

    Example:
        >>> Tile(torch.zeros(2, 3), "zeros").label
        'zeros'
    """

    values: Tensor
    label: str = ""
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class Strip:
    """Tiles in a row, or in several where they are many, on one range.

    Attributes:
        heading: What stands above them.
        tiles: From left to right.
        low: The number drawn in the first colour of the palette, and all below it.
        high: The number drawn in its last colour, and all above it.
        palette: A key of `PALETTES`; tiles of three colours need none.
        side: Pixels of the longer side of a tile, about.

    Example:
        >>> strip = Strip("one", [Tile(torch.tensor([[0.0, 0.5, 1.0, 9.0]]))], 0.0, 1.0)
        >>> strip.pixels(strip.tiles[0])[0, :, 0].tolist()
        [0, 128, 255, 255]
    """

    heading: str
    tiles: list[Tile]
    low: float
    high: float
    palette: str = "grey"
    side: int = 48

    def pixels(self, tile: Tile) -> Tensor:
        """The colours of a tile's numbers, bytes [height, width, 3]."""
        values = tile.values.detach().cpu().double()
        shares = ((values - self.low) / ((self.high - self.low) or 1)).nan_to_num().clamp(0, 1)
        if values.ndim == 3:
            return _bytes(shares.permute(1, 2, 0) * 255)
        colours = torch.tensor(PALETTES[self.palette], dtype=torch.float64)
        places = shares * (len(colours) - 1)
        below = places.floor().clamp(max=len(colours) - 2).long()
        rest = (places - below)[..., None]
        return _bytes(colours[below] * (1 - rest) + colours[below + 1] * rest)


def _bytes(values: Tensor) -> Tensor:
    return (values + 0.5).floor().to(torch.uint8).contiguous()


@dataclass(frozen=True)
class Sheet:
    """Strips below one another.

    Attributes:
        strips: From top to bottom.

    Example:
        >>> Sheet([Strip("one", [Tile(torch.eye(3))], 0.0, 1.0)]).png()[1:4]
        b'PNG'
    """

    strips: list[Strip] = field(default_factory=list)

    def png(self) -> bytes:
        """The bytes of a PNG file, on white.

        Raises:
            InputError: If Pillow is not installed.
        """
        pillow = require("PIL.Image", extra="vision", purpose="drawing a network")
        pen = require("PIL.ImageDraw", extra="vision", purpose="drawing a network")
        fonts = require("PIL.ImageFont", extra="vision", purpose="drawing a network")
        large, small = fonts.load_default(13), fonts.load_default(10)
        drawn = [
            (strip, [_enlarged(strip, tile, pillow, pen) for tile in strip.tiles])
            for strip in self.strips
        ]
        height = 2 * MARGIN + sum(HEADING + _height(*strip) for strip in drawn)
        sheet = pillow.new("RGB", (WIDTH, height), "white")
        draw, top = pen.Draw(sheet), MARGIN
        for strip, images in drawn:
            heading = strip.heading
            while draw.textlength(heading, large) > WIDTH - 2 * MARGIN:
                heading = heading[:-1]
            draw.text((MARGIN, top), heading, INK, large)
            top += HEADING
            step, columns = _grid(strip, images)
            for number, (tile, image) in enumerate(zip(strip.tiles, images, strict=True)):
                left = MARGIN + number % columns * step[0]
                upper = top + number // columns * step[1]
                corner = (left + image.width, upper + image.height)
                draw.rectangle((left - 1, upper - 1, *corner), outline=EDGE)
                sheet.paste(image, (left, upper))
                for line, label in enumerate(tile.label.splitlines()):
                    place = (left, corner[1] + 1 + line * LINE)
                    draw.text(place, _fitting(label, step[0] - GAP, draw, small), FAINT, small)
            top += _height(strip, images)
        file = io.BytesIO()
        sheet.save(file, "png", optimize=True)
        return file.getvalue()


def _enlarged(strip: Strip, tile: Tile, pillow: Any, pen: Any) -> Any:
    """A tile at the size at which it is shown, with its box."""
    pixels = strip.pixels(tile)
    height, width = pixels.shape[:2]
    factor = strip.side / max(height, width)
    factor = float(int(factor)) if factor >= 1 else factor
    size = max(1, round(width * factor)), max(1, round(height * factor))
    way = pillow.Resampling.NEAREST if factor >= 1 else pillow.Resampling.BOX
    image = pillow.fromarray(pixels.numpy()).resize(size, way)
    if tile.box is not None:
        top, left, high, wide = (round(length * factor) for length in tile.box)
        # Round what is inside, and at the tile's edge where the box goes beyond it.
        corners = (max(left - 1, 0), max(top - 1, 0), left + wide, top + high)
        right, bottom = min(corners[2], size[0] - 1), min(corners[3], size[1] - 1)
        pen.Draw(image).rectangle((*corners[:2], right, bottom), outline=BOX)
    return image


def _grid(strip: Strip, images: list[Any]) -> tuple[tuple[int, int], int]:
    """Pixels from one tile to the next, across and down, and how many stand side by side."""
    lines = max((len(tile.label.splitlines()) for tile in strip.tiles), default=0)
    wide = max((image.width for image in images), default=0) + GAP
    high = max((image.height for image in images), default=0) + lines * LINE + GAP
    return (wide, high), max(1, (WIDTH - 2 * MARGIN + GAP) // wide)


def _height(strip: Strip, images: list[Any]) -> int:
    """Pixels of a strip's tiles, and of the space behind them."""
    step, columns = _grid(strip, images)
    return -(-len(images) // columns) * step[1] + GAP


def _fitting(label: str, room: int, draw: Any, font: Any) -> str:
    """A label, or as much of its end as fits: the ends of paths differ."""
    if draw.textlength(label, font) <= room:
        return label
    while label and draw.textlength(f"...{label}", font) > room:
        label = label[1:]
    return f"...{label}"
