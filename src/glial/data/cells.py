"""What single cells mean: missing, number, yes or no, point in time."""

from __future__ import annotations

import logging

import polars as pl

logger = logging.getLogger(__name__)

MISSING = ("", "NA", "N/A", "n/a", "nan", "NaN", "null", "NULL", "None", "?")
YES_OR_NO = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"}, {"0", "1"})
YES = ("true", "yes", "t", "y", "1")
DATE_FORMS = {"ymd": "%Y-%m-%d", "dmy": "%d-%m-%Y", "mdy": "%m-%d-%Y"}
_MOMENT = (
    r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})"
    r"(?:[T ]\s*(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,9})?))?\s*(Z|[+-]\d{2}:?\d{2})?)?$"
)


def texts(column: pl.Series) -> pl.Series:
    """The cells as text, blanks around them removed, missing ones null.

    Example:
        >>> texts(pl.Series([" a", "?", None])).to_list()
        ['a', None, None]
    """
    column = spelt(column)
    return column.set(column.is_in(list(MISSING)).fill_null(False), None)


def spelt(column: pl.Series) -> pl.Series:
    """The cells as text, blanks around them removed, and no word taken for a missing one.

    Whole floats are spelt as integers are, so that 1.0 and 1 are one category.

    Example:
        >>> spelt(pl.Series([" None", None])).to_list(), spelt(pl.Series([1.0])).to_list()
        (['None', None], ['1'])
    """
    if column.dtype == pl.String:
        return column.str.strip_chars()
    if is_nested(column):
        return pl.Series(column.name, [None] * len(column), dtype=pl.String)
    if column.dtype == pl.Duration:
        column = column.to_physical()
    words = column.cast(pl.String)
    if isinstance(column.dtype, (pl.Categorical, pl.Enum)):
        return words.str.strip_chars()
    if column.dtype.is_float():
        whole = ((column % 1 == 0) & (column.abs() < 2**53)).fill_null(False)
        words = words.zip_with(~whole, column.cast(pl.Int64, strict=False).cast(pl.String))
    return words


def blank(column: pl.Series) -> pl.Series:
    """Which cells hold nothing at all; a word such as "None" is a text like any other.

    Example:
        >>> blank(pl.Series(["None", " ", None])).to_list()
        [False, True, True]
    """
    return spelt(column).fill_null("") == ""


def is_nested(column: pl.Series) -> bool:
    """Whether cells are lists, records, bytes or objects, which no column kind stands for.

    Example:
        >>> is_nested(pl.Series([[1, 2]]))
        True
    """
    return isinstance(column.dtype, (pl.List, pl.Struct, pl.Array, pl.Object, pl.Binary, pl.Null))


def floats(column: pl.Series) -> pl.Series:
    """The cells as 64-bit floats, infinite ones too; null where missing or not a number.

    Example:
        >>> floats(pl.Series(["-inf", "x"])).to_list()
        [-inf, None]
    """
    if not (column.dtype.is_numeric() or column.dtype.is_temporal() or column.dtype == pl.Boolean):
        column = texts(column)
    values = column.cast(pl.Float64, strict=False)
    return values.set(values.is_nan().fill_null(False), None)


def numbers(column: pl.Series) -> pl.Series:
    """The cells as 64-bit floats; null where missing, not finite, or not a number.

    Example:
        >>> numbers(pl.Series(["1e3", " 2 ", "x", "inf"])).to_list()
        [1000.0, 2.0, None, None]
    """
    if column.dtype.is_float():  # the usual case of large tables, in one look
        values = column.cast(pl.Float64)
        finite = values.is_finite()
        return values if finite.all() else values.set(~finite.fill_null(True), None)
    values = floats(column)
    return values.set(values.is_infinite().fill_null(False), None)


def num_infinite(column: pl.Series) -> int:
    """How many cells are infinite numbers.

    Example:
        >>> num_infinite(pl.Series(["inf", "1"]))
        1
    """
    values = column if column.dtype.is_numeric() else floats(column)
    return int(values.is_infinite().sum())


def missing(column: pl.Series) -> pl.Series:
    """Which cells are missing.

    Example:
        >>> missing(pl.Series([1.0, float("nan"), None])).to_list()
        [False, True, True]
    """
    if column.dtype.is_float():
        return ~column.is_finite().fill_null(False)
    is_words = isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum))
    return texts(column).is_null() if is_words else column.is_null()


def booleans(column: pl.Series) -> pl.Series:
    """Cells that say yes or no as true and false; null for anything else.

    Example:
        >>> booleans(pl.Series(["Yes", "no", "?"])).to_list()
        [True, False, None]
    """
    words = texts(column).str.to_lowercase().replace({"1.0": "1", "0.0": "0"})
    known = sorted(set().union(*YES_OR_NO))
    return words.is_in(list(YES)).set(~words.is_in(known).fill_null(False), None)


def datetimes(column: pl.Series, form: str | None = None) -> pl.Series:
    """Cells as points in time (UTC, microseconds); null where missing or not understood.

    A time without a zone is taken as it stands; one with a zone is brought to UTC.

    Args:
        column: Dates or times, or text that says some.
        form: Order of year, month and day in text (see :func:`date_form`); None finds it.

    Example:
        >>> datetimes(pl.Series(["2024-02-29", "x"])).dt.month().to_list()
        [2, None]
        >>> str(datetimes(pl.Series(["2024-01-01T01:30+02:00"]))[0])
        '2023-12-31 23:30:00'
    """
    kind = pl.Datetime("us")
    if column.dtype == pl.Date:
        return column.cast(kind)
    if isinstance(column.dtype, pl.Datetime):
        if column.dtype.time_zone is not None:
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return column.cast(kind)
    parts = _parts(column)
    days = _days(parts, form or _form_of(parts)).cast(pl.Datetime("us")).cast(pl.Int64)
    hour, minute = (parts[f"{i}"].cast(pl.Int64, strict=False).fill_null(0) for i in (2, 3))
    second = (parts["4"].cast(pl.Float64, strict=False).fill_null(0.0) * 1e6).round().cast(pl.Int64)
    zone = parts["5"].fill_null("").str.replace("Z", "").str.replace(":", "")
    sign = 1 - 2 * zone.str.starts_with("-").cast(pl.Int64)
    ahead = [zone.str.slice(i, 2).cast(pl.Int64, strict=False).fill_null(0) for i in (1, 3)]
    real = (hour < 24) & (minute < 60) & (second < 60_000_000)
    minutes = hour * 60 + minute - sign * (ahead[0] * 60 + ahead[1])
    moment = days + minutes * 60_000_000 + second
    return moment.set(~real, None).cast(kind).alias(column.name)


def date_form(column: pl.Series) -> str:
    """The order of year, month and day that most cells fit: ``ymd``, ``dmy`` or ``mdy``.

    Example:
        >>> date_form(pl.Series(["1/2/2024", "1/13/2024"]))
        'mdy'
    """
    return _form_of(_parts(column)) if column.dtype == pl.String else "ymd"


def is_ambiguous_date(column: pl.Series) -> bool:
    """Whether days and months of text could be exchanged in every cell.

    Example:
        >>> is_ambiguous_date(pl.Series(["1/2/2024", "3/4/2024"]))
        True
    """
    if column.dtype != pl.String:
        return False
    parts = _parts(column)
    misses = {form: _days(parts, form).null_count() for form in DATE_FORMS}
    return misses["dmy"] == misses["mdy"] < misses["ymd"]


def notice_unread(column: pl.Series) -> None:
    """Say which cells of a column of numbers are no numbers.

    Example:
        >>> notice_unread(pl.Series("a", [1.0, 2.0]))
    """
    if infinite := num_infinite(column):
        logger.warning("column %r: %d infinite cells are taken as missing", column.name, infinite)
    if column.dtype.is_numeric():
        return
    words = column.filter(floats(column).is_null() & ~missing(column))
    if len(words):
        logger.warning(
            "column %r: %d cells are no numbers, such as %s: they are taken as missing",
            column.name,
            len(words),
            " ".join(repr(words.to_list()[0]).split())[:80],
        )


def _parts(column: pl.Series) -> pl.DataFrame:
    groups = texts(column).rename("cell").str.extract_groups(_MOMENT).struct.unnest()
    return groups.with_columns(pl.col("1").str.replace_all(r"[/.]", "-"))


def _days(parts: pl.DataFrame, form: str) -> pl.Series:
    return parts["1"].str.to_date(DATE_FORMS[form], strict=False)


def _form_of(parts: pl.DataFrame) -> str:
    return min(DATE_FORMS, key=lambda form: _days(parts, form).null_count())
