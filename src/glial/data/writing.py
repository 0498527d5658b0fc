"""A table as a file, written whole or not at all."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from glial.core.errors import InputError
from glial.core.files import cannot_write, write_atomic

WRITERS = (".csv", ".parquet", ".jsonl")


def check_table_ending(path: Path, others: Sequence[str] = ()) -> None:
    """Refuse a file name whose ending is no format that can be written, or whose folder is missing.

    Args:
        path: The file.
        others: Endings that can be written beside those of tables, such as ``.npz``.

    Raises:
        InputError: If so.

    Example:
        >>> check_table_ending(Path("a.csv"))
    """
    endings = [*WRITERS, *others]
    if path.suffix.lower() not in endings:
        raise InputError(
            f"{path} has an ending that cannot be written",
            expected=f"one of {', '.join(endings)}",
            got=repr(path.suffix),
            do="choose one of them",
        )
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(
            f"{path} cannot be written",
            expected="a file in a folder that is there",
            got="a folder" if path.is_dir() else f"no folder {path.parent}",
            do="choose another file",
        )


def write_table(frame: pl.DataFrame, path: Path) -> None:
    r"""Write a table whole, in the format that the ending names.

    CSV holds lists joined by blanks, or, where items have blanks, as JSON.

    Raises:
        InputError: If the ending is not known, or the place cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.csv"
        >>> write_table(pl.DataFrame({"a": [1]}), path)
        >>> path.read_text()
        'a\n1\n'
    """
    check_table_ending(path)
    buffer = io.BytesIO()
    ending = path.suffix.lower()
    try:
        if ending == ".csv":
            _joined(frame).write_csv(buffer)
        elif ending == ".parquet":
            frame.write_parquet(buffer)
        else:
            frame.write_ndjson(buffer)
    except OSError as error:
        raise cannot_write(path, error) from error
    write_atomic(path, buffer.getvalue())


def _joined(frame: pl.DataFrame) -> pl.DataFrame:
    """The table with lists as text, a blank between items: a cell of CSV holds no list.

    A column with an item that itself has blanks, or is empty, is spelt as JSON spells lists.
    """
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    return frame.with_columns(_spelt(frame[name]) for name in lists)


def _spelt(column: pl.Series) -> pl.Series:
    texts = column.cast(pl.List(pl.String))
    if not texts.explode().str.contains(r"\s|^$").any():
        return texts.list.join(" ")
    rows = column.to_list()
    spelt = [None if row is None else json.dumps(row, ensure_ascii=False) for row in rows]
    return pl.Series(column.name, spelt, dtype=pl.String)
