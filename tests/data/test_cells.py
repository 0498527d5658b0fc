"""Single cells: missing, number, yes or no, point in time."""

from __future__ import annotations

import datetime
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glial.data.cells import (
    booleans,
    date_form,
    datetimes,
    floats,
    is_ambiguous_date,
    missing,
    num_infinite,
    numbers,
    texts,
)

WORDS = ["", "NA", "N/A", "n/a", "nan", "NaN", "null", "NULL", "None", "?", " ", " NA "]


@pytest.mark.parametrize("word", WORDS)
def test_each_word_for_missing(word: str) -> None:
    assert missing(pl.Series([word, "x"])).to_list() == [True, False]


def test_missing_of_other_types() -> None:
    assert missing(pl.Series([1, None])).to_list() == [False, True]
    assert missing(pl.Series([1.0, math.nan, None])).to_list() == [False, True, True]
    assert missing(pl.Series([True, None])).to_list() == [False, True]
    assert missing(pl.Series([[1], None])).to_list() == [False, True]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_are_read_as_python_reads_them(values: list[float]) -> None:
    for spelt in (repr, "{:e}".format, " {!r}\t".format):
        words = [spelt(value) for value in values]
        assert numbers(pl.Series(words)).to_list() == [float(word) for word in words]


def test_what_is_no_number() -> None:
    odd = ["x", "1,000", "1_000", "0x10", "--1", "NA", "inf", "-Infinity", "1e400"]
    assert numbers(pl.Series(odd)).to_list() == [None] * len(odd)
    assert floats(pl.Series(odd)).is_infinite().sum() == num_infinite(pl.Series(odd)) == 3
    assert num_infinite(pl.Series([math.inf, -math.inf, math.nan, 1.0])) == 2


def test_numbers_of_other_types() -> None:
    assert numbers(pl.Series([True, False, None])).to_list() == [1.0, 0.0, None]
    assert numbers(pl.Series(["10", "9"], dtype=pl.Categorical)).to_list() == [10.0, 9.0]
    assert numbers(pl.Series([[1], [2]])).to_list() == [None, None]
    hour = pl.Series([datetime.timedelta(hours=1)])
    assert numbers(hour)[0] == 3600e6


def test_a_whole_float_is_spelt_like_an_integer() -> None:
    assert texts(pl.Series([1.0, 2.5, None, math.nan])).to_list() == ["1", "2.5", None, None]


@pytest.mark.parametrize("pair", ["true false", "Yes No", "T F", "1 0", "y n", "1.0 0.0"])
def test_yes_and_no(pair: str) -> None:
    assert booleans(pl.Series([*pair.split(), "?", "maybe"])).to_list() == [True, False, None, None]


def test_yes_and_no_of_numbers() -> None:
    for column in (pl.Series([1, 0, 7]), pl.Series([1.0, 0.0, math.nan])):
        assert booleans(column).to_list() == [True, False, None]


@given(st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31)))
def test_iso_times_are_read_as_python_reads_them(moment: datetime.datetime) -> None:
    for word in (moment.isoformat(), moment.isoformat(" ")):
        assert datetimes(pl.Series([word]))[0] == moment


@given(
    st.datetimes(
        datetime.datetime(1900, 1, 1),
        datetime.datetime(2100, 1, 1),
        timezones=st.integers(-14 * 60, 14 * 60).map(
            lambda m: datetime.timezone(datetime.timedelta(minutes=m))
        ),
    )
)
def test_times_with_a_zone_are_brought_to_utc(moment: datetime.datetime) -> None:
    wanted = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    assert datetimes(pl.Series([moment.isoformat()]))[0] == wanted


@pytest.mark.parametrize(
    ("words", "form"),
    [
        (["2024-02-29", "2024/3/1"], "ymd"),
        (["29/02/2024", "1.3.2024"], "dmy"),
        (["02/29/2024", "3/1/2024 00:00"], "mdy"),
        (["2024-02-29T00:00:00Z", "2024-03-01 00:00:00.000"], "ymd"),
    ],
)
def test_orders_of_dates(words: list[str], form: str) -> None:
    days = [datetime.datetime(2024, 2, 29), datetime.datetime(2024, 3, 1)]
    assert date_form(pl.Series(words)) == form
    assert datetimes(pl.Series(words)).to_list() == days


def test_what_is_no_date() -> None:
    odd = ["2024-02-30", "2024-13-01", "2024-01-01 24:00", "2024-01-01 10:60", "x", "1", ""]
    assert datetimes(pl.Series(odd)).null_count() == len(odd)


def test_the_order_decided_in_training_holds_for_one_row() -> None:
    assert datetimes(pl.Series(["3/4/2024"]), "mdy").dt.month()[0] == 3
    assert datetimes(pl.Series(["3/4/2024"]), "dmy").dt.month()[0] == 4
    assert is_ambiguous_date(pl.Series(["3/4/2024"]))
    assert not is_ambiguous_date(pl.Series(["3/4/2024", "13/4/2024"]))


def test_typed_dates() -> None:
    day = datetime.date(2024, 2, 29)
    assert datetimes(pl.Series([day]))[0] == datetime.datetime(2024, 2, 29)
    zoned = pl.Series([datetime.datetime(2024, 1, 1, 1)]).dt.replace_time_zone("Europe/Berlin")
    assert datetimes(zoned)[0] == datetime.datetime(2024, 1, 1)
