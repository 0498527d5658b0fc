"""Sequences from end to end: tables of lists, a run's folder, and digits drawn row by row."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_digits

import glial
from glial.core.errors import InputError


def walks(rows: int = 300) -> pl.DataFrame:
    """Random walks of unequal length that drift up or down, some of them with gaps."""
    generator = np.random.default_rng(0)
    cells: list[list[float | None]] = []
    for row in range(rows):
        drift = 0.5 if row % 2 else -0.5
        steps = generator.normal(drift, 1.0, int(generator.integers(5, 15)))
        cells.append([float(value) for value in steps.cumsum()])
    cells[5][2], cells[7] = None, []
    return pl.DataFrame({"walk": cells, "way": ["down", "up"] * (rows // 2)})


def test_a_column_of_lists_has_a_model_of_sequences(tmp_path):
    frame = walks()
    run = glial.train(frame, "way", epochs=6, out=tmp_path / "run")
    assert run.plan.model["name"] == "sequence_rnn"
    assert run.metrics["test"]["accuracy"] > 0.8
    again = glial.load(tmp_path / "run")
    new = pl.DataFrame({"walk": [[-1.0, -2.0, -4.0] * 5, None, [1.0], [0.5, 2.0, 3.0, 5.0]]})
    found = glial.predict(again, new)
    assert found["prediction"].to_list()[::3] == ["down", "up"]
    assert found.equals(glial.predict(run, new))
    alone = glial.predict(again, new[3:])
    assert alone["probability_up"].item() == pytest.approx(found["probability_up"][3], abs=1e-6)


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_files_say_what_memory_says(ending, tmp_path):
    frame, path = walks(60), tmp_path / f"walks.{ending}"
    if ending == "parquet":
        frame.write_parquet(path)
    elif ending == "jsonl":
        frame.write_ndjson(path)
    else:
        words = [str(list(row)).replace("None", "null") for row in frame["walk"]]
        frame.with_columns(walk=pl.Series(words)).write_csv(path)
    first = glial.train(frame, "way", epochs=1, out=False)
    second = glial.train(path, "way", epochs=1, out=False)
    assert second.history[-1]["train_loss"] == pytest.approx(first.history[-1]["train_loss"])


def test_a_sequence_beside_a_number_has_the_mixed_model():
    frame = walks(60).with_columns(age=pl.int_range(60) * 1.5 % 7)
    run = glial.train(frame, "way", epochs=1, out=False)
    assert run.plan.model["name"] == "mixed"
    assert run.sizes["sequences"] == [[2]]


def test_models_of_numbers_do_not_take_sequences():
    with pytest.raises(InputError, match="does not take the column 'walk'"):
        glial.train(walks(60), "way", model="mlp", out=False)


def test_sequences_are_not_streamed(tmp_path):
    walks(60).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="sequences of 'walk' cannot be used"):
        glial.train(tmp_path / "a.parquet", "way", out=False, set={"data.stream": "always"})


def digits(*, shuffled: bool = False) -> pl.DataFrame:
    """Digits as eight steps of eight numbers, or with each image's rows in an order of its own."""
    data = load_digits()
    steps = data.images.astype(np.float64)
    if shuffled:
        generator = np.random.default_rng(0)
        steps = np.stack([image[generator.permutation(8)] for image in steps])
    return pl.DataFrame({"rows": steps - 8.0, "digit": data.target})


@pytest.mark.parametrize(
    ("shuffled", "low", "high"), [(False, 0.94, 1.0), (True, 0.3, 0.85)], ids=["order", "no order"]
)
def test_digits_are_read_row_by_row(shuffled, low, high):
    run = glial.train(digits(shuffled=shuffled), "digit", epochs=12, out=False)
    assert low <= run.metrics["test"]["accuracy"] <= high
    assert run.metrics["baseline"]["accuracy"] < 0.15
