"""``glial embed`` of words: what it prints and writes, and how it exits."""

from __future__ import annotations

import json

import pytest
import torch

import glial
from glial.cli import main
from glial.data.word_vectors import WordVectors

pytestmark = pytest.mark.slow
WORDS = ["man", "king", "woman", "queen"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = torch.tensor([[1.0, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1]])
    WordVectors(WORDS, places).save("vectors.txt")
    return tmp_path


@pytest.fixture
def call(capsys):
    def run(*words):
        capsys.readouterr()
        status = main(["embed", *words, "--json", "--quiet"])
        return status, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def trained(folder):
    (folder / "text.txt").write_text("the cat sat on the mat\n" * 20)
    settings = {"task.embedding_size": 4, "model.buckets": 50}
    return glial.train(
        "text.txt", task="embedding", model="fasttext", epochs=1, out="run", set=settings
    )


def test_words_of_a_file(call):
    status, told = call("vectors.txt", "--words", "king", "man", "--near", "1")
    assert status == 0
    assert told["near"]["king"] == [{"word": "man", "similarity": pytest.approx(0.5**0.5)}]
    assert (told["words"], told["size"], told["embeddings"]) == (2, 3, None)
    for method in ("add", "multiply"):
        _, told = call("vectors.txt", "--analogy", "man", "king", "woman", "--method", method)
        assert told["analogy"][0]["word"] == "queen"


def test_what_is_printed(capsys):
    words = ["--words", "king", "--near", "2", "--analogy", "man", "king", "woman"]
    assert main(["embed", "vectors.txt", *words, "--out", "king.bin", "--quiet"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "wrote 1 words of 3 numbers to king.bin"
    assert out[1] == "king: man 0.707, queen 0.500"
    assert out[2].startswith("man : king = woman : queen 1.207")


@pytest.mark.parametrize("name", ["all.txt", "all.vec.gz", "all.bin", "all.bin.gz"])
def test_words_of_a_run_are_written(call, trained, name):
    status, told = call("run", "--out", name)
    assert status == 0
    found = WordVectors.load(name)
    assert found.words == trained.encoding.encoders["text"].tokens
    assert told["words"] == len(found) == 5
    assert torch.equal(found.matrix, trained.model.vectors()[2:].detach())


def test_unseen_words_of_a_run_with_parts(call, trained):
    status, told = call("run", "--words", "cats", "--near", "3", "--out", "cats.txt")
    assert status == 0
    assert len(told["near"]["cats"]) == 3
    assert WordVectors.load("cats.txt").words == ["cats"]


BAD = [
    (["vectors.txt"], "nothing is asked"),
    (["vectors.txt", "--words", "quen"], "did you mean 'queen'"),
    (["vectors.txt", "--words", "king", "--near", "0"], "asks for no word"),
    (["vectors.txt", "--words", "king", "--layer", "head"], "needs rows"),
    (["vectors.txt", "--out", "a.csv"], "ending of a.csv"),
    (["missing", "--words", "king"], "no run at missing"),
    (["vectors.txt", "iris", "--words", "king", "--out", "a.csv"], "no|word"),
]


@pytest.mark.parametrize(("words", "message"), BAD)
def test_wrong_questions_are_refused(call, words, message):
    status, told = call(*words)
    assert status == 2
    told = f"{told['error']['message']} {told['error']['do']}"
    assert any(part in told for part in message.split("|")), told


def test_rows_need_a_file(call):
    glial.train("iris", model="linear", epochs=1, out="table")
    status, told = call("table", "iris")
    assert status == 2
    assert "need --out" in told["error"]["message"]
    status, told = call("table", "iris", "--words", "a", "--out", "a.csv")
    assert status == 2
    status, told = call("table", "--words", "a")
    assert status == 2
    assert "no vectors of words" in told["error"]["message"]
