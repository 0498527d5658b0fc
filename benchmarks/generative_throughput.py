"""How fast networks that learn from rows alone are trained, beside a plain PyTorch loop.

    python benchmarks/generative_throughput.py [--rounds 3] [--seconds 20]
        [--model vae] [--model dcgan] [--model diffusion]

One and the same network, with its own draws and its own losses, is trained on as many digits as a
plain loop learns from in so many seconds, for more epochs than one where there are not enough: in
Glial's loop, and in a loop as one writes it by hand (pixels sliced by a permutation, a forward
pass, the loss, a backward pass, torch's fused AdamW, two of them for two players). Glial's seconds
are the whole of its training: the choice of how steps are computed, batches, history and
checkpoints; a second time with the doctor's looks, of which some are taken however short a training
is. They take turns, every other round the other way about; the median ratio of samples a second is
printed, with the least and the most.

The digits are looked for in the folder that GLIAL_DATA names, as mnist.npz, and in shared/data
beside the repository.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import glial
from glial.models.players import Players

FILE = "mnist.npz"
DIGITS = 60_000
MODELS = ("vae", "dcgan", "diffusion")
SPLIT = {"data.split.train": 0.999, "data.split.val": 0.0, "data.split.test": 0.001}


def digits(rows: int) -> np.ndarray[Any, Any]:
    """Pixels of 8 bits, [row, height, width]."""
    for folder in (os.environ.get("GLIAL_DATA"), Path(__file__).parents[2] / "shared" / "data"):
        if folder is not None and (Path(folder) / FILE).exists():
            with np.load(Path(folder) / FILE, allow_pickle=False) as arrays:
                return np.array(arrays["train_x"][:rows])
    raise SystemExit(f"set GLIAL_DATA to the folder that holds {FILE}")


def by_glial(
    name: str, pixels: np.ndarray[Any, Any], epochs: int = 1, *, watched: bool = False
) -> tuple[glial.Run, float]:
    """A run, and its rows a second."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "digits.npz"
        np.savez(source, x=pixels)
        run = glial.train(
            source,
            task="generate",
            model=name,
            epochs=epochs,
            out=Path(folder) / "run",
            set={**SPLIT, "doctor.watch": watched},
        )
    return run, run.samples_per_second


def by_hand(run: glial.Run, pixels: np.ndarray[Any, Any], epochs: int = 1) -> float:
    """Rows a second of a plain loop over the run's own network, batch size and rate."""
    torch.manual_seed(0)
    settings = dict(run.plan.model)
    network: Any = glial.models.build(
        settings.pop("name"), images=[[1, *pixels.shape[1:]]], num_outputs=0, **settings
    )
    held = torch.from_numpy(pixels)[:, None]
    network.start(_scaled(held[:2048])) if hasattr(network, "start") else None
    size, rate = int(run.plan.train.batch_size), float(run.plan.train.lr)
    parts = [network.discriminator, network.generator] if isinstance(network, Players) else None
    optimizers = [
        torch.optim.AdamW(part.parameters(), lr=rate, fused=True, weight_decay=0.0)
        for part in parts or [network]
    ]
    generator = torch.Generator().manual_seed(0)
    step = _players_step if parts else _step
    network.train()
    begin = time.perf_counter()
    number = 0
    for _ in range(epochs):
        for places in torch.randperm(len(held)).split(size):
            drawn = network.draw(_scaled(held[places]), generator=generator)
            step(network, optimizers, drawn, number)
            number += 1
    return epochs * len(held) / (time.perf_counter() - begin)


def _scaled(pixels: Tensor) -> Tensor:
    return pixels.float() / 127.5 - 1


def _step(network: Any, optimizers: list[torch.optim.Optimizer], drawn: Any, number: int) -> None:
    (optimizer,) = optimizers
    optimizer.zero_grad(set_to_none=True)
    network.loss(network(*drawn.inputs), drawn.target).backward()
    optimizer.step()


def _players_step(
    network: Any, optimizers: list[torch.optim.Optimizer], drawn: Any, number: int
) -> None:
    judge, maker = optimizers
    made = network.generate(*drawn.inputs)
    cut = tuple(part.detach() for part in made)
    judge.zero_grad(set_to_none=True)
    if network.penalty_every and number % network.penalty_every == 0:
        loss, penalty = network.penalized_loss(cut, *drawn.inputs)
        (loss + network.penalty_every * penalty).backward()
    else:
        network.discriminator_loss(cut, *drawn.inputs).backward()
    judge.step()
    for parameter in network.discriminator.parameters():
        parameter.requires_grad_(False)
    maker.zero_grad(set_to_none=True)
    network.generator_loss(made, *drawn.inputs).backward()
    maker.step()
    for parameter in network.discriminator.parameters():
        parameter.requires_grad_(True)


def compare(name: str, rounds: int, seconds: float) -> None:
    """Print the ratios of one model's rows a second."""
    pixels = digits(2560)
    run, _ = by_glial(name, pixels)
    samples = max(2560, int(seconds * by_hand(run, pixels)))
    epochs = math.ceil(samples / DIGITS)
    pixels = digits(samples // epochs)
    ratios: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        turns: list[Any] = [None, False, True]
        found = {}
        for watched in turns if number % 2 else reversed(turns):
            if watched is None:
                found[None] = by_hand(run, pixels, epochs)
            else:
                run, found[watched] = by_glial(name, pixels, epochs, watched=watched)
        for watched, held in ratios.items():
            held.append(found[watched] / found[None])
    count = sum(p.numel() for p in nn.Module.parameters(run.model))
    train = run.plan.train
    told = [
        f"{statistics.median(held):.2f} [{min(held):.2f}, {max(held):.2f}]"
        for held in ratios.values()
    ]
    how = f"{train.step}, {train.layout}, {train.threads} threads"
    steps = epochs * len(pixels) // int(train.batch_size)
    print(
        f"| {name} | {count:,} | {steps} of {train.batch_size} | {how} | {' | '.join(told)} |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--model", action="append", choices=MODELS)
    options = parser.parse_args()
    print("| network | parameters | steps | computed | times as fast as a plain loop | watched |")
    print("|---|---|---|---|---|---|")
    for name in options.model or MODELS:
        compare(name, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
