r"""CoNLL columns: a line a word, its tag in the last column, an empty line behind each sentence.

Columns are separated by tabs, or by blanks where no line has a tab. ``-DOCSTART-`` lines end a
sentence, and lines that begin with ``#`` and do not have the file's number of columns are comments.

Source:
    Tjong Kim Sang and De Meulder (2003), "Introduction to the CoNLL-2003 shared task",
    arXiv cs/0306050, section 2.2.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import polars as pl

from glial.core.errors import InputError
from glial.data.archives import SPLIT_NAMES, read_bytes
from glial.data.delimited import decode

TOKENS, TAGS = "tokens", "tags"
ENDINGS = (".conll", ".bio", ".iob", ".iob2")
_BLANKS = " \t\r"
_DOCUMENT = "-DOCSTART-"
_SPLITS = {**SPLIT_NAMES, "dev": "val", "devel": "val", "testa": "val", "testb": "test"}
_SPLIT = re.compile(rf"(?<![a-z])({'|'.join(sorted(_SPLITS, key=len, reverse=True))})(?![a-z])")


def is_conll_name(name: str) -> bool:
    """Whether a file is one of CoNLL columns, by its ending.

    Example:
        >>> is_conll_name("wnut17train.conll"), is_conll_name("train.csv")
        (True, False)
    """
    return PurePosixPath(name.lower().removesuffix(".gz")).suffix in ENDINGS


def read_conll(content: bytes, name: str) -> pl.DataFrame:
    r"""A row a sentence: the list ``tokens``, and ``tags`` where there is a second column.

    Columns between the first and the last are lists too, by the names ``column_2`` and so on.

    Args:
        content: The file.
        name: What it is called in messages.

    Raises:
        InputError: If there is no word, or lines differ in their number of columns.

    Example:
        >>> read_conll(b"Visit O\nParis B-place\n\nGo O\n", "a.conll").rows()
        [(['Visit', 'Paris'], ['O', 'B-place']), (['Go'], ['O'])]
    """
    lines = [line.strip(_BLANKS) for line in decode(content, name).split("\n")]
    delimiter = "\t" if any("\t" in line for line in lines) else None
    cells = [[cell.strip(_BLANKS) for cell in line.split(delimiter)] or [""] for line in lines]
    width = _width(lines, cells)
    sentences: list[list[list[str]]] = [[]]
    for number, (line, row) in enumerate(zip(lines, cells, strict=True), start=1):
        if not line or row[0] == _DOCUMENT:
            sentences.append([])
        elif len(row) == width and all(row):
            sentences[-1].append(row)
        elif not line.startswith("#"):
            raise InputError(
                f"{name} has another number of columns in line {number}",
                expected=f"{width}, as in most lines",
                got=f"{len([cell for cell in row if cell])}: {line[:60]!r}",
                do="mend the line; comments begin with #, and empty lines end sentences",
            )
    whole = [sentence for sentence in sentences if sentence]
    if not whole:
        raise InputError(
            f"{name} has no words",
            expected="a line a word, its tag behind it",
            got="comments and empty lines",
            do="check the file",
        )
    kind = pl.List(pl.String)
    return pl.DataFrame(
        [
            pl.Series(label, [[row[place] for row in sentence] for sentence in whole], dtype=kind)
            for place, label in enumerate(_names(width))
        ]
    )


def _width(lines: Sequence[str], cells: Sequence[list[str]]) -> int:
    """The number of columns that most lines have; 0 where all are comments."""
    told = [(line, len(row)) for line, row in zip(lines, cells, strict=True) if row[0] != _DOCUMENT]
    plain = [count for line, count in told if line and not line.startswith("#")]
    return Counter(plain).most_common(1)[0][0] if plain else 0


def _names(width: int) -> list[str]:
    middle = [f"column_{number}" for number in range(2, width)]
    return [TOKENS, *middle, *([TAGS] if width > 1 else [])]


def read_conll_folder(root: Path, files: Sequence[str]) -> dict[str, pl.DataFrame]:
    """The sentences of each split of a folder, or of a zip archive, of CoNLL files.

    A file belongs to the split that its name, or a folder's around it, names: ``train``, ``dev`` or
    ``val``, ``test``. Where one is named so, it need not have the ending of CoNLL files.

    Args:
        root: The folder or archive.
        files: Its files, by their paths from there, CoNLL files among them.

    Returns:
        ``train``, and ``val`` and ``test`` where there are such files.

    Raises:
        InputError: If a file cannot be read, or two have other numbers of columns.
    """
    found: dict[str, list[pl.DataFrame]] = {}
    for name in files:
        split = split_of(name)
        if not is_conll_name(name) and (split is None or _is_told(name)):
            continue
        path = str(root / name)
        try:
            content = read_bytes(path)
        except OSError as error:
            raise InputError(
                f"{path} cannot be read", expected="a file of CoNLL columns", got=str(error)
            ) from error
        found.setdefault(split or "train", []).append(read_conll(content, path))
    if "train" not in found:
        found = {"train": [table for tables in found.values() for table in tables]}
    names = {tuple(table.columns) for tables in found.values() for table in tables}
    if len(names) > 1:
        raise InputError(
            f"the files in {root} have different numbers of columns",
            expected="the same columns in every file",
            got=" and ".join(str(len(columns)) for columns in sorted(names)),
            do="take the others out",
        )
    return {split: pl.concat(tables) for split, tables in found.items()}


def split_of(name: str) -> str | None:
    """The split that a path names; the last word of it that names one counts.

    Example:
        >>> split_of("wnut17train.conll"), split_of("emerging.dev.conll"), split_of("latest.conll")
        ('train', 'val', None)
    """
    told = _SPLIT.findall(name.lower())
    return _SPLITS[told[-1]] if told else None


def _is_told(name: str) -> bool:
    """Whether a file is a text about the others, or of another kind."""
    known = (".md", ".txt", ".pdf", ".json", ".csv", ".tsv", ".py", ".sh", ".zip", ".gz")
    stem = PurePosixPath(name).stem.lower()
    return name.lower().endswith(known) or stem in ("readme", "license", "licence")
