"""Augmentation in a run: only training rows, decided before the first step, resumed bit for bit."""

from __future__ import annotations

import logging

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import glial
from glial.core.errors import InputError
from glial.data import Encoding
from glial.data.augmentation import AugmentSettings
from glial.data.splits import Splits
from glial.runs import Plan, TrainingInterrupted, preview_augmentation
from glial.runs.augmentation import augmentation_of, modalities_of, with_measured_augment
from glial.runs.balance import batches_of
from glial.runs.preparation import Prepared, prepare
from glial.runs.rows import Tables
from glial.tasks import fit_task
from glial.training import Descent, Moment, TrainSettings

MIXING = {"data.augment.mixup": 0.4, "data.augment.number_noise": 0.1}


class Pixels:
    """Pictures held as bytes, looked up by a number in their column."""

    modality = "image"
    labels: list[str] = []  # noqa: RUF012

    def __init__(self, pictures):
        self.pictures = pictures
        self.size = list(pictures.shape[1:])

    def tensor(self, column):
        return self.pictures[column.to_torch()]

    def finish(self, held):
        return (held if held.is_floating_point() else held.float() / 255) * 2 - 1


def prepared_digits(augment="auto", num_rows=300):
    data = load_digits()
    pictures = torch.from_numpy((data.images * 255 / 16).round().astype(np.uint8))[:, None]
    frame = pl.DataFrame({"picture": np.arange(num_rows), "digit": data.target[:num_rows]})
    values = {"data": {"target": "digit", "augment": augment}, "model": {"name": "custom"}}
    plan = Plan.from_values({**values, "task": {"name": "classification"}})
    plan = plan.model_copy(update={"train": plan.train.model_copy(update={"batch_size": 32})})
    encoding = Encoding({"picture": Pixels(pictures)})
    task = fit_task(frame, ["digit"], plan.task, scale_target=True, loss=None)
    everything = np.arange(num_rows)
    tables = Tables(frame, frame[:0], frame[:0], "", Splits(everything, everything, everything))
    return Prepared(plan, None, encoding, task, tables, encoding.transform(frame))


def test_images_have_what_measurably_helps_and_the_plan_keeps_it(caplog):
    prepared = prepared_digits(num_rows=1500)
    rows = prepared.training_batch()
    assert modalities_of(prepared, rows) == ["image"]
    with caplog.at_level(logging.INFO, "glial"):
        plan = with_measured_augment(prepared, rows)
    assert "flip horizontal -" in caplog.text
    assert isinstance(plan.data.augment, AugmentSettings) or plan.data.augment == "none"
    assert getattr(plan.data.augment, "flip", "none") == "none"
    prepared.plan = Plan.from_values(plan.to_values())
    caplog.clear()
    assert with_measured_augment(prepared, rows).data.augment == plan.data.augment
    assert "trying" not in caplog.text


def test_images_that_tell_too_little_stay_as_they_are(caplog):
    prepared = prepared_digits(num_rows=40)
    with caplog.at_level(logging.INFO, "glial"):
        plan = with_measured_augment(prepared, prepared.training_batch())
    assert plan.data.augment == "none"
    assert "too little" in caplog.text


def test_without_kornia_images_stay_as_they_are_and_the_extra_is_named(caplog, monkeypatch):
    monkeypatch.setattr("glial.runs.augmentation.find_spec", lambda name: None)
    prepared = prepared_digits(num_rows=300)
    assert with_measured_augment(prepared, prepared.training_batch()).data.augment == "none"
    assert "glial[vision]" in caplog.text


def test_training_batches_are_changed_then_finished():
    prepared = prepared_digits({"rotate": 20.0})
    rows = prepared.training_batch()
    first, second = (next(batches_of(prepared, rows).epoch(epoch)) for epoch in (0, 1))
    again = next(batches_of(prepared, rows).epoch(0))
    assert torch.equal(first.inputs[0], again.inputs[0])
    assert not torch.equal(first.inputs[0], second.inputs[0])
    assert float(first.inputs[0].min()) >= -1
    assert float(first.inputs[0].min()) < -0.9
    held = prepared.batch(prepared.tables.train)
    assert torch.equal(held.inputs[0], rows.inputs[0])


def test_a_network_of_images_learns_from_pasted_ones():
    prepared = prepared_digits({"cutmix": 1.0, "crop": 0.15})
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    settings = TrainSettings(optimizer="adam")
    task = prepared.task
    descent = Descent(network, task.loss, settings, lr=0.01, mass=task.mass)
    batches = batches_of(prepared, prepared.training_batch())
    for epoch in range(20):
        for batch in batches.epoch(epoch):
            descent.step(batch, Moment(0, 0, 0.0))
    rows = prepared.training_batch()
    outputs = network(*prepared.encoding.finish(rows.inputs))
    assert float((outputs.argmax(1) == rows.target).float().mean()) > 0.85


def test_tables_are_left_alone_unless_one_asks(tmp_path):
    run = glial.train("iris", model="linear", epochs=2, out=tmp_path / "run")
    assert run.plan.data.augment == "none"
    assert "augment: none" in (tmp_path / "run/plan.yaml").read_text()
    prepared = prepare(run.plan)
    assert augmentation_of(prepared, prepared.training_batch()) is None


def test_rows_that_validate_and_test_stay_as_they_are():
    """Untrained, a network scores the same whatever its training rows would have become."""
    options = {"model": "linear", "epochs": 1, "out": False}
    rate = {"train.lr": 1e-30}
    plain = glial.train("iris", set=rate, **options)
    noisy = glial.train("iris", set={**rate, "data.augment.number_noise": 9.0}, **options)
    assert plain.metrics == noisy.metrics
    assert plain.history[0]["val_loss"] == noisy.history[0]["val_loss"]


def test_noise_keeps_a_network_from_fitting_its_rows():
    options = {"model": "mlp", "epochs": 30, "out": False}
    rate = {"train.lr": 0.01, "train.patience": None}
    plain = glial.train("iris", set=rate, **options)
    noisy = glial.train("iris", set={**rate, "data.augment.number_noise": 1.0}, **options)
    assert noisy.history[-1]["train_loss"] > 2 * plain.history[-1]["train_loss"]


@pytest.mark.parametrize("step", [5, 23])
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, monkeypatch, step, stop_at):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    changes = {
        "train.lr": 0.003,
        "train.batch_size": 16,
        "train.patience": None,
        "model.dropout": 0.2,
        "train.checkpoint_seconds": 0.0,
        **MIXING,
    }
    options = {"model": "mlp", "epochs": 6, "set": changes}
    calm = glial.train("iris", out=tmp_path / "calm", **options)
    with pytest.raises(TrainingInterrupted):
        glial.train("iris", out=tmp_path / "cut", callbacks=[stop_at(step)], **options)
    run = glial.train("iris", out=tmp_path / "cut", resume=True, **options)
    assert [row["train_loss"] for row in run.history] == [row["train_loss"] for row in calm.history]
    for name, value in calm.model.state_dict().items():
        assert torch.equal(run.model.state_dict()[name], value)


@pytest.mark.parametrize(
    ("model", "changes", "word"),
    [
        ("mlp", {"data.augment.rotate": 5.0}, "images"),
        ("mlp", {"data.augment.token_dropout": 0.1}, "tokens"),
        ("mlp", {"data.augment.flip": "sideways"}, "horizontal"),
        ("mlp", {"data.augment.rotat": 1.0}, "'rotate'"),
        ("mlp", {"data.augment": "some"}, "auto"),
        ("mlp", {"data.augment.scale": [2.0, 1.0]}, "least"),
        ("mlp", {"data.augment.probability": 0.0}, "greater"),
        ("perceptron", {"data.augment.mixup": 0.2}, "perceptron"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_folder_is_made(tmp_path, model, changes, word):
    source = "breast-cancer" if model == "perceptron" else "iris"
    with pytest.raises(InputError) as caught:
        glial.train(source, model=model, epochs=1, out=tmp_path / "run", set=changes)
    assert word in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_loss_of_one_s_own_takes_no_mixed_rows():
    with pytest.raises(InputError, match="weights"):
        glial.train(
            "iris",
            model="linear",
            loss=lambda outputs, target: nn.functional.cross_entropy(outputs, target),
            out=False,
            set={"data.augment.mixup": 0.2},
        )


def test_a_preview_takes_rows_of_all_classes_in_turn():
    plan, preview = preview_augmentation("iris", set=MIXING, num_rows=5, num_versions=2)
    assert plan.data.augment.mixup == 0.4
    assert preview.labels == ["setosa", "versicolor", "virginica", "setosa", "versicolor"]
    assert len(preview.versions) == 2
    assert preview.png() is None
    assert len(preview.table()) == 5
    _, plain = preview_augmentation("iris")
    assert all(line["original"] == line["changed"] for line in plain.table())
