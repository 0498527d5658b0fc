"""From tensors back to tables: the rows that encoded ones stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import polars as pl
from torch import Tensor

from glial.core.errors import InputError
from glial.data.encoders.numbers import Floats
from glial.data.encoding import Encoding


@runtime_checkable
class Restores(Protocol):
    """An encoder of numbers that can be undone."""

    def restore(self, values: Floats) -> pl.Series:
        """The cells that these numbers stand for, [row, number]."""


def restored(encoding: Encoding, numbers: Tensor, whole: Sequence[str] = ()) -> pl.DataFrame:
    """The rows of a table that numbers stand for.

    Args:
        encoding: How the table became numbers: alone, without features made of them.
        numbers: [row, number], such as a network makes up.
        whole: Columns of whole numbers.

    Raises:
        InputError: If a column cannot be told from its numbers.

    Example:
        >>> from glial.data import DataSettings
        >>> frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"]})
        >>> encoding = Encoding.fit(frame, {"a": "number", "b": "category"}, DataSettings())
        >>> restored(encoding, encoding.transform(frame).numbers, whole=["a"]).equals(frame)
        True
    """
    values = numbers.detach().cpu().double().numpy()
    columns, place = [], 0
    for name, encoder in encoding.encoders.items():
        own: Any = encoder
        if encoding.steps or encoding.crosses or not isinstance(encoder, Restores):
            raise InputError(
                f"the column {name!r} cannot be told from what the network knows of it",
                expected="numbers, yes or no, and categories that are not encoded by the target",
                got=type(encoder).__name__,
                do=f"leave the column out with --set data.types.{name}=identifier",
            )
        width = len(own.labels)
        column = own.restore(values[:, place : place + width]).alias(name)
        columns.append(column.round().cast(pl.Int64) if name in whole else column)
        place += width
    return pl.DataFrame(columns)
