"""Local linear models: against weights and gradients that are known, and captum's LIME."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.linear_model import Ridge

import glial
from glial.core.errors import InputError
from glial.explanation import (
    SegmentGame,
    TableGame,
    WordGame,
    colour_segments,
    exact_shap,
    exact_values,
    explain_rows,
    grid_segments,
    kernel_values,
    lime,
    lime_values,
)
from glial.explanation.functions.local import weighted_ridge

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(3, 4))
BACKGROUND = RANDOM.normal(size=(50, 4)) * [1, 10, 0.1, 1]
WEIGHTS = np.array([1.0, -2.0, 30.0, 0.0])


def linear(rows):
    return rows @ WEIGHTS + 5


def test_the_weights_of_a_linear_function_are_found():
    found = lime(linear, ROWS, BACKGROUND)
    np.testing.assert_allclose(found.coefficients, np.tile(WEIGHTS, (3, 1)), atol=0.05)
    np.testing.assert_allclose(found.fidelity, 1, atol=1e-4)
    exact = exact_shap(linear, ROWS, BACKGROUND)
    np.testing.assert_allclose(found.values, exact.values, rtol=0.02, atol=0.05)
    np.testing.assert_allclose(found.base, exact.base, rtol=0.05, atol=0.2)
    np.testing.assert_allclose(found.prediction, linear(ROWS))
    assert found.gap < 0.2


def test_near_the_row_coefficients_are_the_gradient():
    def wavy(rows):
        return np.sin(rows[:, 0]) + rows[:, 1] ** 2 * rows[:, 3]

    found = lime(wavy, ROWS, BACKGROUND, width=1e-3, num_samples=500)
    x = ROWS.T
    expected = np.stack([np.cos(x[0]), 2 * x[1] * x[3], 0 * x[0], x[1] ** 2], axis=1)
    np.testing.assert_allclose(found.coefficients, expected, atol=0.05)


def test_fidelity_says_where_a_line_does_not_fit():
    straight = lime(linear, ROWS, BACKGROUND)
    bent = lime(lambda x: np.cos(9 * x[:, 0]) * np.cos(9 * x[:, 3]), ROWS, BACKGROUND, width=2.0)
    assert bent.fidelity.max() < 0.3 < 0.99 < straight.fidelity.min()


def test_categories_are_kept_or_changed():
    table = pl.DataFrame({"c": ["x"] * 6 + ["y"] * 2 + ["z"] * 2, "n": np.arange(10.0)})
    predict = lambda t: (t["c"].cast(pl.String) == "x").cast(float) * 3 + t["n"]  # noqa: E731
    found = lime(predict, table[:1], table, num_samples=2000)
    assert found.coefficients[0] == pytest.approx([3.0, 1.0], abs=0.02)
    # What being x adds over the share of x among the background: 3 (1 - 0.6).
    assert found.values[0] == pytest.approx([1.2, -4.5], abs=0.1)


def test_a_missing_number_is_kept_or_drawn():
    table = pl.DataFrame({"n": [None, 1.0, 2.0, 3.0], "m": [1.0, 2.0, 3.0, 4.0]})
    found = lime(
        lambda t: t["n"].cast(pl.Float64, strict=False).is_null().cast(float), table[:1], table
    )
    assert found.coefficients[0, 0] == pytest.approx(1.0, abs=0.05)


def test_ridge_is_that_of_scikit_learn():
    design, told, weights = RANDOM.normal(size=(30, 3)), RANDOM.normal(size=30), RANDOM.random(30)
    design -= np.average(design, axis=0, weights=weights)
    design /= np.sqrt(np.average(design**2, axis=0, weights=weights))
    slope, _, intercept, r2 = weighted_ridge(design, told, weights, ridge=0.1)
    theirs = Ridge(0.1 * weights.sum()).fit(design, told, sample_weight=weights)
    np.testing.assert_allclose(slope, theirs.coef_, atol=1e-9)
    assert intercept == pytest.approx(theirs.intercept_)
    assert r2 == pytest.approx(theirs.score(design, told, weights))
    scaled = weighted_ridge(1000 * design, told, weights, ridge=0.1)[0]
    np.testing.assert_allclose(1000 * scaled, slope, rtol=1e-9)


@pytest.mark.slow
def test_stated_errors_are_those_over_seeds():
    def noisy(rows):
        return np.sin(3 * rows[:, 0]) * rows[:, 3] + rows[:, 2]

    found = [lime(noisy, ROWS[:1], BACKGROUND, num_samples=300, seed=s) for s in range(60)]
    real = np.std([one.coefficients[0, [0, 3]] for one in found], axis=0)
    offset = found[0].values[0, [0, 3]] / found[0].coefficients[0, [0, 3]]
    stated = np.mean([one.errors[0, [0, 3]] for one in found], axis=0) / np.abs(offset)
    np.testing.assert_allclose(stated, real, rtol=0.4)


def test_words_that_say_it_are_found():
    def happy(texts):
        return np.array([0.5 + 0.4 * ("good" in t.split()) - 0.3 * ("bad" in t) for t in texts])

    game = WordGame(happy, "A good book, with a bad end.")
    assert game.names == ["A", "good", "book", "with", "a", "bad", "end"]
    found = lime_values(game)
    assert found.values[0] == pytest.approx([0, 0.4, 0, 0, 0, -0.3, 0], abs=0.01)
    assert found.fidelity[0] > 0.99
    exact = exact_values(game)
    assert exact.values[0] == pytest.approx([0, 0.4, 0, 0, 0, -0.3, 0], abs=1e-12)
    assert kernel_values(game).values[0] == pytest.approx(exact.values[0], abs=1e-6)


def test_a_text_without_words_keeps_its_signs():
    game = WordGame(lambda texts: [len(t) for t in texts], "Well, no!")
    assert game.without(np.array([False, True])) == ", no!"
    with pytest.raises(InputError, match="no word"):
        WordGame(len, " ... ")


def test_parts_of_an_image_that_say_it_are_found():
    image = RANDOM.random((3, 12, 12))
    segments = grid_segments(12, 12, 9)
    weights = np.arange(9.0)

    def predict(images):
        return (images.mean(axis=1) * weights[segments]).sum(axis=(1, 2))

    found = lime_values(SegmentGame(predict, image, segments, cover=0.0), num_samples=500)
    sums = np.bincount(segments.ravel(), image.mean(axis=0).ravel())
    np.testing.assert_allclose(found.values[0], weights * sums, atol=0.5)
    for cover in ("mean", "flat"):
        worth = SegmentGame(predict, image, segments, cover)(np.ones((1, 9), dtype=bool))
        np.testing.assert_allclose(worth, predict(image[None])[None])


def test_covers_of_parts():
    image = np.array([[[1.0, 3.0, 8.0, 8.0]]])
    segments = np.array([[0, 0, 1, 1]])
    none = np.zeros((1, 2), dtype=bool)
    seen = []
    for cover in ("mean", "flat", 7.0):
        SegmentGame(lambda x: seen.append(x) or x.sum(axis=(1, 2, 3)), image, segments, cover)(none)
    np.testing.assert_allclose(
        np.concatenate(seen)[:, 0, 0], [[2, 2, 8, 8], [5, 5, 5, 5], [7, 7, 7, 7]]
    )
    with pytest.raises(InputError, match="do not fit"):
        SegmentGame(len, image, np.array([[0, 0, 2, 2]]))


def test_segments_follow_colours():
    image = np.zeros((3, 20, 20))
    image[0, :, 7:] = 1.0
    segments = colour_segments(image, 16, compactness=0.2)
    left, right = set(segments[:, :7].ravel()), set(segments[:, 7:].ravel())
    assert not left & right
    assert (colour_segments(image, 16) == colour_segments(image, 16)).all()
    assert len(np.unique(grid_segments(30, 20, 6))) == 6


@pytest.mark.slow
def test_coalitions_weigh_as_in_captum():
    from captum.attr import KernelShap, Lime

    row, base = torch.tensor([[1.0, 2.0, -1.0, 0.5]]), torch.zeros(1, 4)
    weights = torch.tensor([1.0, -2.0, 3.0, 0.0])
    theirs = Lime(lambda x: x @ weights).attribute(row, base, n_samples=400)
    game = TableGame(lambda x: x @ weights.double().numpy(), row.double().numpy(), base.numpy())
    ours = lime_values(game, num_samples=400).values[0]
    np.testing.assert_allclose(ours, (row * weights)[0], atol=0.02)
    np.testing.assert_allclose(ours, theirs[0], atol=0.5)  # captum's lasso shrinks
    shap = KernelShap(lambda x: x @ weights).attribute(row, base, n_samples=400)
    np.testing.assert_allclose(ours, shap[0], atol=0.05)


@pytest.mark.parametrize(
    "call",
    [
        lambda: lime(linear, ROWS, BACKGROUND, num_samples=5),
        lambda: lime(linear, ROWS, BACKGROUND, width=0.0),
        lambda: lime(linear, ROWS[:0], BACKGROUND),
        lambda: lime_values(TableGame(linear, ROWS, BACKGROUND), num_samples=5),
        lambda: lime_values(TableGame(linear, ROWS, BACKGROUND), width=-1.0),
    ],
)
def test_too_little_is_refused(call):
    with pytest.raises(InputError):
        call()


def test_a_column_that_never_changes_gets_nothing():
    background = BACKGROUND.copy()
    background[:, 1] = 7.0
    found = lime(linear, ROWS, background)
    assert (found.values[:, 1] == 0).all()
    assert found.fidelity.min() > 0.99


@pytest.mark.slow
def test_planted_columns_of_a_run_are_found():
    random = np.random.default_rng(0)
    table = pl.DataFrame({f"noise{i}": random.normal(size=500) for i in range(3)}).with_columns(
        a=pl.Series(random.normal(size=500)), c=pl.Series(random.choice(["left", "right"], 500))
    )
    score = 2 * table["a"].to_numpy() + 2 * (table["c"] == "right").to_numpy() - 1
    table = table.with_columns(y=pl.Series(np.where(score > 0, "yes", "no")))
    run = glial.train(table, target="y", model="mlp", epochs=15, out=False)
    found = explain_rows(run, lime, table.head(20), table)
    assert {found.names[place] for place in np.argsort(-found.importance)[:2]} == {"a", "c"}
    assert found.coefficients.shape == (20, 5)
    assert found.table().columns[-1] == "fidelity"
    assert found.to_dict()["fidelity"]
