"""Files that are a row each: which kinds there are, and what is done with them alike."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import polars as pl

from glial.data.archives import is_file
from glial.data.cells import texts

logger = logging.getLogger(__name__)

NUM_TRIED = 20
SECONDS = 5.0  # between two lines of progress, the first after two
NUM_NAMED = 5
Found = TypeVar("Found")


class UnreadableFileError(Exception):
    """A file that cannot be decoded; the message says why, in a few words.

    Example:
        >>> str(UnreadableFileError("cut short"))
        'cut short'
    """


class Medium(NamedTuple):
    """A kind of file of which each is one row of a table.

    Attributes:
        kind: The kind of a column of such files.
        noun: What they are called, several of them.
        endings: How their names end.

    Example:
        >>> IMAGES.named("Cat.JPG"), IMAGES.named("cat.txt")
        (True, False)
    """

    kind: Literal["image", "sound"]
    noun: str
    endings: tuple[str, ...]

    def named(self, name: str) -> bool:
        """Whether a file is called like one that can be read."""
        return name.lower().endswith(self.endings)


IMAGES = Medium(
    "image",
    "images",
    (".jpg", ".jpeg", ".jpe", ".png", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp"),
)
SOUNDS = Medium(
    "sound", "sounds", (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au")
)
MEDIA = (IMAGES, SOUNDS)


def medium_of(names: Sequence[str]) -> Medium | None:
    """The medium that most of some files are of, by their endings; None where none is of any.

    Example:
        >>> medium_of(["cover.png", "1.wav", "2.wav"]).noun
        'sounds'
    """
    counts = {medium: sum(map(medium.named, names)) for medium in MEDIA}
    most = max(MEDIA, key=lambda medium: counts[medium])
    return most if counts[most] else None


def medium_named(column: pl.Series, folder: Path | None = None) -> Medium | None:
    """The medium of the files whose paths the cells of a column are; None where they are none.

    All present cells must end like such files, and one of the first twenty must be there.

    Args:
        column: The cells.
        folder: Where relative paths start; None is the current folder.

    Example:
        >>> medium_named(pl.Series(["no-such-file.png"])) is None
        True
    """
    if column.dtype != pl.String:
        return None
    words = texts(column).drop_nulls()
    medium = None if len(words) == 0 else medium_of([words[0]])
    if medium is None:
        return None
    pattern = rf"({'|'.join(medium.endings)})$".replace(".", r"\.")
    ends = words.str.to_lowercase().str.contains(pattern)
    there = any(is_file(str((folder or Path()) / word)) for word in words.head(NUM_TRIED))
    return medium if ends.all() and there else None


def each_file(
    column: pl.Series, read: Callable[[str], Found], done: str
) -> Iterator[tuple[int, Found | UnreadableFileError]]:
    """What a function makes of each present path, in threads; long work is told of.

    Args:
        column: Paths.
        read: What is done with each; it may raise an :class:`UnreadableFileError`.
        done: What is done, in a few words.

    Yields:
        The number of each row that has a path, and what came of it.

    Example:
        >>> list(each_file(pl.Series(["a.png", None]), str.upper, "images looked at"))
        [(0, 'A.PNG')]
    """

    def attempt(path: str) -> Found | UnreadableFileError:
        try:
            return read(path)
        except UnreadableFileError as error:
            return error

    paths = texts(column).to_list()
    rows = [row for row, path in enumerate(paths) if path is not None]
    begin = time.monotonic()
    told = begin + 2.0 - SECONDS
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = pool.map(attempt, [paths[row] for row in rows])
        for number, (row, value) in enumerate(zip(rows, found, strict=True), 1):
            yield row, value
            if time.monotonic() - told > SECONDS:
                told = time.monotonic()
                logger.info("%s: %s of %s", done, f"{number:,}", f"{len(rows):,}")


def name_unreadable(failed: Mapping[str, str]) -> str:
    """The first of some files that cannot be read and why, in words.

    Args:
        failed: Path to why.

    Example:
        >>> name_unreadable({"b.png": "no such file"})
        'b.png (no such file)'
    """
    named = [f"{path} ({why})" for path, why in list(failed.items())[:NUM_NAMED]]
    more = len(failed) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more > 0 else "")
