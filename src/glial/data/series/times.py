"""Times as places on a regular grid: months, business days, fixed spans of time, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.cells import date_form, datetimes, numbers, texts

Unit = Literal["month", "business_day", "microsecond", "number", "row"]
Places = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY = 86_400_000_000.0  # microseconds
LEAST_DATES = 0.9  # of the cells, for a column to be one of dates
TOLERANCE = 0.2  # of a step, by which numbers may lie beside their place
_MONTH = r"^(\d{4})[-/ ]?(?:M)?(0[1-9]|1[0-2])$"
_QUARTER = r"^(\d{4})[-/ ]?Q([1-4])$"


@dataclass(frozen=True)
class Frequency:
    """A regular grid of times.

    Attributes:
        unit: What steps are counted in; ``row`` is the order of the rows.
        step: Units from a time to the next.
        origin: The time of place 0, in units: since 1970 for dates.
        day: The day of the month of every time, 0 for its last; months only.
        form: The order of year, month and day in text.

    Example:
        >>> months = find_frequency([pl.Series(["1949-01", "1949-02", "1949-04"])])
        >>> months.unit, months.step, months.places(pl.Series(["1949-12"])).tolist()
        ('month', 1.0, [11])
        >>> months.times(np.array([12])).to_list()
        ['1950-01-01']
    """

    unit: Unit
    step: float
    origin: float = 0.0
    day: int = 1
    form: str = "ymd"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.step) and self.step > 0 and np.isfinite(self.origin)):
            raise ValueError("a step of time is a finite number above 0")

    @property
    def name(self) -> str:
        """What a person calls it, such as ``monthly`` or ``every 30 minutes``."""
        if self.unit == "month":
            usual = {1: "monthly", 3: "quarterly", 12: "yearly"}
            return usual.get(int(self.step), f"every {self.step:g} months")
        if self.unit == "microsecond":
            spans = {7 * DAY: "weekly", DAY: "daily", DAY / 24: "hourly"}
            return spans.get(self.step, f"every {self.step / 6e7:g} minutes")
        others = {"business_day": "business days", "row": "in the order of the rows"}
        return others.get(self.unit, f"every {self.step:g}")

    def places(self, column: pl.Series) -> Places:
        """The place of each time.

        Args:
            column: Times; for ``row`` its cells do not matter.

        Raises:
            InputError: If a cell is no time, or lies beside the grid.
        """
        if self.unit == "row":
            return np.arange(len(column))
        units = _units(column, self.unit, self.form)
        exact = (units - self.origin) / self.step
        places = np.rint(exact)
        off = np.abs(exact - places) > (TOLERANCE if self.unit == "number" else 1e-9)
        if off.any():
            raise _irregular(column, int(off.argmax()), self.name)
        return places.astype(np.int64)

    def times(self, places: Places) -> pl.Series:
        """The times of places: dates as text, or numbers."""
        units = self.origin + self.step * np.asarray(places)
        if self.unit in ("number", "row"):
            whole = float(self.origin).is_integer() and float(self.step).is_integer()
            return pl.Series(np.rint(units).astype(np.int64) if whole else units)
        if self.unit == "month":
            return pl.Series([_day_of(int(month), self.day) for month in units], dtype=pl.String)
        if self.unit == "business_day":
            first = np.datetime64("1970-01-01", "D")
            days = np.busday_offset(first, units.astype(np.int64), roll="forward")
            return pl.Series(days.astype("datetime64[us]")).dt.strftime("%Y-%m-%d")
        moments = pl.Series(np.rint(units).astype(np.int64)).cast(pl.Datetime("us"))
        whole_days = self.step % DAY == 0 and self.origin % DAY == 0
        return moments.dt.strftime("%Y-%m-%d" if whole_days else "%Y-%m-%d %H:%M:%S")

    def moments(self, places: Places) -> pl.Series | None:
        """The times of places as points in time; None where the grid is not one of dates."""
        if self.unit in ("number", "row"):
            return None
        return datetimes(self.times(places), "ymd")


def are_dates(column: pl.Series) -> bool:
    """Whether nearly all cells are dates, months or quarters.

    Example:
        >>> are_dates(pl.Series(["2024-01", "2024-02"])), are_dates(pl.Series([1949.0, 1949.083]))
        (True, False)
    """
    if column.dtype.is_temporal():
        return column.dtype in (pl.Date, pl.Datetime)
    if column.dtype != pl.String or len(column) == 0:
        return False
    found = datetimes(_spelt_out(column))
    return found.null_count() <= (1 - LEAST_DATES) * len(column)


def find_frequency(columns: Sequence[pl.Series]) -> Frequency:
    """The grid on which the times of some series lie.

    Args:
        columns: The times of each series.

    Raises:
        InputError: If a cell is no time, or the times are not regular.

    Example:
        >>> days = pl.Series(["2024-03-01", "2024-03-04", "2024-03-05", "2024-03-08", "2024-03-11"])
        >>> find_frequency([days]).name
        'business days'
        >>> find_frequency([pl.Series([1949.0, 1949.083, 1949.167])]).unit
        'number'
    """
    whole = pl.concat([column.rename("time") for column in columns], how="vertical")
    if not are_dates(whole):
        return _of_numbers([_units(column, "number", "ymd") for column in columns])
    form = date_form(_spelt_out(whole))
    found = [np.unique(_units(column, "microsecond", form)) for column in columns]
    steps = np.concatenate([np.diff(moments) for moments in found])
    if len(steps) == 0:
        raise _too_few()
    if steps.min() >= 28 * DAY:
        months = _of_months(columns, found, form)
        if months is not None:
            return months
    values, counts = np.unique(steps, return_counts=True)
    usual = float(values[counts.argmax()])
    step = float(values[0]) if (values % usual).any() else usual
    origin = min(moments[0] for moments in found if len(moments))
    if step == DAY and (steps > DAY).any() and not (steps % DAY).any():
        weekdays = pl.Series(np.concatenate(found).astype(np.int64)).cast(pl.Datetime("us"))
        if int(weekdays.dt.weekday().max()) <= 5:  # type: ignore[arg-type]
            first = min(_units(column, "business_day", form).min() for column in columns)
            return Frequency("business_day", 1.0, float(first), form=form)
    frequency = Frequency("microsecond", step, float(origin), form=form)
    frequency.places(whole)
    return frequency


def _of_months(columns: Sequence[pl.Series], found: list[Floats], form: str) -> Frequency | None:
    """The grid of times that are whole months apart; None where they are not."""
    moments = pl.Series(np.concatenate(found).astype(np.int64)).cast(pl.Datetime("us"))
    ends = (moments.dt.month_end() == moments).all() or (
        moments.dt.offset_by("1d").dt.month() != moments.dt.month()
    ).all()
    days = moments.dt.day().unique().to_list()
    if not ends and len(days) > 1:
        return None
    months = [np.unique(_units(column, "month", form)) for column in columns]
    steps = np.concatenate([np.diff(part) for part in months])
    values, counts = np.unique(steps, return_counts=True)
    step = float(values[counts.argmax()])
    if (steps % step).any():
        step = 1.0
    first = min(part[0] for part in months if len(part))
    return Frequency("month", step, float(first), 0 if ends else int(days[0]), form)


def _of_numbers(found: list[Floats]) -> Frequency:
    sorted_ = [np.unique(values) for values in found]
    steps = np.concatenate([np.diff(values) for values in sorted_])
    if len(steps) == 0:
        raise _too_few()
    rough = float(steps.min())
    many = np.rint(steps / rough)
    # Rounded years such as 1949.083 lie a little beside their places: the mean step does not.
    step = float(steps.sum() / many.sum())
    origin = float(min(values[0] for values in sorted_ if len(values)))
    frequency = Frequency("number", step, origin)
    frequency.places(pl.Series(np.concatenate(found)))
    return frequency


def _units(column: pl.Series, unit: Unit, form: str) -> Floats:
    """Times as numbers of units since 1970, or as they are.

    Raises:
        InputError: If a cell is no time.
    """
    found = numbers(column) if unit == "number" else datetimes(_spelt_out(column), form)
    if found.null_count():
        row = int(found.is_null().arg_max() or 0)
        raise InputError(
            f"the time column {column.name!r} holds cells that are no time",
            expected="a date or a number in every row, of one kind in all",
            got=f"{column[row]!r} in row {row + 1}",
            do="mend or drop these rows, or name the time column with --time",
        )
    if unit == "number":
        return found.to_numpy()
    if unit == "month":
        months = found.dt.year().cast(pl.Int64) * 12 + found.dt.month() - 1 - 1970 * 12
        return months.cast(pl.Float64).to_numpy()
    if unit == "business_day":
        days = found.dt.date().to_numpy().astype("datetime64[D]")
        counted = np.busday_count(np.datetime64("1970-01-01", "D"), days)
        weekend = ~np.is_busday(days)
        return np.where(weekend, counted - 0.5, counted).astype(np.float64)
    return found.cast(pl.Int64).cast(pl.Float64).to_numpy()


def _spelt_out(column: pl.Series) -> pl.Series:
    """Months and quarters in text as their first days."""
    if column.dtype != pl.String:
        return column
    words = texts(column)
    quarters = words.str.extract_groups(_QUARTER).struct.unnest()
    month = (quarters["2"].cast(pl.Int64, strict=False) * 3 - 2).cast(pl.String).str.zfill(2)
    months = words.str.replace(_MONTH, "$1-$2-01")
    return months.zip_with(quarters["1"].is_null(), quarters["1"] + "-" + month + "-01")


def _day_of(month: int, day: int) -> str:
    """The day of a month counted since 1970, as text."""
    first = np.datetime64(month, "M")
    last = int((np.datetime64(month + 1, "M").astype("datetime64[D]") - 1).astype(object).day)
    return f"{first}-{last if day == 0 else min(day, last):02d}"


def _irregular(column: pl.Series, row: int, name: str) -> InputError:
    return InputError(
        f"the times of {column.name!r} are not regular",
        expected=f"times on one grid ({name}); steps may be missing",
        got=f"{column[row]!r} in row {row + 1}",
        do="bring the rows to equal steps first, such as one a day or an hour, by means or sums",
    )


def _too_few() -> InputError:
    return InputError(
        "the series are too short",
        expected="at least two times in a series",
        got="one, or none",
        do="give longer series, or correct --time and --group",
    )
