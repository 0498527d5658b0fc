"""Images as vectors: nearer to their class than pixels are, also where no such class was shown."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import glial
from glial.functional import retrieval_scores

DIGITS = load_digits()
SETTINGS = {"data.augment": "none", "model.widths": [16, 32, 64]}


def scattered() -> pl.DataFrame:
    """Digits of 8 by 8 pixels, each anywhere on a ground of 16 by 16."""
    canvas = np.zeros((len(DIGITS.images), 16, 16), dtype=np.uint8)
    places = np.random.default_rng(0).integers(0, 9, (len(canvas), 2))
    for image, digit, (top, left) in zip(canvas, DIGITS.images, places, strict=True):
        image[top : top + 8, left : left + 8] = digit * 15.9
    return pl.DataFrame({"image": pl.Series(canvas), "digit": DIGITS.target})


def scores(vectors: np.ndarray, table: pl.DataFrame) -> dict[str, float]:
    """How well rows are found by their vectors."""
    return retrieval_scores(torch.from_numpy(vectors), torch.tensor(table["digit"].to_list()))


def test_digits_lie_near_their_class_and_new_ones_nearer_than_by_pixels():
    table = scattered()
    shown, new = table.filter(pl.col("digit") < 7), table.filter(pl.col("digit") >= 7)
    run = glial.train(shown, target="digit", task="embedding", epochs=8, out=False, set=SETTINGS)
    assert run.metrics["test"]["recall_at_1"] > 0.95
    assert run.metrics["test"]["mean_average_precision_at_r"] > 0.85
    assert run.metrics["baseline"]["recall_at_1"] < 0.3
    pixels = shown["image"].to_numpy().reshape(shown.height, -1).astype(np.float32)
    assert scores(pixels, shown)["mean_average_precision_at_r"] < 0.1
    learnt = glial.evaluate(run, new)["metrics"]
    pixels = new["image"].to_numpy().reshape(new.height, -1).astype(np.float32)
    raw = scores(pixels, new)
    assert learnt["mean_average_precision_at_r"] > raw["mean_average_precision_at_r"] + 0.15


def test_a_classifiers_embedding_feeds_a_classical_model_of_other_classes():
    """What a network learnt of some digits tells others apart, by a line through its features."""
    table = scattered()
    shown, new = table.filter(pl.col("digit") < 7), table.filter(pl.col("digit") >= 7)
    run = glial.train(shown, target="digit", epochs=8, out=False, set=SETTINGS)
    vectors = glial.embed(run, new).to_numpy()
    labels, held = new["digit"].to_numpy(), np.arange(new.height) % 2 == 0
    pixels = new["image"].to_numpy().reshape(new.height, -1) / 255.0

    def accuracy(features: np.ndarray) -> float:
        model = LogisticRegression(max_iter=2000)
        return model.fit(features[~held], labels[~held]).score(features[held], labels[held])

    assert accuracy(vectors) > 0.85
    assert accuracy(vectors) > accuracy(pixels) + 0.3
