"""Training that starts from other weights: what it takes over, freezes, and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from sklearn.datasets import load_digits

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted
from glial.runs.drafting import draft

SMALL = {"model.width": 0.25, "data.augment": "none", "train.batch_size": 32}


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digits 0 to 4 and 5 to 9 as images."""
    folder = tmp_path_factory.mktemp("digits")
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8) * 15).astype(np.uint8)
    paths = {}
    for name, chosen in (("low", labels < 5), ("high", labels >= 5)):
        paths[name] = str(folder / f"{name}.npz")
        np.savez(paths[name], x=images[chosen], y=labels[chosen])
    return paths


@pytest.fixture(scope="module")
def first(halves: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("runs") / "first"
    return glial.train(halves["low"], model="resnet20_cifar", epochs=3, set=SMALL, out=out)


def weights(run: Any) -> dict[str, torch.Tensor]:
    return dict(run.model.state_dict())


def test_a_run_gives_its_weights_sizes_and_colours(first: Any, halves: dict[str, str]) -> None:
    changes = {**SMALL, "model.weights": str(first.path), "train.freeze": "body", "train.lr": 0.03}
    run = glial.train(halves["high"], epochs=12, set=changes, out=False)
    old, new = weights(first), weights(run)
    assert [n for n in new if not torch.equal(new[n], old[n])] == ["fc.weight", "fc.bias"]
    assert run.metrics["test"]["accuracy"] > run.metrics["baseline"]["accuracy"] + 0.2
    (was,), (now,) = (r.encoding.encoders.values() for r in (first, run))
    np.testing.assert_allclose(now.shift, was.shift)
    np.testing.assert_allclose(now.scale, was.scale)
    assert run.plan.data.images.size == [8, 8]
    assert run.plan.train.epochs == 12


@pytest.mark.parametrize("model", ["auto", "resnet20_cifar"])
def test_a_run_gives_its_models_sizes_where_none_are_asked_for(
    first: Any, halves: dict[str, str], model: str
) -> None:
    plan = draft(halves["high"], {"model.name": model, "model.weights": str(first.path)})
    assert plan.model["name"] == "resnet20_cifar"
    assert plan.model["width"] == SMALL["model.width"]
    wide = {"model.weights": str(first.path), "model.width": 0.5}
    assert draft(halves["high"], wide).model["width"] == 0.5


def test_fine_tuning_moves_all_layers_the_lower_ones_less(
    first: Any, halves: dict[str, str]
) -> None:
    changes = {**SMALL, "model.weights": str(first.path), "train.optimizer": "sgd"}
    changes |= {"train.weight_decay": 0.0, "train.group_rate": 0.5, "train.lr": 0.05}
    run = glial.train(halves["high"], model="resnet20_cifar", epochs=2, set=changes, out=False)
    old, new = weights(first), weights(run)
    assert not torch.equal(new["conv1.weight"], old["conv1.weight"])
    moved = [
        float((new[n] - old[n]).norm() / old[n].norm())
        for n in ("conv1.weight", "layer3.2.conv2.weight", "fc.weight")
    ]
    assert moved[0] < moved[2]


def test_gradual_freeing_resumes_to_the_same_weights(
    first: Any, halves: dict[str, str], tmp_path: Path, stop_at: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    changes = {**SMALL, "model.weights": str(first.path), "train.unfreeze_every": 1}
    changes |= {"train.checkpoint_seconds": 0.0, "train.epochs": 4}
    options = {"model": "resnet20_cifar", "set": changes}
    glial.train(halves["high"], out=tmp_path / "calm", **options)
    for step in (30, 70):
        with pytest.raises(TrainingInterrupted):
            glial.train(
                halves["high"],
                out=tmp_path / "cut",
                resume=True,
                callbacks=[stop_at(step)],
                **options,
            )
    glial.train(halves["high"], out=tmp_path / "cut", resume=True, **options)
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("calm", "cut")]
    assert left == right


def test_a_file_of_weights_from_the_command_line(
    first: Any, halves: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(first.model.state_dict(), path)
    command = ["train", halves["low"], "--model", "resnet20_cifar", "--weights", str(path)]
    command += [f"--set={key}={value}" for key, value in SMALL.items()]
    out = tmp_path / "run"
    assert main([*command, "--epochs", "0", "--out", str(out)]) == 0
    saved = safetensors.torch.load_file(out / "model.safetensors")
    assert all(torch.equal(saved[name], value) for name, value in weights(first).items())
    assert "weights:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("no/such/file.pth", "there are no weights at no/such/file.pth"),
        ("{folder}", "no model.safetensors in it"),
        ("{other}", "is a run of another model"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_and_leaves_no_folder(
    given: str,
    why: str,
    halves: dict[str, str],
    first: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    path = given.format(folder=tmp_path / "empty", other=first.path)
    model = "residual_cnn" if "other" in given else "resnet20_cifar"
    out = tmp_path / "run"
    command = ["train", halves["low"], "--model", model, "--weights", path, "--out", str(out)]
    assert main(command) == 2
    assert why in capsys.readouterr().err
    assert not out.exists()


def test_more_groups_than_the_network_has_are_refused_before_anything_is_written(
    halves: dict[str, str], tmp_path: Path
) -> None:
    changes = {**SMALL, "train.freeze": 40}
    with pytest.raises(InputError, match="40 groups of layers cannot be frozen"):
        glial.train(halves["low"], model="resnet20_cifar", set=changes, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_published_weights_bring_their_size_and_colours(halves: dict[str, str]) -> None:
    plan = draft(halves["low"], {"model.weights": "imagenet"})
    assert plan.model["name"] == "efficientnet_lite0"
    images = plan.data.images
    assert (images.scaling, images.channels, images.size) == ("signed", "rgb", [128, 128])
    asked = {"data.images.size": [48, 48], "data.images.scaling": "unit"}
    plan = draft(
        halves["low"],
        {"model.name": "efficientnet_lite0", "model.weights": "imagenet", **asked},
    )
    assert (plan.data.images.size, plan.data.images.scaling) == ([48, 48], "unit")
