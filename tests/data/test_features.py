"""Made features against scikit-learn and by hand; which columns are kept, and why."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.feature_selection import mutual_info_classif
from sklearn.preprocessing import PolynomialFeatures

from glial.core.errors import InputError
from glial.data.features import Components, Products, with_crosses
from glial.data.selection import choose_columns
from glial.data.settings import FeatureSettings


@given(st.integers(1, 4), st.integers(2, 4))
def test_products_are_scikit_learns(num_numbers, degree):
    rows = np.random.default_rng(0).normal(size=(5, num_numbers))
    expected = PolynomialFeatures(degree, include_bias=False).fit_transform(rows)
    step = Products.fit(range(num_numbers), degree)
    np.testing.assert_allclose(step.transform(rows), expected)
    assert len(step.names([f"x{i}" for i in range(num_numbers)])) == expected.shape[1]


def test_names_of_products_and_too_many_of_them():
    assert Products.fit([0, 2], 2).names(["a", "b", "c"])[3:] == ["a * a", "a * c", "c * c"]
    with pytest.raises(InputError, match="products"):
        Products.fit(range(200), 3)


def test_components_are_scikit_learns_up_to_sign_and_scale():
    rows = load_breast_cancer().data
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    oracle = PCA(5).fit(rows)
    step = Components.fit(rows, 5)
    found, expected = step.transform(rows), oracle.transform(rows)
    expected = expected / np.sqrt(oracle.explained_variance_)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)
    # The first direction is the one of the greatest variance, and they are orthogonal.
    assert (np.diff(step.scales) <= 0).all()
    random = np.random.default_rng(0).normal(size=(50, rows.shape[1]))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    assert step.scales[0] >= (rows @ random.T).std(axis=0, ddof=1).max()
    np.testing.assert_allclose(step.directions @ step.directions.T, np.eye(5), atol=1e-9)


def test_a_share_of_the_variance_and_too_many_components():
    rows = load_breast_cancer().data
    kept = Components.fit(rows, 0.95)
    assert (kept.scales**2).sum() >= 0.95 * rows.var(axis=0, ddof=1).sum()
    with pytest.raises(InputError, match="at most 30"):
        Components.fit(rows, 31)


def test_crossed_columns():
    frame = pl.DataFrame({"a": ["x", "x", "y"], "b": [1, 2, None]})
    crossed = with_crosses(frame, [["a", "b"]])
    assert crossed["a x b"].to_list() == ["x | 1", "x | 2", None]
    with pytest.raises(InputError, match="did you mean"):
        with_crosses(frame, [["a", "bb"]])


def columns(num_noise=6, num_rows=600):
    """Two columns that matter, one only together with another; the rest is noise."""
    generator = np.random.default_rng(0)
    parts = {f"noise {i}": generator.normal(size=(num_rows, 1)) for i in range(num_noise)}
    strong, weak = generator.normal(size=(2, num_rows, 1))
    target = (strong[:, 0] + 0.7 * weak[:, 0] + 0.3 * generator.normal(size=num_rows)) > 0
    return {"strong": strong, "weak": weak, **parts}, target.astype(np.int64)


@pytest.mark.slow
@pytest.mark.parametrize("select", ["mutual_information", "l1", "permutation"])
def test_noise_is_dropped_and_what_matters_is_kept(select):
    parts, target = columns()
    dropped = choose_columns(parts, target, FeatureSettings(select=select))
    assert {"strong", "weak"}.isdisjoint(dropped)
    assert len(dropped) >= 4
    assert all("noise" in reason for reason in dropped.values())
    numbers = target[:, None].astype(np.float64)
    assert {"strong", "weak"}.isdisjoint(
        choose_columns(parts, numbers, FeatureSettings(select=select))
    )


def test_how_many_are_kept():
    parts, target = columns()
    one = choose_columns(parts, target, FeatureSettings(select="l1", keep=1))
    assert set(parts) - set(one) == {"strong"}
    half = choose_columns(parts, target, FeatureSettings(select="mutual_information", keep=0.5))
    assert len(half) == 4
    assert "not among the best 4" in next(iter(half.values()))


def test_the_score_is_scikit_learns():
    parts, target = columns()
    dropped = choose_columns(parts, target, FeatureSettings(select="mutual_information", keep=1))
    matrix = np.column_stack(list(parts.values()))
    oracle = mutual_info_classif(matrix, target, random_state=0, discrete_features=False)
    assert f"{oracle[1]:.3g}" in dropped["weak"]
