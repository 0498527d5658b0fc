"""Columns of sequences: what is one, gaps by hand, padding, scaling, and back from disk."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glial.core.errors import InputError
from glial.data import DataSettings, Encoding, from_memory, read
from glial.data.encoders import SequenceEncoder, TensorEncoder
from glial.data.sequences import holds_sequences, unpack

NAN = math.nan
PLAIN = DataSettings(scaling="none")
numbers = st.none() | st.floats(-1e6, 1e6, width=32)


def finished(column: pl.Series, settings: DataSettings = PLAIN) -> tuple[list, list]:
    encoder = SequenceEncoder.fit(column, settings)
    steps, lengths = encoder.finish(encoder.tensor(column))
    return steps.tolist(), lengths.tolist()


def test_padding_is_zeros_behind_the_end() -> None:
    steps, lengths = finished(pl.Series([[1.0, 2.0, 3.0], [4.0]]))
    assert steps == [[[1.0], [2.0], [3.0]], [[4.0], [0.0], [0.0]]]
    assert lengths == [3, 1]


def test_gaps_are_the_number_before_with_a_flag_beside_it() -> None:
    column = pl.Series([[1.0, None, 3.0], [None, 5.0], [NAN, math.inf]])
    steps, lengths = finished(column)
    assert lengths == [3, 2, 2]  # the median of 1, 3 and 5 where nothing came before
    assert steps[0] == [[1.0, 0.0], [1.0, 1.0], [3.0, 0.0]]
    assert steps[1][:2] == [[3.0, 1.0], [5.0, 0.0]]
    assert steps[2][:2] == [[3.0, 1.0], [3.0, 1.0]]


def test_only_features_with_gaps_in_training_have_flags() -> None:
    train = pl.Series([[[1.0, 2.0], [None, 4.0]]])
    encoder = SequenceEncoder.fit(train, PLAIN)
    assert encoder.size == [3]
    found, _ = encoder.finish(encoder.tensor(pl.Series([[[7.0, None]]])))
    assert found.tolist() == [[[7.0, 3.0, 0.0]]]
    assert SequenceEncoder.fit(train, DataSettings(missing_flags=False)).size == [2]


def test_rows_without_steps_have_one_that_is_missing() -> None:
    steps, lengths = finished(pl.Series([[2.0, 4.0], [], None]))
    assert lengths == [2, 1, 1]
    assert steps[1][0] == steps[2][0] == [3.0, 1.0]


def test_features_are_scaled_each_by_the_training_rows() -> None:
    train = pl.Series([[[0.0, 10.0], [2.0, 10.0]], [[4.0, 40.0]]])
    encoder = SequenceEncoder.fit(train, DataSettings(scaling="standard"))
    flat = np.array([[0.0, 10.0], [2.0, 10.0], [4.0, 40.0]])
    wanted = (flat - flat.mean(axis=0)) / flat.std(axis=0)
    steps, _ = encoder.finish(encoder.tensor(train))
    np.testing.assert_allclose(np.concatenate([steps[0], steps[1, :1]]), wanted, rtol=1e-6)


@given(st.lists(st.lists(numbers, max_size=5), min_size=1, max_size=6))
def test_numbers_that_are_there_come_back(rows: list[list[float | None]]) -> None:
    column = pl.Series(rows, dtype=pl.List(pl.Float64))
    encoder = SequenceEncoder.fit(column, PLAIN)
    steps, lengths = encoder.finish(encoder.tensor(column))
    assert lengths.tolist() == [max(1, len(row)) for row in rows]
    assert bool(steps.isfinite().all())
    for row, found in zip(rows, steps[..., 0].tolist(), strict=True):
        assert all(a is None or a == b for a, b in zip(row, found, strict=False))


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([[1, 2], [3]]),
        pl.Series([[1, 2], [3]], dtype=pl.List(pl.Float32)),
        pl.Series([[[1], [2]], [[3]]]),
        pl.Series(["[1, 2]", "[3]"]),
        pl.Series([[[1], [2]], [[3]]], dtype=pl.List(pl.Array(pl.Int64, 1))),
    ],
)
def test_every_form_of_a_column_says_the_same(column: pl.Series) -> None:
    found = unpack(column)
    assert holds_sequences(column)
    assert (found.steps[:, 0].tolist(), found.lengths.tolist()) == ([1.0, 2.0, 3.0], [2, 1])


def test_arrays_of_images_can_be_read_as_sequences() -> None:
    column = pl.Series(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    assert not holds_sequences(column.cast(pl.Array(pl.String, (2, 3))))
    assert unpack(column).steps.tolist() == np.arange(12.0).reshape(4, 3).tolist()


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series("s", [["a"], ["b"]]), "no sequences of numbers"),
        (pl.Series("s", [1.0, 2.0]), "no sequences of numbers"),
        (pl.Series("s", ["[1, 2", "[3]"]), "spells no sequences"),
        (pl.Series("s", [[[1, 2]], [[3, 4], [5]]]), "1 at a step of row 2"),
        (pl.Series("s", np.zeros((2, 2, 2, 2))), "no sequences of numbers"),
    ],
)
def test_other_cells_are_refused(column: pl.Series, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SequenceEncoder.fit(column, PLAIN)


def test_other_features_than_in_training_are_refused() -> None:
    encoder = SequenceEncoder.fit(pl.Series("s", [[[1.0, 2.0]]]), PLAIN)
    with pytest.raises(InputError, match=r"other features.*2 numbers"):
        encoder.tensor(pl.Series("s", [[[1.0, 2.0, 3.0]]]))


def test_columns_become_channels_of_one_sequence() -> None:
    frame = pl.DataFrame({"a": [[1.0, 2.0], [3.0]], "b": [[[5.0, 6.0]] * 2, [[7.0, 8.0]]]})
    encoding = Encoding.fit(frame, {"a": "sequence", "b": "sequence"}, PLAIN)
    assert encoding.sizes("sequence") == [[3]]
    steps, lengths = encoding.finish(encoding.arguments(encoding.transform(frame)))
    assert steps[1, 0].tolist() == [3.0, 7.0, 8.0]
    assert lengths.tolist() == [2, 1]
    odd = frame.with_columns(a=pl.Series([[1.0, 2.0], [3.0, 4.0]]))
    with pytest.raises(InputError, match="a: 2, b: 1 in row 2"):
        encoding.transform(odd)


def test_an_encoding_comes_back_from_its_folder(tmp_path) -> None:
    frame = pl.DataFrame({"a": [[1.0, None], [3.0]], "n": [1.0, 2.0]})
    kinds = {"a": "sequence", "n": "number"}
    encoding = Encoding.fit(frame, kinds, DataSettings(scaling="quantile"))
    encoding.save(tmp_path)
    again = Encoding.load(tmp_path)
    assert isinstance(again.encoders["a"], TensorEncoder)
    for found, wanted in zip(again.transform(frame), encoding.transform(frame), strict=True):
        pairs = zip(found, wanted, strict=True) if isinstance(found, tuple) else [(found, wanted)]
        assert all(torch.equal(a.nan_to_num(9.0), b.nan_to_num(9.0)) for a, b in pairs)


def test_arrays_that_cannot_be_images_are_sequences(tmp_path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 5, 2))
    frame = from_memory((values, [0, 1, 0, 1]))
    assert frame.schema["sequence"] == pl.Array(pl.Float64, (5, 2))
    np.savez(tmp_path / "a.npz", x=values, y=[0, 1, 0, 1])
    np.testing.assert_array_equal(read(tmp_path / "a.npz")["x"].to_numpy(), values)


def test_tables_of_pandas_keep_their_lists() -> None:
    pandas = pytest.importorskip("pandas")
    frame = from_memory(
        pandas.DataFrame({"s": [[1.0, 2.0], np.array([3.0]), None], "y": [0, 1, 0]})
    )
    assert frame["s"].to_list() == [[1.0, 2.0], [3.0], None]
