"""A column of images: which columns are one, what size suits it, and its pixels."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.cells import missing
from glial.data.images.decoding import (
    Header,
    ImageForm,
    Pixels,
    decode_file,
    fit_pixels,
    pillow_image,
    read_header,
)
from glial.data.images.settings import ImageSettings
from glial.data.images.varied import is_packed, sizes_of
from glial.data.media import NUM_NAMED, UnreadableFileError, each_file

MAX_SIDE = 128
MANY_IMAGES, MANY_SIDE = 10_000, 64
Found = TypeVar("Found")


@dataclass(frozen=True)
class Scan:
    """What the images of a column are like, by their headers alone.

    Attributes:
        sizes: Height and width of each image, [row, 2]; 0 where there is none.
        grey: Whether each has no colours, [row].
        unreadable: Row to why its image cannot be read; missing cells are not among them.

    Example:
        >>> scan_images(pl.Series([None], dtype=pl.String)).sizes.tolist()
        [[0, 0]]
    """

    sizes: NDArray[np.int64]
    grey: NDArray[np.bool_]
    unreadable: dict[int, str]


@dataclass(frozen=True)
class Decoded:
    """The images of a column.

    Attributes:
        pixels: [row, height, width] or [row, height, width, 3]; zeros where there is none.
        unreadable: Row to why its image cannot be read; missing cells are not among them.

    Example:
        >>> decode_images(pl.Series([None], dtype=pl.String), ImageForm(1, 1, 1)).pixels.tolist()
        [[[0]]]
    """

    pixels: Pixels
    unreadable: dict[int, str]


def scan_images(column: pl.Series) -> Scan:
    """Read the headers of a column's images: quick, and nothing is decoded.

    Args:
        column: Paths, or in each cell pixels [height, width] or [height, width, 3], or packed ones.
    """
    sizes, grey = np.zeros((len(column), 2), dtype=np.int64), np.zeros(len(column), dtype=np.bool_)
    if is_packed(column):
        rows, cells = column.is_not_null().to_numpy(), column.drop_nulls().to_numpy()
        sizes[rows], grey[rows] = sizes_of(cells), cells[:, 4] == 1
        return Scan(sizes, grey, {})
    if isinstance(column.dtype, pl.Array):
        rows = (~missing(column)).to_numpy()
        sizes[rows], grey[rows] = column.dtype.shape[:2], len(column.dtype.shape) == 2
        return Scan(sizes, grey, {})
    unreadable: dict[int, str] = {}
    for row, header in _each(column, read_header, "images looked at"):
        if isinstance(header, Header):
            sizes[row], grey[row] = (header.height, header.width), header.grey
        else:
            unreadable[row] = str(header)
    return Scan(sizes, grey, unreadable)


def choose_form(scan: Scan, settings: ImageSettings) -> ImageForm:
    """What the images of a column are brought to.

    The size is the one that most images have, else the median height and width; sides are at
    most 128 pixels, or 64 for more than 10,000 images, at the same proportions.

    Args:
        scan: What the images are like.
        settings: The plan's ``data.images``.

    Raises:
        InputError: If there is no image to look at, and the settings do not say.

    Example:
        >>> same = Scan(np.array([[480, 640]] * 3), np.ones(3, dtype=bool), {})
        >>> choose_form(same, ImageSettings())
        ImageForm(height=96, width=128, channels=1, fit='resize')
    """
    there = scan.sizes[:, 0] > 0
    if not there.any() and "auto" in (settings.size, settings.channels):
        raise InputError(
            "there is no image that can be read",
            expected="at least one image",
            got="; ".join(list(scan.unreadable.values())[:NUM_NAMED]) or "missing cells",
            do="check the paths",
        )
    channels = {"grey": 1, "rgb": 3, "auto": 1 if scan.grey[there].all() else 3}[settings.channels]
    if settings.size == "varied":
        height, width = _least_box(scan.sizes[there], settings)
        return ImageForm(height, width, channels, "varied")
    if settings.size == "auto":
        height, width = _suited_size(scan.sizes[there], settings)
    else:
        height, width = settings.size
    return ImageForm(height, width, channels, settings.fit)


def _suited_size(sizes: NDArray[np.int64], settings: ImageSettings) -> tuple[int, int]:
    least, multiple = settings.min_side, settings.multiple
    known, counts = np.unique(sizes, axis=0, return_counts=True)
    commonest = known[counts.argmax()]
    wanted = commonest if 2 * counts.max() >= len(sizes) else np.median(sizes, axis=0)
    most = _most(sizes)
    # Enlarged where a network needs that; what is very long is distorted rather than made huge.
    smaller = min(1.0, most / wanted.max())
    larger = min(least / wanted.min(), max(most, 2 * least) / wanted.max())
    height, width = (
        max(least, multiple * max(1, round(float(side) / multiple)))
        for side in wanted * max(smaller, larger)
    )
    return height, width


def _most(sizes: NDArray[np.int64]) -> int:
    return MAX_SIDE if len(sizes) <= MANY_IMAGES else MANY_SIDE


def _least_box(sizes: NDArray[np.int64], settings: ImageSettings) -> tuple[int, int]:
    """The height and width that no image exceeds once its longer side is no more than allowed."""
    most = _most(sizes) if settings.max_side == "auto" else settings.max_side
    ratios = np.minimum(1.0, most / sizes.max(axis=1, initial=1))
    height, width = np.maximum(1, np.round(sizes * ratios[:, None])).max(axis=0, initial=1)
    return int(height), int(width)


def decode_images(column: pl.Series, form: ImageForm) -> Decoded:
    """The pixels of a column's images, decoded in threads.

    Args:
        column: Paths, or pixels in each cell, packed or not.
        form: What each image is brought to.
    """
    if isinstance(column.dtype, pl.Array):
        return Decoded(_fitted(column, form), {})
    pixels = np.zeros((len(column), *form.shape), dtype=np.uint8)
    unreadable: dict[int, str] = {}
    for row, image in _each(column, partial(decode_file, form=form), "images decoded"):
        if isinstance(image, UnreadableFileError):
            unreadable[row] = str(image)
        else:
            pixels[row] = image
    return Decoded(pixels, unreadable)


def _fitted(column: pl.Series, form: ImageForm) -> Pixels:
    there = column.is_not_null().to_numpy()
    held = column.drop_nulls().to_numpy()
    exceeds = is_packed(column) and (sizes_of(held) > [form.height, form.width]).any()
    if held.shape[1:] != form.shape or exceeds:
        found = [fit_pixels(image, form) for image in held]
        held = np.stack(found) if found else np.zeros((0, *form.shape), dtype=np.uint8)
    if there.all():
        return held
    pixels = np.zeros((len(column), *form.shape), dtype=np.uint8)
    pixels[there] = held
    return pixels


def _each(
    column: pl.Series, read: Callable[[str], Found], done: str
) -> Iterator[tuple[int, Found | UnreadableFileError]]:
    """What a function makes of each present path; warnings of large images are left to it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pillow_image().DecompressionBombWarning)
        yield from each_file(column, read, done)
