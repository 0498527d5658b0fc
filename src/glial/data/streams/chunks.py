"""A table that is never whole in memory: numbered chunks of rows, read in any order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Protocol, runtime_checkable

import polars as pl

from glial.core.errors import InputError
from glial.data.sources import check_same_columns

CHUNK_CELLS = 1 << 23


@runtime_checkable
class Chunks(Protocol):
    """A table in chunks.

    Attributes:
        name: What the table is called in messages.
        schema: Column to its type, in the order of the columns.
        counts: Rows of each chunk.

    Example:
        >>> isinstance(FrameChunks(pl.DataFrame({"a": [1, 2, 3]}), 2), Chunks)
        True
    """

    name: str
    schema: dict[str, Any]
    counts: list[int]

    def read(self, number: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of a chunk, of all columns or of some; several threads may read at once."""


class FrameChunks:
    """Slices of a table in memory.

    Args:
        frame: The table.
        chunk_rows: Rows of a chunk, but for the last.

    Example:
        >>> chunks = FrameChunks(pl.DataFrame({"a": [1, 2, 3]}), 2)
        >>> chunks.counts, chunks.read(1)["a"].to_list()
        ([2, 1], [3])
    """

    def __init__(self, frame: pl.DataFrame, chunk_rows: int) -> None:
        self.name = "the table"
        self.schema = dict(frame.schema)
        self._frame = frame
        self._rows = chunk_rows
        self.counts = even_counts(frame.height, chunk_rows)

    def read(self, number: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of a chunk."""
        rows = self._frame.slice(number * self._rows, self._rows)
        return rows if columns is None else rows.select(columns)


class JoinedChunks:
    """The chunks of several files, one file after the other.

    Columns are matched by name and brought to the first file's order; their types to one that
    holds those of all files.

    Args:
        files: The chunks of each file.

    Raises:
        InputError: If the files differ in columns, or in types that no one type holds.

    Example:
        >>> parts = [pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2.5]})]
        >>> joined = JoinedChunks([FrameChunks(part, 1) for part in parts])
        >>> joined.read(0)["a"].to_list()
        [1.0]
    """

    def __init__(self, files: Sequence[Chunks]) -> None:
        self._files = files
        first = files[0]
        self.name = first.name if len(files) == 1 else f"{first.name} and the files beside it"
        for file in files[1:]:
            check_same_columns(first.name, list(first.schema), file.name, list(file.schema))
        names = list(first.schema)
        self.schema = joined_schema([{n: f.schema[n] for n in names} for f in files])
        self.counts = [count for file in files for count in file.counts]
        self._starts = [0, *accumulate(len(file.counts) for file in files)]

    def read(self, number: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of a chunk."""
        place = next(i for i, start in enumerate(self._starts) if start > number) - 1
        rows = self._files[place].read(number - self._starts[place], columns)
        wanted = list(self.schema) if columns is None else list(columns)
        return rows.select(pl.col(name).cast(self.schema[name]) for name in wanted)


def rows_of_chunk(chunk_rows: int, num_columns: int) -> int:
    """Rows of a chunk, fewer where many columns would make it large.

    Example:
        >>> rows_of_chunk(100_000, 10), rows_of_chunk(100_000, 1000)
        (100000, 8388)
    """
    return max(1, min(chunk_rows, CHUNK_CELLS // max(1, num_columns)))


def even_counts(num_rows: int, chunk_rows: int) -> list[int]:
    """Rows of each chunk where all have as many but the last.

    Example:
        >>> even_counts(5, 2)
        [2, 2, 1]
    """
    full, rest = divmod(num_rows, chunk_rows)
    return [chunk_rows] * full + [rest] * (rest > 0)


def joined_schema(schemas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The types that hold the cells of all tables, with every column of any.

    Raises:
        InputError: If there is none for a column.

    Example:
        >>> joined_schema([{"a": pl.Int64}, {"a": pl.Float64}])
        {'a': Float64}
    """
    frames = [pl.DataFrame(schema=dict(schema)) for schema in schemas]
    try:
        return dict(pl.concat(frames, how="diagonal_relaxed").schema)
    except pl.exceptions.PolarsError as error:
        raise InputError(
            "the files have columns of different types",
            expected="the same type of each column in every file",
            got=" ".join(str(error).split())[:200],
            do="convert them to one type, or to CSV",
        ) from error
