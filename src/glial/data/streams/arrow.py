"""Arrow files (Feather, IPC) in chunks; polars reads the record batches that a chunk touches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from glial.core.errors import InputError
from glial.data.streams.chunks import even_counts, rows_of_chunk


class ArrowChunks:
    """Slices of an Arrow file.

    Memory is bounded by the largest record batch, which is read whole.

    Args:
        path: The file, in Arrow's file format; its stream format cannot be read in any order.
        chunk_rows: Rows of a chunk, but for the last.

    Raises:
        InputError: If the file is no whole Arrow file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.arrow"
        >>> pl.DataFrame({"a": [1, 2, 3]}).write_ipc(path)
        >>> ArrowChunks(path, 2).read(1)["a"].to_list()
        [3]
    """

    def __init__(self, path: Path, chunk_rows: int) -> None:
        self.name = str(path)
        self._path = path
        with path.open("rb") as file:
            sign = file.read(6)
        if sign != b"ARROW1":
            raise InputError(
                f"{path} cannot be streamed",
                expected="Arrow's file format, which starts with ARROW1",
                got="Arrow's stream format" if sign[:4] == b"\xff\xff\xff\xff" else repr(sign),
                do="write it in the file format, or set data.stream=never to read it whole",
            )
        try:
            scan = pl.scan_ipc(path, glob=False)
            self.schema: dict[str, Any] = dict(scan.collect_schema())
            num_rows = int(scan.select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
            raise self._damaged(error) from error
        self._rows = rows_of_chunk(chunk_rows, len(self.schema))
        self.counts = even_counts(num_rows, self._rows)

    def read(self, number: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of a chunk."""
        try:
            rows = pl.scan_ipc(self._path, glob=False)
            rows = rows if columns is None else rows.select(columns)
            return rows.slice(number * self._rows, self.counts[number]).collect()
        except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: BaseException) -> InputError:
        return InputError(
            f"{self._path} cannot be read as arrow",
            expected="a whole .arrow file",
            got=" ".join(str(error).split())[:200],
            do="check that the file is whole, and what its ending says",
        )
