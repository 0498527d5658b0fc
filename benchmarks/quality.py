"""Test scores of the default network beside peers: five seeds, no knobs.

Every method gets the same splits, 70 % to train on, 15 % to validate and 15 % to test.
scikit-learn's MLP and gradient boosting have no use for the validation rows, except that boosting
may stop early by rows of its own; pytabkit's RealMLP (``pip install pytabkit``; left out where it
is missing) chooses its epoch by them, as Glial does.

    python benchmarks/quality.py [--seeds 5] [--data adult iris ...] [--methods glial mlp ...]

Adult and California housing are looked for in the folder ``GLIAL_DATA``. Results are appended to
``benchmarks/results/quality.jsonl``, a line a fit, so that a run that was cut off goes on where it
stopped; the tables are printed from that file.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

RESULTS = Path(__file__).parent / "results" / "quality.jsonl"
SETS = ("breast-cancer", "wine", "iris", "digits", "diabetes", "adult", "california-housing")
METHODS = ("glial", "mlp", "boosting", "realmlp")


class Problem:
    """One data set, split: frames for Glial, matrices for the peers."""

    def __init__(self, name: str, seed: int) -> None:
        from glial.data import SplitSettings, infer_task, load_dataset, split_rows
        from glial.tasks.labels import Labels

        frame, self.target, _ = load_dataset(name)
        frame = frame.filter(frame[self.target].is_not_null())
        self.task = infer_task(frame, [self.target])
        self.labels = Labels.of(frame[self.target]) if self.task == "classification" else None
        codes = self.labels.codes(frame[self.target]) if self.labels else None
        splits = split_rows(frame, SplitSettings(), labels=codes, seed=seed)
        self.parts = {part: frame[getattr(splits, part)] for part in ("train", "val", "test")}
        self.seed = seed

    def truth(self, part: str) -> Any:
        """Class indices, or numbers."""
        column = self.parts[part][self.target]
        if self.labels:
            return self.labels.codes(column)
        return column.cast(pl.Float64).to_numpy()

    def features(self, part: str) -> Any:
        """A pandas table: numbers as numbers, the rest as categories, missing cells missing."""
        from glial.data import infer_columns

        whole = pl.concat(self.parts.values()).drop(self.target)
        kinds = infer_columns(whole, {})
        table = {}
        for name, kind in kinds.items():
            if kind in ("identifier", "constant", "empty", "text"):
                continue
            column = self.parts[part][name]
            if kind == "number":
                table[name] = column.cast(pl.Float64, strict=False).to_numpy()
            else:
                known = sorted(whole[name].cast(pl.String).drop_nulls().unique().to_list())
                table[name] = column.cast(pl.String).cast(pl.Enum(known)).to_pandas()
        import pandas as pd

        return pd.DataFrame(table)

    def scores(self, answer: Any) -> dict[str, float]:
        """Accuracy and log loss from probabilities, or the root mean squared error."""
        from glial.tasks.metrics import class_scores, regression_scores

        truth = self.truth("test")
        if self.labels:
            found = class_scores(truth, np.asarray(answer, dtype=np.float64))
            return {key: found[key] for key in ("accuracy", "log_loss")}
        rmse = regression_scores(truth[:, None], np.asarray(answer, dtype=np.float64)[:, None])
        return {"rmse": rmse["rmse"]}


def glial(problem: Problem) -> Any:
    """The default of ``glial train``, told only the target."""
    import tempfile

    import glial

    with tempfile.TemporaryDirectory() as folder:
        paths = {part: f"{folder}/{part}.parquet" for part in problem.parts}
        for part, frame in problem.parts.items():
            frame.write_parquet(paths[part])
        run = glial.train(
            paths["train"],
            target=problem.target,
            val=paths["val"],
            test=paths["test"],
            seed=problem.seed,
            out=False,
        )
    predicted = glial.predict(run, problem.parts["test"])
    if problem.labels:
        return predicted.select(f"probability_{name}" for name in problem.labels.names).to_numpy()
    return predicted["prediction"].to_numpy()


def _scaled(problem: Problem) -> tuple[Any, Any]:
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    encoder = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    train = encoder.fit_transform(problem.features("train"))
    return train, encoder.transform(problem.features("test"))


def _target_scale(problem: Problem) -> tuple[float, float]:
    if problem.labels:
        return 0.0, 1.0
    truth = problem.truth("train")
    return float(truth.mean()), float(truth.std())


def mlp(problem: Problem) -> Any:
    """scikit-learn's MLP with its defaults, on standardised inputs (and regression target)."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    train, test = _scaled(problem)
    if problem.labels:
        model = MLPClassifier(random_state=problem.seed).fit(train, problem.truth("train"))
        return model.predict_proba(test)
    mean, std = _target_scale(problem)
    model = MLPRegressor(random_state=problem.seed)
    model.fit(train, (problem.truth("train") - mean) / std)
    return model.predict(test) * std + mean


def boosting(problem: Problem) -> Any:
    """scikit-learn's histogram gradient boosting with its defaults."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    train, test = problem.features("train"), problem.features("test")
    options = {"random_state": problem.seed, "categorical_features": "from_dtype"}
    if problem.labels:
        model = HistGradientBoostingClassifier(**options).fit(train, problem.truth("train"))
        return model.predict_proba(test)
    return HistGradientBoostingRegressor(**options).fit(train, problem.truth("train")).predict(test)


def realmlp(problem: Problem) -> Any:
    """pytabkit's RealMLP with its tuned defaults, given the same validation rows."""
    import pandas as pd
    import torch
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    both = pd.concat([problem.features("train"), problem.features("val")], ignore_index=True)
    truth = np.concatenate([problem.truth("train"), problem.truth("val")])
    rows = np.arange(len(problem.truth("train")), len(truth))
    kind = RealMLP_TD_Classifier if problem.labels else RealMLP_TD_Regressor
    model = kind(random_state=problem.seed, device="cpu", n_threads=torch.get_num_threads())
    numbers = both.select_dtypes("number").columns
    means = both.loc[: rows[0] - 1, numbers].mean()
    both[numbers] = both[numbers].fillna(means)
    model.fit(both, truth, val_idxs=rows)
    test = problem.features("test")
    test[numbers] = test[numbers].fillna(means)
    return model.predict_proba(test) if problem.labels else model.predict(test)


def measure(name: str, method: str, seed: int) -> dict[str, Any]:
    """Fit once; returns the scores on the test rows and the seconds of fitting and predicting."""
    problem = Problem(name, seed)
    functions: dict[str, Callable[[Problem], Any]] = {
        "glial": glial,
        "mlp": mlp,
        "boosting": boosting,
        "realmlp": realmlp,
    }
    begin = time.perf_counter()
    answer = functions[method](problem)
    seconds = time.perf_counter() - begin
    return {"data": name, "method": method, "seed": seed, "seconds": seconds} | problem.scores(
        answer
    )


def main() -> None:
    """Measure what is missing, then print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--threads", type=int, default=1, help="for every method alike")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(options.threads)
    logging.getLogger("glial").setLevel(logging.ERROR)
    RESULTS.parent.mkdir(exist_ok=True)
    if options.fresh:
        RESULTS.unlink(missing_ok=True)
    done = _read()
    for name in options.data:
        for seed in range(options.seeds):
            for method in options.methods:
                if (name, method, seed) in done:
                    continue
                try:
                    row = measure(name, method, seed)
                except ModuleNotFoundError as error:
                    print(f"{method} is left out: {error}")
                    continue
                with RESULTS.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                done[name, method, seed] = row
                print(json.dumps(row), flush=True)
        _print_table(name, options.seeds, done)


def _read() -> dict[tuple[str, str, int], dict[str, Any]]:
    if not RESULTS.exists():
        return {}
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return {(row["data"], row["method"], row["seed"]): row for row in rows}


def _print_table(name: str, seeds: int, done: dict[tuple[str, str, int], dict[str, Any]]) -> None:
    """Mean and spread of each method, and Glial's paired difference in standard deviations."""
    print(f"\n{name}")
    found = {m: [done[name, m, s] for s in range(seeds) if (name, m, s) in done] for m in METHODS}
    ours = found["glial"]
    for method, rows in found.items():
        if not rows:
            continue
        cells = []
        for metric in [key for key in ("accuracy", "log_loss", "rmse") if key in rows[0]]:
            values = [row[metric] for row in rows]
            cells.append(f"{metric} {statistics.mean(values):.5g} ± {_std(values):.2g}")
            if method != "glial" and len(ours) == len(rows):
                sign = 1 if metric == "accuracy" else -1
                gains = [sign * (a[metric] - b[metric]) for a, b in zip(ours, rows, strict=True)]
                cells.append(f"(glial better by {statistics.mean(gains):+.2g} ± {_std(gains):.2g})")
        if method != "glial" and len(ours) == len(rows):
            ratio = statistics.median(
                a["seconds"] / b["seconds"] for a, b in zip(ours, rows, strict=True)
            )
            cells.append(f"glial takes {ratio:.2g} times its time")
        print(f"  {method:<9} " + "  ".join(cells))


def _std(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


if __name__ == "__main__":
    main()
