"""Paths of images and sounds in tables replaced by what is in the files.

Rows whose files cannot be read are left out, and told.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.cells import missing
from glial.data.images.columns import choose_form, decode_images, scan_images
from glial.data.images.decoding import ImageForm
from glial.data.images.settings import ImageSettings
from glial.data.media import IMAGES, MEDIA, SOUNDS, Medium, name_unreadable
from glial.data.settings import DataSettings, Kind
from glial.data.sounds import SoundForm, choose_sound_form, decode_sounds, scan_sounds

logger = logging.getLogger(__name__)

Form = ImageForm | SoundForm


class Opened(NamedTuple):
    """Tables with pixels and samples.

    Attributes:
        tables: The tables, their rows with usable files.
        kept: Which rows of each table were kept.
        forms: What the images or sounds of each column were brought to.

    Example:
        >>> Opened([], [], {}).forms
        {}
    """

    tables: list[pl.DataFrame]
    kept: list[NDArray[np.bool_]]
    forms: dict[str, Form]


def open_images(
    tables: Sequence[pl.DataFrame],
    names: Sequence[str],
    settings: ImageSettings,
    *,
    needed: bool = True,
    decode: bool = True,
) -> Opened:
    """The tables of an experiment with the pixels of their images: see :func:`open_files`.

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
    kinds: dict[str, Kind] = dict.fromkeys(names, "image")
    data = DataSettings(images=settings)
    return open_files(tables, kinds, data, needed=needed, decode=decode)


def open_files(
    tables: Sequence[pl.DataFrame],
    kinds: Mapping[str, Kind],
    settings: DataSettings,
    *,
    needed: bool = True,
    decode: bool = True,
) -> Opened:
    """The tables of an experiment with what is in the files of their images and sounds.

    Each column is brought to one form, which the first table decides. Rows whose files cannot be
    read are left out.

    Args:
        tables: The training rows first.
        kinds: Kind of each column; those of images and sounds are opened.
        settings: The plan's ``data`` part.
        needed: Whether rows without a file, where its cell is missing, are left out too.
        decode: Whether files are decoded; else their headers alone are read, and paths stay.

    Raises:
        InputError: If more files cannot be read than the settings allow.

    Example:
        >>> frame = pl.DataFrame({"x": np.zeros((2, 4, 4), dtype=np.uint8)})
        >>> open_files([frame], {"x": "image"}, DataSettings()).forms["x"].height
        4
    """
    media = {medium.kind: medium for medium in MEDIA}
    columns = {name: media[kind] for name, kind in kinds.items() if kind in media}
    opened = list(tables)
    kept = [np.ones(table.height, dtype=np.bool_) for table in tables]
    forms: dict[str, Form] = {}
    for name, medium in columns.items():
        forms[name] = _chosen_form(tables[0][name], medium, settings)
        failed: dict[str, str] = {}
        for number, table in enumerate(opened):
            if name not in table.columns:
                continue  # refused with all other missing columns, where the table is encoded
            cells, unreadable = (_decoded if decode else _paths)(table[name], forms[name])
            failed |= {str(table[name][row]): why for row, why in unreadable.items()}
            kept[number][list(unreadable)] = False
            if needed:
                kept[number] &= cells.is_not_null().to_numpy()
            opened[number] = table.with_columns(cells)
        present = [int((~missing(t[name])).sum()) for t in tables if name in t.columns]
        _check(name, medium, failed, sum(present), _most_unreadable(medium, settings))
    lost = sum(int((~rows).sum()) for rows in kept)
    if lost:
        nouns = " or ".join(dict.fromkeys(medium.kind for medium in columns.values()))
        logger.warning("%d rows without a usable %s are left out", lost, nouns)
    found = [table.filter(rows) for table, rows in zip(opened, kept, strict=True)]
    return Opened(found, kept, forms)


def with_content(
    frame: pl.DataFrame, forms: Mapping[str, Form], *, needed: bool = True
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Some rows with what is in their files, and paths of those that cannot be read.

    Args:
        frame: Rows with paths.
        forms: What the images or sounds of each column are brought to.
        needed: As for :func:`open_files`.

    Returns:
        The rows that have usable files, and path to why for the others.

    Example:
        >>> rows = pl.DataFrame({"x": ["no-such-file.png"]})
        >>> with_content(rows, {"x": ImageForm(1, 1, 1)})[1]
        {'no-such-file.png': 'no such file'}
    """
    failed: dict[str, str] = {}
    kept = np.ones(frame.height, dtype=np.bool_)
    opened = frame
    for name, form in forms.items():
        cells, unreadable = _decoded(frame[name], form)
        failed |= {str(frame[name][row]): why for row, why in unreadable.items()}
        kept[list(unreadable)] = False
        if needed:
            kept &= cells.is_not_null().to_numpy()
        opened = opened.with_columns(cells)
    return opened.filter(kept), failed


def _chosen_form(column: pl.Series, medium: Medium, settings: DataSettings) -> Form:
    if medium is SOUNDS:
        return choose_sound_form(scan_sounds(column), settings.sounds)
    return choose_form(scan_images(column), settings.images)


def _most_unreadable(medium: Medium, settings: DataSettings) -> float:
    return (settings.images if medium is IMAGES else settings.sounds).max_unreadable


def _paths(column: pl.Series, form: Form) -> tuple[pl.Series, dict[int, str]]:
    """A column as it is, null where there is no file; and what has no readable header."""
    scan = scan_sounds if isinstance(form, SoundForm) else scan_images
    unreadable: dict[int, str] = scan(column).unreadable
    gone = missing(column).to_numpy().copy()
    gone[list(unreadable)] = True
    return column.set(pl.Series(gone), None), unreadable


def _decoded(column: pl.Series, form: Form) -> tuple[pl.Series, dict[int, str]]:
    """A column's files as cells of arrays, null where there are none; and what is unreadable."""
    values: NDArray[Any]
    if isinstance(form, SoundForm):
        values, unreadable = (heard := decode_sounds(column, form)).samples, heard.unreadable
    else:
        values, unreadable = (seen := decode_images(column, form)).pixels, seen.unreadable
    gone = missing(column).to_numpy().copy()
    gone[list(unreadable)] = True
    cells = pl.Series(column.name, values)
    if gone.any():
        table = pl.DataFrame([cells, pl.Series("there", ~gone)])
        cells = table.select(pl.when("there").then(pl.col(column.name))).to_series()
    return cells.alias(column.name), unreadable


def _check(name: str, medium: Medium, failed: dict[str, str], present: int, most: float) -> None:
    """Tell of files that cannot be read, or refuse them where they are too many."""
    if not failed:
        return
    named, key = name_unreadable(failed), f"data.{medium.noun}.max_unreadable"
    if len(failed) > most * present:
        raise InputError(
            f"{len(failed):,} of {present:,} {medium.noun} of the column {name!r} cannot be read",
            expected=f"at most {most:.0%} ({key})",
            got=named,
            do=f"mend or remove these files, raise {key}, or leave the column out with "
            f"--set data.types.{name}=identifier",
        )
    logger.warning("column %r: %d %s cannot be read: %s", name, len(failed), medium.noun, named)
