"""Preparing a large table: Glial's encoding beside the same scikit-learn pipeline.

A million rows of 24 numbers (5 % missing) and 6 categories are filled by the mean, flagged,
standardised and made one-hot by both, in turns, each in a process of its own; both get the table
in the form they like best (polars, pandas).

    python benchmarks/preparation.py [--rows 1000000] [--turns 3]

Printed: the ratio of the times to fit and transform, and what each process's peak of memory rose
by; the result alone is one 32-bit number a cell.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np
import polars as pl

NUM_NUMBERS, NUM_CATEGORIES, NUM_VALUES = 24, 6, 8


def table(num_rows: int) -> pl.DataFrame:
    """The table that both prepare."""
    generator = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for number in range(NUM_NUMBERS):
        values = generator.normal(size=num_rows)
        values[generator.random(num_rows) < 0.05] = np.nan
        columns[f"number {number}"] = pl.Series(values).fill_nan(None)
    words = np.array([f"value {number}" for number in range(NUM_VALUES)])
    for number in range(NUM_CATEGORIES):
        columns[f"category {number}"] = words[generator.integers(0, NUM_VALUES, num_rows)]
    return pl.DataFrame(columns)


def glial(frame: pl.DataFrame) -> Any:
    """Fit and transform by Glial."""
    from glial.data import DataSettings, Encoding

    kinds: dict[str, Any] = {
        name: "number" if name.startswith("number") else "category" for name in frame.columns
    }
    settings = DataSettings(scaling="standard", missing="mean")
    return lambda: Encoding.fit_transform(frame, kinds, settings)[1].numbers.numpy()


def sklearn(frame: pl.DataFrame) -> Any:
    """Fit and transform by scikit-learn."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    data = frame.to_pandas()
    numbers = [name for name in data.columns if name.startswith("number")]
    categories = [name for name in data.columns if name.startswith("category")]
    pipeline = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(sparse_output=False, dtype=np.float32), categories),
    )

    def prepare() -> Any:
        flags = data[numbers].isna().to_numpy(np.float32)
        return np.column_stack([pipeline.fit_transform(data), flags]).astype(np.float32)

    return prepare


def measure(method: str, num_rows: int) -> dict[str, Any]:
    """One preparation in this process."""
    prepare = {"glial": glial, "sklearn": sklearn}[method](table(num_rows))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    result = prepare()
    seconds = time.perf_counter() - begin
    rose = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "seconds": seconds,
        "gigabytes": rose / 2**20,
        "result": result.nbytes / 2**30,
        "sum": float(np.abs(result).sum(dtype=np.float64)),
    }


def main() -> None:
    """Take turns, then print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", choices=("glial", "sklearn"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.rows)))
        return
    found: dict[str, list[dict[str, Any]]] = {"glial": [], "sklearn": []}
    for _ in range(options.turns):
        for method, rows in found.items():
            command = [sys.executable, __file__, "--rows", str(options.rows), "--only", method]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout))
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(*found.values(), strict=True)]
    print("scikit-learn's time over Glial's:", [round(r, 2) for r in ratios])
    print("median:", round(statistics.median(ratios), 2))
    for method, rows in found.items():
        rose = statistics.median(row["gigabytes"] for row in rows)
        print(f"{method}: memory rose by {rose:.2f} GiB; the result is {rows[0]['result']:.2f} GiB")
    same = [rows[0]["sum"] for rows in found.values()]
    print("sums of the two results:", same)


if __name__ == "__main__":
    main()
