"""Columns that give the target away: planted ones are found, honest ones are not accused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from glial.data import infer_columns, load_dataset
from glial.data.quality.leaks import find_giveaways
from glial.data.quality.sheet import Sheet

pytestmark = pytest.mark.slow  # trains or judges many tables

HONEST = ["iris", "wine", "breast-cancer", "digits", "diabetes", "two-moons", "blobs", "xor"]


def sheet_of(name: str, planted: pl.Series | None = None) -> Sheet:
    frame, target, task = load_dataset(name)
    kinds = infer_columns(frame.drop(target), {})
    if planted is not None:
        frame = frame.with_columns(planted.alias("planted"))
        kinds["planted"] = "number" if planted.dtype.is_numeric() else "category"
    return Sheet.of([frame], [target], kinds, task)


def names(sheet: Sheet, **rest: int) -> list[str]:
    return [found.column for found in find_giveaways(sheet, **rest)]


@pytest.mark.parametrize("name", HONEST)
def test_honest_columns_are_not_accused(name: str) -> None:
    for seed in range(3):
        assert names(sheet_of(name), seed=seed) == []


def planted_classes(name: str) -> dict[str, pl.Series]:
    frame, target, _ = load_dataset(name)
    words = np.array(frame[target].cast(pl.String).to_list())
    classes, codes = np.unique(words, return_inverse=True)
    draw = np.random.default_rng(5)
    flipped = codes.copy()
    rows = draw.choice(len(codes), max(1, len(codes) // 100), replace=False)
    flipped[rows] = (codes[rows] + 1) % len(classes)
    wards = draw.integers(0, 4, len(codes)) * len(classes) + codes
    return {
        "copy": pl.Series(words.tolist()),
        "monotone": pl.Series(np.exp(1.3 * codes)),
        "noisy copy": pl.Series(classes[flipped].tolist()),
        "noisy number": pl.Series(codes + draw.normal(0, 0.01, len(codes))),
        "encoding category": pl.Series([f"ward {ward}" for ward in wards]),
    }


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer", "digits"])
def test_a_class_given_away_is_found(name: str) -> None:
    for kind, planted in planted_classes(name).items():
        assert names(sheet_of(name, planted)) == ["planted"], kind


@pytest.mark.parametrize("num_rows", [100, 442])
def test_a_number_given_away_is_found(num_rows: int) -> None:
    frame, target, task = load_dataset("diabetes")
    frame = frame.head(num_rows)
    kinds = {**infer_columns(frame.drop(target), {}), "planted": "number"}
    y = frame[target].cast(pl.Float64).to_numpy()
    noise = np.random.default_rng(2).normal(0, 0.01 * y.std(), num_rows)
    for planted in (y, -np.log(y), y**3, y + noise):
        given = frame.with_columns(planted=pl.Series(planted))
        assert names(Sheet.of([given], [target], kinds, task)) == ["planted"]


def test_the_score_is_that_of_scikit_learn() -> None:
    """A copy with 1 % of its rows flipped: Matthews' correlation of the copy itself."""
    from sklearn.metrics import matthews_corrcoef

    frame, target, _ = load_dataset("digits")
    planted = planted_classes("digits")["noisy copy"]
    wanted = matthews_corrcoef(frame[target].cast(pl.String).to_list(), planted.to_list())
    (found,) = find_giveaways(sheet_of("digits", planted))
    assert found.score == pytest.approx(wanted, abs=1e-12)
    assert (found.measure, found.rows) == ("matthews_corrcoef", 1797)


def test_the_only_input_and_few_rows_are_not_examined() -> None:
    frame = pl.DataFrame({"a": range(100), "b": [0, 1] * 50, "y": range(100)})
    one = Sheet.of([frame], ["y"], {"a": "number"}, "regression")
    both = Sheet.of([frame], ["y"], {"a": "number", "b": "number"}, "regression")
    few = Sheet.of([frame.head(20)], ["y"], {"a": "number", "b": "number"}, "regression")
    assert (names(one), names(both), names(few)) == ([], ["a"], [])


def test_each_of_several_targets_is_examined() -> None:
    draw = np.random.default_rng(0)
    y, z = (draw.choice(["yes", "no"], 200).tolist() for _ in range(2))
    frame = pl.DataFrame({"a": draw.normal(size=200), "copy": z, "y": y, "z": z})
    kinds = {"a": "number", "copy": "boolean"}
    (found,) = find_giveaways(Sheet.of([frame], ["y", "z"], kinds, "multilabel"))
    assert (found.column, found.target, found.score) == ("copy", "z", 1.0)


def test_a_sample_is_seeded() -> None:
    planted = planted_classes("digits")["noisy copy"]
    sheet = sheet_of("digits", planted)
    first, again = (find_giveaways(sheet, seed=3, num_rows=500) for _ in range(2))
    assert first == again
    assert first[0].rows == 500


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["adult", "california-housing"])
def test_real_tables_are_not_accused(name, shared_data, monkeypatch) -> None:
    monkeypatch.setenv("GLIAL_DATA", str(shared_data))
    assert names(sheet_of(name)) == []


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("form", ["number", "category"])
def test_a_giveaway_is_found_among_very_many_columns(task: str, form: str) -> None:
    draw = np.random.default_rng(0)
    codes = draw.integers(0, 12, 400)
    hidden = codes * 5 % 12  # neither monotone nor smooth
    target = pl.Series([f"class {code % 3}" for code in codes] if task != "regression" else codes)
    planted = pl.Series(hidden if form == "number" else [f"ward {code}" for code in hidden])
    noise = {f"noise {i}": draw.standard_normal(400) for i in range(800)}
    frame = pl.DataFrame({**noise, "planted": planted, "y": target})
    kinds = infer_columns(frame.drop("y"), {"planted": form})
    assert names(Sheet.of([frame], ["y"], kinds, task)) == ["planted"]
