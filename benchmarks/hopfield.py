"""What Hopfield networks hold, what Boltzmann machines solve, and what a deep one makes of digits.

    python benchmarks/hopfield.py recall [--pictures FOLDER]
    python benchmarks/hopfield.py capacity [--units 500 1000 2000] [--loads 0.14 0.15]
        [--seeds 2] [--pictures FOLDER]
    python benchmarks/hopfield.py problems [--seeds 2]
    python benchmarks/hopfield.py dbm [--rows 20000] [--epochs 12] [--sizes 256 256]
        [--pictures FOLDER]

``recall`` stores ten digits of scikit-learn's and calls them up from noisy ones. ``capacity``
starts networks that store independent patterns by Hebb's rule at each pattern, and asks how much
of it is left when nothing changes any more. ``problems`` cools Boltzmann machines that stand for
cuts of graphs and round trips, beside the answers by going through all, and beside plain
simulated annealing. ``dbm`` trains a deep Boltzmann machine on MNIST (``mnist.npz``, looked for
in the folder ``GLIAL_DATA``) and gives digits back that it never saw, beside principal
components.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glial.core.seeds import torch_generator
from glial.functional import (
    anneal,
    cooling,
    cut_machine,
    cut_value,
    hebbian_couplings,
    largest_cut,
    pseudo_inverse_couplings,
    recall,
    shortest_tour,
    simulated_annealing,
    tour_length,
    tour_machine,
    tour_of,
    with_a_part_turned,
    with_one_moved,
)

LOADS = (0.08, 0.10, 0.11, 0.12, 0.13, 0.135, 0.14, 0.145, 0.15, 0.16, 0.18, 0.20)
KEPT = 0.9  # an overlap from which on a pattern counts as kept


def noisy_digits(options: argparse.Namespace) -> None:
    """Print what share of pixels is right, and draw stored, noisy and recalled digits."""
    from PIL import Image
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    first = [int((classes == number).argmax()) for number in range(10)]
    stored = torch.where(torch.from_numpy(images[first]).float() > 7, 1.0, -1.0)
    turned = torch.rand(stored.shape, generator=torch.Generator().manual_seed(0)) < 0.15
    noisy = torch.where(turned, -stored, stored)
    shown = [stored, noisy]
    for make in (hebbian_couplings, pseudo_inverse_couplings):
        shown.append(recall(noisy, make(stored)).states)
        print(f"{make.__name__}: {float((shown[-1] == stored).float().mean()):.3f} of pixels right")
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        sheet = torch.stack(shown).view(4, 10, 8, 8)
        sheet = torch.nn.functional.pad(sheet, (1, 1, 1, 1), value=-1.0)
        lines = sheet.transpose(1, 2).reshape(40, 100)
        grey = ((1 - lines) * 127.5).byte().numpy().repeat(5, axis=0).repeat(5, axis=1)
        Image.fromarray(grey).save(options.pictures / "hopfield-recall.png", optimize=True)


def overlaps(units: int, load: float, seed: int) -> Tensor:
    """How much of each stored pattern is left, [pattern]: 1 is all, 0 no more than by chance."""
    generator = torch_generator(seed, "patterns", units, load)
    patterns = torch.randint(0, 2, (round(load * units), units), generator=generator) * 2.0 - 1
    found = recall(patterns, hebbian_couplings(patterns), sweeps=100)
    return (found.states * patterns).mean(dim=1)


def capacity(options: argparse.Namespace) -> None:
    """Print what share of patterns is kept at each load, and where half of them are."""
    table: dict[int, list[float]] = {}
    loads = options.loads
    for units in options.units:
        start = time.monotonic()
        shares, means = [], []
        for load in loads:
            found = torch.cat([overlaps(units, load, seed) for seed in range(options.seeds)])
            shares.append(float((found > KEPT).float().mean()))
            means.append(float(found.mean()))
        table[units] = shares
        print(f"{units} units, {options.seeds} draws, {time.monotonic() - start:.0f} s")
        print("  load:         " + " ".join(f"{load:6.3f}" for load in loads))
        print("  mean overlap: " + " ".join(f"{mean:6.3f}" for mean in means))
        print("  kept:         " + " ".join(f"{share:6.3f}" for share in shares))
        print(f"  half of the patterns are kept at {_crossing(loads, shares):.4f}", flush=True)
    for few, many in itertools.pairwise(table):
        load = _meeting(loads, table[few], table[many])
        print(f"curves of {few} and {many} units cross at {load:.4f}")
    print("theory, of ever more units: 0.138 (Amit, Gutfreund, Sompolinsky 1985)")
    if options.pictures:
        draw_capacity(loads, table, options.pictures / "hopfield-capacity.svg")


def _crossing(loads: list[float], shares: list[float]) -> float:
    """The load at which a half is crossed, between the loads that were looked at."""
    for number in range(1, len(shares)):
        high, low = shares[number - 1], shares[number]
        if high >= 0.5 > low:
            part = (high - 0.5) / (high - low)
            return loads[number - 1] + part * (loads[number] - loads[number - 1])
    return float("nan")


def _meeting(loads: list[float], few: list[float], many: list[float]) -> float:
    """The last load from which on fewer patterns are kept by the larger network."""
    gaps = [large - small for small, large in zip(few, many, strict=True)]
    for number in range(len(loads) - 1, 0, -1):
        high, low = gaps[number - 1], gaps[number]
        if high >= 0 > low:
            return loads[number - 1] + high / (high - low) * (loads[number] - loads[number - 1])
    return float("nan")


def draw_capacity(loads: list[float], table: dict[int, list[float]], path: Path) -> None:
    """Curves of the share kept over the load, a line for each size, as an SVG picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height, edge = 480, 260, 40
    first, last = loads[0], loads[-1]

    def place(load: float, share: float) -> tuple[float, float]:
        x = edge + (load - first) / (last - first) * (width - 2 * edge)
        return x, height - edge - share * (height - 2 * edge)

    shades = ["#9ecae1", "#4292c6", "#08519c", "#041f4a"]
    lines = []
    x, low = place(0.138, 0)
    lines.append(f'<path d="M{x:.1f},{low:.1f}V{edge}" stroke="#888" stroke-dasharray="4 3"/>')
    lines.append(f'<text x="{x + 4:.1f}" y="{edge + 4}">0.138</text>')
    for shade, (units, shares) in zip(shades, table.items(), strict=False):
        points = " ".join(
            f"{x:.1f},{y:.1f}"
            for x, y in (place(*pair) for pair in zip(loads, shares, strict=True))
        )
        lines.append(f'<polyline points="{points}" fill="none" stroke="{shade}" stroke-width="2"/>')
        row = len(lines) * 14 + 90
        lines.append(f'<text x="{edge + 8}" y="{row}" fill="{shade}">{units} units</text>')
    for load in (0.08, 0.10, 0.12, 0.14, 0.16, 0.18, 0.20):
        x, y = place(load, 0)
        lines.append(f'<text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{load:.2f}</text>')
    for share in (0.0, 0.5, 1.0):
        _, y = place(first, share)
        lines.append(f'<text x="{edge - 6}" y="{y + 4:.1f}" text-anchor="end">{share:.1f}</text>')
    lines.append(
        f'<text x="{width / 2}" y="{height - 4}" text-anchor="middle">patterns a unit</text>'
    )
    lines.append(f'<text x="{edge}" y="{edge - 16}">share of patterns that are kept</text>')
    style = "font: 12px sans-serif; background: white"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" style="{style}">'
    )
    path.write_text("\n".join([head, *lines, "</svg>"]) + "\n")


def random_graph(nodes: int, seed: int) -> Tensor:
    """A graph with half of all edges, each of worth 1."""
    generator = torch_generator(seed, "graph", nodes)
    edges = (torch.rand(nodes, nodes, generator=generator) < 0.5).double().triu(1)
    return edges + edges.T


def random_cities(count: int, seed: int) -> Tensor:
    """Distances between places drawn in a square of side 1."""
    places = torch.rand(count, 2, generator=torch_generator(seed, "cities", count)).double()
    distances = torch.cdist(places, places)
    return (distances + distances.T) / 2


def problems(options: argparse.Namespace) -> None:
    """Print how often each way finds the best answer, how far it is off, and its seconds."""
    print(f"{options.seeds} draws each; a share of the best, best answers found, seconds")
    for nodes in (16, 20, 40):
        told: dict[str, list[tuple[float, float]]] = {}
        for seed in range(options.seeds):
            weights = random_graph(nodes, seed)
            answers = dict(_cut_answers(weights, seed))
            best = max(value for value, _ in answers.values())
            for name, (value, seconds) in answers.items():
                told.setdefault(name, []).append((value / best, seconds))
        _print_answers(f"cut of {nodes} nodes", told)
    for count in (6, 8, 10):
        told = {}
        for seed in range(options.seeds):
            distances = random_cities(count, seed)
            answers = dict(_tour_answers(distances, seed))
            best = min(value for value, _ in answers.values())
            for name, (value, seconds) in answers.items():
                told.setdefault(name, []).append((value / best, seconds))
        _print_answers(f"round trip of {count} cities", told)


def _cut_answers(weights: Tensor, seed: int) -> Any:
    if len(weights) <= 20:
        start = time.monotonic()
        worth = largest_cut(weights)[0]
        yield "going through all", (worth, time.monotonic() - start)
    start = time.monotonic()
    machine = cut_machine(weights)
    found = anneal(*machine[:2], cooling(100, 4.0, 0.2), generator=torch_generator(seed))
    yield "Boltzmann machine", (-float(found.energies.min()), time.monotonic() - start)
    start = time.monotonic()
    _, energy = simulated_annealing(
        torch.zeros(len(weights)).double(),
        lambda sides: -float(cut_value(weights, sides[None])),
        with_one_moved,
        cooling(3000, 4.0, 0.2),
        generator=torch_generator(seed),
    )
    yield "simulated annealing", (-energy, time.monotonic() - start)


def _tour_answers(distances: Tensor, seed: int) -> Any:
    start = time.monotonic()
    yield "going through all", (shortest_tour(distances)[0], time.monotonic() - start)
    start = time.monotonic()
    machine = tour_machine(distances)
    found = anneal(
        *machine[:2], cooling(1000, 0.8, 0.03), generator=torch_generator(seed), num_chains=64
    )
    tour = tour_of(found.states[found.energies.argmin()])
    length = float("inf") if tour is None else tour_length(distances, tour)
    yield "Boltzmann machine", (length, time.monotonic() - start)
    start = time.monotonic()
    _, length = simulated_annealing(
        torch.arange(len(distances)),
        lambda order: tour_length(distances, order),
        with_a_part_turned,
        cooling(3000, 0.5, 0.01),
        generator=torch_generator(seed),
    )
    yield "simulated annealing", (length, time.monotonic() - start)


def _print_answers(title: str, told: dict[str, list[tuple[float, float]]]) -> None:
    print(title)
    for name, found in told.items():
        shares = [share for share, _ in found]
        hits = sum(abs(share - 1) < 1e-9 for share in shares)
        seconds = statistics.mean(second for _, second in found)
        mean = statistics.mean(shares)
        print(f"  {name:20} {mean:.4f}  {hits} of {len(found)}  {seconds:.2f} s", flush=True)


def dbm(options: argparse.Namespace) -> None:
    """Train on digits, and print how they are given back and how likely they are."""
    from sklearn.decomposition import PCA

    import glial

    folder = Path(os.environ.get("GLIAL_DATA", "shared/data"))
    with np.load(folder / "mnist.npz") as arrays:
        train, test = arrays["train_x"][: options.rows], arrays["test_x"][: options.tested]
        parts = {"train_x": train, "test_x": test}
        parts |= {"val_x": arrays["train_x"][-500:]}
        parts |= {name.replace("x", "y"): np.zeros(len(part), int) for name, part in parts.items()}
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "digits.npz"
        np.savez(source, **parts)
        settings = {"model.hidden_sizes": options.sizes, "train.epochs": options.epochs}
        start, worked = time.monotonic(), time.process_time()
        run = glial.train(
            str(source), task="generate", model="dbm", set=settings, out=options.out or False
        )
        wall, worked = time.monotonic() - start, time.process_time() - worked
    print(f"{len(train)} digits, {run.plan.train.epochs} epochs, layers {options.sizes}: ", end="")
    print(f"{wall:.0f} s, {worked:.0f} s of processor time, judged beside")
    for name, value in run.metrics["test"].items():
        trivial = run.metrics["baseline"].get(name, float("nan"))
        print(f"  {name}: {value:.4f} (baseline {trivial:.4f})")
    network: Any = run.model
    estimate = network.estimate_partition(generator=torch_generator(1))
    print(
        f"  log partition: {estimate.log_partition:.2f}, {estimate.low:.2f} to {estimate.high:.2f}"
    )
    pixels = torch.from_numpy(test).float().reshape(-1, 1, 28, 28) / 127.5 - 1
    greys, unseen = (part.reshape(len(part), -1) / 255 for part in (train, test))
    shares = greys.mean(axis=0).clip(1e-4, 1 - 1e-4)
    alone = float((unseen * np.log(shares) + (1 - unseen) * np.log(1 - shares)).sum(axis=1).mean())
    print(f"  independent pixels: log_probability {alone:.2f}")
    flat = train.reshape(len(train), -1) / 127.5 - 1
    for count in (options.sizes[-1], 50, 100):
        if count < 784:
            components = PCA(count, random_state=0).fit(flat)
            shown = components.inverse_transform(components.transform(pixels.flatten(1).numpy()))
            error = float(np.square(np.clip(shown, -1, 1) - pixels.flatten(1).numpy()).mean())
            print(f"  {count} principal components: reconstruction_error {error:.4f}")
    if options.pictures:
        with torch.no_grad():
            draw_digits(network, pixels, options.pictures)


def draw_digits(network: Any, pixels: Tensor, folder: Path) -> None:
    """Digits above what is given back for them, and samples, as PNG files."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    pairs = torch.stack([pixels[:20], network.reconstruct(pixels[:20])], dim=1)
    pairs = pairs.view(2, 10, 2, 28, 28).transpose(1, 2).reshape(-1, 28, 28)
    samples = network.sample(40, generator=torch_generator(0, "pictures"), steps=2000)
    for name, images in (("reconstructions", pairs), ("samples", samples)):
        lines = images.reshape(-1, 10, 28, 28).transpose(1, 2).reshape(-1, 280)
        grey = ((lines + 1) * 127.5).round().byte().numpy()
        Image.fromarray(255 - grey).save(folder / f"dbm-{name}.png", optimize=True)


def main() -> None:
    """Measure and print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["recall", "capacity", "problems", "dbm"])
    parser.add_argument("--units", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--loads", type=float, nargs="+", default=list(LOADS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--tested", type=int, default=1_000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 256])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ways = {"recall": noisy_digits, "capacity": capacity, "problems": problems, "dbm": dbm}
    ways[options.what](options)


if __name__ == "__main__":
    main()
