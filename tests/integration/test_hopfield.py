"""Networks that store rows, on digits: better than their mean, and not without their memories."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import glial


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    images = load_digits().images
    np.savez(path, x=(images * 15.9).astype(np.uint8), y=np.zeros(len(images), int))
    return path


@pytest.mark.parametrize(
    ("model", "most", "chosen"),
    [
        ("hopfield", 0.6, {"train.epochs": 10}),
        ("hopfield", 0.9, {"train.epochs": 3, "model.kind": "classical"}),
        ("dbm", 0.5, {"train.epochs": 6, "model.hidden_sizes": [64, 64]}),
    ],
)
def test_digits_are_given_back_better_than_as_their_mean(
    model: str, most: float, chosen: dict[str, object], digits: Path
) -> None:
    chosen = {**chosen, "train.seed": 0}
    run = glial.train(digits, task="reduce", model=model, out=False, set=chosen)
    error = run.metrics["test"]["reconstruction_error"]
    trivial = run.metrics["baseline"]["reconstruction_error"]
    assert error < most * trivial
    assert [finding for finding in run.findings if finding.severity == "error"] == []
    # Without what it has stored it gives the same back for every row.
    with torch.no_grad():
        for name, parameter in run.model.named_parameters():
            if name in ("memories", "ties") or name.startswith("weights"):
                parameter.zero_()
    images = load_digits().images
    rows = torch.from_numpy(images[:200]).float()[:, None] / 8 - 1
    with torch.no_grad():
        back = run.model.reconstruct(rows)
    assert (back - back[:1]).abs().max() < 1e-5


def test_a_noisy_digit_calls_up_a_cleaner_one(digits: Path) -> None:
    run = glial.train(digits, task="generate", model="hopfield", epochs=5, out=False)
    images = torch.from_numpy(load_digits().images[-300:]).float()[:, None] / 8 - 1
    noisy = images + 0.8 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        called = run.model.reconstruct(noisy)
    assert (called - images).square().mean() < 0.5 * (noisy - images).square().mean()
    made = glial.generate(run, num_samples=4)
    assert made.images is not None
    assert made.images.shape == (4, 1, 8, 8)
