"""Series read from long tables: their grids of times, seasons, gaps and windows."""

import numpy as np
import polars as pl
import pytest
import torch

from glial.core.errors import InputError
from glial.data.series import (
    Frequency,
    SeriesColumns,
    WindowBatches,
    WindowForm,
    Windows,
    calendar_columns,
    filled,
    find_frequency,
    find_season,
    find_time,
    read_series,
)


def dates(first, last, every):
    moments = pl.datetime_range(
        pl.lit(first).str.to_datetime(), pl.lit(last).str.to_datetime(), every, eager=True
    )
    return moments.dt.strftime("%Y-%m-%d %H:%M:%S").alias("time")


@pytest.mark.parametrize(
    ("times", "name"),
    [
        (dates("2020-01-01", "2021-06-01", "1mo"), "monthly"),
        (pl.Series(["2020-01", "2020-02", "2020-04"]), "monthly"),
        (pl.Series(["2020Q1", "2020Q2", "2020Q4"]), "quarterly"),
        (pl.Series(["2020-01-31", "2020-02-29", "2020-03-31", "2020-05-31"]), "monthly"),
        (dates("2000-07-01", "2010-07-01", "1y"), "yearly"),
        (dates("2020-01-06", "2020-06-01", "1w"), "weekly"),
        (dates("2020-01-06", "2020-02-01", "1d"), "daily"),
        (dates("2020-01-06", "2020-01-07", "30m"), "every 30 minutes"),
        (pl.Series(["2024-03-01", "2024-03-04", "2024-03-05", "2024-03-06"]), "business days"),
        (pl.Series([3, 5, 9, 11]), "every 2"),
    ],
)
def test_the_grid_of_times_is_found_and_gives_the_times_back(times, name):
    frequency = find_frequency([times])
    assert frequency.name == name
    places = frequency.places(times)
    assert (np.diff(places) >= 1).all()
    assert places[0] == 0
    again = frequency.times(places)
    assert frequency.places(again.alias("time")).tolist() == places.tolist()


def test_the_last_days_of_months_stay_the_last():
    ends = pl.Series(["2023-11-30", "2023-12-31", "2024-01-31"])
    frequency = find_frequency([ends])
    assert frequency.times(np.arange(3, 5)).to_list() == ["2024-02-29", "2024-03-31"]


def test_years_in_decimals_are_regular_though_they_are_rounded():
    years = pl.Series([round(1949 + month / 12, 3) for month in range(144)])
    assert find_frequency([years]).places(years).tolist() == list(range(144))


def test_irregular_times_are_refused():
    with pytest.raises(InputError, match="not regular"):
        find_frequency([pl.Series(["2024-01-01", "2024-01-02", "2024-01-03 07:13"])])
    with pytest.raises(InputError, match="not regular"):
        find_frequency([pl.Series([0.0, 1.0, 2.0, 3.4])])
    with pytest.raises(InputError, match="no time"):
        find_frequency([pl.Series(["2024-01-01"] * 10 + ["soon"])])
    with pytest.raises(InputError, match="too short"):
        find_frequency([pl.Series(["2024-01-01"])])


def test_rows_are_sorted_and_gaps_are_there():
    frame = pl.DataFrame(
        {
            "shop": ["b", "a", "a", "b", "a"],
            "day": ["2024-01-02", "2024-01-04", "2024-01-01", "2024-01-03", "2024-01-02"],
            "y": ["20", "4", "1", "30", "NA"],
        }
    )
    table = read_series(frame, SeriesColumns(["y"], "day", "shop"))
    assert table.names == ["b", "a"]
    assert table.edges.tolist() == [0, 2, 6]
    np.testing.assert_array_equal(table.values[:, 0], [20, 30, 1, np.nan, np.nan, 4])
    assert table.rows.tolist() == [0, 3, 2, 4, -1, 1]
    assert filled(table, 1)[:, 0].tolist() == [20, 30, 1, 1, 1, 4]


def test_rows_behind_the_last_value_are_to_be_forecast():
    frame = pl.DataFrame({"t": [1, 2, 3, 4, 5], "y": [None, 1.0, 2.0, None, None]})
    table = read_series(frame, SeriesColumns(["y"], "t"))
    assert (table.edges.tolist(), table.ends.tolist(), table.first.tolist()) == ([0, 4], [2], [1])
    longer = table.extended(3)
    assert longer.rows.tolist() == [1, 2, 3, 4, -1]
    assert longer.frequency.times(longer.places).to_list() == [2, 3, 4, 5, 6]


def test_targets_that_begin_later_begin_the_series():
    frame = pl.DataFrame({"y": [1.0, 2.0, 3.0], "z": [None, 5.0, 6.0]})
    assert read_series(frame, SeriesColumns(["y", "z"])).values.tolist() == [[2, 5], [3, 6]]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"t": [1, 2, 2], "y": [1.0, 2.0, 3.0]}, "same time"),
        ({"t": [1, 2, 3], "y": ["1", "x", "3"]}, "not a finite number"),
        ({"t": [1, 2, 3], "y": [None, None, None]}, "is known"),
        ({"t": [1, 2, 10**7], "y": [1.0, 2.0, 3.0]}, "have no row"),
        ({"t": [1, None, 3], "y": [1.0, 2.0, 3.0]}, "no time"),
    ],
)
def test_what_is_no_series_is_refused(frame, words):
    with pytest.raises(InputError, match=words):
        read_series(pl.DataFrame(frame), SeriesColumns(["y"], "t"))


def test_the_column_of_times_is_found():
    frame = pl.DataFrame({"day": ["2024-01-01"], "end": ["2024-01-02"], "y": [1]})
    with pytest.raises(InputError, match="several columns"):
        find_time(frame, None, ["y"])
    assert find_time(frame.drop("end"), None, ["y"]) == "day"
    assert find_time(frame.select("y"), None, ["y"]) is None
    with pytest.raises(InputError, match="not in the data"):
        find_time(frame, "when", ["y"])


def test_seasons_are_the_calendars_or_the_values():
    half_hours = Frequency("microsecond", 1800e6)
    time = np.arange(48 * 7 * 6.0)
    daily, weekly = np.sin(time * 2 * np.pi / 48), (time // 48 % 7 >= 5) * 3.0
    noise = np.random.default_rng(0).normal(0, 0.1, len(time))
    assert find_season([daily + noise], half_hours)[0] == 48
    assert find_season([daily + weekly + noise], half_hours)[0] == 336
    assert find_season([np.arange(9.0)], Frequency("month", 1.0))[0] == 1
    trend = 0.05 * np.arange(120) + np.sin(np.arange(120) * 2 * np.pi / 12)
    assert find_season([trend], Frequency("number", 1.0))[0] == 12
    assert find_season([noise[:100]], Frequency("row", 1.0))[0] == 1
    assert find_season([np.ones(50)], Frequency("row", 1.0))[0] == 1


def test_the_calendar_has_its_cycles():
    found = calendar_columns(Frequency("microsecond", 3600e6), np.array([0, 6, 24]))
    assert found["time: day sin"].to_list() == pytest.approx([0, 1, 0], abs=1e-12)
    assert found["time: day cos"][2] == pytest.approx(1)
    assert found["time: weekend"].to_list() == [-1, -1, -1]  # 1970 began on a Thursday
    assert calendar_columns(Frequency("month", 1.0), np.arange(3)).width == 0


def windows_of(values, edges=None, **form):
    held = torch.as_tensor(values, dtype=torch.float64)[:, None]
    ends = torch.tensor(edges or [0, len(held)])
    return Windows(
        held,
        torch.ones_like(held, dtype=torch.bool),
        torch.zeros(len(held), 0),
        ends,
        WindowForm(**form),
    )


def test_a_window_is_scaled_by_its_past():
    windows = windows_of([1, 2, 3, 5, 5, 8, 0, 0], context=4, horizon=2, season=2)
    found = windows.gather(torch.tensor([6]))
    # Changes over a season: 2, 3, 2, 3; the last season is 5 and 8.
    assert found.scale.item() == 2.5
    assert found.level.item() == 6.5
    assert found.history[0, :, 0].tolist() == pytest.approx([-1.4, -0.6, -0.6, 0.6])
    assert found.target[0, :, 0].tolist() == pytest.approx([-2.6, -2.6])
    assert windows.naive(torch.tensor([6]))[0, :, 0].tolist() == [5, 8]


def test_what_was_before_a_series_is_its_first_season():
    windows = windows_of([9, 9, 1, 2, 3, 4], [0, 2, 6], context=5, horizon=1, season=2)
    assert windows.past(torch.tensor([5]), 5).tolist() == [[2, 3, 2, 3, 4]]
    assert windows.past(torch.tensor([3]), 3).tolist() == [[2, 2, 2]]


@pytest.mark.parametrize("scaling", ["series", "window"])
def test_what_comes_later_changes_no_window(scaling):
    generator = np.random.default_rng(0)
    values = generator.normal(size=60)
    form = {"context": 12, "horizon": 4, "season": 4, "scaling": scaling}
    moments = torch.arange(8, 40)
    other = values.copy()
    for moment in (20, 33):
        changed = other.copy()
        changed[moment:] = generator.normal(50, 9, size=60 - moment)
        before = moments[moments <= moment]
        plain = windows_of(values, **form).gather(before)
        found = windows_of(changed, **form).gather(before)
        for part in ("history", "level", "scale"):
            assert torch.equal(getattr(plain, part), getattr(found, part))


def test_a_series_that_stands_still_has_finite_windows():
    found = windows_of([5.0] * 10, context=4, horizon=2).gather(torch.tensor([6]))
    assert found.history.abs().max() == 0
    still = windows_of([0.0] * 8 + [7.0] * 2, context=4, horizon=2).gather(torch.tensor([7, 9]))
    assert still.target.isfinite().all()
    assert still.history.isfinite().all()


def test_batches_hold_every_window_once_and_go_on_from_any():
    windows = windows_of(np.random.default_rng(0).normal(size=40), context=4, horizon=3)
    batches = WindowBatches(windows, torch.arange(5, 36), 8, seed=1)
    first, second = [list(batches.epoch(number)) for number in (0, 1)]
    assert sum(len(batch.target) for batch in first) == batches.num_rows == 31
    assert not torch.equal(first[0].target, second[0].target)
    for whole, part in zip(first[2:], batches.epoch(0, start=2), strict=True):
        assert torch.equal(whole.inputs[0], part.inputs[0])
        assert torch.equal(whole.target, part.target)
