"""``glial embed`` as a user calls it: what it writes, what it prints, how it exits."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from PIL import Image

import glial
from glial.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"train.lr": 0.01, "model.hidden_sizes": [6]}
    glial.train("iris", model="mlp", epochs=1, out="run", set=options)
    return tmp_path


@pytest.fixture
def call(capsys):
    """Call the verb with --json; returns the status and the one JSON object."""

    def run(*words):
        capsys.readouterr()
        status = main(["embed", *words, "--json", "--quiet"])
        out = capsys.readouterr().out
        assert out.count("\n") == 1, out
        return status, json.loads(out)

    return run


READERS = {
    "csv": pl.read_csv,
    "parquet": pl.read_parquet,
    "jsonl": pl.read_ndjson,
    "npz": lambda path: pl.DataFrame(
        np.load(path)["x"], schema=[f"embedding_{i}" for i in range(6)]
    ),
}


@pytest.mark.parametrize("ending", READERS)
def test_every_format_holds_the_same_vectors(call, ending):
    status, told = call("run", "iris", "--out", f"rows.{ending}")
    assert status == 0
    assert told == {
        "embeddings": f"rows.{ending}",
        "rows": 150,
        "size": 6,
        "layer": None,
        "near": None,
        "reduce": None,
        "picture": None,
        "against": None,
        "copies": None,
    }
    found = READERS[ending](f"rows.{ending}")
    assert found.columns == [f"embedding_{i}" for i in range(6)]
    np.testing.assert_allclose(found.to_numpy(), glial.embed("run", "iris").to_numpy(), rtol=1e-6)


def test_a_layer_by_its_name(call):
    status, told = call("run", "iris", "--out", "rows.csv", "--layer", "head")
    assert (status, told["size"], told["layer"]) == (0, 3, "head")


def test_nearest_rows_stand_beside_the_vectors(call):
    status, told = call("run", "iris", "--out", "rows.parquet", "--near", "2")
    assert (status, told["near"]) == (0, 2)
    found = pl.read_parquet("rows.parquet")
    assert found.columns[6:] == ["near_1", "distance_1", "near_2", "distance_2"]
    assert (found["near_1"] != pl.Series(range(150))).all()
    assert (found["distance_1"] <= found["distance_2"]).all()
    call("run", "iris", "--out", "rows.npz", "--near", "2", "--metric", "euclidean")
    with np.load("rows.npz") as arrays:
        assert sorted(arrays.files) == ["distance", "near", "x"]
        vectors, near, distance = arrays["x"], arrays["near"], arrays["distance"]
    expected = np.linalg.norm(vectors - vectors[near[:, 1]], axis=1)
    np.testing.assert_allclose(distance[:, 1], expected, rtol=1e-4, atol=1e-6)


def test_rows_of_another_source_are_searched(call):
    frame = glial.data.read("iris")
    frame[100:].write_csv("new.csv")
    frame.write_csv("all.csv")
    status, told = call(
        "run",
        "new.csv",
        "--out",
        "rows.csv",
        "--near",
        "1",
        "--against",
        "all.csv",
        "--copies",
        "1",
    )
    assert (status, told["rows"], told["against"]) == (0, 50, "all.csv")
    assert pl.read_csv("rows.csv")["distance_1"].to_list() == [0.0] * 50
    pairs = {tuple(pair["rows"]) for pair in told["copies"]}
    assert {(i, 100 + i) for i in range(50)} <= pairs
    assert (1, 142) in pairs  # a flower that stands in iris twice


def test_copies_are_listed_and_told(call, capsys):
    _, told = call("run", "iris", "--out", "rows.csv", "--copies", "1")
    assert {"rows": [101, 142], "similarity": 1.0} in told["copies"]
    assert main(["embed", "run", "iris", "--out", "rows.csv", "--copies", "0.99", "--quiet"]) == 0
    text = capsys.readouterr().out
    assert "wrote 150 embeddings of 6 numbers to rows.csv" in text
    assert "more: see --json" in text
    assert main(["embed", "run", "iris", "--out", "rows.csv", "--quiet"]) == 0
    assert "nearly the same" not in capsys.readouterr().out


def test_images_are_named_by_their_paths(call, folder):
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 255, (10, 10), dtype=np.uint8)
        path = folder / "pictures" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    Image.fromarray(pixels).save(folder / "pictures/a/twin.png")
    settings = {"model.widths": [4, 8], "data.augment": "none"}
    glial.train("pictures", epochs=1, out="images", set=settings)
    _, told = call("images", "pictures", "--out", "rows.csv", "--near", "1", "--copies", "1")
    assert [pair["paths"] for pair in told["copies"]] == [
        ["pictures/a/twin.png", "pictures/b/23.png"]
    ]
    found = pl.read_csv("rows.csv")
    assert found.columns[0] == "path"
    assert found["near_path_1"].to_list() == [found["path"][i] for i in found["near_1"]]
    call("images", "pictures", "--out", "rows.npz")
    with np.load("rows.npz") as arrays:
        assert arrays["path"].tolist() == found["path"].to_list()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "iris", "--out", "rows.txt"], "an ending that cannot be written"),
        (["run", "iris", "--out", "no/rows.csv"], "cannot be written"),
        (["run", "iris", "--out", "r.csv", "--layer", "heed"], "unknown layer 'heed'"),
        (["run", "iris", "--out", "r.csv", "--against", "iris"], "--against alone"),
        (["run", "iris", "--out", "r.csv", "--near", "150"], "neighbours of each row"),
        (["run", "iris", "--out", "r.csv", "--near", "many"], "whole number"),
        (["run", "iris", "--out", "r.csv", "--copies", "2"], "threshold"),
        (["run", "wine", "--out", "r.csv"], "column"),
        (["nothing", "iris", "--out", "r.csv"], "no run"),
        (["run", "iris"], "--out"),
    ],
)
def test_wrong_input_is_named_and_nothing_written(call, folder, words, message):
    status, told = call(*words)
    assert status == 2
    assert message in told["error"]["message"] + str(told["error"]["got"])
    assert not (folder / "r.csv").exists()


def test_a_task_of_embeddings_from_end_to_end(call, capsys):
    words = ["train", "iris", "--task", "embedding", "--model", "mlp", "--epochs", "4"]
    words += ["--set", "task.embedding_size=5", "--out", "own", "--json", "--quiet"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["task"] == "embedding"
    assert set(told["metrics"]["baseline"]) == set(told["metrics"]["test"])
    assert main(["predict", "own", "iris", "--out", "predicted.csv", "--quiet"]) == 0
    call("own", "iris", "--out", "embedded.csv")
    assert pl.read_csv("predicted.csv").equals(pl.read_csv("embedded.csv"))
    assert main(["evaluate", "own", "iris", "--json", "--quiet"]) == 0
