"""Encoders of one column, against scikit-learn and by hand."""

from __future__ import annotations

import datetime
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from glial.data import DataSettings
from glial.data.encoders import BooleanEncoder, CategoryEncoder, DatetimeEncoder, NumberEncoder

plain = st.floats(-1e6, 1e6, width=32)
cells = st.lists(plain | st.none(), min_size=2, max_size=30).filter(
    lambda values: any(value is not None for value in values)
)
STRATEGIES = {"mean": "mean", "median": "median", "mode": "most_frequent"}


def encoded(values: list[float | None], **asked: object) -> NDArray[np.float64]:
    column = pl.Series("a", values, dtype=pl.Float64)
    settings = DataSettings.read(asked)
    return NumberEncoder.fit(column, settings).transform(column)


def matrix(values: list[float | None]) -> NDArray[np.float64]:
    return np.array([[math.nan if value is None else value] for value in values])


@given(cells, st.sampled_from(list(STRATEGIES)))
def test_filling_and_standardising_equal_scikit_learn(
    values: list[float | None], missing: str
) -> None:
    oracle = make_pipeline(SimpleImputer(strategy=STRATEGIES[missing]), StandardScaler())
    found = encoded(values, scaling="standard", missing=missing, missing_flags=False)
    np.testing.assert_allclose(found, oracle.fit_transform(matrix(values)), rtol=1e-6, atol=1e-6)


@given(cells)
def test_robust_scaling_equals_scikit_learns_then_the_smooth_clip(
    values: list[float | None],
) -> None:
    filled = SimpleImputer(strategy="median").fit_transform(matrix(values))
    low, high = np.quantile(filled, [0.25, 0.75])
    if high - low < 1e-6 * max(1, np.abs(filled).max()):
        return
    scaled = RobustScaler().fit_transform(filled)
    found = encoded(values, scaling="robust", missing_flags=False)
    np.testing.assert_allclose(
        found, scaled / np.sqrt(1 + (scaled / 3) ** 2), rtol=1e-9, atol=1e-12
    )


def test_robust_scaling_where_the_quartiles_agree() -> None:
    found = encoded([0.0] * 9 + [8.0], scaling="robust")
    assert found[:9].tolist() == [[0.0]] * 9
    assert found[9, 0] == pytest.approx(2 / math.sqrt(1 + (2 / 3) ** 2))
    assert encoded([5.0, 5.0], scaling="robust").tolist() == [[0.0], [0.0]]


def test_no_scaling_and_flags_by_hand() -> None:
    found = encoded([1.0, None, 5.0], scaling="none", missing="mean")
    assert found.tolist() == [[1.0, 0.0], [3.0, 1.0], [5.0, 0.0]]


def test_a_flag_only_where_training_had_missing_cells() -> None:
    whole = NumberEncoder.fit(pl.Series([1.0, 3.0]), DataSettings(scaling="standard"))
    assert whole.labels == [""]
    assert whole.transform(pl.Series([None, 3.0], dtype=pl.Float64)).tolist() == [[0.0], [1.0]]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=10))
@pytest.mark.parametrize("scaling", ["standard", "robust", "none"])
def test_no_number_is_too_large_or_too_small(scaling: str, values: list[float]) -> None:
    for missing in STRATEGIES:
        assert np.isfinite(encoded(list(values), scaling=scaling, missing=missing)).all()


def test_tiny_numbers_are_scaled_too() -> None:
    found = encoded([1e-15, 2e-15, 3e-15], scaling="standard")
    np.testing.assert_allclose(found[:, 0], [-math.sqrt(1.5), 0, math.sqrt(1.5)], atol=1e-12)
    assert encoded([0.1] * 7, scaling="standard") == pytest.approx(0, abs=1e-15)


def test_a_column_without_a_number_is_zero() -> None:
    assert encoded([None, None], missing_flags=False).tolist() == [[0.0], [0.0]]


def test_booleans() -> None:
    encoder = BooleanEncoder.fit(pl.Series(["yes"]), DataSettings())
    assert encoder.transform(pl.Series(["Yes", "no", "?", "x"]))[:, 0].tolist() == [1, -1, 0, 0]
    assert encoder.transform(pl.Series([True, None]))[:, 0].tolist() == [1, 0]
    assert encoder.transform(pl.Series([1.0, 0.0, math.nan]))[:, 0].tolist() == [1, -1, 0]


def fitted(values: list[object], **asked: object) -> CategoryEncoder:
    return CategoryEncoder.fit(pl.Series("a", values, strict=False), DataSettings.read(asked))


def test_codes_by_hand() -> None:
    encoder = fitted(["b", "a", "?", "b", "c"])
    assert encoder.values == ["a", "b", "c"]
    assert encoder.cardinality == 5
    assert encoder.codes(pl.Series(["a", "b", "c", None, "new"])).tolist() == [1, 2, 3, 4, 0]


def test_a_missing_cell_is_unknown_where_training_had_none() -> None:
    assert fitted(["a", "b", "c"]).codes(pl.Series([None, "c"])).tolist() == [0, 3]


def test_rare_values_share_a_bucket(caplog: pytest.LogCaptureFixture) -> None:
    values = ["a"] * 3 + ["b"] * 3 + ["c", "d"]
    encoder = fitted(values, min_category_count=2)
    assert encoder.codes(pl.Series(["a", "b", "c", "d", "new"])).tolist() == [1, 2, 3, 3, 0]
    assert fitted(values, max_categories=2).codes(pl.Series(["b", "c"])).tolist() == [2, 3]
    assert "4 different values: the 2 rarest share one bucket" in caplog.text


def test_one_hot_by_hand() -> None:
    three = fitted(["a", "b", "c"], categories="one-hot")
    assert three.labels == ["is a", "is b", "is c"]
    assert three.transform(pl.Series(["b", "new"])).tolist() == [[0, 1, 0], [0, 0, 0]]
    two = fitted(["a", "b"], categories="one-hot")
    assert two.labels == ["is b"]
    assert two.transform(pl.Series(["a", "b", "new"])).tolist() == [[-1], [1], [0]]


def test_few_values_become_one_hot_and_many_are_embedded() -> None:
    letters = list("abcdefghi")
    assert fitted(letters[:8]).one_hot
    assert not fitted(letters).one_hot
    assert fitted(letters, categories="one-hot").one_hot
    assert not fitted(letters[:2], categories="embedding").one_hot


def test_a_number_as_a_category_goes_by_its_spelling() -> None:
    encoder = fitted([10, 9, 10, 8])
    assert encoder.values == ["10", "8", "9"]
    for same in (["9", "8"], [9, 8], [9.0, 8.0], [" 9", "8 "]):
        assert encoder.codes(pl.Series(same)).tolist() == [3, 2]
    typed = pl.Series(["9", "8"], dtype=pl.Categorical)
    assert encoder.codes(typed).tolist() == [3, 2]


def test_dates_by_hand() -> None:
    days = [datetime.datetime(2024, 1, 1), datetime.datetime(2024, 7, 1, 6), None]
    encoder = DatetimeEncoder.fit(pl.Series(days), DataSettings())
    found = dict(zip(encoder.labels, encoder.transform(pl.Series(days)).T, strict=True))
    assert found["elapsed"] == pytest.approx([-1, 1, 0])
    assert found["day"] == pytest.approx([1 / 15.5 - 1, 1 / 15.5 - 1, 0])
    assert found["month sin"] == pytest.approx([0, 0, 0], abs=1e-12)
    assert found["month cos"] == pytest.approx([1, -1, 0])
    assert found["weekday cos"] == pytest.approx([1, 1, 0])
    assert found["hour sin"] == pytest.approx([0, 1, 0])
    assert found["is missing"].tolist() == [0, 0, 1]


def test_hours_only_where_there_are_any() -> None:
    encoder = DatetimeEncoder.fit(pl.Series(["2024-01-01", "2024-02-01"]), DataSettings())
    assert not encoder.has_hours
    assert len(encoder.labels) == encoder.transform(pl.Series(["2024-03-01"])).shape[1] == 6


def test_the_order_of_dates_is_learnt_in_training() -> None:
    encoder = DatetimeEncoder.fit(pl.Series(["1/31/2024", "2/1/2024"]), DataSettings())
    assert encoder.form == "mdy"
    both = encoder.transform(pl.Series(["3/4/2024", "2024-03-04"]))
    assert both[0, 1] == pytest.approx(4 / 15.5 - 1)
    assert both[1].tolist()[1] == 0.0
