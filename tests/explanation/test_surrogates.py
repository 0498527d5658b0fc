"""Surrogates and rules: against known functions, scikit-learn's trees, and trained networks."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.tree import DecisionTreeClassifier

import glial
from glial.core.errors import InputError
from glial.explanation import (
    Condition,
    Rule,
    extract_rules,
    fidelity,
    fit_surrogate,
    run_surrogate,
)
from glial.explanation.functions.readable import Feature, feature_matrix, readable_features
from glial.explanation.functions.trees import grow_tree, shortest_between

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.uniform(size=(400, 3))


def corner(rows):
    return np.where((rows[:, 0] > 0.5) & (rows[:, 1] <= 0.3), "in", "out")


def test_rules_of_a_known_corner_are_that_corner():
    found = extract_rules(fit_surrogate(corner, ROWS))
    assert found.fidelity.value > 0.97
    assert len(found.rules) == 2
    (rule, rest) = found.rules
    assert (rule.answer, rest.answer) == ("in", "out")
    by_column = {condition.feature.column: condition for condition in rule.conditions}
    assert by_column["0"].low == pytest.approx(0.5, abs=0.02)
    assert by_column["1"].high == pytest.approx(0.3, abs=0.02)
    assert rest.conditions == ()


def test_figures_of_rules_are_those_of_held_out_rows():
    truth = np.where(RANDOM.random(400) < 0.1, "out", corner(ROWS))
    surrogate = fit_surrogate(corner, ROWS, truth, most_leaves=3)
    found = extract_rules(surrogate)
    rows, told = surrogate.held_out, surrogate.told[1]
    assert len(rows) == 100
    said = found.predict(rows)
    assert found.fidelity.value == (said == told).mean()
    assert found.accuracy == (said == surrogate.truth[1]).mean()
    assert found.network_accuracy == (told == surrogate.truth[1]).mean()
    shares = np.array([rule.coverage for rule in found.rules])
    assert shares.sum() == pytest.approx(1)
    assert found.fidelity.value == pytest.approx(shares @ [rule.fidelity for rule in found.rules])
    assert found.accuracy == pytest.approx(shares @ [rule.accuracy for rule in found.rules])
    assert found.to_dict()["rules"][0]["rule"].startswith("if ")


def test_a_tree_is_that_of_scikit_learn():
    told = (ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2] > 0.8).astype(int)
    features = readable_features(ROWS)
    ours = grow_tree(
        lambda x: (x[:, 0] + x[:, 1] * x[:, 2] > 0.8).astype(int),
        ROWS,
        features,
        most_leaves=400,
        least_rows=1,
        num_queries=0,
    )
    assert (ours.answers(pl.DataFrame(ROWS, schema=["0", "1", "2"])) == told).all()
    theirs = DecisionTreeClassifier(random_state=0).fit(ROWS, told)
    assert len(list(ours.paths())) == pytest.approx(theirs.get_n_leaves(), abs=3)
    assert ours.feature.column == str(theirs.tree_.feature[0])
    assert ours.threshold == pytest.approx(theirs.tree_.threshold[0], abs=0.02)


def test_asking_about_made_rows_finds_what_few_rows_do_not_show():
    def decide(rows):
        return (rows[:, 0] > 0.42) ^ (rows[:, 1] > 0.6)

    # Features that go together leave the corners of the square nearly empty.
    base = RANDOM.normal(size=(60, 1))
    rows = np.clip(0.5 + 0.3 * base + 0.05 * RANDOM.normal(size=(60, 2)), 0, 1)
    square = np.random.default_rng(1).uniform(rows.min(), rows.max(), size=(2000, 2))
    shares = []
    for queries in (0, 2000):
        found = fit_surrogate(decide, rows, least_rows=1, num_queries=queries)
        shares.append((found.predict(square) == decide(square)).mean())
    assert shares[1] > shares[0] + 0.1


def test_a_linear_surrogate_finds_the_weights():
    found = fit_surrogate(lambda x: 3 * x[:, 0] - 2 * x[:, 1] + 1, ROWS, form="linear")
    by_name = dict(found.weights.select("feature", "per_unit").iter_rows())
    assert by_name["0"] == pytest.approx(3, abs=1e-3)
    assert by_name["1"] == pytest.approx(-2, abs=1e-3)
    assert by_name["2"] == pytest.approx(0, abs=1e-3)
    assert found.fidelity.measure == "r2"
    assert found.fidelity.value == pytest.approx(1, abs=1e-5)
    deviation = found.fitted.std(axis=0)[0]
    assert found.weights["per_deviation"][0] == pytest.approx(3 * deviation, rel=1e-3)


def test_few_features_are_kept_of_a_linear_surrogate_of_classes():
    rows = RANDOM.normal(size=(500, 8))
    found = fit_surrogate(
        lambda x: x @ [0, 0, 4, 0, 0, -3, 0, 0] > 0, rows, form="linear", most_features=2
    )
    assert {feature.column for feature in found.features} == {"2", "5"}
    assert found.fidelity.value > 0.95
    three = fit_surrogate(lambda x: x[:, :3].argmax(axis=1), rows, form="linear")
    assert sorted(three.weights["class"].unique()) == ["0", "1", "2"]
    assert three.fidelity.value > 0.9


def test_numbers_have_rules_too():
    found = extract_rules(fit_surrogate(lambda x: np.floor(4 * x[:, 0]), ROWS, most_leaves=4))
    assert found.fidelity.value > 0.95
    assert sorted(rule.answer for rule in found.rules) == [0, 1, 2, 3]
    np.testing.assert_allclose(
        [rule.fidelity for rule in found.rules], 0, atol=0.2
    )  # root mean squared differences


def test_categories_and_missing_cells_are_told_by_name():
    table = pl.DataFrame(
        {
            "sex": ["male", "female"] * 100,
            "age": [None if n % 5 == 0 else n % 60 for n in range(200)],
            "town": RANDOM.choice(["Ulm", "Bonn", "Trier"], 200),
        }
    )

    def decide(frame):
        young = (frame["age"] < 20).fill_null(False) & frame["town"].is_in(["Ulm", "Bonn"]).not_()
        return np.where(young, "young", "other")

    surrogate = fit_surrogate(decide, table, least_rows=2)
    found = extract_rules(surrogate)
    assert found.fidelity.value > 0.9
    text = str(found)
    assert "town is not Trier" in text
    assert "age > 2" in text
    assert [f.name for f in readable_features(table)][:3] == ["sex is female", "sex is male", "age"]


def test_conditions_in_words_and_on_rows():
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0, None], "b": ["x", "y", "z", "x"]})
    conditions = (
        Condition(Feature("a", fill=2.0), low=1.5, high=2.5),
        Condition(Feature("b", "category", "x"), high=0.5),
        Condition(Feature("b", "category", "z"), high=0.5),
    )
    rule = Rule(conditions, "yes")
    assert str(rule) == "if 1.5 < a <= 2.5 and b is none of x, z then yes"
    assert rule.holds(frame).tolist() == [False, True, False, False]
    assert str(Rule(conditions[:2], 2.5)) == "if 1.5 < a <= 2.5 and b is not x then 2.5"
    assert str(Rule((), "no")) == "else no"
    assert str(Condition(Feature("a", "missing"), low=0.5)) == "a is missing"
    assert str(Condition(Feature("a", "missing"), high=0.5)) == "a is not missing"


def test_matrix_of_features_by_hand():
    table = pl.DataFrame({"a": ["1", "?", "3"] * 5, "b": ["x", "y", "x"] * 5, "c": ["k"] * 15})
    features = readable_features(table)
    assert [f.name for f in features] == ["a", "a is missing", "b is x", "b is y"]
    assert feature_matrix(features, table[:3]).tolist() == [
        [1, 0, 1, 0],
        [2, 1, 0, 1],
        [3, 0, 1, 0],
    ]


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(2.4, 2.6, 2.5), (-1.0, 2.0, 0.0), (99.2, 104.7, 100.0)]
)
def test_the_shortest_number_between_two(low, high, expected):
    assert shortest_between(low, high) == expected


def test_a_threshold_always_parts_its_two_numbers():
    for low in RANDOM.normal(size=200) * 10.0 ** RANDOM.integers(-6, 7, size=200):
        high = np.nextafter(low, np.inf)
        assert low <= shortest_between(low, high) < high
        assert low <= shortest_between(low, low + abs(low)) < low + abs(low)


def test_the_interval_of_an_agreement_is_wilson_s():
    told = np.array(["a"] * 81 + ["b"] * 19)
    found = fidelity(np.array(["a"] * 100), told, told)
    # (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), p = 0.81, n = 100, z = 1.96
    assert (found.low, found.high) == (
        pytest.approx(0.7222, abs=1e-4),
        pytest.approx(0.8749, abs=1e-4),
    )
    assert found.baseline == 0.81


@pytest.mark.parametrize(
    "call",
    [
        lambda: fit_surrogate(corner, ROWS[:4]),
        lambda: fit_surrogate(lambda x: np.zeros(len(x), dtype=int), ROWS),
        lambda: fit_surrogate(lambda x: x, ROWS),
        lambda: fit_surrogate(lambda x: x[:, 0] * np.nan, ROWS),
        lambda: fit_surrogate(corner, ROWS, most_leaves=1),
        lambda: fit_surrogate(corner, np.zeros((0, 3))),
        lambda: fit_surrogate(lambda x: np.arange(len(x)), np.ones((20, 2))),
        lambda: extract_rules(fit_surrogate(corner, ROWS, form="linear")),
    ],
)
def test_what_has_no_surrogate_is_refused(call):
    with pytest.raises(InputError):
        call()


def test_same_seed_same_rules():
    one, same = (str(extract_rules(fit_surrogate(corner, ROWS, seed=3))) for _ in range(2))
    assert one == same


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_rules_of_a_network_of_irises_are_faithful(seed):
    run = glial.train("iris", epochs=40, out=False, set={"train.seed": seed})
    surrogate = run_surrogate(run, "iris", seed=seed)
    found = extract_rules(surrogate)
    assert surrogate.fidelity.value >= 0.9
    assert found.fidelity.value >= 0.9
    assert found.fidelity.value > found.fidelity.baseline + 0.3
    assert len(found.rules) <= 6
    linear = run_surrogate(run, "iris", form="linear", seed=seed)
    assert linear.fidelity.value > 0.85


@pytest.mark.slow
@pytest.mark.shared_data
def test_rules_of_a_network_of_adults_are_faithful(shared_data):
    path = str(shared_data / "adult.csv.gz")
    run = glial.train(path, target="income-per-year", epochs=1, out=False)
    found = extract_rules(run_surrogate(run, path, most=8_000))
    assert found.fidelity.low >= 0.9
    assert found.fidelity.value > found.fidelity.baseline + 0.05
    assert found.accuracy > 0.82


@pytest.mark.slow
def test_planted_columns_stand_in_the_rules():
    random = np.random.default_rng(0)
    table = pl.DataFrame({f"noise{i}": random.normal(size=600) for i in range(4)}).with_columns(
        a=pl.Series(random.normal(size=600)), c=pl.Series(random.choice(["left", "right"], 600))
    )
    score = table["a"].to_numpy() + (table["c"] == "right").to_numpy()
    table = table.with_columns(y=pl.Series(np.where(score > 0.5, "yes", "no")))
    run = glial.train(table, target="y", model="mlp", epochs=15, out=False)
    for form in ("tree", "linear"):
        found = run_surrogate(run, table, form=form, most_features=2)
        assert {"a", "c"} >= {f.column for f in found.features[:2]}
        assert found.fidelity.value > 0.9
    with pytest.raises(InputError, match="unknown target"):
        run_surrogate(run, table, target="z")


@pytest.mark.slow
def test_numbers_of_a_run_have_a_surrogate():
    random = np.random.default_rng(0)
    table = pl.DataFrame({"a": random.normal(size=300), "b": random.normal(size=300)})
    table = table.with_columns(y=50 + 10 * pl.col("a"))
    settings = {"train.lr": 0.05, "train.batch_size": 16}
    run = glial.train(table, target="y", model="linear", epochs=30, out=False, set=settings)
    found = run_surrogate(run, table, form="linear")
    assert found.fidelity.value > 0.999
    assert found.weights.row(0)[1] == "a"
    assert found.weights["per_unit"][0] == pytest.approx(10, rel=0.02)
    assert found.accuracy == pytest.approx(found.network_accuracy, abs=0.01)
