"""Parquet files in chunks: row groups, several small ones or slices of a large one."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from glial.core.errors import InputError
from glial.data.streams.chunks import rows_of_chunk

logger = logging.getLogger(__name__)

LARGE_GROUP_BYTES = 1 << 28


class RowGroup(NamedTuple):
    """What the footer says of a row group: its rows, and its bytes before compression.

    Example:
        >>> RowGroup(3, 24).num_rows
        3
    """

    num_rows: int
    num_bytes: int


class ParquetChunks:
    """The row groups of a Parquet file, small ones together and large ones in slices.

    Args:
        path: The file.
        chunk_rows: Most rows of a chunk.

    Raises:
        InputError: If the file is no whole Parquet file.
    """

    def __init__(self, path: Path, chunk_rows: int) -> None:
        self.name = str(path)
        self._path = path
        groups = row_groups(path)
        try:
            self.schema: dict[str, Any] = dict(pl.read_parquet_schema(path))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _damaged(path, error) from error
        chunk_rows = rows_of_chunk(chunk_rows, len(self.schema))
        edges = _edges([group.num_rows for group in groups], chunk_rows)
        self._starts = edges[:-1]
        self.counts = [high - low for low, high in pairwise(edges)]
        largest = max((group.num_bytes for group in groups), default=0)
        if largest > LARGE_GROUP_BYTES:
            logger.warning(
                "%s has row groups of %d MB, which are read whole for every slice of them: "
                "written anew with smaller ones (row_group_size=100_000), it streams faster and "
                "in less memory",
                path,
                largest >> 20,
            )

    def read(self, number: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of a chunk."""
        try:
            rows = pl.scan_parquet(self._path, cache=False, glob=False)
            rows = rows if columns is None else rows.select(columns)
            frame = rows.slice(self._starts[number], self.counts[number]).collect()
        except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
            raise _damaged(self._path, error) from error
        return frame


def _edges(groups: Sequence[int], chunk_rows: int) -> list[int]:
    """Where chunks begin and end: small groups together, large ones in equal slices."""
    edges, end = [0], 0
    for rows in groups:
        if end + rows - edges[-1] > chunk_rows and end > edges[-1]:
            edges.append(end)
        slices = -(-rows // chunk_rows)
        edges += [end + rows * i // slices for i in range(1, slices)]
        end += rows
        if slices > 1:
            edges.append(end)
    return edges if end == edges[-1] else [*edges, end]


def row_groups(path: Path) -> list[RowGroup]:
    """The row groups of a Parquet file, read from its footer alone.

    Source: the file format of Apache Parquet (``parquet.thrift``) in Thrift's compact protocol.

    Raises:
        InputError: If the file is no whole Parquet file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.parquet"
        >>> pl.DataFrame({"a": [1, 2, 3]}).write_parquet(path, row_group_size=2)
        >>> [group.num_rows for group in row_groups(path)]
        [2, 1]
    """
    try:
        footer = _footer(path)
        _, found = _struct(footer, 0)
        return [RowGroup(group[3], group[2]) for group in found[4]]
    except (OSError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> InputError:
    return InputError(
        f"{path} cannot be read as parquet",
        expected="a whole .parquet file",
        got=" ".join(str(error).split())[:200] or type(error).__name__,
        do="check that the file is whole, and what its ending says",
    )


def _footer(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        tail = file.read()
        if size < 12 or tail[4:] != b"PAR1":
            raise ValueError(f"an end of {tail[4:]!r}, where PAR1 belongs")
        (length,) = struct.unpack("<I", tail[:4])
        if length > size - 12:
            raise ValueError(f"a footer of {length} bytes in a file of {size}")
        file.seek(size - 8 - length)
        return file.read(length)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return at, value
        shift += 7


def _integer(data: bytes, at: int) -> tuple[int, int]:
    at, value = _varint(data, at)
    return at, (value >> 1) ^ -(value & 1)


def _words(data: bytes, at: int) -> tuple[int, None]:
    at, length = _varint(data, at)
    return at + length, None


def _list(data: bytes, at: int) -> tuple[int, list[Any]]:
    length, kind = data[at] >> 4, data[at] & 15
    at += 1
    if length == 15:
        at, length = _varint(data, at)
    if length > len(data):
        raise ValueError(f"a list of {length} items in {len(data)} bytes")
    values = []
    for _ in range(length):
        at, value = _READERS[kind](data, at)
        values.append(value)
    return at, values


def _struct(data: bytes, at: int) -> tuple[int, dict[int, Any]]:
    """The fields of a structure by their numbers, and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while data[at]:
        step, kind = data[at] >> 4, data[at] & 15
        at += 1
        if step:
            number += step
        else:
            at, number = _integer(data, at)
        if kind in (1, 2):  # a truth value is its kind
            continue
        at, fields[number] = _READERS[kind](data, at)
    return at + 1, fields


# Thrift's kinds that footers hold: truth values (in lists), bytes, integers, doubles, strings,
# lists and sets, structures.
_READERS: dict[int, Callable[[bytes, int], tuple[int, Any]]] = {
    1: lambda _, at: (at + 1, None),
    2: lambda _, at: (at + 1, None),
    3: lambda _, at: (at + 1, None),
    4: _integer,
    5: _integer,
    6: _integer,
    7: lambda _, at: (at + 8, None),
    8: _words,
    9: _list,
    10: _list,
    12: _struct,
}
