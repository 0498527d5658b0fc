"""Groups of rows by sensitive columns: by values, by quantiles of numbers, or by several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError, unknown_name
from glial.data.cells import numbers, texts

MAX_VALUES = 10  # numbers with more different values are cut into bins
MAX_GROUPS = 50
MISSING = "(missing)"


@dataclass(frozen=True)
class Grouping:
    """Which group each row belongs to.

    Attributes:
        columns: The columns that tell groups apart.
        groups: For each group its value in each column.
        codes: The group of each row, [row].

    Example:
        >>> Grouping(["sex"], [{"sex": "f"}, {"sex": "m"}], np.array([0, 1, 1])).sizes.tolist()
        [1, 2]
    """

    columns: list[str]
    groups: list[dict[str, str]]
    codes: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each group, [group]."""
        return np.bincount(self.codes, minlength=len(self.groups))


def groupings(frame: pl.DataFrame, columns: Sequence[str], *, bins: int = 4) -> list[Grouping]:
    """The groups by each column, and by every combination of several.

    Numbers with more than 10 different values are cut at quantiles; a missing cell is a group of
    its own.

    Args:
        frame: The rows.
        columns: The columns that tell groups apart.
        bins: Bins of numbers, of nearly equal size.

    Raises:
        InputError: If a column is missing or named twice, or has one value or too many.

    Example:
        >>> frame = pl.DataFrame({"sex": ["f", "m", "m"], "age": range(20, 23)})
        >>> [grouping.columns for grouping in groupings(frame, ["sex", "age"])]
        [['sex'], ['age'], ['sex', 'age']]
        >>> groupings(frame, ["sex", "age"])[2].groups[0]
        {'sex': 'f', 'age': '20'}
    """
    named = list(columns)
    if not named or len(set(named)) != len(named):
        raise InputError(
            "groups need columns, each named once",
            expected="one sensitive column or more",
            got=", ".join(named) or "none",
            do="name each column once",
        )
    if bins < 2:
        raise InputError("numbers need two bins or more", expected="2 or more", got=str(bins))
    labels = {name: _labels(frame, name, bins) for name in named}
    sets = [list(some) for size in range(1, len(named) + 1) for some in combinations(named, size)]
    return [_grouping({name: labels[name] for name in some}) for some in sets]


def _labels(frame: pl.DataFrame, name: str, bins: int) -> tuple[list[str], NDArray[np.int64]]:
    """The names of a column's groups, and the group of each row."""
    if name not in frame.columns:
        raise unknown_name("sensitive column", name, frame.columns)
    words = texts(frame[name])
    values = numbers(frame[name])
    is_number = values.null_count() == words.null_count()
    if is_number and values.drop_nulls().n_unique() > MAX_VALUES:
        return _bins(values, bins)
    found = words.drop_nulls().unique().to_list()
    if len(found) > MAX_GROUPS:
        raise InputError(
            f"the sensitive column {name!r} has too many values to be compared",
            expected=f"at most {MAX_GROUPS} groups",
            got=f"{len(found)}",
            do="name a column of groups, or join its values to fewer",
        )
    names = sorted(found, key=float) if is_number else sorted(found)
    places = {word: place for place, word in enumerate(names)}
    codes = np.array([places.get(word, len(names)) for word in words.to_list()], dtype=np.int64)
    return _with_missing(names, codes)


def _bins(values: pl.Series, bins: int) -> tuple[list[str], NDArray[np.int64]]:
    """Numbers cut at their quantiles; each bin holds its upper end."""
    found = values.to_numpy()
    present = found[np.isfinite(found)]
    inner = np.quantile(present, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf")
    edges = np.unique(inner[inner < present.max()])
    places = np.searchsorted(edges, present, side="left")
    names = []
    for place in range(len(edges) + 1):
        inside = present[places == place]
        low, high = inside.min(), inside.max()
        names.append(f"{low:g}" if low == high else f"{low:g} to {high:g}")
    codes = np.full(len(found), len(names), dtype=np.int64)
    codes[np.isfinite(found)] = places
    return _with_missing(names, codes)


def _with_missing(
    names: list[str], codes: NDArray[np.int64]
) -> tuple[list[str], NDArray[np.int64]]:
    return ([*names, MISSING] if (codes == len(names)).any() else names), codes


def _grouping(labels: dict[str, tuple[list[str], NDArray[np.int64]]]) -> Grouping:
    """The groups that occur among all combinations of the values of some columns."""
    pairs = np.stack([codes for _, codes in labels.values()], axis=1)
    present, codes = np.unique(pairs, axis=0, return_inverse=True)
    groups = [
        {name: names[place] for (name, (names, _)), place in zip(labels.items(), row, strict=True)}
        for row in present.tolist()
    ]
    if len(groups) < 2:
        told = ", ".join(f"{name}={value}" for group in groups for name, value in group.items())
        raise InputError(
            f"all rows are of one group by {', '.join(labels)}",
            expected="at least two groups to compare",
            got=told or "no rows",
            do="name another column, or give rows of other groups",
        )
    return Grouping(list(labels), groups, codes.reshape(-1).astype(np.int64))
