"""A source as a table: files, folders, glob patterns, named data sets, tables in memory."""

from __future__ import annotations

import glob
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from glial.core.errors import InputError, suggest
from glial.data.archives import is_zip, list_files
from glial.data.cells import texts
from glial.data.conll import TAGS, is_conll_name, read_conll_folder
from glial.data.datasets import DATASETS, load_dataset
from glial.data.delimited import check_names
from glial.data.files import read_file
from glial.data.folders import LABEL, PATH, checked_medium, read_folder
from glial.data.frames import from_memory
from glial.data.images.arrays import TARGET, has_idx_files, read_idx_folder, read_npz
from glial.data.media import medium_named, medium_of
from glial.data.names import name_columns

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """What a source holds.

    Attributes:
        frame: Its rows, without those of splits of its own.
        val: The rows that it sets apart for validation, if it does.
        test: The rows that it sets apart for testing, if it does.
        target: The column that it says is to be predicted, if it does.

    Example:
        >>> read_source({"a": [1, 2]}).val is None
        True
    """

    frame: pl.DataFrame
    val: pl.DataFrame | None = None
    test: pl.DataFrame | None = None
    target: str | None = None

    def whole(self) -> pl.DataFrame:
        """All rows, those of every split."""
        parts = [part for part in (self.frame, self.val, self.test) if part is not None]
        return pl.concat(parts) if len(parts) > 1 else self.frame


def read_source(source: Any, names: str | None = None) -> Source:
    """A source with its own splits.

    Args:
        source: As for :func:`read`.
        names: As for :func:`read`.

    Raises:
        InputError: If the source is missing, cannot be read, or has no rows.

    Example:
        >>> read_source({"a": [1, 2]}).frame.shape
        (2, 1)
    """
    found = _read_folder(Path(source)) if is_image_source(source) else _read_files(source)
    return found if names is None else _with_names(found, source, names)


def _read_files(source: Any) -> Source:
    table, files = _read_table(source), files_of(source)
    tagged = bool(files) and all(is_conll_name(path.name) for path in files)
    return Source(table, target=TAGS if tagged and TAGS in table.columns else None)


def read(source: Any, names: str | None = None) -> pl.DataFrame:
    """The table of a source, the rows of all its splits together.

    Cells of text formats stay text, so that labels keep their spelling; typed formats keep
    their types. Images are paths or, from arrays, pixels.

    Args:
        source: A path, a glob pattern or a list of paths, of tables, images or sounds, a folder
            of images, sounds or CoNLL files or a zip archive of one, an ``.npz`` file, the name of
            a data set (see ``glial datasets``), or a table in memory: polars, pandas, Arrow, a
            NumPy matrix or images, a pair of these and targets, a scikit-learn bunch, or a
            dictionary of columns.
        names: What the parts of the names of images or sounds are: see
            :class:`glial.data.names.NamePattern`.

    Returns:
        The table.

    Raises:
        InputError: If the source is missing, cannot be read, or has no rows.

    Example:
        >>> read({"a": [1, 2]}).shape
        (2, 1)
    """
    return read_source(source, names).whole()


def _with_names(found: Source, source: Any, names: str) -> Source:
    """A source of files with what their names say as columns."""
    if not is_of_files(source) or PATH not in found.frame.columns:
        raise InputError(
            "data.names says what is in the names of files, and there are none",
            expected="a folder of images or sounds, or such files",
            got="a table",
            do="leave data.names out",
        )

    def named(frame: pl.DataFrame) -> pl.DataFrame:
        columns = name_columns(frame[PATH].to_list(), names)
        twice = [name for name in columns.columns if name in frame.columns]
        if twice:
            raise InputError(
                f"data.names names the column {twice[0]!r}, which is there already",
                expected=f"other names than {', '.join(frame.columns)}",
                got=names,
                do="name it otherwise",
            )
        return frame.hstack(columns)

    val, test = (None if part is None else named(part) for part in (found.val, found.test))
    return Source(named(found.frame), val, test, found.target)


def is_image_source(source: Any) -> bool:
    """Whether a source is a folder, a zip archive or a file of arrays.

    Example:
        >>> is_image_source("iris")
        False
    """
    if not isinstance(source, (str, Path)) or not str(source) or not _is_there(str(source)):
        return False
    path = Path(source)
    return path.is_dir() or is_zip(path) or path.suffix.lower() == ".npz"


def are_rows(files: Sequence[Path]) -> bool:
    """Whether files are images, or sounds, by their endings: each of them is a row.

    Example:
        >>> are_rows([Path("cat.jpg")]), are_rows([Path("cat.jpg"), Path("pets.csv")])
        (True, False)
    """
    medium = medium_of([path.name for path in files])
    return medium is not None and all(medium.named(path.name) for path in files)


def is_of_files(source: Any) -> bool:
    """Whether each file of a source is a row: images or sounds, or a folder of them.

    Example:
        >>> is_of_files("no-such-file.wav"), is_of_files("iris")
        (True, False)
    """
    return is_image_source(source) or are_rows(files_of(source))


def _read_folder(path: Path) -> Source:
    if path.suffix.lower() == ".npz" and not path.is_dir():
        tables = read_npz(path)
    else:
        files = list_files(path)
        if has_idx_files(files):
            tables = read_idx_folder(path, files)
        elif any(is_conll_name(name) for name in files):
            tables = read_conll_folder(path, files)
        else:
            tables = read_folder(path, files, checked_medium(path, files))
    frame = tables.pop("train")
    target = next((name for name in (LABEL, TARGET, TAGS) if name in frame.columns), None)
    for split in [split for split, table in tables.items() if table.columns != frame.columns]:
        logger.warning("the %s rows of %s have other columns: left aside", split, path)
        del tables[split]
    return Source(_checked(frame), tables.get("val"), tables.get("test"), target)


def _read_table(source: Any) -> pl.DataFrame:
    files = files_of(source)
    if are_rows(files):
        frame = pl.DataFrame({PATH: [str(path) for path in files]})
    elif files:
        _check_is_no_dataset(source)
        frame = _joined(files)
    elif isinstance(source, (str, Path)):
        frame = load_dataset(str(source))[0]
    else:
        frame = from_memory(source)
    return _checked(frame)


def _checked(frame: pl.DataFrame) -> pl.DataFrame:
    check_names(frame.columns, "the table")
    if frame.height == 0 or frame.width == 0:
        raise InputError(
            "the source has no rows", expected="at least one row", got="none", do="check the source"
        )
    return frame


def files_of(source: Any) -> list[Path]:
    """The files that a source names; none for a data set, or for a table in memory.

    Args:
        source: As for :func:`read`.

    Raises:
        InputError: If a pattern fits no file.

    Example:
        >>> files_of(["a.csv", "b.csv"]), files_of("iris")
        ([PosixPath('a.csv'), PosixPath('b.csv')], [])
    """
    if isinstance(source, (list, tuple)):
        named = bool(source) and all(isinstance(item, (str, Path)) for item in source)
        return [Path(item) for item in source] if named else []
    if not isinstance(source, (str, Path)):
        return []
    name, is_there = str(source), _is_there(str(source))
    if glob.has_magic(name) and not is_there:
        found = glob.glob(name, recursive=True)  # noqa: PTH207 - Path.glob takes no whole paths
        paths = sorted(Path(path) for path in found if Path(path).is_file())
        if not paths:
            raise InputError(
                f"no file fits {name!r}",
                expected="at least one file",
                got="none",
                do="check the pattern",
            )
        return paths
    return [] if name in DATASETS and not is_there else [Path(name)]


def _check_is_no_dataset(source: Any) -> None:
    """Refuse a name that is no file and is spelt nearly as a data set."""
    name = str(source)
    if not isinstance(source, (str, Path)) or _is_there(name) or Path(name).suffix:
        return
    near = None if glob.has_magic(name) else suggest(name, DATASETS)
    if near is not None:
        raise InputError(
            f"there is no file and no data set {name}",
            expected="a file, a glob pattern, or a name from glial datasets",
            got=repr(name),
            do=f"did you mean the data set {near!r}?",
        )


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # a name too long, or a folder that may not be entered
        return False


def _read_file(path: Path) -> pl.DataFrame:
    """The table of one file, in which relative paths of files lead from where it lies."""
    frame = read_file(path)
    folder = path.parent
    if folder == Path():
        return frame
    found = [column for column in frame.iter_columns() if medium_named(column, folder)]
    return frame.with_columns(
        pl.Series(c.name, [None if cell is None else str(folder / cell) for cell in texts(c)])
        for c in found
    )


def _joined(paths: list[Path]) -> pl.DataFrame:
    frames = [_read_file(path) for path in paths]
    first = frames[0]
    for path, frame in zip(paths, frames, strict=True):
        check_same_columns(str(paths[0]), first.columns, str(path), frame.columns)
    try:
        return pl.concat([frame.select(first.columns) for frame in frames], how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{paths[0]} and the files beside it have columns of different types",
            expected="the same type of each column in every file",
            got=" ".join(str(error).split())[:200],
            do="convert them to one type, or to CSV",
        ) from error


def check_same_columns(
    name: str, columns: Sequence[str], other: str, other_columns: Sequence[str]
) -> None:
    """Refuse a file whose columns are not those of the file before it, in whatever order.

    Raises:
        InputError: If a column is in one of them only.

    Example:
        >>> check_same_columns("a.csv", ["x", "y"], "b.csv", ["y", "x"])
    """
    odd = sorted(set(columns) ^ set(other_columns))
    if odd:
        raise InputError(
            f"{other} has other columns than {name}",
            expected=", ".join(columns),
            got=", ".join(other_columns),
            do=f"make them equal: {', '.join(odd[:5])} is in one of them only",
        )
