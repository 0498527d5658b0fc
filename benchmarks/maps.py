"""Self-organising maps beside minisom, the map of the digits, and ratings beside their oracle.

    python benchmarks/maps.py [--part throughput] [--part digits] [--part ratings]
        [--rounds 5] [--picture map.png]

``throughput``: maps of equal size learn from equal rows for as many epochs, by Glial's loop (rows
in float32, and in float64 as minisom has them) and by minisom, in turns; the median ratio of rows a
second is printed with the least and the most, and the errors of both maps on the same rows, which
follow the same schedule from the same first vectors. Memory is how far the resident set grows in a
training at most, the rows themselves left out, of each in a process of its own (on Linux).

``digits``: the map of all 60,000 training digits: its errors, and how many test digits are in a
cell whose commonest training class is theirs.

``ratings``: levels, and products of vectors of five numbers, with noise of 0.5. Errors are root
mean squares on rows that nothing was fitted on, beside alternating least squares (whose penalty is
chosen on the validation rows), levels alone, and the mean.

The digits are looked for in the folder that GLIAL_DATA names, as mnist.npz, and in shared/data
beside the repository. minisom is in Glial's ``dev`` extra.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from minisom import MiniSom

import glial
from glial.data.batches import Batch, TensorBatches
from glial.models.som import SOMSettings
from glial.objectives import CompetitiveLearning
from glial.runs.cells import cells_sheet
from glial.training import Loop, TrainSettings

FILE = "mnist.npz"
# Rows, numbers, epochs; pictures are digits, tables are drawn around twenty centres.
SIZES = {"table": (10_000, 16, 2), "pictures": (2_000, 784, 2)}
GRID, RADIUS, RATE = (20, 20), 5.0, 0.5
PARTS = ("throughput", "digits", "ratings")
Floats = np.ndarray[Any, Any]


def digits() -> dict[str, Floats]:
    """The arrays of MNIST."""
    for folder in (os.environ.get("GLIAL_DATA"), Path(__file__).parents[2] / "shared" / "data"):
        if folder is not None and (Path(folder) / FILE).exists():
            with np.load(Path(folder) / FILE, allow_pickle=False) as arrays:
                return {name: np.array(arrays[name]) for name in arrays}
    raise SystemExit(f"set GLIAL_DATA to the folder that holds {FILE}")


def rows_of(kind: str) -> Floats:
    """Rows in float64, [row, number]."""
    count, size, _ = SIZES[kind]
    if kind == "pictures":
        return digits()["train_x"][:count].reshape(count, -1) / 255.0
    random = np.random.default_rng(0)
    centres = 3 * random.normal(size=(20, size))
    return centres[random.integers(0, 20, count)] + random.normal(size=(count, size))


def theirs(rows: Floats, learning: str, epochs: int) -> tuple[float, Callable[[], Any]]:
    """Seconds of minisom, and its map."""
    peer = _peer(rows.shape[1])
    begin = time.perf_counter()
    if learning == "online":
        peer.train(rows, epochs, use_epochs=True)
    else:
        peer.train_batch_offline(rows, epochs)
    return time.perf_counter() - begin, lambda: peer


def _peer(size: int) -> MiniSom:
    return MiniSom(*reversed(GRID), size, sigma=RADIUS, learning_rate=RATE, random_seed=0)


def ours(
    rows: Floats, learning: str, epochs: int, dtype: torch.dtype = torch.float32
) -> tuple[float, Callable[[], Any]]:
    """Seconds of Glial's loop, and its map; first vectors and schedule are minisom's."""
    network: Any = SOMSettings(
        grid=list(GRID),
        topology="rectangular",
        learning="online" if learning == "online" else "batch",
        radius=RADIUS,
        radius_decay="asymptotic",
        rate_decay="asymptotic",
    ).build(rows.shape[1], 0)
    first = _peer(rows.shape[1]).get_weights().swapaxes(0, 1).reshape(-1, rows.shape[1])
    network.to(dtype).prototypes.data.copy_(torch.from_numpy(first.copy()))
    held = torch.from_numpy(rows).to(dtype)
    begin = time.perf_counter()
    settings = TrainSettings(epochs=epochs, batch_size="full", lr=RATE)
    batches = TensorBatches(Batch((held,), held), len(held), seed=0)
    Loop(network, CompetitiveLearning(network, settings, RATE), batches, settings).run()
    return time.perf_counter() - begin, lambda: network


TURNS: dict[str, Callable[..., tuple[float, Callable[[], Any]]]] = {
    "minisom": theirs,
    "float32": ours,
    "float64": partial(ours, dtype=torch.float64),
}


def _grown(which: str, kind: str, learning: str, told: Any) -> None:
    """Put MiB by which a training makes the process larger in a queue."""
    torch.set_num_threads(1)
    rows, epochs = rows_of(kind), SIZES[kind][2]
    first = 64 if kind == "table" else 16
    TURNS[which](rows[:first], learning, 1)  # libraries are loaded
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _kibibytes("VmRSS")
    TURNS[which](rows, learning, epochs)
    told.put((_kibibytes("VmHWM") - before) / 1024)


def _kibibytes(figure: str) -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(figure))


def memory(which: str, kind: str, learning: str) -> float:
    """MiB by which a training makes a process of its own larger, rows left out."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=_grown, args=(which, kind, learning, told))
    process.start()
    grown = float(told.get())
    process.join()
    return grown


def throughput(rounds: int) -> None:
    """Print rows a second, errors and memory of both."""
    print(f"maps of {GRID[0]} x {GRID[1]} cells, one thread; {rounds} rounds in turns")
    print("| rows | learning | minisom, rows/s | Glial float32 | ratio | float64 | ratio |")
    print("|---|---|---|---|---|---|---|")
    for kind, (count, size, epochs) in SIZES.items():
        rows = rows_of(kind)
        for learning in ("online", "batch"):
            seconds: dict[str, list[float]] = {"minisom": [], "float32": [], "float64": []}
            maps: dict[str, Any] = {}
            for number in range(rounds + 1):
                for name in seconds if number % 2 else reversed(seconds):
                    took, found = TURNS[name](rows, learning, epochs)
                    maps[name] = found()
                    if number:  # the first round warms up
                        seconds[name].append(took)
            done = count * epochs
            told = [f"{count:,} x {size}", learning]
            told.append(f"{done / statistics.median(seconds['minisom']):,.0f}")
            for name in ("float32", "float64"):
                pairs = zip(seconds["minisom"], seconds[name], strict=True)
                ratios = sorted(one / other for one, other in pairs)
                told.append(f"{done / statistics.median(seconds[name]):,.0f}")
                middle = statistics.median(ratios)
                told.append(f"{middle:.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})")
            print(f"| {' | '.join(told)} |", flush=True)
            _print_errors(rows, maps)
            grown = {name: memory(name, kind, learning) for name in TURNS}
            parts = ", ".join(f"{name} {size:.0f}" for name, size in grown.items())
            print(f"  memory, MiB: {parts}", flush=True)


def _print_errors(rows: Floats, maps: dict[str, Any]) -> None:
    peer, own = maps["minisom"], maps["float64"]
    generator = torch.Generator().manual_seed(0)
    found = own.measure(torch.from_numpy(rows), generator=generator)
    print(
        f"  quantisation error: Glial {found['quantization_error'].mean():.6f}, "
        f"minisom {peer.quantization_error(rows):.6f}; "
        f"topographic error: {found['topographic_error'].mean():.4f}, "
        f"{peer.topographic_error(rows):.4f}",
        flush=True,
    )


def map_of_digits(picture: str | None) -> None:
    """Train the map of the digits, and say how good it is."""
    arrays = digits()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "digits.npz"
        np.savez(source, x=arrays["train_x"])
        split = {"data.split.train": 0.98, "data.split.val": 0.01, "data.split.test": 0.01}
        chosen = {**split, "model.grid": [24, 24], "doctor.watch": False}
        begin = time.perf_counter()
        run = glial.train(
            source, task="reduce", model="som", epochs=20, out=Path(folder) / "run", set=chosen
        )
        print(f"trained in {time.perf_counter() - begin:.1f} s, reading included")
    print({name: round(value, 4) for name, value in run.metrics["test"].items()})
    print({name: round(value, 4) for name, value in run.metrics["baseline"].items()})
    network: Any = run.model
    scaled = [
        torch.from_numpy(arrays[f"{part}_x"]).float().div(127.5).sub(1)[:, None]
        for part in ("train", "test")
    ]
    with torch.no_grad():
        cells = [network.assign(rows) for rows in scaled]
    classes = [torch.from_numpy(arrays[f"{part}_y"]).long() for part in ("train", "test")]
    counts = torch.zeros(len(network.prototypes), 10)
    counts.index_put_((cells[0], classes[0]), torch.ones(len(cells[0])), accumulate=True)
    right = (counts.argmax(dim=1)[cells[1]] == classes[1]).float().mean()
    print(f"test digits in a cell of their own class: {right:.4f} of {len(cells[1]):,}")
    print(f"cells that no training digit is in: {int((counts.sum(dim=1) == 0).sum())}")
    if picture is not None:
        Path(picture).write_bytes(cells_sheet(run).png())


def ratings(seed: int, users: int, things: int, share: float) -> tuple[Floats, Floats, Floats]:
    """Users, things and what they are given."""
    random = np.random.default_rng(seed)
    of_users = random.normal(size=(users, 5))
    of_things = random.normal(size=(things, 5)) / np.sqrt(5)
    levels = 0.5 * random.normal(size=(users, 1)) + 0.5 * random.normal(size=(1, things))
    user, thing = np.nonzero(random.random((users, things)) < share)
    order = random.permutation(len(user))
    user, thing = user[order], thing[order]
    given = (3.5 + levels + of_users @ of_things.T)[user, thing]
    return user, thing, given + 0.5 * random.normal(size=len(user))


def alternating(
    user: Floats, thing: Floats, given: Floats, counts: tuple[int, int], rank: int, ridge: float
) -> Callable[[Floats, Floats], Floats]:
    """What least squares of users and things in turns say."""
    random, mean = np.random.default_rng(0), given.mean()
    sides = [np.c_[0.1 * random.normal(size=(n, rank)), np.zeros(n)] for n in counts]
    for _ in range(30):
        for side, (own, other) in enumerate([(user, thing), (thing, user)]):
            across = sides[1 - side][other]
            design = np.c_[across[:, :rank], np.ones(len(own))]
            gram = np.zeros((counts[side], rank + 1, rank + 1))
            moment = np.zeros((counts[side], rank + 1))
            np.add.at(gram, own, design[:, :, None] * design[:, None])
            np.add.at(moment, own, design * (given - mean - across[:, rank])[:, None])
            gram += ridge * np.eye(rank + 1)
            sides[side] = np.linalg.solve(gram, moment[:, :, None])[:, :, 0]

    def told(user: Floats, thing: Floats) -> Floats:
        one, other = sides[0][user], sides[1][thing]
        products = (one[:, :-1] * other[:, :-1]).sum(axis=1)
        return np.asarray(mean + one[:, -1] + other[:, -1] + products)

    return told


def factorization() -> None:
    """Print errors of ratings that nothing was fitted on."""
    print("| ratings | mean | levels | least squares | matrix_factorization | noise | seconds |")
    print("|---|---|---|---|---|---|---|")
    for seed, users, things, share in [
        (0, 600, 400, 0.08),
        (1, 600, 400, 0.08),
        (2, 600, 400, 0.2),
    ]:
        user, thing, given = ratings(seed, users, things, share)
        edges = [int(0.7 * len(user)), int(0.85 * len(user))]
        split = [np.split(part, edges) for part in (user, thing, given)]
        train, val, test = parts = list(zip(*split, strict=True))

        def error(predict: Callable[[Floats, Floats], Floats], rows: Any) -> float:
            return float(np.sqrt(np.mean((predict(*rows[:2]) - rows[2]) ** 2)))

        counts = users, things
        solutions = [alternating(*train, counts, 5, ridge) for ridge in (0.3, 1.0, 2.0, 3.0)]
        best = min(solutions, key=lambda one: error(one, val))
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name, rows in zip(("train", "val", "test"), parts, strict=True):
                columns = {
                    "user": [f"u{n}" for n in rows[0]],
                    "thing": [f"t{n}" for n in rows[1]],
                    "stars": rows[2],
                }
                paths.append(Path(folder) / f"{name}.csv")
                pl.DataFrame(columns).write_csv(paths[-1])
            begin = time.perf_counter()
            run = glial.train(
                paths[0],
                "stars",
                model="matrix_factorization",
                val=paths[1],
                test=paths[2],
                out=False,
                set={"model.size": 5},
            )
            took = time.perf_counter() - begin
        levels = alternating(*train, counts, 0, 1.0)
        told = [np.std(test[2] - train[2].mean()), error(levels, test), error(best, test)]
        told += [run.metrics["test"]["rmse"], 0.5, took]
        print(f"| {len(given):,} of {users * things:,} | ", end="")
        print(" | ".join(f"{value:.3f}" for value in told), "|", flush=True)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--picture", metavar="FILE.png")
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts = options.part or PARTS
    if "throughput" in parts:
        throughput(options.rounds)
    if "digits" in parts:
        map_of_digits(options.picture)
    if "ratings" in parts:
        factorization()


if __name__ == "__main__":
    main()
