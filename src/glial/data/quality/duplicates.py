"""Rows that stand in a table more than once, and those of one split that another split holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.data.quality.sheet import SPLITS, Sheet
from glial.data.splits import Rows

NUM_EXAMPLES = 5


@dataclass(frozen=True)
class Duplicates:
    """Rows that are equal in all inputs.

    Attributes:
        repeated: Rows whose inputs and targets an earlier row has already.
        conflicting: Rows whose inputs another row has too, with another target.
        val: Rows to validate with whose inputs are among the rows to train on.
        test: Rows to test with whose inputs are among the rows to train on or validate with.
        distinct: Number of different inputs.
        examples: The first sets of equal rows, those across splits before the others: each a
            list of split and row number.
        conflicts: The first sets of rows with equal inputs and different targets.

    Example:
        >>> Duplicates(0, 0, 0, 0, 3).crossing
        0
    """

    repeated: int
    conflicting: int
    val: int
    test: int
    distinct: int
    examples: list[list[dict[str, Any]]] = field(default_factory=list)
    conflicts: list[list[dict[str, Any]]] = field(default_factory=list)

    @property
    def crossing(self) -> int:
        """Rows of validation and test that an earlier split has already."""
        return self.val + self.test

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


def find_duplicates(sheet: Sheet) -> Duplicates:
    """The rows that are equal in all inputs, identifiers left out.

    Example:
        >>> frame = pl.DataFrame({"a": [1, 2, 1, 1], "y": ["u", "v", "u", "v"]})
        >>> parts = [frame[:2], frame[2:3], frame[3:]]
        >>> sheet = Sheet.of(parts, ["y"], {"a": "number"}, "classification")
        >>> found = find_duplicates(sheet)
        >>> found.repeated, found.conflicting, found.val, found.test
        (1, 3, 1, 1)
    """
    inputs = equal_rows(sheet.frame, sheet.inputs)
    whole = equal_rows(sheet.frame, [*sheet.inputs, *sheet.targets])
    num_inputs = int(inputs.max(initial=-1)) + 1
    num_whole = int(whole.max(initial=-1)) + 1
    pairs = np.unique(np.stack([inputs, whole]), axis=1)
    in_conflict = np.bincount(pairs[0], minlength=num_inputs) > 1
    val, test = (_also_earlier(inputs, sheet.split, number) for number in (1, 2))
    repeated = np.bincount(inputs, minlength=num_inputs) > 1
    across = np.zeros(num_inputs, dtype=bool)
    across[inputs[val | test]] = True
    order = [*np.flatnonzero(across & repeated), *np.flatnonzero(repeated & ~across)]
    return Duplicates(
        len(inputs) - num_whole,
        int(in_conflict[inputs].sum()),
        int(val.sum()),
        int(test.sum()),
        num_inputs,
        _examples(sheet, inputs, order[:NUM_EXAMPLES]),
        _examples(sheet, inputs, np.flatnonzero(in_conflict)[:NUM_EXAMPLES].tolist()),
    )


def equal_rows(frame: pl.DataFrame, columns: Sequence[str]) -> Rows:
    """A number for each row, the same where rows are equal in the columns, [row].

    Missing cells are equal to each other. Numbers count from 0 in the order of first meeting.

    Example:
        >>> equal_rows(pl.DataFrame({"a": [5, 7, 5], "b": [None, 1, None]}), ["a", "b"]).tolist()
        [0, 1, 0]
    """
    if not columns:
        return np.zeros(frame.height, dtype=np.int64)
    rows = frame.select(columns).with_row_index("row of the sheet")
    first = rows.select(pl.col("row of the sheet").first().over(list(columns))).to_series()
    codes = np.unique(first.to_numpy(), return_inverse=True)[1]
    return codes.astype(np.int64)


def _also_earlier(codes: Rows, split: Rows, number: int) -> NDArray[np.bool_]:
    """Which rows of a split are equal to a row of an earlier split, [row]."""
    found: NDArray[np.bool_] = (split == number) & np.isin(codes, codes[split < number])
    return found


def _examples(sheet: Sheet, codes: Rows, chosen: Sequence[Any]) -> list[list[dict[str, Any]]]:
    return [_some_of(sheet, np.flatnonzero(codes == code)) for code in chosen]


def _some_of(sheet: Sheet, rows: Rows) -> list[dict[str, Any]]:
    """The first rows, at least one of each split among them."""
    one_of_each = np.unique(sheet.split[rows], return_index=True)[1]
    others = np.setdiff1d(np.arange(len(rows)), one_of_each)
    shown = np.sort([*one_of_each, *others[: max(0, NUM_EXAMPLES - len(one_of_each))]])
    return [sheet.place(int(row)) for row in rows[shown.astype(np.int64)]]


def describe_crossing(found: Duplicates, split: Rows) -> str:
    """A phrase such as ``12 of 100 rows of val``, for the splits that hold earlier rows.

    Example:
        >>> describe_crossing(Duplicates(0, 0, 1, 0, 3), np.array([0, 1, 1]))
        '1 of 2 rows of val'
    """
    counts = {"val": found.val, "test": found.test}
    return " and ".join(
        f"{count} of {int((split == SPLITS.index(name)).sum())} rows of {name}"
        for name, count in counts.items()
        if count
    )
