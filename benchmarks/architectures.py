"""Every published network beside torchvision's or timm's definition of it, in one run.

Counts, multiply-adds, the time of a forward pass and of a training step, as ratios: above 1 Glial's
definition is the faster. Both are timed in turns, in the layout and with the optimiser that Glial
chooses for images (channels last, fused), on equal batches. `variants` times Glial's own ways to
train one network: layout, optimiser, memory kept, `torch.compile`.

    python benchmarks/architectures.py table [NAME...] [--side 224] [--rounds 5]
    python benchmarks/architectures.py variants [NAME...]

Needs torchvision and timm beside a CPU build of torch: pip install --no-deps torchvision timm.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from glial.core.memory import keep_freed_memory
from glial.models import MODELS, build
from glial.nn import WithAuxiliary

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import published_networks as published

ROWS = 4
TRAINED_ROWS = 32
AUXILIARY = {"googlenet": 0.3, "inception_v3": 0.4}


def forward(network: nn.Module, images: Tensor) -> Callable[[], None]:
    """A forward pass in evaluation mode."""
    network.eval()

    def run() -> None:
        with torch.inference_mode():
            network(images)

    return run


def outputs_and_more(outputs: Any) -> list[Tensor]:
    """The outputs of a network in training, those of auxiliary heads included."""
    if isinstance(outputs, WithAuxiliary):
        return [outputs.outputs, *outputs.auxiliary]
    return (
        [outputs] if isinstance(outputs, Tensor) else [part for part in outputs if part is not None]
    )


def step(network: nn.Module, images: Tensor, **optimizer: bool) -> Callable[[], None]:
    """A training step by AdamW."""
    network.train()
    target = torch.arange(len(images)) % 10
    adam = torch.optim.AdamW(network.parameters(), lr=1e-5, **optimizer)

    def run() -> None:
        found = outputs_and_more(network(images))
        loss = sum(functional.cross_entropy(part, target) for part in found)
        adam.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        adam.step()

    return run


def gain(
    before: Callable[[], None], after: Callable[[], None], rounds: int
) -> tuple[float, float, float]:
    """How many times as fast the second is: the median of rounds in turns, and their quartiles."""

    def seconds(run: Callable[[], None]) -> float:
        begin = time.perf_counter()
        run()
        return time.perf_counter() - begin

    before(), after()
    ratios = []
    for number in range(rounds):
        pair = [before, after] if number % 2 == 0 else [after, before]
        taken = {run: seconds(run) for run in pair}
        ratios.append(taken[before] / taken[after])
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, low, high


# Sides below which the peer's definition refuses images, in training.
LEAST = {"inception_v3": 299, "vit_b_16": 224}


def multiply_adds(network: nn.Module, images: Tensor) -> float:
    """Of one image's forward pass, in millions."""
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), counter, torch.no_grad():
        network.eval()(images[:1].to("meta"))
    return counter.get_total_flops() / 2e6


def table(names: list[str], side: int | None, rounds: int) -> None:
    """Print a line for each network."""
    published.import_torchvision.module = published.import_torchvision()  # type: ignore[attr-defined]
    known = [*published.OF_TORCHVISION, *published.OF_TIMM]
    print("| network | parameters | published | multiply-adds | forward | training |")
    print("|---|---|---|---|---|---|")
    for name in names or [n for n in MODELS if getattr(MODELS.resolve(n), "num_classes", None)]:
        kind = MODELS.resolve(name)
        channels, *sides = kind.input_size
        least = LEAST.get(name, 0)
        shape = (channels, *(max(side or own, least) for own in sides))
        with torch.device("meta"):
            bare = build(name)
        count = sum(p.numel() for p in bare.parameters())
        adds = multiply_adds(bare, torch.zeros(1, *kind.input_size))
        line = [name, f"{count:,}"]
        if name in known:
            torch.manual_seed(0)
            theirs = published.reference(name)
            ours = build(name)
            ours.load_state_dict(theirs.state_dict())
            images = torch.randn(ROWS, *shape).to(memory_format=torch.channels_last)
            for network in (ours, theirs):
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            passes = gain(forward(theirs, images), forward(ours, images), rounds)
            steps = gain(step(theirs, images, fused=True), step(ours, images, fused=True), rounds)
            line += [f"{sum(p.numel() for p in theirs.parameters()):,}", f"{adds:,.0f} M"]
            line += [f"{a:.2f} [{b:.2f}, {c:.2f}]" for a, b, c in (passes, steps)]
        else:
            line += ["by hand, in the tests", f"{adds:,.1f} M", "", ""]
        print(f"| {' | '.join(line)} |", flush=True)


def keeping(run: Callable[[], None], kept: bool) -> Callable[[], None]:
    """A step with freed memory kept, or given back at once as glibc does unless told otherwise."""
    mallopt = ctypes.CDLL("libc.so.6").mallopt

    def told() -> None:
        if kept:
            keep_freed_memory()
        else:
            mallopt(-3, 32 << 20)
            mallopt(-1, 128 << 10)
        run()

    return told


def variants(names: list[str], side: int, rounds: int) -> None:
    """Print how many times as fast each way to train is as plain torch: contiguous, unfused."""
    print("| network | channels last | and fused | and memory kept | and compiled | compiling |")
    print("|---|---|---|---|---|---|")
    for name in names or ["resnet18", "mobilenet_v2", "efficientnet_lite0", "densenet121"]:
        images = torch.randn(TRAINED_ROWS, 3, side, side)
        plain = keeping(step(build(name), images, foreach=False), kept=False)
        last = images.to(memory_format=torch.channels_last)

        def network(name: str = name) -> nn.Module:
            return build(name).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

        unfused = step(network(), last, foreach=False)
        fused = step(network(), last, fused=True)
        compiled = step(torch.compile(network()), last, fused=True)  # type: ignore[arg-type]
        begin = time.perf_counter()
        compiled()
        took = time.perf_counter() - begin
        fused()
        begin = time.perf_counter()
        fused()
        steps = took / (time.perf_counter() - begin)
        ways = [(unfused, False), (fused, False), (fused, True), (compiled, True)]
        found = [gain(plain, keeping(run, kept), rounds) for run, kept in ways]
        line = [name, *(f"{a:.2f} [{b:.2f}, {c:.2f}]" for a, b, c in found), f"{steps:.0f} steps"]
        print(f"| {' | '.join(line)} |", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["table", "variants"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--side", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.what == "table":
        table(options.names, options.side, options.rounds)
    else:
        variants(options.names, options.side or 128, options.rounds)


if __name__ == "__main__":
    main()
