"""Curves over trainings: nested rows, the same judges, what is done stays done."""

from __future__ import annotations

import json
import os
import signal
import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.evaluation import Curve, CurveInterrupted, Point, learning_curve, validation_curve
from glial.evaluation.curves.trainings import Trainings

FAST = {"model.name": "linear", "train.epochs": 4, "train.lr": 0.05}


def points(found: dict, over: str = "train.lr") -> Curve:
    """A curve with given train and val scores for each value."""
    made = [
        Point(value, i + 1, 10, 1, 0.1, {"train": {"mae": t}, "val": {"mae": v}, "test": {}})
        for value, pairs in found.items()
        for i, (t, v) in enumerate(pairs)
    ]
    return Curve(over, "mae", list(found), made)


def test_verdicts_say_where_a_network_underfits_and_overfits():
    curve = points(
        {
            "low": [(2.0, 2.0), (2.2, 2.2)],
            "good": [(0.5, 1.0), (0.6, 1.1)],
            "near": [(0.5, 1.02), (0.5, 1.12)],
            "high": [(0.1, 1.8), (0.1, 1.9)],
            "lost": [(np.nan, np.nan)],
        }
    )
    told = [row["verdict"] for row in curve.table()]
    assert told == ["underfits", "best", "as good", "overfits", "diverges"]
    assert curve.best == "good"
    assert "good is best" in curve.sentences()[0]


def test_a_curve_over_rows_states_its_law():
    sizes = [50, 100, 200, 400]
    made = [
        Point(n, 1, n, 1, 0.1, {"train": {}, "val": {"mae": 9.0}, "test": {"mae": 0.1 + n**-0.5}})
        for n in sizes
    ]
    curve = Curve("rows", "mae", sizes, made)
    assert curve.judge == "test"
    assert curve.law.exponent == pytest.approx(0.5, abs=0.01)
    assert "twice the rows (800) would bring it from 0.15 to 0.135" in curve.sentences()[1]
    accuracy = [
        Point(n, 1, n, 1, 0.1, {"val": {"accuracy": 0.9 - n**-0.5}, "test": {}}) for n in sizes
    ]
    curve = Curve("rows", "accuracy", sizes, accuracy)
    assert curve.judge == "val"
    assert curve.law.floor == pytest.approx(0.1, abs=0.01)
    assert curve.sentences()[0].startswith("1 - accuracy falls")
    assert "no law" in Curve("rows", "mae", sizes, made[:3]).sentences()[0]
    assert Curve("rows", "mae", sizes).to_dict()["table"] == []
    text = "".join(ET.fromstring(curve.svg()).itertext())
    assert "accuracy" in text
    assert "val goes from" in text


@pytest.mark.slow
def test_sets_of_rows_are_nested_and_hold_every_class():
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "x": random.normal(size=400),
            "y": ["rare" if i < 12 else "abc"[i % 3] for i in range(400)],
        }
    )
    trainings = Trainings.of(frame, {"data.target": "y", **FAST})
    order, labels = trainings.order(1), trainings.labels
    assert sorted(order) == list(range(trainings.num_rows))
    assert len(np.unique(labels[order[:4]])) == 4
    shares = np.bincount(labels) / len(labels)
    for size in (50, 100, 200):
        assert np.abs(np.bincount(labels[order[:size]]) / size - shares).max() < 0.035
    assert not np.array_equal(order, trainings.order(2))
    assert np.array_equal(order, trainings.order(1))


@pytest.mark.slow
def test_more_rows_are_better_and_all_rows_are_a_training_as_usual():
    random = np.random.default_rng(0)
    inputs = random.normal(size=(300, 8))
    frame = pl.DataFrame(inputs, schema=list("abcdefgh"))
    frame = frame.with_columns(y=inputs.sum(axis=1) + random.normal(size=300))
    asked = FAST | {"train.epochs": 30}
    curve = learning_curve(frame, "y", sizes=[12, 210], repeats=1, set=asked)
    few, many = curve.table()
    assert (few["value"], many["value"]) == (12, 210)
    assert many["test"] < 1.2 < 1.5 < few["test"]  # noise has a spread of 1
    assert few["train"] < few["test"]
    usual = glial.train(frame, "y", set=asked, out=False)
    all_rows = curve.points[-1].scores["test"]["rmse"]
    # The same rows in another order: as good, and judged by the very same rows.
    assert all_rows == pytest.approx(usual.metrics["test"]["rmse"], rel=0.02)


@pytest.mark.slow
def test_finished_trainings_are_not_done_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first = validation_curve("iris", "train.lr", [1e-3, 0.1], set=FAST, out="c")
    assert first.best == 0.1
    when = [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("model.safetensors"))]
    words = ["curve", "iris", "--model", "linear", "--epochs", "4", "--out", "c", "--over"]
    assert main([*words, "train.lr", "--values", "1e-3,0.1,0.05", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    after = [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("model.safetensors"))]
    assert after[:2] == when
    assert len(after) == 3
    assert [row["value"] for row in result["table"]] == [1e-3, 0.1, 0.05]
    assert result["points"][0]["scores"] == first.points[0].scores
    assert pl.read_csv("c/curve.csv").height == 3
    ET.parse("c/curve.svg")
    assert json.loads((tmp_path / "c/curve.json").read_text())["best"] == result["best"]
    with pytest.raises(InputError):  # another experiment in the same folder
        validation_curve("iris", "train.lr", [1e-2], set=FAST, out="c")


@pytest.mark.slow
def test_ctrl_c_leaves_what_is_done(tmp_path, monkeypatch):
    done = []
    real = Trainings.train

    def stopping(self, *arguments, **options):
        if len(done) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        done.append(1)
        return real(self, *arguments, **options)

    monkeypatch.setattr(Trainings, "train", stopping)
    with pytest.raises(CurveInterrupted) as stopped:
        learning_curve("iris", sizes=[20, 40], repeats=1, set=FAST, out=tmp_path)
    assert [point.rows for point in stopped.value.curve.points] == [20]
    monkeypatch.setattr(Trainings, "train", real)
    whole = learning_curve("iris", sizes=[20, 40], repeats=1, set=FAST, out=tmp_path)
    assert [point.rows for point in whole.points] == [20, 40]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Trainings, "train", stopping)
    done[:] = [1]
    words = ["curve", "iris", "--model", "linear", "--epochs", "4", "--values", "20,40"]
    assert main([*words, "--quiet"]) == 130


@pytest.mark.slow
def test_the_verb_prints_tables_and_refuses_what_is_wrong(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fast = ["iris", "--model", "linear", "--epochs", "2", "--quiet"]
    assert (
        main(["curve", *fast, "--values", "20,40", "--repeats", "1", "--metric", "accuracy"]) == 0
    )
    said = capsys.readouterr().out
    assert "train accuracy" in said
    assert "no law is fitted" in said
    assert main(["curve", *fast, "--bias-variance", "--repeats", "2"]) == 0
    assert "mostly" in capsys.readouterr().out
    for wrong in (
        ["--values", "20,1000"],
        ["--values", "a"],
        ["--values", "0"],
        ["--values", "[20"],
        ["--repeats", "0"],
        ["--over", "train.lr"],
        ["--over", "train.lrr", "--values", "1"],
        ["--over", "train.lr", "--values", "fast"],
        ["--metric", "accurac", "--values", "20"],
        ["--folds", "3"],
        ["--truth", "x"],
        ["--bias-variance", "halves"],
        ["--target", "none"],
        ["--task", "language-modelling"],
    ):
        assert main(["curve", *fast, *wrong, "--json"]) == 2, wrong
        assert "Traceback" not in capsys.readouterr().err
