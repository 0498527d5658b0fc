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


def hashes(column: pl.Series) -> pl.Series:
    """A hash of each cell of a column of arrays, null where it is missing.

    Example:
        >>> column = pl.Series([[1, 2], [1, 2], [2, 1]], dtype=pl.Array(pl.UInt8, 2))
        >>> hashes(column).n_unique()
        2
    """
    found: list[str | None] = [None] * len(column)
    there = column.is_not_null().arg_true()
    for row, cell in zip(there, column.drop_nulls().to_numpy(), strict=True):
        found[row] = hashlib.blake2b(cell.tobytes(), digest_size=16).hexdigest()
    return pl.Series(column.name, found, dtype=pl.String)


def _parts_of(column: pl.Series) -> list[bytes]:
    """Bytes that tell a column from any other of its type: which cells are missing, the rest."""
    gone = column.is_null().to_numpy().tobytes()
    dtype = column.dtype
    if isinstance(dtype, pl.Struct):
        return [gone, *(part for field in column.struct.unnest() for part in _parts_of(field))]
    if isinstance(dtype, pl.Array):
        return [gone, *_parts_of(column.drop_nulls().reshape((-1,)))]
    if isinstance(dtype, pl.List):
        sizes = column.list.len().fill_null(0).to_numpy().tobytes()
        return [gone, sizes, *_parts_of(column.filter(column.list.len() > 0).explode())]
    if isinstance(dtype, (pl.Object, pl.Binary, pl.Null)):
        return [gone, repr(column.to_list()).encode()]
    if dtype == pl.Duration:
        column = column.to_physical()
    is_wide = dtype.is_decimal() or dtype in (pl.Int128, pl.UInt128)
    if dtype.is_numeric() and not is_wide:
        return [gone, column.fill_null(0).to_numpy().tobytes()]
    words = column.cast(pl.String).fill_null("")
    sizes = words.str.len_bytes().to_numpy().tobytes()
    return [gone, sizes, "".join(words.to_list()).encode()]
