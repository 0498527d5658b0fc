"""Images that are decoded while training goes on: learnt as well, resumed exactly, named once."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

import glial
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted, decoded, streams
from glial.runs.plan import Plan
from glial.runs.preparation import prepare
from glial.runs.streams import is_streamed

pytest.importorskip("PIL")
from PIL import Image

OPTIONS = {
    "data.stream": "always",
    "model.widths": [8],
    "model.depth": 1,
    "train.batch_size": 16,
    "train.lr": 0.01,
    "data.augment": "none",
}


@pytest.fixture
def images(tmp_path, monkeypatch):
    """A folder of 240 small images in two classes; few are decoded at once."""
    monkeypatch.setattr(decoded, "PIECE_BYTES", 8 * 8 * 3 * 48)
    draw = np.random.default_rng(0)
    for number in range(240):
        label = number % 2
        pixels = draw.integers(0, 120, (8, 8, 3), dtype=np.uint8)
        pixels[:4] += np.uint8(80 * label)
        path = tmp_path / "images" / ("up" if label else "down") / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path / "images"


def trained(source, out=False, epochs=4, **changes):
    target = changes.pop("target", None)
    return glial.train(
        str(source),
        target,
        model="residual_cnn",
        epochs=epochs,
        out=out,
        set={**OPTIONS, **changes},
    )


def weights(run):
    return torch.cat([value.flatten().double() for value in run.model.state_dict().values()])


def plan_of(source, **changes):
    data = {"source": str(source), "stream": "always", "target": "label", **changes}
    return Plan.from_values({"data": data, "model": "residual_cnn"})


def test_images_are_learnt_as_well_as_in_memory_on_the_same_splits(images):
    streamed = trained(images)
    held = trained(images, **{"data.stream": "never"})
    assert streamed.plan.data.stream == "always"
    assert streamed.metrics["test"]["accuracy"] > 0.9
    assert streamed.metrics["baseline"] == held.metrics["baseline"]
    # The sample is all rows here, so what is fitted is the same too.
    ours, theirs = (run.encoding.encoders["path"] for run in (streamed, held))
    assert ours.form == theirs.form
    assert ours.mean.tolist() == theirs.mean.tolist()


def test_every_image_comes_once_an_epoch_with_its_own_pixels_and_label(images):
    prepared = prepare(plan_of(images))
    tables = prepared.tables
    plan = prepared.plan.model_copy(
        update={"train": prepared.plan.train.model_copy(update={"batch_size": 16})}
    )
    batches = tables.batches(
        plan, prepared.stretch, None, prepared.encoding.finish, torch.device("cpu")
    )
    expected = prepared.stretch(tables.opened(tables.paths["train"]))
    marks = {
        part.numpy().tobytes(): int(y) for part, y in zip(expected[0][0], expected[1], strict=True)
    }
    seen = []
    for batch in batches.epoch(0):
        assert batch.inputs[0].dtype == torch.float32  # finished
        seen.append(len(batch.target))
    assert sum(seen) == len(marks) == tables.num_rows("train") == 168
    batches._finish = None
    found = {}
    for batch in batches.epoch(1):
        pairs = zip(batch.inputs[0], batch.target, strict=True)
        found |= {part.numpy().tobytes(): int(y) for part, y in pairs}
    assert found == marks


@pytest.mark.parametrize("augment", ["none", "auto"])
def test_a_stopped_training_goes_on_to_the_same_weights(
    images, tmp_path, monkeypatch, augment, stop_at
):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    options = {"model": "residual_cnn", "epochs": 2, "set": {**OPTIONS, "data.augment": augment}}
    calm = glial.train(str(images), out=tmp_path / "calm", **options)
    with pytest.raises(TrainingInterrupted):
        glial.train(str(images), out=tmp_path / "cut", callbacks=[stop_at(7)], **options)
    run = glial.train(str(images), out=tmp_path / "cut", resume=True, **options)
    assert torch.equal(weights(run), weights(calm))


def test_results_do_not_depend_on_workers(images):
    runs = [trained(images, epochs=1, **{"data.workers": workers}) for workers in (0, 3)]
    assert torch.equal(weights(runs[0]), weights(runs[1]))


def test_files_without_a_header_are_left_out_before_training(images, caplog):
    (images / "up" / "001.png").write_bytes(b"no image")
    prepared = prepare(plan_of(images))
    assert sum(prepared.tables.num_rows(name) for name in ("train", "val", "test")) == 239
    assert "001.png" in caplog.text


def test_a_file_that_breaks_in_mid_training_is_named_once_and_left_out(images, caplog):
    class Breaker:
        def on_epoch_end(self, view):
            if view.epoch == 1:
                for path in sorted(images.rglob("*.png"))[:8]:
                    path.write_bytes(path.read_bytes()[:60])

    run = glial.train(
        str(images),
        model="residual_cnn",
        epochs=4,
        out=False,
        set=OPTIONS,
        callbacks=[Breaker()],
    )
    assert run.epochs == 4
    told = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    named = {path.name for path in sorted(images.rglob("*.png"))[:8]}
    count = sum(int(text.split()[0]) for text in told)
    assert 1 <= count <= len(named)  # each once, though epochs meet it again and again


def test_samples_are_bounded(images, monkeypatch):
    monkeypatch.setattr(decoded, "SAMPLE_BYTES", 8 * 8 * 3 * 20)
    tables = prepare(plan_of(images)).tables
    assert (len(tables.train), len(tables.val)) == (20, 20)
    assert tables.num_rows("train") == 168


def test_tables_of_paths_are_decoded_too(images, tmp_path):
    paths = sorted(images.rglob("*.png"))
    frame = pl.DataFrame(
        {
            "photo": [str(path.relative_to(tmp_path)) for path in paths],
            "kind": [path.parent.name for path in paths],
        }
    )
    frame.write_csv(tmp_path / "t.csv")
    prepared = prepare(plan_of(tmp_path / "t.csv", target="kind"))
    assert isinstance(prepared.tables, decoded.DecodedTables)
    assert prepared.plan.data.types["photo"] == "image"


def test_auto_streams_images_that_may_not_fit(images, monkeypatch):
    plan = Plan.from_values({"data": {"source": str(images)}})
    assert not is_streamed(plan, None)
    monkeypatch.setattr(streams, "available_memory", lambda: 1 << 20)
    assert is_streamed(plan, None)


def test_what_needs_all_images_at_once_is_refused(images):
    with pytest.raises(InputError, match="streamed"):
        trained(images, **{"data.sampling": "over"})
    with pytest.raises(InputError, match="streamed"):
        trained(images, **{"data.split.folds": 3})
