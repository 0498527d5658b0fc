"""What is done about unequal classes, and what it is worth: treatments beside each other.

The minority of each data set is thinned out to 1:10, 1:50 and 1:200 of the majority, in training,
validation and test rows alike. Every treatment trains the same network on the same rows; only the
treatment differs. The majority predictor stands beside them, since its accuracy is hard to beat and
worth nothing, and so does scikit-learn's histogram gradient boosting.

    python benchmarks/imbalance.py [--seeds 5] [--data adult synthetic] [--ratios 10 50 200]

Adult is looked for in the folder ``GLIAL_DATA``; the samplers need ``pip install
'glial[imbalance]'``. Results are appended to ``benchmarks/results/imbalance.jsonl``, a line a fit,
so that a run that was cut off goes on where it stopped; the tables are printed from that file.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

RESULTS = Path(__file__).parent / "results" / "imbalance.jsonl"
SETS = ("adult", "synthetic")
METRICS = ("accuracy", "balanced_accuracy", "f1", "average_precision", "log_loss")
MAJORITY = {"train": 8000, "val": 2500, "test": 15000}
COMMON = {
    "data.categories": "one-hot",
    "train.lr": 0.002,
    "train.batch_size": 256,
    "train.patience": 8,
}
TREATMENTS: dict[str, dict[str, Any]] = {
    "none": {},
    "class weights": {"task.class_weights": "balanced"},
    "weighted": {"data.sampling": "weighted"},
    "over": {"data.sampling": "over"},
    "under": {"data.sampling": "under"},
    "smote": {"data.sampling": "smote"},
    "smote_tomek": {"data.sampling": "smote_tomek"},
    "adasyn": {"data.sampling": "adasyn"},
    "focal": {"task.loss": "focal"},
    "stratified batches": {"data.stratified_batches": True},
    "class weights, last epoch": {
        "task.class_weights": "balanced",
        "train.patience": None,
        "train.restore_best": False,
    },
    "threshold, bal. acc.": {"task.threshold": "balanced_accuracy"},
    "threshold, f1": {"task.threshold": "f1"},
    "costs 1:ratio": {"costs": "decision"},
    "costs in training": {"costs": "training"},
}
METHODS = ("majority", *TREATMENTS, "boosting", "boosting, weights")


class Problem:
    """A data set whose minority is thinned out, split; the positive class is the minority."""

    def __init__(self, name: str, ratio: int, seed: int) -> None:
        from glial.data import SplitSettings, load_dataset, split_rows
        from glial.tasks.labels import Labels

        if name == "synthetic":
            frame, self.target = _synthetic(), "y"
        else:
            frame, self.target, _ = load_dataset(name)
        self.labels = Labels.of(frame[self.target])
        codes = self.labels.codes(frame[self.target])
        splits = split_rows(frame, SplitSettings(), labels=codes, seed=seed)
        random = np.random.default_rng(seed)
        self.parts = {}
        for part, most in MAJORITY.items():
            rows = random.permutation(getattr(splits, part))
            large = rows[codes[rows] == 0][:most]
            small = rows[codes[rows] == 1][: round(len(large) / ratio)]
            self.parts[part] = frame[np.sort(np.concatenate([large, small]))]
        self.ratio, self.seed = ratio, seed

    def truth(self, part: str) -> Any:
        """1 for the minority."""
        return self.labels.codes(self.parts[part][self.target])

    def matrix(self) -> tuple[Any, Any]:
        """Training and test rows as numbers, encoded as the network's."""
        from glial.data import DataSettings, Encoding, infer_columns

        kinds = infer_columns(self.parts["train"].drop(self.target), {})
        encoding = Encoding.fit(self.parts["train"], kinds, DataSettings(categories="one-hot"))
        return tuple(
            encoding.transform(self.parts[part]).numbers.numpy() for part in ("train", "test")
        )


def _synthetic() -> pl.DataFrame:
    from sklearn.datasets import make_classification

    x, y = make_classification(
        60_000, 20, n_informative=8, n_redundant=4, n_clusters_per_class=3, random_state=0
    )
    return pl.DataFrame({f"x{i}": x[:, i] for i in range(20)} | {"y": y})


def network(problem: Problem, treatment: dict[str, Any]) -> dict[str, float]:
    """The scores of Glial's multilayer perceptron under a treatment."""
    import glial

    options = COMMON | treatment
    if use := options.pop("costs", None):
        large, small = problem.labels.names
        options |= {
            "task.costs": {small: {large: float(problem.ratio)}},
            "task.cost_use": use,
        }
    with tempfile.TemporaryDirectory() as folder:
        paths = {part: f"{folder}/{part}.parquet" for part in problem.parts}
        for part, frame in problem.parts.items():
            frame.write_parquet(paths[part])
        run = glial.train(
            paths["train"],
            target=problem.target,
            task="classification",
            model="mlp",
            val=paths["val"],
            test=paths["test"],
            epochs=30,
            seed=problem.seed,
            out=False,
            set=options,
        )
    return run.metrics["test"]


def boosting(problem: Problem, class_weight: str | None) -> dict[str, float]:
    """The scores of scikit-learn's histogram gradient boosting."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    from glial.tasks.metrics import class_scores

    train, test = problem.matrix()
    model = HistGradientBoostingClassifier(class_weight=class_weight, random_state=problem.seed)
    answer = model.fit(train, problem.truth("train")).predict_proba(test)
    return class_scores(problem.truth("test"), answer)


def majority(problem: Problem) -> dict[str, float]:
    """The scores of the predictor that knows only the class shares of training."""
    from glial.tasks.metrics import class_scores

    share = problem.truth("train").mean()
    truth = problem.truth("test")
    return class_scores(truth, np.tile([1 - share, share], (len(truth), 1)))


def measure(name: str, ratio: int, method: str, seed: int) -> dict[str, Any]:
    """Fit once; returns the scores on the test rows and the seconds."""
    problem = Problem(name, ratio, seed)
    begin = time.perf_counter()
    if method == "majority":
        scores = majority(problem)
    elif method.startswith("boosting"):
        scores = boosting(problem, "balanced" if "weights" in method else None)
    else:
        scores = network(problem, TREATMENTS[method])
    seconds = time.perf_counter() - begin
    found = {metric: scores[metric] for metric in METRICS}
    return {
        "data": name,
        "ratio": ratio,
        "method": method,
        "seed": seed,
        "seconds": seconds,
    } | found


def main() -> None:
    """Measure what is missing, then print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--ratios", nargs="+", type=int, default=[10, 50, 200])
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("glial").setLevel(logging.ERROR)
    RESULTS.parent.mkdir(exist_ok=True)
    done = _read()
    for seed in range(options.seeds):
        for name in options.data:
            for ratio in options.ratios:
                for method in options.methods:
                    if (name, ratio, method, seed) in done:
                        continue
                    row = measure(name, ratio, method, seed)
                    with RESULTS.open("a") as file:
                        file.write(json.dumps(row) + "\n")
                    done[name, ratio, method, seed] = row
                    print(json.dumps(row), flush=True)
    for name in options.data:
        for ratio in options.ratios:
            _print_table(name, ratio, done)


def _read() -> dict[tuple[str, int, str, int], dict[str, Any]]:
    if not RESULTS.exists():
        return {}
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return {(row["data"], row["ratio"], row["method"], row["seed"]): row for row in rows}


def _print_table(name: str, ratio: int, done: dict[Any, dict[str, Any]]) -> None:
    """Mean and spread over seeds of each metric, a line a method, as Markdown."""
    print(f"\n{name}, 1:{ratio}\n")
    print(f"| method | {' | '.join(METRICS)} | seconds |")
    print(f"|---|{'---|' * (len(METRICS) + 1)}")
    for method in METHODS:
        rows = [row for key, row in done.items() if key[:3] == (name, ratio, method)]
        if not rows:
            continue
        cells = [_cell([row[metric] for row in rows]) for metric in METRICS]
        seconds = statistics.median(row["seconds"] for row in rows)
        print(f"| {method} | {' | '.join(cells)} | {seconds:.1f} |")


def _cell(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {spread:.3f}"


if __name__ == "__main__":
    main()
