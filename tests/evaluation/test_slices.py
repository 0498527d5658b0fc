"""Planted weak slices are found and nothing else, and without one nothing is told."""

import numpy as np
import polars as pl
import pytest

from glial.evaluation.failures.slices import weakest_slices
from glial.evaluation.failures.traits import traits_of

COLUMNS = ["age", "job", "city", "text"]


def table(seed, rows=1200):
    random = np.random.default_rng(seed)
    age = random.integers(18, 70, rows).astype(float)
    age[random.random(rows) < 0.1] = np.nan
    frame = pl.DataFrame(
        {
            "age": age,
            "job": random.choice(["cook", "nurse", "pilot", "clerk"], rows),
            "city": random.choice(["Bonn", "Ulm", "Hof"], rows),
            "text": [" ".join(["word"] * int(count)) for count in random.integers(1, 30, rows)],
        }
    )
    return frame, random.exponential(size=rows)


def found(frame, losses, **options):
    return [sorted(one.texts) for one in weakest_slices(frame, losses, COLUMNS, **options)]


@pytest.mark.slow
def test_where_nothing_is_weak_nothing_is_told():
    for seed in range(20):
        assert found(*table(seed), seed=seed) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_value_is_found_alone(seed):
    frame, losses = table(seed)
    losses += 1.0 * (frame["job"] == "nurse").to_numpy()
    assert found(frame, losses, seed=seed) == [["job = nurse"]]


def test_planted_missing_cells_and_lengths_are_found():
    frame, losses = table(0)
    lost = frame["age"].is_nan().to_numpy()
    assert found(frame, losses + 2 * lost) == [["age is missing"]]
    words = frame["text"].str.split(" ").list.len().to_numpy()
    [[told]] = found(frame, losses + 2 * (words > 22))
    assert told.startswith("words of text from 2")


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_pair_is_found_as_a_pair(seed):
    frame, losses = table(seed, rows=3000)
    weak = (frame["job"] == "nurse") & (frame["city"] == "Ulm")
    losses = losses + 2.0 * weak.to_numpy()
    told = found(frame, losses, seed=seed)
    assert told[0] == ["city = Ulm", "job = nurse"]
    assert all(any(name in text for text in texts for name in ("nurse", "Ulm")) for texts in told)


def test_what_is_told_is_measured_on_rows_that_were_not_searched():
    frame, losses = table(0)
    weak = (frame["job"] == "nurse").to_numpy()
    [one] = weakest_slices(frame, losses + weak, COLUMNS)
    assert one.count < weak.sum() * 0.7
    low, high = one.interval
    assert low < 1.0 < high
    assert one.loss - one.rest == pytest.approx(1.0, abs=0.3)
    assert one.p_value <= one.q_value < 0.01
    np.testing.assert_array_equal(one.rows, weak)
    assert one.to_dict()["slice"] == "job = nurse"


def test_small_differences_and_small_slices_are_not_told():
    frame, losses = table(0, rows=20_000)
    assert found(frame, losses + 0.1 * (frame["job"] == "nurse").to_numpy()) == []
    frame, losses = table(0, rows=100)
    assert found(frame, losses + 9.0 * (frame["age"].is_nan()).to_numpy()) == []


def test_clusters_that_are_worse_by_chance_are_no_slice():
    # A slice of few patients, each with a level of loss of its own.
    random = np.random.default_rng(1)
    patients = np.arange(40).repeat(50)
    level = random.normal(size=40)[patients]
    frame = pl.DataFrame({"age": np.where(patients < 10, 1, 2), "x": random.random(2000)})
    loose = sum(
        len(weakest_slices(frame, random.normal(size=40)[patients], ["age"], seed=seed))
        for seed in range(10)
    )
    assert loose > 0
    assert weakest_slices(frame, level, ["age"], clusters=patients) == []


def test_rows_without_weight_or_loss_do_not_count():
    frame, losses = table(0)
    weak = (frame["job"] == "nurse").to_numpy()
    assert found(frame, losses + 2 * weak, weight=1.0 - weak) == []
    assert found(frame, np.where(weak, np.nan, losses)) == []
    assert found(frame.head(0), losses[:0]) == []


def test_traits_of_each_kind_of_column():
    frame = pl.DataFrame(
        {
            "number": [*map(float, range(40)), None],
            "few": [1, 2] * 20 + [1],
            "list": [[1] * (value % 5) for value in range(41)],
            "pixels": pl.Series(
                np.arange(41)[:, None].repeat(4, axis=1).astype(np.uint8),
                dtype=pl.Array(pl.UInt8, 4),
            ),
            "empty": [None] * 41,
            "day": pl.Series([value % 3 for value in range(41)]).cast(pl.Date),
        }
    )
    texts = [trait.text for trait in traits_of(frame, frame.columns)]
    assert texts[:5] == [
        "number from 0 to 9",
        "number from 10 to 19",
        "number from 20 to 29",
        "number from 30 to 39",
        "number is missing",
    ]
    assert "few = 2" in texts
    assert any(text.startswith("length of list") for text in texts)
    assert "mean of pixels from 0 to 10" in texts
    assert "spread of pixels = 0" in texts
    for trait in traits_of(frame, ["number", "few"]):
        assert trait.rows.dtype == bool
