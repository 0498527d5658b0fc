"""Sequences of numbers over time: gaps filled, features scaled, rows padded at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.core.errors import InputError
from glial.data.scaling import Scaling
from glial.data.sequences import unpack
from glial.data.settings import DataSettings, HeldAs

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SequenceEncoder:
    """Numbers at each time step, scaled feature by feature.

    A missing number is the one before it in time, or ``fills`` at a row's beginning. A row without
    any step has one, all of it missing, so that no row is padding alone.

    Attributes:
        scalings: How each feature is scaled.
        fills: What stands for a number that is missing before any came, [feature].
        flagged: Features with gaps in training: behind all features stands for each a number that
            is 1 where it was missing, [flag].

    Source:
        Che et al. (2018), "Recurrent neural networks for multivariate time series with missing
        values", arXiv 1606.01865, section 2.1 (the last value, and a mask beside it).

    Example:
        >>> column = pl.Series("heart", [[60.0, 80.0, 100.0], [None, 100.0]])
        >>> encoder = SequenceEncoder.fit(column, DataSettings())
        >>> values, lengths = encoder.finish(encoder.tensor(column))
        >>> values.shape, lengths
        (torch.Size([2, 3, 2]), tensor([3, 2]))
    """

    modality: ClassVar[HeldAs] = "sequence"

    scalings: list[Scaling]
    fills: Floats
    flagged: NDArray[np.int64]

    def __post_init__(self) -> None:
        count, flagged = len(self.scalings), self.flagged.tolist()
        if count < 1 or self.fills.shape != (count,):
            raise ValueError("the features of a sequence column and their scalings do not fit")
        if self.flagged.ndim != 1 or not set(flagged) <= set(range(count)):
            raise ValueError("a sequence column flags features that it does not have")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> SequenceEncoder:
        """Medians and scalings of the training rows' features.

        Raises:
            InputError: If a cell is no sequence of numbers, or steps have unequal numbers of them.
        """
        steps = unpack(column).steps
        how = settings.of(column.name).scaling or "standard"
        there = [values[~np.isnan(values)] for values in steps.T]
        fills = np.array([float(np.median(values)) if len(values) else 0.0 for values in there])
        scalings = [Scaling.fit(values, how) if len(values) else Scaling() for values in there]
        gaps = np.isnan(steps).any(axis=0) & settings.missing_flags
        return cls(scalings, fills, np.flatnonzero(gaps))

    @property
    def labels(self) -> list[str]:
        """None: the steps stand in a tensor of their own."""
        return []

    @property
    def size(self) -> list[int]:
        """Numbers at each step: the features, then the flags."""
        return [len(self.scalings) + len(self.flagged)]

    def tensor(self, column: pl.Series) -> Tensor:
        """The steps of each cell, [row, time, number], behind a row's end NaN.

        Raises:
            InputError: If a cell is no sequence, or has other features than those of training.
        """
        found = unpack(column)
        steps, count = found.steps, len(self.scalings)
        if steps.shape[1] != count:
            raise InputError(
                f"the sequences of the column {column.name!r} have other features",
                expected=f"{count} numbers at each step, as in training",
                got=str(steps.shape[1]),
                do="give the features that the network was trained on",
            )
        gone = np.isnan(steps)
        filled = self._filled(steps, gone, found.lengths)
        parts = [s.apply(v)[:, None] for s, v in zip(self.scalings, filled.T, strict=True)]
        numbers = np.concatenate([*parts, gone[:, self.flagged]], axis=1)
        limit = np.finfo(np.float32).max
        shape = len(found.lengths), int(found.lengths.max(initial=1)), self.size[0]
        held = np.full(shape, np.nan, dtype=np.float32)
        held[np.arange(shape[1]) < found.lengths[:, None]] = np.clip(numbers, -limit, limit)
        return torch.from_numpy(held)

    def _filled(self, steps: Floats, gone: NDArray[np.bool_], lengths: NDArray[np.int64]) -> Floats:
        """The steps with each gap as the number before it in its row."""
        if not gone.any():
            return steps
        numbers = np.arange(len(steps))[:, None]
        latest = np.maximum.accumulate(np.where(gone, -1, numbers), axis=0)
        begins = np.repeat(np.cumsum(lengths) - lengths, lengths)[:, None]
        before = np.take_along_axis(steps, np.maximum(latest, 0), axis=0)
        return np.where(latest >= begins, before, self.fills)

    def finish(self, held: Tensor) -> tuple[Tensor, Tensor]:
        """Some rows, as long as the longest of them, and how long each is.

        Args:
            held: Rows of :meth:`tensor`.

        Returns:
            Numbers [row, time, number], 0 behind a row's end; and lengths, [row], at least 1.
        """
        lengths = lengths_of(held)
        longest = int(lengths.max()) if len(held) else 1
        return held[:, :longest].nan_to_num(0.0), lengths


def lengths_of(held: Tensor) -> Tensor:
    """How many steps each row has, [row].

    Args:
        held: Rows of :meth:`SequenceEncoder.tensor`.

    Example:
        >>> lengths_of(torch.tensor([[[1.0], [torch.nan]]]))
        tensor([1])
    """
    return (~held[:, :, 0].isnan()).sum(dim=1)


def side_by_side(parts: Sequence[Tensor], names: Sequence[str]) -> Tensor:
    """Columns of sequences as one whose steps hold the numbers of all.

    Args:
        parts: Rows of :meth:`SequenceEncoder.tensor`, a column each.
        names: The columns.

    Raises:
        InputError: If a row is not equally long in all columns.

    Example:
        >>> side_by_side([torch.zeros(2, 3, 1), torch.ones(2, 3, 2)], ["a", "b"]).shape
        torch.Size([2, 3, 3])
    """
    lengths = torch.stack([lengths_of(part) for part in parts])
    odd = (lengths != lengths[0]).any(dim=0).nonzero()[:, 0]
    if len(odd):
        row = int(odd[0])
        raise InputError(
            "the columns of sequences are not equally long in each row",
            expected="the same steps in every column, null where a number is missing",
            got=", ".join(
                f"{name}: {length}" for name, length in zip(names, lengths[:, row], strict=True)
            )
            + f" in row {row + 1}",
            do="fill the shorter ones, or leave a column out: data.types.COLUMN=identifier",
        )
    return torch.cat(list(parts), dim=2)
