"""Imputers against scikit-learn and by hand, and laws of all of them."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

from glial.data.imputers import (
    IMPUTERS,
    FactorImputer,
    NeighbourImputer,
    RegressionImputer,
    learning,
)
from glial.data.imputers.learning import DenseLayer, as_layers, first_weights, passed, passed_arrays
from glial.data.stored import from_stored, to_stored


@pytest.fixture(scope="module")
def table():
    """Eight numbers made of three, with a fifth of the cells gone."""
    generator = np.random.default_rng(0)
    whole = generator.normal(size=(400, 3)) @ generator.normal(size=(3, 8))
    whole = whole + 0.1 * generator.normal(size=whole.shape)
    whole = (whole - whole.mean(axis=0)) / whole.std(axis=0)
    gone = generator.random(whole.shape) < 0.2
    return whole, np.where(gone, np.nan, whole), gone


def test_neighbours_are_scikit_learns(table):
    _, rows, _ = table
    expected = KNNImputer(n_neighbors=5).fit(rows[:300]).transform(rows[300:])
    found = NeighbourImputer.fit(rows[:300]).fill(rows[300:])
    np.testing.assert_allclose(found, expected)


def test_neighbours_by_hand():
    donors = np.array([[0.0, 1.0], [1.0, 3.0], [10.0, 50.0]] + [[100.0, 999.0]] * 3)
    imputer = NeighbourImputer.fit(donors[:5])
    # Five donors, all of them the nearest: their mean.
    assert imputer.fill(np.array([[0.5, np.nan]]))[0, 1] == pytest.approx((1 + 3 + 50 + 1998) / 5)


def test_regressions_are_scikit_learns(table):
    _, rows, _ = table
    low, high = np.nanmin(rows[:300], axis=0), np.nanmax(rows[:300], axis=0)
    oracle = IterativeImputer(skip_complete=True, random_state=0, min_value=low, max_value=high)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle.fit(rows[:300])
    found = RegressionImputer.fit(rows[:300]).fill(rows[300:])
    np.testing.assert_allclose(found, oracle.transform(rows[300:]), atol=1e-9)


def test_a_table_of_low_rank_is_found_again():
    generator = np.random.default_rng(1)
    whole = generator.normal(size=(500, 2)) @ generator.normal(size=(2, 6))
    whole = (whole - whole.mean(axis=0)) / whole.std(axis=0)
    gone = generator.random(whole.shape) < 0.15
    filled = FactorImputer.fit(np.where(gone, np.nan, whole)).fill(np.where(gone, np.nan, whole))
    errors = np.sqrt(((filled - whole)[gone] ** 2).mean())
    assert errors < 0.2


NETWORKS = ("vae", "gan")
WITH_SLOW = [pytest.param(n, marks=[pytest.mark.slow] * (n in NETWORKS)) for n in IMPUTERS]


@pytest.mark.parametrize("name", WITH_SLOW)
def test_filling_beats_the_mean(name, table):
    whole, rows, gone = table
    filled = IMPUTERS[name].fit(rows[:300]).fill(rows)
    unseen = gone.copy()
    unseen[:300] = False
    error = np.sqrt(((filled - whole)[unseen] ** 2).mean())
    assert error < 0.6 * np.sqrt((whole[unseen] ** 2).mean())


@pytest.mark.slow
@pytest.mark.parametrize("draw", [None, 1])
@pytest.mark.parametrize("name", IMPUTERS)
def test_present_cells_stay_and_a_row_alone_is_filled_alike(name, draw, table, monkeypatch):
    monkeypatch.setattr(learning, "MOST_STEPS", 20)
    monkeypatch.setattr(learning, "LEAST_STEPS", 20)
    _, rows, gone = table
    imputer = IMPUTERS[name].fit(rows[:300], draw)
    filled = imputer.fill(rows)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~gone], rows[~gone])
    alone = np.concatenate([imputer.fill(rows[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, filled[:20], atol=1e-9)
    shuffled = imputer.fill(rows[::-1])[::-1]
    np.testing.assert_allclose(shuffled, filled, atol=1e-9)


@pytest.mark.parametrize("name", ["iterative", "factorization", *NETWORKS])
def test_no_filled_number_leaves_the_range_of_training(name, table, monkeypatch):
    monkeypatch.setattr(learning, "MOST_STEPS", 5)
    monkeypatch.setattr(learning, "LEAST_STEPS", 5)
    _, rows, gone = table
    far = rows * np.where(np.arange(8) == 0, 1.0, 50.0)
    filled = IMPUTERS[name].fit(rows[:300]).fill(far)
    inside = filled[gone]
    assert inside.min() >= np.nanmin(rows[:300])
    assert inside.max() <= np.nanmax(rows[:300])


@pytest.mark.parametrize("name", IMPUTERS)
def test_rows_without_any_number_and_tables_without_gaps(name, table, monkeypatch):
    monkeypatch.setattr(learning, "MOST_STEPS", 5)
    monkeypatch.setattr(learning, "LEAST_STEPS", 5)
    _, rows, _ = table
    imputer = IMPUTERS[name].fit(rows)
    assert np.isfinite(imputer.fill(np.full((2, 8), np.nan))).all()
    whole = np.ones((3, 8))
    np.testing.assert_array_equal(imputer.fill(whole), whole)
    never = rows.copy()
    never[:, 2] = np.nan
    assert np.isfinite(IMPUTERS[name].fit(never).fill(never)).all()


@pytest.mark.slow
def test_draws_differ_as_much_as_the_regression_errs(table):
    whole, rows, gone = table
    draws = np.stack([RegressionImputer.fit(rows, draw).fill(rows) for draw in range(1, 9)])
    mean = RegressionImputer.fit(rows).fill(rows)
    error = np.sqrt(((mean - whole)[gone] ** 2).mean())
    spread = np.sqrt(draws.var(axis=0)[gone].mean())
    assert 0.5 * error < spread < 2 * error
    assert (draws == draws[0])[:, ~gone].all()
    again = RegressionImputer.fit(rows, 1).fill(rows)
    np.testing.assert_array_equal(again, draws[0])


def test_arrays_pass_what_torch_passes():
    weights = first_weights([3, 5, 2], np.random.default_rng(0))
    inputs = np.random.default_rng(1).normal(size=(4, 3))
    expected = passed(weights, torch.from_numpy(inputs).float()).detach().numpy()
    np.testing.assert_allclose(passed_arrays(as_layers(weights), inputs), expected, atol=1e-6)
    with pytest.raises(ValueError, match="do not fit"):
        DenseLayer(np.zeros((2, 3)), np.zeros(2))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_see_what_no_regression_sees(name):
    """The sign of a product: the best linear guess of the third number is its mean."""
    generator = np.random.default_rng(0)
    pairs = generator.choice([-1.0, 1.0], size=(600, 2))
    whole = np.column_stack([pairs, pairs.prod(axis=1)]) + 0.1 * generator.normal(size=(600, 3))
    gone = np.zeros_like(whole, dtype=bool)
    gone[:, 2] = generator.random(600) < 0.3
    rows = np.where(gone, np.nan, whole)
    errors = {}
    for each in ("iterative", name):
        filled = IMPUTERS[each].fit(rows[:400]).fill(rows[400:])
        errors[each] = np.sqrt(((filled - whole[400:])[gone[400:]] ** 2).mean())
    assert errors["iterative"] > 0.9
    assert errors[name] < 0.35


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_draw_as_widely_as_they_err_and_are_stored_whole(name, table, monkeypatch):
    monkeypatch.setattr(learning, "MOST_STEPS", 150)
    monkeypatch.setattr(learning, "LEAST_STEPS", 150)
    whole, rows, gone = table
    kind = IMPUTERS[name]
    draws = [kind.fit(rows, draw) for draw in range(1, 4)]
    filled = np.stack([each.fill(rows) for each in draws])
    error = np.sqrt(((filled.mean(axis=0) - whole)[gone] ** 2).mean())
    spread = np.sqrt(filled.var(axis=0, ddof=1)[gone].mean())
    assert 0.4 * error < spread < 2.5 * error
    stored = from_stored(kind, *to_stored(draws[0]))
    np.testing.assert_array_equal(stored.fill(rows), filled[0])
    again = kind.fit(rows, 1)
    np.testing.assert_array_equal(again.fill(rows), filled[0])
    with pytest.raises(ValueError, match="do not fit"):
        dataclasses.replace(draws[0], ends=draws[0].ends[:, :-1])
