"""Images of the data as small PNG files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from glial.core.errors import GlialError
from glial.core.optional import require
from glial.data.images import ImageForm, decode_images
from glial.data.images.varied import is_packed, unpack
from glial.reports.blocks import Block, Picture

SIDE = 112
COLOURS = (1, 3)


def pictures_of(column: pl.Series, captions: Sequence[str]) -> list[Block]:
    """The cells of a column of images as small pictures; none where they cannot be shown.

    Args:
        column: Pixels, or paths of files.
        captions: What stands below each.

    Example:
        >>> column = pl.Series(np.zeros((1, 4, 4), dtype=np.uint8))
        >>> pictures_of(column, ["black"])[0].caption
        'black'
    """
    try:
        found = [small_png(pixels) for pixels in _pixels(column)]
    except (GlialError, ValueError, OSError):
        return []
    return [
        Picture(data, f"An image of the data: {caption}", caption)
        for data, caption in zip(found, captions, strict=True)
    ]


def _pixels(column: pl.Series) -> list[Any]:
    if is_packed(column):
        return [unpack(np.asarray(cell, dtype=np.uint8)) for cell in column]
    if isinstance(column.dtype, pl.Array):
        return list(column.to_numpy())
    return list(decode_images(column, ImageForm(3, SIDE, SIDE)).pixels)


def small_png(pixels: Any, side: int = SIDE) -> bytes:
    r"""Pixels as a PNG file whose longer side is at most some pixels.

    Args:
        pixels: [height, width], or with colours first or last; from 0 to 255, or to 1.
        side: The most pixels of the longer side.

    Example:
        >>> small_png(np.zeros((4, 4), dtype=np.uint8))[:4]
        b'\x89PNG'
    """
    pillow = require("PIL.Image", extra="vision", purpose="showing images in a report")
    values = np.asarray(pixels)
    if values.ndim == 3 and values.shape[0] in COLOURS and values.shape[2] not in COLOURS:
        values = np.moveaxis(values, 0, 2)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.dtype != np.uint8:
        most = float(values.max(initial=0))
        values = (values * (255 if most <= 1 else 1)).clip(0, 255).round().astype(np.uint8)
    image = pillow.fromarray(np.ascontiguousarray(values))
    if max(image.size) > side:
        image.thumbnail((side, side))
    elif max(image.size) < side // 2:  # small ones would be blurred by the browser
        times = side // max(image.size)
        image = image.resize((image.width * times, image.height * times), 0)
    file = io.BytesIO()
    image.save(file, "png", optimize=True)
    return file.getvalue()
