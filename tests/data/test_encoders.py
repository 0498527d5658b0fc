"""Encoders of one column, against scikit-learn and by hand."""

from __future__ import annotations

import datetime
import math
import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler, TargetEncoder

from glial.core.errors import InputError
from glial.data import DataSettings
from glial.data.encoders import (
    BooleanEncoder,
    CategoryEncoder,
    DatetimeEncoder,
    NumberEncoder,
    OneHotEncoder,
    TextEncoder,
    fit_column,
)
from glial.data.encoders.categories import category_means, fit_target_means

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


@pytest.mark.slow
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


def test_a_constant_fills_before_scaling_and_a_mask_after_it() -> None:
    found = encoded([1.0, None, 3.0], scaling="none", missing="constant", missing_value=9.0)
    assert found.tolist() == [[1, 0], [9, 1], [3, 0]]
    masked = encoded([1.0, None, 3.0], scaling="standard", missing="mask")
    assert masked.tolist() == [[-1, 0], [0, 1], [1, 0]]
    whole = NumberEncoder.fit(pl.Series([1.0, 3.0]), DataSettings(missing="mask"))
    assert whole.labels == ["", "is missing"]  # the network always gets the mask


def test_one_column_may_do_otherwise() -> None:
    own = {"a": {"scaling": "minmax", "missing": "mean"}}
    found = encoded([0.0, None, 4.0], columns=own, missing_flags=False)
    assert found[:, 0].tolist() == [0.0, 0.5, 1.0]


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


def chosen(values: list[object], **asked: object) -> Any:
    column = pl.Series("a", values, strict=False)
    return fit_column(column, "category", DataSettings.read(asked))[0]


def test_one_hot_by_hand() -> None:
    three = chosen(["a", "b", "c"], categories="one-hot")
    assert three.labels == ["is a", "is b", "is c"]
    assert three.transform(pl.Series(["b", "new"])).tolist() == [[0, 1, 0], [0, 0, 0]]
    two = chosen(["a", "b"], categories="one-hot")
    assert two.labels == ["is b"]
    assert two.transform(pl.Series(["a", "b", "new"])).tolist() == [[-1], [1], [0]]


def test_few_values_become_one_hot_and_many_are_embedded() -> None:
    letters = list("abcdefghi")
    assert isinstance(chosen(letters[:8]), OneHotEncoder)
    assert isinstance(chosen(letters), CategoryEncoder)
    assert isinstance(chosen(letters, categories="one-hot"), OneHotEncoder)
    assert isinstance(chosen(letters[:2], categories="embedding"), CategoryEncoder)


def test_a_missing_category_may_be_taken_for_the_commonest() -> None:
    encoder = fitted(["b", "a", "?", "b"], missing_categories="mode")
    assert encoder.cardinality == 3
    assert encoder.codes(pl.Series(["a", None, "new"])).tolist() == [1, 2, 0]


def test_ranks_by_number_alphabet_or_the_order_given() -> None:
    numbers = chosen(["10", "9", "100"], categories="ordinal")
    assert numbers.transform(pl.Series(["9", "10", "100", "new"]))[:, 0].tolist() == [-1, 0, 1, 0]
    words = chosen(["b", "a", "?"], categories="ordinal")
    assert words.transform(pl.Series(["a", "b", None])).tolist() == [[-1, 0], [1, 0], [0, 1]]
    assert words.labels == ["rank", "is missing"]
    order = {"a": {"order": ["low", "middle", "high"], "categories": "ordinal"}}
    sizes = chosen(["high", "low", "middle"], columns=order)
    assert sizes.transform(pl.Series(["high", "low"]))[:, 0].tolist() == [1, -1]
    with pytest.raises(InputError, match="leaves out 'huge'"):
        chosen(["low", "huge"], columns=order)


def test_hashes_need_no_vocabulary_and_are_the_same_everywhere() -> None:
    encoder = chosen(["a", "b"], categories="hashing", hash_size=4)
    found = encoder.transform(pl.Series(["a", "b", "never seen", None, "a"]))
    # crc32: a is 0xe8b7be43, b is 0x71beeff9; the last bit is the sign, the rest the place.
    assert found[0].tolist() == [0, -1, 0, 0]
    assert found[1].tolist() == [-1, 0, 0, 0]
    assert np.abs(found).sum(axis=1).tolist() == [1, 1, 1, 0, 1]
    assert found[0].tolist() == found[4].tolist()


@given(st.lists(st.tuples(st.sampled_from("abcd"), plain), min_size=4, max_size=40))
def test_means_of_the_target_are_scikit_learns(rows: list[tuple[str, float]]) -> None:
    words, target = np.array([w for w, _ in rows]), np.array([t for _, t in rows])
    if np.ptp(target) < 1e-3 * np.abs(target).max() or len(set(target)) < 3:
        return
    values, codes = np.unique(words, return_inverse=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = TargetEncoder(target_type="continuous").fit(words[:, None], target)
    found = category_means(codes, target[:, None], len(values) + 1)
    scale = np.abs(target).max()
    np.testing.assert_allclose(found[:-1, 0] / scale, oracle.encodings_[0] / scale, atol=1e-6)
    assert found[-1, 0] == pytest.approx(target.mean())


def test_a_rows_own_target_does_not_reach_its_encoding() -> None:
    """Each category once: in-sample means would be the targets themselves."""
    generator = np.random.default_rng(0)
    words = pl.Series("a", [f"v{i}" for i in range(400)])
    target = generator.normal(size=(400, 1))
    _, training = fit_target_means(words, DataSettings(), target, seed=0)
    assert abs(np.corrcoef(training[:, 0], target[:, 0])[0, 1]) < 0.2
    changed = target.copy()
    changed[7] += 100.0
    _, again = fit_target_means(words, DataSettings(), changed, seed=0)
    own_fold = (again - again[7]).round(9) == 0
    assert own_fold.sum() >= 80


def test_words_are_counted_as_scikit_learn_counts_them() -> None:
    cells = ["The cat, the dog", "a cat sat", None, "DOG dog dog"]
    encoder = TextEncoder.fit(pl.Series("t", cells), DataSettings(max_words=3))
    assert encoder is not None
    assert encoder.words == ["cat", "dog", "the"]
    expected = np.log1p([[1, 1, 2], [1, 0, 0], [0, 0, 0], [0, 3, 0]])
    np.testing.assert_allclose(encoder.transform(pl.Series("t", cells)), expected)
    assert TextEncoder.fit(pl.Series("t", ["!", None]), DataSettings()) is None


def test_words_weighed_by_rarity_are_scikit_learns() -> None:
    cells = ["The cat, the dog", "a cat sat on the mat", "", "DOG dog dog bites", "cat"]
    column = pl.Series("t", cells)
    encoder = TextEncoder.fit(column, DataSettings(text="tf-idf", max_words=4))
    assert encoder is not None
    oracle = TfidfVectorizer(max_features=4)
    expected = oracle.fit_transform(cells).toarray()
    assert encoder.words == oracle.get_feature_names_out().tolist()
    np.testing.assert_allclose(encoder.transform(column), expected)
    new = ["a dog on the moon", None]
    assert encoder.transform(pl.Series("t", new))[1].tolist() == [0.0] * 4
    np.testing.assert_allclose(
        encoder.transform(pl.Series("t", new))[:1], oracle.transform(new[:1]).toarray()
    )


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
