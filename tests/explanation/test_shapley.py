"""Shapley values against brute force, closed forms, the axioms and the package shap."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import polars as pl
import pytest

from glial.core.errors import InputError
from glial.explanation import (
    TableGame,
    exact_shap,
    hierarchy,
    kernel_shap,
    partition_shap,
    permutation_shap,
    shap_interactions,
)

SIZE = 5
RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(3, SIZE))
BACKGROUND = RANDOM.normal(size=(7, SIZE))
HIDDEN = RANDOM.normal(size=(SIZE, 8))
OUT = RANDOM.normal(size=8)
METHODS = [exact_shap, kernel_shap, permutation_shap, partition_shap]


def network(rows):
    """A network by hand, in which all features interact."""
    return np.tanh(rows @ HIDDEN) @ OUT


def linear(rows):
    return rows @ np.arange(1.0, SIZE + 1) + 3


@pytest.fixture(scope="module")
def shap():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("shap")


def worth(row, coalition):
    mixed = BACKGROUND.copy()
    mixed[:, list(coalition)] = row[list(coalition)]
    return network(mixed).mean()


def by_hand(row):
    """Shapley values as the mean over all orders of what each feature adds."""
    values = np.zeros(SIZE)
    for order in itertools.permutations(range(SIZE)):
        for place, feature in enumerate(order):
            values[feature] += worth(row, order[: place + 1]) - worth(row, order[:place])
    return values / math.factorial(SIZE)


def test_exact_values_are_the_mean_over_all_orders():
    found = exact_shap(network, ROWS, BACKGROUND)
    np.testing.assert_allclose(found.values, [by_hand(row) for row in ROWS], atol=1e-12)
    np.testing.assert_allclose(found.prediction, network(ROWS), atol=1e-12)
    np.testing.assert_allclose(found.base, network(BACKGROUND).mean(), atol=1e-12)
    assert found.evaluations == 2**SIZE
    assert (found.errors == 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_function_gives_weight_times_distance_from_the_mean(method):
    found = method(linear, ROWS, BACKGROUND)
    expected = np.arange(1.0, SIZE + 1) * (ROWS - BACKGROUND.mean(axis=0))
    np.testing.assert_allclose(found.values, expected, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_contributions_add_up_to_the_prediction(method):
    found = method(network, ROWS, BACKGROUND)
    assert found.gap < 1e-9
    np.testing.assert_allclose(found.prediction, network(ROWS), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_feature_that_is_not_read_gets_nothing(method):
    found = method(lambda x: np.tanh(x[:, :3] @ HIDDEN[:3]) @ OUT, ROWS, BACKGROUND)
    np.testing.assert_allclose(found.values[:, 3:], 0, atol=1e-9)


def test_features_that_do_the_same_get_the_same():
    rows, background = ROWS.copy(), BACKGROUND.copy()
    rows[:, 1], background[:, 1] = rows[:, 0], background[:, 0]
    for method in (exact_shap, kernel_shap):  # where exact; one order favours neither on average
        found = method(lambda x: np.tanh(x[:, 0] + x[:, 1]) * x[:, 2], rows, background)
        np.testing.assert_allclose(found.values[:, 0], found.values[:, 1], atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_contributions_to_a_sum_are_sums(method):
    both = method(lambda x: network(x) + linear(x) ** 2, ROWS, BACKGROUND).values
    one, other = (method(f, ROWS, BACKGROUND).values for f in (network, lambda x: linear(x) ** 2))
    np.testing.assert_allclose(both, one + other, atol=1e-8)


def test_kernel_is_exact_where_all_coalitions_are_tried():
    exact = exact_shap(network, ROWS, BACKGROUND)
    found = kernel_shap(network, ROWS, BACKGROUND, num_samples=2**SIZE - 2)
    np.testing.assert_allclose(found.values, exact.values, atol=1e-10)
    assert (found.errors == 0).all()
    assert found.evaluations == 2**SIZE
    fewer = kernel_shap(network, ROWS, BACKGROUND, num_samples=2 * SIZE)
    assert fewer.gap < 1e-9
    assert np.abs(fewer.values - exact.values).max() > 1e-6


def wide(rows):
    return np.tanh(rows @ WIDE) @ OUT


WIDE = RANDOM.normal(size=(10, 8))
WIDE_ROW = RANDOM.normal(size=(1, 10))
WIDE_BACKGROUND = RANDOM.normal(size=(4, 10))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "options"),
    [(kernel_shap, {"num_samples": 200}), (permutation_shap, {"num_permutations": 10})],
)
def test_stated_errors_are_those_over_seeds(method, options):
    exact = exact_shap(wide, WIDE_ROW, WIDE_BACKGROUND).values
    found = [method(wide, WIDE_ROW, WIDE_BACKGROUND, seed=s, **options) for s in range(100)]
    values = np.concatenate([one.values for one in found])
    stated = np.sqrt(np.mean([one.errors**2 for one in found], axis=(0, 1)))
    real = np.sqrt(((values - exact) ** 2).mean(axis=0))
    np.testing.assert_allclose(stated, real, rtol=0.3)
    np.testing.assert_allclose(values.mean(axis=0), exact[0], atol=4 * stated.max() / 10)


def test_same_seed_same_numbers_and_other_seed_others():
    for method, options in ((kernel_shap, {"num_samples": 60}), (permutation_shap, {})):
        one, same, other = (
            method(wide, WIDE_ROW, WIDE_BACKGROUND, seed=seed, **options).values
            for seed in (1, 1, 2)
        )
        assert (one == same).all()
        assert (one != other).any()


def test_one_permutation_has_no_error_to_state():
    found = permutation_shap(wide, WIDE_ROW, WIDE_BACKGROUND, num_permutations=1)
    assert np.isnan(found.errors).all()
    assert found.gap < 1e-9


def test_pairs_alone_are_exact_over_permutations():
    found = permutation_shap(lambda x: x[:, 0] * x[:, 1] + x[:, 2] * x[:, 4], ROWS, BACKGROUND)
    exact = exact_shap(lambda x: x[:, 0] * x[:, 1] + x[:, 2] * x[:, 4], ROWS, BACKGROUND)
    np.testing.assert_allclose(found.values, exact.values, atol=1e-12)
    np.testing.assert_allclose(found.errors, 0, atol=1e-12)


@pytest.mark.slow
def test_kernel_values_are_those_of_shap(shap):
    kernel = shap.KernelExplainer(network, BACKGROUND).shap_values(
        ROWS, nsamples=2**SIZE, silent=True, l1_reg=0
    )
    np.testing.assert_allclose(kernel_shap(network, ROWS, BACKGROUND).values, kernel, atol=1e-7)


def dividends(row):
    """Harsanyi's: what each coalition adds beyond all of its parts."""
    found = {}
    for size in range(SIZE + 1):
        for coalition in itertools.combinations(range(SIZE), size):
            parts = [p for k in range(size) for p in itertools.combinations(coalition, k)]
            found[coalition] = worth(row, coalition) - sum(found[part] for part in parts)
    return found


def test_interactions_are_the_dividends_of_coalitions_with_both():
    found = shap_interactions(network, ROWS, BACKGROUND).values
    for row, matrix in zip(ROWS, found, strict=True):
        shared = dividends(row)
        for i, j in itertools.combinations(range(SIZE), 2):
            held = [t for t in shared if i in t and j in t]
            index = sum(shared[t] / (len(t) - 1) for t in held)
            assert matrix[i, j] == matrix[j, i] == pytest.approx(index / 2, abs=1e-12)


@pytest.mark.slow
def test_partition_values_are_those_of_shap(shap):
    tree = hierarchy(BACKGROUND)
    masker = shap.maskers.Partition(BACKGROUND, max_samples=len(BACKGROUND), clustering=tree)
    theirs = shap.explainers.PartitionExplainer(network, masker)(ROWS, max_evals=10_000)
    ours = partition_shap(network, ROWS, BACKGROUND, tree=tree)
    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-9)


def test_permutation_values_reach_the_exact_ones():
    exact = exact_shap(network, ROWS, BACKGROUND)
    found = permutation_shap(network, ROWS, BACKGROUND, num_permutations=200)
    assert (np.abs(found.values - exact.values) < 5 * found.errors + 1e-12).all()


def test_interactions_of_a_product_are_in_its_pair():
    found = shap_interactions(
        lambda x: x[:, 0] * x[:, 1] + x[:, 2], np.ones((1, 3)), np.zeros((1, 3))
    )
    np.testing.assert_allclose(found.values[0], [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 1]], atol=1e-12)
    exact = exact_shap(network, ROWS, BACKGROUND)
    rows = shap_interactions(network, ROWS, BACKGROUND).values.sum(axis=2)
    np.testing.assert_allclose(rows, exact.values, atol=1e-12)
    assert found.table().row(0) == ("0", "1", pytest.approx(1.0))


def test_partition_values_of_two_halves_by_hand():
    # Owen's value of a, b | c where v = 1 if a and c are there: a and c share, b gets nothing.
    tree = np.array([[0, 1, 0.1, 2], [2, 3, 1.0, 3]])
    found = partition_shap(
        lambda x: x[:, 0] * x[:, 2], np.ones((1, 3)), np.zeros((1, 3)), tree=tree
    )
    np.testing.assert_allclose(found.values, [[0.5, 0, 0.5]])
    # Of a majority of three the pair takes 2/3 in Shapley's eyes, and all but 0 in Owen's:
    # alone c is worth nothing to it, so that c gets (0 + 0) / 2.
    majority = lambda x: (x.sum(axis=1) >= 2).astype(float)  # noqa: E731
    found = partition_shap(majority, np.ones((1, 3)), np.zeros((1, 3)), tree=tree)
    np.testing.assert_allclose(found.values, [[0.5, 0.5, 0.0]])


def test_partition_says_what_it_left_undivided():
    tree = hierarchy(BACKGROUND)
    found = partition_shap(network, ROWS, BACKGROUND, tree=tree, most_evaluations=6)
    assert found.evaluations <= 6
    assert np.isnan(found.errors).any()
    assert found.gap < 1e-9
    whole = partition_shap(network, ROWS, BACKGROUND, tree=tree)
    assert (whole.errors == 0).all()


def test_columns_of_a_table_are_features_whatever_they_hold():
    table = pl.DataFrame({"n": [1.0, 2.0], "c": ["x", "y"]})
    predict = lambda t: ((t["c"] == "y").cast(float) * t["n"]).to_numpy()  # noqa: E731
    found = exact_shap(predict, table[1:], table[:1])
    # v() = 0, v(n) = 0, v(c) = 1, v(n, c) = 2
    np.testing.assert_allclose(found.values, [[0.5, 1.5]])
    assert found.names == ["n", "c"]
    assert found.table()["feature"].to_list() == ["n", "c"]


def test_groups_are_players():
    groups = {"pair": ["0", "2"]}
    found = exact_shap(network, ROWS, BACKGROUND, groups=groups)
    assert found.names == ["pair", "1", "3", "4"]
    linear_found = exact_shap(linear, ROWS, BACKGROUND, groups=groups)
    single = exact_shap(linear, ROWS, BACKGROUND).values
    np.testing.assert_allclose(linear_found.values[:, 0], single[:, 0] + single[:, 2], atol=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: exact_shap(linear, np.zeros((0, SIZE)), BACKGROUND),
        lambda: exact_shap(linear, ROWS, np.zeros((0, SIZE))),
        lambda: exact_shap(linear, ROWS, BACKGROUND[:, :3]),
        lambda: exact_shap(linear, ROWS, pl.DataFrame(BACKGROUND)),
        lambda: exact_shap(lambda x: x, ROWS, BACKGROUND),
        lambda: exact_shap(lambda x: x[:, 0] * np.nan, ROWS, BACKGROUND),
        lambda: exact_shap(lambda x: x[:, 0], np.zeros((1, 17)), np.zeros((1, 17))),
        lambda: kernel_shap(linear, ROWS, BACKGROUND, num_samples=SIZE),
        lambda: permutation_shap(linear, ROWS, BACKGROUND, num_permutations=0),
        lambda: partition_shap(linear, ROWS, BACKGROUND, tree=np.zeros((4, 4))),
        lambda: partition_shap(linear, ROWS, BACKGROUND, tree=np.zeros((2, 4))),
        lambda: TableGame(linear, ROWS, BACKGROUND, {"a": ["9"]}),
        lambda: TableGame(linear, ROWS, BACKGROUND, {"a": ["1"], "b": ["1"]}),
        lambda: TableGame(linear, ROWS, BACKGROUND, {"a": []}),
        lambda: TableGame(linear, ROWS, BACKGROUND, {"4": ["1"]}),
    ],
)
def test_what_cannot_be_explained_is_refused(call):
    with pytest.raises(InputError):
        call()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1, 2])
def test_few_features(method, size):
    found = method(lambda x: x.prod(axis=1), np.full((1, size), 2.0), np.zeros((1, size)))
    np.testing.assert_allclose(found.values, 2.0**size / size)
    assert found.errors.max() == 0
