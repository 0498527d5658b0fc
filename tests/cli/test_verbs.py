"""Each verb as a user calls it: what it prints, what it writes, how it exits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import polars as pl
import pytest

import glial
from glial.cli import main

FAST = ["--model", "mlp", "--epochs", "3", "--set", "train.lr=0.01"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(capsys):
    """Call a verb with --json; returns the status and the one JSON object."""

    def run(*words):
        capsys.readouterr()
        status = main([*words, "--json"])
        out = capsys.readouterr().out
        assert out.count("\n") == 1, out
        return status, json.loads(out)

    return run


@pytest.mark.slow
def test_train_evaluate_predict_compare(call, folder):
    status, result = call("train", "iris", *FAST)
    assert status == 0
    assert set(result) >= {
        "run",
        "task",
        "model",
        "metrics",
        "epochs",
        "seconds",
        "samples_per_second",
        "findings",
    }
    assert (result["run"], result["task"], result["model"]) == (
        "runs/iris-1",
        "classification",
        "mlp",
    )
    assert set(result["metrics"]) == {"val", "test", "baseline"}
    assert result["epochs"] == 3
    assert {"problem", "severity", "evidence", "means", "do"} <= set(result["findings"][0])
    assert result["findings"][0]["problem"] == "undertrained"
    status, found = call("evaluate", "runs/iris-1", "iris")
    assert status == 0
    assert set(found) >= {"metrics", "baseline"}
    for ending, reader in (
        (".csv", pl.read_csv),
        (".parquet", pl.read_parquet),
        (".jsonl", pl.read_ndjson),
    ):
        status, told = call("predict", "runs/iris-1", "iris", "--out", f"p{ending}")
        assert (status, told) == (0, {"predictions": f"p{ending}", "rows": 150})
        table = reader(folder / f"p{ending}")
        assert table.columns == [
            "prediction",
            "probability_setosa",
            "probability_versicolor",
            "probability_virginica",
        ]
        assert table.height == 150
        total = table.drop("prediction").sum_horizontal()
        assert (total - 1).abs().max() < 1e-9
    call("train", "iris", *FAST, "--set", "train.optimizer=sgd")
    status, compared = call("compare", "runs/iris-1", "runs/iris-2")
    assert status == 0
    assert compared["differences"]["train.optimizer"] == ["adamw", "sgd"]
    assert [row["run"] for row in compared["runs"]] == ["runs/iris-1", "runs/iris-2"]


@pytest.mark.slow
def test_folds_from_training_to_predictions(call, folder, capsys):
    status, result = call("train", "iris", *FAST, "--folds", "3")
    assert status == 0
    assert [member["run"] for member in result["members"]] == [
        f"runs/iris-1/members/{number}" for number in (1, 2, 3)
    ]
    assert (result["run"], result["epochs"]) == ("runs/iris-1", 9)
    scores = [member["metrics"]["val"]["accuracy"] for member in result["members"]]
    told = result["spread"]["val"]["accuracy"]
    assert told["mean"] == pytest.approx(sum(scores) / 3)
    status, told = call("predict", "runs/iris-1", "iris", "--out", "p.csv")
    assert (status, told["rows"]) == (0, 150)
    table = pl.read_csv("p.csv")
    assert table.columns[-1] == "spread"
    each = []
    for number in (1, 2, 3):
        call("predict", f"runs/iris-1/members/{number}", "iris", "--out", "m.csv")
        each.append(pl.read_csv("m.csv"))
        assert "spread" not in each[-1].columns
    mean = sum(frame["probability_virginica"] for frame in each) / 3
    assert (table["probability_virginica"] - mean).abs().max() < 1e-9
    status, found = call("evaluate", "runs/iris-1", "iris")
    assert status == 0
    right = (table["prediction"] == glial.data.read("iris")["species"]).mean()
    assert found["metrics"]["accuracy"] == pytest.approx(right)
    status, result = call("inspect", "runs/iris-1")
    assert status == 0
    assert result["layers"][-1]["output_shape"] == [1, 3]
    assert main(["train", "runs/iris-1", "--resume"]) == 0
    out, err = capsys.readouterr()
    assert "test of each" in out
    assert "±" in out
    assert "network 1 of 3" not in err  # a finished run is not trained again
    assert call("train", "iris", "--folds", "1")[0] == 2


@pytest.mark.slow
def test_progress_says_which_network(capsys, monkeypatch):
    monkeypatch.setattr("glial.cli.progress.LINE_SECONDS", 0.0)
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    assert main(["train", "iris", *FAST, "--folds", "2"]) == 0
    err = capsys.readouterr().err
    assert "network 1/2 epoch 0/3" in err
    assert "network 2/2 epoch 2/3" in err


@pytest.mark.slow
def test_init_drafts_and_refuses_to_overwrite(call, folder):
    (folder / "t.csv").write_text(
        "a,b,y\n" + "".join(f"{i}.5,{'uv'[i % 2]},{i % 3}\n" for i in range(30))
    )
    status, plan = call("init", "t.csv", "--target", "y", "--model", "mlp")
    assert status == 0
    assert plan["data"]["types"] == {"a": "number", "b": "category"}
    before = (folder / "plan.yaml").read_text()
    status, error = call("init", "t.csv", "--target", "y")
    assert status == 2
    assert "there already" in error["error"]["message"]
    assert (folder / "plan.yaml").read_text() == before
    status, result = call("train", "plan.yaml", "--epochs", "2")
    assert (status, result["run"], result["epochs"]) == (0, "runs/t-1", 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "task"),
    [
        (["corpus.txt", "--task", "language-modelling"], "language-modelling"),
        (["corpus.txt", "--task", "pretrain"], "pretrain"),
        (["pairs.csv", "--task", "translation", "--target", "to"], "translation"),
        (["series.csv", "--task", "forecasting", "--target", "y"], "forecasting"),
        (["walks.jsonl", "--target", "activity"], "tagging"),
        (["names.conll"], "tagging"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_what_init_drafts_is_trained(call, folder, words, task):
    lines = [f"the cat number {i} sat on the mat, and the dog ran off.\n" for i in range(60)]
    (folder / "corpus.txt").write_text("".join(lines))
    rows = ["from,to", *(f"{a} {b},{b.upper()} {a.upper()}" for a in "abcdefg" for b in "xyzuv")]
    (folder / "pairs.csv").write_text("\n".join(rows))
    (folder / "series.csv").write_text(
        "day,y\n" + "".join(f"{i},{i % 7 + i % 3 / 10}\n" for i in range(150))
    )
    walks = [{"x": [i % 3, 0.5, 1.0], "activity": ["sit", "sit", "walk"]} for i in range(30)]
    (folder / "walks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in walks))
    (folder / "names.conll").write_text(
        "".join(f"Ann\tB-person\nsaw\tO\ntown{i}\tO\n\n" for i in range(30))
    )
    status, plan = call("init", *words)
    assert (status, plan["task"]["name"]) == (0, task)
    status, result = call("train", "plan.yaml", "--epochs", "1")
    assert (status, result["task"], result["epochs"]) == (0, task, 1)


@pytest.mark.slow
def test_set_overrides_and_labels_keep_their_spelling(call, folder):
    rows = "".join(f"{i % 7}.25,{'01' if i % 2 else '10'}\n" for i in range(40))
    (folder / "t.csv").write_text("x,y\n" + rows)
    status, result = call(
        "train",
        "t.csv",
        "--target",
        "y",
        *FAST,
        "--set",
        "data.split.test=0.2",
        "--set",
        "data.split.train=0.65",
    )
    assert status == 0
    call("predict", result["run"], "t.csv", "--out", "p.csv")
    table = pl.read_csv("p.csv", infer_schema=False)
    assert set(table["prediction"]) <= {"01", "10"}
    assert table.columns[1:] == ["probability_01", "probability_10"]


def test_models_and_datasets(call):
    status, listed = call("models")
    assert status == 0
    assert {row["model"] for row in listed["models"]} >= {"mlp", "linear", "perceptron", "tabular"}
    status, listed = call("datasets")
    assert status == 0
    assert {row["name"] for row in listed["datasets"]} >= {"iris", "wine", "digits", "diabetes"}


@pytest.mark.slow
def test_inspect_counts_and_draws(call, folder):
    status, result = call(
        "inspect",
        "mlp",
        "--inputs",
        "4",
        "--outputs",
        "3",
        "--set",
        "hidden_sizes=[8]",
        "--svg",
        "g.svg",
    )
    assert status == 0
    assert result["num_parameters"] == 4 * 8 + 8 + 8 * 3 + 3
    assert result["flops"] == 2 * (4 * 8 + 8 * 3)
    assert ET.parse(folder / "g.svg").getroot().tag.endswith("svg")
    call("train", "iris", *FAST)
    status, result = call("inspect", "runs/iris-1")
    assert status == 0
    assert result["layers"][-1]["output_shape"] == [1, 3]


@pytest.mark.slow
def test_inspect_tells_of_a_source(call, folder):
    status, report = call("inspect", "iris", "--seed", "1")
    assert status == 0
    assert set(report) >= {"source", "task", "rows", "healthy", "findings", "columns", "labels"}
    assert sum(report["rows"].values()) == 150
    assert report["healthy"]
    rows = [f"{i % 17}.5,{'ab'[i % 2]},{i * 7 % 5},{'uv'[i % 2]}\n" for i in range(300)]
    (folder / "t.csv").write_text("x,same,other,y\n" + "".join(rows))
    words = ("inspect", "t.csv", "--target", "y", "--set", "data.split.val=0.1")
    status, report = call(*words, "--set", "data.split.train=0.75")
    assert (status, report["rows"]) == (0, {"train": 225, "val": 30, "test": 45})
    assert [found["column"] for found in report["giveaways"]] == ["same"]
    assert report["findings"][0]["where"] == "same"
    assert call(*words, "--strict", "--set", "data.split.train=0.75")[0] == 1
    rows = ["30.5,a,1,u\n", "31.5,?,1,?\n", "0.5,a,0,u\n", "1.5,b,0,v\n"]
    (folder / "test.csv").write_text("x,same,other,y\n" + "".join(rows))
    status, report = call("inspect", "t.csv", "--target", "y", "--test", "test.csv")
    assert report["rows"]["test"] == 3
    assert {"split": "test", "row": 2} in report["duplicates"]["examples"][0]


def test_inspect_shows_what_augmentation_does(call, folder):
    words = ("inspect", "iris", "--augment", "sheet.png")
    status, result = call(*words, "--set", "data.augment.number_noise=0.5")
    assert (status, result["sheet"], len(result["rows"])) == (0, None, 8)
    assert result["augment"]["number_noise"] == 0.5
    assert all(row["original"] != row["changed"] for row in result["rows"])
    assert not (folder / "sheet.png").exists()  # a table has no pictures


@pytest.mark.parametrize(
    "verb", ["init", "train", "evaluate", "predict", "compare", "inspect", "models", "datasets"]
)
def test_help_of_every_verb(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.slow
def test_output_for_people(capsys):
    assert main(["train", "iris", *FAST]) == 0
    out, err = capsys.readouterr()
    assert "accuracy" in out
    assert "baseline" in out
    assert "runs/iris-1" in out
    assert "device: cpu" in err
    for words in (
        ["evaluate", "runs/iris-1", "iris"],
        ["models"],
        ["datasets"],
        ["inspect", "runs/iris-1"],
        ["inspect", "digits"],
    ):
        assert main(words) == 0
        assert capsys.readouterr().out.count("\n") > 3


@pytest.mark.slow
def test_quiet_prints_no_notes(capsys):
    main(["train", "iris", *FAST, "--quiet"])
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_leaves_a_usable_run(folder, number, status):
    command = [sys.executable, "-m", "glial", "train", "digits", "--model=mlp", "--epochs=1000000"]
    command += ["--set=train.patience=null", "--set=train.lr=0.001", "--out=r", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    last = folder / "r/checkpoints/last/checkpoint.safetensors"
    limit = time.monotonic() + 60
    while not last.exists() and time.monotonic() < limit:
        time.sleep(0.05)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert json.loads(out)["status"] == "interrupted"
    assert "--resume" in err
    assert glial.load(folder / "r").metrics["test"]["accuracy"] > 0.5


@pytest.mark.parametrize(
    ("task", "model", "then"),
    [
        ("regression", "mlp", "glial predict run SOURCE --out predictions.csv"),
        ("language-modelling", "gpt2", "glial generate run --prompt TEXT"),
        ("pretrain", "bert", "glial train SOURCE --target COL --weights run"),
        ("embedding", "resnet18", "glial embed run SOURCE --near 5"),
        ("embedding", "glove", "glial embed run --words WORD"),
    ],
)
def test_what_comes_next_is_what_the_run_is_for(task, model, then):
    from glial.cli.train import next_command

    assert next_command(task, model, Path("run")) == then
