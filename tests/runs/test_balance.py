"""Unequal classes from end to end: resampled training, tuned thresholds, costs, and resuming."""

from __future__ import annotations

import json
import logging

import numpy as np
import polars as pl
import pytest
import torch
from sklearn import metrics

import glial
from glial.core.errors import InputError
from glial.runs import Plan, TrainingInterrupted
from glial.runs.balance import balanced_rows, batches_of
from glial.runs.preparation import prepare

FAST = {"doctor.watch": False, "train.lr": 0.02, "train.patience": None, "train.batch_size": 32}


def unequal(rows: int = 600, share: float = 0.06, classes: int = 2) -> pl.DataFrame:
    """Two overlapping clouds, one of them thin; a third of a tenth where three are asked for."""
    random = np.random.default_rng(0)
    shares = [1 - share, share] if classes == 2 else [0.85, 0.1, 0.05]
    codes = random.choice(classes, rows, p=shares)
    x = random.normal(size=(rows, 2)) + 1.6 * np.stack([codes, codes == 1], axis=1)
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.array(["n", "y", "z"])[codes]})


def trained(frame=None, out=False, epochs=12, callbacks=(), resume=False, **options):
    return glial.train(
        unequal() if frame is None else frame,
        target="y",
        model="linear",
        epochs=epochs,
        out=out,
        callbacks=callbacks,
        resume=resume,
        set=FAST | {key.replace("__", "."): value for key, value in options.items()},
    )


@pytest.mark.parametrize(
    "options",
    [
        {"data__sampling": "weighted"},
        {"data__sampling": "weighted", "train__batch_size": "full"},
        {"data__sampling": "over", "data__stratified_batches": True},
        {"data__sampling": "under"},
        {"data__sampling": "smote"},
    ],
    ids=str,
)
def test_resampled_training_goes_on_to_the_same_weights(tmp_path, options, monkeypatch, stop_at):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    options |= {"task__threshold": "f1", "train__checkpoint_seconds": 0.0}
    calm = trained(out=tmp_path / "calm", **options)
    with pytest.raises(TrainingInterrupted):
        trained(out=tmp_path / "cut", callbacks=[stop_at(7)], **options)
    assert glial.load(tmp_path / "cut").decoder.thresholds is not None
    run = trained(out=tmp_path / "cut", resume=True, **options)
    for name in ("model.safetensors", "decoding.json"):
        left, right = [(tmp_path / n / name).read_bytes() for n in ("calm", "cut")]
        assert left == right
    assert run.metrics == calm.metrics
    assert all(
        torch.equal(a, b)
        for a, b in zip(run.model.parameters(), calm.model.parameters(), strict=True)
    )


@pytest.mark.parametrize("sampling", ["weighted", "over", "under", "smote"])
def test_resampling_finds_the_minority_and_touches_the_training_rows_alone(tmp_path, sampling):
    frame = unequal()
    frame[400:500].write_csv(tmp_path / "val.csv")
    options = {"data__val": str(tmp_path / "val.csv")}
    plain = trained(frame[:400], **options)
    run = trained(frame[:400], **options, data__sampling=sampling)
    assert run.metrics["val"]["recall"] > plain.metrics["val"]["recall"]
    assert run.metrics["baseline"] == plain.metrics["baseline"]  # the same test rows and shares
    for each in (plain, run):
        found = glial.evaluate(each, tmp_path / "val.csv")["metrics"]
        assert found == pytest.approx(each.metrics["val"])
        fitted, as_they_came = (one.encoding.encoders["a"] for one in (each, plain))
        assert fitted.scaling.shift == as_they_came.scaling.shift
        assert fitted.scaling.factor == as_they_came.scaling.factor


def test_only_the_training_batch_is_balanced():
    values = {"data": {"target": "y", "sampling": "over"}, "train": {"batch_size": "full"}}
    prepared = prepare(Plan.from_values(values), unequal())
    before = {name: prepared.batch(getattr(prepared.tables, name)) for name in ("train", "val")}
    rows = balanced_rows(prepared, before["train"])
    counts = before["train"].target.bincount()
    assert rows.target.bincount().tolist() == [int(counts.max())] * 2
    after = prepared.batch(prepared.tables.val)
    assert torch.equal(after.inputs[0], before["val"].inputs[0])
    assert torch.equal(after.target, before["val"].target)
    assert batches_of(prepared, rows).num_batches == 1  # a full batch is still full


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1_macro"])
def test_a_tuned_threshold_is_kept_with_the_run_and_used(tmp_path, classes, metric, caplog):
    frame = unequal(classes=classes)
    plain = trained(frame)
    with caplog.at_level(logging.INFO, "glial"):
        run = trained(frame, out=tmp_path / "r", task__threshold=metric)
    assert f"tuned for {metric}" in caplog.text
    assert run.metrics["val"][metric] > plain.metrics["val"][metric]
    assert run.metrics["val"]["log_loss"] == plain.metrics["val"]["log_loss"]  # the same network
    assert run.metrics["baseline"] == plain.metrics["baseline"]  # not tuned for
    held = json.loads((tmp_path / "r/decoding.json").read_text())["thresholds"]
    assert held == run.decoder.thresholds
    again = glial.load(tmp_path / "r")
    table = glial.predict(again, frame)
    shares = table.select(f"probability_{name}" for name in again.decoder.labels.names).to_numpy()
    limits = np.array([1 - held[0], held[0]] if classes == 2 else held)
    expected = np.array(again.decoder.labels.names)[(shares / limits).argmax(axis=1)]
    assert (table["prediction"].to_numpy() == expected).mean() > 0.999
    assert (table["prediction"] != glial.predict(plain, frame)["prediction"]).any()
    found = glial.evaluate(again, frame)
    score = metrics.balanced_accuracy_score(frame["y"], table["prediction"])
    assert found["metrics"]["balanced_accuracy"] == pytest.approx(score)
    right = np.trace(np.array(found["details"]["confusion_matrix"]["counts"]))
    assert right == (table["prediction"] == frame["y"]).sum()
    path = tmp_path / "r/decoding.json"
    path.write_text(path.read_text().replace('"thresholds"', '"thresolds"'))
    with pytest.raises(InputError, match=r"decoding\.json"):
        glial.load(tmp_path / "r")


def test_no_other_threshold_is_better_on_the_validation_rows(tmp_path):
    frame = unequal()
    frame[300:].write_csv(tmp_path / "val.csv")
    options = {"data__val": str(tmp_path / "val.csv"), "task__threshold": "matthews_corrcoef"}
    run = trained(frame[:300], **options)
    positive = glial.predict(run, frame[300:])["probability_y"].to_numpy()
    truth = frame[300:]["y"].to_numpy() == "y"
    best = max(metrics.matthews_corrcoef(truth, positive >= t) for t in [*positive, 1.1])
    assert run.metrics["val"]["matthews_corrcoef"] == pytest.approx(best)


def test_costs_lower_the_cost_and_stand_among_the_metrics():
    frame, costs = unequal(2000), {"y": {"n": 15.0}}
    plain = trained(frame, task__costs={})
    assert plain.metrics["test"]["cost"] == pytest.approx(1 - plain.metrics["test"]["accuracy"])
    outputs = glial.evaluate(plain, frame)["details"]["confusion_matrix"]["counts"]
    unaware = (outputs[0][1] + 15 * outputs[1][0]) / 2000
    for use in ("decision", "training"):
        run = trained(frame, task__costs=costs, task__cost_use=use)
        assert run.metrics["test"]["recall"] > plain.metrics["test"]["recall"] + 0.2
        assert glial.evaluate(run, frame)["metrics"]["cost"] < 0.8 * unaware
    decided = trained(frame, task__costs=costs)
    assert decided.metrics["test"]["log_loss"] == plain.metrics["test"]["log_loss"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"data__sampling": "over"}, r"data\.sampling needs one class"),
        ({"data__stratified_batches": True}, r"data\.stratified_batches needs one class"),
        ({"task__threshold": "f1"}, "does not fit the task"),
    ],
)
def test_what_needs_classes_is_refused_without_them(tmp_path, options, match):
    frame = unequal().with_columns(y=pl.col("a") + pl.col("b"))
    with pytest.raises(InputError, match=match):
        trained(frame, out=tmp_path / "r", **options)
    assert not (tmp_path / "r").exists()


def test_tuning_without_validation_rows_is_refused_before_training(tmp_path):
    split = {"data__split": {"train": 0.8, "val": 0.0, "test": 0.2}}
    with pytest.raises(InputError, match=r"data\.split\.val"):
        trained(out=tmp_path / "r", task__threshold="f1", **split)
    assert not (tmp_path / "r").exists()
    assert trained(task__threshold=0.3, epochs=1, **split).decoder.thresholds == [0.3]


def test_very_unequal_classes_are_pointed_out_with_what_is_done(caplog):
    with caplog.at_level(logging.WARNING, "glial"):
        trained(epochs=1)
        assert "accuracy misleads" in caplog.text
        assert "Nothing is done about it" in caplog.text
        caplog.clear()
        trained(epochs=1, data__sampling="over", task__class_weights="balanced")
        assert "In use: data.sampling=over, task.class_weights=balanced" in caplog.text
        caplog.clear()
        trained(unequal(share=0.3), epochs=1)
        assert "accuracy misleads" not in caplog.text
