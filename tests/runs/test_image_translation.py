"""Runs that turn images into images: trained, resumed, saved, and asked for images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted, generate

OPTIONS = {
    "task": "generate",
    "epochs": 3,
    "set": {
        "model.generator_width": 4,
        "model.discriminator_width": 4,
        "train.batch_size": 16,
        "train.checkpoint_seconds": 0.0,
        "doctor.watch": False,
    },
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """A table of files: 60 digits, and what they become, with colours."""
    folder = tmp_path_factory.mktemp("pairs")
    digits = (load_digits().images[:60] * 15.9).astype(np.uint8)
    rows = []
    for number, digit in enumerate(digits):
        inked = np.stack([digit, digit // 2, digit // 4], axis=-1)
        row = {"plain": f"plain/{number:02}.png", "inked": f"inked/{number:02}.png"}
        for name, pixels in (("plain", 255 - digit), ("inked", inked)):
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / row[name])
        rows.append(row)
    pl.DataFrame(rows).write_csv(folder / "pairs.csv")
    return folder


@pytest.fixture(scope="module")
def runs(pairs) -> dict[str, Path]:
    """A run of each model."""
    found = {}
    for model in ("pix2pix", "cyclegan"):
        found[model] = pairs / model
        glial.train(pairs / "pairs.csv", model=model, out=found[model], **OPTIONS)
    return found


@pytest.mark.parametrize("model", ["pix2pix", "cyclegan"])
def test_a_table_of_two_columns_of_files_is_learnt(runs, pairs, model):
    run = glial.load(runs[model])
    assert run.sizes["images"] == [[1, 8, 8], [3, 8, 8]]
    figure = {"pix2pix": "absolute_error", "cyclegan": "cycle_error"}[model]
    assert 0 < run.metrics["test"][figure] < 2
    told = glial.evaluate(run, pairs / "pairs.csv")
    assert set(told["metrics"]) == {figure}
    assert glial.predict(run, pairs / "pairs.csv").columns == [figure]


@pytest.mark.parametrize("model", ["pix2pix", "cyclegan"])
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, pairs, model, monkeypatch, stop_at):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    source = pairs / "pairs.csv"
    glial.train(source, model=model, out=tmp_path / "calm", **OPTIONS)
    with pytest.raises(TrainingInterrupted):
        glial.train(source, model=model, out=tmp_path / "cut", callbacks=[stop_at(4)], **OPTIONS)
    glial.train(tmp_path / "cut", resume=True)
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("calm", "cut")]
    assert left == right


def test_images_of_a_folder_or_a_table_are_turned(runs, pairs):
    made = generate(runs["pix2pix"], source=pairs / "plain")
    assert made.images.shape == (60, 3, 8, 8)
    table = pl.read_csv(pairs / "pairs.csv").with_columns(plain=str(pairs) + "/" + pl.col("plain"))
    again = generate(runs["pix2pix"], source=table.select("plain"))
    assert (made.images == again.images).all()
    back = generate(runs["cyclegan"], source=pairs / "inked", back=True)
    assert back.images.shape == (60, 1, 8, 8)


def test_the_verb_writes_them(runs, pairs, tmp_path, capsys):
    words = ["generate", str(runs["cyclegan"]), "--source", str(pairs / "plain"), "--quiet"]
    assert main([*words, "--out", str(tmp_path / "made"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 60
    files = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert files[:2] == ["00.png", "01.png"]
    with Image.open(tmp_path / "made" / "00.png") as image:
        assert (image.size, image.mode) == ((8, 8), "RGB")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("pix2pix", {}, "turns images into others, and there are none"),
        ("pix2pix", {"source": "plain", "back": True}, "one way only"),
        ("pix2pix", {"source": "plain", "num_samples": 3}, "num_samples does not fit"),
        ("pix2pix", {"source": "plain", "walk": True}, "walk does not fit"),
        ("cyclegan", {"source": pl.DataFrame({"other": [1]})}, "no images to turn"),
        ("cyclegan", {"source": pl.DataFrame({"plain": ["no.png"]})}, "cannot be read"),
    ],
)
def test_what_cannot_be_turned_is_told(runs, pairs, monkeypatch, model, options, message):
    monkeypatch.chdir(pairs)
    with pytest.raises(InputError, match=message):
        generate(runs[model], **options)


def test_other_runs_turn_nothing(pairs):
    words = glial.train(
        {"text": ["to be or not to be"] * 20},
        task="language-modelling",
        epochs=1,
        out=False,
        set={"train.lr": 0.01, "model.size": 16, "model.context": 8},
    )
    with pytest.raises(InputError, match="source does not fit"):
        generate(words, source=pairs / "plain")
