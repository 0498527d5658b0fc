"""From a source to chunks: files by their endings, and tables in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glial.core.errors import InputError
from glial.data.files import not_opened
from glial.data.sources import files_of, read
from glial.data.streams.arrow import ArrowChunks
from glial.data.streams.chunks import Chunks, FrameChunks, JoinedChunks
from glial.data.streams.parquet import ParquetChunks
from glial.data.streams.text import DelimitedChunks, JsonLinesChunks

CHUNKS: dict[str, Any] = {
    ".csv": DelimitedChunks,
    ".tsv": DelimitedChunks,
    ".txt": DelimitedChunks,
    ".data": DelimitedChunks,
    ".parquet": ParquetChunks,
    ".pq": ParquetChunks,
    ".jsonl": JsonLinesChunks,
    ".ndjson": JsonLinesChunks,
    ".json": JsonLinesChunks,
    ".arrow": ArrowChunks,
    ".feather": ArrowChunks,
    ".ipc": ArrowChunks,
}
# What a byte of a file takes in memory at most, as a table and as the tensors made of it.
SPREAD: dict[str, int] = {".parquet": 8, ".pq": 8, ".arrow": 4, ".feather": 4, ".ipc": 4}
SPREAD_OF_TEXT = 8


def open_chunks(source: Any, chunk_rows: int) -> Chunks:
    """A source in chunks.

    Args:
        source: Files (a path, a glob pattern, a list of paths) in a format that can be read in
            any order, the name of a data set, or a table in memory.
        chunk_rows: Most rows of a chunk.

    Returns:
        Its chunks; only those of a data set or a table in memory are held in memory.

    Raises:
        InputError: If a file is missing, packed, damaged or empty, or files do not fit.

    Example:
        >>> open_chunks("iris", 100).counts
        [100, 50]
    """
    files = files_of(source)
    if not files:
        return FrameChunks(read(source), chunk_rows)
    chunks = JoinedChunks([_open(path, chunk_rows) for path in files])
    if not chunks.schema:
        raise InputError(f"{chunks.name} has no columns", expected="a table", got="none")
    if not chunks.counts:
        raise InputError(
            f"{chunks.name} has no rows",
            expected="at least one row",
            got="none",
            do="check that the file is whole",
        )
    return chunks


def _open(path: Path, chunk_rows: int) -> Chunks:
    try:
        with path.open("rb") as file:
            content = file.read(1)
    except (OSError, ValueError) as error:
        raise not_opened(path, error) from error
    if not content:
        raise InputError(
            f"{path} is empty", expected="a table", got="no content", do="check the file"
        )
    ending = path.suffix.lower()
    if ending not in CHUNKS:
        packed = ending in (".gz", ".zip", ".npz")
        raise InputError(
            f"{path} cannot be streamed",
            expected=f"one of {', '.join(CHUNKS)}",
            got="a packed file, which cannot be read from its middle" if packed else repr(ending),
            do=("unpack it" if packed else "rename or convert it")
            + ", or set data.stream=never to read it whole",
        )
    chunks: Chunks = CHUNKS[ending](path, chunk_rows)
    return chunks


def can_stream(files: Sequence[Path]) -> bool:
    """Whether files have endings of formats that can be read in any order.

    Example:
        >>> can_stream([Path("a.parquet")]), can_stream([Path("a.csv.gz")]), can_stream([])
        (True, False, False)
    """
    return bool(files) and all(path.suffix.lower() in CHUNKS for path in files)


def bytes_in_memory(files: Sequence[Path]) -> int:
    """A bold guess at the memory that training on files would take if they were read whole.

    Example:
        >>> bytes_in_memory([])
        0
    """
    sizes = {path: path.stat().st_size for path in files if path.is_file()}
    return sum(n * SPREAD.get(p.suffix.lower(), SPREAD_OF_TEXT) for p, n in sizes.items())
