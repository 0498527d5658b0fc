"""Labels keep their order, their spelling and their type."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glial.tasks.labels import Labels


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (["10", "9", "10"], ["9", "10"]),
        (["b", "a", "c"], ["a", "b", "c"]),
        (["02", "1", "10"], ["1", "02", "10"]),
        (["01", "1"], ["01", "1"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        ([" a", "a ", "b"], ["a", "b"]),
        (["1", "nan", "0"], ["0", "1", "nan"]),
        (["inf", "-1", "2"], ["-1", "2", "inf"]),
        ([True, False], ["false", "true"]),
        ([10, 9, -1], ["-1", "9", "10"]),
        ([0.5, 0.25], ["0.25", "0.5"]),
        (["a", None], ["a"]),
    ],
)
def test_order_and_spelling(column, names):
    assert Labels.of(pl.Series(column)).names == names


@pytest.mark.parametrize(
    "column",
    [["01", "1", "x"], [3, 1, 2], [True, False], [0.5, 1.5], [2**62, -(2**62)]],
)
def test_labels_come_back_as_they_were(column):
    series = pl.Series(column)
    labels = Labels.of(series)
    back = labels.values(labels.codes(series)).tolist()
    assert back == column
    assert [type(value) for value in back] == [type(value) for value in column]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_codes_are_places_in_the_sorted_names(texts):
    series = pl.Series(texts, dtype=pl.String)
    labels = Labels.of(series)
    stripped = series.str.strip_chars().to_list()
    assert [labels.names[code] for code in labels.codes(series)] == stripped
    assert len(set(labels.names)) == len(labels.names)
    assert Labels.of(series.reverse()).names == labels.names


def test_labels_never_shown_and_missing_ones_are_minus_one():
    labels = Labels.of(pl.Series(["a", "b"]))
    assert labels.codes(pl.Series(["b", "z", None])).tolist() == [1, -1, -1]
    assert labels.codes(pl.Series([None, None])).tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("trained", "met", "codes"),
    [
        ([1, 2], ["1", "2", "1.0"], [0, 1, -1]),
        ([1, 2], [1.0, 2.0, 1.5, None], [0, 1, -1, -1]),
        ([1.0, 2.0], ["1", "2.0", "x"], [0, 1, -1]),
        ([1.0, 2.5], [1, 2], [0, -1]),
        ([True, False], ["True", "false", "TRUE", "yes"], [1, 0, 1, -1]),
        (["1", "2"], [1, 2], [0, 1]),
        (["true", "false"], [True, False], [1, 0]),
    ],
)
def test_the_same_value_of_another_type_is_the_same_label(trained, met, codes):
    labels = Labels.of(pl.Series(trained))
    assert labels.codes(pl.Series(met)).tolist() == codes
