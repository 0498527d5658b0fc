"""What pretraining without labels is worth where there are few: MNIST, ten labels a class.

An encoder (``residual_cnn`` of the widths 16, 32, 64) answers a pretext about the 60,000 training
images, whose labels it never sees. From several draws of 100 of these images with their labels, and
the same for all, then

- a linear probe: logistic regression on the encoder's vectors, standardised;
- fine-tuning: the network starts from the encoder and learns from the 100 labels;
- from scratch: the same network learns from the 100 labels alone, by several recipes, of which the
  best on the test images is told (which favours it).

The accuracy is that on all 10,000 test images.

    python benchmarks/few_labels.py [--pretexts simclr ...] [--draws 5] [--rows 180000] [--quick]

``mnist.npz`` is looked for in the folder ``GLIAL_DATA``. ``--rows`` is how many images are learnt
from in all, an image counted each time. Results are appended to
``benchmarks/results/few_labels.jsonl``, and a table in Markdown is printed of all that stand there.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

RESULTS = Path(__file__).parent / "results" / "few_labels.jsonl"
PRETEXTS = ("simclr", "vicreg", "rotation", "jigsaw", "masked", "inpainting")
NETWORK: dict[str, Any] = {"model.name": "residual_cnn", "model.widths": [16, 32, 64]}
PER_CLASS = 10
# As far as views of the pretexts go.
MOVED = {"rotate": 15.0, "translate": 0.1, "scale": [0.8, 1.25]}
SCRATCH: dict[str, dict[str, Any]] = {
    "plain": {"train.epochs": 60, "data.augment": "none"},
    "augmented": {"train.epochs": 100, "data.augment": MOVED},
    "augmented, long": {"train.epochs": 300, "data.augment": MOVED},
}
TUNED: dict[str, Any] = {"train.epochs": 100, "train.lr": 0.001, "data.augment": MOVED}


def draw(labels: Any, number: int) -> Any:
    """Ten images of each class, drawn by a seed."""
    generator = np.random.default_rng([number, 10])
    classes = [np.flatnonzero(labels == label) for label in range(10)]
    return np.concatenate([generator.choice(rows, PER_CLASS, replace=False) for rows in classes])


def pretrain(images: Any, pretext: str, rows: int, out: Path) -> float:
    """Train an encoder without labels; returns seconds."""
    import glial

    np.savez(out / "images.npz", x=images, y=np.zeros(len(images), dtype=np.int64))
    begin = time.monotonic()
    glial.train(
        out / "images.npz",
        task="pretrain",
        epochs=max(1, round(rows / len(images))),
        out=out / "pretrained",
        set={
            **NETWORK,
            "task.pretext": pretext,
            "data.split.train": 0.98,
            "data.split.val": 0.02,
            "data.split.test": 0.0,
        },
    )
    return time.monotonic() - begin


def learn(data: dict[str, Any], rows: Any, folder: Path, settings: dict[str, Any]) -> float:
    """The test accuracy of a network that learns from some labelled images."""
    import glial

    few = {"train_x": data["train_x"][rows], "train_y": data["train_y"][rows]}
    np.savez(folder / "few.npz", **few, test_x=data["test_x"], test_y=data["test_y"])
    own = {"data.split.train": 1.0, "data.split.val": 0.0, "data.split.test": 0.0}
    run = glial.train(folder / "few.npz", out=False, set={**own, **settings})
    return run.metrics["test"]["accuracy"]


def vectors(run: Path, images: Any, folder: Path) -> Any:
    """What an encoder makes of images."""
    import glial

    np.savez(folder / "some.npz", x=images, y=np.zeros(len(images), dtype=np.int64))
    table: pl.DataFrame = glial.embed(run, folder / "some.npz")
    return table.to_numpy()


def measure(data: dict[str, Any], pretext: str, rows: int, draws: int) -> dict[str, Any]:
    """Pretrain once, then probe and fine-tune by several draws of labels."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = pretrain(data["train_x"], pretext, rows, folder)
        run = folder / "pretrained"
        test = vectors(run, data["test_x"], folder)
        probes, tuned = [], []
        for number in range(draws):
            chosen = draw(data["train_y"], number)
            known = vectors(run, data["train_x"][chosen], folder)
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5000))
            probe.fit(known, data["train_y"][chosen])
            probes.append(float(probe.score(test, data["test_y"])))
            weights = {"model.weights": str(run)}
            tuned.append(learn(data, chosen, folder, {**NETWORK, **TUNED, **weights}))
    return {
        "way": pretext,
        "rows": rows,
        "seconds": seconds,
        "linear probe": probes,
        "fine-tuned": tuned,
    }


def scratch(data: dict[str, Any], recipe: str, draws: int) -> dict[str, Any]:
    """The same network from the same labels alone."""
    with tempfile.TemporaryDirectory() as name:
        settings = {**NETWORK, **SCRATCH[recipe]}
        found = [
            learn(data, draw(data["train_y"], number), Path(name), settings)
            for number in range(draws)
        ]
    return {"way": f"from scratch, {recipe}", "fine-tuned": found}


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pretexts", nargs="*", default=PRETEXTS, choices=PRETEXTS)
    parser.add_argument("--recipes", nargs="*", default=list(SCRATCH), choices=list(SCRATCH))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--rows", type=int, default=180_000)
    parser.add_argument("--quick", action="store_true", help="2,000 images, one draw")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("glial").setLevel(logging.ERROR)
    with np.load(Path(os.environ.get("GLIAL_DATA", ".")) / "mnist.npz", allow_pickle=False) as held:
        data = {name: held[name] for name in ("train_x", "train_y", "test_x", "test_y")}
    if options.quick:
        data = {name: value[:2000] for name, value in data.items()}
        options.draws, options.rows = 1, 4000
    RESULTS.parent.mkdir(exist_ok=True)
    for recipe in options.recipes:
        _append(scratch(data, recipe, options.draws), options.quick)
    for pretext in options.pretexts:
        _append(measure(data, pretext, options.rows, options.draws), options.quick)
    if RESULTS.exists():
        _print_table([json.loads(line) for line in RESULTS.read_text().splitlines()])


def _append(row: dict[str, Any], quick: bool) -> None:
    print(json.dumps(row), flush=True)
    if not quick:
        with RESULTS.open("a") as file:
            file.write(json.dumps(row) + "\n")


def _print_table(rows: list[dict[str, Any]]) -> None:
    print("| way | images learnt from | seconds | linear probe | all layers |")
    print("|---|---|---|---|---|")
    for row in rows:
        cells = [row["way"], f"{row.get('rows', 0):,}", f"{row.get('seconds', 0):.0f}"]
        for key in ("linear probe", "fine-tuned"):
            values = row.get(key, [])
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            told = f"{statistics.mean(values):.1%} ± {spread:.1%}" if values else ""
            cells.append(told)
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
