"""Columns by which rows belong together, and times, where the splits pay no heed to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from glial.data.columns import is_key_name
from glial.data.quality.leaks import ranks
from glial.data.quality.sheet import Floats, Sheet
from glial.data.splits import Rows

MIN_SHARING = 0.3
MIN_GROUPS = 10
MAX_MEAN_SIZE = 100.0
SMOOTH = 0.5  # neighbours that keep this share of the agreement make a measurement, not a name
NEIGHBOURS = 4


@dataclass(frozen=True)
class GroupHint:
    """A column whose equal values look like one patient, household or machine.

    Attributes:
        column: The column.
        groups: Number of different values.
        sharing: How much of the target's spread is between the groups: 0 for chance, 1 where
            rows of one group always share the target (the intraclass correlation).
        crossing: Rows of validation and test whose value the training rows have too.
        crossing_share: Their share of these rows.

    Example:
        >>> GroupHint("patient", 40, 0.9, 30, 1.0).to_dict()["groups"]
        40
    """

    column: str
    groups: int
    sharing: float
    crossing: int
    crossing_share: float

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


@dataclass(frozen=True)
class TimeHint:
    """A column of times, where rows to train on are later than rows to validate or test with.

    Attributes:
        column: The column.
        crossing: Rows of validation and test that are earlier than the last training row.
        crossing_share: Their share of these rows.

    Example:
        >>> TimeHint("day", 3, 0.1).to_dict()["crossing"]
        3
    """

    column: str
    crossing: int
    crossing_share: float

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


def find_groups(sheet: Sheet) -> list[GroupHint]:
    """Columns whose equal values share the target far more than chance, and cross the splits.

    A candidate is a category, or a column of whole numbers, with at least ten values of which
    each has 2 to 100 rows on average. Whole numbers are measurements, not names, where
    neighbouring values share the target nearly as much as equal ones, unless the column is
    named like a key.

    Example:
        >>> import polars as pl
        >>> patient = np.repeat(np.arange(30), 4)
        >>> frame = pl.DataFrame({"patient": patient, "y": (patient * 7 % 2).astype(str)})
        >>> parts = [frame[k::3] for k in range(3)]
        >>> sheet = Sheet.of(parts, ["y"], {"patient": "number"}, "classification")
        >>> [(hint.column, hint.sharing, hint.crossing_share) for hint in find_groups(sheet)]
        [('patient', 1.0, 1.0)]
    """
    return list(_hints(sheet))


def _hints(sheet: Sheet) -> Iterator[GroupHint]:
    targets = [_spread_out(sheet, target) for target in sheet.targets]
    for name in sheet.usable:
        groups = _group_codes(sheet, name)
        if groups is None:
            continue
        sharing, target = max(
            ((agreement(groups, target), number) for number, target in enumerate(targets)),
        )
        if sharing < MIN_SHARING or _is_measurement(sheet, name, groups, targets[target], sharing):
            continue
        trained = np.unique(groups[(sheet.split == 0) & (groups >= 0)])
        others = sheet.split > 0
        crossing = int((others & np.isin(groups, trained)).sum())
        if crossing:
            num_groups = len(np.unique(groups[groups >= 0]))
            yield GroupHint(name, num_groups, sharing, crossing, crossing / int(others.sum()))


def _spread_out(sheet: Sheet, target: str) -> Floats:
    """A target as numbers whose spread can be measured: ranks, or a column for each class."""
    if sheet.task == "regression":
        return ranks(sheet.floats(target))[:, None]
    codes = sheet.codes(target)
    commonest = np.argsort(-np.bincount(codes), kind="stable")[:50]
    return np.asarray(codes[:, None] == commonest, dtype=np.float64)


def _group_codes(sheet: Sheet, name: str) -> Rows | None:
    """The group of each row, -1 for none; None where the column is no candidate."""
    if sheet.kinds[name] == "datetime":
        return None
    values: Any = sheet.floats(name) if sheet.is_number(name) else sheet.codes(name)
    present = np.isfinite(values) & (values != -1 if values.dtype.kind == "i" else True)
    if (values[present] % 1 != 0).any():
        return None
    known, codes = np.unique(values[present], return_inverse=True)
    mean_size = len(codes) / max(len(known), 1)
    if len(known) < MIN_GROUPS or not 2 <= mean_size <= MAX_MEAN_SIZE:
        return None
    groups = np.full(len(values), -1, dtype=np.int64)
    groups[present] = codes
    return groups


def agreement(groups: Rows, target: Floats) -> float:
    """How much of a target's spread is between groups: the intraclass correlation.

    Args:
        groups: Group of each row, [row]; rows with -1 and groups of one row do not count.
        target: Numbers, or an indicator for each class, [row, column].

    Returns:
        1 minus the mean unbiased variance within groups (weighted by their sizes) over that of
        all rows: 1 where groups are pure, about 0 where they are random.

    Source:
        Fisher 1925, Statistical Methods for Research Workers (the intraclass correlation).

    Example:
        >>> agreement(np.array([0, 0, 1, 1]), np.array([[5.0], [5.0], [9.0], [9.0]]))
        1.0
    """
    sizes = np.bincount(groups[groups >= 0])
    counted = (groups >= 0) & (sizes[groups] > 1)
    if not counted.any():
        return 0.0
    codes, target = groups[counted], target[counted]
    sizes = np.bincount(codes, minlength=len(sizes))
    sums = np.stack([np.bincount(codes, column, len(sizes)) for column in target.T], axis=1)
    means = sums / np.maximum(sizes, 1)[:, None]
    within = np.bincount(codes, np.square(target - means[codes]).sum(axis=1), len(sizes))
    held = sizes > 1
    inside = float((sizes[held] * within[held] / (sizes[held] - 1)).sum() / sizes[held].sum())
    overall = float(target.var(axis=0, ddof=1).sum())
    return 1 - inside / overall if overall else 0.0


def _is_measurement(sheet: Sheet, name: str, groups: Rows, target: Floats, sharing: float) -> bool:
    """Whether neighbouring numbers agree nearly as much as equal ones."""
    if not sheet.is_number(name) or is_key_name(name):
        return False
    merged = np.where(groups >= 0, groups // NEIGHBOURS, -1)
    return agreement(merged, target) > SMOOTH * sharing


def find_times(sheet: Sheet) -> list[TimeHint]:
    """Columns of dates or times by which the training rows do not come first.

    Example:
        >>> import datetime, polars as pl
        >>> days = [datetime.date(2024, 1, day) for day in (1, 2, 3)]
        >>> frame = pl.DataFrame({"day": days, "y": ["u", "v", "u"]})
        >>> parts = [frame[[0, 2]], frame[[1]]]
        >>> sheet = Sheet.of(parts, ["y"], {"day": "datetime"}, "classification")
        >>> find_times(sheet)[0].crossing
        1
    """
    found = []
    for name in (name for name, kind in sheet.kinds.items() if kind == "datetime"):
        moments = sheet.floats(name)
        train, others = moments[sheet.split == 0], moments[sheet.split > 0]
        if not (np.isfinite(train).any() and np.isfinite(others).any()):
            continue
        crossing = int((others < np.nanmax(train)).sum())
        if crossing:
            found.append(TimeHint(name, crossing, crossing / len(others)))
    return found
