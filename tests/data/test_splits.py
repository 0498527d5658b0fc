"""Splits: disjoint, covering, seeded, near the shares asked for, and true to their kind."""

from __future__ import annotations

import datetime
import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from glial.core.errors import InputError
from glial.data import Splits, SplitSettings, folds, split_rows

SHARES = [(0.7, 0.15, 0.15), (0.8, 0.2, 0.0), (0.8, 0.0, 0.2), (1.0, 0.0, 0.0), (0.2, 0.4, 0.4)]
shares = st.sampled_from(SHARES)


def asked(parts: tuple[float, float, float], **rest: object) -> SplitSettings:
    train, val, test = parts
    return SplitSettings.read({"train": train, "val": val, "test": test, **rest})


def check(splits: Splits, num_rows: int, parts: tuple[float, float, float]) -> None:
    rows = np.concatenate(splits)
    assert sorted(rows.tolist()) == list(range(num_rows))
    for split, share in zip(splits, parts, strict=True):
        assert split.dtype == np.int64
        assert (np.diff(split) > 0).all()
        assert (len(split) > 0) == (share > 0)


@given(st.integers(3, 200), shares, st.integers(0, 5))
def test_random_splits(num_rows: int, parts: tuple[float, float, float], seed: int) -> None:
    frame = pl.DataFrame({"a": range(num_rows)})
    splits = split_rows(frame, asked(parts), seed=seed)
    check(splits, num_rows, parts)
    for split, share in zip(splits, parts, strict=True):
        assert abs(len(split) - share * num_rows) <= 2
    again = split_rows(frame, asked(parts), seed=seed)
    assert all(np.array_equal(a, b) for a, b in zip(splits, again, strict=True))


def test_another_seed_splits_otherwise() -> None:
    frame = pl.DataFrame({"a": range(50)})
    first, second = (split_rows(frame, SplitSettings(), seed=seed) for seed in (0, 1))
    assert first.train.tolist() != second.train.tolist()


@given(
    st.lists(st.integers(3, 60), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) >= 14),
    shares,
    st.integers(0, 3),
)
def test_classes_keep_their_shares_within_one_row(
    sizes: list[int], parts: tuple[float, float, float], seed: int
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.random.default_rng(seed).permutation(labels)
    splits = split_rows(pl.DataFrame({"y": labels}), asked(parts), labels=labels, seed=seed)
    check(splits, len(labels), parts)
    for label, size in enumerate(sizes):
        counts = [int((labels[split] == label).sum()) for split in splits]
        assert counts[0] > 0
        for count, share in zip(counts, parts, strict=True):
            assert abs(count - size * share) <= 1 + 1e-9


@given(st.lists(st.integers(1, 4), min_size=2, max_size=8))
def test_small_classes_leave_no_split_empty(sizes: list[int]) -> None:
    assume(sum(sizes) >= 3)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    splits = split_rows(pl.DataFrame({"y": labels}), SplitSettings(), labels=labels)
    check(splits, len(labels), SHARES[0])
    for label, size in enumerate(sizes):
        if size >= 3:
            assert (labels[splits.train] == label).any()


def test_a_class_of_one_row_is_trained_on(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.array([0] * 20 + [1] * 20 + [2])
    splits = split_rows(pl.DataFrame({"y": labels}), SplitSettings(), labels=labels)
    assert 40 in splits.train
    assert "one row only" in caplog.text


@given(st.lists(st.integers(1, 20), min_size=3, max_size=30), shares)
def test_a_group_stays_together(sizes: list[int], parts: tuple[float, float, float]) -> None:
    groups = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    splits = split_rows(pl.DataFrame({"g": groups}), asked(parts, group="g"))
    check(splits, len(groups), parts)
    for split, share in zip(splits, parts, strict=True):
        here = {groups[row] for row in split}
        assert all(groups[row] not in here for row in set(range(len(groups))) - set(split.tolist()))
        assert abs(len(split) - share * len(groups)) <= max(sizes) + 1


@given(st.lists(st.integers(0, 40), min_size=3, max_size=80), shares)
def test_time_runs_from_training_to_testing(
    times: list[int], parts: tuple[float, float, float]
) -> None:
    assume(len(set(times)) >= 3)
    splits = split_rows(pl.DataFrame({"t": times}), asked(parts, time="t"))
    check(splits, len(times), parts)
    moments = [np.array(times)[split] for split in splits if len(split)]
    for earlier, later in itertools.pairwise(moments):
        assert earlier.max() < later.min()


def test_times_may_be_dates_or_text() -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(20)]
    wanted = [list(range(14)), [14, 15, 16], [17, 18, 19]]
    spelt = [day.strftime("%d/%m/%Y") for day in days]
    for cells in (days, [str(day) for day in days], spelt, [str(i) for i in range(20)]):
        splits = split_rows(pl.DataFrame({"t": cells}), asked(SHARES[0], time="t"))
        assert [split.tolist() for split in splits] == wanted


@pytest.mark.parametrize(
    ("columns", "rest", "words"),
    [
        ({"a": [1, 2]}, {}, "2 rows"),
        ({"g": ["a", "a", "b", "b"]}, {"group": "g"}, "2 groups"),
        ({"t": [1, 1, 2, 2]}, {"time": "t"}, "2 different times"),
        ({"t": ["2024-01-01", "soon", "2024-01-02"]}, {"time": "t"}, "'soon'"),
        ({"t": [1, None, 3]}, {"time": "t"}, "cannot be ordered"),
        ({"a": [1, 2, 3]}, {"time": "t"}, "not in the data"),
        ({"a": [1, 2, 3]}, {"group": "g"}, "not in the data"),
        ({"a": [1, 2, 3]}, {"method": "stratified"}, "classes"),
    ],
)
def test_what_cannot_be_split(
    columns: dict[str, list[object]], rest: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        split_rows(pl.DataFrame(columns, strict=False), asked(SHARES[0], **rest))
    assert caught.value.got


@pytest.mark.parametrize("parts", [(0.7, 0.2, 0.2), (0.0, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_shares_must_sum_to_one(parts: tuple[float, float, float]) -> None:
    with pytest.raises(InputError):
        asked(parts)


@pytest.mark.parametrize("method", ["random", "stratified", "group"])
def test_every_row_is_validated_once(method: str) -> None:
    labels = np.arange(30) % 3
    groups = np.arange(30) // 3
    found = list(folds(30, 5, method=method, labels=labels, groups=groups, seed=3))
    assert len(found) == 5
    assert sorted(row for _, val in found for row in val.tolist()) == list(range(30))
    for train, val in found:
        assert sorted([*train.tolist(), *val.tolist()]) == list(range(30))
        if method == "stratified":
            assert np.bincount(labels[val]).tolist() == [2, 2, 2]
        if method == "group":
            assert not set(groups[train]) & set(groups[val])


def test_folds_by_time_train_on_the_past() -> None:
    found = list(folds(12, 3, method="time"))
    assert len(found) == 3
    assert all(train.max() < val.min() for train, val in found)


def test_folds_are_seeded_and_bear_small_classes() -> None:
    labels = np.array([0] * 10 + [1] * 2)
    first, again = (
        [val.tolist() for _, val in folds(12, 3, method="stratified", labels=labels, seed=1)]
        for _ in range(2)
    )
    assert first == again


@pytest.mark.parametrize(
    "request_",
    [
        {"num_rows": 3, "num_folds": 5},
        {"num_rows": 6, "num_folds": 3, "method": "group", "groups": np.zeros(6)},
        {"num_rows": 6, "num_folds": 4, "method": "stratified", "labels": np.arange(6)},
        {"num_rows": 6, "num_folds": 3, "method": "magic"},
    ],
)
def test_impossible_folds(request_: dict[str, object]) -> None:
    with pytest.raises(InputError, match="cannot be made"):
        list(folds(**request_))  # type: ignore[arg-type]
