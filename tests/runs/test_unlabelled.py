"""Runs of networks that learn from rows alone: trained, judged, resumed, and made to make rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import glial
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted
from glial.runs.unlabelled.making import arc, grid_of

SMALL = {"model.hidden_sizes": [32], "model.latent_size": 2}


def flowers() -> pl.DataFrame:
    """Two kinds of rows: what is told of one number tells the others."""
    generator = np.random.default_rng(0)
    kind = generator.integers(0, 2, 400)
    size = 4 * kind + generator.normal(size=400)
    return pl.DataFrame(
        {
            "length": size + 0.1 * generator.normal(size=400),
            "petals": (5 + 3 * kind).astype(np.int64),
            "colour": np.where(kind == 1, "red", "blue"),
            "wild": kind == 0,
        }
    )


@pytest.fixture(scope="module")
def variational(tmp_path_factory: pytest.TempPathFactory) -> glial.Run:
    folder = tmp_path_factory.mktemp("runs") / "vae"
    chosen = {**SMALL, "train.lr": 3e-3}
    return glial.train(flowers(), task="generate", model="vae", epochs=60, out=folder, set=chosen)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits of 8 x 8 pixels as arrays, with their classes."""
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    digits = load_digits()
    np.savez(path, x=(digits.images * 15.9).astype(np.uint8), y=digits.target)
    return path


@pytest.fixture(scope="module")
def drawn(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> glial.Run:
    folder = tmp_path_factory.mktemp("runs") / "digits"
    return glial.train(pictures, "y", task="generate", model="vae", epochs=3, out=folder, set=SMALL)


def test_a_network_knows_rows_better_than_their_columns_one_by_one(variational: glial.Run) -> None:
    test, baseline = variational.metrics["test"], variational.metrics["baseline"]
    assert test["elbo"] > baseline["elbo"] + 1
    assert test["reconstruction_error"] < 0.5 * baseline["reconstruction_error"]


def test_rows_that_are_made_up_are_in_the_columns_own_units(variational: glial.Run) -> None:
    made = glial.generate(variational, num_samples=300, seed=1).frame
    assert made.schema == flowers().schema
    red = made.filter(pl.col("colour") == "red")
    assert 0.25 < red.height / 300 < 0.75
    blue = made.filter(pl.col("colour") == "blue")
    assert red["petals"].mean() - blue["petals"].mean() > 1
    assert red["length"].mean() - blue["length"].mean() > 1.5
    again = glial.generate(glial.load(str(variational.path)), num_samples=300, seed=1).frame
    assert made.equals(again)
    assert not made.equals(glial.generate(variational, num_samples=300, seed=2).frame)


def test_a_run_says_of_rows_what_it_said_in_training(variational: glial.Run) -> None:
    loaded = glial.load(str(variational.path))
    told = glial.predict(loaded, flowers())
    assert told.height == 400
    judged = glial.evaluate(loaded, flowers())
    assert judged["metrics"]["elbo"] == pytest.approx(told["elbo"].mean(), rel=1e-6)
    assert judged["baseline"]["elbo"] < judged["metrics"]["elbo"]
    assert glial.embed(loaded, flowers()).shape == (400, 2)


def test_an_odd_row_is_less_likely(variational: glial.Run) -> None:
    odd = flowers().with_columns(colour=flowers()["colour"].shift(-1, fill_value="red"))
    wrong = odd["colour"] != flowers()["colour"]
    told = glial.predict(variational, odd)["elbo"]
    assert told.filter(wrong).mean() < told.filter(~wrong).mean() - 1


def test_walks_and_ways_between_codes(variational: glial.Run, tmp_path: Path) -> None:
    walked = glial.generate(variational, walk=True)
    assert walked.frame.height == 2 * walked.columns
    ways = glial.generate(variational, interpolate=5, num_samples=3)
    assert (ways.frame.height, ways.columns) == (15, 5)
    ways.write(tmp_path / "ways.csv")
    assert pl.read_csv(tmp_path / "ways.csv").height == 15


def test_the_arc_keeps_lengths() -> None:
    first, last = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    first, last = (part / part.norm(dim=1, keepdim=True) for part in (first, last))
    assert torch.allclose(arc(first, last, 0.3).norm(dim=1), torch.ones(5), atol=1e-6)
    assert torch.allclose(arc(first, last, 1.0), last, atol=1e-6)


def test_images_are_written_with_a_grid(drawn: glial.Run, tmp_path: Path) -> None:
    made = glial.generate(drawn, num_samples=6, only="3")
    assert made.images.shape == (6, 1, 8, 8)
    made.write(tmp_path / "samples")
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == [*(f"{number}-3.png" for number in range(6)), "grid.png"]
    held = np.array(Image.open(tmp_path / "samples" / "0-3.png"))
    assert (held == made.images[0, 0].numpy()).all()
    grid = grid_of(made.images, columns=3)
    assert grid.shape == (1, 2 * 48 + 2, 3 * 48 + 4)
    assert (grid[0, :48:6, :48:6] == made.images[0, 0]).all()


def test_classes_are_drawn_by_how_common_they_were(drawn: glial.Run) -> None:
    classes = glial.generate(drawn, num_samples=500).classes
    assert sorted(set(classes)) == [str(digit) for digit in range(10)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": "11"}, "unknown class"),
        ({"prompt": "a"}, "prompt does not fit"),
        ({"steps": 3}, "does not take steps"),
        ({"num_samples": 0}, "num_samples is out of its range"),
        ({"interpolate": 1}, "interpolate is out of its range"),
    ],
)
def test_what_cannot_be_made_is_refused(
    drawn: glial.Run, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        glial.generate(drawn, **options)


def test_a_run_that_is_told_classes_needs_them(drawn: glial.Run, pictures: Path) -> None:
    frame = glial.data.read(str(pictures))
    with pytest.raises(InputError, match="there is no column 'y'"):
        glial.predict(drawn, frame.drop("y").head(5))
    with pytest.raises(InputError, match="classes that training never showed"):
        glial.predict(drawn, frame.head(5).with_columns(y=pl.lit(77)))


RESUMED = ["vae", "gan", "rbm", "hopfield", "boltzmann_machine", "dbm"]


@pytest.mark.parametrize("model", RESUMED)
def test_a_resumed_training_is_the_one_that_never_stopped(
    model: str, tmp_path: Path, stop_at: Any
) -> None:
    options = {"task": "generate", "model": model, "epochs": 8}
    whole = glial.train(flowers(), out=False, **options)
    with pytest.raises(TrainingInterrupted):
        glial.train(flowers(), out=tmp_path / "run", callbacks=[stop_at(11)], **options)
    resumed = glial.train(flowers(), out=tmp_path / "run", resume=True, **options)
    assert [row["train_loss"] for row in resumed.history] == [
        row["train_loss"] for row in whole.history
    ]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_the_sources_own_target_is_no_input() -> None:
    run = glial.train("iris", task="reduce", epochs=2, out=False)
    assert run.encoding.columns == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    assert run.plan.model["name"] == "autoencoder"


def test_reduction_reaches_most_of_what_components_do() -> None:
    """Of rows on two curved surfaces a network needs two numbers; components lose a share."""
    generator = np.random.default_rng(0)
    angle, height = generator.uniform(0, 5, 900), generator.normal(size=900)
    rows = np.stack([np.cos(angle), np.sin(angle), height, height * np.cos(angle)], axis=1)
    frame = pl.DataFrame(rows, schema=["a", "b", "c", "d"])
    chosen = {"model.code_size": 2, "model.hidden_sizes": [32, 32], "train.lr": 3e-3}
    run = glial.train(frame, task="reduce", epochs=80, out=False, set=chosen)
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    left = scaled - PCA(2).fit(scaled).inverse_transform(PCA(2).fit_transform(scaled))
    told = glial.predict(run, frame)
    assert told.columns == ["embedding_0", "embedding_1", "reconstruction_error"]
    assert run.metrics["test"]["reconstruction_error"] < 0.5 * (left**2).mean()
    assert run.metrics["baseline"]["reconstruction_error"] == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "mlp"}, "does not learn the task"),
        ({"target": "length"}, "hardly a value comes twice"),
        ({"target": "no"}, "is not in the data"),
        ({"set": {"data.split.folds": 3}}, "folds"),
        ({"set": {"data.sampling": "oversample"}}, "data.sampling"),
        ({"model": torch.nn.Linear(1, 1)}, "network"),
        ({"loss": "huber"}, "task.loss"),
    ],
)
def test_plans_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        glial.train(flowers(), task="generate", out=False, **{"model": "vae", **options})


@pytest.mark.parametrize("key", ["shares", "figures", "trivial", "classes"])
def test_damaged_decoding_is_refused(drawn: glial.Run, tmp_path: Path, key: str) -> None:
    state = {**drawn.decoder.state(), key: 7}
    with pytest.raises(InputError, match=r"decoding\.json is damaged"):
        glial.tasks.load_task(state, drawn.plan.task)


def test_the_verb_writes_and_prints(variational: glial.Run, tmp_path: Path) -> None:
    def glial_generate(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "glial", "generate", str(variational.path), *words],
            capture_output=True,
            text=True,
            check=False,
        )

    out = tmp_path / "rows.jsonl"
    done = glial_generate("--n", "4", "--out", str(out), "--json")
    assert json.loads(done.stdout) == {"rows": 4, "classes": None, "out": str(out)}
    assert pl.read_ndjson(out).height == 4
    glial_generate("--n", "5", "--out", str(tmp_path / "rows"))
    assert pl.read_csv(tmp_path / "rows" / "samples.csv").height == 5
    wrong = glial_generate("--n", "4", "--out", str(tmp_path / "rows.png"))
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "has an ending that cannot be written" in wrong.stderr


@pytest.mark.parametrize("model", ["vae", "diffusion", "conv_autoencoder", "vq_vae", "hopfield"])
def test_passes_of_low_precision_train(model: str, pictures: Path) -> None:
    """As a long training of images may choose them; losses are of float32 all the same."""
    run = glial.train(
        pictures,
        task="reduce" if model == "conv_autoencoder" else "generate",
        model=model,
        epochs=1,
        out=False,
        set={"train.precision": "bfloat16", "train.batch_size": 256, "doctor.watch": False},
    )
    assert run.ended_by == "epochs"
    assert all(np.isfinite(value) for value in run.metrics["val"].values())
