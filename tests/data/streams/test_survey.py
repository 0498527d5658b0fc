"""Divisions are of rows alone and in the shares asked for; a survey counts and samples."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest

from glial.core.errors import InputError
from glial.data import SplitSettings
from glial.data.streams import Division, FrameChunks, SplitRows, divide, survey
from glial.data.streams.surveys import ALL

SHARES = (0.7, 0.15, 0.15)


def parts(frame, settings, chunk_rows=100, given=(False, False), seed=0):
    chunks = FrameChunks(frame, chunk_rows)
    division = divide(chunks, settings, given, seed)
    found, first = [], 0
    for number, count in enumerate(chunks.counts):
        found.append(division.of(chunks.read(number), first))
        first += count
    return np.concatenate(found)


def test_a_random_division_has_its_shares_and_does_not_depend_on_chunks():
    frame = pl.DataFrame({"a": range(20_000)})
    found = parts(frame, SplitSettings())
    shares = np.bincount(found) / len(found)
    # Three standard deviations of a share of 20,000 rows.
    assert np.abs(shares - SHARES).max() < 3 * np.sqrt(0.7 * 0.3 / 20_000)
    assert (parts(frame, SplitSettings(), chunk_rows=777) == found).all()
    assert (parts(frame, SplitSettings(), seed=1) != found).mean() > 0.3


def test_neighbours_are_independent():
    found = parts(pl.DataFrame({"a": range(20_000)}), SplitSettings()) == 0
    both = (found[1:] & found[:-1]).mean()
    assert abs(both - 0.49) < 0.015


def test_groups_stay_together():
    groups = [f"g{i % 700}" for i in range(7000)]
    found = parts(pl.DataFrame({"g": groups}), SplitSettings(group="g"))
    by_group = pl.DataFrame({"g": groups, "part": found}).group_by("g").n_unique()
    assert by_group["part"].to_list() == [1] * 700
    assert np.abs(np.bincount(found) / 7000 - SHARES).max() < 3 * np.sqrt(0.21 / 700)


def test_time_divides_by_its_order_with_equal_times_together():
    times = np.random.default_rng(0).permutation(1000) // 10
    found = parts(pl.DataFrame({"t": times}), SplitSettings(time="t"))
    assert times[found == 0].max() < times[found == 1].min()
    assert times[found == 1].max() < times[found == 2].min()
    assert np.bincount(found).tolist() == [700, 150, 150]


def test_a_gap_is_left_out():
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(100)]
    found = parts(pl.DataFrame({"t": days}), SplitSettings(time="t", gap=5))
    assert np.flatnonzero(found == 0).max() == 69
    assert np.flatnonzero(found == 1).min() == 69 + 5
    assert np.flatnonzero(found == 2).min() == 84 + 5


def test_shares_of_splits_with_files_of_their_own_go_to_the_others():
    frame = pl.DataFrame({"a": range(5000)})
    assert set(parts(frame, SplitSettings(), given=(True, True))) == {0}
    assert set(parts(frame, SplitSettings(), given=(False, True))) == {0, 1}
    assert set(parts(frame, SplitSettings(time="a"), given=(True, True))) == {0}
    assert set(parts(frame, SplitSettings(train=0.8, val=0.0, test=0.2))) == {0, 2}


def test_stratified_and_unordered_times_are_refused():
    frame = pl.DataFrame({"a": ["x", "y"]})
    with pytest.raises(InputError, match="equal shares"):
        parts(frame, SplitSettings(method="stratified"))
    with pytest.raises(InputError, match="cannot be ordered"):
        parts(frame, SplitSettings(time="a"))


def table(rows=3000):
    draw = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "x": draw.normal(size=rows),
            "y": [None if i % 10 == 0 else "abc"[i % 3] for i in range(rows)],
        }
    )


def test_a_survey_counts_the_rows_that_reading_gives():
    chunks = FrameChunks(table(), 130)
    division = Division(SHARES, seed=0)
    found = survey(chunks, ["y"], division, [500, 100])
    for part in range(3):
        rows = SplitRows(chunks, division, part, ["y"], found.counts[part])
        read = [rows.read(number).height for number in range(len(chunks.counts))]
        assert read == found.counts[part]
    assert sum(map(sum, found.counts)) == 2700


def test_samples_are_rows_of_their_split_spread_over_all_chunks():
    frame = table().with_row_index("row")
    chunks = FrameChunks(frame, 130)
    division = Division(SHARES, seed=0)
    found = survey(chunks, ["y"], division, [500, 100])
    part = division.of(frame, 0)
    for split, wanted in ((0, 500), (1, 100)):
        rows = found.samples[split]["row"].to_numpy()
        assert (part[rows] == split).all()
        assert found.samples[split]["y"].null_count() == 0
        assert len(set(rows)) == len(rows)
        assert wanted * 0.8 <= len(rows) <= wanted + len(chunks.counts)
    assert len(set(found.samples[0]["row"].to_numpy() // 130)) == len(chunks.counts)


def test_a_small_table_is_its_own_sample():
    found = survey(FrameChunks(table(200), 30), ["y"], ALL, [1000, 1000])
    assert found.samples[0].equals(table(200).filter(pl.col("y").is_not_null()))


def test_every_class_is_counted_though_it_is_rare():
    frame = pl.DataFrame({"y": ["common"] * 5000 + ["rare"]})
    found = survey(FrameChunks(frame, 100), ["y"], ALL, [10, 10])
    assert sorted(found.values.rows()) == [("common", 5000), ("rare", 1)]


def test_very_many_values_are_not_counted(monkeypatch):
    monkeypatch.setattr("glial.data.streams.surveys.MOST_VALUES", 50)
    found = survey(FrameChunks(pl.DataFrame({"y": range(1000)}), 100), ["y"], ALL, [10, 10])
    assert found.values is None


@pytest.mark.slow
def test_the_mark_tells_other_rows(tmp_path):
    marks = {
        survey(FrameChunks(frame, 100), ["y"], ALL, [3000, 10]).mark
        for frame in (
            table(),
            table().with_columns(y=pl.lit("a")),
            table().with_columns(x=pl.col("x") + 1),
            table().rename({"x": "z"}),
        )
    }
    assert len(marks) == 4
    first, again = (survey(FrameChunks(table(), 100), ["y"], ALL, [9, 9]).mark for _ in range(2))
    assert first == again


def test_targets_and_weights_that_cannot_be_used_are_refused_with_their_row():
    frame = pl.DataFrame({"y": [1.0] * 150 + [float("inf")]})
    with pytest.raises(InputError, match="row 151"):
        survey(FrameChunks(frame, 100), ["y"], ALL, [10, 10], task="regression")
    frame = pl.DataFrame({"y": [1, 2], "w": [1.0, -1.0]})
    with pytest.raises(InputError, match="weight"):
        survey(FrameChunks(frame, 1), ["y"], ALL, [10, 10], weight="w")
    with pytest.raises(InputError, match="no rows to train on"):
        survey(FrameChunks(pl.DataFrame({"y": [None, float("nan")]}), 1), ["y"], ALL, [10, 10])
