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


def of_fold(
    frame: pl.DataFrame, settings: SplitSettings, fold: int | None, **rest: object
) -> Splits:
    return split_rows(frame, settings.model_copy(update={"fold": fold}), **rest)  # type: ignore[arg-type]


def of_fold_or_none(
    frame: pl.DataFrame, settings: SplitSettings, fold: int | None
) -> Splits | None:
    try:
        return of_fold(frame, settings, fold)
    except InputError:
        return None


def check_folds(
    frame: pl.DataFrame, settings: SplitSettings, num_folds: int, **rest: object
) -> list[Splits]:
    """Folds cover what is not tested, each row validated once; the test rows are the usual ones."""
    plain = split_rows(frame, settings, **rest)
    folded = settings.model_copy(update={"folds": num_folds})
    whole = split_rows(frame, folded, **rest)
    left = sorted({*range(frame.height)} - set(plain.test.tolist()))
    assert whole.test.tolist() == plain.test.tolist()
    assert (whole.train.tolist(), whole.val.tolist()) == (left, [])
    found = [of_fold(frame, folded, fold, **rest) for fold in range(1, num_folds + 1)]
    for splits in found:
        assert splits.test.tolist() == plain.test.tolist()
        assert len(splits.train) > 0
        assert len(splits.val) > 0
        assert sorted([*splits.train.tolist(), *splits.val.tolist()]) == left
    assert sorted(row for splits in found for row in splits.val.tolist()) == left
    return found


@given(st.integers(8, 90), st.integers(2, 4), shares, st.integers(0, 3))
def test_random_folds_cover_all_but_the_test_rows(
    num_rows: int, num_folds: int, parts: tuple[float, float, float], seed: int
) -> None:
    frame = pl.DataFrame({"a": range(num_rows)})
    found = check_folds(frame, asked(parts), num_folds, seed=seed)
    sizes = [len(splits.val) for splits in found]
    assert max(sizes) - min(sizes) <= 1


@given(st.lists(st.integers(6, 30), min_size=2, max_size=4), st.integers(2, 4), shares)
def test_stratified_folds_keep_the_shares_of_classes(
    sizes: list[int], num_folds: int, parts: tuple[float, float, float]
) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    frame = pl.DataFrame({"y": labels})
    found = check_folds(frame, asked(parts), num_folds, labels=labels)
    for label in range(len(sizes)):
        counts = [int((labels[splits.val] == label).sum()) for splits in found]
        assert max(counts) - min(counts) <= 1


@pytest.mark.slow
@given(st.lists(st.integers(1, 9), min_size=8, max_size=20), st.integers(2, 4), shares)
def test_groups_never_straddle_folds(
    sizes: list[int], num_folds: int, parts: tuple[float, float, float]
) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    frame = pl.DataFrame({"g": [f"g{i}" for i in groups]})
    settings = asked(parts, group="g")
    num_left = len(set(groups) - set(groups[split_rows(frame, settings).test]))
    assume(num_left >= num_folds)
    for splits in check_folds(frame, settings, num_folds):
        train, val, test = (set(groups[rows]) for rows in splits)
        assert len(train | val | test) == len(train) + len(val) + len(test)


@pytest.mark.slow
@given(
    st.lists(st.integers(0, 60), min_size=12, max_size=60),
    st.integers(2, 4),
    shares,
    st.sampled_from([0.0, 1.0, 2.5, 7.0]),
)
def test_folds_by_time_expand_and_leave_gaps(
    cells: list[int], num_folds: int, parts: tuple[float, float, float], gap: float
) -> None:
    times, frame = np.array(cells), pl.DataFrame({"t": cells})
    settings = asked(parts, time="t", gap=gap)
    folded = settings.model_copy(update={"folds": num_folds})
    possible = [of_fold_or_none(frame, folded, fold) for fold in range(1, num_folds + 1)]
    found = [splits for splits in possible if splits is not None]
    assume(len(found) == num_folds)
    plain = split_rows(frame, settings)
    tested = set(split_rows(frame, asked(parts, time="t")).test.tolist())
    end = -np.inf
    for splits in found:
        assert splits.test.tolist() == plain.test.tolist()
        assert times[splits.val].min() - times[splits.train].max() >= max(gap, 1)
        assert times[splits.train].max() > end  # each trains on more than the one before
        end = times[splits.train].max()
        past = times <= end
        assert splits.train.tolist() == np.flatnonzero(past).tolist()
    # Every row is the first stretch's, validates once, tests, or stands within a gap.
    used = [row for splits in found for row in splits.val.tolist()] + plain.test.tolist()
    assert len(set(used)) == len(used)
    ends = [times[splits.train].max() for splits in found]
    ends.append(max(times[row] for row in range(len(cells)) if row not in tested))
    for row in set(range(len(cells))) - set(used) - set(found[0].train.tolist()):
        assert any(0 < times[row] - edge < gap for edge in ends)


@given(st.lists(st.integers(0, 60), min_size=12, max_size=60), st.sampled_from([1.0, 3.0, 6.5]))
def test_a_gap_leaves_out_the_rows_after_the_end_of_a_split(cells: list[int], gap: float) -> None:
    times, frame = np.array(cells), pl.DataFrame({"t": cells})
    assume(len(set(cells)) >= 3)
    whole = split_rows(frame, asked(SHARES[0], time="t"))
    splits = of_fold_or_none(frame, asked(SHARES[0], time="t", gap=gap), None)
    assume(splits is not None)
    assert splits is not None
    assert splits.train.tolist() == whole.train.tolist()
    for before, rows, kept in ((whole.train, whole.val, splits.val), (whole.val, *whole[2:], None)):
        kept = splits.test if kept is None else kept
        assert kept.tolist() == [
            row for row in rows.tolist() if times[row] >= times[before].max() + gap
        ]


def test_a_gap_counts_days_of_dates_and_units_of_numbers() -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(20)]
    for cells in (days, [str(day) for day in days], list(range(20)), [str(i) for i in range(20)]):
        splits = split_rows(pl.DataFrame({"t": cells}), asked(SHARES[0], time="t", gap=3.0))
        # Training ends with day 13 and validation with day 16: the next is 16, then 19.
        assert [part.tolist() for part in splits] == [list(range(14)), [16], [19]]


def test_gaps_and_folds_that_cannot_be() -> None:
    frame = pl.DataFrame({"t": range(20), "g": ["a", "b"] * 10})
    with pytest.raises(InputError, match=r"gap leaves no row"):
        split_rows(frame, asked(SHARES[0], time="t", gap=4.0))
    with pytest.raises(InputError, match=r"data\.split\.time"):
        asked(SHARES[0], gap=4.0)
    for wrong in ({"folds": 1}, {"folds": 3, "fold": 4}, {"folds": 3, "fold": 0}, {"fold": 1}):
        with pytest.raises(InputError):
            asked(SHARES[0], **wrong)
    for rest in ({"folds": 30}, {"folds": 3, "group": "g"}, {"folds": 20, "time": "t"}):
        with pytest.raises(InputError, match=r"folds by|too few"):
            split_rows(frame, asked((0.8, 0.2, 0.0), fold=1, **rest))
