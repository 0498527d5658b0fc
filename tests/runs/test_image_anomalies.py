"""Anomalous images by the way of runs: trained, told, opened again, drawn."""

import io
import json

import numpy as np
import pytest
from PIL import Image

import glial
from glial.cli.main import main
from glial.core.errors import InputError
from glial.runs.anomaly.pictures import draw_anomalies

SIDE = 40


def write(folder, count, seed, odd=()):
    """Grey stripes; of odd ones a piece is turned."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    for number in range(count):
        turns = np.arange(SIDE) / 8 + draw.random()
        image = 128 + 70 * np.sin(2 * np.pi * turns)[None].repeat(SIDE, axis=0)
        image += 8 * draw.normal(size=image.shape)
        if number in odd:
            image[10:24, 12:26] = image[10:24, 12:26].T.copy()
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("images")
    write(place / "normal" / "good", 24, 0)
    write(place / "new" / "some", 8, 1, odd=(2, 5))
    options = {"model.features": "random", "model.memory": 80}
    glial.train(
        str(place / "normal"),
        task="anomaly",
        model="patch_memory",
        set={**options, "model.blur": 2.0},
        out=place / "run",
    )
    return place


def test_odd_images_are_found_and_the_run_opens_again(place):
    run = glial.load(place / "run")
    told = glial.predict(run, place / "new")
    scores = told["score"].to_numpy()
    assert set(np.argsort(-scores)[:2]) == {2, 5}
    assert told["prediction"][2] == told["prediction"][5] == "anomaly"
    assert int(run.model.filled) == 80
    assert run.epochs == 1


def test_the_most_anomalous_images_are_drawn(place, capsys):
    picture, table = place / "odd.png", place / "told.csv"
    words = ["predict", str(place / "run"), str(place / "new"), "--out", str(table), "--json"]
    assert main([*words, "--pictures", str(picture)]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == str(picture)
    colours = np.asarray(Image.open(io.BytesIO(picture.read_bytes())).convert("RGB"))
    assert colours.shape[1] == 1104
    # The heat of the first image is where its piece is turned.
    assert (colours.std(axis=2) > 40).sum() > 500


def test_what_is_no_image_is_not_drawn():
    run = glial.train("iris", task="anomaly", epochs=1, out=False)
    with pytest.raises(InputError, match="only anomalies in images"):
        draw_anomalies(run, "iris")
