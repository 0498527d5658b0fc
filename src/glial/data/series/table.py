"""A long table as series on a regular grid, one after the other."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.cells import missing, numbers, texts
from glial.data.series.times import Frequency, Places, are_dates, find_frequency

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
MOST_EMPTY = 20  # steps for each row, of a grid that is worth filling


@dataclass(frozen=True)
class SeriesColumns:
    """What the columns of a long table are.

    Attributes:
        targets: What is to be forecast.
        time: When; None is the order of the rows.
        group: Whose, where there are several series.
        known: What is known in advance.

    Example:
        >>> SeriesColumns(["sales"], "day").group is None
        True
    """

    targets: list[str]
    time: str | None = None
    group: str | None = None
    known: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeriesTable:
    """Series one after the other, a row for each step of time, missing steps too.

    Attributes:
        columns: What the columns of the source are.
        frequency: The grid of times.
        names: What tells each series from the others; empty for the only one.
        first: The place of each series' first step.
        edges: Where each series begins, [series + 1].
        ends: Where the known values of each end: what follows is to be forecast.
        values: The targets, [step, target]; NaN where missing.
        rows: The source's row of each step; -1 where it has none.
        frame: The source.

    Example:
        >>> frame = pl.DataFrame({"day": ["2024-01-01", "2024-01-03"], "y": [1.0, 2.0]})
        >>> days = Frequency("microsecond", 86_400e6)
        >>> read_series(frame, SeriesColumns(["y"], "day"), days).values[:, 0].tolist()
        [1.0, nan, 2.0]
    """

    columns: SeriesColumns
    frequency: Frequency
    names: list[str]
    first: Places
    edges: Places
    ends: Places
    values: Floats
    rows: Places
    frame: pl.DataFrame

    @property
    def places(self) -> Places:
        """The place of each step in time."""
        counts = np.diff(self.edges)
        within = np.arange(int(self.edges[-1])) - np.repeat(self.edges[:-1], counts)
        return np.repeat(self.first, counts) + within

    def known(self) -> pl.DataFrame:
        """The columns that are known in advance, a row for each step; null where it has none."""
        rows = pl.Series(self.rows).set(pl.Series(self.rows < 0), None)
        return self.frame.select(pl.col(list(self.columns.known)).gather(rows))

    def extended(self, steps: int) -> SeriesTable:
        """The series with room for so many steps behind the known values of each.

        Args:
            steps: How many; what the source tells of later ones is left out.
        """
        values, rows, edges = [], [], [0]
        for start, end, edge in zip(self.edges, self.ends, self.edges[1:], strict=False):
            there = slice(int(start), min(int(edge), int(end) + steps))
            lacking = int(end) + steps - there.stop
            values.append(
                np.pad(self.values[there], ((0, lacking), (0, 0)), constant_values=np.nan)
            )
            rows.append(np.pad(self.rows[there], (0, lacking), constant_values=-1))
            edges.append(edges[-1] + len(rows[-1]))
        shift = np.array(edges[:-1]) - self.edges[:-1]
        return SeriesTable(
            self.columns,
            self.frequency,
            self.names,
            self.first,
            np.array(edges),
            self.ends + shift,
            np.concatenate(values),
            np.concatenate(rows),
            self.frame,
        )


def find_time(frame: pl.DataFrame, time: str | None, aside: list[str]) -> str | None:
    """The column of times: the one that was named, else the only one of dates.

    Args:
        frame: The table.
        time: Its name, where one was given.
        aside: Columns that are something else.

    Raises:
        InputError: If it is not there.

    Example:
        >>> find_time(pl.DataFrame({"day": ["2024-01-01"], "y": [1]}), None, ["y"])
        'day'
    """
    if time is not None:
        if time not in frame.columns:
            raise InputError(
                f"data.split.time names the column {time!r}, which is not in the data",
                expected=f"one of {', '.join(frame.columns)}",
                got=repr(time),
                do="correct --time",
            )
        return time
    others = [name for name in frame.columns if name not in aside]
    dates = [name for name in others if are_dates(frame[name])]
    if len(dates) == 1:
        logger.info("time: the column %r, the only one of dates", dates[0])
        return dates[0]
    if dates:
        raise InputError(
            "several columns hold dates",
            expected="one column of times",
            got=", ".join(dates),
            do="name it with --time",
        )
    logger.warning("no column of times was named (--time): the rows are taken in their order")
    return None


def read_series(
    frame: pl.DataFrame, columns: SeriesColumns, frequency: Frequency | None = None
) -> SeriesTable:
    """The series of a long table, sorted by time, on a regular grid.

    A series begins where each of its targets has been seen; steps without a row are there, their
    values missing.

    Args:
        frame: The table.
        columns: What its columns are.
        frequency: The grid; None finds it.

    Raises:
        InputError: If times are missing, not regular, or twice in a series, or a target holds
            anything but numbers.
    """
    targets = np.stack([_numbers(frame, name) for name in columns.targets], axis=1)
    names, codes = _groups(frame, columns.group)
    times = pl.Series("row", np.arange(frame.height))
    if columns.time is not None:
        times = frame[columns.time]
    if frequency is None:
        if columns.time is None:
            frequency = Frequency("row", 1.0)
        else:
            parts = [times.filter(pl.Series(codes == code)) for code in range(len(names))]
            frequency = find_frequency(parts)
    places = _counted(codes) if frequency.unit == "row" else frequency.places(times)
    order = np.lexsort((places, codes))
    if columns.time is not None:
        _check_distinct(times, names, codes[order], places[order], order, columns)
    parts_found = []
    for code in range(len(names)):
        rows = order[codes[order] == code]
        part = _on_grid(places[rows], rows, targets[rows], names[code])
        if part is not None:
            parts_found.append((names[code], *part))
    if not parts_found:
        raise InputError(
            f"no value of {', '.join(columns.targets)} is known",
            expected="numbers in the target column",
            got="missing cells alone",
            do="correct --target",
        )
    counts = [len(part[3]) for part in parts_found]
    edges = np.concatenate([[0], np.cumsum(counts)])
    return SeriesTable(
        columns,
        frequency,
        [part[0] for part in parts_found],
        np.array([part[1] for part in parts_found]),
        edges,
        edges[:-1] + np.array([part[2] for part in parts_found]),
        np.concatenate([part[3] for part in parts_found]),
        np.concatenate([part[4] for part in parts_found]),
        frame,
    )


def filled(table: SeriesTable, season: int) -> Floats:
    """The values with each gap filled by what went before: a season ago, else the step before.

    Args:
        table: The series.
        season: Steps of a season.

    Returns:
        Values [step, target] without gaps; steps to be forecast are filled likewise.

    Example:
        >>> frame = pl.DataFrame({"y": [1.0, 2.0, None, 3.0]})
        >>> filled(read_series(frame, SeriesColumns(["y"])), season=2)[:, 0].tolist()
        [1.0, 2.0, 1.0, 3.0]
    """
    values = table.values.copy()
    starts = np.repeat(table.edges[:-1], np.diff(table.edges))
    for step, target in np.argwhere(np.isnan(values)):
        before = step - season if step - season >= starts[step] else step - 1
        values[step, target] = values[before, target] if before >= starts[step] else np.nan
    return values


def _on_grid(
    places: Places, rows: Places, targets: Floats, name: str
) -> tuple[int, int, Floats, Places] | None:
    """A series' first place, its known steps, its values and its rows; None without values."""
    seen = ~np.isnan(targets)
    if not seen.any(axis=0).all():
        return None
    first = int(places[seen.argmax(axis=0)].min())
    count = int(places[-1]) - first + 1
    if count > MOST_EMPTY * len(places) + 1000:
        raise InputError(
            f"most steps of the series {name!r} have no row" if name else "most steps have no row",
            expected="a row for most steps of time",
            got=f"{len(places)} rows in {count:,} steps",
            do="bring the rows to longer steps first, by means or sums",
        )
    kept = places >= first
    values = np.full((count, targets.shape[1]), np.nan)
    own = np.full(count, -1, dtype=np.int64)
    values[places[kept] - first] = targets[kept]
    own[places[kept] - first] = rows[kept]
    # Targets that begin later are filled from the first on, by nothing that comes later.
    begins = int((~np.isnan(values)).argmax(axis=0).max())
    known = int(np.flatnonzero(~np.isnan(values).all(axis=1)).max()) + 1
    return first + begins, known - begins, values[begins:], own[begins:]


def _numbers(frame: pl.DataFrame, name: str) -> Floats:
    """A target's cells; NaN where missing.

    Raises:
        InputError: If a cell is neither a number nor missing.
    """
    column = frame[name]
    found = numbers(column)
    wrong = found.is_null() & ~missing(column)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise InputError(
            f"the target {name!r} is not a finite number in every row",
            expected="a finite number, or nothing",
            got=f"{column[row]!r} in row {row + 1}",
            do="mend these cells, or correct --target",
        )
    return found.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _groups(frame: pl.DataFrame, group: str | None) -> tuple[list[str], Places]:
    """The names of the series in the order in which they come, and the number of each row's."""
    if group is None:
        return [""], np.zeros(frame.height, dtype=np.int64)
    words = texts(frame[group])
    if words.null_count():
        row = int(words.is_null().arg_max() or 0)
        raise InputError(
            f"the column {group!r} does not name a series in every row",
            expected="the name of a series in every row",
            got=f"{frame[group][row]!r} in row {row + 1}",
            do="mend or drop these rows",
        )
    names = words.unique(maintain_order=True)
    codes = words.replace_strict(names, pl.Series(np.arange(len(names)))).to_numpy()
    return names.to_list(), codes.astype(np.int64)


def _counted(codes: Places) -> Places:
    """The number of each row within its series."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], codes[order])
    counted = np.empty(len(codes), dtype=np.int64)
    counted[order] = np.arange(len(codes)) - starts
    return counted


def _check_distinct(
    times: pl.Series,
    names: list[str],
    codes: Places,
    places: Places,
    order: Places,
    columns: SeriesColumns,
) -> None:
    """Refuse two rows of one series at one time."""
    same = (np.diff(codes) == 0) & (np.diff(places) == 0)
    if not same.any():
        return
    place = int(same.argmax())
    first, second = int(order[place]), int(order[place + 1])
    of = f" of the series {names[int(codes[place])]!r}" if columns.group else ""
    raise InputError(
        f"two rows{of} have the same time",
        expected="one row for each step of time" + ("" if columns.group else " and series"),
        got=f"{times[first]!r} in row {first + 1} and {times[second]!r} in row {second + 1}",
        do="take their mean or sum first"
        + ("" if columns.group else ", or name the column that tells series apart with --group"),
    )
