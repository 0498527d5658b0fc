"""Resampling: counts come out equal, rows made up lie between neighbours, the rest is refused."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from glial.core.errors import InputError
from glial.data import Batch
from glial.data.sampling import resample

SYNTHETIC = ("smote", "borderline_smote", "svm_smote", "adasyn", "smote_tomek", "smote_enn")
CLEANED = ("smote_tomek", "smote_enn")


def drawn(counts: tuple[int, ...] = (120, 25), width: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(0)
    codes = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    numbers = torch.randn(len(codes), width, generator=generator) + 0.8 * codes[:, None]
    return Batch((numbers,), codes)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=4), st.integers(0, 3))
def test_over_repeats_and_under_drops_until_counts_are_equal(counts: list[int], seed: int) -> None:
    codes = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    index = torch.arange(len(codes))
    rows = Batch((index.float()[:, None],), codes, index.float())
    over, under = (resample(rows, method, seed=seed) for method in ("over", "under"))
    assert over.target.bincount().tolist() == [max(counts)] * len(counts)
    assert under.target.bincount().tolist() == [min(counts)] * len(counts)
    for found in (over, under):
        assert found.weight is not None
        assert torch.equal(found.weight, found.inputs[0][:, 0])  # whole rows, weights included
        assert torch.equal(codes[found.weight.long()], found.target)
    times = over.inputs[0][:, 0].long().bincount(minlength=len(codes))
    floor = max(counts) // torch.tensor(counts)
    assert (times >= floor[codes]).all()
    assert (times <= floor[codes] + 1).all()
    assert under.inputs[0].unique().numel() == len(under.target)


def test_none_and_weighted_leave_the_rows_alone() -> None:
    rows = drawn()
    assert resample(rows, "none", seed=0) is rows
    assert resample(rows, "weighted", seed=0) is rows


@pytest.mark.parametrize("method", ["over", "under", "smote"])
def test_the_same_seed_gives_the_same_rows(method: str) -> None:
    first, again, other = (resample(drawn(), method, seed=seed) for seed in (0, 0, 1))  # type: ignore[arg-type]
    assert torch.equal(first.inputs[0], again.inputs[0])
    assert not torch.equal(first.inputs[0], other.inputs[0])


@pytest.mark.parametrize("method", ["smote", "borderline_smote"])
def test_made_up_rows_make_counts_equal(method: str) -> None:
    rows = resample(drawn(), method, seed=0)  # type: ignore[arg-type]
    assert rows.target.bincount().tolist() == [120, 120]


@pytest.mark.parametrize("method", ["adasyn", "svm_smote", "smote_tomek"])
def test_other_methods_make_counts_nearly_equal(method: str) -> None:
    counts = resample(drawn(), method, seed=0).target.bincount()  # type: ignore[arg-type]
    assert counts.min() > 0.85 * counts.max()


def between_neighbours(row: np.ndarray, minority: np.ndarray, neighbours: np.ndarray) -> bool:
    """Whether a row lies on a segment from a minority row to one of its neighbours."""
    for start, ends in zip(minority, neighbours, strict=True):
        step = minority[ends] - start
        share = ((row - start) @ step.T) / (step**2).sum(axis=1)
        nearest = start + share[:, None] * step
        on_line = np.abs(nearest - row).max(axis=1) < 1e-5
        if (on_line & (share >= -1e-6) & (share <= 1 + 1e-6)).any():
            return True
    return False


@pytest.mark.parametrize("method", ["smote", "borderline_smote", "adasyn", "smote_tomek"])
def test_made_up_rows_lie_between_minority_neighbours(method: str) -> None:
    before = drawn()
    minority = before.inputs[0][before.target == 1].double().numpy()
    neighbours = cdist(minority, minority).argsort(axis=1)[:, 1:6]
    after = resample(before, method, seed=0)  # type: ignore[arg-type]
    found = after.inputs[0][after.target == 1].double().numpy()
    old = {tuple(row) for row in minority}
    new = [row for row in found if tuple(row) not in old]
    assert len(new) > 60
    assert all(between_neighbours(row, minority, neighbours) for row in new)


@pytest.mark.parametrize("method", SYNTHETIC)
def test_majority_rows_are_never_made_up_and_stay_unless_cleaned(method: str) -> None:
    before = drawn()
    after = resample(before, method, seed=0)  # type: ignore[arg-type]
    old, new = (
        {tuple(row) for row in rows.inputs[0][rows.target == 0].tolist()}
        for rows in (before, after)
    )
    assert new <= old if method in CLEANED else new == old


def test_near_miss_keeps_the_majority_rows_nearest_the_minority() -> None:
    rows = drawn((40, 6))._replace(weight=torch.arange(46.0))
    found = resample(rows, "near_miss", seed=0)
    assert found.target.bincount().tolist() == [6, 6]
    x = rows.inputs[0].double()
    nearest = torch.cdist(x[:40], x[40:]).sort(dim=1).values[:, :3].mean(dim=1)
    expected = [*sorted(nearest.argsort()[:6].tolist()), *range(40, 46)]
    assert found.weight is not None
    assert sorted(found.weight.long().tolist()) == expected


@pytest.mark.parametrize("width", [0, 2])
def test_codes_of_made_up_rows_are_codes_that_the_class_has(width: int) -> None:
    rows = drawn(width=2)
    codes = torch.stack([rows.target * 3 + torch.arange(145) % 3, torch.arange(145) % 2], dim=1)
    found = resample(Batch((rows.inputs[0][:, :width], codes), rows.target), "smote", seed=0)
    assert found.target.bincount().tolist() == [120, 120]
    assert found.inputs[1].dtype == torch.int64
    old, new = (c[t == 1] for c, t in ((codes, rows.target), (found.inputs[1], found.target)))
    for column in range(2):
        assert set(new[:, column].tolist()) <= set(old[:, column].tolist())


@pytest.mark.parametrize("method", ["near_miss", "adasyn", "smote_tomek", "svm_smote"])
def test_codes_are_refused_where_only_distances_help(method: str) -> None:
    rows = drawn()
    rows = Batch((*rows.inputs, rows.target[:, None]), rows.target)
    with pytest.raises(InputError, match=r"data\.categories=one-hot"):
        resample(rows, method, seed=0)  # type: ignore[arg-type]


def test_weights_and_missing_numbers_are_refused_where_rows_are_made_up() -> None:
    rows = drawn()
    with pytest.raises(InputError, match=r"data\.weight"):
        resample(rows._replace(weight=torch.ones(145)), "smote", seed=0)
    rows.inputs[0][3, 1] = float("nan")
    with pytest.raises(InputError, match=r"data\.missing"):
        resample(rows, "smote", seed=0)


def test_few_rows_lower_the_neighbours_and_one_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "glial"):
        found = resample(drawn((30, 3)), "smote", seed=0)
    assert found.target.bincount().tolist() == [30, 30]
    assert "2 neighbours" in caplog.text
    with pytest.raises(InputError, match="at least two"):
        resample(drawn((30, 1)), "smote", seed=0)


def test_what_the_package_cannot_do_is_an_input_error() -> None:
    rows = drawn((60, 20))
    rows.inputs[0][rows.target == 1] += 100.0  # no minority row has a majority neighbour
    with pytest.raises(InputError, match="found no rows"):
        resample(rows, "adasyn", seed=0)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("imblearn", "imblearn.over_sampling"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"glial\[imbalance\]"):
        resample(drawn(), "smote", seed=0)
