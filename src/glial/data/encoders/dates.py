"""Points in time: elapsed time, and the cycles of the calendar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.data.cells import DATE_FORMS, date_form, datetimes
from glial.data.scaling import Scaling
from glial.data.settings import DataSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DatetimeEncoder:
    """Elapsed time, the day of the month, and cycles of month, weekday and hour.

    Attributes:
        form: Order of year, month and day in text, as the training cells had it.
        scaling: Of the elapsed time, in days since 1970.
        has_hours: Whether training times differ in their hour.
        flags: Whether a last number tells a missing cell.
    """

    form: str
    scaling: Scaling
    has_hours: bool
    flags: bool

    def __post_init__(self) -> None:
        if self.form not in DATE_FORMS:
            raise ValueError(f"{self.form!r} is no order of year, month and day")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> DatetimeEncoder:
        """Mean and spread of the present times."""
        form = date_form(column)
        times = datetimes(column, form)
        flags = settings.missing_flags and times.null_count() > 0
        present = times.drop_nulls()
        if len(present) == 0:
            return cls(form, Scaling(), has_hours=False, flags=flags)
        days = present.cast(pl.Int64).to_numpy() / 86_400e6
        hours = (present.dt.hour().cast(pl.Int64) * 60 + present.dt.minute()).n_unique() > 1
        return cls(form, Scaling.fit(days, "standard"), has_hours=hours, flags=flags)

    @property
    def labels(self) -> list[str]:
        """The parts of a date."""
        parts = [
            "elapsed",
            "day",
            *(f"{c} {f}" for c in ("month", "weekday") for f in ("sin", "cos")),
        ]
        parts += ["hour sin", "hour cos"] if self.has_hours else []
        return parts + (["is missing"] if self.flags else [])

    def transform(self, column: pl.Series) -> Floats:
        """The parts of each date; 0 where it is missing."""
        times = datetimes(column, self.form)
        days = times.cast(pl.Int64).cast(pl.Float64) / 86_400e6
        elapsed = (days - self.scaling.shift) * self.scaling.factor
        parts = [elapsed, times.dt.day().cast(pl.Float64) / 15.5 - 1]
        turns = [
            (times.dt.month() - 1).cast(pl.Float64) / 12,
            (times.dt.weekday() - 1).cast(pl.Float64) / 7,
        ]
        if self.has_hours:
            turns.append(
                (times.dt.hour().cast(pl.Float64) + times.dt.minute().cast(pl.Float64) / 60) / 24
            )
        for turn in turns:
            angle = turn * (2 * np.pi)
            parts += [angle.sin(), angle.cos()]
        if self.flags:
            parts.append(times.is_null().cast(pl.Float64))
        return np.stack([part.fill_null(0.0).to_numpy() for part in parts], axis=1)
