"""CSV and JSON lines in chunks: one pass finds where rows end, so that any stretch can be read."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.data.delimited import (
    SAMPLE_BYTES,
    Dialect,
    cells_of,
    decode,
    find_dialect,
    is_blank,
    named,
    row_reader,
)
from glial.data.streams.chunks import joined_schema, rows_of_chunk
from glial.data.streams.rowends import Piece, Stretch, cut, delimited_rows, plain_rows

logger = logging.getLogger(__name__)


class DelimitedChunks:
    r"""Stretches of a delimited file, each read as a small file would be; cells stay text.

    Args:
        path: The file, in UTF-8 or Windows-1252.
        chunk_rows: Rows of a chunk, but for the last.

    Raises:
        InputError: If it is no text, or no table.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.csv"
        >>> _ = path.write_text('a,b\n1,"x\ny"\n2,z\n')
        >>> DelimitedChunks(path, 1).read(0).rows()
        [('1', 'x\ny')]
    """

    def __init__(self, path: Path, chunk_rows: int) -> None:
        self.name = str(path)
        self._path = path
        self._dialect, before, self._header = _start_of(path)
        cells, _ = cells_of(self._header.decode("latin-1"), self._dialect, self.name)
        start, line = len(before) + len(self._header), 1 + (before + self._header).count(b"\n")
        encodings = _Encodings()
        pieces = delimited_rows(path, start, line, self._dialect, len(cells))
        pieces = _shown(encodings.watched(pieces), path)
        chunk_rows = rows_of_chunk(chunk_rows, len(cells))
        self._stretches = cut(pieces, start, line, chunk_rows)
        self._encoding = encodings.found(path)
        self._names = named(self._cells(self._header)[0], self.name)
        self.schema: dict[str, Any] = dict.fromkeys(self._names, pl.String)
        self.counts = [stretch.rows for stretch in self._stretches]

    def read(self, number: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of a chunk."""
        stretch = self._stretches[number]
        content = self._header + _bytes(self._path, stretch)
        _, frame = self._cells(content, stretch.line - self._header.count(b"\n"))
        _check_count(self._path, stretch, frame)
        frame.columns = self._names
        return frame if columns is None else frame.select(columns)

    def _cells(self, content: bytes, line: int = 1) -> tuple[list[str], pl.DataFrame]:
        return cells_of(content.decode(self._encoding), self._dialect, self.name, line=line)


class JsonLinesChunks:
    r"""Stretches of a file with a JSON object a line.

    The types of columns are those that hold the cells of all stretches.

    Args:
        path: The file.
        chunk_rows: Rows of a chunk, but for the last.

    Raises:
        InputError: If a line is no JSON object.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.jsonl"
        >>> _ = path.write_text('{"a": 1}\n{"a": 2.5}\n')
        >>> JsonLinesChunks(path, 1).read(0)["a"].to_list()
        [1.0]
    """

    def __init__(self, path: Path, chunk_rows: int) -> None:
        self.name = str(path)
        self._path = path
        with path.open("rb") as file:
            begin = file.read(SAMPLE_BYTES).lstrip()
        if begin.startswith(b"["):
            raise InputError(
                f"{path} cannot be streamed",
                expected="JSON lines: an object a line",
                got="one array of JSON",
                do="write an object a line, or set data.stream=never to read it whole",
            )
        chunk_rows = rows_of_chunk(chunk_rows, begin.partition(b"\n")[0].count(b":"))
        self._stretches = cut(_shown(plain_rows(path, 0), path), 0, 1, chunk_rows)
        self.counts = [stretch.rows for stretch in self._stretches]
        tell = share_logger(logger, f"finding the columns of {path}")
        self.schema: dict[str, Any] = {}
        for number, stretch in enumerate(self._stretches):
            tell(number / len(self._stretches))
            found = dict(self._parsed(stretch).schema)
            self.schema = joined_schema([self.schema, found]) if self.schema else found

    def read(self, number: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of a chunk."""
        frame = self._parsed(self._stretches[number])
        wanted = list(self.schema) if columns is None else list(columns)
        there = set(frame.columns)
        return frame.select(
            pl.col(name).cast(self.schema[name])
            if name in there
            else pl.lit(None, self.schema[name]).alias(name)
            for name in wanted
        )

    def _parsed(self, stretch: Stretch) -> pl.DataFrame:
        content = io.BytesIO(_bytes(self._path, stretch))
        try:
            frame = pl.read_ndjson(content, infer_schema_length=None)
        except (pl.exceptions.PolarsError, ValueError, pl.exceptions.PanicException) as error:
            raise InputError(
                f"{self._path} cannot be read as jsonl",
                expected=f"a JSON object on each of {stretch.rows} lines from {stretch.line} on",
                got=" ".join(str(error).split())[:200],
                do="mend these lines",
            ) from error
        _check_count(self._path, stretch, frame)
        return frame


def _shown(pieces: Iterator[Piece], path: Path) -> Iterator[Piece]:
    """The pieces of a file, with word of how far they have come."""
    tell, size = share_logger(logger, f"finding the rows of {path}"), path.stat().st_size
    for piece in pieces:
        tell(int(piece.ends[-1]) / size)
        yield piece


def _bytes(path: Path, stretch: Stretch) -> bytes:
    with path.open("rb") as file:
        file.seek(stretch.start)
        return file.read(stretch.stop - stretch.start)


def _check_count(path: Path, stretch: Stretch, frame: pl.DataFrame) -> None:
    if frame.height != stretch.rows:
        raise _not_streamed(
            path,
            f"{stretch.rows} rows from line {stretch.line} on, as were counted",
            f"{frame.height}",
            "mend line breaks within cells; a file must not change while it is read",
        )


def _not_streamed(path: Path, expected: str, got: str, do: str) -> InputError:
    return InputError(f"{path} cannot be streamed", expected=expected, got=got, do=do)


def _start_of(path: Path) -> tuple[Dialect, bytes, bytes]:
    """The dialect of a delimited file, the bytes before its header, and those of the header."""
    with path.open("rb") as file:
        sample = file.read(SAMPLE_BYTES)
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _not_streamed(path, "UTF-8", "UTF-16", "save it in UTF-8")
    if b"\n" not in sample:
        raise _not_streamed(path, "a row a line", "no line break", "check the file")
    sample = sample[: sample.rindex(b"\n") + 1]
    text, dialect = find_dialect(decode(sample, str(path)))
    encoding = next(e for e in ("utf-8", "cp1252", "latin-1") if _is(sample, e))
    before = len(sample) - len(text.encode(encoding))
    lines = io.StringIO(text, newline="")
    reader = row_reader(lines, dialect)
    try:
        blank = True
        while blank:
            size = len(text[: lines.tell()].encode(encoding))
            row = next(reader)
            blank = is_blank(row, 0)
    except (StopIteration, csv.Error) as error:
        raise _not_streamed(path, "a header", str(error) or "no line", "check the file") from error
    end = before + len(text[: lines.tell()].encode(encoding))
    return dialect, sample[: before + size], sample[before + size : end]


def _is(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


class _Encodings:
    """Which encodings read every byte of a file, of those that are looked for."""

    def __init__(self) -> None:
        self._left = ["utf-8", "cp1252", "latin-1"]

    def watched(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if not piece.content.isascii():
                self._left = [name for name in self._left if _is(piece.content, name)]
            yield piece

    def found(self, path: Path) -> str:
        if self._left[0] != "utf-8":
            logger.warning("%s is not UTF-8: it is read as Windows-1252", path)
        return self._left[0]
