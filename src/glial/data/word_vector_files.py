"""Files of word vectors, row by row: those of word2vec, GloVe and fastText, and their damage."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.files import not_opened

Format = Literal["text", "binary", "glove"]
Floats = NDArray[np.float32]
Opened = io.BufferedReader | gzip.GzipFile

LONGEST_LINE = 1 << 20
LONGEST_WORD = 4096
LARGEST_SIZE = 1 << 16
# The first bytes of a model of fastText's own, which is no file of vectors.
_FASTTEXT = (793712314).to_bytes(4, "little")


def read_vectors(
    path: Path,
    how: Format | None = None,
    limit: int | None = None,
    only: Collection[str] | None = None,
) -> tuple[list[str], bytearray, int]:
    """The words of a file and their vectors; see `WordVectors.load`.

    Args:
        path: The file.
        how: Its format; None is by its ending.
        limit: Most rows that are read.
        only: Words that are kept.

    Returns:
        The words, their numbers as floats of 32 bits one behind the other, and how many a word has.

    Raises:
        InputError: If the file is missing or damaged.

    Example:
        >>> read_vectors(Path("no-such-file.txt"))
        Traceback (most recent call last):
        ...
        glial.core.errors.InputError: there is no file no-such-file.txt. ...
    """
    try:
        with _opened(path) as file:
            reader = _Reader(path, file, how or format_of(path), limit, only)
            words = list(reader.words())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, "a whole gzip file", str(error)) from error
    except OSError as error:
        raise not_opened(path, error) from error
    if not reader.num_rows:
        raise _damaged(path, "at least one word", "none")
    return words, reader.values, reader.size


def format_of(path: Path) -> Format:
    """The format of a file by its ending.

    Example:
        >>> format_of(Path("a.bin.gz")), format_of(Path("a.vec"))
        ('binary', 'text')
    """
    return "binary" if path.name.lower().removesuffix(".gz").endswith(".bin") else "text"


class _Reader:
    """Rows of a file of vectors; ``values`` holds the numbers of those read."""

    def __init__(
        self,
        path: Path,
        file: Opened,
        how: Format,
        limit: int | None,
        only: Collection[str] | None,
    ) -> None:
        self.values = bytearray()
        self._path, self._file, self._limit, self._only = path, file, limit, only
        self._is_binary = how == "binary"
        self.num_rows = 0
        self._seen: set[str] = set()
        first = self._line()
        if first.startswith(_FASTTEXT):
            raise _damaged(path, "a file of vectors", "a model of fastText", "give its .vec file")
        header = None if how == "glove" else _header(first)
        if header is None and self._is_binary:
            raise _damaged(path, "a header of two whole numbers", repr(first[:40]))
        self._told: int | None
        self._told, self.size = header or (None, max(0, len(first.split(b" ")) - 1))
        self._first = first if header is None else None
        if not 1 <= self.size <= LARGEST_SIZE or (self._told is not None and self._told < 1):
            expected = f"words, and vectors of 1 to {LARGEST_SIZE} numbers"
            raise _damaged(path, expected, repr(first[:40].decode(errors="replace")))

    def words(self) -> Iterator[str]:
        """The words, whose numbers are put behind those before them."""
        while self._limit is None or self.num_rows < self._limit:
            found = self._binary_row() if self._is_binary else self._text_row()
            if found is None:
                break
            word = self._checked(*found)
            self.num_rows += 1
            if self._only is None or word in self._only or word.lower() in self._only:
                self.values += found[1].tobytes()
                yield word
        ended = self._limit is None or self.num_rows < self._limit
        if ended and self._told is not None and self._told != self.num_rows:
            raise _damaged(
                self._path, f"{self._told} words, as its header says", str(self.num_rows)
            )

    def _text_row(self) -> tuple[bytes, Floats] | None:
        line = self._line() if self._first is None else self._first
        self._first = None
        if not line:
            if self._file.read(1):
                raise self._wrong("a word and its numbers", "an empty line")
            return None
        # A word of GloVe may have spaces in it.
        parts = line.rsplit(b" ", self.size)
        if len(parts) != self.size + 1:
            raise self._wrong(f"a word and {self.size} numbers", f"{len(parts) - 1} numbers")
        try:
            with np.errstate(over="ignore"):  # what is too large is not finite, and refused
                return parts[0], np.array(parts[1:], dtype=np.float32)
        except ValueError as error:
            raise self._wrong(f"a word and {self.size} numbers", str(error)) from error

    def _binary_row(self) -> tuple[bytes, Floats] | None:
        if self.num_rows == self._told:
            if self._file.read(2).strip():
                raise self._wrong("the end of the file", "more")
            return None
        word = bytearray()
        while (letter := self._file.read(1)) != b" ":
            if not letter or len(word) > LONGEST_WORD:
                got = "the file's end" if not letter else f"no end within {LONGEST_WORD} bytes"
                raise self._wrong("a word and a space", got)
            word += letter
        content = self._file.read(4 * self.size)
        if len(content) < 4 * self.size:
            raise self._wrong(f"{self.size} numbers", "the file's end")
        return bytes(word).lstrip(b"\n"), np.frombuffer(content, dtype="<f4")

    def _checked(self, name: bytes, values: Floats) -> str:
        try:
            word = name.decode()
        except UnicodeDecodeError as error:
            raise self._wrong("a word in UTF-8", repr(name[:40])) from error
        if not word:
            raise self._wrong("a word before its numbers", "none")
        if word in self._seen:
            raise self._wrong("each word once", f"{word!r} again")
        if not np.isfinite(values).all():
            raise self._wrong("finite numbers", f"others for {word!r}")
        self._seen.add(word)
        return word

    def _line(self) -> bytes:
        line = self._file.readline(LONGEST_LINE)
        if len(line) >= LONGEST_LINE:
            raise self._wrong("lines of text", f"one of over {LONGEST_LINE} bytes")
        return line.rstrip(b" \r\n")

    def _wrong(self, expected: str, got: str) -> InputError:
        return _damaged(self._path, f"{expected} in row {self.num_rows + 1}", got)


def _header(line: bytes) -> tuple[int, int] | None:
    """Words and size, where a line has just these two numbers."""
    parts = line.split()
    whole = len(parts) == 2 and all(part.isdigit() and len(part) < 19 for part in parts)
    return (int(parts[0]), int(parts[1])) if whole else None


def _opened(path: Path) -> Opened:
    return gzip.GzipFile(path) if path.name.lower().endswith(".gz") else path.open("rb")


def _damaged(
    path: Path, expected: str, got: str, do: str = "check the file, or fetch it again"
) -> InputError:
    return InputError(f"{path} is no file of vectors", expected=expected, got=got, do=do)
