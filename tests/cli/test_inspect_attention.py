"""``glial inspect --attention`` draws where a run looks, or says why it cannot."""

from __future__ import annotations

import json

import polars as pl
import pytest
from PIL import Image

import glial
from glial.cli import main

pytestmark = pytest.mark.slow
LINES = [f"{first} {second}" for first in "abcdef" for second in "abcdef"]
PAIRS = pl.DataFrame({"en": LINES, "fr": [line.upper() for line in LINES]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with runs of a translation, of a text's class, and of numbers."""
    root = tmp_path_factory.mktemp("attention")
    small = {"epochs": 1, "task": "translation"}
    tiny = {"model.size": 4}
    glial.train(PAIRS, "fr", out=root / "run", set=tiny, **small)
    glial.train(PAIRS, "fr", out=root / "none", set={**tiny, "model.attention": "none"}, **small)
    options = {"model.heads": 2, "model.layers": 1, **tiny}
    glial.train(PAIRS, "fr", model="transformer", out=root / "deep", set=options, **small)
    classes = PAIRS.with_columns(fr=pl.col("en").str.contains("a").cast(pl.String))
    words = {"data.types": {"en": "text"}}
    glial.train(classes, "fr", model="bert", epochs=1, out=root / "bert", set={**options, **words})
    glial.train("iris", model="linear", epochs=1, out=root / "iris")
    return root


@pytest.fixture
def call(capsys, folder, monkeypatch):
    """Call ``glial inspect`` with --json; returns the status and the one JSON object."""
    monkeypatch.chdir(folder)

    def run(*words):
        capsys.readouterr()
        status = main(["inspect", *words, "--json", "--quiet"])
        return status, json.loads(capsys.readouterr().out)

    return run


def test_a_translation_is_drawn_beside_its_source(call):
    status, told = call("run", "--attention", "a b c", "--out", "a.png")
    assert status == 0
    assert told["attention"] == "a.png"
    assert told["attention_columns"] == ["▁a", "▁b"]  # as many as were learnt from
    assert told["attention_layers"] == ["attention"]
    assert 1 <= len(told["attention_rows"]) <= 3
    with Image.open("a.png") as image:
        assert image.format == "PNG"


def test_every_head_of_cross_attention_is_drawn(call, folder):
    status, told = call("deep", "--attention", "a c", "--out", "a.svg")
    assert (status, told["attention_layers"]) == (0, ["decoder.layers.0.multihead_attn"])
    text = (folder / "a.svg").read_text()
    assert "head 1" in text
    assert "head 2" in text
    assert "head 3" not in text
    layer = told["attention_layers"][0]
    assert call("deep", "--attention", "a", "--out", "b.svg", "--layer", layer)[0] == 0


def test_a_reader_looks_at_its_own_words(call):
    status, told = call("bert", "--attention", "a b", "--out", "a.svg")
    assert status == 0
    assert told["attention_rows"] == told["attention_columns"]
    assert len(told["attention_layers"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--attention", "a"], "belong together"),
        (["run", "--out", "a.png"], "belong together"),
        (["run", "--attention", "a", "--out", "a.pdf"], "draws a PNG or an SVG"),
        (["run", "--attention", "  ", "--out", "a.png"], "no text"),
        (["none", "--attention", "a", "--out", "a.png"], "no attention"),
        (["iris", "--attention", "a", "--out", "a.png"], "read one text"),
        (["seq2seq", "--attention", "a", "--out", "a.png"], "drawn of a run"),
        (["run", "--attention", "a", "--out", "a.png", "--layer", "head"], "layer of attention"),
        (["iris.csv", "--attention", "a", "--out", "a.png"], "does not go with"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, words, message):
    status, told = call(*words)
    assert status == 2
    assert message in told["error"]["message"]
