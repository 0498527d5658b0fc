"""Runs of several networks: each as if trained alone, averaged by hand, resumed byte for byte."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
import torch
from sklearn import metrics
from torch import nn

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.data import SplitSettings, read, split_rows
from glial.runs import TrainingInterrupted, draft
from glial.tasks import TaskSettings, fit_task

FAST = {
    "doctor.watch": False,
    "train.lr": 0.02,
    "train.patience": None,
    "train.checkpoint_seconds": 0.0,
}
FILES = ("model.safetensors", "model.json", "encoding.json", "decoding.json", "plan.yaml")
OPTIONS = {
    "model": "mlp",
    "epochs": 4,
    "set": {**FAST, "model.dropout": 0.2, "train.ema": 0.9, "train.batch_size": 16},
}
GENERATOR = np.random.default_rng(0)
NUMBERS = pl.DataFrame(GENERATOR.normal(size=(90, 2)), schema=["a", "b"])
SUM = NUMBERS.with_columns(s=pl.col("a") * 30 + pl.col("b") + 500)
BOTH = NUMBERS.with_columns(up=pl.col("a") > 0, right=pl.col("b") > 0.2)
BINARY = NUMBERS.with_columns(
    y=pl.when(pl.col("a") > 0.3).then(pl.lit("yes")).otherwise(pl.lit("no"))
)


def same_bytes(left, right, names=FILES):
    return all((left / name).read_bytes() == (right / name).read_bytes() for name in names)


def mean_of(run, source, columns):
    return np.mean(
        [glial.predict(m, source).select(columns).to_numpy() for m in run.members], axis=0
    )


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    return glial.train("iris", folds=3, out=tmp_path_factory.mktemp("runs") / "iris", **OPTIONS)


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_each_member_is_the_run_of_its_fold_byte_for_byte(iris, tmp_path, fold):
    changes = {**OPTIONS["set"], "data.split.folds": 3, "data.split.fold": fold}
    alone = glial.train("iris", out=tmp_path / "r", **{**OPTIONS, "set": changes})
    assert alone.members == []
    assert same_bytes(alone.path, iris.path / f"members/{fold}")
    assert alone.metrics == iris.members[fold - 1].metrics


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("iris", {}),
        (BINARY, {"target": "y"}),
        (BOTH, {"target": ["up", "right"]}),
        (SUM, {"target": "s"}),
        (SUM, {"target": "s", "set": {**FAST, "task.output_range": [300.0, 700.0]}}),
        (SUM.rename({"b": "t"}), {"target": ["s", "t"]}),
    ],
)
def test_predictions_are_the_plain_mean_of_the_members(source, options):
    run = glial.train(source, folds=3, out=False, **{**OPTIONS, **options})
    told = glial.predict(run, source)
    numeric = run.task == "regression"
    names = [n for n in told.columns if n.startswith("prediction" if numeric else "probability_")]
    np.testing.assert_allclose(
        told[names].to_numpy(), mean_of(run, source, names), rtol=1e-9, atol=1e-12
    )
    each = np.stack([glial.predict(m, source).select(names).to_numpy() for m in run.members])
    deviations = np.std(each, axis=0, ddof=1)
    spread = told.select(pl.col("^spread.*$"))
    if run.task == "classification":
        best = told[names].to_numpy().argmax(axis=1)
        deviations = deviations[np.arange(len(best)), best][:, None]
    np.testing.assert_allclose(spread.to_numpy(), deviations, atol=1e-9)
    assert len(run.members) == 3
    assert "spread" not in "".join(glial.predict(run.members[0], source).columns)


def test_scores_are_those_of_out_of_fold_rows_and_of_the_average(iris):
    frame = read("iris")
    labels = frame["species"].rank("dense").to_numpy().astype(np.int64) - 1
    names = ["setosa", "versicolor", "virginica"]
    columns = [f"probability_{name}" for name in names]
    shares, truth = [], []
    for fold, member in enumerate(iris.members, 1):
        rows = split_rows(frame, SplitSettings(folds=3, fold=fold), labels=labels)
        shares.append(glial.predict(member, frame[rows.val]).select(columns).to_numpy())
        truth.append(frame[rows.val]["species"].to_numpy())
    shares, truth = np.concatenate(shares), np.concatenate(truth)
    assert len(truth) == 150 - len(rows.test)
    found = iris.metrics["val"]
    assert found["log_loss"] == pytest.approx(metrics.log_loss(truth, shares, labels=names))
    guess = np.array(names)[shares.argmax(axis=1)]
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, guess))
    test = frame[rows.test]
    mean = mean_of(iris, test, columns)
    expected = metrics.log_loss(test["species"], mean, labels=names)
    assert iris.metrics["test"]["log_loss"] == pytest.approx(expected)
    assert glial.evaluate(iris, test)["metrics"] == pytest.approx(iris.metrics["test"])
    plain = glial.train("iris", out=False, **OPTIONS)  # its baseline is of the same test rows
    assert iris.metrics["baseline"]["accuracy"] == plain.metrics["baseline"]["accuracy"]


def test_the_run_tells_of_its_members(iris):
    told = iris.to_dict()
    assert [m["run"] for m in told["members"]] == [str(iris.path / "members" / n) for n in "123"]
    losses = [member.metrics["test"]["log_loss"] for member in iris.members]
    spread = told["spread"]["test"]["log_loss"]
    assert spread == pytest.approx({"mean": np.mean(losses), "std": np.std(losses, ddof=1)})
    assert told["epochs"] == 12
    assert told["ended_by"] == "epochs"
    written = json.loads((iris.path / "metrics.json").read_text())
    assert written["members"][1] == {"run": "members/2", "metrics": iris.members[1].metrics}
    assert written["spread"] == iris.spread
    assert not (iris.path / "model.safetensors").exists()
    assert all(isinstance(network, nn.Module) for network in iris.model)


def test_loading_gives_the_same_predictions(iris, tmp_path):
    moved = shutil.copytree(iris.path, tmp_path / "moved")
    again = glial.load(moved)
    assert glial.predict(again, "iris").equals(glial.predict(iris, "iris"))
    assert (again.metrics, again.spread) == (iris.metrics, iris.spread)
    assert again.members[2].path == moved / "members/3"


def test_training_by_the_plan_of_the_run_gives_the_same_networks(tmp_path):
    options = {"model": "mlp", "epochs": 2, "folds": 2}  # each network measures its learning rate
    first = glial.train("iris", out=tmp_path / "a", **options)
    second = glial.train(tmp_path / "a/plan.yaml", out=tmp_path / "b")
    for n in "12":
        names = ("model.safetensors", "plan.yaml")
        assert same_bytes(tmp_path / "a/members" / n, tmp_path / "b/members" / n, names)
    rates = [member.plan.train.lr for member in first.members]
    assert rates[0] != rates[1]
    assert "lr:" not in (tmp_path / "a/plan.yaml").read_text()
    assert second.plan == first.plan


def test_what_was_asked_and_came_out_differently_stays_as_it_was_asked(tmp_path):
    changes = {**FAST, "train.batch_size": "full"}
    run = glial.train("iris", model="mlp", folds=3, epochs=1, out=False, set=changes)
    assert [member.plan.train.batch_size for member in run.members] == [85, 85, 86]
    assert run.plan.train.batch_size == "full"


def test_a_plan_that_is_drafted_trains_all_folds(tmp_path):
    plan = draft("iris", {"data.split.folds": 2, "model.name": "linear"})
    assert (plan.data.split.folds, plan.data.split.fold) == (2, None)
    path = tmp_path / "plan.yaml"
    path.write_text(plan.to_yaml())
    assert len(glial.train(path, epochs=1, out=False).members) == 2


class Stop:
    """Asks this process to stop, as Ctrl-C does: at a step of a member, or after it."""

    def __init__(self, member, step):
        self.at = member, step
        self.done = False
        self.seen = []

    def on_tick(self, view):
        self.seen.append((view.member, view.members))
        if self.at[1] is not None and (view.member, view.step) >= self.at and not self.done:
            self._stop()

    def on_epoch_end(self, view):
        self.on_tick(view)

    def on_fit_end(self, view):
        if self.at == (view.member, None) and not self.done:
            self._stop()

    def _stop(self):
        self.done = True
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("place", "trained"),
    [((1, 1), 1), ((1, 9), 1), ((1, None), 1), ((2, 6), 2), ((3, 1), 3), ((3, 11), 3)],
)
def test_interrupted_run_is_usable_and_resumes_to_the_same_weights(
    iris, tmp_path, monkeypatch, place, trained
):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    stop = Stop(*place)
    with pytest.raises(TrainingInterrupted) as stopped:
        glial.train("iris", folds=3, out=tmp_path / "r", callbacks=[stop], **OPTIONS)
    half = stopped.value.run
    assert (half.status, half.ended_by, len(half.members)) == (
        "interrupted",
        "interrupted",
        trained,
    )
    assert {number for number, _ in stop.seen} == set(range(1, trained + 1))
    assert {total for _, total in stop.seen} == {3}
    assert glial.predict(tmp_path / "r", "iris").height == 150
    assert glial.load(tmp_path / "r").metrics == half.metrics
    kept = [m.path / "model.safetensors" for m in half.members if m.status == "finished"]
    stamps = [path.stat().st_mtime_ns for path in kept]
    run = glial.train(tmp_path / "r", resume=True)
    assert (run.status, run.metrics) == ("finished", iris.metrics)
    for n in "123":
        assert same_bytes(tmp_path / "r/members" / n, iris.path / "members" / n)
    assert same_bytes(tmp_path / "r", iris.path, ("plan.yaml", "decoding.json"))
    assert [path.stat().st_mtime_ns for path in kept] == stamps
    again = glial.train("iris", folds=3, out=tmp_path / "r", resume=True, **OPTIONS)
    assert again.to_dict() == run.to_dict()


def test_stop_of_a_run_in_memory_keeps_what_was_trained():
    with pytest.raises(TrainingInterrupted) as stopped:
        glial.train("iris", folds=3, out=False, callbacks=[Stop(2, None)], **OPTIONS)
    assert len(stopped.value.run.members) == 2
    assert glial.predict(stopped.value.run, "iris").height == 150


def test_another_plan_or_other_data_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    BINARY.write_csv(path)
    options = {"target": "y", "out": tmp_path / "r", **OPTIONS}
    with pytest.raises(TrainingInterrupted):
        glial.train(str(path), folds=2, callbacks=[Stop(1, None)], **options)
    with pytest.raises(InputError, match=r"another plan.*folds"):
        glial.train(str(path), folds=3, resume=True, **options)
    path.write_text(path.read_text().replace("yes", "Yes"))
    with pytest.raises(InputError, match="data has changed"):
        glial.train(str(path), folds=2, resume=True, **options)
    assert (tmp_path / "r/environment.json").exists()


def test_killed_process_resumes(tmp_path):
    command = ["train", "iris", "--model=mlp", "--epochs=12", "--set=doctor.watch=false"]
    command += ["--set=train.batch_size=8", "--set=train.checkpoint_seconds=0.01", "--quiet"]
    command += ["--set=train.patience=null", "--folds=3"]
    assert main([*command, f"--out={tmp_path / 'calm'}"]) == 0
    cut = tmp_path / "cut"
    for trigger in (
        "members/1/checkpoints/last/checkpoint.safetensors",
        "members/3/plan.yaml",
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", "glial", *command, f"--out={cut}", "--resume"],
            stdout=subprocess.DEVNULL,
        )
        limit = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < limit:
            if (cut / trigger).exists():
                break
            time.sleep(0.002)
        process.kill()
        process.wait()
    assert main([*command, f"--out={cut}", "--resume"]) == 0
    assert same_bytes(cut, tmp_path / "calm", ("plan.yaml", "decoding.json"))
    for n in "123":
        assert same_bytes(cut / "members" / n, tmp_path / "calm/members" / n)


def test_folds_by_time_predict_the_future_and_classes_are_aligned_by_name():
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(120)]
    x = GENERATOR.normal(size=120)
    late = np.where(np.arange(120) >= 30, np.where(x > 0.8, "c", "a"), "a")
    y = np.where(x < -0.2, "b", late)
    frame = pl.DataFrame({"day": days, "x": x, "y": y})
    options = {**OPTIONS, "set": {**FAST, "data.split.gap": 3.0}}
    run = glial.train(frame, target="y", time="day", folds=3, out=False, **options)
    known = [member.decoder.labels.names for member in run.members]
    assert known == [["a", "b"], ["a", "b", "c"], ["a", "b", "c"]]
    told = glial.predict(run, frame)
    late = [glial.predict(m, frame)["probability_c"].to_numpy() for m in run.members[1:]]
    np.testing.assert_allclose(told["probability_c"], sum(late) / 3, atol=1e-12)
    np.testing.assert_allclose(told[:, 1:4].sum_horizontal(), 1.0)


def test_own_test_file_is_tested_with_and_all_other_rows_are_folded(tmp_path):
    SUM[:60].write_csv(tmp_path / "train.csv")
    SUM[60:].write_csv(tmp_path / "test.csv")
    source, test = str(tmp_path / "train.csv"), str(tmp_path / "test.csv")
    run = glial.train(source, target="s", test=test, folds=2, out=False, **OPTIONS)
    mean = mean_of(run, test, ["prediction"])[:, 0]
    expected = metrics.r2_score(SUM["s"][60:], mean)
    assert run.metrics["test"]["r2"] == pytest.approx(expected)
    weights = [len(m.history) for m in run.members]
    assert weights == [4, 4]
    with pytest.raises(InputError, match="exclude"):
        glial.train(source, target="s", val=test, folds=2, out=False, **OPTIONS)


def test_imputations_train_a_network_each_and_multiply_with_folds():
    changes = {**OPTIONS["set"], "data.imputations": 2, "data.missing": "iterative"}
    options = {**OPTIONS, "epochs": 1, "set": changes}
    run = glial.train("iris", out=False, **options)
    assert [member.plan.data.imputation for member in run.members] == [1, 2]
    assert run.plan.data.imputation is None
    # iris lacks no cell: the networks are alike, and their average is each of them.
    one = glial.predict(run.members[0], "iris")
    several = glial.predict(run, "iris")
    assert several["spread"].max() < 1e-12
    np.testing.assert_allclose(several[:, 1:4].to_numpy(), one[:, 1:4].to_numpy(), atol=1e-12)
    assert run.metrics["val"] == pytest.approx(run.members[0].metrics["val"])
    run = glial.train("iris", folds=3, out=False, **options)
    places = [(m.plan.data.split.fold, m.plan.data.imputation) for m in run.members]
    assert places == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]
    single = {**options, "set": {**changes, "data.imputation": 2}}
    assert glial.train("iris", out=False, **single).members == []


def test_own_network_is_copied_for_each_member(tmp_path):
    torch.manual_seed(0)
    network = nn.Linear(4, 3)
    before = network.weight.detach().clone()
    run = glial.train("iris", model=network, folds=2, epochs=3, out=tmp_path / "r", set=FAST)
    assert torch.equal(network.weight, before)
    changes = {**FAST, "data.split.folds": 2, "data.split.fold": 2}
    own = nn.Linear(4, 3)
    own.load_state_dict(network.state_dict())
    alone = glial.train("iris", model=own, epochs=3, out=False, set=changes)
    assert torch.equal(alone.model.weight, run.members[1].model.weight)
    with pytest.raises(InputError, match="network"):
        glial.load(tmp_path / "r")
    again = glial.load(tmp_path / "r", model=nn.Linear(4, 3))
    assert glial.predict(again, "iris").equals(glial.predict(run, "iris"))


def test_a_time_limit_is_for_all_networks_together():
    options = {"model": "mlp", "epochs": 1_000_000, "out": False, "set": FAST}
    run = glial.train("digits", folds=3, time_limit=1.5, **options)
    assert run.ended_by == "time_limit"
    assert run.seconds <= 1.5 * 1.1
    assert all(member.seconds <= 0.6 for member in run.members)
    assert run.plan.train.time_limit == 1.5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.split.folds": 1}, "folds"),
        ({"data.split.folds": 3, "data.split.fold": 4}, "fold among"),
        ({"data.split.fold": 1}, "fold among"),
        ({"data.split.folds": 500}, "folds by"),
        ({"data.split.folds": 20, "data.split.group": "species"}, "folds by|groups"),
        ({"data.imputations": 2, "data.imputation": 3}, "imputation among"),
        ({"data.split.folds": 3, "model.hidden_sizes": [10_000_000, 10_000_000]}, "too large"),
    ],
)
def test_what_cannot_be_trained_leaves_no_folder(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        glial.train("iris", out=tmp_path / "r", **{**OPTIONS, "set": {**FAST, **changes}})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: shutil.rmtree(path / "members/2"),
        lambda path: (path / "members/1/metrics.json").unlink(),
        lambda path: (path / "members/3/decoding.json").write_text(
            json.dumps(fit_task(SUM, ["s"], TaskSettings(name="regression")).state())
        ),
        lambda path: (path / "metrics.json").write_text('{"members": 3}'),
        lambda path: (path / "metrics.json").unlink(),
    ],
)
def test_damaged_run_is_refused(iris, tmp_path, damage):
    path = shutil.copytree(iris.path, tmp_path / "r")
    damage(path)
    with pytest.raises(InputError):
        glial.load(path)


def test_a_member_is_a_run_of_its_own_and_can_be_compared(iris):
    result = glial.runs.compare([iris.path, iris.path / "members/2"])
    assert result["differences"]["data.split.fold"] == [None, 2]
    assert glial.predict(iris.path / "members/2", "iris").height == 150
