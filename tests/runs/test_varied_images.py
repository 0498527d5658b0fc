"""Images that keep their sizes, from their files to predictions: trained, resumed, refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.data import Encoding
from glial.data.grouped import GroupedBatches
from glial.runs import TrainingInterrupted
from glial.runs.augmentation import preview_augmentation
from glial.runs.balance import batches_of
from glial.runs.plan import Plan
from glial.runs.preparation import prepare

Image = pytest.importorskip("PIL.Image")

SMALL = {
    "data.images.size": "varied",
    "data.augment": "none",
    "model.widths": [4, 8],
    "train.batch_size": 16,
    "train.lr": 0.01,
    "doctor.watch": False,
}


def waves(seed: int, height: int, width: int) -> np.ndarray:
    """A smooth pattern that is stretched over an image: its shape says nothing of the image's."""
    draw = np.random.default_rng(seed)
    down, across = (
        np.cos(np.pi * np.arange(3)[:, None] * (np.arange(side) + 0.5) / side)
        for side in (height, width)
    )
    pattern = np.einsum("ij,ih,jw->hw", draw.normal(size=(3, 3)), down, across)
    return np.uint8((pattern - pattern.min()) / (pattern.max() - pattern.min()) * 255)


def write(folder, count: int):
    """Images of two classes that differ in nothing but their proportions, of three sizes each."""
    for number in range(count):
        kind, short = ("tall", "wide")[number % 2], (16, 20, 24)[number // 2 % 3]
        size = (short, 2 * short) if kind == "wide" else (2 * short, short)
        path = folder / kind / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(waves(number, *size)).save(path)


@pytest.fixture
def shapes(tmp_path, monkeypatch):
    """A folder of 60 such images, in the current folder."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "shapes", 60)
    return tmp_path


def trained(epochs=2, out=False, model=None, source="shapes", **changes):
    return glial.train(source, model=model, epochs=epochs, out=out, set={**SMALL, **changes})


def paths(folder):
    return sorted(str(path) for path in (folder / "shapes").rglob("*.png"))


def prepared(**changes):
    data = {"source": "shapes", "target": "label", "images": {"size": "varied", **changes}}
    return prepare(Plan.from_values({"data": data}))


def test_proportions_are_learnt_where_stretched_images_say_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "shapes", 300)
    words = ["train", "shapes", "--epochs", "8", "--json", "--set", "data.augment=none"]
    words += ["--set", "model.widths=[8,16]", "--set", "train.batch_size=16"]
    accuracies = {}
    sizes = {"one": "[8,8]", "varied": "varied"}
    for name, size in sizes.items():
        assert main([*words, "--set", f"data.images.size={size}", "--out", name]) == 0
        metrics = json.loads(capsys.readouterr().out)["metrics"]["test"]
        accuracies[name] = metrics["accuracy"]
    assert accuracies["varied"] > 0.95
    assert accuracies["one"] < 0.75  # chance is 0.5, and the test rows are 45
    assert main(["predict", "varied", "shapes/wide", "--out", "wide.csv"]) == 0
    found = pl.read_csv("wide.csv")
    assert found.height == 150
    assert found["path"].is_sorted()
    assert (found["prediction"] == "wide").mean() > 0.95


def test_a_run_is_saved_loaded_and_predicts_a_row_a_row_in_order(shapes):
    run = trained(out="run")
    images = run.plan.data.images
    assert (images.size, images.max_side, images.mask, images.buckets) == ("varied", 48, True, 8)
    assert run.sizes["images"] == [[1, 16, 16]]
    loaded = glial.load("run")
    table = pl.DataFrame({"path": paths(shapes)[::7] + paths(shapes)[1::7]})
    whole = glial.predict(loaded, table)
    singly = pl.concat([glial.predict(loaded, table[row]) for row in range(table.height)])
    for other in (glial.predict(run, table), singly):
        assert whole["prediction"].equals(other["prediction"])
        for name in whole.columns[1:]:
            assert np.allclose(whole[name], other[name], rtol=0, atol=1e-6)
    assert glial.evaluate(loaded, "shapes")["metrics"]["accuracy"] >= 0


def test_predictions_do_not_hang_on_the_padding_of_a_bucket(shapes):
    run = trained()
    table = pl.DataFrame({"path": paths(shapes)})
    outputs = run.outputs(table)
    encoder = run.encoding.encoders["path"]
    for bucket in ([48, 48], [96, 64], [200, 304]):
        wider = dataclasses.replace(encoder, buckets=np.array([bucket]))
        run.encoding = Encoding({**run.encoding.encoders, "path": wider})
        # Sums of single precision in another order: nothing more.
        assert (run.outputs(table) - outputs).abs().max() < 1e-5 * outputs.abs().max()


def test_without_a_mask_all_images_are_padded_to_one_size(shapes):
    run = trained(**{"data.images.mask": False})
    assert run.plan.data.images.buckets == 1
    assert run.encoding.encoders["path"].buckets.tolist() == [[48, 48]]
    table = pl.DataFrame({"path": paths(shapes)[:4]})
    (inputs,) = run.encoding.finish(run.encoding.arguments(run.encoding.transform(table)))
    assert inputs.shape == (4, 1, 48, 48)
    singly = torch.cat([run.outputs(table[row]) for row in range(4)])
    assert torch.allclose(run.outputs(table), singly, rtol=0, atol=1e-6)


@pytest.mark.parametrize("grouped", [False, True])
def test_batches_hold_every_training_row_once(shapes, grouped):
    ready = prepared(grouped=grouped)
    rows = ready.training_batch()
    batches = batches_of(ready, rows)
    assert isinstance(batches, GroupedBatches) == grouped
    sizes = {48: 24, 40: 20, 32: 16}
    seen = 0
    for images, mask in (batch.inputs for batch in batches.epoch(0)):
        seen += len(images)
        assert images.shape[2:] == mask.shape[2:]
        for one in mask[:, 0]:
            height, width = (one.amax(dim=side).sum().item() for side in (1, 0))
            assert sizes[max(height, width)] == min(height, width)
        if grouped:
            assert images[0, 0].numel() < 48 * 48
    assert seen == batches.num_rows == len(rows.target) == 42


@pytest.mark.parametrize("changes", [{}, {"data.images.grouped": True}, {"flip": 1}])
def test_a_resumed_run_equals_one_that_never_stopped(shapes, stop_at, monkeypatch, changes):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    changes = {"train.checkpoint_seconds": 0.0} | changes
    if changes.pop("flip", None):
        changes |= {"data.augment": {"flip": "both", "noise": 0.05}}
    options = {"epochs": 3, "set": {**SMALL, **changes}}
    glial.train("shapes", out="calm", **options)
    with pytest.raises(TrainingInterrupted):
        glial.train("shapes", out="cut", callbacks=[stop_at(4)], **options)
    run = glial.train("shapes", out="cut", resume=True, **options)
    assert run.status == "finished"
    left, right = ((shapes / name / "model.safetensors").read_bytes() for name in ("calm", "cut"))
    assert left == right


def test_a_network_of_ones_own_is_called_with_images_alone(shapes):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(1, 4, 3)
            self.head = nn.Linear(4, 1)

        def forward(self, images):
            return self.head(self.convolution(images).relu().mean(dim=(2, 3)))

    run = glial.train(
        "shapes",
        model=Own(),
        epochs=1,
        out=False,
        set={name: value for name, value in SMALL.items() if not name.startswith("model")},
    )
    assert run.plan.data.images.mask is False
    assert glial.predict(run, "shapes").height == 60


def test_which_changes_help_is_measured_on_images_of_one_size(shapes):
    write(shapes / "more", 160)
    plan, preview = preview_augmentation(
        "more", set={"data.images.size": "varied", "data.images.max_side": 32}
    )
    assert plan.data.augment == "none" or plan.data.augment.changes_images
    assert preview.png() is not None


def test_folds_share_the_images(shapes):
    run = trained(epochs=1, **{"data.split.folds": 2})
    assert len(run.members) == 2
    assert glial.predict(run, "shapes").height == 60


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"model.name": "mixed"}, "images of one size"),
        ({"data.images.grouped": True, "data.sampling": "weighted"}, "weighted"),
        ({"data.images.grouped": True, "data.stratified_batches": True}, "stratified"),
        ({"data.stream": "always"}, "streamed"),
    ],
)
def test_what_does_not_go_with_varied_sizes_is_refused(shapes, changes, word):
    values = {"data.images.size": "varied", "data.augment": "none", **changes}
    with pytest.raises(InputError, match=word) as refused:
        glial.train("shapes", epochs=1, out="run", set=values)
    assert "images" in str(refused.value) or "stream" in str(refused.value)
    assert not (shapes / "run").exists()


def test_only_one_column_of_images_keeps_its_sizes(shapes):
    names = paths(shapes)
    table = {"a": names, "b": names[::-1], "y": ["p", "q"] * 30}
    with pytest.raises(InputError, match="one column"):
        glial.train(table, target="y", epochs=1, out=False, set={"data.images.size": "varied"})


@pytest.mark.parametrize("changes", [{"data.sampling": "weighted"}, {"data.sampling": "over"}])
def test_classes_are_drawn_alike_where_a_batch_holds_any_images(shapes, changes):
    run = trained(epochs=1, **changes)
    assert run.metrics["test"]["accuracy"] >= 0


def test_a_damaged_image_is_left_out_and_told(shapes, caplog):
    (shapes / "shapes" / "wide" / "broken.png").write_bytes(
        (shapes / "shapes" / "wide" / "001.png").read_bytes()[:200]
    )
    ready = prepared()
    assert sum(ready.tables.num_rows(split) for split in ("train", "val", "test")) == 60
    assert "broken.png" in caplog.text
