"""A folder of images or sounds, or a zip archive of one: a folder per class, or splits of such."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import polars as pl

from glial.core.errors import InputError
from glial.data.archives import SPLIT_NAMES
from glial.data.media import Medium, medium_of

logger = logging.getLogger(__name__)

PATH, LABEL = "path", "label"
NUM_NAMED = 3


def read_folder(root: Path, files: Sequence[str], medium: Medium) -> dict[str, pl.DataFrame]:
    """The rows of each split of a folder of images or sounds.

    Folders named ``train``, ``val`` (``valid``, ``validation``) and ``test`` are splits; the
    folders in them, or at the top where there are none, are classes. A single folder around all
    that is passed over.

    Args:
        root: The folder or zip archive.
        files: Its files, as :func:`glial.data.archives.list_files` gives them.
        medium: Which of them are rows; there are such.

    Returns:
        ``train``, and ``val`` and ``test`` where there are such folders: tables with ``path``
        and, where files lie in folders of classes, ``label``, a category.

    Example:
        >>> from glial.data.media import IMAGES
        >>> tables = read_folder(Path("pets"), ["cat/1.jpg", "dog/1.jpg"], IMAGES)
        >>> tables["train"].rows()
        [('pets/cat/1.jpg', 'cat'), ('pets/dog/1.jpg', 'dog')]
    """
    members = [name for name in files if medium.named(name)]
    _name_others([name for name in files if not medium.named(name)], medium)
    depth = _depth_of_top(members)
    inside = {name: PurePosixPath(name).parts[depth:] for name in members}
    rows: dict[str, list[tuple[str, str | None]]] = {}
    splits = _splits({parts[0] for parts in inside.values() if len(parts) > 1})
    strays = []
    for name, parts in inside.items():
        split = splits.get(parts[0]) if len(parts) > 1 else None
        if splits and split is None:
            strays.append(name)
            continue
        below = parts[1:] if splits else parts
        row = (str(root / name), below[0] if len(below) > 1 else None)
        rows.setdefault(split or "train", []).append(row)
    if strays:
        logger.warning(
            "%s beside the folders of splits are left aside: %s", medium.noun, _some(strays)
        )
    if "train" not in rows:
        rows = {"train": [row for part in rows.values() for row in part]}
    return _tables(rows)


def _name_others(names: list[str], medium: Medium) -> None:
    inner = [name for name in names if "/" in name]
    if inner:
        logger.warning("files that are no %s are left aside: %s", medium.noun, _some(inner))


def _some(names: list[str]) -> str:
    more = len(names) - NUM_NAMED
    return ", ".join(names[:NUM_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _depth_of_top(names: list[str]) -> int:
    """How many folders lie around everything, the folders of classes or splits not counted."""
    folders = {PurePosixPath(name).parts[:-1] for name in names}
    depth = 0
    while True:
        tops = {parts[depth : depth + 1] for parts in folders}
        top = next(iter(tops))
        is_class = len(folders) == 1 and len(next(iter(folders))) == depth + 1
        if len(tops) > 1 or not top or is_class or top[0].lower() in SPLIT_NAMES:
            return depth
        depth += 1


def _splits(folders: set[str]) -> dict[str, str]:
    """Folder to its split, where the folders at the top are splits and not classes."""
    known = {name: SPLIT_NAMES[name.lower()] for name in folders if name.lower() in SPLIT_NAMES}
    return known if len(known) == len(folders) or "train" in known.values() else {}


def _tables(rows: dict[str, list[tuple[str, str | None]]]) -> dict[str, pl.DataFrame]:
    labels = sorted({label for part in rows.values() for _, label in part if label is not None})
    tables = {}
    for split, part in rows.items():
        paths, known = zip(*part, strict=True)
        table = pl.DataFrame({PATH: pl.Series(paths, dtype=pl.String)})
        if any(label is not None for label in known):
            table = table.with_columns(pl.Series(LABEL, known, dtype=pl.Enum(labels)))
        tables[split] = table
    return tables


def checked_medium(root: Path, files: Sequence[str]) -> Medium:
    """What the files of a folder or archive are: what most of them are, others passed over.

    Args:
        root: The folder or zip archive.
        files: Its files.

    Raises:
        InputError: If there is neither an image nor a sound among them.

    Example:
        >>> checked_medium(Path("pets"), ["cat/1.jpg"]).noun
        'images'
    """
    medium = medium_of(files)
    if medium is None:
        kind = "a folder" if root.is_dir() else "an archive"
        raise InputError(
            f"{root} is {kind} without images or sounds",
            expected="images or sounds, in a folder per class",
            got=_some(list(files)) or "no files",
            do=f"name the files of tables: '{root}/*.csv'",
        )
    return medium
