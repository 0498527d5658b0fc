"""Faulty and healthy plans through ``glial.train(heal=True)``: what is found, tried and kept.

    python benchmarks/healing.py run [--out healing.jsonl] [--only NAME]...
    python benchmarks/healing.py tell [--out healing.jsonl] [--picture plans-healed.svg]

``run`` trains every plan below with healing, at the default budget of eight trainings and seed 0,
and writes a line for each; a plan that has a line is left out, so it can be stopped and goes on.
Beside each faulty plan stands the same without the fault. ``tell`` prints the table: the score
(macro F1 of validation rows, or their root mean squared error) before and after over three seeds,
that of the plan without its fault, the share of the gain that is regained, and what it cost; and
draws it.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import statistics
import time
from pathlib import Path
from typing import Any

import glial

MLP = {"model.name": "mlp", "train.epochs": 30}
HALF_A_LAYER = [32] * 10
# Name -> source, and the keys of the fault on top of a multi-layer perceptron's plan.
FAULTY: dict[str, tuple[str, dict[str, Any]]] = {
    "rate 10": ("breast-cancer", {"train.lr": 10.0}),
    "rate 1e-7": ("breast-cancer", {"train.lr": 1e-7}),
    "SGD at 1e-5": ("digits", {"train.lr": 1e-5, "train.optimizer": "sgd"}),
    "decay 1000": ("digits", {"train.weight_decay": 1000.0}),
    "squares' penalty 1": ("digits", {"train.l2": 1.0}),
    "dropout 0.97": ("digits", {"model.dropout": 0.97}),
    "momentum 0.999": (
        "digits",
        {"train.optimizer": "momentum", "train.momentum": 0.999, "train.lr": 0.1},
    ),
    "Adam's eps 10": ("digits", {"train.eps": 10.0, "train.lr": 1e-3}),
    "labels smoothed by 0.95": ("digits", {"task.label_smoothing": 0.95}),
    "all weights 0": ("digits", {"model.initialization": "zero"}),
    "ten sigmoid layers": (
        "digits",
        {"model.hidden_sizes": HALF_A_LAYER, "model.activation": "sigmoid"},
    ),
    "one unit a layer": ("digits", {"model.hidden_sizes": [1]}),
    "ten whole batches": (
        "digits",
        {"train.batch_size": "full", "train.epochs": 10, "train.lr": 1e-3},
    ),
    "two epochs at 1e-4": ("digits", {"train.epochs": 2, "train.lr": 1e-4}),
    "rate gone in three epochs": (
        "digits",
        {"train.schedule": "exponential", "train.schedule_gamma": 0.1, "train.lr": 1e-3},
    ),
    "inputs not scaled": ("wine", {"data.scaling": "none"}),
    "targets not scaled": ("diabetes", {"data.scale_target": False, "train.optimizer": "sgd"}),
}
HEALTHY = ("iris", "wine", "breast-cancer", "digits", "diabetes", "two-moons", "blobs")


def trained(source: str, fault: dict[str, Any]) -> dict[str, Any]:
    """One plan with healing: what it came to."""
    begin = time.monotonic()
    run = glial.train(source, out=False, set={**MLP, **fault}, heal=True)
    found = [[one.severity, one.problem] for one in run.findings]
    return {"healing": run.healing, "found": found, "seconds": time.monotonic() - begin}


def fixed_score(source: str, metric: str) -> float:
    """The mean score of the plan without a fault, over the seeds that healing uses."""
    changes = [{**MLP, "train.seed": seed, "data.split.seed": 0} for seed in range(3)]
    runs = [glial.train(source, out=False, set=one) for one in changes]
    return statistics.fmean(run.metrics["val"][metric.removeprefix("val ")] for run in runs)


def run(path: Path, only: list[str]) -> None:
    """Every plan that has no line yet."""
    done = {row["name"] for row in rows_of(path)}
    plans = dict(FAULTY) | {f"healthy {name}": (name, {}) for name in HEALTHY}
    known: dict[str, float] = {row["source"]: row["fixed"] for row in rows_of(path)}
    for name, (source, fault) in plans.items():
        if name in done or (only and name not in only):
            continue
        result = trained(source, fault)
        if source not in known:
            known[source] = fixed_score(source, result["healing"]["metric"])
        row = {"name": name, "source": source, "set": fault, "fixed": known[source], **result}
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(told(row), flush=True)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The lines that were written."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def regained(row: dict[str, Any]) -> float:
    """The share of what the plan without the fault gains that healing brings back."""
    before, after = row["healing"]["before"]["mean"], row["healing"]["after"]
    gain = row["fixed"] - before
    return 0.0 if after is None or not gain else (after["mean"] - before) / gain


def told(row: dict[str, Any]) -> str:
    """A plan in a line."""
    healing = row["healing"]
    after = healing["after"] or {"mean": math.nan}
    kept = "; ".join(f"{key}={value}" for key, value in (healing["set"] or {}).items())
    return (
        f"{row['name']:26s} {row['source']:14s} {healing['before']['mean']:8.3f} -> "
        f"{after['mean']:8.3f} (without the fault {row['fixed']:8.3f}, "
        f"regained {regained(row):6.1%}) {healing['trainings']:.4g} trainings, search "
        f"{healing['search_cost']:.2f}, {healing['stopped']}; {kept or 'nothing kept'}"
    )


def tell(path: Path, picture: Path | None) -> None:
    """The table, what it comes to, and the picture."""
    rows = rows_of(path)
    for row in rows:
        print(told(row))
    faulty = [row for row in rows if not row["name"].startswith("healthy")]
    healthy = [row for row in rows if row["name"].startswith("healthy")]
    mended = sum(regained(row) >= 0.9 for row in faulty)
    found = sum(row["healing"]["stopped"] != "healthy" for row in faulty)
    costs = [row["healing"]["search_cost"] for row in faulty if row["healing"]["attempts"]]
    print(f"{found} of {len(faulty)} faulty plans found sick, {mended} regain at least 90 %")
    print(f"search: mean {statistics.fmean(costs or [0]):.2f} trainings")
    changed = sum(row["healing"]["after"] is not None for row in healthy)
    print(f"{changed} of {len(healthy)} healthy plans were changed")
    if picture is not None:
        classes = [row for row in faulty if not row["healing"]["lower_is_better"]]
        picture.write_text(drawn(classes))


def drawn(rows: list[dict[str, Any]]) -> str:
    """Every faulty plan as a line: scores of three seeds before and after."""
    left, width, high = 210, 420, 22
    height = high * len(rows) + 46
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 30} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{left + width + 30}" height="{height}" fill="white"/>',
    ]
    for tenth in range(0, 11, 2):
        x = left + width * tenth / 10
        parts.append(f'<line x1="{x}" x2="{x}" y1="10" y2="{height - 36}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{x}" y="{height - 20}" text-anchor="middle">{tenth / 10:.1f}</text>'
        )
    for number, row in enumerate(rows):
        y = 20 + high * number
        healing = row["healing"]
        parts.append(f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">{row["name"]}</text>')
        arms = [("#c0392b", healing["before"]["scores"])]
        if healing["after"]:
            arms.append(("#1a7f5a", healing["after"]["scores"]))
            ends = [left + width * arm["mean"] for arm in (healing["before"], healing["after"])]
            parts.append(
                f'<line x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y}" y2="{y}" stroke="#bbb"/>'
            )
        parts += [
            f'<circle cx="{left + width * score:.1f}" cy="{y}" r="4" fill="{colour}" '
            'fill-opacity="0.6"/>'
            for colour, scores in arms
            for score in scores
            if score is not None
        ]
    parts.append(
        f'<text x="{left}" y="{height - 4}">macro F1 of validation rows: '
        '<tspan fill="#c0392b">as planned</tspan>, <tspan fill="#1a7f5a">healed</tspan></text>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Parse, and do what is asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=("run", "tell"))
    parser.add_argument("--out", type=Path, default=Path("healing.jsonl"))
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    logging.getLogger("glial").setLevel(logging.ERROR)
    if options.verb == "run":
        run(options.out, options.only)
    else:
        tell(options.out, options.picture)


if __name__ == "__main__":
    main()
