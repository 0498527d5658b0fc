"""Where the marks of an axis stand, and how numbers are written."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glial.charts import log_ticks, ticks, time_ticks, write_number


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 7.0, [0.0, 2.0, 4.0, 6.0]),
        (-1.0, 1.0, [-1.0, -0.5, 0.0, 0.5, 1.0]),
        (0.0, 30.0, [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]),
        (13.0, 13.0, [13.0]),
        (0.0, 0.3, [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
        (1e6, 5e6, [1e6, 2e6, 3e6, 4e6, 5e6]),
    ],
)
def test_ticks_by_hand(low, high, expected):
    assert ticks(low, high) == expected


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 10))
def test_ticks_are_few_evenly_apart_and_inside(low, span, most):
    high = low + span
    marks = ticks(low, high, most)
    slack = 1e-6 * max(span, abs(low) * 1e-6, 1e-9)
    assert 1 <= len(marks) <= most + 1
    assert low - slack <= marks[0]
    assert marks[-1] <= high + slack
    if len(marks) > 2:
        steps = [b - a for a, b in pairwise(marks)]
        assert max(steps) - min(steps) <= 1e-6 * max(steps) + 1e-6 * abs(low) * 1e-6
        # At least a third of the marks asked for: 2 to 5 is the widest gap between round steps.
        assert len(marks) >= most / 2.5 - 1


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.001, 1.0, [0.001, 0.01, 0.1, 1.0]),
        (0.02, 0.3, [0.02, 0.05, 0.1, 0.2]),
        (1e-12, 1.0, [1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1.0]),
        (2.0, 3.0, [2.0, 2.2, 2.4, 2.6, 2.8, 3.0]),
    ],
)
def test_log_ticks_by_hand(low, high, expected):
    assert log_ticks(low, high, 7 if low < 1e-9 else 6) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [
        (0.0, None, "0"),
        (0.30000000000000004, 0.1, "0.3"),
        (1.0, 0.5, "1.0"),
        (1200.0, None, "1,200"),
        (-3.5, None, "−3.5"),
        (999_999_999.0, None, "1B"),
        (3_200_000.0, 100_000.0, "3.2M"),
        (2e-7, None, "2e-7"),
        (1.25e-7, None, "1.25e-7"),
        (0.0012, None, "0.0012"),
        (float("inf"), None, "∞"),
        (float("nan"), None, "none"),
        (1e-17, 0.2, "0"),
        (0.123456, None, "0.1235"),
        (25.0, 5.0, "25"),
    ],
)
def test_numbers_as_people_write_them(value, step, expected):
    assert write_number(value, step) == expected


@given(st.floats(-1e15, 1e15))
def test_a_written_number_says_four_digits_of_the_number(value):
    text = write_number(value).replace(",", "").replace("−", "-")
    units = {"M": 1e6, "B": 1e9, "T": 1e12}
    number = float(text.rstrip("MBT")) * units.get(text[-1], 1.0)
    # Tiny numbers have three digits, and those below 1e-12 are nothing on paper.
    assert number == pytest.approx(value, rel=0.006, abs=1e-12)


def seconds(*day: int) -> float:
    return datetime(*day, tzinfo=UTC).timestamp()


def test_time_ticks_by_hand():
    hours = time_ticks(seconds(2024, 2, 28, 21), seconds(2024, 2, 29, 5))
    assert hours == [
        (seconds(2024, 2, 28, 22), "28 Feb 22:00"),
        (seconds(2024, 2, 29, 0), "29 Feb 00:00"),
        (seconds(2024, 2, 29, 2), "29 Feb 02:00"),
        (seconds(2024, 2, 29, 4), "29 Feb 04:00"),
    ]
    years = time_ticks(seconds(1951, 3, 1), seconds(1999, 1, 1))
    assert [told for _, told in years] == ["1960", "1970", "1980", "1990"]
    assert [at for at, _ in years] == [seconds(year, 1, 1) for year in (1960, 1970, 1980, 1990)]


@given(st.floats(-4e9, 4e9), st.floats(1.0, 3e9))
def test_time_ticks_are_inside_and_few(low, span):
    marks = time_ticks(low, low + span)
    assert all(low <= at <= low + span for at, _ in marks)
    assert len(marks) <= 7
