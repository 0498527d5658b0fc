"""Boltzmann machines on real rows, beside what knows each number by itself alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import glial


def test_numbers_are_likelier_than_by_themselves() -> None:
    options = {"train.batch_size": 20, "doctor.watch": False}
    run = glial.train("wine", task="generate", model="rbm", epochs=150, out=False, set=options)
    told = run.metrics["test"]["log_likelihood"]
    assert told > run.metrics["baseline"]["log_likelihood"] + 1.5
    assert glial.generate(run, num_samples=4).frame.height == 4


def test_digits_are_likelier_than_pixels_by_themselves_and_nothing_is_found(tmp_path: Path) -> None:
    greys = load_digits().images / 16
    train, test = greys[:1400], greys[1400:]
    path = tmp_path / "digits.npz"
    np.savez(
        path,
        **{f"{n}_x": (255 * x).astype(np.uint8) for n, x in (("train", train), ("test", test))},
    )
    run = glial.train(path, task="generate", model="rbm", epochs=40, out=tmp_path / "run")
    shares = train.mean(axis=0).clip(0.01, 0.99)
    alone = (test * np.log(shares) + (1 - test) * np.log(1 - shares)).sum(axis=(1, 2)).mean()
    assert run.metrics["test"]["log_probability"] > alone + 2
    assert run.findings == []
    again = glial.load(tmp_path / "run")
    assert glial.evaluate(again, path)["metrics"]["log_probability"] == pytest.approx(
        run.metrics["test"]["log_probability"], abs=1.0
    )
