"""Rows divided into training, validation and test, and into folds; seeded, disjoint, covering."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError, suggest
from glial.core.seeds import derive_seed, numpy_generator
from glial.data.cells import datetimes, numbers
from glial.data.settings import SplitSettings

logger = logging.getLogger(__name__)

Rows = NDArray[np.int64]
MICROSECONDS_OF_DAY = 86_400e6


class Splits(NamedTuple):
    """Row numbers of each split, rising.

    Example:
        >>> Splits(np.array([0, 2]), np.array([1]), np.array([3])).val.tolist()
        [1]
    """

    train: Rows
    val: Rows
    test: Rows


def split_rows(
    frame: pl.DataFrame, settings: SplitSettings, *, labels: Rows | None = None, seed: int = 0
) -> Splits:
    """Divide the rows of a table.

    Args:
        frame: The table.
        settings: Shares and method.
        labels: Class of each row, for stratified splits.
        seed: Seed of what is random.

    Returns:
        Row numbers of each split. With ``folds``, the test rows are those of a plan without
        folds; the others are divided, and ``fold`` says which of them validate. Without
        ``fold``, all others are rows to train on.

    Raises:
        InputError: If there are too few rows, groups or times for the splits asked for, or a
            gap swallows a split.

    Example:
        >>> splits = split_rows(pl.DataFrame({"a": range(20)}), SplitSettings())
        >>> [len(part) for part in splits]
        [14, 3, 3]
    """
    shares = np.array([settings.train, settings.val, settings.test])
    method = _method(settings, labels)
    if frame.height < (shares > 0).sum():
        raise _too_few(f"{frame.height} rows", int((shares > 0).sum()), "rows")
    way = _way(frame, settings, method, labels)
    part = _parts(way, frame.height, shares, seed)
    train, val, test = (np.flatnonzero(part == number).astype(np.int64) for number in range(3))
    rest = np.flatnonzero(part != 2).astype(np.int64)
    test = _after_gap(rest, test, way.times, way.gap)
    if settings.folds is None:
        if way.labels is not None:
            _notice_single_rows(way.labels)
        return Splits(train, _after_gap(train, val, way.times, way.gap), test)
    if settings.fold is None:
        return Splits(rest, rest[:0], test)
    found = folds(len(rest), settings.folds, **way.of(rest), seed=seed)
    train, val = next(islice(found, settings.fold - 1, None))
    return Splits(rest[train], rest[val], test)


class _Way(NamedTuple):
    """How rows are divided, and what is known of each row for it."""

    method: str
    labels: Rows | None = None
    groups: NDArray[Any] | None = None
    times: NDArray[np.float64] | None = None
    gap: float = 0.0

    def of(self, rows: Rows) -> dict[str, Any]:
        """The same for some of the rows, as keywords of :func:`folds`."""
        known = self._asdict().items()
        return {
            key: value[rows] if isinstance(value, np.ndarray) else value for key, value in known
        }


def _way(frame: pl.DataFrame, settings: SplitSettings, method: str, labels: Rows | None) -> _Way:
    if method == "time":
        times, unit = row_times(frame, str(settings.time))
        return _Way(method, times=times, gap=settings.gap * unit)
    if method == "group":
        groups = _column(frame, str(settings.group)).cast(pl.String).fill_null("")
        return _Way(method, groups=groups.to_numpy())
    return _Way(method, labels=labels if method == "stratified" else None)


def _parts(way: _Way, num_rows: int, shares: NDArray[np.float64], seed: int) -> Rows:
    """The split of each row: 0 trains, 1 validates, 2 tests."""
    if way.times is not None:
        return _by_time(way.times, shares)
    if way.groups is not None:
        return _by_group(way.groups, shares, seed)
    return _by_class(way.labels, num_rows, shares, seed)


def _after_gap(before: Rows, rows: Rows, times: NDArray[np.float64] | None, gap: float) -> Rows:
    """The rows of a split that are not nearer than the gap to the end of the split before."""
    if times is None or gap == 0 or not len(rows) or not len(before):
        return rows
    kept: Rows = rows[times[rows] - times[before].max() >= gap]
    if not len(kept):
        raise InputError(
            "data.split.gap leaves no row in a split",
            expected="a gap that is shorter than the time of each split",
            got=f"{len(rows)} rows, all of them within the gap",
            do="make data.split.gap shorter, or give the split a greater share",
        )
    return kept


def _notice_single_rows(labels: Rows) -> None:
    single = int((np.unique(labels, return_counts=True)[1] == 1).sum())
    if single:
        logger.warning("%d classes have one row only, which is kept to train on", single)


def _method(settings: SplitSettings, labels: Rows | None) -> str:
    if settings.method != "auto":
        if settings.method == "stratified" and labels is None:
            raise InputError(
                "only classes can be split in equal shares",
                expected="data.split.method random for a regression",
                got="stratified",
                do="set data.split.method to auto",
            )
        return settings.method
    if settings.time is not None:
        return "time"
    if settings.group is not None:
        return "group"
    return "random" if labels is None else "stratified"


def _too_few(got: str, needed: int, what: str) -> InputError:
    return InputError(
        f"there are too few {what} to split",
        expected=f"at least {needed} {what}, one for each split",
        got=got,
        do="add rows, or set data.split.val and data.split.test to 0 and data.split.train to 1",
    )


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    if name not in frame.columns:
        near = suggest(name, frame.columns)
        raise InputError(
            f"the column {name!r} to split by is not in the data",
            expected=f"one of {', '.join(frame.columns[:30])}",
            got=repr(name),
            do=f"did you mean {near!r}?" if near else "name one of the columns",
        )
    return frame[name]


def row_times(
    frame: pl.DataFrame, name: str, form: str | None = None
) -> tuple[NDArray[np.float64], float]:
    """The time of each row, and what a gap of 1 is in it: a day for dates, else 1.

    Args:
        frame: The table.
        name: The column of times.
        form: Order of year, month and day in text; None finds it in the column.

    Raises:
        InputError: If there is no such column, or a cell is no time.

    Example:
        >>> row_times(pl.DataFrame({"t": [3, 1]}), "t")
        (array([3., 1.]), 1.0)
    """
    column = _column(frame, name)
    numeric = column.dtype.is_numeric()
    values = numbers(column) if numeric else datetimes(column, form).cast(pl.Float64)
    if values.null_count() and column.dtype == pl.String:
        spelt = numbers(column)
        numeric = spelt.null_count() < values.null_count()
        values = spelt if numeric else values
    if values.null_count():
        raise InputError(
            f"the time column {name!r} cannot be ordered",
            expected="a date, a time or a number in every row",
            got=repr(column.filter(values.is_null())[0]),
            do="mend these cells, or split by another column",
        )
    return values.to_numpy().astype(np.float64), 1.0 if numeric else MICROSECONDS_OF_DAY


def counts_of(total: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers nearest to shares of a total, by largest remainders; they sum to it.

    Example:
        >>> counts_of(10, np.array([0.7, 0.15, 0.15])).tolist()
        [7, 2, 1]
    """
    exact = total * shares / shares.sum()
    counts: NDArray[np.int64] = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def _by_class(labels: Rows | None, num_rows: int, shares: NDArray[np.float64], seed: int) -> Rows:
    generator = numpy_generator(seed, "split")
    part = np.zeros(num_rows, dtype=np.int64)
    if labels is None:
        order = generator.permutation(num_rows)
        part[order] = np.repeat(np.arange(3), _nowhere_empty(counts_of(num_rows, shares), shares))
        return part
    wanted = np.zeros(3)
    given = np.zeros(3, dtype=np.int64)
    classes, sizes = np.unique(labels, return_counts=True)
    for label, size in zip(classes, sizes, strict=True):
        rows = generator.permutation(np.flatnonzero(labels == label))
        wanted += size * shares
        counts = _class_counts(int(size), shares, wanted - given)
        given += counts
        part[rows] = np.repeat(np.arange(3), counts)
    for empty in np.flatnonzero((shares > 0) & (np.bincount(part, minlength=3) == 0)):
        biggest = int(np.argmax(np.bincount(part, minlength=3)))
        part[generator.choice(np.flatnonzero(part == biggest))] = empty
    return part


def _class_counts(
    size: int, shares: NDArray[np.float64], owed: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Rows of one class for each split, training first; odd rows go where most are owed."""
    if size == 1:
        return np.array([1, 0, 0])
    counts = np.floor(size * shares + 1e-9).astype(np.int64)
    if counts[0] == 0:
        counts[0] = 1
    for _ in range(size - int(counts.sum())):
        exact = size * shares
        debt = np.where(counts < np.ceil(exact - 1e-9), owed - counts, -np.inf)
        counts[int(np.argmax(debt))] += 1
    return counts


def _nowhere_empty(counts: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    for empty in np.flatnonzero((shares > 0) & (counts == 0)):
        counts[int(np.argmax(counts))] -= 1
        counts[empty] += 1
    return counts


def _by_time(times: NDArray[np.float64], shares: NDArray[np.float64]) -> Rows:
    """The split of each row: stretches of time, equal times together."""
    used = np.flatnonzero(shares > 0).astype(np.int64)
    num_times = len(np.unique(times))
    if num_times < len(used):
        raise _too_few(f"{num_times} different times", len(used), "times")
    part: Rows = used[_stretches(times, shares[used])]
    return part


def _stretches(times: NDArray[np.float64], shares: NDArray[np.float64]) -> Rows:
    """The number of each row's stretch, from the earliest; none is empty, equal times together."""
    values, sizes = np.unique(times, return_counts=True)
    ends = np.cumsum(sizes)
    cuts = np.searchsorted(ends, np.cumsum(shares)[:-1] * len(times) - 1e-9) + 1
    starts = np.zeros(len(values), dtype=np.int64)
    first = 0
    for number, cut in enumerate(cuts, 1):
        first = int(np.clip(cut, first + 1, len(values) - (len(shares) - number)))
        starts[first] = 1
    stretch: Rows = np.cumsum(starts)[np.searchsorted(values, times)]
    return stretch


def _by_group(groups: NDArray[Any], shares: NDArray[np.float64], seed: int) -> Rows:
    values, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    needed = int((shares > 0).sum())
    if len(values) < needed:
        raise _too_few(f"{len(values)} groups", needed, "groups")
    order = numpy_generator(seed, "split").permutation(len(values))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, part_of_group = np.zeros(3), np.zeros(len(values), dtype=np.int64)
    for rank, group in enumerate(order):
        room = np.where(shares > 0, shares * len(groups) - filled, -np.inf)
        empty = (shares > 0) & (filled == 0)
        if empty.sum() >= len(order) - rank:
            room = np.where(empty, room, -np.inf)
        chosen = int(np.argmax(room))
        part_of_group[group] = chosen
        filled[chosen] += sizes[group]
    return part_of_group[codes]


def folds(
    num_rows: int,
    num_folds: int,
    *,
    method: str = "random",
    labels: Rows | None = None,
    groups: NDArray[Any] | None = None,
    times: NDArray[np.float64] | None = None,
    gap: float = 0.0,
    seed: int = 0,
) -> Iterator[tuple[Rows, Rows]]:
    """Training and validation rows of each fold of a cross-validation.

    Args:
        num_rows: Rows in all.
        num_folds: Number of folds, at least 2.
        method: ``random``, ``stratified`` (needs ``labels``), ``group`` (needs ``groups``) or
            ``time``: one stretch of time more than folds, of which each but the first is
            validated by what was trained on all before it.
        labels: Class of each row.
        groups: Group of each row.
        times: Time of each row, equal ones in one stretch; None takes the rows as they stand.
        gap: Rows nearer than this to the last training row are left out of a fold by time.
        seed: Seed of the shuffle.

    Yields:
        Row numbers to train on and to validate with; every row is validated once (by time: all
        but the first stretch and those within a gap).

    Raises:
        InputError: If there are fewer rows, groups or times than folds, or a gap swallows a
            fold.

    Example:
        >>> sorted(int(i) for _, rows in folds(6, 3) for i in rows)
        [0, 1, 2, 3, 4, 5]
        >>> [(len(train), len(val)) for train, val in folds(8, 3, method="time")]
        [(2, 2), (4, 2), (6, 2)]
    """
    from sklearn import model_selection as selection

    state = derive_seed(seed, "folds") % 2**32
    order = np.arange(num_rows, dtype=np.float64) if times is None else times
    shuffled: dict[str, Any] = {"n_splits": num_folds, "shuffle": True, "random_state": state}
    rows = np.zeros(num_rows)
    ways: dict[str, Callable[[], Iterator[tuple[Rows, Rows]]]] = {
        "random": lambda: selection.KFold(**shuffled).split(rows),
        "stratified": lambda: selection.StratifiedKFold(**shuffled).split(rows, labels),
        "group": lambda: selection.GroupKFold(num_folds).split(rows, groups=groups),
        "time": lambda: _time_folds(order, num_folds, gap),
    }
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            found = list(ways[method]())
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{num_folds} folds by {method!r} cannot be made",
            expected=f"one of {', '.join(ways)}, with enough rows, classes, groups and times",
            got=str(error),
            do="ask for fewer folds",
        ) from error
    for train, val in found:
        yield train.astype(np.int64), val.astype(np.int64)


def _time_folds(
    times: NDArray[np.float64], num_folds: int, gap: float
) -> Iterator[tuple[Rows, Rows]]:
    """Each stretch of time but the first, and all that came before it."""
    num_times, num_parts = len(np.unique(times)), num_folds + 1
    if num_times < num_parts:
        raise ValueError(f"{num_times} different times for {num_parts} stretches of time")
    stretch = _stretches(times, np.full(num_parts, 1 / num_parts))
    for number in range(1, num_parts):
        train, val = (np.flatnonzero(rows) for rows in (stretch < number, stretch == number))
        yield train, _after_gap(train, val, times, gap)
