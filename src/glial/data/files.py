"""One file as a table, by its ending and its content."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from glial.core.errors import InputError, suggest
from glial.data.conll import ENDINGS as CONLL_ENDINGS
from glial.data.conll import read_conll
from glial.data.delimited import DELIMITERS, decode, read_delimited

MAX_UNPACKED_BYTES = 8 << 30


def _parquet(content: bytes, name: str) -> pl.DataFrame:
    _check_signed(content, (b"PAR1",), name, "Parquet")
    return pl.read_parquet(io.BytesIO(content))


def _json(content: bytes, name: str) -> pl.DataFrame:
    """An array of records, or a record a line."""
    if content.lstrip().startswith(b"["):
        return pl.read_json(io.BytesIO(content), infer_schema_length=None)
    return _json_lines(content, name)


def _json_lines(content: bytes, name: str) -> pl.DataFrame:
    frame = pl.read_ndjson(io.BytesIO(content), infer_schema_length=None)
    if not frame.columns:
        raise pl.exceptions.ComputeError("no JSON object on any line")
    return frame


def _arrow(content: bytes, name: str) -> pl.DataFrame:
    _check_signed(content, (b"ARROW1", b"\xff\xff\xff\xff"), name, "Arrow")
    if content.startswith(b"ARROW1"):
        return pl.read_ipc(io.BytesIO(content))
    return pl.read_ipc_stream(io.BytesIO(content))


READERS: dict[str, Callable[[bytes, str], pl.DataFrame]] = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_delimited,
    ".data": read_delimited,
    ".parquet": _parquet,
    ".pq": _parquet,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".arrow": _arrow,
    ".feather": _arrow,
    ".ipc": _arrow,
    **dict.fromkeys(CONLL_ENDINGS, read_conll),
}
_SIGNS = {
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "a PDF",
    b"SQLite format 3": "a SQLite database",
}


def _check_signed(content: bytes, signs: tuple[bytes, ...], name: str, kind: str) -> None:
    if not content.startswith(signs):
        raise InputError(
            f"{name} is not what its ending says",
            expected=f"a {kind} file",
            got=f"content that starts with {content[:12]!r}",
            do="rename it, or check that this is the right file",
        )


def read_file(path: Path) -> pl.DataFrame:
    """The table of one file, by its ending and its content.

    Raises:
        InputError: If the file is missing, is not what its ending says, or cannot be read.

    Example:
        >>> read_file(Path("no-such-file.csv"))
        Traceback (most recent call last):
        ...
        glial.core.errors.InputError: there is no file no-such-file.csv. ...
    """
    content, ending = read_content(path)
    if not content.strip():
        raise InputError(
            f"{path} is empty", expected="a table", got="no content", do="check the file"
        )
    reader = READERS.get(ending) or _sniffed(content)
    if reader is None:
        raise InputError(
            f"{path} has an ending that is not known",
            expected=f"one of {', '.join(READERS)}, each also as .gz",
            got=repr(ending),
            do="rename or convert the file",
        )
    _check_sign(content, reader, path)
    try:
        return reader(content, str(path))
    except (pl.exceptions.PolarsError, OSError, ValueError, pl.exceptions.PanicException) as error:
        raise InputError(
            f"{path} cannot be read as {ending.removeprefix('.')}",
            expected=f"a whole {ending} file",
            got=" ".join(str(error).split())[:200],
            do="check that the file is whole, and what its ending says",
        ) from error


def read_lines(path: Path) -> pl.Series:
    """The lines of a plain text.

    Raises:
        InputError: If the file is missing, empty or no text.

    Example:
        >>> read_lines(Path("no-such-file.txt"))
        Traceback (most recent call last):
        ...
        glial.core.errors.InputError: there is no file no-such-file.txt. ...
    """
    text = decode(read_content(path)[0], str(path))
    if not text.strip():
        raise InputError(
            f"{path} is empty", expected="a sentence a line", got="no words", do="check the file"
        )
    lines = text.removesuffix("\n").split("\n")
    return pl.Series("line", [line.rstrip("\r") for line in lines])


def _sniffed(content: bytes) -> Callable[[bytes, str], pl.DataFrame] | None:
    """A reader for a file whose ending says nothing: by its first bytes, if they are plain."""
    if content.startswith(b"PAR1"):
        return _parquet
    if content.startswith(b"ARROW1"):
        return _arrow
    if content.lstrip().startswith(b"{"):
        return _json_lines
    header = content[: 1 << 16].splitlines()[0]
    if content.startswith(tuple(_SIGNS)) or b"\0" in content[: 1 << 16]:
        return None
    return read_delimited if any(cut.encode() in header for cut in DELIMITERS) else None


def read_content(path: Path) -> tuple[bytes, str]:
    """The bytes of a file, unpacked where it is packed, and its ending without ``.gz``.

    Raises:
        InputError: If the file is missing, may not be read, or is no whole gzip file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt.gz"
        >>> _ = path.write_bytes(gzip.compress(b"text"))
        >>> read_content(path)
        (b'text', '.txt')
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise not_opened(path, error) from error
    ending = path.suffix.lower()
    if ending != ".gz":
        return content, ending
    return unpacked(content, path), Path(path.stem).suffix.lower()


def not_opened(path: Path, error: OSError | ValueError) -> InputError:
    """The error for a file that cannot be opened, and why.

    Example:
        >>> not_opened(Path("a.csv"), FileNotFoundError()).message
        'there is no file a.csv'
    """
    if isinstance(error, FileNotFoundError):
        near = suggest(path.name, _names_in(path.parent))
        return InputError(
            f"there is no file {path}",
            expected="a file, a glob pattern, or a name from glial datasets",
            got=repr(str(path)),
            do=f"did you mean {path.parent / near}?" if near else "check the path",
        )
    if isinstance(error, IsADirectoryError):
        return InputError(
            f"{path} is a folder",
            expected="a file of a table",
            got="a folder",
            do=f"name its files: '{path}/*.csv'",
        )
    return InputError(
        f"{path} cannot be opened",
        expected="a file that may be read",
        got=getattr(error, "strerror", None) or str(error),
        do="check the path and its permissions",
    )


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def _max_unpacked_bytes() -> int:
    said = os.environ.get("GLIAL_MAX_UNPACKED_BYTES", "")
    return int(said) if said.isdecimal() else MAX_UNPACKED_BYTES


def unpacked(content: bytes, path: Path) -> bytes:
    """The content of a gzip file.

    Args:
        content: The file's bytes.
        path: Its name, for messages.

    Raises:
        InputError: If it is cut short, or unpacks to more than is allowed.

    Example:
        >>> unpacked(gzip.compress(b"text"), Path("a.gz"))
        b'text'
    """
    limit = _max_unpacked_bytes()
    parts, size = [], 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            while part := file.read(1 << 24):
                size += len(part)
                if size > limit:
                    raise InputError(
                        f"{path} unpacks to more than {limit} bytes",
                        expected="a file that fits in memory",
                        got="more",
                        do="unpack it yourself, or raise GLIAL_MAX_UNPACKED_BYTES",
                    )
                parts.append(part)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} is not a whole gzip file",
            expected="a gzip file, as its ending says",
            got=str(error),
            do="fetch or pack it again",
        ) from error
    return b"".join(parts)


def _check_sign(content: bytes, reader: Callable[..., Any], path: Path) -> None:
    kinds = {b"PAR1": _parquet, b"ARROW1": _arrow}
    for sign, name in _SIGNS.items():
        is_word = sign in kinds and b"\0" not in content  # a header that reads PAR1 or ARROW1
        if content.startswith(sign) and kinds.get(sign) is not reader and not is_word:
            raise InputError(
                f"{path} is not what its ending says",
                expected=f"a {''.join(path.suffixes[-2:])} file",
                got=f"the content is {name}",
                do="rename it, or check that this is the right file",
            )
