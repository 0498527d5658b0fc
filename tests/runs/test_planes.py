"""Rows of runs laid out in a plane, and drawn: by the library and by the verb."""

from __future__ import annotations

import io
import json

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.decomposition import PCA

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.nn.pictures.scatter import COLOURS, NONE, scatter_png
from glial.runs.embedding import embed_rows


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "flowers"
    return glial.train("iris", model="mlp", epochs=3, out=folder)


def colours_of(png: bytes) -> list[tuple[int, ...]]:
    """The colours of dots: far from white and from the ink of letters."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))[:, :460].reshape(-1, 3)
    return [tuple(int(part) for part in colour) for colour in np.unique(pixels, axis=0)]


def near(colour: tuple[int, ...], colours: list[tuple[int, ...]]) -> bool:
    return any(max(abs(a - b) for a, b in zip(colour, one, strict=True)) < 16 for one in colours)


def test_layers_and_inputs_are_laid_out_by_components_as_scikit_learn_does(flowers):
    frame = glial.data.load_dataset("iris")[0]
    for layer in (None, "inputs", "blocks.0"):
        vectors = glial.embed(flowers, frame, layer=layer).to_numpy()
        plane = glial.embed(flowers, frame, layer=layer, reduce="pca").to_numpy()
        np.testing.assert_allclose(plane, PCA(2).fit_transform(vectors), atol=1e-4)
    given = glial.embed(flowers, frame, layer="inputs").to_numpy()
    assert given.shape == (150, 4)
    scaled = flowers.encoding.arguments(flowers.encoding.transform(frame))[0]
    np.testing.assert_allclose(given, scaled.numpy(), atol=1e-6)


def test_tsne_is_the_same_again_and_too_few_rows_are_refused(flowers):
    few = glial.data.load_dataset("iris")[0][::5]
    first, second = (glial.embed(flowers, few, reduce="tsne") for _ in range(2))
    assert first.columns == ["embedding_0", "embedding_1"]
    assert first.equals(second)
    with pytest.raises(InputError, match="too few rows"):
        glial.embed(flowers, few.head(2), reduce="tsne")
    with pytest.raises(InputError, match="tsne or pca"):
        embed_rows(flowers, few).reduced("umap")


def test_points_have_the_colours_of_their_groups_and_stand_where_they_are():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    png = scatter_png(points, ["10", None, "9"])
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    corners = {"9": pixels[14, 14], "10": pixels[446, 14], None: pixels[446, 446]}
    for name, colour in zip(("9", "10", None), (COLOURS[0], COLOURS[1], NONE), strict=True):
        assert near(tuple(int(part) for part in corners[name]), [colour])
    bright = scatter_png(points, values=torch.tensor([0.0, 0.5, 1.0]))
    assert len(colours_of(bright)) > len(colours_of(scatter_png(points)))
    with pytest.raises(InputError, match="too many groups"):
        scatter_png(torch.zeros(13, 2), [str(i) for i in range(13)])


def test_the_verb_writes_and_draws_a_plane(flowers, tmp_path, capsys):
    out, picture = tmp_path / "plane.csv", tmp_path / "plane.png"
    command = ["embed", str(flowers.path), "iris", "--out", str(out), "--reduce", "pca"]
    assert main([*command, "--picture", str(picture), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["size"], told["reduce"], told["picture"]) == (2, "pca", str(picture))
    assert pl.read_csv(out).shape == (150, 2)
    seen = colours_of(picture.read_bytes())
    assert all(near(colour, seen) for colour in COLOURS[:3])  # the species, unasked
    assert main([*command, "--picture", str(picture), "--color", "petal_length"]) == 0
    assert main([*command, "--picture", str(picture), "--color", "prediction"]) == 0
    refused = (["--picture", "a.svg"], ["--color", "species"], ["--against", "iris", "--near", "1"])
    for options in (*refused, ["--picture", str(picture), "--color", "colour"]):
        assert main([*command, *options]) == 2
    assert "did you mean" not in capsys.readouterr().out
    assert main([*command[:-2], "--picture", str(picture)]) == 2  # more than two numbers a row


def test_clusters_colour_a_plane_and_noise_is_grey(tmp_path):
    run = glial.train("iris", task="cluster", model="dbscan", out=tmp_path / "run")
    picture = tmp_path / "plane.png"
    command = ["embed", str(run.path), "iris", "--out", str(tmp_path / "p.csv"), "--reduce", "pca"]
    shown = ["--layer", "inputs", "--picture", str(picture), "--color", "prediction"]
    assert main([*command, *shown]) == 0
    assert near(NONE, colours_of(picture.read_bytes()))
