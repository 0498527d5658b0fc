"""What filling missing numbers in one way or another is worth: error of the cells, test metric.

Numbers of California housing and Adult (8,000 rows each, looked for in the folder ``GLIAL_DATA``)
are taken out of all splits at 10, 30 and 50 %: at random, or the more probably the greater another
column is (that one is kept whole). Every way of ``data.missing`` then fits a network of the same
sizes.

    python benchmarks/imputation.py [--seeds 3] [--data ...] [--methods ...] [--model mlp | --cells]

The cells' error is the root mean squared one on test rows, in standard deviations of the column,
so the mean's own is about 1. Results are appended to ``benchmarks/results/imputation.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

RESULTS = Path(__file__).parent / "results" / "imputation.jsonl"
METHODS = (
    *("mean", "median", "mode", "constant", "mask"),
    *("knn", "iterative", "factorization", "vae", "gan"),
)
DRIVERS = {"california-housing": "median_income", "adult": "age"}
METRICS = {"california-housing": "rmse", "adult": "log_loss"}
NUM_ROWS = 8_000


def holed(
    frame: pl.DataFrame, columns: list[str], driver: str, share: float, depends: bool, seed: int
) -> pl.DataFrame:
    """The table with a share of the columns' cells taken out."""
    generator = np.random.default_rng([seed, 1])
    rank = frame[driver].rank("random", seed=seed).to_numpy() / frame.height
    chance = 2 * share * rank if depends else np.full(frame.height, share)
    gone = {name: generator.random(frame.height) < chance for name in columns}
    return frame.with_columns(
        pl.when(pl.Series(gone[name])).then(None).otherwise(pl.col(name)).alias(name)
        for name in columns
    )


def measure(
    name: str, share: float, depends: bool, method: str, seed: int, model: str | None
) -> dict[str, Any]:
    """Fit once: the error of the filled cells, and, of a model, the metric on the test rows."""
    from glial.data import DataSettings, Encoding, infer_columns, load_dataset

    frame, target, _ = load_dataset(name)
    frame = frame.sample(NUM_ROWS, shuffle=True, seed=seed)
    kinds = infer_columns(frame.drop(target), {})
    numbers = [column for column, kind in kinds.items() if kind == "number"]
    frame = frame.with_columns(pl.col(numbers).cast(pl.Float64, strict=False))
    driver = DRIVERS[name]
    open_columns = [column for column in numbers if column != driver]
    missing = holed(frame, open_columns, driver, share, depends, seed)
    cuts = [int(0.7 * NUM_ROWS), int(0.85 * NUM_ROWS)]
    train, test = missing[: cuts[0]], missing[cuts[1] :]
    settings = DataSettings(missing=method, scaling="standard")
    encoding = Encoding.fit(train.drop(target), kinds, settings, seed=seed)
    filled = dict(zip(encoding.names, encoding.transform(test).numbers.T.numpy(), strict=True))
    errors = []
    for column in open_columns:
        encoder: Any = encoding.encoders[column]
        truth = encoder.scaling.apply(frame[cuts[1] :][column].to_numpy())
        known = np.isfinite(truth) & test[column].is_null().to_numpy()
        spread = np.nanstd(encoder.scaling.apply(frame[column].to_numpy()))
        errors.append(np.sqrt(np.mean((filled[column][known] - truth[known]) ** 2)) / spread)
    metric = None
    if model is not None:
        parts = (train, missing[cuts[0] : cuts[1]], test)
        metric = _metric_of(name, target, parts, method, seed, model)
    return {
        "data": name,
        "share": share,
        "depends": depends,
        "method": method,
        "seed": seed,
        "model": model,
        "error": float(np.mean(errors)),
        "metric": metric,
    }


def _metric_of(
    name: str,
    target: str,
    parts: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    method: str,
    seed: int,
    model: str,
) -> float:
    """The metric of a network that was trained on the parts, on the last."""
    import glial

    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{part}.parquet" for part in ("train", "val", "test")]
        for path, part in zip(paths, parts, strict=True):
            part.write_parquet(path)
        run = glial.train(
            paths[0],
            target=target,
            val=paths[1],
            test=paths[2],
            model=model,
            seed=seed,
            epochs=60,
            out=False,
            set={"data.missing": method},
        )
    return float(run.metrics["test"][METRICS[name]])


def main() -> None:
    """Measure what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", nargs="+", default=list(DRIVERS), choices=list(DRIVERS))
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--cells", action="store_true", help="only the error of the cells")
    options = parser.parse_args()
    options.model = None if options.cells else options.model
    warnings.filterwarnings("ignore")
    logging.getLogger("glial").setLevel(logging.ERROR)
    RESULTS.parent.mkdir(exist_ok=True)
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    rows = [json.loads(line) for line in lines]
    keys = ("data", "share", "depends", "method", "seed", "model")
    done = {tuple(row[key] for key in keys) for row in rows}
    for seed in range(options.seeds):
        for name in options.data:
            for depends in (False, True):
                for share in (0.1, 0.3, 0.5):
                    for method in options.methods:
                        key = (name, share, depends, method, seed, options.model)
                        if key in done:
                            continue
                        row = measure(*key[:3], method, seed, options.model)
                        rows.append(row)
                        with RESULTS.open("a") as file:
                            file.write(json.dumps(row) + "\n")
    for name in options.data:
        _print_tables(name, [r for r in rows if r["data"] == name and r["model"] == options.model])


def _print_tables(name: str, rows: list[dict[str, Any]]) -> None:
    """A line a method; columns of error and metric for each share and mechanism."""
    cases = [(depends, share) for depends in (False, True) for share in (0.1, 0.3, 0.5)]
    for value in ("error", "metric"):
        title = "error of the cells" if value == "error" else f"test {METRICS[name]}"
        print(f"\n{name}: {title} (at random 10, 30, 50 %; depending on another 10, 30, 50 %)")
        for method in METHODS:
            cells = []
            for depends, share in cases:
                found = [
                    row[value]
                    for row in rows
                    if (row["method"], row["depends"], row["share"]) == (method, depends, share)
                    and row[value] is not None
                ]
                cells.append(f"{statistics.mean(found):10.4g}" if found else " " * 10)
            print(f"  {method:<14}" + "".join(cells))


if __name__ == "__main__":
    main()
