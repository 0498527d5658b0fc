"""Single faults in trainings of every family, with the loop's recovery and without it.

    python benchmarks/recovery.py [--seeds 3] [--only REGEX] [--out FILE]

Each family is a plan as `glial train` makes it, with few epochs. A training is made as it is, and
with one fault in one step, drawn from the middle of the training:

- `infinity`: a number of one row of the batch is infinite (inputs; of tokens the gradient);
- `leap`: the batch's inputs, or of tokens the batch's loss, are 10,000 times as large;
- `weight`: a weight becomes NaN after the step, once: not where the step is made again;
- `memory`: the step finds no memory, once.

A fault counts as healed where the training ends as the untouched one of the same seed does, and
its best validation loss is no higher than that one's by more than two standard deviations between
seeds (at least 5 %). In untouched trainings, every fault that is met is a false one. Results are
kept as JSON lines, and what is there is not made again.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import random
import re
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from sklearn.datasets import load_digits

import glial
from glial.data.batches import Batch
from glial.runs import training
from glial.training import Loop

FAULTS = ("none", "infinity", "leap", "weight", "memory")
FACTOR = 1e4
FEW = {"train.batch_size": 16}
Options = dict[str, Any]


def images(folder: Path) -> Path:
    """Handwritten digits as images of 8 x 8 pixels."""
    path = folder / "digits.npz"
    if not path.exists():
        digits = load_digits()
        np.savez(path, x=digits.images[:600, None].astype("float32") / 16, y=digits.target[:600])
    return path


def texts(folder: Path) -> Path:
    """Made-up opinions in a few words."""
    path = folder / "texts.csv"
    draw = random.Random(0)
    words = {"good": ["fine", "great", "lovely", "warm"], "bad": ["dull", "poor", "cold", "weak"]}
    rows = []
    for _ in range(400):
        label = draw.choice(["good", "bad"])
        filler = [draw.choice(["the", "film", "was", "a", "plot", "and"]) for _ in range(8)]
        filler.insert(draw.randrange(8), draw.choice(words[label]))
        rows.append({"text": " ".join(filler), "label": label})
    pl.DataFrame(rows).write_csv(path)
    return path


def prose(folder: Path) -> Path:
    """Sentences of a small grammar."""
    path = folder / "prose.txt"
    draw = random.Random(0)
    lines = []
    for _ in range(300):
        noun = draw.choice(["cat", "dog", "bird"])
        verb = draw.choice(["sees", "hears", "likes"])
        lines.append(f"the {noun} {verb} the {draw.choice(['sea', 'sun', 'moon'])}.")
    path.write_text("\n".join(lines))
    return path


def series(folder: Path) -> Path:
    """A season with noise, hour by hour."""
    path = folder / "series.csv"
    hours = np.arange(600)
    noise = np.random.default_rng(0).normal(size=600)
    pl.DataFrame({"hour": hours, "load": np.sin(hours * math.tau / 24) + 0.1 * noise}).write_csv(
        path
    )
    return path


def at_hand(name: str) -> Callable[[Path], str]:
    """A data set that comes with Glial."""
    return lambda folder: name


def family(source: Callable[[Path], Any], epochs: int, **options: Any) -> Options:
    """A plan: where its rows come from, and what is asked for."""
    return {"source": source, "epochs": epochs, **options}


MADE = {"task": "generate"}
FAMILIES: dict[str, Options] = {
    "tabular": family(at_hand("wine"), 15, set=FEW),
    "mlp": family(at_hand("breast-cancer"), 8, model="mlp", set=FEW),
    "mlp-regression": family(at_hand("diabetes"), 8, model="mlp", set=FEW),
    "mlp-sgd": family(
        at_hand("digits"), 8, model="mlp", set={"train.optimizer": "momentum", "train.lr": 0.02}
    ),
    "linear": family(at_hand("line"), 15, model="linear", set=FEW),
    "convolutions": family(images, 4, model="residual_cnn", set=FEW),
    "recurrent": family(texts, 4, target="label", model="text_gru", set=FEW),
    "language": family(
        prose,
        4,
        task="language-modelling",
        model="gpt2",
        set={"model.size": 32, "model.layers": 2, "model.heads": 2, "train.batch_size": 16},
    ),
    "forecast": family(series, 4, target="load", task="forecasting", model="forecast_rnn", set=FEW),
    "variational": family(at_hand("digits"), 6, **MADE, model="vae"),
    "flow": family(at_hand("iris"), 15, **MADE, model="flow", set=FEW),
    "diffusion": family(at_hand("iris"), 20, **MADE, model="diffusion", set=FEW),
    "adversarial": family(at_hand("iris"), 20, **MADE, model="gan", set=FEW),
    "boltzmann": family(at_hand("digits"), 6, **MADE, model="rbm"),
    "autoencoder": family(at_hand("digits"), 6, task="reduce"),
    "map": family(at_hand("iris"), 10, task="cluster", model="som", set=FEW),
}


class Spoilt:
    """Batches of which one is spoilt, the first time that it is asked for and ever after."""

    def __init__(self, batches: Any, spoil: Callable[[Batch], Batch], at: int) -> None:
        self._batches, self._spoil, self._at = batches, spoil, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch."""
        for number, batch in enumerate(self._batches.epoch(epoch, start), start):
            at = epoch * self._batches.num_batches + number
            yield self._spoil(batch) if at == self._at else batch


def floating(batch: Batch) -> bool:
    """Whether there are numbers to spoil."""
    return any(part.is_floating_point() for part in batch.inputs)


def infinite(batch: Batch) -> Batch:
    """One number of one row is infinite."""
    parts = []
    for part in batch.inputs:
        if part.is_floating_point():
            part = part.clone()
            part[0].view(-1)[0] = math.inf
        parts.append(part)
    return batch._replace(inputs=tuple(parts))


def large(batch: Batch) -> Batch:
    """All numbers are far too large."""
    parts = (part * FACTOR if part.is_floating_point() else part for part in batch.inputs)
    return batch._replace(inputs=tuple(parts))


class Faulty(Loop):
    """A loop with one fault in it."""

    fault, seed = "none", 0
    last: Loop

    def __init__(
        self, model: Any, objective: Any, batches: Any, settings: Any, **rest: Any
    ) -> None:
        total = settings.epochs * batches.num_batches
        at = random.Random(f"{self.fault} {self.seed}").randrange(3 * total // 10, 7 * total // 10)
        tokens = not floating(next(iter(batches.epoch(0))))
        spoils = {"infinity": infinite, "leap": large}
        if self.fault in spoils and not tokens:
            batches = Spoilt(batches, spoils[self.fault], at)
        super().__init__(model, objective, batches, settings, **rest)
        if self.fault in ("weight", "memory") or (self.fault in spoils and tokens):
            self._spoil_step(objective, at)
        Faulty.last = self

    def _spoil_step(self, objective: Any, at: int) -> None:
        step, left = objective.step, [1]
        fault, model = self.fault, self.model

        def spoilt(batch: Batch, moment: Any) -> torch.Tensor:
            if moment.step != at:
                return step(batch, moment)
            if fault == "memory" and left[0]:
                left[0] -= 1
                raise torch.OutOfMemoryError("out of memory: tried to allocate 7 GiB")
            if fault in ("infinity", "leap"):
                # Tokens have no size: the gradient has, by way of the loss.
                factor = math.inf if fault == "infinity" else FACTOR
                whole = objective._loss
                objective._loss = lambda *given: whole(*given) * factor
                try:
                    return step(batch, moment)
                finally:
                    objective._loss = whole
            loss = step(batch, moment)
            if fault == "weight" and left[0]:
                left[0] -= 1
                with torch.no_grad():
                    next(iter(model.parameters())).view(-1)[0] = math.nan
            return loss

        objective.step = spoilt


def trained(options: Options, folder: Path, fault: str, seed: int, recovery: bool) -> Options:
    """What a training with a fault comes to."""
    chosen = dict(options)
    source = chosen.pop("source")(folder)
    changes = {**chosen.pop("set", {}), "train.recovery": recovery, "train.deterministic": True}
    Faulty.fault, Faulty.seed = fault, seed
    begin = time.perf_counter()
    told: Options = {}
    try:
        run = glial.train(source, out=False, seed=seed, set=changes, **chosen)
    except torch.OutOfMemoryError:
        told = {"ended": "out of memory", "loss": None}
    else:
        losses = [row.get("val_loss", math.nan) for row in run.history]
        finite = [loss for loss in losses if math.isfinite(loss)]
        told = {"ended": run.ended_by, "loss": min(finite, default=None)}
        told["severities"] = [
            one.severity for one in run.findings if one.problem.startswith(("loss-", "out-of"))
        ]
    recovered = Faulty.last.recovery
    return {
        **told,
        "steps": Faulty.last.progress.step,
        "objective": type(Faulty.last._objective).__name__,
        "suspected": recovered.suspected,
        "met": [[one.problem, one.remedy, one.step, one.count] for one in recovered.faults],
        "seconds": time.perf_counter() - begin,
    }


def records(path: Path) -> list[Options]:
    """What was made already."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_all(path: Path, seeds: int, only: str) -> None:
    """Make every training that was not made yet."""
    training.Loop = Faulty  # type: ignore[misc]
    done = {(one["family"], one["fault"], one["seed"], one["recovery"]) for one in records(path)}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            for name, options in FAMILIES.items():
                for fault in FAULTS:
                    for recovery in (True, False):
                        key = (name, fault, seed, recovery)
                        if key in done or not re.search(only, name):
                            continue
                        told = trained(options, Path(folder), fault, seed, recovery)
                        names = ("family", "fault", "seed", "recovery")
                        line = json.dumps({**dict(zip(names, key, strict=True)), **told})
                        with path.open("a") as file:
                            file.write(line + "\n")


def judged(lines: list[Options]) -> None:
    """Print the table."""
    table = {(one["family"], one["fault"], one["seed"], one["recovery"]): one for one in lines}
    spreads: dict[str, float] = {}
    for name in FAMILIES:
        clean = [one["loss"] for key, one in table.items() if key[:2] == (name, "none") and key[3]]
        known = [loss for loss in clean if loss is not None]
        spreads[name] = statistics.stdev(known) if len(known) > 1 else 0.0

    def healed(key: tuple[str, str, int, bool]) -> bool:
        name, _, seed, _ = key
        one, clean = table[key], table[name, "none", seed, True]
        if one["ended"] != clean["ended"]:
            return False
        if clean["objective"] == "TwoPlayers" or clean["loss"] is None:
            return True  # a player's loss says nothing of how good it is
        slack = max(2 * spreads[name], 0.05 * abs(clean["loss"]))
        return one["loss"] is not None and one["loss"] <= clean["loss"] + slack

    print(f"{'':16}", *(f"{fault:>16}" for fault in FAULTS[1:]), "   untouched: met, suspected")
    sums = {(fault, on): [0, 0] for fault in FAULTS for on in (True, False)}
    for name in FAMILIES:
        cells = []
        for fault in FAULTS[1:]:
            counts = []
            for on in (True, False):
                found = [key for key in table if key[:2] == (name, fault) and key[3] is on]
                good = sum(map(healed, found))
                sums[fault, on][0] += good
                sums[fault, on][1] += len(found)
                counts.append(f"{good}/{len(found)}")
            cells.append(f"{counts[0]} ({counts[1]})")
        clean = [one for key, one in table.items() if key[:2] == (name, "none") and key[3]]
        met = sum(len(one["met"]) for one in clean)
        suspected = sum(one["suspected"] for one in clean)
        print(f"{name:16}", *(f"{cell:>16}" for cell in cells), f"   {met}, {suspected}")
    for on in (True, False):
        good = sum(sums[fault, on][0] for fault in FAULTS[1:])
        print("with" if on else "without", f"recovery: {good} of", end=" ")
        print(sum(sums[fault, on][1] for fault in FAULTS[1:]), "faults healed")
    differ = [
        key
        for key, one in table.items()
        if key[1] == "none" and key[3] and table[(*key[:3], False)]["loss"] != one["loss"]
    ]
    print("untouched trainings whose loss differs with recovery:", differ or "none")


def main() -> None:
    """Make the trainings and print what they came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, default=Path("recovery.jsonl"))
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    run_all(arguments.out, arguments.seeds, arguments.only)
    judged(records(arguments.out))


if __name__ == "__main__":
    main()
