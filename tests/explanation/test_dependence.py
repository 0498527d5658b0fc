"""Dependence on columns: against scikit-learn, closed forms, and laws."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import partial_dependence as sklearn_dependence

import glial
from glial.core.errors import InputError
from glial.explanation import (
    interaction_strengths,
    local_effects,
    pair_dependence,
    partial_dependence,
    run_predictor,
)

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(60, 3))


@pytest.fixture(scope="module")
def forest():
    told = ROWS[:, 0] * ROWS[:, 1] + ROWS[:, 2]
    return RandomForestRegressor(5, random_state=0).fit(ROWS, told)


def test_partial_dependence_is_that_of_scikit_learn(forest):
    theirs = sklearn_dependence(forest, ROWS, [1], grid_resolution=20, method="brute", kind="both")
    ours = partial_dependence(forest.predict, ROWS, "1", grid=theirs["grid_values"][0].tolist())
    np.testing.assert_allclose(ours.mean, theirs["average"][0], atol=1e-12)
    np.testing.assert_allclose(ours.curves, theirs["individual"][0], atol=1e-12)
    own = partial_dependence(forest.predict, ROWS, "1")
    np.testing.assert_allclose(own.grid, theirs["grid_values"][0], atol=0.05)


def test_pairs_are_those_of_scikit_learn(forest):
    ours = pair_dependence(forest.predict, ROWS, "0", "2", num_points=5)
    theirs = sklearn_dependence(
        forest,
        ROWS,
        [0, 2],
        custom_values=dict(zip((0, 2), ours.grids, strict=True)),
        method="brute",
    )
    np.testing.assert_allclose(ours.mean, theirs["average"][0], atol=1e-12)
    assert ours.table().height == 25


def test_a_sum_has_parallel_curves_and_a_product_has_not():
    both = (
        partial_dependence(f, ROWS, "0")
        for f in (lambda x: x[:, 0] ** 2 + x[:, 1], lambda x: x[:, 0] * x[:, 1])
    )
    alone, crossed = (found.centred.std(axis=0).max() for found in both)
    assert alone < 1e-12
    assert crossed > 1


def test_grids_are_values_that_occur():
    table = pl.DataFrame({"n": [1, 2, 2, 3], "c": ["y", "x", None, "y"], "k": [1.5, 1.5, 1.5, 1.5]})
    predict = lambda t: t["n"].cast(float).fill_null(0.0)  # noqa: E731
    assert partial_dependence(predict, table, "n").grid.tolist() == [1, 2, 3]
    assert partial_dependence(predict, table, "c").grid.tolist() == ["x", "y"]
    assert partial_dependence(predict, table, "k").grid.tolist() == [1.5]
    told = partial_dependence(predict, table, "n", grid=[7.0])
    assert told.mean.tolist() == [7.0]


def test_errors_are_those_of_means():
    found = partial_dependence(lambda x: x[:, 0] + x[:, 1], ROWS, "0", grid=[0.0])
    assert found.errors[0] == pytest.approx(ROWS[:, 1].std(ddof=1) / np.sqrt(60))
    assert found.table()["low"][0] == pytest.approx(found.mean[0] - 1.96 * found.errors[0])


def test_local_effects_of_a_sum_are_its_parts():
    found = local_effects(lambda x: x[:, 0] ** 2 + 5 * x[:, 1], ROWS, "0", num_bins=10)
    shape = found.grid**2
    np.testing.assert_allclose(np.diff(found.mean), np.diff(shape), atol=1e-12)
    np.testing.assert_allclose(found.errors, 0, atol=1e-12)
    # What it comes to at the rows has a mean of about 0.
    assert abs(np.interp(ROWS[:, 0], found.grid, found.mean).mean()) < 0.1


def test_local_effects_ask_about_rows_that_occur():
    # Where two columns are equal, the function is only known on the diagonal: beyond it is wild.
    rows = np.repeat(RANDOM.uniform(size=(400, 1)), 2, axis=1)

    def wild(x):
        return x[:, 0] + 50 * np.maximum(np.abs(x[:, 0] - x[:, 1]) - 0.1, 0)

    local = local_effects(wild, rows, "0", num_bins=20)
    partial = partial_dependence(wild, rows, "0")
    np.testing.assert_allclose(np.diff(local.mean), np.diff(local.grid), atol=1e-9)
    assert np.abs(np.diff(partial.mean)).max() > 0.5


def test_interactions_of_a_known_function():
    rows = RANDOM.normal(size=(200, 4))
    rows -= rows.mean(axis=0)

    def predict(x):
        return 2 * x[:, 0] * x[:, 1] + x[:, 2] + x[:, 3]

    found = interaction_strengths(predict, rows, most_rows=200)
    by_pair = {row[:2]: row[2:] for row in found.rows()}
    # Columns with a mean of 0: of the product nothing is left to either alone, so that h is 1.
    assert by_pair["0", "1"][0] == pytest.approx(1, abs=1e-9)
    assert by_pair["0", "1"][1] == pytest.approx((2 * rows[:, 0] * rows[:, 1]).std(), rel=1e-6)
    assert max(h for pair, (h, _) in by_pair.items() if pair != ("0", "1")) < 1e-6
    assert interaction_strengths(lambda x: 0 * x[:, 0], rows)["h"].to_list() == [0.0] * 6


def test_half_an_interaction_has_the_h_of_its_formula():
    rows = RANDOM.normal(size=(50, 2))
    found = interaction_strengths(lambda x: (1 + x[:, 0]) * (1 + x[:, 1]), rows)
    mean = rows.mean(axis=0)
    pair = (1 + rows[:, 0]) * (1 + rows[:, 1])
    one, two = (1 + rows[:, 0]) * (1 + mean[1]), (1 + rows[:, 1]) * (1 + mean[0])
    centred = [values - values.mean() for values in (pair, one, two)]
    beyond = ((centred[0] - centred[1] - centred[2]) ** 2).sum()
    assert found["h"][0] == pytest.approx(np.sqrt(beyond / (centred[0] ** 2).sum()))


@pytest.mark.parametrize(
    "call",
    [
        lambda: partial_dependence(len, ROWS, "9"),
        lambda: partial_dependence(len, ROWS[:0], "0"),
        lambda: partial_dependence(len, ROWS * np.nan, "0"),
        lambda: partial_dependence(len, ROWS, "0", num_points=1),
        lambda: partial_dependence(lambda x: x, ROWS, "0"),
        lambda: pair_dependence(len, ROWS, "0", "0"),
        lambda: local_effects(len, np.ones((5, 2)), "0"),
        lambda: local_effects(len, ROWS, "0", num_bins=0),
        lambda: local_effects(len, pl.DataFrame({"c": ["x", "y"]}), "c"),
    ],
)
def test_what_cannot_be_changed_is_refused(call):
    with pytest.raises(InputError):
        call()


@pytest.mark.slow
def test_dependence_of_a_run_on_its_columns():
    random = np.random.default_rng(0)
    table = pl.DataFrame({"a": random.normal(size=400), "b": random.normal(size=400)}).with_columns(
        c=pl.Series(random.choice(["left", "right"], 400))
    )
    score = table["a"].to_numpy() + (table["c"] == "right").to_numpy() - 0.5
    table = table.with_columns(y=pl.Series(np.where(score > 0, "yes", "no")))
    run = glial.train(table, target="y", model="mlp", epochs=15, out=False)
    predict, rows = run_predictor(run).output("yes"), table.select("a", "b", "c")
    spreads = {name: partial_dependence(predict, rows, name).spread for name in rows.columns}
    assert spreads["a"] > spreads["c"] > 3 * spreads["b"]
    found = partial_dependence(predict, rows, "a")
    assert found.mean[0] < 0.25 < 0.75 < found.mean[-1]
    assert partial_dependence(predict, rows, "c").grid.tolist() == ["left", "right"]
    effect = local_effects(predict, rows, "a")
    assert effect.mean[-1] - effect.mean[0] > 0.5
    assert interaction_strengths(predict, rows).row(0)[:2] == ("a", "c")
