"""Learning from images: what convolutions are for, and the scores on real images."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_digits

import glial

DIGITS = load_digits()
PIXELS = (DIGITS.images * 15.9).astype(np.uint8)
HELD = np.arange(len(PIXELS)) % 4 == 0


def placed(rows: np.ndarray, top: int, left: int) -> pl.DataFrame:
    """Digits of 8 by 8 pixels on a black ground of 16 by 16."""
    canvas = np.zeros((int(rows.sum()), 16, 16), dtype=np.uint8)
    canvas[:, top : top + 8, left : left + 8] = PIXELS[rows]
    return pl.DataFrame({"image": pl.Series(canvas), "digit": DIGITS.target[rows]})


def accuracy(run: glial.Run, table: pl.DataFrame) -> float:
    return glial.evaluate(run, table)["metrics"]["accuracy"]


def spread(table: pl.DataFrame) -> pl.DataFrame:
    """Each pixel as a column of its own."""
    flat = table["image"].to_numpy().reshape(table.height, -1).astype(float)
    columns = {f"p{i}": flat[:, i] for i in range(flat.shape[1])}
    return pl.DataFrame(columns).with_columns(table["digit"])


def test_a_digit_is_known_where_none_was_ever_shown():
    """Weights are shared by all places; a network without that knows digits in one place only."""
    run = glial.train(placed(~HELD, 4, 4), target="digit", epochs=8, out=False)
    assert accuracy(run, placed(HELD, 4, 4)) > 0.98
    assert accuracy(run, placed(HELD, 0, 4)) > 0.9
    assert accuracy(run, placed(HELD, 4, 8)) > 0.9
    options = {"model": "mlp", "epochs": 20, "set": {"train.lr": 0.003}}
    dense = glial.train(spread(placed(~HELD, 4, 4)), target="digit", out=False, **options)
    assert accuracy(dense, spread(placed(HELD, 4, 4))) > 0.9
    assert accuracy(dense, spread(placed(HELD, 0, 4))) < 0.3
    assert accuracy(dense, spread(placed(HELD, 4, 8))) < 0.3


@pytest.mark.shared_data
def test_mnist_of_a_few_thousand_images(shared_data, tmp_path):
    with np.load(shared_data / "mnist.npz") as arrays:
        rows = {"train": 3_000, "test": 1_000}
        part = {name: arrays[name][: rows[name.split("_")[0]]] for name in arrays.files}
    np.savez(tmp_path / "part.npz", **part)
    run = glial.train(tmp_path / "part.npz", epochs=4, out=False)
    assert run.plan.model["name"] == "residual_cnn"
    assert run.metrics["baseline"]["accuracy"] < 0.15
    assert run.metrics["test"]["accuracy"] > 0.95


@pytest.mark.shared_data
def test_photographs_in_an_archive(shared_data):
    narrow = {"model.widths": [16, 32, 64]}
    run = glial.train(str(shared_data / "cifar10-subset.zip"), epochs=1, out=False, set=narrow)
    assert run.metrics["baseline"]["accuracy"] == pytest.approx(0.1)
    assert run.metrics["test"]["accuracy"] > 0.3
