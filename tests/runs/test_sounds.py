"""Sounds from their files to predictions: trained, resumed, streamed, evaluated, embedded."""

from __future__ import annotations

import json
import logging
import os
import wave
import zipfile
from math import pi
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.data.encoders import SoundEncoder
from glial.runs import TrainingInterrupted

SMALL = {
    "doctor.watch": False,
    "model.widths": [8, 16],
    "train.batch_size": 8,
    "data.sounds.bands": 20,
}
QUICK = {"epochs": 1, "set": SMALL}
NAMES = "{kind}_{voice}_{take}"


def sung(kind: str, seed: int, samples: int = 1200) -> np.ndarray:
    """A noisy tone that rises or falls by half an octave, from anywhere."""
    draw = np.random.default_rng(seed)
    start = draw.uniform(400, 900)
    way = np.linspace(0, 0.5, samples) if kind == "rising" else np.linspace(0.5, 0, samples)
    phase = np.cumsum(2 * pi * start * 2**way / 8000)
    return 0.4 * np.sin(phase) + 0.02 * draw.standard_normal(samples)


def put(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((32767 * samples.clip(-1, 1)).astype("<i2").tobytes())


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """``songs``, 40 sounds of each of two kinds, and ``flat``, the same by their names."""
    monkeypatch.chdir(tmp_path)
    for number in range(80):
        kind = ("falling", "rising")[number % 2]
        sound = sung(kind, number, 1000 + 5 * number)
        put(tmp_path / "songs" / kind / f"{number:02}.wav", sound)
        put(tmp_path / "flat" / f"{kind}_v{number // 2 % 8}_{number}.wav", sound)
    return tmp_path


def test_a_folder_is_learnt_without_a_word_more(folder):
    run = glial.train("songs", out="run", epochs=8, set=SMALL)
    assert run.plan.model["name"] == "residual_cnn"
    assert (run.task, run.plan.data.target) == ("classification", "label")
    assert run.plan.data.types == {"path": "sound"}
    assert run.plan.data.sounds.rate == 8000
    assert run.plan.data.augment.changes_sounds
    assert not run.plan.data.augment.changes_images
    assert run.sizes["images"][0][:2] == [1, 20]
    assert run.metrics["test"]["accuracy"] > 0.9 > run.metrics["baseline"]["accuracy"]
    loaded = glial.load("run")
    left, right = (glial.predict(one, "songs") for one in (run, loaded))
    assert left.equals(right)
    assert left.columns == ["path", "prediction", "probability_falling", "probability_rising"]
    right_ones = left["path"].str.contains(left["prediction"], literal=True)
    assert right_ones.mean() > 0.9
    assert glial.evaluate(loaded, "songs")["metrics"]["accuracy"] == right_ones.mean()
    assert glial.embed(loaded, "songs").shape == (80, 17)
    one = glial.predict(loaded, "songs/rising/01.wav")
    assert one["path"].to_list() == ["songs/rising/01.wav"]


def test_archives_and_tables_give_the_same_run_as_a_folder(folder):
    with zipfile.ZipFile("songs.zip", "w") as file:
        for path in sorted(Path("songs").rglob("*.wav")):
            file.write(path)
    paths = sorted(Path("songs").rglob("*.wav"))
    kinds = [path.parent.name for path in paths]
    pl.DataFrame({"file": map(str, paths), "kind": kinds}).write_csv("table.csv")
    runs = [glial.train(source, out=False, **QUICK) for source in ("songs", "songs.zip")]
    runs.append(glial.train("table.csv", target="kind", out=False, **QUICK))
    assert runs[0].metrics == runs[1].metrics == runs[2].metrics
    assert glial.predict(runs[2], "songs")["path"].is_sorted()


def test_names_of_files_give_the_label_and_the_group(folder, capsys):
    words = ["train", "flat", "--target", "kind", "--group", "voice", "--out", "run", "--json"]
    words += ["--epochs", "8", "--set", f"data.names={NAMES}"]
    words += [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    assert main(words) == 0
    capsys.readouterr()
    run = glial.load("run")
    assert run.plan.data.types == {"path": "sound", "take": "identifier"}
    assert glial.evaluate(run, "flat")["metrics"]["accuracy"] > 0.8
    assert glial.predict(run, "songs").height == 80  # needs no such names
    assert glial.inspect("flat", "kind", set={"data.names": NAMES}).rows["train"] > 0
    used = {"data.names": NAMES, "data.types": {"voice": "category"}}
    both = glial.train("flat", target="kind", epochs=1, set=used, out=False)
    assert both.plan.model["name"] == "mixed"
    assert glial.predict(both, "flat").height == 80
    with pytest.raises(InputError, match="do not fit"):
        glial.predict(both, "songs")


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

    options = {"epochs": 2, "set": {**SMALL, "model.dropout": 0.2, "data.augment.mixup": 0.2}}
    glial.train("songs", out="calm", **options)
    with pytest.raises(TrainingInterrupted):
        glial.train("songs", out="cut", callbacks=[Stop()], **options)
    glial.train("songs", out="cut", resume=True, **options)
    left, right = (Path(name, "model.safetensors").read_bytes() for name in ("calm", "cut"))
    assert left == right


def test_streamed_sounds_are_learnt_too(folder):
    settings = {**SMALL, "data.stream": "always", "data.augment": "none"}
    run = glial.train("songs", out=False, epochs=8, set=settings)
    assert run.metrics["test"]["accuracy"] > 0.8
    assert run.plan.data.stream == "always"


def test_other_features_models_and_tasks(folder):
    mfcc = {"data.sounds.features": "mfcc", "data.sounds.deltas": True}
    mfcc["data.sounds.normalization"] = "training"
    run = glial.train("songs", out=False, epochs=8, set={**SMALL, **mfcc})
    assert run.sizes["images"][0][:2] == [3, 20]
    assert run.metrics["test"]["accuracy"] > 0.8
    longer = {"data.sounds.seconds": 0.35}
    lenet = glial.train("songs", model="lenet5", out=False, epochs=1, set=longer)
    assert lenet.metrics["test"]
    with pytest.raises(InputError, match="does not take the column"):
        glial.train("songs", model="tabular", out=False)
    paths = sorted(map(str, Path("songs").rglob("*.wav")))
    ways = [1.0 if "rising" in path else -1.0 for path in paths]
    sizes = np.random.default_rng(0).uniform(0.9, 1.1, len(paths))
    table = pl.DataFrame({"file": paths, "way": ways * sizes})
    slopes = glial.train(table, target="way", out=False, epochs=8, set=SMALL)
    assert slopes.task == "regression"
    assert slopes.metrics["test"]["r2"] > 0.5


def test_broken_sounds_are_left_out_of_training_and_refused_in_prediction(folder, caplog):
    Path("songs/falling/00.wav").write_bytes(b"RIFF")
    with caplog.at_level(logging.WARNING, "glial"):
        run = glial.train("songs", out=False, **QUICK)
    assert "00.wav" in caplog.text
    assert "1 rows without a usable sound" in caplog.text
    with pytest.raises(InputError, match="cannot be read") as refused:
        glial.predict(run, "songs")
    assert "00.wav" in str(refused.value.got)


def test_what_cannot_be_used_is_refused(folder, capsys):
    Path("empty").mkdir()
    for number in range(10):
        Path(f"songs/falling/{2 * number:02}.wav").write_bytes(b"broken")
    cases = {
        ("empty",): "without images or sounds",
        ("flat",): "folder per class",
        ("songs",): "10 of 80 sounds",
        ("flat", "--target", "kind", "--set", "data.names={kind}-{take}"): "do not fit",
        ("flat", "--target", "sort", "--set", f"data.names={NAMES}"): "sort",
        ("flat", "--target", "kind", "--set", "data.names=kind"): "data.names",
        ("songs", "--set", "data.sounds.rate=0"): "data.sounds.rate",
        ("songs", "--set", "data.sounds.band=40"): "bands",
        ("songs", "--set", "data.sounds.max_unreadable=1", "--set", "data.augment.flip=both"): (
            "changes of images"
        ),
    }
    for words, part in cases.items():
        capsys.readouterr()
        assert main(["train", *words, "--json"]) == 2, words
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert part in json.dumps(json.loads(out)), words
    assert not Path("runs").exists()


def test_nothing_is_learnt_where_each_sound_s_bands_are_out_of_order(folder, monkeypatch):
    """Which frequencies follow which is all that tells the kinds apart."""
    orderly = SoundEncoder.features

    def scrambled(self, held, factor=None):
        found = orderly(self, held, factor)
        for row in found:
            draw = torch.Generator().manual_seed(int(row.abs().sum() * 1000))
            row[:] = row[:, torch.randperm(row.shape[1], generator=draw)]
        return found

    options = {"out": False, "epochs": 8, "set": {**SMALL, "data.augment": "none"}}
    assert glial.train("songs", **options).metrics["test"]["accuracy"] > 0.9
    monkeypatch.setattr(SoundEncoder, "features", scrambled)
    assert glial.train("songs", **options).metrics["test"]["accuracy"] < 0.8


def test_the_verbs_take_sounds(folder, capsys):
    words = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    for verb in (
        ["init", "songs"],
        ["inspect", "songs"],
        ["inspect", "songs", "--augment", "sheet.png"],
        ["train", "songs", "--out", "run", "--epochs", "1", *words],
        ["evaluate", "run", "songs"],
        ["predict", "run", "songs/rising", "--out", "out.csv"],
        ["embed", "run", "songs", "--out", "out.npz"],
        ["inspect", "run"],
    ):
        capsys.readouterr()
        assert main([*verb, "--json"]) == 0, verb
        json.loads(capsys.readouterr().out)
    assert pl.read_csv("out.csv").height == 40
