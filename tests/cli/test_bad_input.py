"""Bad input of every kind: exit status 2, one clear message, nothing written and nothing lost."""

from __future__ import annotations

import gzip
import json
import os

import numpy as np
import polars as pl
import pytest

from glial.cli import main

FAST = ["--model", "linear", "--epochs", "2", "--set", "train.lr=0.1"]
GOOD = "x,c,y\n" + "".join(f"{i % 9}.5,{'ab'[i % 2]},{i % 2}\n" for i in range(60))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(capsys, folder):
    """Call a verb that must fail with 2; returns its error, having checked that nothing changed."""

    def run(*words):
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        status = main([*words, "--json"])
        out, err = capsys.readouterr()
        assert status == 2, err
        assert "Traceback" not in err
        error = json.loads(out)["error"]
        assert set(error) == {"message", "expected", "got", "do"}
        assert err.strip().splitlines()[-1].startswith("glial: ")
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
        return f"{error['message']} | {error['expected']} | {error['got']} | {error['do']}"

    return run


CONTENTS = {
    "empty": b"",
    "blank": b"\n\n  \n",
    "header_only": b"x,y\n",
    "one_row": b"x,y\n1,2\n",
    "binary": bytes(range(256)) * 40,
    "png": b"\x89PNG\r\n\x1a\n" + bytes(200),
    "ragged_long": b"x,y\n1,2\n1,2,3\n",
    "ragged_short": b"x,y,z\n1,2,3\n1,2\n",
    "twice": b"x,x,y\n1,2,3\n4,5,6\n",
    "open_quote": b'x,y\n1,2\n"1,3\n',
    "constant_target": b"x,y\n1,5\n2,5\n3,5\n",
    "no_target_cells": b"x,y\n1,\n2,\n3,\n",
    "infinite_target": b"x,y\n1.5,1.5\n2.5,inf\n3,2.25\n",
    "no_input": b"y\n1\n0\n1\n0\n1\n",
    "constant_input": b"x,y\n1,0\n1,1\n1,0\n1,1\n1,0\n",
}


@pytest.mark.parametrize("name", CONTENTS)
def test_files_that_cannot_be_used(refused, folder, name):
    (folder / "t.csv").write_bytes(CONTENTS[name])
    message = refused("train", "t.csv", "--target", "y", *FAST)
    if name.startswith("ragged"):
        assert "line 3" in message
    if name == "twice":
        assert "'x'" in message


def test_missing_file_and_folder(refused, folder):
    (folder / "titanic.csv").write_text(GOOD)
    assert "titanic.csv" in refused("train", "titanik.csv", "--target", "y")
    (folder / "sub").mkdir()
    assert "folder" in refused("train", "sub", "--target", "y")
    assert "no file" in refused("train", "*.parquet", "--target", "y").lower()


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".jsonl", ".csv.gz", ".feather"])
def test_a_file_that_is_not_what_its_ending_says(refused, folder, ending):
    (folder / f"t{ending}").write_text(GOOD)
    refused("train", f"t{ending}", "--target", "y", *FAST)


def test_truncated_files(refused, folder):
    frame = pl.DataFrame({"x": np.arange(500.0), "y": [0, 1] * 250})
    frame.write_parquet("t.parquet")
    (folder / "t.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    for name in ("t.parquet", "t.csv.gz"):
        path = folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        refused("train", name, "--target", "y", *FAST)


def test_target_and_columns(refused, folder):
    (folder / "t.csv").write_text(GOOD.replace("y\n", "survived\n", 1))
    assert "'survived'" in refused("train", "t.csv", "--target", "survive")
    assert "--target" in refused("train", "t.csv")
    assert "'xx'" in refused("train", "t.csv", "--target", "survived", "--group", "xx")
    assert "'c'" in refused("train", "t.csv", "--target", "survived", "--weight", "c")
    refused("train", "t.csv", "--target", "c", "--task", "regression")
    refused("train", "t.csv", "--target", "survived", "--task", "multilable")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--set", "train.epcohs=3"], "epochs"),
        (["--set", "trian.epochs=3"], "train"),
        (["--set", "model.name=mpl"], "mlp"),
        (["--model", "liner"], "linear"),
        (["--set", "model.hiden_sizes=[3]", "--model", "mlp"], "hidden_sizes"),
        (["--set", "train.epochs=ten"], "integer"),
        (["--set", "train.epochs=true"], "integer"),
        (["--set", "train.epochs=-1"], "greater"),
        (["--set", "train.lr=0"], "greater"),
        (["--set", "train.lr=.nan"], "train.lr"),
        (["--set", "train.batch_size=0"], "train.batch_size"),
        (["--set", "train.optimizer=adan"], "train.optimizer"),
        (["--set", "data.split.train=0.9"], "sum to 1"),
        (["--set", "data.types.zz=number"], "zz"),
        (["--set", "data.types.x=numbr"], "data.types"),
        (["--set", "task.loss=huber"], "loss"),
        (["--set", "task.loss=custom"], "Python"),
        (["--set", "nonsense"], "key=value"),
        (["--set", "train.lr.deep=1"], "train.lr"),
        (["--epochs", "many"], "whole number"),
        (["--time-limit", "-3"], "time_limit"),
        (["--set", "train.device=cuda:9"], "cuda:9"),
        (["--set", "train.device=toaster"], "toaster"),
        (["--model", "mlp", "--set", "model.hidden_sizes=[99999999999999]"], "too large"),
        (["--model", "mlp", "--set", "model.hidden_sizes=[0]"], "hidden_sizes"),
        (["--set", "train.seed=-1"], "seed"),
        (["--unknown-flag"], "unknown-flag"),
        (["--val", "missing.csv"], "missing.csv"),
    ],
)
def test_plans_that_cannot_be_used(refused, folder, words, part):
    (folder / "t.csv").write_text(GOOD)
    assert part in refused("train", "t.csv", "--target", "y", *words)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "data: !!python/object/apply:os.system ['touch trapped']",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "data: {source: t.csv}\ndata: {source: u.csv}",
        "[" * 5000,
        "- just\n- a list",
        "text",
        "",
        "data: {source: t.csv, target: y, traget: z}",
        "model: {name: 3}",
        "data: 7",
        "model: [1, 2]",
        "\x00",
    ],
)
def test_plan_files_that_cannot_be_used(refused, folder, text):
    (folder / "t.csv").write_text(GOOD)
    (folder / "plan.yaml").write_text(text)
    refused("train", "plan.yaml")
    assert not (folder / "trapped").exists()


@pytest.mark.slow
def test_predict_and_evaluate(refused, folder, capsys):
    (folder / "t.csv").write_text(GOOD)
    assert main(["train", "t.csv", "--target", "y", *FAST, "--out", "r", "--quiet"]) == 0
    capsys.readouterr()
    (folder / "less.csv").write_text("x2,y\n1,2\n2,2\n")
    assert "'x2'" in refused("predict", "r", "less.csv", "--out", "p.csv")
    assert ".xls" in refused("predict", "r", "t.csv", "--out", "p.xls")
    assert "folder" in refused("predict", "r", "t.csv", "--out", "no/p.csv")
    refused("predict", "r", "none.csv", "--out", "p.csv")
    refused("predict", "nowhere", "t.csv", "--out", "p.csv")
    (folder / "untold.csv").write_text("x,c\n1,a\n")
    assert "'y'" in refused("evaluate", "r", "untold.csv")
    assert "not empty" in refused("train", "t.csv", "--target", "y", *FAST, "--out", "r")
    refused("compare", "r")
    refused("inspect", "nothing")
    refused("inspect", "mlp", "--batch", "0")
    assert "--target" in refused("inspect", "mlp", "--target", "y")
    assert "--svg" in refused("inspect", "iris", "--svg", "g.svg")
    assert "'iris'" in refused("inspect", "irsi")
    assert "'mlp'" in refused("inspect", "mpl")
    assert "none.csv" in refused("inspect", "none.csv", "--target", "y")
    assert "'specie'" in refused("inspect", "iris", "--target", "specie")
    assert ".png" in refused("inspect", "iris", "--augment", "sheet.jpg")
    assert "--augment" in refused("inspect", "mlp", "--augment", "sheet.png")


@pytest.mark.slow
def test_places_that_cannot_be_written(refused, folder, monkeypatch):
    (folder / "t.csv").write_text(GOOD)
    (folder / "file").write_text("")
    refused("train", "t.csv", "--target", "y", *FAST, "--out", "file")
    refused("train", "t.csv", "--target", "y", *FAST, "--out", "file/deeper")

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("glial.core.files.os.fsync", full)
    assert "space" in refused("train", "t.csv", "--target", "y", *FAST, "--out", "r")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_folder_without_permission(refused, folder):
    (folder / "t.csv").write_text(GOOD)
    (folder / "closed").mkdir(mode=0o500)
    refused("train", "t.csv", "--target", "y", *FAST, "--out", "closed/r")


def test_unknown_verb(refused):
    assert "train" in refused("trian", "a.csv")


NOTICES = {
    "an all-missing column": ("x,e,y\n", lambda i: f"{i % 9}.5,,{i % 2}\n", "'e' is dropped"),
    "infinite cells": (
        "x,z,y\n",
        lambda i: f"{'inf' if i == 5 else i % 9},{i % 4},{i % 2}\n",
        "infinite",
    ),
    "mixed types": (
        "x,m,y\n",
        lambda i: f"{i % 9}.5,{'low' if i % 9 == 0 else i % 9},{i % 2}\n",
        "category",
    ),
    "a constant": ("x,k,y\n", lambda i: f"{i % 9}.5,7,{i % 2}\n", "'k' is dropped"),
    "an identifier": ("id,x,y\n", lambda i: f"{i},{i % 9}.5,{i % 2}\n", "'id' is dropped"),
    "a class with one row": (
        "x,y\n",
        lambda i: f"{i % 9}.5,{'odd' if i == 7 else 'ab'[i % 2]}\n",
        "one row",
    ),
    "missing targets": (
        "x,y\n",
        lambda i: f"{i % 9}.5,{'' if i == 3 else i % 2}\n",
        "without a target",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTICES)
def test_what_can_be_mended_is_noticed(folder, capsys, name):
    head, row, notice = NOTICES[name]
    (folder / "t.csv").write_text(head + "".join(row(i) for i in range(60)))
    assert main(["train", "t.csv", "--target", "y", *FAST]) == 0
    assert notice in capsys.readouterr().err


@pytest.mark.slow
def test_huge_category_counts_share_a_bucket(folder, capsys):
    rows = "".join(f"{i % 5}.5,{'k' if i < 30 else f'v{i}'},{i % 2}\n" for i in range(90))
    (folder / "t.csv").write_text("x,c,y\n" + rows)
    words = ["--set", "data.max_categories=10", "--set", "data.types.c=category"]
    assert main(["train", "t.csv", "--target", "y", *FAST, *words]) == 0
    assert "share one bucket" in capsys.readouterr().err


@pytest.mark.slow
def test_new_reordered_and_unseen_at_predict_time(folder, capsys):
    (folder / "t.csv").write_text(GOOD)
    main(["train", "t.csv", "--target", "y", *FAST, "--out", "r", "--quiet"])
    (folder / "a.csv").write_text("x,c\n1.5,a\n2.5,b\n")
    (folder / "b.csv").write_text("new,c,x\n9,a,1.5\n9,b,2.5\n")
    (folder / "c.csv").write_text("x,c\n1.5,never\n,\n")
    capsys.readouterr()
    notices = {"a": "", "b": "new columns are ignored: new", "c": "'never'"}
    for name, notice in notices.items():
        assert main(["predict", "r", f"{name}.csv", "--out", f"{name}.parquet"]) == 0
        err = capsys.readouterr().err
        assert notice in err
        assert ("matched by name" in err) == (name == "b")
    assert pl.read_parquet("a.parquet").equals(pl.read_parquet("b.parquet"))
    assert pl.read_parquet("c.parquet")["probability_1"].is_between(0, 1).all()
