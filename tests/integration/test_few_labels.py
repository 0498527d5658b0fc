"""Digits, two labels a class: pretrained vectors tell them far better, and by their views alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from glial.data.batches import Batch, TensorBatches
from glial.models import build
from glial.models.pretexts import RowForm, pretext_around
from glial.training import Descent, Loop, TrainSettings

LEARNT = 1297
LABELS_A_CLASS = 2


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Any]:
    images, labels = load_digits(return_X_y=True)
    pixels = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8)
    return (pixels - pixels.mean()) / pixels.std(), labels


def encoder() -> nn.Module:
    torch.manual_seed(0)
    return build("residual_cnn", num_outputs=10, images=[[1, 8, 8]], widths=[16, 32])


def pretrained(images: Tensor, name: str, **options: Any) -> nn.Module:
    """An encoder after six epochs of a pretext about images."""
    network = pretext_around(name, encoder(), RowForm((1, 8, 8)), **options)
    settings = TrainSettings(
        epochs=6, batch_size=128, lr=0.003, schedule="one_cycle", weight_decay=0.05, step="eager"
    )

    def asked(batch: Batch, seed: int) -> Batch:
        drawn = network.draw(*batch.inputs, generator=torch.Generator().manual_seed(seed))
        return Batch(drawn.inputs, drawn.target)

    rows = Batch((images,), torch.zeros(len(images)))
    batches = TensorBatches(rows, 128, seed=0, augment=asked)
    Loop(network, Descent(network, network.loss, settings, 0.003), batches, settings).run()
    return network.released()


def probed(network: nn.Module, digits: tuple[Tensor, Any]) -> float:
    """The mean accuracy over five draws of labels of a linear model of the vectors."""
    images, labels = digits
    network.eval()
    with torch.no_grad():
        vectors = network.embed(images).numpy()
    scores = []
    for seed in range(5):
        generator = np.random.default_rng(seed)
        classes = [np.flatnonzero(labels[:LEARNT] == label) for label in range(10)]
        rows = np.concatenate([generator.choice(c, LABELS_A_CLASS, replace=False) for c in classes])
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        probe.fit(vectors[rows], labels[rows])
        scores.append(probe.score(vectors[LEARNT:], labels[LEARNT:]))
    return float(np.mean(scores))


def test_views_teach_what_labels_would(digits: tuple[Tensor, Any]) -> None:
    """At 15 epochs: 0.83 by SimCLR and 0.80 by VICReg, against 0.55 untrained."""
    images = digits[0][:LEARNT]
    untrained = probed(encoder(), digits)
    assert untrained < 0.65
    for name in ("simclr", "vicreg"):
        assert probed(pretrained(images, name), digits) > untrained + 0.15, name


def test_views_that_are_all_alike_teach_nothing(digits: tuple[Tensor, Any]) -> None:
    images = digits[0][:LEARNT]
    assert probed(pretrained(images, "simclr", strength=0.0), digits) < probed(encoder(), digits)
