"""The laws of an encoding: fitted on training rows, row by row, saved whole."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import safetensors.numpy
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glial.core.errors import InputError
from glial.data import DataSettings, Encoding, Kind, infer_columns
from glial.data.settings import FeatureSettings

KINDS: dict[str, Kind] = {
    "number": "number",
    "flagged": "number",
    "boolean": "boolean",
    "few": "category",
    "many": "category",
    "when": "datetime",
    "note": "text",
    "id": "identifier",
}


def table(num_rows: int, seed: int = 0) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    start = datetime.datetime(2020, 1, 1)
    return pl.DataFrame(
        {
            "number": draw.normal(5, 3, num_rows),
            "flagged": [None if i % 4 == 0 else float(i) for i in range(num_rows)],
            "boolean": [["yes", "no", "?"][i % 3] for i in range(num_rows)],
            "few": draw.choice(list("abc"), num_rows),
            "many": draw.choice([f"v{i}" for i in range(30)], num_rows),
            "when": [
                start + datetime.timedelta(hours=int(h)) for h in draw.integers(0, 9999, num_rows)
            ],
            "note": ["words"] * num_rows,
            "id": range(num_rows),
        }
    )


TRAIN = table(60)
asked = st.builds(
    DataSettings,
    scaling=st.sampled_from(["auto", "standard", "minmax", "robust", "quantile", "power", "none"]),
    missing=st.sampled_from(["auto", "mean", "median", "mode", "constant", "mask"]),
    missing_flags=st.booleans(),
    missing_categories=st.sampled_from(["category", "mode"]),
    categories=st.sampled_from(["auto", "one-hot", "embedding", "ordinal", "hashing", "target"]),
    text=st.sampled_from(["counts", "tf-idf", "ignore"]),
    min_category_count=st.sampled_from([1, 3]),
)


# What looks at the whole row: equal up to rounding, not bit for bit.
whole = st.builds(
    DataSettings,
    missing=st.sampled_from(["knn", "iterative", "factorization"]),
    features=st.builds(
        FeatureSettings,
        polynomial=st.sampled_from([1, 2]),
        pca=st.sampled_from([None, 3, 0.9]),
        crosses=st.sampled_from([[], [["few", "many"]]]),
    ),
)
TARGET = (TRAIN["number"].to_numpy() > 5).astype(np.int64)


def fitted(choice: DataSettings, frame: pl.DataFrame = TRAIN) -> Encoding:
    return Encoding.fit(frame, KINDS, choice, target=TARGET)


@given(whole, st.integers(0, 39))
@settings(max_examples=12)
@pytest.mark.slow
def test_what_looks_at_the_whole_row_looks_at_no_other(choice: DataSettings, row: int) -> None:
    encoding = fitted(choice)
    new = table(40, seed=1)
    numbers, categories = encoding.transform(new.select(reversed(new.columns)))[:2]
    assert torch.isfinite(numbers).all()
    assert numbers.shape == (40, encoding.num_numbers)
    alone = encoding.transform(new[row : row + 1])
    torch.testing.assert_close(alone.numbers[0], numbers[row], rtol=1e-4, atol=1e-4)
    assert torch.equal(alone.categories[0], categories[row])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(whole)
@pytest.mark.slow
def test_imputers_and_steps_are_loaded_bit_for_bit(tmp_path: Path, choice: DataSettings) -> None:
    encoding = fitted(choice)
    encoding.save(tmp_path)
    loaded, new = Encoding.load(tmp_path), table(20, seed=2)
    assert (loaded.names, loaded.dropped) == (encoding.names, encoding.dropped)
    assert loaded.columns == encoding.columns
    for found, wanted in zip(loaded.transform(new)[:2], encoding.transform(new)[:2], strict=True):
        assert found.numpy().tobytes() == wanted.numpy().tobytes()


def test_training_rows_are_encoded_out_of_fold_and_others_by_all() -> None:
    choice = DataSettings(categories="target")
    encoding, inputs = Encoding.fit_transform(TRAIN, KINDS, choice, target=TARGET)
    place = encoding.names.index("many mean target")
    assert not torch.equal(inputs.numbers[:, place], encoding.transform(TRAIN).numbers[:, place])
    others = [i for i in range(encoding.num_numbers) if "mean target" not in encoding.names[i]]
    assert torch.equal(inputs.numbers[:, others], encoding.transform(TRAIN).numbers[:, others])


def test_crosses_read_their_parts_and_are_one_column_more() -> None:
    choice = DataSettings(features=FeatureSettings(crosses=[["few", "boolean"]]))
    encoding = fitted(choice, TRAIN)
    assert "few x boolean" not in encoding.columns
    assert {"few", "boolean"} <= set(encoding.columns)
    assert "few x boolean is a | no" in encoding.names


@pytest.mark.slow
def test_many_rows_are_encoded_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    encoding = fitted(DataSettings(missing="knn"))
    wanted = encoding.transform(TRAIN)
    monkeypatch.setattr("glial.data.encoding.CHUNK", 7)
    for found, one in zip(encoding.transform(TRAIN)[:2], wanted[:2], strict=True):
        torch.testing.assert_close(found, one)


@pytest.mark.slow
@given(asked)
@settings(max_examples=40)
def test_shapes_types_and_names(choice: DataSettings) -> None:
    encoding = fitted(choice)
    numbers, categories = encoding.transform(TRAIN)[:2]
    assert numbers.dtype == torch.float32
    assert categories.dtype == torch.int64
    assert numbers.shape == (60, encoding.num_numbers)
    assert categories.shape == (60, len(encoding.cardinalities))
    assert len(set(encoding.names)) == encoding.num_numbers
    assert torch.isfinite(numbers).all()
    for codes, size in zip(categories.T, encoding.cardinalities, strict=True):
        assert 0 < codes.min() <= codes.max() < size


@pytest.mark.slow
@given(asked, st.integers(0, 39))
@settings(max_examples=40)
def test_a_row_alone_equals_the_row_in_a_batch_bit_for_bit(choice: DataSettings, row: int) -> None:
    encoding = fitted(choice)
    new = table(40, seed=1)
    numbers, categories = encoding.transform(new)[:2]
    alone = encoding.transform(new[row : row + 1])
    assert alone.numbers.numpy().tobytes() == numbers[row].numpy().tobytes()
    assert torch.equal(alone.categories[0], categories[row])


@pytest.mark.slow
@given(asked)
@settings(max_examples=40)
def test_columns_may_come_in_any_order_and_with_others(choice: DataSettings) -> None:
    encoding = fitted(choice)
    other = TRAIN.select(reversed(TRAIN.columns)).with_columns(extra=1)
    found, wanted = encoding.transform(other), encoding.transform(TRAIN)
    assert torch.equal(found.numbers, wanted.numbers)
    assert torch.equal(found.categories, wanted.categories)


def test_text_cells_encode_like_typed_ones() -> None:
    spelt = TRAIN.with_columns(
        pl.col("number", "flagged").cast(pl.String).fill_null(""),
        pl.col("when").dt.to_string("%Y-%m-%dT%H:%M:%S"),
    )
    typed, text = (Encoding.fit(frame, KINDS, DataSettings()) for frame in (TRAIN, spelt))
    for found, wanted in zip(text.transform(spelt)[:2], typed.transform(TRAIN)[:2], strict=True):
        assert torch.equal(found, wanted)
    assert torch.equal(typed.transform(spelt).numbers, typed.transform(TRAIN).numbers)


def test_the_kinds_inferred_are_those_meant() -> None:
    assert infer_columns(TRAIN.drop("note", "id"), {}) == {
        name: kind for name, kind in KINDS.items() if name not in ("note", "id")
    }


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(asked)
def test_what_is_saved_is_loaded_bit_for_bit(tmp_path: Path, choice: DataSettings) -> None:
    encoding = fitted(choice)
    encoding.save(tmp_path)
    loaded = Encoding.load(tmp_path)
    new = table(20, seed=2)
    assert loaded.names == encoding.names
    assert loaded.cardinalities == encoding.cardinalities
    for found, wanted in zip(loaded.transform(new)[:2], encoding.transform(new)[:2], strict=True):
        assert found.numpy().tobytes() == wanted.numpy().tobytes()


def test_missing_columns_are_named() -> None:
    encoding = Encoding.fit(TRAIN, KINDS, DataSettings())
    with pytest.raises(InputError, match=r"missing: number.*is 'nmber' meant"):
        encoding.transform(TRAIN.rename({"number": "nmber"}))


def test_cells_that_are_no_numbers_are_noticed(caplog: pytest.LogCaptureFixture) -> None:
    frame = pl.DataFrame({"a": ["1", "2", "3"]})
    encoding = Encoding.fit(frame, {"a": "number"}, DataSettings())
    found = encoding.transform(pl.DataFrame({"a": ["2", "two", "inf", "?"]})).numbers
    assert found[:, 0].tolist() == [0.0] * 4
    assert "1 cells are no numbers, such as 'two'" in caplog.text
    assert "1 infinite cells" in caplog.text


def test_numbers_far_outside_training_stay_finite() -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0]})
    for scaling in ("standard", "robust", "none"):
        encoding = Encoding.fit(frame, {"a": "number"}, DataSettings(scaling=scaling))
        found = encoding.transform(pl.DataFrame({"a": [1.7e308, -1.7e308, 5e-324]})).numbers
        assert torch.isfinite(found).all()


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(InputError, match="no column is left"):
        Encoding.fit(TRAIN, {"id": "identifier"}, DataSettings())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Encoding.fit(TRAIN, KINDS, DataSettings(categories="embedding")).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["encoding.json", "encoding.safetensors"])
def test_a_file_missing_or_cut_short_is_refused(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    for length in (0, 1, 8, len(content) // 2, len(content) - 1):
        (folder / name).write_bytes(content[:length])
        with pytest.raises(InputError):
            Encoding.load(folder)
    (folder / name).unlink()
    with pytest.raises(InputError):
        Encoding.load(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["encoding.json", "encoding.safetensors"]), st.data())
@pytest.mark.slow
def test_any_changed_byte_is_refused_or_changes_nothing(
    folder: Path, name: str, data: st.DataObject
) -> None:
    path = folder / name
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    whole, content[place] = bytes(content), data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        loaded = Encoding.load(folder)
    except InputError:
        pass
    else:
        wanted = Encoding.fit(TRAIN, KINDS, DataSettings(categories="embedding"))
        assert torch.equal(loaded.transform(TRAIN).numbers, wanted.transform(TRAIN).numbers)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "content",
    ["[]", "3", "null", "{}", '{"columns": 3}', '{"columns": []}', '{"columns": [{}]}', "not JSON"],
)
def test_other_json_is_refused(folder: Path, content: str) -> None:
    (folder / "encoding.json").write_text(content)
    with pytest.raises(InputError):
        Encoding.load(folder)


@pytest.mark.parametrize(
    "array",
    [np.array(np.nan), np.array(np.inf), np.zeros(2), np.array(1.0, np.float32), np.array(1)],
    ids=["nan", "inf", "shape", "float32", "int"],
)
def test_other_arrays_are_refused_even_with_a_fitting_checksum(
    folder: Path, array: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = safetensors.numpy.load_file(folder / "encoding.safetensors")
    arrays["columns.0.scaling.shift"] = array
    safetensors.numpy.save_file(arrays, folder / "encoding.safetensors")
    monkeypatch.setattr("glial.data.stored._check_whole", lambda content, arrays: None)
    with pytest.raises(InputError, match="is damaged"):
        Encoding.load(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [("kind", "pickle"), ("kind", None), ("flags", 1), ("flags", "yes"), ("name", 3)],
)
def test_other_values_are_refused_even_with_a_fitting_checksum(
    folder: Path, key: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "encoding.json"
    content = json.loads(path.read_text())
    content["columns"][0][key] = value
    path.write_text(json.dumps(content))
    if key != "name":
        monkeypatch.setattr("glial.data.stored._check_whole", lambda content, arrays: None)
    with pytest.raises(InputError, match="is damaged"):
        Encoding.load(folder)
