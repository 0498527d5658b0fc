"""Columns that name groups are told from measurements and from categories without a bond."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
import pytest

from glial.data.quality.groups import agreement, find_groups, find_times
from glial.data.quality.sheet import Sheet
from glial.data.settings import Kind

pytestmark = pytest.mark.slow  # trains or judges many tables


def patients(seed: int, purity: float = 1.0) -> pl.DataFrame:
    """80 patients with five rows each; the target is the patient's own in a share of rows."""
    draw = np.random.default_rng(seed)
    patient = draw.permutation(np.repeat(np.arange(80), 5))
    own = draw.integers(0, 2, 80)[patient]
    y = np.where(draw.random(400) < purity, own, draw.integers(0, 2, 400))
    return pl.DataFrame(
        {
            "patient": [f"P{number}" for number in patient],
            "number": 1000 + draw.permutation(80)[patient],
            "age": np.clip(np.round(50 + 15 * y + draw.normal(0, 10, 400)), 20, 99),
            "room": [f"room {number}" for number in draw.integers(0, 60, 400)],
            "y": [f"class {code}" for code in y],
        }
    )


KINDS: dict[str, Kind] = {
    "patient": "category",
    "number": "number",
    "age": "number",
    "room": "category",
}


def hints(frame: pl.DataFrame) -> list[str]:
    parts = [frame[:280], frame[280:340], frame[340:]]
    return [hint.column for hint in find_groups(Sheet.of(parts, ["y"], KINDS, "classification"))]


@pytest.mark.parametrize("purity", [1.0, 0.8])
def test_a_patient_is_found_as_word_and_as_number(purity: float) -> None:
    for seed in range(5):
        assert hints(patients(seed, purity)) == ["patient", "number"]


def test_without_a_bond_nothing_is_suggested() -> None:
    for seed in range(5):
        assert hints(patients(seed, purity=0.0)) == []


def test_numbers_share_too() -> None:
    draw = np.random.default_rng(0)
    house = np.repeat(np.arange(100), 4)
    price = draw.normal(0, 1, 100)[house] + draw.normal(0, 0.3, 400)
    frame = pl.DataFrame({"house": [f"h{n}" for n in house], "y": price})
    parts = [frame[0::2], frame[1::4], frame[3::4]]
    (hint,) = find_groups(Sheet.of(parts, ["y"], {"house": "category"}, "regression"))
    assert hint.crossing_share == 1
    # Between the houses the variance is 1, within them 0.09; by ranks a little otherwise.
    assert hint.sharing == pytest.approx(1 / 1.09, abs=0.06)


def test_groups_that_keep_to_one_split_are_left_alone() -> None:
    frame = patients(0).drop("number").sort("patient")
    kinds = {name: kind for name, kind in KINDS.items() if name != "number"}
    ends = [int((frame["patient"] < mark).sum()) for mark in ("P5", "P7")]
    parts = [frame[: ends[0]], frame[ends[0] : ends[1]], frame[ends[1] :]]
    assert find_groups(Sheet.of(parts, ["y"], kinds, "classification")) == []


def test_agreement_is_that_of_pairs() -> None:
    """The share of equal pairs within groups beside that of all pairs, groups of one size."""
    draw = np.random.default_rng(1)
    groups, codes = np.repeat(np.arange(12), 3), draw.integers(0, 3, 36)
    same = codes[:, None] == codes
    pairs = ~np.eye(36, dtype=bool)
    inside = pairs & (groups[:, None] == groups)
    wanted = (same[inside].mean() - same[pairs].mean()) / (1 - same[pairs].mean())
    one_hot = np.asarray(codes[:, None] == np.arange(3), dtype=np.float64)
    assert agreement(groups, one_hot) == pytest.approx(wanted, abs=1e-12)


def test_days_are_noticed_unless_the_splits_follow_them() -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(30)]
    frame = pl.DataFrame({"day": days, "y": ["u", "v"] * 15})
    in_order = [frame[:20], frame[20:25], frame[25:]]
    mixed = [frame[[*range(19), 27]], frame[19:24], frame[[24, 25, 26, 28, 29]]]

    def hints_of(parts: list[pl.DataFrame]) -> list[tuple[str, int]]:
        found = find_times(Sheet.of(parts, ["y"], {"day": "datetime"}, "classification"))
        return [(hint.column, hint.crossing) for hint in found]

    assert hints_of(in_order) == []
    assert hints_of(mixed) == [("day", 8)]
