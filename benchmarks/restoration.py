"""What restores noisy and blurred digits: networks beside Fourier, Wiener and median filters.

Pictures of MNIST (``mnist.npz``, looked for in the folder ``GLIAL_DATA``) get noise or blur, and
each way gives them back; the figures are means over test pictures of the peak signal-to-noise ratio
in decibels and of the structural similarity. What a filter is told (its cut-off, its window, how
much noise there is) is what is best on training pictures; a Wiener filter against blur is told the
very kernel besides. Networks are the table's, with their own settings and schedules for training.
All pictures, the given ones too, are cut off at black and white first.

    python benchmarks/restoration.py [--rows 4000] [--epochs 10] [--seeds 1] [--conditions NAME...]

Levels of noise are standard deviations in shares of a pixel's range. With the values above a run
takes about seven minutes of one core. Results are appended to
``benchmarks/results/restoration.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from glial.data.batches import Batch, TensorBatches
from glial.functional import gaussian_kernels, low_pass, mean_power, motion_kernels, psnr, ssim
from glial.functional import wiener as wiener_filter
from glial.functional.corruption import random_angles
from glial.models import MODELS
from glial.training import Descent, Loop, TrainSettings

RESULTS = Path(__file__).parent / "results" / "restoration.jsonl"
TEST_ROWS, CHOOSING_ROWS = 1000, 500
NETWORKS = ("dncnn", "conv_autoencoder", "autoencoder")
CUTOFFS = (0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
WINDOWS = (2, 3, 4, 5)
NOISES = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)


class Condition(NamedTuple):
    """What is done to pictures; levels are those of pixels from -1 to 1."""

    name: str
    corruption: str
    level: float
    blur: str = "gaussian"

    @property
    def settings(self) -> dict[str, Any]:
        """The same as settings of a model."""
        return {"corruption": self.corruption, "corruption_level": self.level, "blur": self.blur}


CONDITIONS = (
    Condition("noise 0.1", "gaussian", 0.2),
    Condition("noise 0.25", "gaussian", 0.5),
    Condition("noise 0.5", "gaussian", 1.0),
    Condition("blur of 1.5 pixels", "blur", 1.5),
    Condition("motion of 5 pixels", "blur", 5.0, "motion"),
)
ANY_NOISE = {"corruption": "gaussian", "corruption_level": [0.1, 1.2]}


def pictures(archive: Path, rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Training and test pictures, [row, 1, 28, 28], from -1 to 1."""
    with np.load(archive, allow_pickle=False) as held:
        order = np.random.default_rng(seed).permutation(len(held["train_x"]))[:rows]
        parts = held["train_x"][order], held["test_x"][:TEST_ROWS]
    train, test = (torch.from_numpy(part).float()[:, None] / 127.5 - 1 for part in parts)
    return train, test


def corrupted(condition: Condition, images: Tensor, seed: int) -> Tensor:
    """Pictures made worse, the same at every call."""
    settings = MODELS.resolve("dncnn")(**condition.settings)
    return settings.corrupted(images, torch.Generator().manual_seed(seed))


def kernels_of(condition: Condition, rows: int, seed: int) -> Tensor:
    """What :func:`corrupted` blurs each picture with."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.full((rows,), condition.level)
    torch.rand(rows, generator=generator)  # levels are drawn first
    if condition.blur == "motion":
        return motion_kernels(level, random_angles(rows, generator))
    return gaussian_kernels(level)


def figures(given: Tensor, clean: Tensor) -> dict[str, float]:
    """PSNR and SSIM, the mean over pictures."""
    given, clean = (given.clamp(-1, 1) + 1) / 2, (clean + 1) / 2
    return {"psnr": float(psnr(given, clean).mean()), "ssim": float(ssim(given, clean).mean())}


def best_filter(
    make: Callable[[float], Callable[[Tensor], Tensor]],
    options: tuple[float, ...],
    seen: Tensor,
    clean: Tensor,
) -> Callable[[Tensor], Tensor]:
    """The filter of the option that restores training pictures best."""
    return max(map(make, options), key=lambda filtered: figures(filtered(seen), clean)["psnr"])


def median(size: float) -> Callable[[Tensor], Tensor]:
    """A median filter of a square window."""
    window = (1, 1, int(size), int(size))
    return lambda images: torch.from_numpy(ndimage.median_filter(images.numpy(), window))


def by_filters(condition: Condition, train: Tensor, test: Tensor, seed: int) -> Iterator[Any]:
    """What each filter gives of test pictures, by its name."""
    clean = train[:CHOOSING_ROWS]
    seen, given = corrupted(condition, clean, seed), corrupted(condition, test, seed + 1)
    yield "as given", given
    fourier = best_filter(
        lambda cutoff: lambda images: low_pass(images, cutoff), CUTOFFS, seen, clean
    )
    yield "Fourier low-pass", fourier(given)
    yield "median", best_filter(median, WINDOWS, seen, clean)(given)
    signal = mean_power(train)
    if condition.corruption != "blur":
        yield "Wiener", wiener_filter(given, signal, condition.level**2)
        return
    of_seen = kernels_of(condition, len(seen), seed)

    def undone(noise: float, images: Tensor, kernels: Tensor) -> Tensor:
        parts = zip(images.split(1), kernels, strict=True)
        return torch.cat([wiener_filter(one, signal, noise, kernel) for one, kernel in parts])

    noise = max(NOISES, key=lambda noise: figures(undone(noise, seen, of_seen), clean)["psnr"])
    of_given = kernels_of(condition, len(given), seed + 1)
    yield "Wiener, told the kernel", undone(noise, given, of_given)


def trained(
    name: str, settings: dict[str, Any], train: Tensor, epochs: int, seed: int
) -> torch.nn.Module:
    """A network of the table, trained with its own recipe for so many epochs."""
    torch.manual_seed(seed)
    chosen = MODELS.resolve(name)(**settings).for_data(len(train), 0, 0, images=[train.shape[1:]])
    network: Any = chosen.build(0, images=[list(train.shape[1:])])
    recipe = {**chosen.train_defaults("reduce", len(train)), "epochs": epochs, "seed": seed}
    generator = torch.Generator().manual_seed(seed)

    def drawn(batch: Batch, number: int) -> Batch:
        found = network.draw(*batch.inputs, generator=generator)
        return Batch(found.inputs, found.target)

    plan = TrainSettings(**recipe, step="eager")
    batches = TensorBatches(Batch((train,), train), recipe["batch_size"], seed, augment=drawn)
    Loop(network, Descent(network, network.loss, plan, recipe["lr"]), batches, plan).run()
    return network.eval()


def measure(
    condition: Condition, train: Tensor, test: Tensor, any_noise: Any, epochs: int, seed: int
) -> Iterator[dict[str, Any]]:
    """The figures of all ways under one condition."""
    for name, restored in by_filters(condition, train, test, seed):
        yield {"way": name, **figures(restored, test)}
    given = corrupted(condition, test, seed + 1)
    networks = {
        name: lambda name=name: trained(name, condition.settings, train, epochs, seed)
        for name in NETWORKS
    }
    if condition.corruption == "gaussian":
        networks["dncnn, told no level"] = lambda: any_noise
    for name, make in networks.items():
        begin = time.perf_counter()
        network: Any = make()
        seconds = time.perf_counter() - begin
        with torch.no_grad():
            restored = torch.cat([network.reconstruct(part) for part in given.split(100)])
        yield {"way": name, **figures(restored, test), "seconds": round(seconds, 1)}


def main() -> None:
    """Measure all ways, and print a table with a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--conditions", nargs="*", default=[one.name for one in CONDITIONS])
    options = parser.parse_args()
    archive = Path(os.environ.get("GLIAL_DATA", "data")) / "mnist.npz"
    RESULTS.parent.mkdir(exist_ok=True)
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for seed in range(options.seeds):
        train, test = pictures(archive, options.rows, seed)
        any_noise = trained("dncnn", ANY_NOISE, train, options.epochs, seed)
        for condition in [one for one in CONDITIONS if one.name in options.conditions]:
            for row in measure(condition, train, test, any_noise, options.epochs, seed):
                record = {"condition": condition.name, "seed": seed, "rows": options.rows, **row}
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**record, "epochs": options.epochs}) + "\n")
                found.setdefault(condition.name, {}).setdefault(row["way"], []).append(row)
                print(record, flush=True)
    print("\n| | way | PSNR | SSIM |\n|---|---|---|---|")
    for name, ways in found.items():
        for way, rows in ways.items():
            means = [statistics.mean(row[key] for row in rows) for key in ("psnr", "ssim")]
            print(f"| {name} | {way} | {means[0]:.1f} | {means[1]:.3f} |")


if __name__ == "__main__":
    main()
