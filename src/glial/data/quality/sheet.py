"""The rows of an experiment as the checks see them: cells understood, every row named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.seeds import numpy_generator
from glial.data.cells import date_form, datetimes, numbers, texts
from glial.data.fingerprints import hashes
from glial.data.settings import Kind
from glial.data.splits import Rows

Floats = NDArray[np.float64]
SPLITS = ("train", "val", "test")
SILENT: tuple[Kind, ...] = ("identifier", "constant", "empty")


def understood(
    frame: pl.DataFrame, kinds: Mapping[str, Kind], forms: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Cells as what they mean: numbers and times as 64-bit floats, the rest as text.

    Images are a hash of their pixels, by which equal ones are known.

    Args:
        frame: A table that has the columns.
        kinds: Kind of each column that is kept.
        forms: Order of year, month and day of columns of dates; by default read off the cells.

    Returns:
        The columns in the order of ``kinds``; missing cells are null.

    Example:
        >>> understood(pl.DataFrame({"a": ["1", "1.0", "?"]}), {"a": "number"})["a"].to_list()
        [1.0, 1.0, None]
    """
    forms = forms or {}
    cells = [_meaning(frame[name], kind, forms.get(name)) for name, kind in kinds.items()]
    return pl.DataFrame(cells)


def _meaning(column: pl.Series, kind: Kind, form: str | None) -> pl.Series:
    if kind == "number":
        return numbers(column) + 0.0  # a negative zero becomes the positive one
    if kind == "datetime":
        return datetimes(column, form).cast(pl.Int64).cast(pl.Float64)
    return hashes(column) if isinstance(column.dtype, pl.Array) else texts(column)


def target_kinds(targets: Sequence[str], task: str) -> dict[str, Kind]:
    """How the cells of targets are to be understood: numbers in a regression, else classes.

    Example:
        >>> target_kinds(["y"], "regression")
        {'y': 'number'}
    """
    return dict.fromkeys(targets, "number" if task == "regression" else "category")


@dataclass(frozen=True)
class Sheet:
    """All rows of an experiment.

    Attributes:
        frame: Inputs and targets as :func:`understood`.
        kinds: Kind of each input column.
        targets: The columns to be predicted.
        task: ``classification``, ``multilabel`` or ``regression``.
        split: Split of each row, [row]: 0 trains, 1 validates, 2 tests.
        numbers: Number of each row, from 0, in the table that it came from, [row].

    Example:
        >>> train = pl.DataFrame({"a": [1.0, 2.0], "y": ["u", "v"]})
        >>> sheet = Sheet.of([train, train[1:]], ["y"], {"a": "number"}, "classification")
        >>> sheet.place(2), sheet.codes("y").tolist()
        ({'split': 'val', 'row': 0}, [0, 1, 1])
    """

    frame: pl.DataFrame
    kinds: dict[str, Kind]
    targets: list[str]
    task: str
    split: Rows
    numbers: Rows

    @classmethod
    def of(
        cls,
        parts: Sequence[pl.DataFrame],
        targets: Sequence[str],
        kinds: Mapping[str, Kind],
        task: str,
        row_numbers: Sequence[Rows] | None = None,
    ) -> Sheet:
        """A sheet from the rows of each split: training, validation, test.

        Args:
            parts: A table for each split, all with the columns; the last ones may be left out.
            targets: The columns to be predicted.
            kinds: Kind of each input column.
            task: What is to be learnt.
            row_numbers: Number by which each row of each part is to be named; by default its
                own in the part.
        """
        wanted = {**kinds, **target_kinds(targets, task)}
        dates = [name for name, kind in kinds.items() if kind == "datetime"]
        forms = {name: date_form(parts[0][name]) for name in dates}
        heights = [part.height for part in parts]
        rows = [np.arange(height) for height in heights] if row_numbers is None else row_numbers
        return cls(
            pl.concat([understood(part, wanted, forms) for part in parts]),
            dict(kinds),
            list(targets),
            task,
            np.repeat(np.arange(len(parts)), heights),
            np.concatenate(rows),
        )

    @property
    def inputs(self) -> list[str]:
        """The columns that say something: all but identifiers, constant and empty ones."""
        return [name for name, kind in self.kinds.items() if kind not in SILENT]

    @property
    def usable(self) -> list[str]:
        """The inputs that a simple model reads: all but free text, images and sounds."""
        return [name for name in self.inputs if self.kinds[name] not in ("text", "image", "sound")]

    def place(self, row: int) -> dict[str, Any]:
        """Where a row stands: its split, and its number in the table that it came from."""
        return {"split": SPLITS[int(self.split[row])], "row": int(self.numbers[row])}

    def is_number(self, name: str) -> bool:
        """Whether a column's cells are 64-bit floats."""
        return self.frame[name].dtype.is_float()

    def floats(self, name: str) -> Floats:
        """A column of numbers or times, [row]; not-a-number where missing."""
        return self.frame[name].to_numpy().astype(np.float64)

    def codes(self, name: str) -> Rows:
        """A column of words as codes in sorted order of the words, [row]; missing is -1."""
        column = self.frame[name]
        words = self.words(name)
        known = pl.Series(range(len(words)), dtype=pl.Int64)
        found = column.replace_strict(pl.Series(words, dtype=pl.String), known, default=-1)
        return found.fill_null(-1).to_numpy().astype(np.int64)

    def words(self, name: str) -> list[str]:
        """The different words of a column, sorted."""
        return self.frame[name].drop_nulls().unique().sort().to_list()

    def some(self, most: int, seed: int, *purpose: str) -> Sheet:
        """The sheet itself, or a seeded sample of its rows, in their order."""
        height = self.frame.height
        if height <= most:
            return self
        drawn = numpy_generator(seed, "quality", *purpose).choice(height, most, replace=False)
        return self.only(np.sort(drawn))

    def only(self, rows: Rows) -> Sheet:
        """The sheet of some rows."""
        return replace(
            self, frame=self.frame[rows], split=self.split[rows], numbers=self.numbers[rows]
        )
