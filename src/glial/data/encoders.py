"""How one column becomes numbers or codes: an encoder for each kind, fitted on training rows."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.data.cells import DATE_FORMS, booleans, date_form, datetimes, missing, numbers, texts
from glial.data.settings import DataSettings

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
_HUGE, _GIANT, _TINY = 1e300, 1e100, 1e-300


@runtime_checkable
class ColumnEncoder(Protocol):
    """Turns a column into numbers, [row, number]; fitted by a classmethod ``fit``."""

    @property
    def labels(self) -> list[str]:
        """What each number is, such as ``is missing``; empty for the value itself."""

    def transform(self, column: pl.Series) -> Floats:
        """The numbers of each row."""


@dataclass(frozen=True)
class NumberEncoder:
    """Fills, scales and flags numbers.

    Attributes:
        fill: What stands in for a missing number.
        shift: Subtracted first.
        factor: Multiplied next.
        clips: Whether the result is bent smoothly into (-3, 3).
        flags: Whether a second number tells a missing cell (1) from a present one (0).
    """

    fill: float
    shift: float
    factor: float
    clips: bool
    flags: bool

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> NumberEncoder:
        """Statistics of the present cells."""
        values = numbers(column)
        present = values.drop_nulls().to_numpy()
        flags = settings.missing_flags and len(present) < len(values)
        if len(present) == 0:
            return cls(0.0, 0.0, 1.0, clips=False, flags=flags)
        fill = _fill(present, settings.missing)
        filled = np.where(np.isnan(v := values.to_numpy().astype(np.float64)), fill, v)
        shift, factor = _scale(filled, settings.scaling)
        return cls(fill, shift, factor, clips=settings.scaling == "robust", flags=flags)

    @property
    def labels(self) -> list[str]:
        """The value, and the flag."""
        return ["", "is missing"] if self.flags else [""]

    def transform(self, column: pl.Series) -> Floats:
        """Scaled numbers."""
        values = numbers(column).to_numpy().astype(np.float64)
        gone = np.isnan(values)
        with np.errstate(over="ignore"):
            distance = np.clip(np.where(gone, self.fill, values) - self.shift, -_HUGE, _HUGE)
            scaled = np.clip(distance * self.factor, -_HUGE, _HUGE)
        if self.clips:
            scaled = scaled / np.hypot(1.0, scaled / 3)
        return np.stack([scaled, gone], axis=1) if self.flags else scaled[:, None]


def _fill(present: Floats, how: str) -> float:
    if how == "mean":
        size = _size(present)
        return float((present / size).mean()) * size
    if how == "median":
        return float(np.median(present))
    values, counts = np.unique(present, return_counts=True)
    return float(values[np.argmax(counts)])


def _size(values: Floats) -> float:
    """What to divide by so that sums and squares of the values stay finite; mostly 1."""
    largest = float(np.abs(values).max())
    return largest if largest > _GIANT else 1.0


def _scale(values: Floats, how: str) -> tuple[float, float]:
    """What to subtract and to multiply by.

    Robust: the median and the quartiles' distance, or half the range where the quartiles agree
    (Holzmüller et al. 2024, arXiv 2407.04491, appendix on preprocessing).
    """
    if how == "none":
        return 0.0, 1.0
    size = _size(values)
    values = values / size
    if how == "robust":
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        width = high - low if high > low else 0.5 * (values.max() - values.min())
        return float(middle) * size, float(1 / width) / size if width > _TINY else 0.0
    mean, std = float(values.mean()), float(values.std())
    differ = std > max(_TINY, 1e-13 * abs(mean))
    return mean * size, 1 / std / size if differ else 1.0


@dataclass(frozen=True)
class BooleanEncoder:
    """Yes is 1, no is -1, missing is 0."""

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> BooleanEncoder:
        """Nothing to fit."""
        return cls()

    @property
    def labels(self) -> list[str]:
        """The answer."""
        return [""]

    def transform(self, column: pl.Series) -> Floats:
        """-1, 0 or 1."""
        said = column if column.dtype == pl.Boolean else booleans(column)
        return (said.cast(pl.Float64) * 2 - 1).fill_null(0.0).to_numpy()[:, None]


@dataclass(frozen=True)
class DatetimeEncoder:
    """Elapsed time, the day of the month, and cycles of month, weekday and hour.

    Attributes:
        form: Order of year, month and day in text, as the training cells had it.
        shift: Mean of the training times, in days since 1970.
        factor: One over their standard deviation.
        has_hours: Whether training times differ in their hour.
        flags: Whether a last number tells a missing cell.
    """

    form: str
    shift: float
    factor: float
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
            return cls(form, 0.0, 1.0, has_hours=False, flags=flags)
        days = present.cast(pl.Int64).to_numpy() / 86_400e6
        shift, factor = _scale(days, "standard")
        hours = (present.dt.hour().cast(pl.Int64) * 60 + present.dt.minute()).n_unique() > 1
        return cls(form, shift, factor, has_hours=hours, flags=flags)

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
        parts = [(days - self.shift) * self.factor, times.dt.day().cast(pl.Float64) / 15.5 - 1]
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


@dataclass(frozen=True)
class CategoryEncoder:
    """Codes of categories: 0 is unknown, then the known values in sorted order.

    Attributes:
        values: The known values.
        has_missing: Whether a missing cell is a value of its own (the code after the last).
        rare: Values that share one bucket, whose code comes last.
        one_hot: Whether the codes become numbers: one column a code, or -1 and 1 for two.
    """

    values: list[str]
    has_missing: bool
    rare: list[str] = field(default_factory=list)
    one_hot: bool = False

    def __post_init__(self) -> None:
        if len({*self.values, *self.rare}) != len(self.values) + len(self.rare):
            raise ValueError("a category has a value twice")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> CategoryEncoder:
        """The values of the training cells, commonest kept where there are too many."""
        words = texts(column)
        counts = words.drop_nulls().value_counts(sort=False)
        pairs = sorted(
            zip(counts[words.name], counts["count"], strict=True), key=lambda p: (-p[1], p[0])
        )
        kept = [v for v, n in pairs[: settings.max_categories] if n >= settings.min_category_count]
        rare = sorted({value for value, _ in pairs} - set(kept))
        if len(pairs) > settings.max_categories:
            logger.warning(
                "column %r has %d different values: the %d rarest share one bucket",
                column.name,
                len(pairs),
                len(rare),
            )
        size = len(kept) + bool(rare) + (words.null_count() > 0)
        one_hot = settings.categories == "one-hot" or (
            settings.categories == "auto" and size <= settings.max_one_hot
        )
        return cls(sorted(kept), words.null_count() > 0, rare, one_hot)

    @property
    def cardinality(self) -> int:
        """Number of codes, the unknown one included."""
        return 1 + len(self.values) + self.has_missing + bool(self.rare)

    @property
    def labels(self) -> list[str]:
        """What each number of the one-hot form says."""
        names = [f"is {value}" for value in self.values]
        names += ["is missing"] if self.has_missing else []
        names += ["is rare"] if self.rare else []
        return names[1:] if len(names) == 2 else names

    def codes(self, column: pl.Series) -> NDArray[np.int64]:
        """The code of each cell."""
        words = texts(column)
        known = [*self.values, *self.rare]
        last = 1 + len(self.values) + self.has_missing
        numbers_of = [*range(1, len(self.values) + 1), *([last] * len(self.rare))]
        codes = words.replace_strict(
            pl.Series(known, dtype=pl.String), pl.Series(numbers_of, dtype=pl.Int64), default=0
        )
        gone = 1 + len(self.values) if self.has_missing else 0
        return codes.set(missing(column), gone).fill_null(0).to_numpy().astype(np.int64)

    def transform(self, column: pl.Series) -> Floats:
        """The one-hot form: zeros for an unknown value."""
        codes = self.codes(column)
        table = np.eye(self.cardinality)[:, 1:]
        if table.shape[1] == 2:
            table = np.array([[0.0], [-1.0], [1.0]])
        return table[codes]


ENCODERS: dict[str, Any] = {
    "number": NumberEncoder,
    "boolean": BooleanEncoder,
    "datetime": DatetimeEncoder,
    "category": CategoryEncoder,
}
