"""Series of numbers in time: read from a long table, and seen through windows."""

from glial.data.series.calendar import calendar_columns
from glial.data.series.seasons import calendar_seasons, find_season
from glial.data.series.table import (
    SeriesColumns,
    SeriesTable,
    filled,
    find_time,
    read_series,
)
from glial.data.series.times import Frequency, are_dates, find_frequency
from glial.data.series.windows import Gathered, WindowBatches, WindowForm, Windows

__all__ = [
    "Frequency",
    "Gathered",
    "SeriesColumns",
    "SeriesTable",
    "WindowBatches",
    "WindowForm",
    "Windows",
    "are_dates",
    "calendar_columns",
    "calendar_seasons",
    "filled",
    "find_frequency",
    "find_season",
    "find_time",
    "read_series",
]
