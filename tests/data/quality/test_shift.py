"""Shifts between splits: planted ones are found, shuffled splits are quiet."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glial.data import SplitSettings, infer_columns, load_dataset, split_rows
from glial.data.quality.sheet import Sheet
from glial.data.quality.shift import (
    find_shifts,
    find_unseen,
    holm,
    kolmogorov_smirnov,
    total_variation,
)

pytestmark = pytest.mark.slow  # trains or judges many tables


def made(seed: int, num_rows: int = 600) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    city = draw.choice(["Bonn", "Bern", "Brno"], num_rows, p=[0.6, 0.3, 0.1])
    street = draw.zipf(1.5, num_rows).clip(max=300)
    return pl.DataFrame(
        {
            "age": draw.normal(40, 10, num_rows),
            "rooms": draw.poisson(3, num_rows),
            "city": city.tolist(),
            "street": [f"street {number}" for number in street],
            "y": draw.choice(["u", "v"], num_rows).tolist(),
        }
    )


def sheet_of(*parts: pl.DataFrame) -> Sheet:
    kinds = {"age": "number", "rooms": "number", "city": "category", "street": "category"}
    return Sheet.of(parts, ["y"], kinds, "classification")


def test_shuffled_splits_are_quiet_over_many_seeds() -> None:
    alarms = 0
    for seed in range(60):
        frame = made(seed)
        alarms += len(find_shifts(sheet_of(frame[:400], frame[400:500], frame[500:])))
    assert alarms == 0


@pytest.mark.parametrize("name", ["iris", "breast-cancer", "diabetes"])
def test_shuffled_real_tables_are_quiet(name: str) -> None:
    frame, target, task = load_dataset(name)
    kinds = infer_columns(frame.drop(target), {})
    for seed in range(15):
        parts = [frame[rows] for rows in split_rows(frame, SplitSettings(), seed=seed)]
        assert find_shifts(Sheet.of(parts, [target], kinds, task)) == []


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("age", pl.col("age") + 8),
        ("age", pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("age"))),
        ("city", pl.lit("Bern")),
        ("city", pl.when(pl.int_range(pl.len()) % 3 > 0).then(pl.col("city"))),
        ("y", pl.lit("u")),
    ],
)
def test_a_shifted_column_is_found_and_no_other(column: str, change: pl.Expr) -> None:
    frame = made(7)
    shifted = frame[500:].with_columns(change.alias(column))
    found = find_shifts(sheet_of(frame[:400], frame[400:500], shifted))
    assert {(shift.column, shift.split) for shift in found} == {(column, "test")}
    assert find_shifts(sheet_of(frame[:400], frame[400:500], shifted), passed_over=column) == []


def test_a_significant_but_small_shift_is_passed_over() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.normal(0, 1, 50_000), draw.normal(0.1, 1, 50_000)
    distance, p_value = kolmogorov_smirnov(first, second)
    assert p_value < 1e-20
    assert distance == pytest.approx(0.0399, abs=0.01)  # 2 Phi(0.05) - 1
    parts = [pl.DataFrame({"a": x, "y": ["u", "v"] * 25_000}) for x in (first, second)]
    assert find_shifts(Sheet.of(parts, ["y"], {"a": "number"}, "classification")) == []


def test_total_variation_by_hand() -> None:
    effect, p_value = total_variation(np.array([[30, 70], [60, 40]]))
    assert effect == pytest.approx(0.3)
    # Yates: sum of (|15| - 0.5)^2 / expected over 45, 55, 45, 55 = 16.990
    assert p_value == pytest.approx(3.757e-5, rel=1e-3)
    assert total_variation(np.array([[50, 0], [40, 0]])) == (0.0, 1.0)


def test_rare_values_are_put_together() -> None:
    many = np.concatenate([[[500], [100]], [[1] * 50 + [0] * 50, [0] * 50 + [1] * 50]], axis=1)
    effect, _ = total_variation(many)
    assert effect == pytest.approx(abs(500 / 550 - 100 / 150))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_by_its_definition(p_values: list[float]) -> None:
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    wanted, worst = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, p_values[i] * (len(p_values) - rank)))
        wanted[i] = worst
    assert holm(np.array(p_values)).tolist() == pytest.approx(wanted)


def test_unseen_categories() -> None:
    frame = made(1)
    new = frame[500:].with_columns(
        city=pl.when(pl.int_range(pl.len()) < 20).then(pl.lit("Basel")).otherwise("city")
    )
    (found,) = [u for u in find_unseen(sheet_of(frame[:500], new[:0], new)) if u.column == "city"]
    assert (found.split, found.rows, found.share, found.values) == ("test", 20, 0.2, ["Basel"])
