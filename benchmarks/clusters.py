"""Clusters of Glial beside scikit-learn's on the same rows, and deep clustering beside k-means.

    python benchmarks/clusters.py [--data iris wine ...] [--seeds 3] [--mnist FILE] [--pictures DIR]

Each data set is told its number of classes, and nothing else of them. `glial train` learns from
70 % of the rows and is judged on all, as scikit-learn is that learns from all of them in the same
units: `KMeans` with ten starts, `AgglomerativeClustering` by Ward, and `DBSCAN` with the eps that
Glial chose. `ari` is the adjusted Rand index, `acc` the share of rows in the right class if each
cluster is named after one class; means over seeds, which also divide the rows. Seconds are those
of training alone, and of scikit-learn's `fit`; on a machine that does other things read their
ratios only.

`--mnist` takes the first 10,000 images of an .npz file with `train_x` and `train_y`. `--pictures`
draws the pictures of docs/clusters.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn import cluster
from sklearn.datasets import load_digits, make_moons
from sklearn.metrics import adjusted_rand_score

import glial
from glial.functional.clustering import matched_accuracy
from glial.nn.pictures.scatter import scatter_png
from glial.runs.embedding import embed_rows

CLASSES = {"iris": 3, "wine": 3, "breast-cancer": 2, "digits": 10, "pixels": 10, "mnist": 10}
MODELS = ("kmeans", "hierarchical", "dbscan", "deep_clustering")
MNIST_ROWS, ROWS_OF_TREES = 10_000, 5_000


def sources(names: list[str], mnist: Path | None, folder: Path) -> dict[str, Any]:
    """Data sets by name; pictures as files."""
    found: dict[str, Any] = {name: name for name in names if name not in ("pixels", "mnist")}
    if "pixels" in names:
        digits = load_digits()
        pixels = (digits.images * 15.9).astype(np.uint8)
        np.savez(folder / "pixels.npz", x=pixels, y=digits.target)
        found["pixels"] = folder / "pixels.npz"
    if mnist is not None:
        with np.load(mnist) as arrays:
            rows = {"x": arrays["train_x"][:MNIST_ROWS], "y": arrays["train_y"][:MNIST_ROWS]}
        np.savez(folder / "mnist.npz", **rows)
        found["mnist"] = folder / "mnist.npz"
    return found


def peer(model: str, rows: np.ndarray, count: int, run: Any, seed: int) -> Any:
    """Scikit-learn's, of the same kind; None where there is none."""
    if model == "kmeans":
        return cluster.KMeans(count, n_init=10, random_state=seed)
    if model == "hierarchical" and len(rows) <= ROWS_OF_TREES:
        return cluster.AgglomerativeClustering(count)
    if model == "dbscan":
        settings = run.plan.model
        return cluster.DBSCAN(eps=settings["eps"], min_samples=settings["min_rows"])
    return None


def compare(name: str, source: Any, model: str, seeds: int) -> str:
    """A row of the table: Glial, and scikit-learn."""
    figures: list[list[float]] = []
    for seed in range(seeds):
        chosen = {} if model == "dbscan" else {"model.num_clusters": CLASSES[name]}
        run = glial.train(source, task="cluster", model=model, seed=seed, set=chosen, out=False)
        scores = glial.evaluate(run, source)["metrics"]
        told = [scores["adjusted_rand_score"], scores["cluster_accuracy"], run.seconds]
        vectors = embed_rows(run, source, layer="inputs").vectors.numpy()
        truth = truth_of(run, source)
        other = peer(model, vectors, CLASSES[name], run, seed)
        if other is None:
            told += [float("nan")] * 3
        else:
            begin = time.perf_counter()
            codes = other.fit(vectors).labels_
            seconds = time.perf_counter() - begin
            agreement = matched_accuracy(torch.from_numpy(truth), torch.from_numpy(codes).long())
            told += [adjusted_rand_score(truth, codes), agreement, seconds]
        figures.append(told)
    own = np.mean(figures, axis=0)
    spread = np.std(figures, axis=0)
    return (
        f"| {name} | {model} | {own[0]:.3f} ± {spread[0]:.3f} | {own[1]:.3f} | {own[2]:.2f} | "
        f"{own[3]:.3f} | {own[4]:.3f} | {own[5]:.2f} |"
    )


def truth_of(run: Any, source: Any) -> np.ndarray:
    """The classes of the rows, as numbers."""
    frame = pl.DataFrame(glial.data.read(source))
    return frame[run.plan.data.target].rank("dense").cast(pl.Int64).to_numpy().copy() - 1


def draw(folder: Path) -> None:
    """The pictures of the page: digits, and moons."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = glial.data.load_dataset("digits")[0]
    chosen = {"model.num_clusters": 10}
    run = glial.train("digits", task="cluster", model="deep_clustering", set=chosen, out=False)
    plane = embed_rows(run, "digits", layer="inputs").reduced("tsne").vectors
    told = glial.predict(run, "digits")["prediction"]
    for name, column in (("digit", frame["digit"]), ("cluster", told)):
        groups = [str(value) for value in column.to_list()]
        (folder / f"clusters-{name}.png").write_bytes(scatter_png(plane, groups, title=name))
    rows, _ = make_moons(500, noise=0.06, random_state=0)
    moons = pl.DataFrame(rows, schema=["x", "y"])
    for model, settings in (("kmeans", {"model.num_clusters": 2}), ("dbscan", {})):
        run = glial.train(moons, task="cluster", model=model, set=settings, out=False)
        codes = glial.predict(run, moons)["prediction"].to_list()
        groups = [None if code < 0 else str(code) for code in codes]
        points = torch.from_numpy(rows)
        (folder / f"moons-{model}.png").write_bytes(scatter_png(points, groups, title=model))
    print(f"drawn in {folder}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    small = ["iris", "wine", "breast-cancer", "digits", "pixels"]
    parser.add_argument("--data", nargs="+", default=small)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args()
    if asked.pictures is not None:
        draw(asked.pictures)
        return
    print("| rows | model | ari | acc | seconds | scikit-learn's ari | acc | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, source in sources(asked.data, asked.mnist, Path(folder)).items():
            for model in asked.models:
                print(compare(name, source, model, asked.seeds), flush=True)


if __name__ == "__main__":
    main()
