from __future__ import annotations

import json

import pytest

import glial
from glial.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "iris"
    glial.train("iris", model="mlp", epochs=10, out=folder)
    return str(folder)


def test_prints_one_json_object_and_writes_a_page(run, tmp_path, capsys):
    out = tmp_path / "why"
    arguments = ["explain", run, "iris", "--rows", "0,3-4", "--out", str(out), "--json", "--quiet"]
    assert main([*arguments, "--method", "shap", "--method", "relevance", "--check"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["method"] for one in told["explanations"]] == ["shap", "relevance"]
    assert [row["row"] for row in told["explanations"][0]["rows"]] == [0, 3, 4]
    cells = told["explanations"][0]["rows"][0]["parts"][0]["cells"]
    assert {cell["column"] for cell in cells} >= {"petal_length", "petal_width"}
    assert "checks" in told["explanations"][1]
    assert json.loads((out / "explanation.json").read_text())["run"] == run
    assert "<h2>shap</h2>" in (out / "index.html").read_text()
    assert told["files"] == [str(out / "index.html"), str(out / "explanation.json")]


def test_prints_tables_for_people(run, capsys):
    assert main(["explain", run, "iris", "--rows", "1", "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "row 1: setosa" in told
    assert "petal" in told
    assert main(["explain", "--methods"]) == 0
    assert "integrated_gradients" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--rows", "a"], "--rows cannot be read"),
        (["--rows", "999"], "no such row"),
        (["--rows", "5-3"], "--rows cannot be read"),
        (["--method", "shapp"], "did you mean 'shap'"),
        (["--target", "rose"], "unknown class"),
        (["--method", "maximization"], "one image"),
        (["--method", "concepts"], "--concept"),
    ],
)
def test_wrong_wishes_are_one_clear_error(run, more, words, capsys):
    assert main(["explain", run, "iris", "--quiet", *more]) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


def test_missing_words_and_files(run, tmp_path, capsys):
    assert main(["explain", run]) == 2
    assert main(["explain", "no-such-run", "iris"]) == 2
    file = tmp_path / "file"
    file.write_text("x")
    assert main(["explain", run, "iris", "--out", str(file)]) == 2
    assert "--out is a folder" in capsys.readouterr().err
