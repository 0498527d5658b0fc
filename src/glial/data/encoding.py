"""A table as a network's inputs: fitted on the training rows, saved as data, applied anywhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.core.errors import InputError, suggest
from glial.data.cells import notice_unread
from glial.data.columns import nothing_left
from glial.data.encoders import (
    ENCODERS,
    CategoryEncoder,
    ColumnEncoder,
    ImageEncoder,
    NumberEncoder,
    TensorEncoder,
    VariedImageEncoder,
    fit_columns,
)
from glial.data.encoders.sequences import SequenceEncoder, side_by_side
from glial.data.features import STEPS, Components, FeatureStep, Products, cross_name, with_crosses
from glial.data.imputers import IMPUTERS, MAX_FITTED_ROWS, Imputer
from glial.data.selection import judge_columns, target_numbers
from glial.data.settings import DataSettings, Kind
from glial.data.stored import read_parts, write_parts

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
CHUNK = 50_000
_FLAG = "is missing"
PARTS: dict[str, Any] = {**ENCODERS, **IMPUTERS, **STEPS}  # what a saved encoding may name


class Inputs(NamedTuple):
    """A table as tensors: numbers [row, number] and codes of categories [row, category].

    Tensors of their own follow: images [row, channel, height, width] and sounds [row, sample], a
    column each; all columns of sequences in one, [row, time, number]; texts [row, position], a
    column each.

    Example:
        >>> Inputs(torch.zeros(2, 3), torch.zeros(2, 0, dtype=torch.int64)).numbers.shape
        torch.Size([2, 3])
    """

    numbers: Tensor
    categories: Tensor
    tensors: tuple[Tensor, ...] = ()


class Encoding:
    """How the columns of a table become numbers and codes.

    Columns are encoded one by one; then imputers fill what is missing from the rest of the
    row; then steps make features of the numbers.

    Args:
        encoders: Column to its encoder, in the order of the training table.
        imputers: Fillings of the whole table, by their name.
        steps: What is made of the numbers, in turn.
        crosses: Sets of columns whose combined values are a column too.
        dropped: Columns that were judged not worth reading, and why.

    Attributes:
        held: The encoder of each tensor beside numbers and categories.

    Example:
        >>> frame = pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "x"]})
        >>> encoding = Encoding.fit(frame, {"a": "number", "b": "category"}, DataSettings())
        >>> encoding.num_numbers, encoding.cardinalities
        (2, [])
        >>> encoding.transform(frame).numbers[:, 1].tolist()
        [-1.0, 1.0, -1.0]
    """

    def __init__(
        self,
        encoders: Mapping[str, ColumnEncoder | TensorEncoder],
        imputers: Mapping[str, Imputer] | None = None,
        steps: Sequence[FeatureStep] = (),
        crosses: Sequence[list[str]] = (),
        dropped: Mapping[str, str] | None = None,
    ) -> None:
        self.encoders = dict(encoders)
        self.imputers = dict(imputers or {})
        self.steps = list(steps)
        self.crosses = list(crosses)
        self.dropped = dict(dropped or {})
        own = {n: e for n, e in self.encoders.items() if isinstance(e, TensorEncoder)}
        # The columns with a tensor of their own, images first; with codes; and with numbers.
        self._tensors = dict(sorted(own.items(), key=lambda item: item[1].modality))
        self._sequences = [n for n, e in self._tensors.items() if isinstance(e, SequenceEncoder)]
        # The encoder of each tensor; that of the first sequence stands for all of them.
        self.held: list[TensorEncoder] = [
            e for n, e in self._tensors.items() if n not in self._sequences[1:]
        ]
        self._embedded = {n: e for n, e in self.encoders.items() if isinstance(e, CategoryEncoder)}
        others = {*self._tensors, *self._embedded}
        self._numeric: dict[str, Any] = {n: e for n, e in self.encoders.items() if n not in others}

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        kinds: Mapping[str, Kind],
        settings: DataSettings,
        *,
        target: NDArray[Any] | None = None,
        seed: int = 0,
    ) -> Encoding:
        """The encoding of a table's training rows: see :meth:`fit_transform`."""
        return cls.fit_transform(frame, kinds, settings, target=target, seed=seed)[0]

    @classmethod
    def fit_transform(
        cls,
        frame: pl.DataFrame,
        kinds: Mapping[str, Kind],
        settings: DataSettings,
        *,
        target: NDArray[Any] | None = None,
        seed: int = 0,
    ) -> tuple[Encoding, Inputs]:
        """The encoding of a table's training rows, and these rows encoded.

        Training rows are not always encoded as others are: where a category becomes the mean
        of the target, a row's own target is left out of its mean.

        Args:
            frame: The training rows, and no others.
            kinds: Kind of each input column; those that carry nothing are passed over.
            settings: The plan's ``data`` part; ``scaling: auto`` standardises.
            target: Class of each row, [row], or numbers, [row, output]; needed by what looks
                at the target (``categories: target`` and ``features.select``).
            seed: Of what is drawn.

        Raises:
            InputError: If no column is left, or a setting does not fit the data.
        """
        crosses = settings.features.crosses
        frame = with_crosses(frame, crosses)
        kinds = {**kinds, **{cross_name(columns): "category" for columns in crosses}}
        numbers = None if target is None else target_numbers(target)
        encoders, training = fit_columns(frame, kinds, settings, target=numbers, seed=seed)
        if not encoders:
            raise nothing_left(kinds)
        dropped: dict[str, str] = {}
        judged = {n: e for n, e in encoders.items() if not isinstance(e, TensorEncoder)}
        if settings.features.select != "none" and len(judged) > 1 and target is not None:
            dropped = judge_columns(frame, judged, training, target, settings, seed)
            encoders = {name: e for name, e in encoders.items() if name not in dropped}
        encoding = cls(encoders, crosses=[c for c in crosses if cross_name(c) in encoders])
        encoding.dropped = dropped
        encoding._fit_whole(frame, training, settings, seed)
        return encoding, encoding._inputs(frame, training)

    def _fit_whole(
        self, frame: pl.DataFrame, training: dict[str, Floats], settings: DataSettings, seed: int
    ) -> None:
        """Fit what looks at all columns: imputers, then features."""
        wanted = {e.filling for e in self.encoders.values() if isinstance(e, NumberEncoder)}
        features = settings.features
        if not wanted & set(IMPUTERS) and features.polynomial == 1 and features.pca is None:
            return
        rows = np.arange(frame.height)
        if frame.height > MAX_FITTED_ROWS:
            generator = np.random.default_rng(seed)
            rows = np.sort(generator.choice(frame.height, MAX_FITTED_ROWS, replace=False))
        part = {name: values[rows] for name, values in training.items()}
        matrix = self._encoded(frame[rows], part)
        seen = matrix[:, self._seen]
        for name in sorted(wanted & set(IMPUTERS)):
            self.imputers[name] = IMPUTERS[name].fit(seen, settings.imputation, seed)
        matrix = self._filled(matrix)
        if features.polynomial > 1:
            numeric = [i for i, e in enumerate(self._owners) if isinstance(e, NumberEncoder)]
            places = [place for place in numeric if place in set(self._seen.tolist())]
            self.steps.append(Products.fit(places, features.polynomial))
            matrix = self.steps[-1].transform(matrix)
        if features.pca is not None:
            self.steps.append(Components.fit(matrix, features.pca))

    @property
    def _owners(self) -> list[ColumnEncoder]:
        """The encoder of each number, before features are made."""
        return [encoder for encoder in self._numeric.values() for _ in encoder.labels]

    @property
    def _seen(self) -> NDArray[np.int64]:
        """Places of the numbers that imputers see: all but the flags of missing cells."""
        labels = [label for encoder in self._numeric.values() for label in encoder.labels]
        return np.array([i for i, label in enumerate(labels) if label != _FLAG], dtype=np.int64)

    @property
    def columns(self) -> list[str]:
        """The columns that are read from a table."""
        made = {cross_name(columns) for columns in self.crosses}
        read = [name for name in self.encoders if name not in made]
        return list(dict.fromkeys([*read, *(name for cross in self.crosses for name in cross)]))

    @property
    def names(self) -> list[str]:
        """What each number is."""
        names = [
            f"{name} {label}".strip()
            for name, encoder in self._numeric.items()
            for label in encoder.labels
        ]
        for step in self.steps:
            names = step.names(names)
        return names

    @property
    def origins(self) -> tuple[list[str], list[str], list[str]]:
        """The column of each number, of each category, and of each tensor beside them.

        A feature that was made of several columns is told by its own name; all columns of sequences
        share one tensor.
        """
        pairs = [
            (n, f"{n} {label}".strip()) for n, e in self._numeric.items() for label in e.labels
        ]
        made = {label: name for name, label in pairs}
        return [made.get(n, n) for n in self.names], list(self._embedded), list(self._tensors)

    @property
    def num_numbers(self) -> int:
        """Numbers of a row."""
        return len(self.names)

    @property
    def cardinalities(self) -> list[int]:
        """Number of codes of each embedded category, the unknown code 0 included."""
        return [encoder.cardinality for encoder in self._embedded.values()]

    def sizes(self, modality: str) -> list[list[int]]:
        """What a network must know of each ``image`` or ``text`` column, or of all sequences."""
        sizes = [e.size for e in self._tensors.values() if e.modality == modality]
        return [[sum(size for (size,) in sizes)]] if modality == "sequence" and sizes else sizes

    def arguments(self, inputs: Inputs) -> tuple[Tensor, ...]:
        """The tensors that stand for a network's arguments: those that the table has.

        Numbers come first, which may be none a row beside categories; then categories; then
        each image, the sequences and each text.
        """
        numbers = self.num_numbers or self.cardinalities or not inputs.tensors
        return (
            *([inputs.numbers] if numbers else []),
            *([inputs.categories] if self.cardinalities else []),
            *inputs.tensors,
        )

    def finish(self, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What a network is called with, for some rows of :meth:`arguments`."""
        first = len(arguments) - len(self.held)
        finished = [e.finish(t) for e, t in zip(self.held, arguments[first:], strict=True)]
        parts = [part if isinstance(part, tuple) else (part,) for part in finished]
        return (*arguments[:first], *(tensor for part in parts for tensor in part))

    @property
    def image_bytes(self) -> int:
        """What the images of a row take as they are held, at most."""
        return sum(e.num_bytes for e in self._tensors.values() if isinstance(e, ImageEncoder))

    @property
    def image_sizes(self) -> list[str]:
        """The sizes to which images are padded, where they keep their own."""
        varied = [e for e in self._tensors.values() if isinstance(e, VariedImageEncoder)]
        return [f"{height} x {width}" for encoder in varied for height, width in encoder.buckets]

    def groups(self, arguments: tuple[Tensor, ...]) -> Tensor | None:
        """A number a row, equal for those with images of one size; None where all are so."""
        return next((encoder.groups(held) for encoder, held in self._varied(arguments)), None)

    def opened(self, arguments: tuple[Tensor, ...], square: int = 0) -> tuple[Tensor, ...]:
        """Rows of :meth:`arguments` with images of varied sizes as pixels and a mask behind them.

        Args:
            arguments: The rows.
            square: The side to which the pixels are stretched instead, with no mask; 0 is none.
        """
        opened = {
            id(held): encoder.squared(held, square) if square else encoder.opened(held)
            for encoder, held in self._varied(arguments)
        }
        return tuple(opened.get(id(held), held) for held in arguments)

    def _varied(self, arguments: tuple[Tensor, ...]) -> list[tuple[VariedImageEncoder, Tensor]]:
        held = arguments[len(arguments) - len(self.held) :]
        pairs = zip(self.held, held, strict=True)
        return [(e, part) for e, part in pairs if isinstance(e, VariedImageEncoder)]

    def transform(self, frame: pl.DataFrame, *, notice: bool = True) -> Inputs:
        """A table as tensors; the order of its columns does not matter.

        Args:
            frame: A table with the training table's input columns; others are ignored.
            notice: Whether cells that are taken as missing are noticed.

        Raises:
            InputError: If columns are missing.
        """
        self._check_columns(frame)
        if notice:
            self.notice_unread(frame)
        return self._inputs(with_crosses(frame, self.crosses), {})

    def _inputs(self, frame: pl.DataFrame, training: dict[str, Floats]) -> Inputs:
        """The rows in stretches, so that no more than a few of them are held as wide numbers."""
        embedded = self._embedded
        numbers = np.empty((frame.height, self.num_numbers), dtype=np.float32)
        codes = np.empty((frame.height, len(embedded)), dtype=np.int64)
        limit = np.finfo(np.float32).max
        for start in range(0, frame.height, CHUNK):
            rows = slice(start, start + CHUNK)
            stretch = frame[rows]
            matrix = self._encoded(stretch, {n: v[rows] for n, v in training.items()})
            matrix = self._filled(matrix)
            for step in self.steps:
                matrix = step.transform(matrix)
            numbers[rows] = np.clip(matrix, -limit, limit)
            for place, (name, encoder) in enumerate(embedded.items()):
                codes[rows, place] = encoder.codes(stretch[name])
        tensors = {name: encoder.tensor(frame[name]) for name, encoder in self._tensors.items()}
        if names := self._sequences:
            tensors[names[0]] = side_by_side([tensors.pop(name) for name in names], names)
        held = [tensors[name] for name in self._tensors if name in tensors]
        return Inputs(torch.from_numpy(numbers), torch.from_numpy(codes), tuple(held))

    def _encoded(self, frame: pl.DataFrame, training: dict[str, Floats]) -> Floats:
        numeric = self._numeric
        parts = [
            training[n] if n in training else e.transform(frame[n]) for n, e in numeric.items()
        ]
        return np.concatenate(parts, axis=1) if parts else np.zeros((frame.height, 0))

    def _filled(self, matrix: Floats) -> Floats:
        """The numbers with each imputer's columns filled."""
        seen = self._seen
        for name, imputer in self.imputers.items():
            mine = [
                isinstance(owner, NumberEncoder) and owner.filling == name for owner in self._owners
            ]
            gone = np.isnan(matrix) & np.array(mine)
            if gone.any():
                whole = matrix.copy()
                whole[:, seen] = imputer.fill(matrix[:, seen])
                matrix = np.where(gone, whole, matrix)
        return matrix

    def _check_columns(self, frame: pl.DataFrame) -> None:
        there = set(frame.columns)
        gone = [name for name in self.columns if name not in there]
        if gone:
            nearest = suggest(gone[0], set(frame.columns) - set(self.encoders))
            raise InputError(
                f"columns that the network was trained on are missing: {', '.join(gone[:10])}",
                expected=", ".join(self.columns),
                got=", ".join(frame.columns),
                do=f"is {nearest!r} meant by {gone[0]!r}?" if nearest else "add these columns",
            )

    def notice_unread(self, frame: pl.DataFrame) -> None:
        """Say which cells of columns of numbers are no numbers."""
        there = set(frame.columns)
        for name in (n for n, e in self.encoders.items() if isinstance(e, NumberEncoder)):
            if name in there:
                notice_unread(frame[name])

    def save(self, folder: Path) -> None:
        """Write ``encoding.json`` (columns and vocabularies) and ``encoding.safetensors``."""
        write_parts(
            folder,
            {"columns": self.encoders, "imputers": self.imputers, "steps": self.steps},
            {"crosses": self.crosses, "dropped": self.dropped},
            PARTS,
        )

    @classmethod
    def load(cls, folder: Path) -> Encoding:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: If a file is missing, cut short or changed.
        """
        parts, rest = read_parts(folder, PARTS)
        return cls(parts["columns"], parts["imputers"], parts["steps"], **rest)
