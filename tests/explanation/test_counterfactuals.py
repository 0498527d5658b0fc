"""Counterfactuals and near examples: least changes by hand and by search, and a trained run."""

from __future__ import annotations

import itertools
import math

import numpy as np
import polars as pl
import pytest

import glial
from glial.core.errors import InputError
from glial.explanation import (
    column_gaps,
    find_counterfactuals,
    near_examples,
    run_counterfactuals,
    run_predictor,
)

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.integers(0, 8, size=(60, 4)).astype(float)


def decide(rows):
    return np.where(rows[:, 0] + 2 * rows[:, 1] - rows[:, 2] > 10, "yes", "no")


ROW = np.array([[2.0, 2.0, 3.0, 4.0]])


def least_cost(fixed=()):
    """The cheapest of all combinations of values that occur."""
    values = [
        [ROW[0, c]] if str(c) in fixed else sorted({ROW[0, c], *ROWS[:, c]}) for c in range(4)
    ]
    combined = np.array(list(itertools.product(*values)))
    held = combined[decide(combined) == "yes"]
    gaps = np.abs(held - ROW) / ROWS.std(axis=0)
    return ((gaps > 0).sum(axis=1) + gaps.sum(axis=1)).min()


@pytest.mark.parametrize("fixed", [(), ("1",), ("0", "3")])
def test_the_cheapest_change_of_all_is_found(fixed):
    found = find_counterfactuals(decide, ROW, ROWS, fixed=fixed)
    assert found.costs[0] == pytest.approx(least_cost(fixed), rel=0.05)
    assert (found.answers == "yes").all()
    assert (decide(found.rows.to_numpy()) == "yes").all()
    for name in fixed:
        assert (found.rows[name] == ROW[0, int(name)]).all()


def test_several_change_different_columns_and_no_more_than_needed():
    found = find_counterfactuals(decide, ROW, ROWS, count=3)
    changes = found.changes()
    assert len({tuple(change) for change in changes}) == len(changes) >= 3
    assert (np.diff(found.costs) >= 0).all()
    for change in changes:  # each is needed
        assert "3" not in change
        for name in change:
            back = ROW.copy()
            for other, (_, new) in change.items():
                back[0, int(other)] = ROW[0, int(other)] if other == name else new
            assert decide(back)[0] == "no"
    assert found.table()["counterfactual"].to_list()[0] == 1
    assert found.to_dict()["counterfactuals"][0]["answer"] == "yes"


def test_values_are_ones_that_occur():
    found = find_counterfactuals(decide, ROW, ROWS, count=5)
    for name in found.rows.columns:
        known = {*ROWS[:, int(name)], ROW[0, int(name)]}
        assert set(found.rows[name].to_list()) <= known


def test_categories_and_missing_cells_change_too():
    table = pl.DataFrame({"c": ["x", "y", "z", None] * 5, "n": [float(n) for n in range(20)]})
    predict = lambda t: (t["c"].fill_null("") == "y").to_numpy()  # noqa: E731
    found = find_counterfactuals(predict, table[3:4], table)
    assert found.changes()[0] == {"c": (None, "y")}
    assert str(found).startswith("if c were y instead of None: True")
    assert found.costs[0] == 2


def test_a_number_is_wanted_between_two():
    predict = lambda x: x[:, 0] * 2.0  # noqa: E731
    found = find_counterfactuals(predict, ROW, ROWS, wanted=(9.0, math.inf))
    assert found.rows.row(0) == (5.0, 2.0, 3.0, 4.0)
    assert found.answers[0] == 10.0


def test_a_class_may_be_wanted():
    three = lambda x: (x[:, 0] // 3).astype(int)  # noqa: E731
    found = find_counterfactuals(three, ROW, ROWS, wanted=2)
    assert found.rows.row(0)[0] == 6.0
    other = find_counterfactuals(three, ROW, ROWS)
    assert other.rows.row(0)[0] == 3.0


def test_where_nothing_helps_nothing_is_found():
    found = find_counterfactuals(lambda x: x[:, 0] > 100, ROW, ROWS)
    assert found.rows.height == 0
    assert str(found).startswith("none was found among")
    assert found.table().height == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: find_counterfactuals(decide, ROWS, ROWS),
        lambda: find_counterfactuals(decide, ROW[:0], ROWS),
        lambda: find_counterfactuals(decide, ROW, ROWS, fixed=["z"]),
        lambda: find_counterfactuals(decide, ROW, ROWS, fixed=list("0123")),
        lambda: find_counterfactuals(decide, ROW, ROWS, wanted="no"),
        lambda: find_counterfactuals(decide, ROW, ROWS, count=0),
        lambda: find_counterfactuals(lambda x: x[:, 0], ROW, ROWS),
        lambda: find_counterfactuals(lambda x: x[:, 0], ROW, ROWS, wanted=(0.0, 5.0)),
    ],
)
def test_what_cannot_be_looked_for_is_refused(call):
    with pytest.raises(InputError):
        call()


def test_gaps_of_columns_by_hand():
    row = pl.DataFrame(
        {"a": [None, 1.0][1:], "b": ["x"], "c": [None]}, schema_overrides={"c": pl.Float64}
    )
    others = pl.DataFrame({"a": [1.0, 3.0, None], "b": ["x", "y", None], "c": [1.5, None, 2.5]})
    assert column_gaps(row, others).tolist() == [[0, 0, 1], [2, 1, 0], [1, 1, 1]]


@pytest.fixture(scope="module")
def planted():
    """A run that decides by columns a and c alone."""
    random = np.random.default_rng(0)
    table = pl.DataFrame({f"noise{i}": random.normal(size=500) for i in range(3)}).with_columns(
        a=pl.Series(random.normal(size=500)), c=pl.Series(random.choice(["left", "right"], 500))
    )
    score = 2 * table["a"].to_numpy() + 2 * (table["c"] == "right").to_numpy() - 1
    table = table.with_columns(y=pl.Series(np.where(score > 0, "yes", "no")))
    return glial.train(table, target="y", model="mlp", epochs=15, out=False), table


@pytest.mark.slow
def test_a_run_changes_its_answer_by_planted_columns(planted):
    run, table = planted
    predictor = run_predictor(run)
    changed = set()
    for place in range(5):
        row = table[place : place + 1]
        found = run_counterfactuals(run, row, table, count=2)
        assert found.rows.height > 0
        told = glial.predict(run, found.rows)["prediction"].to_list()
        assert told == found.answers.tolist()
        assert predictor.answers(row)[0] not in told
        changed |= set(found.changes()[0])
    assert changed <= {"a", "c"}
    only_a = run_counterfactuals(run, table[:1], table, fixed=["c"], count=1)
    assert list(only_a.changes()[0]) == ["a"]
    with pytest.raises(InputError, match="unknown class 'maybe'"):
        run_counterfactuals(run, table[:1], table, wanted="maybe")


@pytest.mark.slow
def test_near_examples_of_a_run(planted):
    run, table = planted
    for space in ("embedding", "columns"):
        found = near_examples(run, table.head(20), table, count=5, space=space)
        assert (found.places[:, 0] == np.arange(20)).all()
        np.testing.assert_allclose(found.distances[:, 0], 0, atol=1e-6)
        assert (np.diff(found.distances, axis=1) >= 0).all()
        assert found.table().height == 100
        assert found.to_dict()["labels"]["y"][0][0] == table["y"][0]
    # In the network's eyes rows are near that are of one class; noise does not part them.
    near, plain = (
        near_examples(run, table.head(60), table, count=6, space=space).labels("y")
        for space in ("embedding", "columns")
    )
    own = table["y"].head(60).to_numpy()[:, None]
    assert (near[:, 1:] == own).mean() > 0.9
    assert (near[:, 1:] == own).mean() > (plain[:, 1:] == own).mean()
    with pytest.raises(InputError, match="not 9999 examples"):
        near_examples(run, table.head(2), table, count=9999)
    without = near_examples(run, table.head(2), table.drop("y"))
    assert without.to_dict()["labels"] == {}


def test_distances_between_columns_are_means_of_gaps():
    gaps = column_gaps(ROW, ROWS)
    np.testing.assert_allclose(gaps, np.abs(ROWS - ROW) / ROWS.std(axis=0))
