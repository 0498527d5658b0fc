"""Rows divided into training, validation and test, and into folds; seeded, disjoint, covering."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
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
        Row numbers of each split.

    Raises:
        InputError: If there are too few rows or groups for the splits asked for.

    Example:
        >>> splits = split_rows(pl.DataFrame({"a": range(20)}), SplitSettings())
        >>> [len(part) for part in splits]
        [14, 3, 3]
    """
    shares = np.array([settings.train, settings.val, settings.test])
    method = _method(settings, labels)
    if frame.height < (shares > 0).sum():
        raise _too_few(f"{frame.height} rows", int((shares > 0).sum()), "rows")
    if method == "time":
        part = _by_time(_moments(frame, str(settings.time)), shares)
    elif method == "group":
        part = _by_group(_column(frame, str(settings.group)), shares, seed)
    else:
        part = _by_class(labels, frame.height, shares, seed, stratified=method == "stratified")
    return Splits(*(np.flatnonzero(part == number).astype(np.int64) for number in range(3)))


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


def _moments(frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
    column = _column(frame, name)
    values = numbers(column) if column.dtype.is_numeric() else datetimes(column).cast(pl.Float64)
    if values.null_count() and column.dtype == pl.String:
        values = min(values, numbers(column), key=lambda found: found.null_count())
    if values.null_count():
        raise InputError(
            f"the time column {name!r} cannot be ordered",
            expected="a date, a time or a number in every row",
            got=repr(column.filter(values.is_null())[0]),
            do="mend these cells, or split by another column",
        )
    return values.to_numpy().astype(np.float64)


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


def _by_class(
    labels: Rows | None, num_rows: int, shares: NDArray[np.float64], seed: int, *, stratified: bool
) -> Rows:
    generator = numpy_generator(seed, "split")
    part = np.zeros(num_rows, dtype=np.int64)
    if not stratified or labels is None:
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
    if (sizes == 1).any():
        logger.warning(
            "%d classes have one row only, which is kept to train on", int((sizes == 1).sum())
        )
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


def _by_time(moments: NDArray[np.float64], shares: NDArray[np.float64]) -> Rows:
    values, sizes = np.unique(moments, return_counts=True)
    if len(values) < (shares > 0).sum():
        raise _too_few(f"{len(values)} different times", int((shares > 0).sum()), "times")
    ends = np.cumsum(sizes)
    part_of_value = np.full(len(values), 2, dtype=np.int64)
    cuts = np.searchsorted(ends, np.cumsum(shares)[:2] * len(moments) - 1e-9) + 1
    first = int(np.clip(cuts[0], 1, len(values) - int((shares[1:] > 0).sum())))
    second = int(np.clip(cuts[1], first + (shares[1] > 0), len(values) - (shares[2] > 0)))
    if shares[1] == 0:
        second = first
    if shares[2] == 0:
        second = len(values)
    part_of_value[:first] = 0
    part_of_value[first:second] = 1
    if shares[1] == 0 and shares[2] == 0:
        part_of_value[:] = 0
    return part_of_value[np.searchsorted(values, moments)]


def _by_group(column: pl.Series, shares: NDArray[np.float64], seed: int) -> Rows:
    groups = column.cast(pl.String).fill_null("").to_numpy()
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
    seed: int = 0,
) -> Iterator[tuple[Rows, Rows]]:
    """Training and validation rows of each fold of a cross-validation.

    Args:
        num_rows: Rows in all.
        num_folds: Number of folds, at least 2.
        method: ``random``, ``stratified`` (needs ``labels``), ``group`` (needs ``groups``) or
            ``time`` (rows in order of time; later folds train on all that came before).
        labels: Class of each row.
        groups: Group of each row.
        seed: Seed of the shuffle.

    Yields:
        Row numbers to train on and to validate with; every row is validated once (by time: all
        but the first stretch).

    Raises:
        InputError: If there are fewer rows or groups than folds.

    Example:
        >>> sorted(int(i) for _, rows in folds(6, 3) for i in rows)
        [0, 1, 2, 3, 4, 5]
    """
    from sklearn import model_selection as selection

    state = derive_seed(seed, "folds") % 2**32
    shuffled: dict[str, Any] = {"n_splits": num_folds, "shuffle": True, "random_state": state}
    makers: dict[str, Any] = {
        "random": lambda: selection.KFold(**shuffled),
        "stratified": lambda: selection.StratifiedKFold(**shuffled),
        "group": lambda: selection.GroupKFold(num_folds),
        "time": lambda: selection.TimeSeriesSplit(num_folds),
    }
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            maker = makers[method]()
            groups = groups if method == "group" else None
            found = list(maker.split(np.zeros(num_rows), labels, groups))
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{num_folds} folds by {method!r} cannot be made",
            expected=f"one of {', '.join(makers)}, with enough rows, classes and groups",
            got=str(error),
            do="ask for fewer folds",
        ) from error
    for train, val in found:
        yield train.astype(np.int64), val.astype(np.int64)
