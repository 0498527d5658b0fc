"""Planted truth: data whose informative parts are known, and how well each explainer finds them.

    python benchmarks/explanations.py [tables] [texts] [images] [sequences] [--seeds N] [--rows N]

For each kind of data a network is trained to over 95 % on a task in which one can say which
columns, words, pixels or steps carry the answer. Of each method is told, over all seeds and rows:

- found: of the parts with the largest values, as many as were planted, the share that was planted
- chance: the same by guessing
- randomised: rank correlation of its values with those for the network with its weights shuffled
- looks: whether that correlation is at most 0.5, so that the method shows what was learnt
- deletion, insertion: share of the score that is left, or there, on average while the largest parts
  go, or come, first; after each stands what an order of chance gives
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

import glial
from glial.cli.tables import print_table
from glial.explanation import explain

GRADIENTS = (
    "saliency",
    "input_x_gradient",
    "smooth_grad",
    "integrated_gradients",
    "deeplift",
    "deep_shap",
    "relevance",
    "relevance_gamma",
    "guided_backpropagation",
    "deconvolution",
    "occlusion",
)
CAMS = ("cam", "grad_cam", "grad_cam_plus_plus")
Planted = list[np.ndarray]


def tables(seed: int) -> tuple[pl.DataFrame, Planted, list[str], dict[str, Any]]:
    """Which of two pairs of columns decides hangs on a switch: four of twelve speak in a row."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(3000, 12))
    first = values[:, 0] > 0
    score = np.where(first, values[:, 1] + values[:, 2], values[:, 3] - values[:, 4])
    frame = pl.DataFrame({f"x{i}": values[:, i] for i in range(12)})
    frame = frame.with_columns(pl.Series("y", np.where(score > 0, "yes", "no")))
    planted = [np.isin(np.arange(12), [0, 1, 2] if one else [0, 3, 4]) for one in first]
    return frame, planted, [*GRADIENTS, "shap", "kernel_shap"], {"epochs": 30}


def texts(seed: int) -> tuple[pl.DataFrame, Planted, list[str], dict[str, Any]]:
    """Two words of twelve decide, from lists of good and bad ones, among words of chance."""
    random = np.random.default_rng(seed)
    common = [f"word{i}" for i in range(200)]
    lists = [["splendid", "bright", "kind", "calm"], ["awful", "dull", "rude", "loud"]]
    rows, labels, planted = [], [], []
    for _ in range(1500):
        text, good = random.choice(common, 12).tolist(), int(random.integers(2))
        places = random.choice(12, 2, replace=False)
        for place in places:
            text[place] = str(random.choice(lists[good]))
        rows.append(" ".join(text))
        labels.append("bad" if good else "good")
        planted.append(np.isin(np.arange(12), places))
    frame = pl.DataFrame({"text": rows, "label": labels})
    return frame, planted, list(GRADIENTS), {"epochs": 8, "set": {"model.name": "text_gru"}}


def images(seed: int) -> tuple[pl.DataFrame, Planted, list[str], dict[str, Any]]:
    """A patch of stripes that stand or lie somewhere; a bright disc elsewhere says nothing."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 70, size=(1200, 32, 32), dtype=np.uint8)
    y, x = np.mgrid[:32, :32]
    planted, labels = [], []
    for row in range(len(pixels)):
        half = int(random.integers(2))
        top, left = random.integers(0, 24), random.integers(0, 8) + 16 * half
        middle = random.integers(4, 28), random.integers(4, 12) + 16 * (1 - half)
        pixels[row][(y - middle[0]) ** 2 + (x - middle[1]) ** 2 <= 12] = 240
        patch = np.full((8, 8), 60, dtype=np.uint8)
        patch[:, ::2] = 240
        stands = bool(random.integers(2))
        pixels[row, top : top + 8, left : left + 8] = patch if stands else patch.T
        where = np.zeros((32, 32), dtype=bool)
        where[top : top + 8, left : left + 8] = True
        planted.append(where.ravel())
        labels.append("standing" if stands else "lying")
    frame = pl.DataFrame({"image": pl.Series(pixels), "stripes": labels})
    return frame, planted, [*GRADIENTS, *CAMS], {"epochs": 8}


def sequences(seed: int) -> tuple[pl.DataFrame, Planted, list[str], dict[str, Any]]:
    """A short rise or fall somewhere in noise; spikes elsewhere say nothing."""
    random = np.random.default_rng(seed)
    series, labels, planted = [], [], []
    for _ in range(1500):
        steps = 0.3 * random.normal(size=48)
        place = int(random.integers(0, 40))
        steps[(place + 24) % 48] += 3 * random.choice([-1, 1])
        rises = bool(random.integers(2))
        steps[place : place + 8] += np.linspace(-2, 2, 8) * (1 if rises else -1)
        series.append(steps.tolist())
        labels.append("rise" if rises else "fall")
        planted.append((np.arange(48) >= place) & (np.arange(48) < place + 8))
    frame = pl.DataFrame({"steps": series, "label": labels})
    settings = {"epochs": 10, "set": {"model.name": "sequence_rnn"}}
    return frame, planted, list(GRADIENTS), settings


KINDS: dict[str, Callable[[int], tuple[pl.DataFrame, Planted, list[str], dict[str, Any]]]] = {
    "tables": tables,
    "texts": texts,
    "images": images,
    "sequences": sequences,
}


def measure(kind: str, seeds: int, num_rows: int) -> list[list[Any]]:
    """A row a method."""
    figures: dict[str, list[list[float]]] = {}
    accuracies, chance = [], []
    for seed in range(seeds):
        frame, planted, methods, settings = KINDS[kind](seed)
        run = glial.train(frame, target=frame.columns[-1], out=False, seed=seed, **settings)
        accuracies.append(run.metrics["test"]["accuracy"])
        rows = range(num_rows)
        chance += [planted[row].mean() for row in rows]
        for method in methods:
            told = explain(run, frame, method=method, rows=rows, check=True, seed=seed)[0]
            found = []
            for row in told.rows:
                values, truth = np.abs(row.parts[0].values).ravel(), planted[row.row]
                largest = np.argsort(-values, kind="stable")[: truth.sum()]
                found.append(truth[largest].mean())
            checks = told.checks or {}
            names = ("randomised", "deletion", "random_deletion", "insertion", "random_insertion")
            some = [checks.get(name, np.nan) for name in names]
            figures.setdefault(method, []).append([float(np.mean(found)), *some])
    print(
        f"\n{kind}: {seeds} networks, test accuracy {min(accuracies):.3f} to "
        f"{max(accuracies):.3f}, {num_rows} rows each, found by chance {np.mean(chance):.2f}"
    )
    table = []
    for method, each in figures.items():
        found, same, gone, gone_chance, back, back_chance = np.mean(each, axis=0)
        looks = "" if np.isnan(same) else ("yes" if same <= 0.5 else "no")
        cells = (f"{gone:.2f} ({gone_chance:.2f})", f"{back:.2f} ({back_chance:.2f})")
        table.append([method, f"{found:.2f}", f"{same:.2f}", looks, *cells])
    return table


def main() -> None:
    """Measure the kinds that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="all by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=50)
    options = parser.parse_args()
    heads = ["method", "found", "randomised", "looks", "deletion", "insertion"]
    for kind in options.kinds or KINDS:
        print_table(heads, measure(kind, options.seeds, options.rows))


if __name__ == "__main__":
    main()
