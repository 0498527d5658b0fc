"""Images from their files to predictions: trained, saved, resumed, evaluated, inspected."""

from __future__ import annotations

import json
import logging
import os
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted

SMALL = {"model.widths": [4, 8], "train.batch_size": 16}
QUICK = {"epochs": 3, "set": SMALL}
WORDS = ["--epochs", "3", "--set", "model.widths=[4,8]", "--set", "train.batch_size=16"]


def drawn(kind: str, seed: int) -> np.ndarray:
    """A noisy image of horizontal or vertical stripes."""
    stripes = (np.arange(12) // 2 % 2 * 150).astype(np.uint8)
    image = np.tile(stripes, (12, 1))
    noise = np.random.default_rng(seed).integers(0, 100, (12, 12), dtype=np.uint8)
    return (image if kind == "lying" else image.T) + noise


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A folder of 40 images of each of two kinds, which is the current one's ``stripes``."""
    monkeypatch.chdir(tmp_path)
    for number in range(80):
        kind = ("lying", "upright")[number % 2]
        path = tmp_path / "stripes" / kind / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn(kind, number)).save(path)
    return tmp_path


def test_a_folder_is_learnt_without_a_word_more(folder):
    run = glial.train("stripes", out="run", epochs=5, set=SMALL)
    assert run.plan.model["name"] == "residual_cnn"
    assert (run.task, run.plan.data.target) == ("classification", "label")
    assert run.plan.data.types == {"path": "image"}
    assert run.plan.data.images.size == [12, 12]
    assert run.sizes["images"] == [[1, 12, 12]]
    assert run.metrics["test"]["accuracy"] > 0.9 > run.metrics["baseline"]["accuracy"]
    loaded = glial.load("run")
    left, right = (glial.predict(one, "stripes") for one in (run, loaded))
    assert left.equals(right)
    assert left.columns == ["path", "prediction", "probability_lying", "probability_upright"]
    assert left["path"].is_sorted()
    right_ones = left["path"].str.contains(left["prediction"], literal=True)
    assert right_ones.mean() > 0.9
    assert glial.evaluate(loaded, "stripes")["metrics"]["accuracy"] == right_ones.mean()


def test_an_archive_gives_the_same_run_as_its_folder(folder):
    with zipfile.ZipFile("stripes.zip", "w") as file:
        for path in sorted(Path("stripes").rglob("*.png")):
            file.write(path)
    runs = [glial.train(source, out=False, **QUICK) for source in ("stripes", "stripes.zip")]
    assert runs[0].metrics == runs[1].metrics


def test_arrays_and_tables_of_paths_are_learnt_alike(folder):
    paths = sorted(Path("stripes").rglob("*.png"))
    names = [str(path.relative_to("stripes")) for path in paths]
    labels = [path.parent.name for path in paths]
    pl.DataFrame({"file": names, "kind": labels}).write_csv("stripes/table.csv")
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths])
    np.savez("stripes.npz", x=pixels, y=labels)
    table = glial.train("stripes/table.csv", target="kind", out=False, **QUICK)
    array = glial.train("stripes.npz", out=False, **QUICK)
    memory = glial.train((pixels, labels), target="target", out=False, **QUICK)
    assert table.metrics == array.metrics == memory.metrics
    # A network that learnt from an array takes the images of a folder too.
    found = glial.predict(array, "stripes")
    assert found["path"].to_list() == sorted(found["path"])


def test_splits_of_folders_are_kept(folder):
    for split, numbers in (("train", range(50)), ("valid", range(50, 60)), ("test", range(60, 80))):
        for number in numbers:
            path = next(Path("stripes").rglob(f"{number:02}.png"))
            goal = Path("parts") / split / path.parent.name / path.name
            goal.parent.mkdir(parents=True, exist_ok=True)
            path.rename(goal)
    report = glial.inspect("parts")
    assert report.rows == {"train": 50, "val": 10, "test": 20}


def test_resumed_training_is_the_same_bit_for_bit(folder, monkeypatch):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)

    class Stop:
        done = False

        def on_tick(self, view):
            if view.step >= 5 and not self.done:
                self.done = True
                os.kill(os.getpid(), 2)

        def on_epoch_end(self, view):
            self.on_tick(view)

    options = {"epochs": 4, "set": {**SMALL, "model.dropout": 0.2, "train.ema": 0.9}}
    glial.train("stripes", out="calm", **options)
    with pytest.raises(TrainingInterrupted):
        glial.train("stripes", out="cut", callbacks=[Stop()], **options)
    glial.train("stripes", out="cut", resume=True, **options)
    left, right = (Path(name, "model.safetensors").read_bytes() for name in ("calm", "cut"))
    assert left == right


def test_broken_images_are_left_out_of_training_and_refused_in_prediction(folder, caplog):
    run = glial.train("stripes", out=False, **QUICK)
    broken = Path("stripes/lying/00.png")
    broken.write_bytes(broken.read_bytes()[:80])
    with caplog.at_level(logging.WARNING, "glial"):
        again = glial.train("stripes", out=False, **QUICK)
    assert "00.png" in caplog.text
    assert "1 rows without a usable image" in caplog.text
    assert again.metrics["test"]
    with pytest.raises(InputError, match="cannot be read") as refused:
        glial.predict(run, "stripes")
    assert "00.png" in str(refused.value.got)


def test_image_files_are_predicted_one_many_or_by_a_pattern(folder):
    run = glial.train("stripes", out=False, **QUICK)
    whole = glial.predict(run, "stripes")
    names = sorted(str(path) for path in Path("stripes/lying").glob("*.png"))
    for source, wanted in ((names[3], names[3:4]), (names[:2], names[:2]), ("s*/l*/*", names)):
        found = glial.predict(run, source)
        assert found["path"].to_list() == wanted
        same = whole.filter(pl.col("path").is_in(wanted))
        assert found["prediction"].equals(same["prediction"])
        assert np.allclose(found["probability_lying"], same["probability_lying"], atol=1e-6)
    with pytest.raises(InputError, match="cannot be read"):
        glial.predict(run, "nowhere.png")
    with pytest.raises(InputError, match="no target"):
        glial.train(names)


def test_equal_images_in_several_splits_are_told(folder, caplog):
    pixels = np.stack([drawn("lying", 0)] * 12 + [drawn("upright", n) for n in range(60)])
    frame = pl.DataFrame({"x": pl.Series(pixels), "y": ["a", "b"] * 36})
    report = glial.inspect(frame, "y")
    assert report.duplicates.crossing > 0
    assert report.duplicates.distinct == 61
    assert report.columns[0].distinct == 61


def test_the_verbs_take_folders(folder, capsys):
    for words in (
        ["init", "stripes"],
        ["inspect", "stripes"],
        ["train", "stripes", "--out", "run", *WORDS],
        ["evaluate", "run", "stripes"],
        ["predict", "run", "stripes/lying", "--out", "out.csv"],
        ["inspect", "run"],
        ["inspect", "residual_cnn", "--outputs", "3"],
    ):
        capsys.readouterr()
        assert main([*words, "--json"]) == 0, words
        json.loads(capsys.readouterr().out)
    table = pl.read_csv("out.csv")
    assert [Path(path).name for path in table["path"]] == [f"{n:02}.png" for n in range(0, 80, 2)]


def test_what_cannot_be_used_is_refused(folder, capsys):
    Path("empty").mkdir()
    Path("flat").mkdir()
    for number in range(3):
        Image.fromarray(drawn("lying", number)).save(f"flat/{number}.png")
    for number in range(10):
        Path(f"stripes/lying/{2 * number:02}.png").write_bytes(b"broken")
    cases = {
        ("empty",): "without images",
        ("flat",): "folder per class",
        ("stripes",): "10 of 80 images",
        ("stripes", "--model", "mlp"): "10 of 80 images",
        ("stripes", "--set", "data.images.size=[0,3]"): "data.images.size",
        ("stripes", "--set", "data.images.sise=[3,3]"): "size",
    }
    for words, part in cases.items():
        capsys.readouterr()
        assert main(["train", *words, "--json"]) == 2
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert part in json.dumps(json.loads(out)), words
    assert not Path("runs").exists()


def test_models_for_tables_refuse_images(folder):
    with pytest.raises(InputError, match="does not take the column"):
        glial.train("stripes", model="tabular", out=False)


def test_several_labels_of_an_image_are_learnt_at_once():
    generator = np.random.default_rng(0)
    left, top = generator.integers(0, 2, (2, 160))
    images = generator.integers(0, 60, (160, 12, 12))
    images[:, :, :6] += 120 * left[:, None, None]
    images[:, :6, :] += 70 * top[:, None, None]
    table = pl.DataFrame({"image": pl.Series(images.astype(np.uint8)), "left": left, "top": top})
    options = {"target": ["left", "top"], "task": "multilabel", "epochs": 8, "out": False}
    run = glial.train(table, model="resnet20_cifar", set={"model.width": 0.25}, **options)
    assert run.task == "multilabel"
    assert run.metrics["test"]["f1_macro"] > 0.95 > 0.8 > run.metrics["baseline"]["f1_macro"]
    predicted = glial.predict(run, table)
    assert {"prediction_left", "prediction_top"} <= set(predicted.columns)
