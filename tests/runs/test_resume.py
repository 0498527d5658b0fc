"""A run that was killed or interrupted goes on to the same result, bit for bit."""

from __future__ import annotations

import subprocess
import sys
import time

import jaxtyping
import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_digits

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted

WATCHED = True

OPTIONS = {
    "model": "mlp",
    "epochs": 8,
    "set": {
        "doctor.watch": False,
        "train.lr": 0.003,
        "train.batch_size": 16,
        "train.patience": None,
        "train.ema": 0.9,
        "model.dropout": 0.2,
        "train.checkpoint_seconds": 0.0,
    },
}


@pytest.fixture
def ticking(monkeypatch):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)


@pytest.mark.parametrize("step", [1, 5, 8, 23, 50])
def test_interrupted_run_is_usable_and_resumes_to_the_same_weights(
    tmp_path, step, ticking, stop_at
):
    calm = glial.train("iris", out=tmp_path / "calm", **OPTIONS)
    with pytest.raises(TrainingInterrupted) as stopped:
        glial.train("iris", out=tmp_path / "cut", callbacks=[stop_at(step)], **OPTIONS)
    assert stopped.value.run.status == "interrupted"
    assert glial.predict(tmp_path / "cut", "iris").height == 150
    run = glial.train("iris", out=tmp_path / "cut", resume=True, **OPTIONS)
    assert run.status == "finished"
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("calm", "cut")]
    assert left == right
    assert run.metrics == calm.metrics
    keys = ("epoch", "step", "train_loss", "val_loss", "lr")
    assert [[r[k] for k in keys] for r in run.history] == [
        [r[k] for k in keys] for r in calm.history
    ]


@pytest.mark.parametrize("model", ["tabular", "linear", "perceptron"])
def test_every_kind_of_model_resumes(tmp_path, model, ticking, stop_at):
    options = {"model": model, "epochs": 6, "set": {"train.checkpoint_seconds": 0.0}}
    glial.train("two-moons", out=tmp_path / "calm", **options)
    with pytest.raises(TrainingInterrupted):
        glial.train("two-moons", out=tmp_path / "cut", callbacks=[stop_at(3)], **options)
    glial.train(tmp_path / "cut", resume=True)
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("calm", "cut")]
    assert left == right


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's compilers, by torch
def test_steps_that_torch_compiles_resume(tmp_path, ticking, stop_at, monkeypatch, caplog):
    monkeypatch.setenv("GLIAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # so that it is put back
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # torch cannot trace checks
    images, labels = load_digits(return_X_y=True)
    images = (images[:600].reshape(-1, 8, 8) * 15).astype(np.uint8)
    np.savez(tmp_path / "digits.npz", x=images, y=labels[:600])
    source = str(tmp_path / "digits.npz")
    steps = {
        "data.augment": "none",
        "train.step": "torch_compile",
        "train.batch_size": 64,
        "train.checkpoint_seconds": 0.0,
    }
    options = {"model": "lenet5", "epochs": 2, "set": steps}
    glial.train(source, out=tmp_path / "calm", **options)
    with pytest.raises(TrainingInterrupted):
        glial.train(source, out=tmp_path / "cut", callbacks=[stop_at(9)], **options)
    torch.compiler.reset()  # as in another process
    run = glial.train(source, out=tmp_path / "cut", resume=True, **options)
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("calm", "cut")]
    assert left == right
    assert run.plan.train.step == "torch_compile"
    assert (tmp_path / "cache" / "inductor").is_dir()
    assert "not compiled" not in caplog.text


def test_killed_process_resumes(tmp_path):
    command = ["train", "iris", "--model=mlp", "--epochs=12"]
    command += ["--set=train.batch_size=8", "--set=train.checkpoint_seconds=0.01", "--quiet"]
    assert main([*command, f"--out={tmp_path / 'calm'}"]) == 0
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-m", "glial", *command, f"--out={tmp_path / 'cut'}", "--resume"],
            stdout=subprocess.DEVNULL,
        )
        limit = time.monotonic() + 60
        last = tmp_path / "cut/checkpoints/last/checkpoint.safetensors"
        before = last.stat().st_mtime_ns if last.exists() else 0
        while process.poll() is None and time.monotonic() < limit:
            if last.exists() and last.stat().st_mtime_ns > before:
                break
            time.sleep(0.005)
        process.kill()
        process.wait()
    assert main([*command, f"--out={tmp_path / 'cut'}", "--resume"]) == 0
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("calm", "cut")]
    assert left == right


def test_resume_of_nothing_starts_and_of_a_finished_run_returns_it(tmp_path):
    first = glial.train("iris", out=tmp_path / "r", resume=True, **OPTIONS)
    stamp = (tmp_path / "r/model.safetensors").stat().st_mtime_ns
    again = glial.train("iris", out=tmp_path / "r", resume=True, **OPTIONS)
    assert (tmp_path / "r/model.safetensors").stat().st_mtime_ns == stamp
    assert again.to_dict() == first.to_dict()


def test_another_plan_is_refused(tmp_path):
    glial.train("iris", out=tmp_path / "r", **OPTIONS)
    with pytest.raises(InputError, match=r"another plan.*train\.epochs"):
        glial.train("iris", out=tmp_path / "r", resume=True, **{**OPTIONS, "epochs": 9})
    with pytest.raises(InputError, match="not empty"):
        glial.train("iris", out=tmp_path / "r", **OPTIONS)


def test_changed_data_is_refused(tmp_path, ticking, stop_at):
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(60)))
    options = {"target": "y", "model": "linear", "epochs": 30, "set": {"train.lr": 0.1}}
    with pytest.raises(TrainingInterrupted):
        glial.train(str(path), out=tmp_path / "r", callbacks=[stop_at(2)], **options)
    path.write_text(path.read_text().replace("\n5,", "\n5.5,"))
    with pytest.raises(InputError, match="data has changed"):
        glial.train(str(path), out=tmp_path / "r", resume=True, **options)


def test_folder_in_use_is_refused(tmp_path):
    folder = tmp_path / "r"
    folder.mkdir()
    code = (
        "import sys, time; from pathlib import Path; from glial.core.files import folder_lock\n"
        "with folder_lock(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="in use"):
            glial.train("iris", out=folder, **OPTIONS)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert glial.train("iris", out=folder, **OPTIONS).status == "finished"


def test_numbered_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [glial.train("iris", **OPTIONS).path.name for _ in range(2)]
    assert names == ["iris-1", "iris-2"]
    assert glial.train("iris", resume=True, **OPTIONS).path.name == "iris-2"


def test_labels_of_steps_resume(tmp_path, ticking, stop_at):
    generator = np.random.default_rng(0)
    steps = [generator.normal(size=int(generator.integers(1, 9))) for _ in range(40)]
    sides = [np.where(row.cumsum() > 0, "up", "down").tolist() for row in steps]
    frame = pl.DataFrame({"step": [row.tolist() for row in steps], "side": sides})
    options = {"epochs": 3, "set": {"train.batch_size": 8, "train.checkpoint_seconds": 0.0}}
    glial.train(frame, "side", out=tmp_path / "calm", **options)
    with pytest.raises(TrainingInterrupted):
        glial.train(frame, "side", out=tmp_path / "cut", callbacks=[stop_at(5)], **options)
    glial.train(frame, "side", out=tmp_path / "cut", resume=True, **options)
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("calm", "cut")]
    assert left == right
