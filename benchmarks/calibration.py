"""Calibration errors before and after, and the coverage of sets and intervals over resamples.

Networks are trained on 70 % of the rows without early stopping, calibrated on 15 %, and judged by
the other 15 %, which chose nothing. For coverage these 30 % are halved at random 100 times: one
half fits the sets, the other counts.

    python benchmarks/calibration.py [--seed 0] [--resamples 100]

Adult (8,000 of its rows), sms-spam and california-housing are looked for in the folder
``GLIAL_DATA``. Prints two tables in Markdown.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

SOURCES: dict[str, dict[str, Any]] = {
    "breast-cancer": {"model": "mlp", "epochs": 30},
    "digits": {"model": "mlp", "epochs": 30},
    "adult": {"model": "mlp", "epochs": 20},
    "sms-spam": {"epochs": 6},
    "california-housing": {"model": "tabular", "epochs": 10},
}
SETTINGS = {
    "train.lr": 0.005,
    "train.batch_size": 64,
    "train.patience": None,
    "train.restore_best": False,
    "doctor.watch": False,
}
ROWS = 8000
METHODS = ("none", "temperature", "platt", "vector", "isotonic")


def trained(name: str, seed: int) -> tuple[Any, pl.DataFrame, pl.DataFrame]:
    """A run, the rows that calibrate it, and those that judge."""
    import glial
    from glial.data import SplitSettings, load_dataset, read, split_rows

    if name == "sms-spam":
        frame = read(str(Path(os.environ["GLIAL_DATA"]) / "sms-spam.csv.gz"))
        target = "label"
    else:
        frame, target, _ = load_dataset(name)
    frame = frame.sample(min(ROWS, len(frame)), shuffle=True, seed=seed)
    rows = split_rows(frame, SplitSettings(), seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        paths = {part: f"{folder}/{part}.parquet" for part in ("train", "val", "test")}
        for part, path in paths.items():
            frame[getattr(rows, part)].write_parquet(path)
        splits = {"val": paths["val"], "test": paths["test"]}
        options = SOURCES[name] | {"seed": seed, "out": False, "set": SETTINGS}
        run = glial.train(paths["train"], target, **splits, **options)
    return run, frame[rows.val], frame[rows.test]


def errors(run: Any, val: pl.DataFrame, test: pl.DataFrame) -> list[str]:
    """The expected calibration error and log loss on the test rows, by each method."""
    import glial
    from glial.core.errors import InputError
    from glial.evaluation.metrics.answers import answers_of
    from glial.evaluation.probabilities.calibration import calibration_measures

    cells = []
    outputs = run.outputs(test)
    for method in METHODS:
        decoder = run.decoder
        if method != "none":
            try:
                changes = {"task.calibration": method}
                decoder = glial.calibrate(run, val, set=changes).run.decoder
            except InputError:
                cells.append("not fitted")
                continue
        answers: Any = answers_of(decoder, outputs, test)
        error = calibration_measures(answers)["expected_calibration_error"]
        loss = decoder.scores(outputs, test)["log_loss"]
        cells.append(f"{error(np.ones((1, len(test))))[0]:.3f} ({loss:.3f})")
    return cells


def coverage(run: Any, rows: pl.DataFrame, method: str, resamples: int) -> list[str]:
    """Mean coverage over resamples, beside its law."""
    from scipy.stats import betabinom

    import glial
    from glial.tasks.conformal import rank_of

    outputs, random = run.outputs(rows), np.random.default_rng(0)
    changes = {"task.coverage": 0.9, "task.conformal": method}
    start = glial.calibrate(run, rows, set=changes).run.decoder
    found, sizes = [], []
    for _ in range(resamples):
        left, right = np.array_split(random.permutation(len(rows)), 2)
        start.tune(outputs[left], rows[left])
        scores = start.scores(outputs[right], rows[right])
        found.append(scores["coverage"])
        sizes.append(scores.get("set_size", scores.get("interval_width", math.nan)))
    rank = rank_of(len(left), 0.9)
    law = betabinom(len(right), rank, len(left) + 1 - rank)
    low, high = (float(law.ppf(p)) / len(right) for p in (0.025, 0.975))
    inside = np.mean([low <= value <= high for value in found])
    return [
        f"{len(left):,}",
        f"{np.mean(found):.3f}",
        f"{rank / (len(left) + 1):.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{inside:.2f}",
        f"{np.mean(sizes):.2f}",
    ]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="calibration errors and coverages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resamples", type=int, default=100)
    options = parser.parse_args()
    logging.getLogger("glial").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    first, second = [], []
    for name in SOURCES:
        run, val, test = trained(name, options.seed)
        if run.task == "classification":
            first.append([name, f"{len(val):,} / {len(test):,}", *errors(run, val, test)])
        for method in ("lac", "aps") if run.task == "classification" else ("intervals",):
            known = "lac" if method == "intervals" else method
            told = coverage(run, pl.concat([val, test]), known, options.resamples)
            second.append([name, method, *told])
    heads = ["data", "rows fitted / judged", *METHODS]
    _print(heads, first)
    _print(["data", "sets", "n", "mean", "law's mean", "law's 95 %", "inside", "size"], second)


def _print(heads: list[str], rows: list[list[str]]) -> None:
    print("\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
