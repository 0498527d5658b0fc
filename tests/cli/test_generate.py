"""``glial generate`` as a user calls it: what it prints, what it writes, how it exits."""

from __future__ import annotations

import json

import polars as pl
import pytest

import glial
from glial.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generate")
    (folder / "verse.txt").write_text("to be or not to be\n" * 40)
    words = f"train {folder}/verse.txt --task language-modelling --epochs 5 --quiet --json"
    sizes = ["model.size=16", "model.layers=1", "model.heads=2", "model.context=16"]
    rates = ["train.lr=0.02", "train.batch_size=4", "doctor.watch=false"]
    options = [f"--set={value}" for value in (*sizes, *rates)]
    assert main([*words.split(), *options, f"--out={folder}/run"]) == 0
    return folder


@pytest.fixture(autouse=True)
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)


@pytest.fixture
def call(capsys):
    """Call the verb with --json; returns the status and the one JSON object."""

    def run(*words):
        capsys.readouterr()
        status = main(["generate", *words, "--json", "--quiet"])
        out = capsys.readouterr().out
        assert out.count("\n") == 1, out
        return status, json.loads(out)

    return run


def test_samples_are_those_of_python(call):
    words = "run --prompt to --n 3 --length 7 --temperature 0.8 --top-k 4 --top-p 0.9 --seed 2"
    status, told = call(*words.split(), "--repetition-penalty", "1.2")
    assert status == 0
    samples = glial.generate(
        "run", prompt="to", num_samples=3, length=7, temperature=0.8, top_k=4, top_p=0.9, seed=2,
        repetition_penalty=1.2,
    )  # fmt: skip
    assert told == {"samples": [sample.to_dict() for sample in samples]}
    assert all(len(sample["text"]) == 9 for sample in told["samples"])
    assert call(*words.split(), "--repetition-penalty", "1.2")[1] == told
    assert call("run", "--prompt", "to", "--n", "3", "--length", "7", "--seed", "3")[1] != told


def test_samples_are_written_and_printed(call, capsys):
    status, told = call("run", "--beam", "4", "--n", "2", "--length", "5", "--out", "s.csv")
    assert status == 0
    assert told["out"] == "s.csv"
    held = pl.read_csv("s.csv")
    assert held["log_likelihood"].to_list() == pytest.approx(
        [sample["log_likelihood"] for sample in told["samples"]]
    )
    assert held["log_likelihood"].is_sorted(descending=True)
    assert main(["generate", "run", "--prompt", "be", "--length", "3", "--quiet"]) == 0
    assert capsys.readouterr().out.startswith("be")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no-run"], "no run at"),
        (["run", "--n", "0"], "out of its range"),
        (["run", "--n", "x"], "invalid whole number"),
        (["run", "--out", "samples.xyz"], "xyz"),
    ],
)
def test_wrong_words_are_refused(call, words, message):
    status, told = call(*words)
    assert status == 2
    assert message in str(told["error"])


def test_a_run_of_classes_makes_nothing_up(call):
    glial.train("iris", model="linear", epochs=1, out="flowers")
    status, told = call("flowers")
    assert status == 2
    assert "makes nothing up" in told["error"]["message"]


def test_evaluate_and_predict_take_texts(capsys):
    assert main(["evaluate", "run", "verse.txt", "--json", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"]["log_loss"] < told["baseline"]["log_loss"]
    assert main(["predict", "run", "verse.txt", "--out", "p.csv", "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 1
    assert pl.read_csv("p.csv").columns == ["prediction", "log_likelihood", "perplexity", "tokens"]
