"""What a folder tells while its run trains: true, never in the way, and gone with no trace."""

from __future__ import annotations

import json

import pytest
import torch

import glial
from glial.core.errors import InputError
from glial.runs.live import Loads, read_live
from glial.runs.loading import read_history

WATCHED = True
OPTIONS = {"model": "mlp", "epochs": 6, "set": {"train.lr": 0.01, "model.dropout": 0.2}}


@pytest.fixture
def at_once(monkeypatch):
    """Everything is written at every chance."""
    monkeypatch.setattr("glial.runs.live.EVERY_SECONDS", 0.0)
    monkeypatch.setattr("glial.runs.live.SHARE", 1e9)
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)


class Reader:
    """Looks into the folder after each epoch, as a page would."""

    def __init__(self, folder):
        self.folder, self.told, self.histories = folder, [], []

    def on_epoch_end(self, view):
        self.told.append(read_live(self.folder))
        self.histories.append(read_history(self.folder / "history.csv"))


@pytest.fixture
def followed(at_once, tmp_path):
    reader = Reader(tmp_path / "run")
    run = glial.train("iris", out=tmp_path / "run", callbacks=[reader], **OPTIONS)
    return run, reader


def test_the_history_grows_epoch_by_epoch(followed):
    run, reader = followed
    assert [len(rows) for rows in reader.histories] == [1, 2, 3, 4, 5, 6]
    assert reader.histories[-1] == read_history(run.path / "history.csv")
    assert [told["epoch"] for told in reader.told] == [1, 2, 3, 4, 5, 6]
    assert {told["status"] for told in reader.told} == {"training"}
    assert all(0 < told["fraction"] <= 1 and told["epochs"] == 6 for told in reader.told)


def test_the_end_is_told_too(followed):
    run, _ = followed
    told = read_live(run.path)
    assert told["status"] == "finished"
    assert told["fraction"] == 1.0
    assert told["best_epoch"] == max(run.history, key=lambda row: -row["val_loss"])["epoch"]
    assert told["findings"] == [finding.to_dict() for finding in run.findings]


def test_samples_are_what_the_run_predicts(followed):
    run, reader = followed
    told = read_live(run.path)["samples"]
    assert len(told) == 8
    assert {sample["truth"] for sample in told} <= {"setosa", "versicolor", "virginica"}
    assert all(sample["right"] == (sample["truth"] == sample["prediction"]) for sample in told)
    cells = [dict(part.split(": ") for part in sample["input"].split("; ")) for sample in told]
    rows = {name: [float(cell[name]) for cell in cells] for name in cells[0]}
    assert glial.predict(run, rows)["prediction"].to_list() == [s["prediction"] for s in told]
    same_rows = {json.dumps([s["input"] for s in each["samples"]]) for each in reader.told}
    assert len(same_rows) == 1


def test_layers_are_those_of_the_network(followed):
    run, reader = followed
    layers = {layer["name"]: layer for layer in reader.told[-1]["layers"]}
    own = {
        name: sum(parameter.numel() for parameter in part.parameters(recurse=False))
        for name, part in run.model.named_modules()
        if next(part.parameters(recurse=False), None) is not None
    }
    assert {name: layers[name]["size"] for name in own} == own
    for name in own:
        assert min(layers[name]["quantities"]["gradient_rms"]["values"]) > 0


def test_telling_changes_nothing(at_once, tmp_path):
    told = glial.train("iris", out=tmp_path / "run", **OPTIONS)
    alone = glial.train("iris", out=False, **OPTIONS)
    left, right = (run.model.state_dict() for run in (told, alone))
    assert all(torch.equal(left[name], right[name]) for name in left)
    keys = ("train_loss", "val_loss", "lr")
    assert [[row[k] for k in keys] for row in told.history] == [
        [row[k] for k in keys] for row in alone.history
    ]


def test_a_folder_that_cannot_be_written_stops_nothing(at_once, tmp_path, monkeypatch):
    def full(path, content):
        raise InputError("cannot write", got="No space left on device")

    monkeypatch.setattr("glial.runs.live.write_atomic", full)
    run = glial.train("iris", out=tmp_path / "run", **OPTIONS)
    assert run.status == "finished"
    assert read_live(tmp_path / "run") is None


def test_samples_that_fail_stop_nothing(at_once, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("no samples")

    monkeypatch.setattr("glial.runs.ready.sampled_rows", broken)
    run = glial.train("iris", out=tmp_path / "run", **OPTIONS)
    assert run.status == "finished"
    assert read_live(tmp_path / "run")["samples"] == []


def test_writes_are_put_off_in_proportion_to_what_they_cost(monkeypatch):
    from glial.runs import live

    now = iter([10.2, 10.001])
    monkeypatch.setattr("glial.runs.live.time.monotonic", lambda: next(now))
    assert live._due(10.0) == pytest.approx(10.2 + 0.2 / 0.003)
    assert live._due(10.0) == pytest.approx(11.001)


def test_text_that_is_made_up_is_shown(at_once, tmp_path):
    verses = {"text": ["to be or not to be"] * 20}
    small = {"model.size": 8, "model.context": 8, "train.epochs": 2, "doctor.watch": False}
    reader = Reader(tmp_path / "run")
    options = {"task": "language-modelling", "set": small, "callbacks": [reader]}
    glial.train(verses, out=tmp_path / "run", **options)
    samples = reader.told[-1]["samples"]
    assert len(samples) == 2
    assert all(sample["prediction"] for sample in samples)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"format": 99}', b"[" * 100_000, b"\xff"])
def test_what_cannot_be_read_is_none(tmp_path, content):
    (tmp_path / "live.json").write_bytes(content)
    assert read_live(tmp_path) is None


def test_loads_stay_few_and_keep_the_last():
    loads = Loads()
    for second in range(1000):
        found = loads.take(float(second))
    assert len(found["series"]["seconds"]) <= 120
    assert found["series"]["seconds"][-1] == 999.0
    assert found["series"]["seconds"][0] == 0.0
    assert 0 < found["memory_bytes"] <= 1.01 * found["peak_memory_bytes"]
