"""The rows that are judged in groups: by each sensitive column, and by every combination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.data.sensitive import Groups


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
    whole = Groups.fit(frame, columns, bins=bins)
    names = [column.name for column in whole.columns]
    sets = [list(some) for size in range(1, len(names) + 1) for some in combinations(names, size)]
    found = [Groups.fit(frame, some, bins=bins) for some in sets]
    pairs = zip(sets, found, strict=True)
    return [Grouping(some, groups.names, groups.codes(frame)) for some, groups in pairs]
