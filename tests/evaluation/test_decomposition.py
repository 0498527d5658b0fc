"""Bias, variance and noise: sums are exact, known cases come out, and the right part is named."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from glial.core.errors import InputError
from glial.evaluation import (
    bias_variance,
    distance_contrast,
    pac_rows,
    squared_decomposition,
    zero_one_decomposition,
)


def test_squared_errors_add_up_to_the_last_bit():
    random = np.random.default_rng(0)
    predictions, truth = random.normal(size=(7, 30, 2)), random.normal(size=(30, 2))
    noise = random.uniform(size=(30, 1))
    found = squared_decomposition(predictions, truth, noise)
    total = found.bias + found.variance + found.noise
    assert total == pytest.approx(found.error, rel=1e-14)
    assert squared_decomposition(predictions, truth).error == ((predictions - truth) ** 2).mean()


def test_error_is_that_against_targets_with_new_noise():
    random = np.random.default_rng(0)
    predictions, truth = random.normal(size=(5, 4)), random.normal(size=4)
    targets = truth + 0.7 * random.normal(size=(20_000, 4))
    seen = np.mean([((predictions - y) ** 2).mean() for y in targets])
    assert squared_decomposition(predictions, truth, 0.49).error == pytest.approx(seen, rel=0.02)


def test_zero_one_errors_add_up_with_two_classes_and_noise():
    random = np.random.default_rng(0)
    predictions, truth = random.integers(2, size=(9, 40)), random.integers(2, size=40)
    noise = random.uniform(0, 0.5, size=40)
    found = zero_one_decomposition(predictions, truth, noise)
    wrong = predictions != truth
    expected = np.where(wrong, 1 - noise, noise).mean()
    assert found.error == pytest.approx(expected, rel=1e-14)
    assert found.bias + found.variance + found.noise == pytest.approx(expected, rel=1e-14)


def test_zero_one_errors_add_up_with_many_classes():
    random = np.random.default_rng(1)
    predictions, truth = random.integers(5, size=(8, 60)), random.integers(5, size=60)
    found = zero_one_decomposition(predictions, truth)
    assert found.error == pytest.approx((predictions != truth).mean(), rel=1e-14)
    assert found.bias + found.variance == pytest.approx(found.error, rel=1e-14)


def test_variance_helps_where_the_main_prediction_is_wrong():
    # Domingos 2000: on a biased row, disagreement can only mend.
    found = zero_one_decomposition(np.array([[1], [1], [0]]), np.array([0]))
    assert found.bias == 1.0
    assert found.variance == pytest.approx(-1 / 3)
    assert found.error == pytest.approx(2 / 3)
    assert found.spread == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("predictions", "truth"),
    [(np.zeros((1, 3)), np.zeros(3)), (np.zeros((3, 2)), np.zeros(3)), (np.zeros((3, 0)), [])],
)
def test_what_cannot_be_divided_is_refused(predictions, truth):
    with pytest.raises(InputError):
        squared_decomposition(predictions, np.array(truth))
    with pytest.raises(InputError):
        zero_one_decomposition(predictions.astype(int), np.array(truth, dtype=int))


def test_noise_of_many_classes_is_refused():
    with pytest.raises(InputError, match="two classes"):
        zero_one_decomposition(np.array([[2], [1]]), np.array([0]), 0.1)


def parabola(rows: int = 240) -> pl.DataFrame:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, rows)
    return pl.DataFrame({"x": x, "y": x**2 + 0.3 * random.normal(size=rows), "clean": x**2})


@pytest.mark.slow
def test_a_line_through_a_parabola_is_bias_and_an_overfit_network_variance():
    split = {"data.split.train": 0.35, "data.split.val": 0.05, "data.split.test": 0.6}
    given = {"truth": "clean", "way": "parts", "repeats": 6}  # parts of 14 rows
    line = bias_variance(
        parabola(),
        "y",
        **given,
        set=split | {"model.name": "linear", "train.epochs": 40, "train.lr": 0.05},
    ).parts[0]
    wide = bias_variance(
        parabola(),
        "y",
        **given,
        set=split
        | {
            "model.name": "mlp",
            "model.hidden_sizes": [64, 64],
            "model.dropout": 0.0,
            "train.epochs": 120,
            "train.lr": 0.01,
            "train.weight_decay": 0.0,
            "train.restore_best": False,
            "train.patience": 1000,
        },
    ).parts[0]
    for part in (line, wide):
        total = part.bias + part.variance + part.noise
        assert total == pytest.approx(part.error, rel=1e-12)
        assert part.noise == pytest.approx(0.09, rel=0.4)
    assert line.bias > 3 * line.variance
    assert wide.variance > 2 * wide.bias
    assert wide.bias < line.bias / 3
    assert wide.variance > line.variance


@pytest.mark.slow
def test_divisions_of_classes_and_what_is_refused(tmp_path):
    asked = {"model.name": "linear", "train.epochs": 3}
    found = bias_variance(
        "iris", over="train.lr", values=[1e-3, 0.1], way="parts", repeats=2, set=asked, out=tmp_path
    )
    assert [row["value"] for row in found.table()] == [1e-3, 0.1]
    for part in found.parts:
        assert part.loss == "zero_one"
        assert part.bias + part.variance == pytest.approx(part.error)
    assert found.parts[1].error < found.parts[0].error
    assert {path.name for path in tmp_path.iterdir()} >= {"curve.svg", "curve.csv", "curve.json"}
    for wrong in ({"repeats": 1}, {"way": "half"}, {"over": "train.lr"}, {"truth": "none"}):
        with pytest.raises(InputError):
            bias_variance("iris", set=asked, **{"repeats": 2} | wrong)
    with pytest.raises(InputError):
        bias_variance(parabola(), "y", truth="none", repeats=2, set=asked)
    with pytest.raises(InputError, match="too small"):
        bias_variance("iris", repeats=100, way="parts", set=asked)


def test_contrast_of_distances_falls_with_columns():
    random = np.random.default_rng(0)
    found = [
        distance_contrast(random.uniform(size=(300, d)), random.uniform(size=(10, d)))
        for d in (2, 10, 100, 1000)
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] > 10
    assert found[-1] < 0.3
    with pytest.raises(InputError):
        distance_contrast(np.zeros((2, 2)), np.zeros((1, 2)))
    with pytest.raises(InputError):
        distance_contrast(np.zeros((2, 2)), np.ones((1, 3)))


def test_consistent_rules_keep_the_bound_of_pac_learning():
    """Thresholds on a grid: of rules that fit all rows hardly any is worse than promised."""
    random, grid = np.random.default_rng(0), np.linspace(0, 1, 101)
    rows = pac_rows(len(grid), error=0.1, confidence=0.9)
    assert rows == 70  # (ln 101 + ln 10) / 0.1 = 69.2
    broken = 0
    for _ in range(500):
        true = random.choice(grid)
        x = random.uniform(size=rows)
        fits = [h for h in grid if ((x > h) == (x > true)).all()]
        broken += max(abs(h - true) for h in fits) > 0.1
    assert broken / 500 <= 0.1
    for wrong in ((0, 0.1, 0.9), (10, 0, 0.9), (10, 0.1, 1.0)):
        with pytest.raises(InputError):
            pac_rows(*wrong)
