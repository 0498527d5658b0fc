"""How far back networks remember: the adding problem and the copy task, by length.

python benchmarks/memory.py [--lengths 50 100 200 400] [--steps 1500] [--seeds 1] [--out FOLDER]

Prints a line a network, task, length and seed: the mean squared error of the adding problem (who
always says 1 has 0.167), the accuracy of copying 3 symbols of 4 (who guesses has 0.25), and the
seconds of processor time; then what truncated backpropagation costs. With --out it draws the
gradient over time of each untrained network as an SVG.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from glial.data.memory_tasks import adding_problem, copy_task
from glial.models import build
from glial.nn import detached, draw_gradients, gradients_over_time

SIZE, BATCH, RATE = 32, 64, 3e-3
NETWORKS = ("rnn", "gru", "lstm", "attention")


def network(name: str, task: str, length: int) -> nn.Module:
    """A network of one layer; gates are told how long to remember, attention needs no telling."""
    shape: dict[str, Any] = {"num_outputs": 1, "sequences": [[2]]}
    if task == "copy":
        shape = {"num_outputs": 4, "sequences": [[6]], "each_step": True}
    shape |= {"size": SIZE, "dropout": 0.0}
    if name == "attention":
        layers = 2 if task == "copy" else 1
        return build("sequence_transformer", layers=layers, heads=2, **shape)
    memory = None if name == "rnn" else length
    kind = {"unit": name, "bidirectional": False, "memory": memory, "pooling": "last"}
    return build("sequence_rnn", **kind, **shape)


def loss_of(model: nn.Module, task: str, length: int, generator: torch.Generator) -> torch.Tensor:
    """The loss of a new batch."""
    if task == "adding":
        steps, sums = adding_problem(BATCH, length, generator)
        return nn.functional.mse_loss(model(steps), sums)
    steps, symbols = copy_task(BATCH, length, generator)
    said = model(steps)[:, -symbols.shape[1] :]
    return nn.functional.cross_entropy(said.flatten(0, 1), symbols.flatten())


@torch.no_grad()
def score_of(model: nn.Module, task: str, length: int, generator: torch.Generator) -> float:
    """The error of the sums, or the share of symbols that are right, on 1,000 new rows."""
    model.eval()
    if task == "adding":
        steps, sums = adding_problem(1000, length, generator)
        return float(nn.functional.mse_loss(model(steps), sums))
    steps, symbols = copy_task(1000, length, generator)
    said = model(steps)[:, -symbols.shape[1] :].argmax(dim=2)
    return float((said == symbols).float().mean())


def trained(name: str, task: str, length: int, steps: int, seed: int) -> tuple[float, float]:
    """The score of a network after so many steps, and their seconds of processor time."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = network(name, task, length)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    begin = time.process_time()
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(model, task, length, generator).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return score_of(model, task, length, generator), time.process_time() - begin


def curve(name: str, length: int) -> torch.Tensor:
    """The gradient over time of an untrained network on the adding problem."""
    torch.manual_seed(0)
    model = network(name, "adding", length)
    layer = model.embedding if name == "attention" else model.recurrent
    generator = torch.Generator().manual_seed(0)
    return gradients_over_time(layer, lambda: loss_of(model, "adding", length, generator))


def truncated_cost(length: int, window: int) -> tuple[float, int]:
    """Seconds of processor time of a step on a long sequence, and the bytes kept for going back."""
    torch.manual_seed(0)
    layer = build("sequence_rnn", num_outputs=1, sequences=[[2]], unit="lstm", bidirectional=False)
    steps = torch.randn(BATCH, length, 2)
    kept, largest = 0, 0

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    begin = time.process_time()
    state = None
    for part in steps.split(window, dim=1):
        kept = 0
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            states, state = layer.recurrent(part, state=state)
            states.square().mean().backward()
        state, largest = detached(state), max(largest, kept)
    return time.process_time() - begin, largest


def main() -> None:
    """Train, judge, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", type=int, nargs="+", default=[50, 100, 200, 400])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--tasks", nargs="+", default=["adding", "copy"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for length in options.lengths:
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            curves = {name: curve(name, length) for name in options.networks}
            (options.out / f"gradients-{length}.svg").write_text(draw_gradients(curves))
            told = {name: f"{float(c[0] / c.max()):.1e}" for name, c in curves.items()}
            print(f"{length} steps, gradient at the first as a share of the largest: {told}")
        for task in options.tasks:
            for name in options.networks:
                for seed in range(options.seeds):
                    score, seconds = trained(name, task, length, options.steps, seed)
                    said = f"{task:6} {length:4} {name:9} seed {seed}: {score:.4f}"
                    print(f"{said}  ({seconds:.0f} s)", flush=True)
    for window in (400, 100, 25):
        seconds, size = truncated_cost(400, window)
        print(f"LSTM over 400 steps, windows of {window}: {seconds:.2f} s, {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
