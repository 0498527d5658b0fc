"""Runs told to TensorBoard, Weights & Biases and MLflow: what they read back is the history."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys

import numpy as np
import pytest

import glial
from glial.cli.main import main
from glial.core.errors import InputError
from glial.healing.plans import PlanPatient
from glial.runs import Plan, TrainingInterrupted
from glial.training.loggers import LOGGERS, metric_names
from glial.training.loggers.wandb_files import read_history, read_records

ALL = ["tensorboard", "wandb", "mlflow"]
OPTIONS = {"model": "mlp", "epochs": 6}
SET = {"train.lr": 0.01, "model.hidden_sizes": [4], "model.dropout": 0.2}


def train(out, loggers, **options):
    changes = {**SET, "train.report_to": loggers} if loggers else SET
    return glial.train("iris", set=changes, out=out, **OPTIONS, **options)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run without loggers, and one with all, broken off and gone on with."""
    root = tmp_path_factory.mktemp("runs")
    plain = train(root / "plain", [])

    class Stop:
        def on_epoch_end(self, view):
            if view.epoch == 3:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "WANDB_MODE", "WANDB_PROJECT"):
            patch.delenv(name, raising=False)
        with pytest.raises(TrainingInterrupted):
            train(root / "told", ALL[:2], callbacks=[Stop()])
        told = train(root / "told", ALL, resume=True)
    return plain, told


@pytest.fixture(scope="module")
def history(runs):
    """Each number's steps and values, as history.csv holds them."""
    with (runs[1].path / "history.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    series = {}
    for row in rows:
        for name, value in metric_names(row).items():
            series.setdefault(name, []).append((int(row["step"]), value))
    assert len(series["train/loss"]) == 6
    return series


@pytest.fixture(scope="module")
def final(runs):
    """What the run came to."""
    return {
        f"final/{split}/{name}": value
        for split, values in runs[1].metrics.items()
        for name, value in values.items()
    }


def test_training_is_the_same_to_the_bit(runs):
    plain, told = (run.path / "model.safetensors" for run in runs)
    assert plain.read_bytes() == told.read_bytes()
    assert runs[0].metrics == runs[1].metrics


def test_tensorboard_reads_back_the_history_once(runs, history, final):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told = EventAccumulator(str(runs[1].path / "tensorboard"))
    told.Reload()
    for name, expected in history.items():
        found = [(event.step, event.value) for event in told.Scalars(name)]
        assert found == [(step, np.float32(value)) for step, value in expected], name
    for name, value in final.items():
        assert told.Scalars(name)[-1].value == np.float32(value), name


def test_weights_and_biases_reads_back_the_history_once(runs, history, final):
    folder = runs[1].path / "wandb"
    found = {}
    counts = []
    for row in read_history(folder):
        counts.append(row.pop("_step"))
        for name in row.keys() & history.keys():
            found.setdefault(name, []).append((row["step"], row[name]))
    assert found == history
    assert counts == sorted(set(counts))
    records = list(read_records(folder))
    kinds = [record.WhichOneof("record_type") for record in records]
    assert len({record.run.run_id for record in records if record.run.run_id}) == 1
    assert kinds.count("exit") == 2
    config, summary = {}, {}
    for record in records:
        for item in [*record.run.config.update, *record.config.update]:
            config[item.key or item.nested_key[0]] = json.loads(item.value_json)
        for item in record.summary.update:
            summary[item.key or item.nested_key[0]] = json.loads(item.value_json)
    assert config["model.name"] == "mlp"
    assert config["train.lr"] == 0.01
    assert {name: summary[name] for name in final} == final


def test_mlflow_reads_back_the_history_with_what_came_before_it_was_told(runs, history, final):
    from mlflow import MlflowClient

    kept = json.loads((runs[1].path / "mlflow.json").read_text())
    assert kept["tracking_uri"] == str(runs[1].path.parent / "mlruns")
    client = MlflowClient(tracking_uri=kept["tracking_uri"])
    run = client.get_run(kept["run_id"])
    for name, expected in history.items():
        found = client.get_metric_history(kept["run_id"], name)
        assert [(metric.step, metric.value) for metric in found] == expected, name
    assert {name: run.data.metrics[name] for name in final} == final
    assert run.data.params["train.lr"] == "0.01"
    assert run.data.params["task"] == "classification"
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "told"


def test_each_network_of_several_is_told_of_in_its_own_folder(tmp_path):
    run = train(tmp_path / "folds", ["tensorboard"], folds=2)
    for member in run.members:
        assert len(list((member.path / "tensorboard").iterdir())) == 1


def test_a_logger_that_cannot_begin_stops_nothing(tmp_path, runs, caplog):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LOGGERS.resolve("tensorboard"), "_new_file", _no_space)
        run = train(tmp_path / "run", ["tensorboard"])
    assert (run.path / "model.safetensors").read_bytes() == (
        runs[0].path / "model.safetensors"
    ).read_bytes()
    told = [r.getMessage() for r in caplog.records if "told no more" in r.getMessage()]
    assert told == [
        "tensorboard is told no more of this training: OSError: [Errno 28] No space left on device"
    ]


def test_healing_tells_of_the_first_training_alone(runs):
    told = []

    def trained(**options):
        told.append(options["set"])
        raise InputError("enough", expected="", got="", do="")

    for loggers in ([], ["wandb"]):
        asked = Plan.from_values({"train": {"report_to": loggers}})
        with pytest.raises(InputError):
            PlanPatient(trained, asked, runs[0])._run({"train.lr": 0.1}, kept=False)
    assert told == [{"train.lr": 0.1}, {"train.lr": 0.1, "train.report_to": []}]


def test_loggers_are_no_difference_between_runs(runs):
    assert glial.runs.compare([run.path for run in runs])["differences"] == {}


def test_the_command_line_names_loggers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "iris", "--report-to", "wandb", "--report-to", "boards", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["message"] == "unknown logger 'boards'"
    assert list(tmp_path.iterdir()) == []


def _no_space(*_):
    raise OSError(28, "No space left on device")


def test_what_cannot_be_reported_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="kept in memory"):
        train(False, ["tensorboard"])
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match="needs the package 'wandb'"):
        train(tmp_path / "run", ["wandb"])
    assert not (tmp_path / "run").exists()
