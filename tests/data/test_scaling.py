"""Scalings against scikit-learn, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import (
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)

from glial.data.scaling import Scaling

GENERATOR = np.random.default_rng(0)
SAMPLES = {
    "normal": GENERATOR.normal(2, 3, 800),
    "skewed": GENERATOR.lognormal(size=2000),
    "few values": GENERATOR.integers(0, 4, 300).astype(np.float64),
    "negative": -GENERATOR.exponential(size=200),
}
NEW = np.linspace(-6, 6, 61)


def oracle(how, values):
    if how == "quantile":
        return QuantileTransformer(
            n_quantiles=min(1000, len(values)), output_distribution="normal", subsample=None
        )
    return {"standard": StandardScaler, "minmax": MinMaxScaler, "power": PowerTransformer}[how]()


@pytest.mark.parametrize("how", ["standard", "minmax", "power", "quantile"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_equal_to_scikit_learns(how, sample):
    values = SAMPLES[sample]
    expected = oracle(how, values).fit(values[:, None]).transform(NEW[:, None])[:, 0]
    found = Scaling.fit(values, how).apply(NEW)
    if how == "quantile":  # scikit-learn sends the least and the greatest value to the tails
        inside = ~np.isin(NEW, [values.min(), values.max()])
        found, expected = found[inside], expected[inside]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", ["standard", "minmax", "power", "quantile", "robust", "none"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_back_to_the_same_values(how, sample):
    values = SAMPLES[sample]
    scaling = Scaling.fit(values, how)
    inner = values if how != "robust" else values[np.abs(scaling.apply(values)) < 2.9]
    back = scaling.undo(scaling.apply(inner))
    np.testing.assert_allclose(back, inner, rtol=1e-3, atol=1e-3)


anything = arrays(
    np.float64, st.integers(1, 30), elements=st.floats(allow_nan=False, allow_infinity=False)
)


@given(anything)
@pytest.mark.parametrize("how", ["standard", "minmax", "power", "quantile", "robust", "none"])
def test_no_value_becomes_infinite_and_none_overtakes_another(how, values):
    scaling = Scaling.fit(values, how)
    with np.errstate(all="ignore"):
        found = scaling.apply(np.sort(values))
    assert np.isfinite(found).all()
    assert (np.diff(found) >= -1e-9 * np.abs(found[:-1])).all()


def test_the_way_back_does_not_run_away():
    """A power below zero has a ceiling; a prediction near it would be astronomical."""
    skewed = SAMPLES["skewed"]
    for how in ("power", "quantile"):
        back = Scaling.fit(skewed, how).undo(np.array([-50.0, 50.0]))
        assert back == pytest.approx([skewed.min(), skewed.max()])


def test_shapes_of_distributions():
    skewed = SAMPLES["skewed"]
    spread = Scaling.fit(skewed, "minmax").apply(skewed)
    assert (spread.min(), spread.max()) == (0.0, pytest.approx(1))
    np.testing.assert_allclose(np.corrcoef(spread, skewed)[0, 1], 1)  # its shape is kept
    normal = Scaling.fit(skewed, "quantile").apply(skewed)
    assert abs(normal.mean()) < 0.02
    assert normal.std() == pytest.approx(1, abs=0.05)
    standard = Scaling.fit(skewed, "standard").apply(skewed)
    assert (standard.mean(), standard.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))


def test_constant_and_missing_values():
    for how in ("standard", "minmax", "robust", "power", "quantile"):
        scaling = Scaling.fit(np.full(5, 7.0), how)
        assert abs(scaling.apply(np.array([7.0]))[0]) < 1e-9
        assert np.isnan(scaling.apply(np.array([np.nan]))[0])


def test_knots_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="knots"):
        Scaling("quantile")
    with pytest.raises(ValueError, match="knots"):
        Scaling("quantile", knots=np.array([2.0, 1.0]))
