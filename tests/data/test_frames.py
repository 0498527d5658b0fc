"""Tables in memory: taken from every kind of caller, and given back as their kind."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import datasets

from glial.core.errors import InputError
from glial.data import read, to_kind_of

FRAME = pl.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, -1.0], "d": [True, False]})


def test_polars_and_arrow_come_as_they_are() -> None:
    assert read(FRAME).equals(FRAME)
    assert read(FRAME.lazy()).equals(FRAME)
    assert read(FRAME.to_arrow()).equals(FRAME)


def test_pandas_of_every_type() -> None:
    table = pd.DataFrame(
        {
            "int": [1, 2],
            "float": [0.5, np.nan],
            "bool": [True, False],
            "text": ["x", None],
            "nullable": pd.array([1, None], dtype="Int64"),
            "category": pd.Categorical(["u", "v"]),
            "time": pd.to_datetime(["2024-01-01", None]),
            "zoned": pd.to_datetime(["2024-01-01T01:00"] * 2).tz_localize("Etc/GMT-1"),
            "mixed": [1, "a"],
            "flags": pd.array([True, None], dtype="boolean"),
        },
        index=[7, 9],
    )
    frame = read(table)
    midnight = datetime.datetime(2024, 1, 1)
    assert frame.drop("float").rows() == [
        (1, True, "x", 1, "u", midnight, midnight, "1", True),
        (2, False, None, None, "v", None, midnight, "a", None),
    ]
    assert frame["float"][0] == 0.5
    assert frame["float"].is_nan()[1]


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1, max_size=5))
def test_nullable_integers_keep_every_digit(cells: list[int | None]) -> None:
    frame = read(pd.DataFrame({"a": pd.array(cells, dtype="Int64")}))
    assert frame["a"].to_list() == cells


def test_numpy_matrices_and_pairs() -> None:
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert read(matrix).rows() == [(1.0, 2.0), (3.0, 4.0)]
    assert read((matrix, np.array(["u", "v"])))["target"].to_list() == ["u", "v"]
    assert read((matrix, np.eye(2))).columns[-2:] == ["target_0", "target_1"]
    assert read((torch.tensor(matrix), torch.tensor([0, 1])))["target"].to_list() == [0, 1]
    assert read((pd.DataFrame(matrix, columns=["p", "q"]), [1, 2])).columns == ["p", "q", "target"]
    mixed = read(np.array([[1, "a"], [2, None]], dtype=object))
    assert mixed.rows() == [(1.0, "a"), (2.0, None)]


def test_a_bunch_has_names_and_labels() -> None:
    frame = read(datasets.load_iris())
    assert frame.columns[0] == "sepal length (cm)"
    assert frame["target"].unique().sort().to_list() == ["setosa", "versicolor", "virginica"]
    assert read(datasets.load_iris(as_frame=True)).height == 150
    assert read(datasets.load_diabetes())["target"].dtype == pl.Float64


def test_a_dictionary_of_columns() -> None:
    assert read({"a": np.array([1, 2]), "b": ["x", "y"]}).rows() == [(1, "x"), (2, "y")]


@pytest.mark.parametrize(
    "source",
    [
        3,
        None,
        [1, 2],
        object(),
        np.zeros((2, 2, 2, 2, 2)),
        {},
        {"a": []},
        {"a": [1], "b": [1, 2]},
        (np.zeros((2, 2)), np.zeros(3)),
        (pd.DataFrame({"target": [1]}), [1]),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pa.table({"a": pa.array([], pa.int64())}),
        np.zeros((0, 2)),
    ],
    ids=lambda source: type(source).__name__,
)
def test_what_is_no_table_is_refused(source: object) -> None:
    with pytest.raises(InputError) as caught:
        read(source)
    assert caught.value.do


def test_predictions_come_back_as_the_callers_kind() -> None:
    answer = pl.DataFrame({"prediction": ["x", "y"], "probability_x": [0.75, 0.25]})
    table = pd.DataFrame({"a": [1, 2]}, index=[7, 9])
    back = to_kind_of(answer, table)
    assert isinstance(back, pd.DataFrame)
    assert back.index.tolist() == [7, 9]
    assert back["prediction"].tolist() == ["x", "y"]
    assert to_kind_of(answer, FRAME) is answer
    assert to_kind_of(answer, "file.csv") is answer
    assert to_kind_of(answer, FRAME.to_arrow()).column_names == answer.columns
    matrix = np.zeros((2, 1))
    for like in (matrix, (matrix, [0, 1])):
        rows = to_kind_of(answer, like)
        assert isinstance(rows, np.ndarray)
        assert rows["prediction"].tolist() == ["x", "y"]
        assert rows["probability_x"].tolist() == [0.75, 0.25]
    assert to_kind_of(answer.select("probability_x"), matrix).tolist() == [0.75, 0.25]
