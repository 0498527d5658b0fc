"""``glial inspect`` draws filters, maps and receptive fields, or says why it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import glial
from glial.cli import main
from glial.data.encoders import ImageEncoder

SMALL = ["--model", "residual_cnn", "--epochs", "1", "--set", "model.widths=[4,8]"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with a photo, ``photo.png``, which is the current one."""
    monkeypatch.chdir(tmp_path)
    colours = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(colours).save("photo.png")
    return tmp_path


@pytest.fixture
def call(capsys):
    """Call ``glial inspect`` with --json; returns the status and the one JSON object."""

    def run(*words):
        capsys.readouterr()
        status = main(["inspect", *words, "--json"])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, json.loads(out)

    return run


@pytest.fixture
def drawn(monkeypatch):
    """The images that maps were drawn of."""
    from glial.nn import pictures

    seen = []
    draw = pictures.draw_maps

    def note(network, image, layers=None):
        seen.append(image)
        return draw(network, image, layers)

    monkeypatch.setattr(pictures, "draw_maps", note)
    return seen


def is_png(name: str) -> bool:
    with Image.open(name) as image:
        image.load()
        return image.format == "PNG" and image.width == 1104


@pytest.mark.slow
def test_all_pictures_of_a_named_model(call):
    files = {"filters": "w.png", "maps": "m.png", "fields": "f.PNG"}
    words = [word for name, file in files.items() for word in (f"--{name}", file)]
    status, told = call("lenet5", *words, "--image", "photo.png")
    assert status == 0
    assert {name: told[name] for name in files} == files
    assert all(is_png(file) for file in files.values())
    # LeNet-5 by hand: 5 x 5; 2 x 2 at stride 2; 5 x 5; 2 x 2; 5 x 5 over all of 32 x 32.
    sizes = {"c1": (5, 1), "s2": (6, 2), "c3": (14, 2), "s4": (16, 4), "c5": (32, 4)}
    assert told["receptive_fields"] == [
        {"layer": layer, "height": side, "width": side, "stride": stride}
        for layer, (side, stride) in sizes.items()
    ]
    assert told["layers"][-1]["output_shape"] == [1, 10]  # as published


@pytest.mark.slow
def test_pictures_are_drawn_of_named_layers_only(call):
    words = ("--fields", "f.png", "--layer", "s2", "--layer", "c5")
    status, told = call("lenet5", *words)
    assert status == 0
    assert [field["layer"] for field in told["receptive_fields"]] == ["s2", "c5"]
    assert (told["filters"], told["maps"]) == (None, None)


@pytest.mark.slow
def test_named_models_have_their_published_sizes(call):
    words = ("--set", "width=0.125")
    assert call("alexnet", *words)[1]["layers"][-1]["output_shape"] == [1, 1000]
    _, told = call(
        "alexnet", *words, "--outputs", "7", "--fields", "f.png", "--layer", "features.0"
    )
    assert told["layers"][-1]["output_shape"] == [1, 7]
    assert told["layers"][0]["output_shape"][2:] == [55, 55]  # of 224 x 224 pixels
    assert call("residual_cnn")[1]["layers"][-1]["output_shape"] == [1, 1]


@pytest.mark.slow
def test_a_photo_is_scaled_as_the_published_weights_were(call, drawn):
    status, _ = call("alexnet", "--set", "width=0.125", "--maps", "m.png", "--image", "photo.png")
    assert status == 0
    with Image.open("photo.png") as image:
        pixels = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR)) / 255
    # Means and deviations of ImageNet's colours.
    scaled = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.allclose(drawn[0].numpy(), scaled.transpose(2, 0, 1), atol=1e-5)


@pytest.mark.slow
def test_a_photo_goes_through_the_encoding_of_a_run(call, drawn):
    shades = np.random.default_rng(1).integers(0, 200, (40, 12, 12), dtype=np.uint8)
    np.savez("shades.npz", x=shades, y=np.arange(40) % 2)
    assert main(["train", "shades.npz", *SMALL, "--out", "run", "--quiet"]) == 0
    status, _ = call("run", "--filters", "w.png", "--maps", "m.png", "--image", "photo.png")
    assert status == 0
    assert is_png("w.png")
    assert is_png("m.png")
    (encoder,) = glial.load("run").encoding.encoders.values()
    assert isinstance(encoder, ImageEncoder)
    with Image.open("photo.png") as image:
        grey = np.asarray(image.convert("L").resize((12, 12), Image.Resampling.BILINEAR)) / 255
    assert np.allclose(drawn[0][0].numpy(), (grey - encoder.mean) * encoder.scale, atol=1e-5)
    assert torch.is_floating_point(drawn[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["mlp", "--filters", "a.png"], "no convolutions"),
        (["text_cnn", "--fields", "a.png"], "no convolutions"),
        (["lenet5", "--filters", "a.png", "--layer", "c11"], "did you mean 'c1'"),
        (["lenet5", "--filters", "a.png", "--layer", "f6"], "has no filters"),
        (["lenet5", "--fields", "a.png", "--layer", "f6"], "gives no maps"),
        (["lenet5", "--filters", "a.jpg"], "write --filters a.png"),
        (["lenet5", "--fields", ""], "write --fields fields.png"),
        (["lenet5", "--maps", "a.png"], "--image PHOTO"),
        (["lenet5", "--image", "photo.png"], "belongs to --maps"),
        (["lenet5", "--layer", "c1"], "nothing is drawn"),
        (["lenet5", "--maps", "a.png", "--image", "gone.png"], "no such file"),
        (["lenet5", "--maps", "a.png", "--image", "broken.png"], "no image of a known format"),
        (["lenet5", "--maps", "a.png", "--image", "cut.png"], "cut.png"),
        (["lenet5", "--filters", "gone/a.png"], "cannot write gone/a.png"),
        (["iris", "--filters", "a.png"], "does not go with the source iris"),
        (["lennet5", "--filters", "a.png"], "did you mean 'lenet5'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, folder, words, part):
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "cut.png").write_bytes((folder / "photo.png").read_bytes()[:-500])
    status, told = call(*words)
    assert status == 2
    assert part in json.dumps(told["error"])
    assert not (folder / "a.png").exists()


@pytest.mark.slow
def test_maps_of_networks_of_more_than_one_image_are_refused(call):
    shades = np.random.default_rng(1).integers(0, 200, (24, 8, 8), dtype=np.uint8)
    Path("images").mkdir()
    rows = ["path,x,y"]
    for number, shade in enumerate(shades):
        Image.fromarray(shade).save(f"images/{number}.png")
        rows.append(f"images/{number}.png,{number / 7:.2f},{'ab'[number % 2]}")
    Path("t.csv").write_text("\n".join(rows) + "\n")
    words = ["--target", "y", "--model", "mixed", "--epochs", "1", "--out", "run", "--quiet"]
    assert main(["train", "t.csv", *words]) == 0
    status, told = call("run", "--maps", "m.png", "--image", "photo.png")
    assert status == 2
    assert "take one image" in told["error"]["message"]
    assert call("run", "--filters", "w.png")[0] == 0
    assert is_png("w.png")


@pytest.mark.slow
def test_output_for_people(capsys):
    assert main(["inspect", "lenet5", "--fields", "f.png", "--layer", "c3"]) == 0
    out = capsys.readouterr().out
    assert "fields: f.png" in out
    assert ["c3", "14", "14", "2"] in [line.split() for line in out.splitlines()]
