"""Decoders fitted anew: the same as in training, other rows, files written whole, bad inputs."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.core.settings import read_yaml
from glial.data import SplitSettings, split_rows
from glial.tasks.calibration import fit_calibration

FAST = {
    "doctor.watch": False,
    "train.lr": 0.02,
    "train.batch_size": 32,
    "train.patience": None,
    "train.restore_best": False,
}
GENERATOR = np.random.default_rng(0)


def drawn(rows):
    points = GENERATOR.normal(size=(rows, 6))
    yes = points[:, 0] + 1.2 * GENERATOR.normal(size=rows) > 0
    numbers = pl.DataFrame(points, schema=list("abcdef"))
    return numbers.with_columns(
        y=pl.Series(np.where(yes, "yes", "no")), z=pl.Series(2 * points[:, 1] + points[:, 0])
    )


TABLE, OTHERS = drawn(300), drawn(400)
CLASSES, NUMBERS = TABLE.drop("z"), TABLE.drop("y")


@pytest.fixture(scope="module")
def overfit(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "r"
    return glial.train(CLASSES, "y", model="mlp", epochs=15, out=path, set=FAST)


@pytest.fixture
def copy(overfit, tmp_path):
    return shutil.copytree(overfit.path, tmp_path / "copy")


def shares_of(run, frame):
    return glial.predict(run, frame).select(pl.col("^probability_.*$")).to_numpy()


def test_it_is_what_training_would_have_fitted(overfit, copy, tmp_path):
    settings = {"task.calibration": "temperature", "task.threshold": "f1", "task.refuse": 0.2}
    whole = glial.train(
        CLASSES, "y", model="mlp", epochs=15, out=tmp_path / "w", set=FAST | settings
    )
    found = glial.calibrate(copy, CLASSES, set=settings)
    assert found.rows == 45  # the validation rows of the table that it was trained on
    assert found.run.decoder.state() == whole.decoder.state()
    again = glial.load(copy)
    assert again.decoder.state() == whole.decoder.state()
    assert again.plan.task == whole.plan.task
    assert glial.predict(again, OTHERS).equals(glial.predict(whole, OTHERS))
    assert (copy / "metrics.json").read_bytes() == (overfit.path / "metrics.json").read_bytes()


def test_other_rows_are_taken_whole_and_judged_by_halves(overfit, copy):
    rows = OTHERS.drop("z")
    found = glial.calibrate(copy, rows, set={"task.calibration": "platt"})
    assert (found.rows, found.held_out, found.after.frame.height) == (400, True, 200)
    truth = (rows["y"] == "yes").to_numpy().astype(int)
    expected = fit_calibration("platt", shares_of(overfit, rows), truth)
    assert found.run.decoder.calibration.slopes == pytest.approx(expected.slopes, rel=1e-5)
    # Figures of the half that did not choose.
    judged = found.after.frame
    assert found.metrics["before"] == pytest.approx(
        glial.runs.evaluate(overfit, judged)["metrics"], abs=1e-6
    )
    half = rows.join(judged, on=list("abcdef"), how="anti", maintain_order="left")
    truth = (half["y"] == "yes").to_numpy().astype(int)
    by_half = fit_calibration("platt", shares_of(overfit, half), truth)
    told = by_half.apply(shares_of(overfit, judged))
    codes = (judged["y"] == "yes").to_numpy().astype(int)
    loss = -np.log(told[np.arange(200), codes]).mean()
    assert found.metrics["after"]["log_loss"] == pytest.approx(loss, abs=1e-5)
    assert loss < 0.98 * found.metrics["before"]["log_loss"]


def test_it_may_be_done_again_and_taken_back(overfit, copy):
    rows = OTHERS.drop("z")
    glial.calibrate(copy, rows, set={"task.calibration": "isotonic", "task.threshold": "recall"})
    glial.calibrate(copy, rows, set={"task.coverage": 0.8})
    plan = read_yaml(copy / "plan.yaml")["task"]
    assert (plan["calibration"], plan["threshold"], plan["coverage"]) == ("isotonic", "recall", 0.8)
    changes = {"task.calibration": "none", "task.threshold": None, "task.coverage": None}
    glial.calibrate(copy, rows, set=changes)
    assert glial.predict(glial.load(copy), rows).equals(glial.predict(overfit, rows))
    assert (copy / "decoding.json").read_bytes() == (overfit.path / "decoding.json").read_bytes()


@pytest.mark.parametrize("cut", ["decoding.json", "plan.yaml"])
@pytest.mark.parametrize("threshold", ["f1", None])
def test_a_run_cut_off_between_both_files_still_opens(copy, monkeypatch, cut, threshold):
    rows = OTHERS.drop("z")
    glial.calibrate(copy, rows, set={"task.threshold": None if threshold else "f1"})
    from glial.runs import calibrating

    real, written = calibrating.write_atomic, []

    def failing(path, content):
        if written:
            raise KeyboardInterrupt
        written.append(path.name)
        real(path, content)

    monkeypatch.setattr(calibrating, "write_atomic", failing)
    changes = {"task.threshold": threshold, "task.calibration": "temperature"}
    with pytest.raises(KeyboardInterrupt):
        glial.calibrate(copy, rows, set=changes)
    assert glial.predict(glial.load(copy), rows).height == 400


def test_runs_of_several_networks(tmp_path):
    run = glial.train(CLASSES, "y", model="mlp", epochs=8, folds=3, out=tmp_path / "r", set=FAST)
    rows = OTHERS.drop("z")
    with pytest.raises(InputError, match="was trained on these rows"):
        glial.calibrate(run, CLASSES, set={"task.calibration": "platt"})
    raw = shares_of(run, rows)
    settings = {"task.calibration": "temperature", "task.coverage": 0.9, "task.refuse": 0.1}
    found = glial.calibrate(run, rows, set=settings)
    again = glial.load(run.path)
    expected = found.run.decoder.calibration.apply(raw)
    np.testing.assert_allclose(shares_of(again, rows), expected, atol=1e-6)
    told = glial.predict(again, rows)
    assert {"prediction_set", "refused", "spread"} <= set(told.columns)
    assert 25 <= told["refused"].sum() <= 60  # a tenth of the half that it is fitted on


def test_numbers_questions_and_loaders(tmp_path):
    run = glial.train(NUMBERS, "z", model="tabular", epochs=3, out=tmp_path / "r", set=FAST)
    found = glial.calibrate(run, OTHERS.drop("y"), set={"task.coverage": 0.9})
    assert found.metrics["after"]["coverage"] == pytest.approx(0.9, abs=0.07)
    assert "coverage" not in found.metrics["before"]
    told = glial.predict(glial.load(run.path), OTHERS)
    assert told.columns == ["prediction", "prediction_low", "prediction_high"]
    questions = TABLE.select("a", "b", p=pl.col("a") > 0, q=pl.col("b") > 0)
    run = glial.train(questions, ["p", "q"], model="mlp", epochs=1, out=False, set=FAST)
    others = OTHERS.select("a", "b", p=pl.col("a") + pl.col("c") > 0, q=pl.col("b") > pl.col("d"))
    found = glial.calibrate(run, others, set={"task.calibration": "temperature"})
    assert len(found.run.decoder.calibration) == 2
    points = torch.randn(200, 3)
    codes = (points[:, 0] + torch.randn(200) > 0).long()
    loader = DataLoader(TensorDataset(points, codes), 32)
    run = glial.train(
        loader, model=nn.Linear(3, 2), epochs=1, out=tmp_path / "l", set={"train.lr": 0.1}
    )
    found = glial.calibrate(run, loader, set={"task.calibration": "temperature"})
    assert found.run.decoder.calibration.temperature > 0


def test_few_rows_are_judged_by_themselves_and_said_so(copy, capsys, tmp_path):
    OTHERS.drop("z").head(16).write_csv(tmp_path / "few.csv")
    words = ["calibrate", str(copy), str(tmp_path / "few.csv"), "--set", "task.calibration=platt"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["judged"], told["judged_on"]) == (16, 16, "fitted rows")
    assert set(told) == {"run", "rows", "judged", "judged_on", "before", "after"}
    assert main(words) == 0
    assert "too few to keep a half back" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({}, "nothing to fit"),
        ({"train.lr": 1}, "cannot be changed after training"),
        ({"task.calibration": "warm"}, r"task\.calibration"),
        ({"task.coverage": 0.999}, "at least 999 rows"),
        ({"task.coverage": 2.0}, r"task\.coverage"),
        ({"task.refuse": "0"}, r"task\.refuse"),
    ],
)
def test_what_cannot_be_done_changes_nothing(copy, changes, match):
    before = [(copy / name).read_bytes() for name in ("decoding.json", "plan.yaml")]
    with pytest.raises(InputError, match=match):
        glial.calibrate(copy, OTHERS.drop("z"), set=changes)
    assert [(copy / name).read_bytes() for name in ("decoding.json", "plan.yaml")] == before


def test_other_tasks_and_columns_are_refused(copy):
    run = glial.train(CLASSES, "y", task="embedding", model="mlp", epochs=1, out=False, set=FAST)
    with pytest.raises(InputError, match="task embedding"):
        glial.calibrate(run, CLASSES, set={"task.calibration": "platt"})
    with pytest.raises(InputError, match="y"):
        glial.calibrate(copy, OTHERS.drop("z", "y"), set={"task.calibration": "platt"})
    run = glial.train(NUMBERS, "z", model="linear", epochs=1, out=False, set=FAST)
    with pytest.raises(InputError, match=r"task\.refuse does not fit"):
        glial.calibrate(run, OTHERS, set={"task.refuse": 0.1})


def test_the_validation_rows_are_those_of_training(overfit, copy):
    found = glial.calibrate(copy, CLASSES, set={"task.calibration": "temperature"})
    codes = (CLASSES["y"] == "yes").to_numpy().astype(int)
    rows = split_rows(CLASSES, SplitSettings(), labels=codes, seed=0)
    expected = fit_calibration(
        "temperature", shares_of(overfit, CLASSES[rows.val]), codes[rows.val]
    )
    assert found.run.decoder.calibration.temperature == pytest.approx(expected.temperature, 1e-5)
