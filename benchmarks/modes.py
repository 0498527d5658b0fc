"""How many modes of eight and of 25 Gaussians a generative adversarial network finds.

    python benchmarks/modes.py [--seeds 20] [--data ring grid] [--unbalanced] [--set KEY=VALUE...]

`glial train` on 20,000 rows, by default with every default of the model `gan`. The Gaussians are
those of Srivastava et al. (2017), "VEEGAN", arXiv 1705.07761, section 4.1: eight on a circle of
radius 2 with a deviation of 0.02, and 25 on a grid of distance 2 with one of 0.05. Of 10,000
samples those within three deviations of a mode are good. A mode is covered if it has at least a
quarter of its even share of the good ones; a seed counts if every mode is covered.

`--unbalanced` plants a fault: the generator learns 50 times as fast as the discriminator.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from typing import Any

import numpy as np
import polars as pl
import torch

import glial

ROWS, SAMPLES = 20_000, 10_000
UNBALANCED = {"model.discriminator_lr_factor": 0.02, "model.penalty": "none"}


def modes(data: str) -> tuple[np.ndarray, float]:
    """The centres [mode, 2], and the deviation of each."""
    if data == "ring":
        angles = np.arange(8) * math.tau / 8
        return 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1), 0.02
    return np.array([*itertools.product(range(-4, 5, 2), repeat=2)], float), 0.05


def table(data: str, seed: int) -> pl.DataFrame:
    """Rows of all modes alike."""
    random = np.random.default_rng(seed)
    centres, deviation = modes(data)
    rows = centres[random.integers(len(centres), size=ROWS)]
    return pl.DataFrame(rows + deviation * random.normal(size=rows.shape), schema=["x", "y"])


def covered(samples: np.ndarray, data: str) -> tuple[int, float]:
    """Modes that are covered, and the share of good samples."""
    centres, deviation = modes(data)
    distances = np.linalg.norm(samples[:, None] - centres, axis=2)
    good = distances.min(axis=1) < 3 * deviation
    counts = np.bincount(distances.argmin(axis=1)[good], minlength=len(centres))
    return int((counts >= max(1, good.sum() / len(centres) / 4)).sum()), float(good.mean())


def trained(data: str, seed: int, changes: dict[str, object]) -> Any:
    """A run of the model `gan`."""
    return glial.train(
        table(data, seed), task="generate", model="gan", seed=seed, set=changes, out=False
    )


def samples_of(run: Any, data: str, seed: int) -> np.ndarray:
    """Samples in the table's own units."""
    rows = glial.generate(run, num_samples=SAMPLES, seed=seed).frame
    return rows.select("x", "y").to_numpy()


def main() -> None:
    """Every seed of every data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--data", nargs="+", default=["ring", "grid"], choices=["ring", "grid"])
    parser.add_argument("--unbalanced", action="store_true")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    changes: dict[str, object] = dict(part.split("=", 1) for part in asked.set)
    changes |= UNBALANCED if asked.unbalanced else {}
    for data in asked.data:
        all_found, total = 0, len(modes(data)[0])
        for seed in range(asked.seeds):
            begin = time.perf_counter()
            run = trained(data, seed, changes)
            seconds = time.perf_counter() - begin
            found, good = covered(samples_of(run, data, seed), data)
            all_found += found == total
            told = " ".join(finding.problem for finding in run.findings)
            print(
                f"{data} seed {seed}: {found} of {total} modes, {good:.2f} of the samples good, "
                f"{seconds:.1f} s {told}",
                flush=True,
            )
        print(f"{data}: all modes in {all_found} of {asked.seeds} seeds", flush=True)


if __name__ == "__main__":
    main()
