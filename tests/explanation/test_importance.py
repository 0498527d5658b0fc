"""Importance by shuffling: against all pairs of rows, scikit-learn, and runs with planted truth."""

from __future__ import annotations

import logging

import numpy as np
import polars as pl
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import permutation_importance as sklearn_importance

import glial
from glial.core.errors import InputError
from glial.explanation import (
    associations,
    exact_shap,
    explain_rows,
    hierarchy,
    kernel_shap,
    permutation_importance,
    permutation_shap,
    run_importance,
    run_predictor,
)

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(40, 4))
WEIGHTS = np.array([3.0, 1.0, 0.5, 0.0])
TRUTH = ROWS @ WEIGHTS + 0.1 * RANDOM.normal(size=40)


class Linear(RegressorMixin, BaseEstimator):
    """What scikit-learn takes for a fitted estimator."""

    def fit(self, x, y):
        return self

    def predict(self, x):
        return x @ WEIGHTS


def squared(told, places):
    return float(np.mean((told - TRUTH[places]) ** 2))


def importance(**options):
    options = {"lower_is_better": True, "num_repeats": 20} | options
    return permutation_importance(lambda x: x @ WEIGHTS, ROWS, squared, **options)


def test_the_mean_over_shufflings_is_that_over_all_pairs_of_rows():
    found = importance(num_repeats=400)
    told = ROWS @ WEIGHTS
    for feature, weight in enumerate(WEIGHTS):
        moved = told[:, None] + weight * (ROWS[None, :, feature] - ROWS[:, None, feature])
        expected = ((moved - TRUTH[:, None]) ** 2).mean() - squared(told, np.arange(40))
        error = found.repeats[feature].std() / 20
        assert abs(found.values[feature] - expected) <= 5 * error + 1e-12


def test_it_is_that_of_scikit_learn():
    theirs = sklearn_importance(
        Linear(), ROWS, TRUTH, scoring="neg_mean_squared_error", n_repeats=200, random_state=0
    )
    ours = importance(num_repeats=200)
    error = np.hypot(theirs.importances_std, ours.repeats.std(axis=1)) / np.sqrt(200)
    assert (np.abs(ours.values - theirs.importances_mean) <= 5 * error + 1e-12).all()
    np.testing.assert_allclose(ours.repeats.std(axis=1), theirs.importances_std, rtol=0.2)


def test_a_feature_that_is_not_read_is_worth_nothing():
    found = importance()
    assert found.values[3] == found.low[3] == found.high[3] == 0
    assert found.table()["feature"].to_list() == ["0", "1", "2", "3"]
    assert found.low[0] > 0


def test_metrics_of_which_more_is_better_fall():
    def r2(told, places):
        truth = TRUTH[places]
        return float(1 - ((told - truth) ** 2).mean() / truth.var())

    found = importance(lower_is_better=False)
    assert (found.values <= 0).all()
    told = permutation_importance(lambda x: x @ WEIGHTS, ROWS, r2)
    assert told.values.argmax() == 0


@pytest.mark.slow
def test_intervals_hold_the_importance_among_all_rows():
    weights, held = np.array([1.0, 0.0]), 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        rows = random.normal(size=(50, 2))
        truth = rows @ weights + random.normal(size=50)
        found = permutation_importance(
            lambda x: x @ weights,
            rows,
            lambda told, places, truth=truth: float(np.mean((told - truth[places]) ** 2)),
            lower_is_better=True,
            num_repeats=20,
            seed=seed,
        )
        held += found.low[0] <= 2.0 <= found.high[0]  # E (x' - x)^2
    assert held >= 52


def test_groups_are_shuffled_together():
    rows = np.column_stack([ROWS[:, 0], ROWS[:, 0], ROWS[:, 1]])
    truth = ROWS[:, 0]

    def metric(told, places):
        return float(np.mean((told - truth[places]) ** 2))

    predict = lambda x: x[:, :2].mean(axis=1)  # noqa: E731
    apart = permutation_importance(predict, rows, metric, lower_is_better=True, num_repeats=50)
    both = permutation_importance(
        predict, rows, metric, lower_is_better=True, groups={"both": ["0", "1"]}, num_repeats=50
    )
    assert both.names == ["both", "2"]
    assert both.values[0] == pytest.approx(4 * apart.values[0], rel=0.2)
    assert apart.correlated == [("0", "1", 1.0)]
    assert both.correlated == []


def test_features_that_stand_in_for_each_other_are_named(caplog):
    with caplog.at_level(logging.WARNING, logger="glial"):
        permutation_importance(
            lambda x: x[:, 0], np.column_stack([TRUTH, TRUTH**3]), squared, lower_is_better=True
        )
    assert "0 and 1 (1.00)" in caplog.text


def test_same_seed_same_numbers():
    assert (importance().repeats == importance().repeats).all()
    assert (importance(seed=1).repeats != importance().repeats).any()


@pytest.mark.parametrize(
    "options", [{"num_repeats": 1}, {"groups": {"a": ["z"]}}, {"groups": {"a": []}}]
)
def test_what_cannot_be_shuffled_is_refused(options):
    with pytest.raises(InputError):
        importance(**options)


def test_one_row_is_refused():
    with pytest.raises(InputError, match="two rows"):
        permutation_importance(lambda x: x[:, 0], ROWS[:1], squared)


def test_associations_of_each_kind():
    number = np.arange(300.0)
    table = pl.DataFrame(
        {
            "number": number,
            "power": number**3,
            "half": np.where(number < 150, "low", "high"),
            "same": np.where(number < 150, "a", "b"),
            "noise": RANDOM.choice(["u", "v", "w"], 300),
            "missing": [None if n % 7 == 0 else n for n in RANDOM.permutation(300).tolist()],
        }
    )
    found = associations(table)
    assert found[0, 1] == pytest.approx(1)
    assert found[2, 3] == pytest.approx(1, abs=0.01)
    # Ranks in two halves: 3/4 of their variance lies between, but for the bias.
    assert found[0, 2] == pytest.approx(np.sqrt(0.75), abs=0.01)
    assert found[4, [0, 2, 5]].max() < 0.2
    assert found[5, [0, 2]].max() < 0.2
    assert (found == found.T).all()
    tree = hierarchy(table)
    assert {frozenset(row[:2].astype(int).tolist()) for row in tree[:2]} == {
        frozenset({0, 1}),
        frozenset({2, 3}),
    }


def test_a_constant_column_depends_on_nothing():
    found = associations(np.column_stack([np.ones(5), np.arange(5.0)]))
    assert found.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    with pytest.raises(InputError):
        hierarchy(np.zeros((3, 1)))


@pytest.fixture(scope="module")
def planted():
    """A table of which columns a and c alone say the class, and a run that learnt it."""
    random = np.random.default_rng(0)
    table = pl.DataFrame(
        {
            "noise": random.normal(size=600),
            "a": random.normal(size=600),
            "b": random.choice(["p", "q"], 600),
            "c": random.choice(["left", "right"], 600),
        }
    )
    right = (table["c"] == "right").to_numpy()
    score = 2 * table["a"].to_numpy() + 2 * right - 1
    table = table.with_columns(y=pl.Series(np.where(score > 0, "yes", "no")))
    run = glial.train(table, target="y", model="mlp", epochs=15, out=False)
    assert run.metrics["test"]["accuracy"] > 0.9
    return run, table


@pytest.mark.slow
def test_planted_columns_are_found_by_shuffling(planted):
    found = run_importance(*planted, num_repeats=4)
    assert set(found.table()["feature"][:2]) == {"a", "c"}
    by_name = dict(zip(found.names, found.values, strict=True))
    assert abs(by_name["noise"]) < 0.03
    assert abs(by_name["b"]) < 0.03
    assert found.metric == "accuracy"
    worse = run_importance(*planted, metric="log_loss", num_repeats=2)
    assert worse.values[worse.names.index("a")] > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("method", [exact_shap, kernel_shap, permutation_shap])
def test_planted_columns_are_found_by_their_values(planted, method):
    run, table = planted
    found = explain_rows(run, method, table.head(20), table, num_background=20)
    ranked = np.argsort(-found.importance)
    assert {found.names[place] for place in ranked[:2]} == {"a", "c"}
    assert found.gap < 1e-6
    told = glial.predict(run, table.head(20)).select(pl.max_horizontal("^probability.*$"))
    np.testing.assert_allclose(found.prediction, told.to_series(), atol=1e-6)


@pytest.mark.slow
def test_a_run_is_a_function_of_its_columns(planted):
    run, table = planted
    predictor = run_predictor(run)
    assert predictor.columns == ["noise", "a", "b", "c"]
    told = glial.predict(run, table)
    np.testing.assert_allclose(predictor.output()(table), told["probability_yes"], atol=1e-6)
    np.testing.assert_allclose(predictor.output("no")(table), told["probability_no"], atol=1e-6)
    with pytest.raises(InputError, match="unknown class 'maybe'"):
        predictor.output("maybe")
    with pytest.raises(InputError, match="unknown class"):
        explain_rows(run, exact_shap, table.head(2), target="maybe")
    with pytest.raises(InputError, match="without a"):
        explain_rows(run, exact_shap, table.drop("a"))
    with pytest.raises(InputError, match="no rows"):
        explain_rows(run, exact_shap, table.head(0))
    with pytest.raises(InputError, match="unknown metric"):
        run_importance(run, table, metric="rmsle")


@pytest.mark.slow
def test_numbers_are_explained_in_their_units():
    random = np.random.default_rng(0)
    table = pl.DataFrame({"a": random.normal(size=300), "b": random.normal(size=300)})
    table = table.with_columns(y=50 + 10 * pl.col("a"))
    settings = {"train.lr": 0.05, "train.batch_size": 16}
    run = glial.train(table, target="y", model="linear", epochs=30, out=False, set=settings)
    found = explain_rows(run, exact_shap, table.head(5), table, num_background=300)
    expected = 10 * (table["a"][:5] - table["a"].mean())
    np.testing.assert_allclose(found.values[:, 0], expected, atol=0.2)
    shuffled = run_importance(run, table, metric="rmse", num_repeats=2)
    assert shuffled.values.argmax() == 0
    assert run_importance(run, table, num_repeats=2).metric == "r2"


@pytest.mark.slow
def test_several_networks_are_explained_as_one_and_in_silence(caplog):
    table = glial.data.read("iris")
    settings = {"data.split.folds": 2}
    run = glial.train(table, target="species", model="linear", epochs=2, out=False, set=settings)
    asked = table.with_columns(pl.lit("about 2").alias("petal_width"))
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="glial"):
        found = explain_rows(run, exact_shap, asked.head(3), asked, num_background=5)
    assert found.gap < 1e-6
    assert caplog.text == ""
