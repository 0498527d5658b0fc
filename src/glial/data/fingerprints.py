"""A hash of a table, to tell whether data has changed."""

from __future__ import annotations

import hashlib

import polars as pl


def fingerprint(frame: pl.DataFrame) -> str:
    """A hash of a table's names and cells, the same in every process.

    Example:
        >>> fingerprint(pl.DataFrame({"a": [1]})) == fingerprint(pl.DataFrame({"a": [2]}))
        False
    """
    digest = hashlib.sha256(repr((frame.columns, frame.height)).encode())
    for column in frame.iter_columns():
        digest.update(f"{column.dtype}".encode())
        for part in _parts_of(column):
            digest.update(part)
    return digest.hexdigest()


def _parts_of(column: pl.Series) -> list[bytes]:
    """Bytes that tell a column from any other of its type: which cells are missing, the rest."""
    gone = column.is_null().to_numpy().tobytes()
    if column.dtype.is_nested() or isinstance(column.dtype, (pl.Object, pl.Binary, pl.Null)):
        return [gone, repr(column.to_list()).encode()]
    if column.dtype == pl.Duration:
        column = column.to_physical()
    is_wide = column.dtype.is_decimal() or column.dtype in (pl.Int128, pl.UInt128)
    if column.dtype.is_numeric() and not is_wide:
        return [gone, column.fill_null(0).to_numpy().tobytes()]
    words = column.cast(pl.String).fill_null("")
    sizes = words.str.len_bytes().to_numpy().tobytes()
    return [gone, sizes, "".join(words.to_list()).encode()]
