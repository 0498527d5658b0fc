"""Dense networks of images from their files to predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import glial
from glial.cli import main
from glial.core.errors import InputError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """100 noisy images of each of two kinds in ``halves``: light on the left or on the right."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    for number in range(200):
        pixels = generator.integers(0, 100, (6, 8), dtype=np.uint8)
        kind, half = [("left", slice(0, 4)), ("right", slice(4, 8))][number % 2]
        pixels[:, half] += 100
        path = tmp_path / "halves" / kind / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path


@pytest.mark.parametrize("model", ["mlp", "linear", "neuron", "perceptron", "adaline"])
def test_a_folder_of_images_is_learnt_saved_and_loaded(folder, model, capsys):
    words = ["--model", model, "--epochs", "8", "--out", "run", "--set", "train.batch_size=16"]
    assert main(["train", "halves", *words]) == 0
    run = glial.load("run")
    assert (run.sizes["num_inputs"], run.sizes["images"]) == (0, [[1, 6, 8]])
    assert run.metrics["test"]["accuracy"] > 0.9 > run.metrics["baseline"]["accuracy"]
    told = glial.predict(run, "halves")
    right = told["path"].str.contains(told["prediction"], literal=True)
    assert right.mean() > 0.9
    assert glial.evaluate(run, "halves")["metrics"]["accuracy"] == right.mean()
    vectors = glial.embed(run, "halves")
    assert vectors.width == 1 + (32 if model == "mlp" else 48)
    assert main(["inspect", "run"]) == 0
    assert "parameters" in capsys.readouterr().out


def test_an_image_beside_numbers_and_categories(folder):
    paths = sorted(Path("halves").rglob("*.png"))
    number = np.random.default_rng(1).normal(size=200)
    is_left = np.array([path.parent.name == "left" for path in paths])
    is_red = np.arange(200) % 2 == 0
    columns = {"file": list(map(str, paths)), "number": number, "colour": is_red.astype(str)}
    # Each part has a third of the variance, so that r2 without it is at most about two thirds.
    total = number + 2 * is_left + 2 * is_red
    frame = pl.DataFrame({**columns, "total": total})
    changes = {"train.lr": 0.01, "data.types.colour": "category", "data.categories": "embedding"}
    run = glial.train(frame, "total", model="mlp", out="run", epochs=60, set=changes)
    assert (run.sizes["num_inputs"], run.sizes["images"]) == (1, [[1, 6, 8]])
    assert len(run.sizes["cardinalities"]) == 1
    assert run.metrics["test"]["r2"] > 0.8
    blind = {**changes, "data.types.file": "identifier"}
    without = glial.train(frame, "total", model="mlp", out=False, epochs=60, set=blind)
    assert without.metrics["test"]["r2"] < 0.7
    assert glial.predict(glial.load("run"), frame).equals(glial.predict(run, frame))


def test_images_that_keep_their_sizes_are_refused(folder):
    with pytest.raises(InputError, match="images of one size"):
        glial.train("halves", model="mlp", out=False, set={"data.images.size": "varied"})
