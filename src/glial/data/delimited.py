"""CSV and its kin: encoding and dialect detected, every cell kept as it was spelt."""

from __future__ import annotations

import csv
import io
import itertools
import logging
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import polars as pl

from glial.core.errors import InputError
from glial.data.regular import read_regular

logger = logging.getLogger(__name__)

DELIMITERS = ",;\t|"
SAMPLE_BYTES = 1 << 20
MAX_CELL_CHARACTERS = 10_000_000


def read_delimited(content: bytes, name: str) -> pl.DataFrame:
    r"""A table from the bytes of a delimited file; every cell is text, an empty one is missing.

    Args:
        content: The file.
        name: What it is called in messages.

    Returns:
        The table.

    Raises:
        InputError: If the bytes are no text, or no table: without rows, with ragged rows,
            with a column name twice, or with a quote left open.

    Example:
        >>> read_delimited(b"a;b\n1;x\n", "t.csv").rows()
        [('1', 'x')]
    """
    text, dialect = find_dialect(decode(content, name))
    cells, frame = cells_of(text, dialect, name)
    header = named(cells, name)
    if frame.height == 0:
        raise InputError(
            f"{name} has a header and no rows",
            expected="at least one row below the header",
            got="the header alone",
            do="check that the file is whole",
        )
    frame.columns = header
    return frame


class Dialect(NamedTuple):
    """What separates cells, and what encloses those that hold a separator or a line break.

    Example:
        >>> Dialect(";", '"').delimiter
        ';'
    """

    delimiter: str
    quote: str


def find_dialect(text: str) -> tuple[str, Dialect]:
    r"""The text from its header on, and its dialect.

    Example:
        >>> find_dialect("sep=;\na;b\n")
        ('a;b\n', Dialect(delimiter=';', quote='"'))
    """
    text, delimiter = _announced(text)
    delimiter = delimiter or find_delimiter(text)
    return text, Dialect(delimiter, find_quote(text, delimiter))


def cells_of(
    text: str, dialect: Dialect, name: str, *, line: int = 1
) -> tuple[list[str], pl.DataFrame]:
    r"""The cells of the header, and those of the rows as a table of text without names.

    Args:
        text: A header and rows.
        dialect: How cells are separated.
        name: What the file is called in messages.
        line: Number of the file's line that stands first in the text.

    Raises:
        InputError: If rows differ in length, or a quote is left open.

    Example:
        >>> cells_of("a,b\n1,x\n", Dialect(",", '"'), "t.csv")[1].rows()
        [('1', 'x')]
    """
    found = read_regular(text.encode(), dialect.delimiter) if dialect.quote == '"' else None
    return found or _carefully(text, dialect, name, line)


def _announced(text: str) -> tuple[str, str | None]:
    """The text without the first line ``sep=;`` that spreadsheets write, and its delimiter."""
    match = re.match(r'"?sep=([,;\t|])"?\r?\n', text)
    return (text[match.end() :], match[1]) if match else (text, None)


def _carefully(text: str, dialect: Dialect, name: str, line: int) -> tuple[list[str], pl.DataFrame]:
    """Names and cells, row by row: the way that can say which line is wrong."""
    rows = _rows(text, dialect, name, line)
    if not rows:
        raise InputError(
            f"{name} is empty", expected="a table with a header", got="no line", do="check the file"
        )
    columns = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(rows[0])
    series = [pl.Series(str(i), cells, dtype=pl.String) for i, cells in enumerate(columns)]
    return rows[0], pl.DataFrame(series)


def decode(content: bytes, name: str) -> str:
    """The text of bytes: by their mark, as UTF-8, as UTF-16 without a mark, else as Windows-1252.

    Raises:
        InputError: If the bytes are not text.

    Example:
        >>> decode("é".encode("cp1252"), "t.csv")
        'é'
    """
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    for mark, encoding in marks.items():
        if content.startswith(mark):
            return _decoded(content, encoding, name)
    if b"\0" in content[:SAMPLE_BYTES]:
        even, odd = content[:SAMPLE_BYTES:2].count(0), content[1:SAMPLE_BYTES:2].count(0)
        if min(even, odd) == 0 and max(even, odd) * 4 > min(len(content), SAMPLE_BYTES) // 2:
            return _decoded(content, "utf-16-le" if odd else "utf-16-be", name)
        raise _not_text(name, "binary bytes")
    try:
        text = content.decode("utf-8")
        _check_control(content, name, 0.1)
    except UnicodeDecodeError:
        _check_control(content, name, 0.01)
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        logger.warning("%s is not UTF-8: it is read as Windows-1252", name)
    return text


def _check_control(content: bytes, name: str, limit: float) -> None:
    """Refuse bytes of which too large a share are control characters."""
    sample = content[:SAMPLE_BYTES]
    control = sum(sample.count(bytes([code])) for code in range(32) if code not in (9, 10, 12, 13))
    if control > limit * len(sample):
        raise _not_text(name, "bytes that no text has")


def _decoded(content: bytes, encoding: str, name: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _not_text(name, f"bytes that are not {encoding}: {error.reason}") from error


def _not_text(name: str, got: str) -> InputError:
    return InputError(
        f"{name} is not text",
        expected="a text file, in UTF-8 if possible",
        got=got,
        do="check that this is the right file, or save it as CSV in UTF-8",
    )


def find_delimiter(text: str) -> str:
    r"""The delimiter that cuts most of the first lines into equally many cells.

    Example:
        >>> find_delimiter("a;b\n1,5;2\n")
        ';'
    """
    sample = text[:65536].lstrip("\r\n")
    lines = list(itertools.islice(io.StringIO(sample, newline=""), 100))
    if len(text) > 65536:
        lines = lines[:-1] or lines
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        widths = _widths(lines, delimiter)
        if not widths or widths[0] < 2:
            continue
        score = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _widths(lines: list[str], delimiter: str) -> list[int]:
    """Cells of each row; none where a quote ends in mid-cell, so another delimiter was meant."""
    widths: list[int] = []
    try:
        widths.extend(
            len(row) for row in csv.reader(lines, delimiter=delimiter, strict=True) if row
        )
    except csv.Error as error:
        return widths if "unexpected end" in str(error) else []
    return widths


def find_quote(text: str, delimiter: str) -> str:
    r"""The quote: ``'`` where it encloses every name of the header, else ``"``.

    Example:
        >>> find_quote("'a','b'\n", ","), find_quote("a,b\n", ",")
        ("'", '"')
    """
    names = text.lstrip("\r\n").partition("\n")[0].strip("\r").split(delimiter)
    single = all(len(name) > 1 and name[0] == name[-1] == "'" for name in names)
    return "'" if single else '"'


def row_reader(lines: Iterable[str], dialect: Dialect) -> Any:
    """A reader of rows that complains of quotes where none belong.

    Example:
        >>> list(row_reader(['a,"b,c"'], Dialect(",", '"')))
        [['a', 'b,c']]
    """
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    return csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)


def is_blank(row: list[str], width: int) -> bool:
    """Whether a row says nothing: it is an empty line, or blanks where cells belong.

    Example:
        >>> is_blank([" "], 2), is_blank([" "], 1)
        (True, False)
    """
    return not row or (len(row) == 1 and width != 1 and not row[0].strip())


_MEND = "mend this line; a cell with a delimiter or line break needs quotes"
_PLAIN_TEXT = "; of a plain text, say what to learn: --task language-modelling, or pretrain"


def _rows(text: str, dialect: Dialect, name: str, first: int) -> list[list[str]]:
    reader = row_reader(io.StringIO(text, newline=""), dialect)
    rows: list[list[str]] = []
    width, line = 0, first
    try:
        while (row := next(reader, None)) is not None:
            started, line = line, first + reader.line_num
            if is_blank(row, width):
                continue
            if not rows:
                width = len(row)
            elif len(row) != width:
                raise InputError(
                    f"{name} has a ragged row: line {started}",
                    expected=f"{width} cells, as in the header",
                    got=f"{len(row)} cells",
                    do=_MEND if width > 1 else _MEND + _PLAIN_TEXT,
                )
            rows.append(row)
    except csv.Error as error:
        raise not_a_table(name, line, error) from error
    return rows


def not_a_table(name: str, line: int, error: csv.Error) -> InputError:
    """The error for a row whose quotes are wrong.

    Example:
        >>> not_a_table("t.csv", 3, csv.Error("unexpected end of data")).message
        't.csv is not a table: the row that starts in line 3'
    """
    return InputError(
        f"{name} is not a table: the row that starts in line {line}",
        expected="cells whose quotes are closed",
        got=str(error),
        do="mend the quotes from this line on",
    )


def named(cells: list[str], name: str) -> list[str]:
    """The names of columns that a header's cells give; a column without one gets one, noticed.

    Raises:
        InputError: If a name occurs twice.

    Example:
        >>> named([" a ", "b"], "t.csv")
        ['a', 'b']
    """
    header = [cell.strip() for cell in cells]
    for number, cell in enumerate(header):
        if not cell:
            header[number] = f"column_{number + 1}"
            logger.warning(
                "%s: column %d has no name: it is called %s", name, number + 1, header[number]
            )
    check_names(header, name)
    return header


def check_names(names: list[str], source: str) -> None:
    """Refuse column names that occur twice.

    Raises:
        InputError: If one does.

    Example:
        >>> check_names(["a", "b"], "t.csv")
    """
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise InputError(
            f"{source} has a column name twice: {', '.join(map(repr, twice[:5]))}",
            expected="a name of its own for each column",
            got=", ".join(names[:20]),
            do="rename one of them",
        )
