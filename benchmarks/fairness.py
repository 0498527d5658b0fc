"""What is done so that groups are treated alike, and what it costs: Adult, men and women.

Every method trains the same network on the same rows and is judged by the same test rows, which
neither training nor thresholds saw. Intervals of 95 % are those of other test rows (the first
seed's); the range behind them is that of the value over seeds, which change the split too.

    python benchmarks/fairness.py [--seeds 3] [--epochs 10] [--methods none reweighing]

Adult is looked for in the folder ``GLIAL_DATA``. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import warnings
from typing import Any

import numpy as np

COMMON = {"train.lr": 0.002, "train.batch_size": 256}
GROUP = {"data.fairness.group": "sex"}
ODDS = {"data.fairness.criterion": "equalized_odds"}
ADVERSARIAL = GROUP | {"data.fairness.how": "adversarial"}
THRESHOLDS = GROUP | {"data.fairness.how": "thresholds"}
METHODS: dict[str, dict[str, Any]] = {
    "none": {},
    "column left out": GROUP,
    "reweighing": GROUP | {"data.fairness.how": "reweighing"},
    "thresholds, demographic parity": THRESHOLDS,
    "thresholds, equalised odds": THRESHOLDS | ODDS,
    "thresholds, equalised odds, randomised": THRESHOLDS
    | ODDS
    | {"data.fairness.randomized": True},
    "adversarial, demographic parity": ADVERSARIAL,
    "adversarial, equalised odds": ADVERSARIAL | ODDS,
}
GAPS = ("demographic_parity_difference", "equalized_odds_difference")
Told = tuple[float, float, float]


def measure(method: str, seed: int, epochs: int) -> list[Told]:
    """Accuracy and the two gaps of a method on the test rows, each with its interval."""
    import glial
    from glial.data import SplitSettings, load_dataset, split_rows
    from glial.evaluation import evaluate
    from glial.tasks.labels import Labels

    frame, target, _ = load_dataset("adult")
    codes = Labels.of(frame[target]).codes(frame[target])
    splits = split_rows(frame, SplitSettings(), labels=codes, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        paths = {part: f"{folder}/{part}.parquet" for part in ("train", "val")}
        for part, path in paths.items():
            frame[getattr(splits, part)].write_parquet(path)
        run = glial.train(
            paths["train"],
            target=target,
            model="mlp",
            val=paths["val"],
            epochs=epochs,
            seed=seed,
            out=False,
            set=COMMON | {"data.split.test": 0.0, "data.split.train": 0.85} | METHODS[method],
        )
    found = evaluate(run, frame[splits.test], fair=["sex"])
    gaps = found["fairness"][0]["gaps"]
    return [
        (found["metrics"]["accuracy"], *found["intervals"]["accuracy"]),
        *((gaps[name]["value"], gaps[name]["low"], gaps[name]["high"]) for name in GAPS),
    ]


def main() -> None:
    """Measure every method, a line of the table each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("glial").setLevel(logging.ERROR)
    print("| method | accuracy | demographic parity difference | equalised odds difference |")
    print("|---|---|---|---|")
    for method in options.methods:
        seeds = [measure(method, seed, options.epochs) for seed in range(options.seeds)]
        values = np.array(seeds)[:, :, 0]
        cells = [
            f"{value:.3f} ({low:.3f} to {high:.3f}), {least:.3f} to {most:.3f}"
            for (value, low, high), least, most in zip(
                seeds[0], values.min(axis=0), values.max(axis=0), strict=True
            )
        ]
        print(f"| {' | '.join([method, *cells])} |", flush=True)


if __name__ == "__main__":
    main()
