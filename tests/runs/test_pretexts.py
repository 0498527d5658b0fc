"""Pretraining on images and tables: the run, what starts from it, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_digits
from tests.runs.conftest import StopAt

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.models.pretexts import PRETEXTS
from glial.runs import TrainingInterrupted

WATCHED = True

SMALL: dict[str, Any] = {"model.widths": [8, 16], "train.batch_size": 128}


def write_digits(path: Path, rows: slice) -> Path:
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8) * 15).astype(np.uint8)[rows]
    np.savez(path, x=images, y=labels[rows])
    return path


def cells(rows: int, seed: int) -> pl.DataFrame:
    """A hidden kind decides two numbers and a category, and is the target."""
    generator = np.random.default_rng(seed)
    kind = generator.integers(0, 2, rows)
    colour = np.where(generator.random(rows) < 0.9, kind, 1 - kind)
    return pl.DataFrame(
        {
            "length": 50 + 20 * kind + generator.normal(0, 5, rows),
            "width": 3 - kind + generator.normal(0, 0.3, rows),
            "colour": np.array(["red", "blue"])[colour],
            "kind": np.array(["one", "other"])[kind],
        }
    )


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("digits")
    return {
        "many": write_digits(folder / "many.npz", slice(0, 400)),
        "few": write_digits(folder / "few.npz", slice(400, 460)),
    }


@pytest.fixture(scope="module")
def pretrained(digits: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> glial.Run:
    out = tmp_path_factory.mktemp("runs") / "pretrained"
    return glial.train(digits["many"], "y", task="pretrain", epochs=3, out=out, set=SMALL)


@pytest.fixture(scope="module")
def of_cells(tmp_path_factory: pytest.TempPathFactory) -> glial.Run:
    out = tmp_path_factory.mktemp("runs") / "cells"
    frame = cells(400, 0).drop("kind")
    return glial.train(frame, task="pretrain", model="mlp", epochs=10, out=out)


def test_a_run_is_judged_beside_who_does_not_look(pretrained: glial.Run) -> None:
    assert (pretrained.task, pretrained.plan.model["name"]) == ("pretrain", "residual_cnn")
    assert pretrained.plan.task.pretext == "simclr"
    test, baseline = pretrained.metrics["test"], pretrained.metrics["baseline"]
    assert baseline["pretext_loss"] == pytest.approx(np.log(2 * 60 - 1), abs=1e-4)
    assert test["pretext_loss"] < baseline["pretext_loss"]
    assert test["knn_accuracy"] > baseline["knn_accuracy"] + 0.3
    assert set(pretrained.history[-1]) >= {"train_loss", "val_loss", "val_pretext_accuracy"}
    assert "val" in pretrained.metrics


def test_what_stays_is_the_encoder(pretrained: glial.Run, digits: dict[str, Path]) -> None:
    opened = glial.load(pretrained.path)
    names = set(opened.model.state_dict())
    assert "head.weight" in names
    assert not any(name.startswith(("encoder.", "projector.")) for name in names)
    assert all(parameter.requires_grad for parameter in opened.model.parameters())
    assert glial.embed(opened, digits["few"]).shape == (60, 16)
    assert opened.decoder.figures == ["pretext_loss", "pretext_accuracy"]


def test_fine_tuning_starts_from_the_encoder(pretrained: glial.Run, digits: Any) -> None:
    chosen = {"model.weights": str(pretrained.path), "data.augment": "none", "train.lr": 0.01}
    run = glial.train(digits["few"], epochs=2, out=False, set={**chosen, "train.freeze": "body"})
    old, new = dict(pretrained.model.state_dict()), dict(run.model.state_dict())
    assert run.plan.model["widths"] == [8, 16]
    differing = [name for name in new if not torch.equal(new[name], old[name])]
    assert differing == ["head.weight", "head.bias"]
    (was,), (now,) = (r.encoding.encoders.values() for r in (pretrained, run))
    np.testing.assert_allclose(now.shift, was.shift)
    free = glial.train(digits["few"], epochs=2, out=False, set=chosen)
    assert not torch.equal(dict(free.model.state_dict())["stem.0.weight"], old["stem.0.weight"])


def test_an_interrupted_pretraining_goes_on_as_if_nothing_was(
    digits: dict[str, Path],
    tmp_path: Path,
    stop_at: type[StopAt],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    chosen = {**SMALL, "train.checkpoint_seconds": 0.0, "task.pretext_options.temperature": 0.5}
    arguments: dict[str, Any] = {"task": "pretrain", "epochs": 2, "set": chosen}
    whole = glial.train(digits["many"], out=tmp_path / "whole", **arguments)

    with pytest.raises(TrainingInterrupted):
        glial.train(digits["many"], out=tmp_path / "cut", callbacks=[stop_at(5)], **arguments)
    resumed = glial.train(digits["many"], out=tmp_path / "cut", resume=True, **arguments)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert resumed.metrics == whole.metrics


@pytest.mark.parametrize("pretext", [name for name in PRETEXTS if name != "masked_cells"])
def test_every_pretext_trains_and_the_doctor_is_silent(
    digits: dict[str, Path], pretext: str
) -> None:
    chosen = {**SMALL, "task.pretext": pretext, "train.batch_size": 32}
    run = glial.train(digits["many"], task="pretrain", epochs=2, out=False, set=chosen)
    assert np.isfinite(run.metrics["test"]["pretext_loss"])
    # So short a training may well have been cut off.
    told = {finding.problem for finding in run.findings} - {"undertrained", "underfitting"}
    assert not told


def test_cells_of_a_table_are_found_from_the_others(of_cells: glial.Run) -> None:
    assert of_cells.plan.task.pretext == "masked"
    test, baseline = of_cells.metrics["test"], of_cells.metrics["baseline"]
    assert test["reconstruction_error"] < 0.8 * baseline["reconstruction_error"]
    assert test["pretext_loss"] < baseline["pretext_loss"]


@pytest.mark.parametrize("model", ["mlp", "tabular"])
@pytest.mark.parametrize("pretext", ["masked", "simclr", "vicreg"])
def test_tables_pretrain_both_networks(model: str, pretext: str) -> None:
    chosen = {"task.pretext": pretext, "data.max_one_hot": 0, "model.hidden_sizes": [16]}
    run = glial.train(
        cells(200, 1), "kind", task="pretrain", model=model, epochs=5, out=False, set=chosen
    )
    assert np.isfinite(run.metrics["test"]["pretext_loss"])
    assert run.metrics["test"]["knn_accuracy"] > 0.8


def test_a_table_is_encoded_as_in_the_run_that_lends_the_weights(of_cells: glial.Run) -> None:
    labelled = cells(60, 2).with_columns(pl.col("length") + 100)  # it would be scaled otherwise
    chosen = {"model.weights": str(of_cells.path), "train.freeze": "body", "train.lr": 0.01}
    run = glial.train(labelled, "kind", epochs=3, out=False, set=chosen)
    assert run.plan.model["name"] == "mlp"
    np.testing.assert_array_equal(
        run.encoding.transform(labelled).numbers, of_cells.encoding.transform(labelled).numbers
    )
    old, new = dict(of_cells.model.state_dict()), dict(run.model.state_dict())
    assert torch.equal(new["blocks.0.linear.weight"], old["blocks.0.linear.weight"])
    with pytest.raises(InputError, match="width"):
        glial.train(labelled.drop("width"), "kind", out=False, set=chosen)


def test_data_does_not_restart_the_default_network_that_has_weights(tmp_path: Path) -> None:
    chosen = {"model.hidden_sizes": [16], "model.members": 1}
    first = glial.train(
        cells(200, 1).drop("kind"), task="pretrain", epochs=3, out=tmp_path / "run", set=chosen
    )
    later = {"model.weights": str(first.path), "train.freeze": "body"}
    run = glial.train(cells(60, 2), "kind", epochs=1, out=False, set=later)
    old, new = dict(first.model.state_dict()), dict(run.model.state_dict())
    assert torch.equal(new["blocks.0.linear.weight"], old["blocks.0.linear.weight"])


def test_texts_are_pretrained_as_ever() -> None:
    frame = pl.DataFrame({"text": [f"so it is with word number {n}" for n in range(40)]})
    chosen = {"model.size": 16, "model.heads": 2, "data.min_token_count": 1}
    run = glial.train(frame, task="pretrain", epochs=1, out=False, set=chosen)
    assert run.plan.model["name"] == "bert"


def test_what_cannot_be_pretrained_is_refused(
    pretrained: glial.Run, digits: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(match: str, source: Any = digits["many"], **chosen: Any) -> None:
        with pytest.raises(InputError, match=match):
            glial.train(source, task="pretrain", epochs=1, out=False, set=chosen)

    refused("rotation", cells(50, 0), **{"task.pretext": "rotation"})
    refused("temperature", **{"task.pretext_options.temperature": 0})
    refused("no option", **{"task.pretext": "rotation", "task.pretext_options.size": 8})
    refused("no pretext", {"a": [[1.0, 2.0], [3.0]] * 20})
    refused("compares rows", **{"train.batch_size": 1})
    refused("two columns", cells(50, 0).select("length"))
    refused("task.loss", **{"task.loss": "cross_entropy"})
    refused("simclr", **{"task.pretext": "simcrl"})
    with pytest.raises(InputError, match="encoders and losses"):
        glial.train(digits["many"], task="pretrain", model=torch.nn.Linear(3, 1), out=False)
    for verb in ("predict", "evaluate"):
        more = ["--out", "x.csv"] if verb == "predict" else []
        assert main([verb, str(pretrained.path), str(digits["few"]), *more]) == 2
        assert "glial embed" in capsys.readouterr().err
