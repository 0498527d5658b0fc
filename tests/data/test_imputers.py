"""Imputers against scikit-learn and by hand, and laws of all of them."""

import warnings

import numpy as np
import pytest
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

from glial.data.imputers import IMPUTERS, FactorImputer, NeighbourImputer, RegressionImputer


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


@pytest.mark.parametrize("name", IMPUTERS)
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
def test_present_cells_stay_and_a_row_alone_is_filled_alike(name, draw, table):
    _, rows, gone = table
    imputer = IMPUTERS[name].fit(rows[:300], draw)
    filled = imputer.fill(rows)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~gone], rows[~gone])
    alone = np.concatenate([imputer.fill(rows[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, filled[:20], atol=1e-9)
    shuffled = imputer.fill(rows[::-1])[::-1]
    np.testing.assert_allclose(shuffled, filled, atol=1e-9)


@pytest.mark.parametrize("name", ["iterative", "factorization"])
def test_no_filled_number_leaves_the_range_of_training(name, table):
    _, rows, gone = table
    far = rows * np.where(np.arange(8) == 0, 1.0, 50.0)
    filled = IMPUTERS[name].fit(rows[:300]).fill(far)
    inside = filled[gone]
    assert inside.min() >= np.nanmin(rows[:300])
    assert inside.max() <= np.nanmax(rows[:300])


@pytest.mark.parametrize("name", IMPUTERS)
def test_rows_without_any_number_and_tables_without_gaps(name, table):
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
