"""Where the rows of a text file end, and the stretches of rows that they make."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.delimited import Dialect, is_blank, not_a_table, row_reader
from glial.data.regular import inside_quotes

Integers = NDArray[np.int64]
BLOCK_BYTES = 1 << 23
MAX_ROW_BYTES = 1 << 26
CAREFUL_ROWS = 10_000
_LINE = ord("\n")
_BLANKS = np.frombuffer(b" \t\r\n\v\f", np.uint8)


class Stretch(NamedTuple):
    """Some rows of a text file.

    Attributes:
        start: Their first byte.
        stop: The byte after the last.
        rows: How many they are, blank lines not counted.
        line: Number of their first line, from 1.

    Example:
        >>> Stretch(0, 10, 2, 1).rows
        2
    """

    start: int
    stop: int
    rows: int
    line: int


class Piece(NamedTuple):
    r"""Whole rows that follow each other.

    Attributes:
        content: Their bytes.
        ends: The byte after each row, counted from the start of the file.
        lines: Lines from the first row to the end of each.
        counted: Whether each is a row, and not a blank line.

    Example:
        >>> one = np.array([2])
        >>> Piece(b"1\n", one, one, one > 0).counted.tolist()
        [True]
    """

    content: bytes
    ends: Integers
    lines: Integers
    counted: NDArray[np.bool_]


def cut(pieces: Iterator[Piece], start: int, line: int, num_rows: int) -> list[Stretch]:
    """Stretches of as many rows, but for the last.

    Args:
        pieces: The rows.
        start: Byte at which they start.
        line: Number of their first line.
        num_rows: Rows of a stretch.

    Example:
        >>> rows = np.array([2, 4, 6])
        >>> piece = Piece(b"", rows, rows // 2, rows > 0)
        >>> [(s.start, s.stop, s.line) for s in cut(iter([piece]), 0, 1, 2)]
        [(0, 4, 1), (4, 6, 3)]
    """
    found: list[Stretch] = []
    held, first = 0, line
    stop = start
    for piece in pieces:
        counts = np.cumsum(piece.counted)
        total = int(counts[-1])
        for end in np.searchsorted(counts, np.arange(num_rows - held, total + 1, num_rows)):
            stop = int(piece.ends[end])
            found.append(Stretch(start, stop, num_rows, first))
            start, first = stop, line + int(piece.lines[end])
        held = (held + total) % num_rows
        stop, line = int(piece.ends[-1]), line + int(piece.lines[-1])
    return [*found, Stretch(start, stop, held, first)] if held else found


def plain_rows(path: Path, start: int) -> Iterator[Piece]:
    """The rows of a file in which every line is one, such as JSON lines.

    Raises:
        InputError: If a line is too long.
    """
    carry, at = b"", start
    for block in _blocks(path, start):
        data = carry + block
        ends = _with_last(np.flatnonzero(np.frombuffer(data, np.uint8) == _LINE) + 1, data, block)
        if len(ends):
            counted = ~_blank_rows(data, ends)
            yield Piece(data[: ends[-1]], at + ends, np.arange(1, len(ends) + 1), counted)
            at += int(ends[-1])
            data = data[ends[-1] :]
        carry = data
        if len(carry) > MAX_ROW_BYTES:
            raise _too_long(path, at)


def delimited_rows(
    path: Path, start: int, line: int, dialect: Dialect, width: int
) -> Iterator[Piece]:
    """The rows of delimited text, which may have line breaks within quotes.

    They are found in the bytes at once; from the first quote that stands where none belongs,
    row by row.

    Args:
        path: The file.
        start: The first byte after the header.
        line: Number of the line that starts there.
        dialect: How cells are separated.
        width: Cells of a row.

    Raises:
        InputError: If a quote is left open.
    """
    carry, at = b"", start
    for block in _blocks(path, start):
        data = carry + block
        found = _quoted_ends(data, block, dialect)
        if found is None or len(data) > MAX_ROW_BYTES:
            yield from _careful_rows(path, at, line, dialect, width)
            return
        ends, lines = found
        if len(ends):
            counted = ~_blank_rows(data, ends, width, dialect.delimiter.encode())
            yield Piece(data[: ends[-1]], at + ends, lines, counted)
            at, line = at + int(ends[-1]), line + int(lines[-1])
            data = data[ends[-1] :]
        carry = data


def _blocks(path: Path, start: int) -> Iterator[bytes]:
    """A file's bytes from one on; at the end comes an empty block."""
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(BLOCK_BYTES):
            yield block
    yield b""


def _with_last(ends: Integers, data: bytes, block: bytes) -> Integers:
    """The ends of rows with that of a last row that has no line break."""
    last = not block and data and (not len(ends) or ends[-1] < len(data))
    return np.append(ends, len(data)) if last else ends


def _quoted_ends(data: bytes, block: bytes, dialect: Dialect) -> tuple[Integers, Integers] | None:
    """Where rows end, and the lines up to there; None where a quote or line break is odd."""
    array = np.frombuffer(data, np.uint8)
    breaks = np.flatnonzero(array == _LINE)
    ends = breaks + 1
    quoted = dialect.quote.encode() in data
    if quoted:
        quotes = np.flatnonzero(array == ord(dialect.quote))
        ends = ends[np.searchsorted(quotes, breaks) % 2 == 0]
    ends = _with_last(ends, data, block)
    whole = data[: ends[-1]] if len(ends) else b""
    odd = whole.count(b"\r") != whole.count(b"\r\n")
    if quoted and not odd:
        odd = dialect.quote != '"'
        odd = odd or inside_quotes(array[: len(whole)], ord(dialect.delimiter)) is None
    return None if odd else (ends, np.searchsorted(breaks, ends))


def _blank_rows(
    data: bytes, ends: Integers, width: int = 0, delimiter: bytes | None = None
) -> NDArray[np.bool_]:
    """Which rows say nothing; in a table of one column a row of blanks does."""
    starts = np.append(0, ends[:-1])
    blank = np.zeros(len(ends), dtype=bool)
    first = np.frombuffer(data, np.uint8)[starts]
    for row in np.flatnonzero(np.isin(first, _BLANKS)):
        content = data[starts[row] : ends[row]]
        empty = not (content.strip(b"\r\n") if width == 1 else content.strip())
        blank[row] = empty and (delimiter is None or delimiter not in content)
    return blank


def _careful_rows(
    path: Path, start: int, line: int, dialect: Dialect, width: int
) -> Iterator[Piece]:
    """Row by row, as the reader of small files does it."""
    sizes: list[int] = []

    def lines_of(file: BinaryIO) -> Iterator[str]:
        for raw in file:
            # In this encoding a byte is a character, and separators are what they are.
            for text in io.StringIO(raw.decode("latin-1"), newline=""):
                sizes.append(len(text))
                yield text

    with path.open("rb") as file:
        file.seek(start)
        rows = row_reader(lines_of(file), dialect)
        while True:
            ends, lines, counted = [], [], []
            end, before = start, rows.line_num
            try:
                for row in islice(rows, CAREFUL_ROWS):
                    end += sum(sizes)
                    sizes.clear()
                    ends.append(end)
                    lines.append(rows.line_num - before)
                    counted.append(not is_blank(row, width))
            except csv.Error as error:
                wrong = line + (lines[-1] if lines else 0)
                raise not_a_table(str(path), wrong, error) from error
            if not ends:
                return
            content = os.pread(file.fileno(), end - start, start)
            yield Piece(content, np.array(ends), np.array(lines), np.array(counted))
            start, line = end, line + lines[-1]


def _too_long(path: Path, at: int) -> InputError:
    return InputError(
        f"{path} has a line of more than {MAX_ROW_BYTES >> 20} MB",
        expected="a row a line",
        got=f"no line break from byte {at} on",
        do="check that this is the right file",
    )
