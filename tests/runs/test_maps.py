"""Runs of self-organising maps: trained, resumed, drawn, and what is said of rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted
from glial.runs.cells import cells_sheet

MAP: dict[str, Any] = {"task": "reduce", "model": "som"}


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> glial.Run:
    return glial.train("iris", out=tmp_path_factory.mktemp("runs") / "iris", **MAP)


def test_kinds_lie_apart_on_the_map_and_new_rows_beside_their_like(flowers: glial.Run) -> None:
    frame = glial.data.load_dataset("iris")[0]
    told = glial.predict(flowers, frame)
    assert told.columns[:2] == ["embedding_0", "embedding_1"]
    places = told.select("embedding_0", "embedding_1").to_numpy()
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    kinds = frame["species"].to_numpy()
    assert np.mean(kinds[apart.argmin(axis=1)] == kinds) > 0.9
    test, trivial = flowers.metrics["test"], flowers.metrics["baseline"]
    assert test["reconstruction_error"] < 0.2 * trivial["reconstruction_error"]
    assert test["topographic_error"] < 0.2


@pytest.mark.parametrize("learning", ["batch", "online"])
def test_a_resumed_training_is_the_one_that_never_stopped(
    learning: str, tmp_path: Path, stop_at: Any
) -> None:
    chosen = {"model.learning": learning, "train.batch_size": 16}
    options = {**MAP, "epochs": 5, "set": chosen}
    whole = glial.train("iris", out=False, **options)
    with pytest.raises(TrainingInterrupted):
        glial.train("iris", out=tmp_path / "run", callbacks=[stop_at(11)], **options)
    resumed = glial.train("iris", out=tmp_path / "run", resume=True, **options)
    losses = [[row["train_loss"] for row in run.history] for run in (whole, resumed)]
    assert losses[0] == losses[1]
    assert torch.equal(whole.model.prototypes, resumed.model.prototypes)


def test_cells_of_pictures_are_drawn_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "digits.npz"
    np.savez(path, x=(load_digits().images[:200] * 15.9).astype(np.uint8))
    run = glial.train(path, epochs=3, out=False, set={"model.grid": [3, 4]}, **MAP)
    borders, mosaic = cells_sheet(run).strips
    assert borders.tiles[0].values.shape == (6, 9)
    assert mosaic.tiles[0].values.shape == (3 * 8, 4 * 8)
    first = run.model.prototypes[5].detach().reshape(8, 8)
    assert torch.equal(mosaic.tiles[0].values[8:16, 8:16], first)


def test_cells_are_drawn_by_the_verb(
    flowers: glial.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "map.png"
    assert main(["inspect", str(flowers.path), "--cells", str(picture), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells"] == str(picture)
    with Image.open(picture) as image:
        assert image.format == "PNG"
    planes = cells_sheet(flowers).strips[1]
    names = [tile.label.splitlines()[0] for tile in planes.tiles]
    assert names == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    values = planes.tiles[2].values
    assert (values.min(), values.max()) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["som", "--cells", "a.png"], "cells are drawn of a run"),
        (["RUN", "--cells", "a.svg"], "draws a PNG file"),
        (["OTHER", "--cells", "a.png"], "has no cells to draw"),
    ],
)
def test_cells_that_cannot_be_drawn_are_refused(
    words: list[str], message: str, flowers: glial.Run, tmp_path: Path, capsys: Any
) -> None:
    if words[0] == "OTHER":
        glial.train("iris", model="linear", epochs=1, out=tmp_path / "other")
    names = {"RUN": str(flowers.path), "OTHER": str(tmp_path / "other")}
    assert main(["inspect", *[names.get(word, word) for word in words], "--json"]) == 2
    assert message in json.loads(capsys.readouterr().out)["error"]["message"]


def test_what_the_objective_refuses_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a rate above 1"):
        glial.train("iris", out=tmp_path / "run", set={"train.lr": 2.0}, **MAP)
    assert not (tmp_path / "run").exists()


def test_a_cell_is_a_cluster() -> None:
    chosen = {"model.grid": [1, 3]}
    run = glial.train("iris", task="cluster", model="som", out=False, set=chosen)
    frame = glial.data.load_dataset("iris")[0]
    told = glial.predict(run, frame)
    assert set(told["prediction"]) == {0, 1, 2}
    found = glial.evaluate(run, frame)
    assert found["metrics"]["num_clusters"] == 3
    assert found["metrics"]["silhouette"] > 0.35 > found["baseline"]["silhouette"]


def test_rows_of_weight_nothing_teach_nothing() -> None:
    generator = np.random.default_rng(0)
    frame = pl.DataFrame({"size": generator.normal(size=200), "count": np.ones(200)})
    far = pl.DataFrame({"size": np.full(100, 1000.0), "count": np.zeros(100)})
    settings = {"data.scaling": "none", "model.grid": [1, 5], "data.duplicates": "keep"}
    run = glial.train(
        pl.concat([frame, far]), weight="count", epochs=20, out=False, set=settings, **MAP
    )
    assert run.model.prototypes.abs().max() < 4
