"""Texts to learn language from: files of text, folders of them, or a column of a table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from glial.core.errors import InputError, unknown_name
from glial.data.archives import SPLIT_NAMES, is_zip, list_files, read_bytes
from glial.data.files import read_content, unpacked
from glial.data.settings import SplitSettings
from glial.data.sources import files_of, read
from glial.data.splits import split_rows

logger = logging.getLogger(__name__)

ENDINGS = (".txt", ".text", ".md")
COLUMN = "text"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Corpus:
    """Texts in their order.

    Attributes:
        texts: The texts.
        column: What they are called: the name of the table's column.
        frame: The table that they came from, a row a text; None for files of text.
        splits: The split that each file belongs to, where the files' names say so.

    Example:
        >>> Corpus(["To be,", " or not to be"]).is_running
        True
    """

    texts: list[str]
    column: str = COLUMN
    frame: pl.DataFrame | None = None
    splits: list[str] | None = None

    @property
    def is_running(self) -> bool:
        """Whether they are read one after the other, and so are divided by position."""
        return self.frame is None


def is_text_file(name: str) -> bool:
    """Whether a file is one of plain text, by its ending.

    Example:
        >>> is_text_file("plays.txt.gz"), is_text_file("plays.csv")
        (True, False)
    """
    return name.lower().removesuffix(".gz").endswith(ENDINGS)


def read_corpus(source: Any, column: str | None = None, *, keep_empty: bool = False) -> Corpus:
    """The texts of a source.

    Args:
        source: A file of text (``.txt``, ``.text`` or ``.md``, also as ``.gz``), a glob pattern or
            a list of them, a folder or archive that holds some, or a table as for
            :func:`glial.data.read`.
        column: The column of a table; by default its only one of texts.
        keep_empty: Whether rows of a table without text are kept.

    Raises:
        InputError: If there is no text, a file is no UTF-8, or a table has no such column.

    Example:
        >>> read_corpus({"name": ["Ann", "Bo"]}).texts
        ['Ann', 'Bo']
    """
    files = files_of(source)
    if len(files) == 1 and (files[0].is_dir() or is_zip(files[0])):
        return _of_folder(files[0])
    if files and all(is_text_file(path.name) for path in files):
        names = [path.name for path in files]
        return Corpus([_file_text(path) for path in files], splits=_splits_of(names))
    return _of_table(read(source), column, keep_empty)


def _of_folder(root: Path) -> Corpus:
    names = [name for name in list_files(root) if is_text_file(name)]
    if not names:
        raise InputError(
            f"{root} holds no file of text",
            expected=f"files that end in {', '.join(ENDINGS)}, each also as .gz",
            got="none",
            do="check the folder",
        )
    found = []
    for name in names:
        try:
            content = read_bytes(f"{root}/{name}")
        except OSError as error:
            raise InputError(f"{root}/{name} cannot be read", got=str(error)) from error
        content = unpacked(content, root / name) if name.lower().endswith(".gz") else content
        found.append(_decoded(content, f"{root}/{name}"))
    if not any(found):
        raise _empty(str(root))
    return Corpus(found, splits=_splits_of(names))


def _file_text(path: Path) -> str:
    text = _decoded(read_content(path)[0], str(path))
    if not text:
        raise _empty(str(path))
    return text


def _decoded(content: bytes, name: str) -> str:
    """Text as it stands in the file, byte for byte."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{name} is no UTF-8 text",
            expected="text in UTF-8",
            got=f"the byte 0x{content[error.start]:02x} in line {line}",
            do="convert it, for example: iconv -f latin1 -t utf-8",
        ) from error


def _empty(name: str) -> InputError:
    return InputError(f"{name} is empty", expected="text", got="no content", do="check the file")


def _splits_of(names: Sequence[str]) -> list[str] | None:
    """The split of each file, where all say one and some are to train on: folders, or parts."""
    found = []
    for name in names:
        path = PurePosixPath(name.lower())
        said = [*path.parts[:-1], *path.name.split(".")]
        found.append(next((SPLIT_NAMES[part] for part in said if part in SPLIT_NAMES), ""))
    return found if "train" in found and "" not in found else None


def _of_table(frame: pl.DataFrame, column: str | None, keep_empty: bool) -> Corpus:
    name = _column_of(frame, column)
    told = frame[name].cast(pl.String).fill_null("")
    empty = (told == "") & (not keep_empty)
    if empty.any():
        logger.warning("column %r: %d empty texts are left out", name, int(empty.sum()))
    if empty.all():
        raise _empty(f"the column {name!r}")
    return Corpus(told.filter(~empty).to_list(), name, frame.filter(~empty))


def _column_of(frame: pl.DataFrame, column: str | None) -> str:
    words = [name for name, dtype in frame.schema.items() if dtype in (pl.String, pl.Categorical)]
    if column is not None:
        if column not in frame.columns:
            raise unknown_name("column", column, frame.columns)
        if column not in words:
            raise InputError(
                f"the column {column!r} holds no text",
                expected="a column of text",
                got=str(frame.schema[column]),
                do=f"name one of {', '.join(words)}" if words else "give a file of text",
            )
        return column
    usual = [name for name in words if name.lower() == COLUMN]
    if len(usual or words) != 1:
        raise InputError(
            "which column holds the text is not clear",
            expected="one column of text, or one named text",
            got=", ".join(frame.columns),
            do="name it with --target COLUMN",
        )
    return (usual or words)[0]


def split_corpus(corpus: Corpus, settings: SplitSettings, seed: int = 0) -> dict[str, list[str]]:
    """The texts to train on, to validate and to test.

    Rows of a table are drawn; files are one text from first to last, whose end validates and
    tests, or belong where their names say.

    Args:
        corpus: The texts.
        settings: Shares and method; a share of 0 leaves a split without text.
        seed: Seed of what is drawn.

    Raises:
        InputError: If a running text is to be divided otherwise than by position, or there are
            fewer rows than splits.

    Example:
        >>> split_corpus(Corpus(["abcdefghij"]), SplitSettings(train=0.8, val=0.1, test=0.1))
        {'train': ['abcdefgh'], 'val': ['i'], 'test': ['j']}
    """
    if corpus.frame is not None:
        parts = split_rows(corpus.frame, settings, seed=seed)
        rows = zip(SPLITS, parts[:3], strict=True)
        return {name: [corpus.texts[row] for row in part] for name, part in rows}
    if corpus.splits is not None:
        pairs = list(zip(corpus.splits, corpus.texts, strict=True))
        return {name: [text for split, text in pairs if split == name] for name in SPLITS}
    if settings.method not in ("auto", "time") or settings.group or settings.time:
        raise InputError(
            "a running text is divided by position",
            expected="data.split.train, val and test alone",
            got=f"method {settings.method}",
            do="leave method, group and time out, or give a table with a text a row",
        )
    total = sum(map(len, corpus.texts))
    first = round(total * settings.train)
    second = total - round(total * settings.test)
    edges = [0, first, max(first, second), total]
    return {
        name: _between(corpus.texts, edges[place], edges[place + 1])
        for place, name in enumerate(SPLITS)
    }


def _between(found: list[str], begin: int, end: int) -> list[str]:
    """What lies between two positions of texts that follow each other."""
    parts, place = [], 0
    for text in found:
        part = text[max(0, begin - place) : max(0, end - place)]
        place += len(text)
        if part:
            parts.append(part)
    return parts
