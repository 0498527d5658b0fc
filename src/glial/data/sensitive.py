"""Groups of rows by sensitive columns: by values, by quantiles of numbers, or by several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from glial.core.errors import InputError, unknown_name
from glial.core.settings import Settings
from glial.data.cells import numbers, texts

MAX_VALUES = 10  # numbers with more different values are cut into bins
MAX_GROUPS = 50
MISSING = "(missing)"
Criterion = Literal[
    "demographic_parity", "equal_opportunity", "predictive_equality", "equalized_odds"
]


class FairnessSettings(Settings):
    """What is done so that groups of rows are treated alike.

    Attributes:
        group: The sensitive column, or several, whose combinations are the groups. They are no
            inputs.
        how: ``reweighing`` weighs training rows so that labels do not hang on groups;
            ``adversarial`` also trains an adversary that must not tell the group from the
            network's outputs; ``thresholds`` decides between two classes by thresholds that
            differ from group to group, fitted on the validation rows.
        criterion: What the latter two make alike: selection rates; true positive rates; false
            positive rates; or both of these. Reweighing is for ``demographic_parity``.
        strength: How much the adversary's gradient counts beside that of the loss.
        randomized: Whether thresholds are mixed by lot where one for each group cannot make
            rates alike; a row's lot is its own, and always the same.
        bins: Numbers with more than 10 values are cut into so many bins.
        as_input: Whether sensitive columns are inputs nevertheless.

    Example:
        >>> FairnessSettings(group="sex", how="reweighing").criterion
        'demographic_parity'
    """

    group: str | list[str] | None = None
    how: Literal["none", "reweighing", "adversarial", "thresholds"] = "none"
    criterion: Criterion = "demographic_parity"
    strength: float = Field(default=1.0, ge=0)
    randomized: bool = False
    bins: int = Field(default=4, ge=2)
    as_input: bool = False

    @model_validator(mode="after")
    def _named(self) -> FairnessSettings:
        if self.how != "none" and not self.columns:
            raise ValueError("a column named in data.fairness.group")
        if self.how == "reweighing" and self.criterion != "demographic_parity":
            raise ValueError("demographic_parity, which is what reweighing is for")
        return self

    @property
    def columns(self) -> list[str]:
        """The sensitive columns."""
        named = [self.group] if isinstance(self.group, str) else self.group
        return list(named or [])


class SensitiveColumn(BaseModel):
    """How one column tells groups apart.

    Attributes:
        name: The column.
        labels: The groups, in order; missing cells, where there are any, are the last.
        edges: Upper ends of all bins of numbers but the last; None where values are groups.

    Example:
        >>> sex = SensitiveColumn.fit(pl.Series("sex", ["m", "f", None]), bins=4)
        >>> sex.labels, sex.codes(pl.Series(["f", "?", "x"])).tolist()
        (['f', 'm', '(missing)'], [0, 2, -1])
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    name: str
    labels: list[str] = Field(min_length=1)
    edges: list[float] | None = None

    @classmethod
    def fit(cls, column: pl.Series, bins: int) -> SensitiveColumn:
        """The groups of a column.

        Raises:
            InputError: If it has too many values.
        """
        words, values = texts(column), numbers(column)
        is_number = values.null_count() == words.null_count() and column.dtype != pl.Boolean
        rest = [MISSING] if words.null_count() else []
        if is_number and values.drop_nulls().n_unique() > MAX_VALUES:
            present = values.drop_nulls().to_numpy()
            inner = np.quantile(present, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf")
            edges = np.unique(inner[inner < present.max()])
            labels = _ranges(present, edges)
            return cls(name=column.name, labels=labels + rest, edges=edges.tolist())
        found = words.drop_nulls().unique().to_list()
        if len(found) > MAX_GROUPS:
            raise InputError(
                f"the sensitive column {column.name!r} has too many values to be compared",
                expected=f"at most {MAX_GROUPS} groups",
                got=f"{len(found)}",
                do="name a column of groups, or join its values to fewer",
            )
        names = sorted(found, key=float) if is_number else sorted(found)
        return cls(name=column.name, labels=names + rest)

    def codes(self, column: pl.Series) -> NDArray[np.int64]:
        """The group of each cell; -1 for one that was not there when groups were found."""
        words = texts(column)
        places = {label: place for place, label in enumerate(self.labels)}
        missing = places.get(MISSING, -1)
        if self.edges is None:
            found = [missing if word is None else places.get(word, -1) for word in words.to_list()]
            return np.array(found, dtype=np.int64)
        values = numbers(column).to_numpy()
        codes = np.searchsorted(np.array(self.edges), values, side="left")
        return np.where(np.isfinite(values), codes, missing).astype(np.int64)


def _ranges(present: NDArray[np.float64], edges: NDArray[np.float64]) -> list[str]:
    """Each bin as the least and largest number in it."""
    places = np.searchsorted(edges, present, side="left")
    labels = []
    for place in range(len(edges) + 1):
        inside = present[places == place]
        low, high = inside.min(), inside.max()
        labels.append(f"{low:g}" if low == high else f"{low:g} to {high:g}")
    return labels


class Groups(BaseModel):
    """Which groups there are by one column or several, as they were found in some rows.

    Attributes:
        columns: The columns.
        members: For each group the place of its value in each column.

    Example:
        >>> frame = pl.DataFrame({"sex": ["f", "m", "m"], "old": [True, True, False]})
        >>> groups = Groups.fit(frame, ["sex", "old"])
        >>> groups.names
        [{'sex': 'f', 'old': 'true'}, {'sex': 'm', 'old': 'false'}, {'sex': 'm', 'old': 'true'}]
        >>> groups.codes(pl.DataFrame({"sex": ["m", "f"], "old": [True, False]})).tolist()
        [2, -1]
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    columns: list[SensitiveColumn] = Field(min_length=1)
    members: list[list[int]] = Field(min_length=2)

    @model_validator(mode="after")
    def _fitting(self) -> Groups:
        sizes = [len(column.labels) for column in self.columns]
        for member in self.members:
            if len(member) != len(sizes) or not all(
                0 <= place < size for place, size in zip(member, sizes, strict=True)
            ):
                raise ValueError("groups of values that their columns have")
        return self

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: Sequence[str], *, bins: int = 4) -> Groups:
        """The groups of some rows.

        Args:
            frame: The rows.
            columns: The columns that tell groups apart.
            bins: Bins of numbers with more than 10 different values, of nearly equal size.

        Raises:
            InputError: If a column is missing or named twice, or has one value or too many.
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
        found = [SensitiveColumn.fit(column_of(frame, name), bins) for name in named]
        pairs = [column.codes(frame[column.name]) for column in found]
        members = np.unique(np.stack(pairs, axis=1), axis=0).tolist()
        if len(members) < 2:
            raise InputError(
                f"all rows are of one group by {', '.join(named)}",
                expected="at least two groups to compare",
                got=", ".join(label for column in found for label in column.labels) or "no rows",
                do="name another column, or give rows of other groups",
            )
        return cls(columns=found, members=members)

    @property
    def names(self) -> list[dict[str, str]]:
        """For each group its value in each column."""
        return [
            {
                column.name: column.labels[place]
                for column, place in zip(self.columns, member, strict=True)
            }
            for member in self.members
        ]

    def codes(self, frame: pl.DataFrame) -> NDArray[np.int64]:
        """The group of each row; -1 for one that was not there when groups were found.

        Raises:
            InputError: If a column is missing.
        """
        pairs = [column.codes(column_of(frame, column.name)) for column in self.columns]
        places = {tuple(member): place for place, member in enumerate(self.members)}
        rows = np.stack(pairs, axis=1).tolist()
        return np.array([places.get(tuple(row), -1) for row in rows], dtype=np.int64)


def column_of(frame: pl.DataFrame, name: str) -> pl.Series:
    """A sensitive column.

    Args:
        frame: The rows.
        name: The column.

    Raises:
        InputError: If it is missing.

    Example:
        >>> column_of(pl.DataFrame({"sex": ["f"]}), "sex").to_list()
        ['f']
    """
    if name not in frame.columns:
        raise unknown_name("sensitive column", name, frame.columns)
    return frame[name]


def reweighing(
    groups: NDArray[np.int64], labels: NDArray[np.int64], weight: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Weights by which labels do not hang on groups: P(group) P(label) / P(group, label).

    Weighted by them, each label has the same share in every group, and each group and each label
    the share that it had.

    Args:
        groups: Group of each row, [row].
        labels: Class of each row, [row].
        weight: What rows weigh before; it is multiplied into the result.

    Returns:
        The weight of each row, [row]; their sum is that of the weights before.

    Source:
        Kamiran and Calders (2012), "Data preprocessing techniques for classification without
        discrimination", doi:10.1007/s10115-011-0463-8, algorithm 3.

    Example:
        >>> groups, labels = np.array([0, 0, 0, 1]), np.array([1, 1, 0, 0])
        >>> reweighing(groups, labels).tolist()
        [0.75, 0.75, 1.5, 0.5]
    """
    before = np.ones(len(groups)) if weight is None else weight
    joint = np.zeros((groups.max(initial=-1) + 1, labels.max(initial=-1) + 1))
    np.add.at(joint, (groups, labels), before)
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0) / joint.sum()
    factors = np.divide(independent, joint, out=np.zeros_like(joint), where=joint > 0)
    return np.asarray(before * factors[groups, labels])
