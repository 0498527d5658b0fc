"""A table as a network's inputs: fitted on the training rows, saved as data, applied anywhere."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import safetensors.torch
import torch
from torch import Tensor

from glial.core.errors import InputError, suggest
from glial.core.files import read_json, to_json, write_atomic
from glial.data.cells import floats, missing, num_infinite
from glial.data.encoders import ENCODERS, CategoryEncoder, ColumnEncoder, NumberEncoder
from glial.data.settings import DataSettings, Kind

logger = logging.getLogger(__name__)
FORMAT = 1


class Inputs(NamedTuple):
    """What a network is given: numbers [row, number] and codes of categories [row, category].

    Example:
        >>> Inputs(torch.zeros(2, 3), torch.zeros(2, 0, dtype=torch.int64)).numbers.shape
        torch.Size([2, 3])
    """

    numbers: Tensor
    categories: Tensor


class Encoding:
    """How the columns of a table become numbers and codes.

    Args:
        encoders: Column to its encoder, in the order of the training table.

    Example:
        >>> frame = pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "x"]})
        >>> encoding = Encoding.fit(frame, {"a": "number", "b": "category"}, DataSettings())
        >>> encoding.num_numbers, encoding.cardinalities
        (2, [])
        >>> encoding.transform(frame).numbers[:, 1].tolist()
        [-1.0, 1.0, -1.0]
    """

    def __init__(self, encoders: Mapping[str, ColumnEncoder]) -> None:
        self.encoders = dict(encoders)

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, kinds: Mapping[str, Kind], settings: DataSettings
    ) -> Encoding:
        """The encoding of a table's training rows.

        Args:
            frame: The training rows, and no others.
            kinds: Kind of each input column; those that carry nothing are passed over.
            settings: The plan's ``data`` part; ``scaling: auto`` standardises.

        Raises:
            InputError: If no column is left.
        """
        encoders = {
            name: ENCODERS[kind].fit(frame[name], settings)
            for name, kind in kinds.items()
            if kind in ENCODERS
        }
        if not encoders:
            raise InputError(
                "no column is left to learn from",
                expected="at least one column of numbers, categories, yes/no or dates",
                got=", ".join(f"{name}: {kind}" for name, kind in kinds.items()) or "none",
                do="add a column, or say what one is with --set data.types.COLUMN=number",
            )
        return cls(encoders)

    def _embedded(self) -> dict[str, CategoryEncoder]:
        return {
            name: encoder
            for name, encoder in self.encoders.items()
            if isinstance(encoder, CategoryEncoder) and not encoder.one_hot
        }

    def _numeric(self) -> dict[str, ColumnEncoder]:
        embedded = self._embedded()
        return {name: e for name, e in self.encoders.items() if name not in embedded}

    @property
    def names(self) -> list[str]:
        """What each number is."""
        return [
            f"{name} {label}".strip()
            for name, encoder in self._numeric().items()
            for label in encoder.labels
        ]

    @property
    def num_numbers(self) -> int:
        """Numbers of a row."""
        return sum(len(encoder.labels) for encoder in self._numeric().values())

    @property
    def cardinalities(self) -> list[int]:
        """Number of codes of each embedded category, the unknown code 0 included."""
        return [encoder.cardinality for encoder in self._embedded().values()]

    def transform(self, frame: pl.DataFrame) -> Inputs:
        """A table as tensors; the order of its columns does not matter.

        Args:
            frame: A table with the training table's input columns; others are ignored.

        Raises:
            InputError: If columns are missing.
        """
        self._check_columns(frame)
        parts = [e.transform(frame[name]) for name, e in self._numeric().items()]
        codes = [e.codes(frame[name]) for name, e in self._embedded().items()]
        numbers = np.concatenate(parts, axis=1) if parts else np.zeros((frame.height, 0))
        limit = np.finfo(np.float32).max
        numbers = np.clip(numbers, -limit, limit).astype(np.float32)
        stacked = np.stack(codes, axis=1) if codes else np.zeros((frame.height, 0), np.int64)
        return Inputs(torch.from_numpy(numbers), torch.from_numpy(stacked))

    def _check_columns(self, frame: pl.DataFrame) -> None:
        gone = [name for name in self.encoders if name not in frame.columns]
        if gone:
            nearest = suggest(gone[0], set(frame.columns) - set(self.encoders))
            raise InputError(
                f"columns that the network was trained on are missing: {', '.join(gone[:10])}",
                expected=", ".join(self.encoders),
                got=", ".join(frame.columns),
                do=f"is {nearest!r} meant by {gone[0]!r}?" if nearest else "add these columns",
            )
        for name in (n for n, e in self.encoders.items() if isinstance(e, NumberEncoder)):
            _notice_unread(frame[name])

    def save(self, folder: Path) -> None:
        """Write ``encoding.json`` (columns and vocabularies) and ``encoding.safetensors``."""
        columns, tensors = [], {}
        kinds = {encoder: kind for kind, encoder in ENCODERS.items()}
        for number, (name, encoder) in enumerate(self.encoders.items()):
            values = asdict(encoder)  # type: ignore[call-overload]
            floats = {key: v for key, v in values.items() if isinstance(v, float)}
            for key, value in floats.items():
                tensors[f"{number}.{key}"] = torch.tensor(value, dtype=torch.float64)
            rest = {key: v for key, v in values.items() if key not in floats}
            columns.append({"name": name, "kind": kinds[type(encoder)], **rest})
        content = safetensors.torch.save(tensors)
        written = {"format": FORMAT, "checksum": _checksum(columns, content), "columns": columns}
        write_atomic(folder / "encoding.safetensors", content)
        write_atomic(folder / "encoding.json", to_json(written))

    @classmethod
    def load(cls, folder: Path) -> Encoding:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: If a file is missing, cut short or changed.
        """
        content = read_json(folder / "encoding.json")
        try:
            arrays = (folder / "encoding.safetensors").read_bytes()
            _check_whole(content, arrays)
            tensors = safetensors.torch.load(arrays)
            encoders = {
                column["name"]: _encoder(column, number, tensors)
                for number, column in enumerate(content["columns"])
            }
        except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
            raise InputError(
                f"the encoding of {folder} is damaged",
                expected="encoding.json and encoding.safetensors as Glial wrote them",
                got=f"{type(error).__name__}: {error}",
                do="a file was changed or cut short: restore it, or train again",
            ) from error
        return cls(encoders)


def _notice_unread(column: pl.Series) -> None:
    """Say which cells of a column of numbers are no numbers."""
    if infinite := num_infinite(column):
        logger.warning("column %r: %d infinite cells are taken as missing", column.name, infinite)
    words = column.filter(floats(column).is_null() & ~missing(column))
    if len(words):
        logger.warning(
            "column %r: %d cells are no numbers, such as %s: they are taken as missing",
            column.name,
            len(words),
            " ".join(repr(words.to_list()[0]).split())[:80],
        )


def _checksum(columns: Any, arrays: bytes) -> str:
    """What tells a changed or half-written encoding from a whole one."""
    return hashlib.sha256(to_json(columns, indent=None).encode() + arrays).hexdigest()


def _check_whole(content: dict[str, Any], arrays: bytes) -> None:
    columns = content["columns"]
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r}, where {FORMAT} is known")
    names = {column["name"] for column in columns}
    if not names or len(names) != len(columns) or not all(isinstance(n, str) for n in names):
        raise ValueError("no columns, or one twice, or one without a name")
    if content["checksum"] != _checksum(columns, arrays):
        raise ValueError("the checksum does not fit the content")


def _encoder(column: dict[str, Any], number: int, tensors: dict[str, Tensor]) -> ColumnEncoder:
    kind = ENCODERS[column["kind"]]
    values: dict[str, Any] = {}
    for item in fields(kind):
        wanted = str(item.type)
        key = f"{number}.{item.name}"
        value: Any = _number(tensors[key]) if wanted == "float" else column[item.name]
        fits = wanted == "list[str]" and isinstance(value, list)
        fits = fits and all(isinstance(word, str) for word in value)
        fits |= wanted == "str" and isinstance(value, str)
        fits |= wanted == "float" and math.isfinite(value)
        fits |= wanted == "bool" and isinstance(value, bool)
        if not fits:
            raise ValueError(f"{item.name} of {column['name']!r} is {value!r}")
        values[item.name] = value
    encoder: ColumnEncoder = kind(**values)
    return encoder


def _number(tensor: Tensor) -> float:
    if tensor.shape != () or tensor.dtype != torch.float64:
        raise ValueError(f"a tensor of {tensor.dtype} {list(tensor.shape)} is no statistic")
    return float(tensor)
