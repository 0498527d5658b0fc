"""Paths of images in tables replaced by their pixels; rows that have none left out, and told."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.cells import missing
from glial.data.images.columns import (
    choose_form,
    decode_images,
    name_unreadable,
    scan_images,
)
from glial.data.images.decoding import ImageForm
from glial.data.images.settings import ImageSettings

logger = logging.getLogger(__name__)


class Opened(NamedTuple):
    """Tables with pixels.

    Attributes:
        tables: The tables, their rows with usable images.
        kept: Which rows of each table were kept.
        forms: What the images of each column were brought to.

    Example:
        >>> Opened([], [], {}).forms
        {}
    """

    tables: list[pl.DataFrame]
    kept: list[NDArray[np.bool_]]
    forms: dict[str, ImageForm]


def open_images(
    tables: Sequence[pl.DataFrame],
    names: Sequence[str],
    settings: ImageSettings,
    *,
    needed: bool = True,
    decode: bool = True,
) -> Opened:
    """The tables of an experiment with the pixels of their images.

    Each column is brought to one size, which the first table decides. Rows whose images cannot be
    read are left out.

    Args:
        tables: The training rows first.
        names: Columns of images.
        settings: The plan's ``data.images``.
        needed: Whether rows without an image, where its cell is missing, are left out too.
        decode: Whether images are decoded; else their headers alone are read, and paths stay.

    Raises:
        InputError: If more images cannot be read than the settings allow.

    Example:
        >>> pixels = np.zeros((2, 4, 4), dtype=np.uint8)
        >>> open_images([pl.DataFrame({"x": pixels})], ["x"], ImageSettings()).forms
        {'x': ImageForm(height=4, width=4, channels=1, fit='resize')}
    """
    opened = list(tables)
    kept = [np.ones(table.height, dtype=np.bool_) for table in tables]
    forms: dict[str, ImageForm] = {}
    for name in names:
        forms[name] = choose_form(scan_images(tables[0][name]), settings)
        failed: dict[str, str] = {}
        for number, table in enumerate(opened):
            if name not in table.columns:
                continue  # refused with all other missing columns, where the table is encoded
            pixels, unreadable = (_pixels if decode else _paths)(table[name], forms[name])
            failed |= {str(table[name][row]): why for row, why in unreadable.items()}
            kept[number][list(unreadable)] = False
            if needed:
                kept[number] &= pixels.is_not_null().to_numpy()
            opened[number] = table.with_columns(pixels)
        columns = [table[name] for table in tables if name in table.columns]
        present = sum(int((~missing(column)).sum()) for column in columns)
        _check(name, failed, present, settings.max_unreadable)
    lost = sum(int((~rows).sum()) for rows in kept)
    if lost:
        logger.warning("%d rows without a usable image are left out", lost)
    found = [table.filter(rows) for table, rows in zip(opened, kept, strict=True)]
    return Opened(found, kept, forms)


def with_pixels(
    frame: pl.DataFrame, forms: Mapping[str, ImageForm], *, needed: bool = True
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Some rows with the pixels of their images, and paths of those that cannot be read.

    Args:
        frame: Rows with paths.
        forms: What the images of each column are brought to.
        needed: As for :func:`open_images`.

    Returns:
        The rows that have usable images, and path to why for the others.

    Example:
        >>> rows = pl.DataFrame({"x": ["no-such-file.png"]})
        >>> with_pixels(rows, {"x": ImageForm(1, 1, 1)})[1]
        {'no-such-file.png': 'no such file'}
    """
    failed: dict[str, str] = {}
    kept = np.ones(frame.height, dtype=np.bool_)
    opened = frame
    for name, form in forms.items():
        pixels, unreadable = _pixels(frame[name], form)
        failed |= {str(frame[name][row]): why for row, why in unreadable.items()}
        kept[list(unreadable)] = False
        if needed:
            kept &= pixels.is_not_null().to_numpy()
        opened = opened.with_columns(pixels)
    return opened.filter(kept), failed


def _paths(column: pl.Series, form: ImageForm) -> tuple[pl.Series, dict[int, str]]:
    """A column as it is, null where there is no image; and what has no readable header."""
    unreadable = scan_images(column).unreadable
    gone = missing(column).to_numpy().copy()
    gone[list(unreadable)] = True
    return column.set(pl.Series(gone), None), unreadable


def _pixels(column: pl.Series, form: ImageForm) -> tuple[pl.Series, dict[int, str]]:
    """A column's images as cells of pixels, null where there are none; and what is unreadable."""
    decoded = decode_images(column, form)
    gone = missing(column).to_numpy().copy()
    gone[list(decoded.unreadable)] = True
    pixels = pl.Series(column.name, decoded.pixels)
    if gone.any():
        table = pl.DataFrame([pixels, pl.Series("there", ~gone)])
        pixels = table.select(pl.when("there").then(pl.col(column.name))).to_series()
    return pixels.alias(column.name), decoded.unreadable


def _check(name: str, failed: dict[str, str], present: int, most: float) -> None:
    """Tell of images that cannot be read, or refuse them where they are too many."""
    if not failed:
        return
    named = name_unreadable(failed)
    if len(failed) > most * present:
        raise InputError(
            f"{len(failed):,} of {present:,} images of the column {name!r} cannot be read",
            expected=f"at most {most:.0%} (data.images.max_unreadable)",
            got=named,
            do="mend or remove these files, raise data.images.max_unreadable, or leave the column "
            f"out with --set data.types.{name}=identifier",
        )
    logger.warning("column %r: %d images cannot be read: %s", name, len(failed), named)
