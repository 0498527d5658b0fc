"""Restricted Boltzmann machines beside scikit-learn's, and what layers learnt one by one are worth.

    python benchmarks/boltzmann.py throughput [--rounds 5] [--rows 10000] [--hidden 256]
    python benchmarks/boltzmann.py likelihood [--epochs 10] [--rows 20000] [--hidden 256]
    python benchmarks/boltzmann.py pretraining [--epochs 20] [--rows 60000] [--seeds 1]
    python benchmarks/boltzmann.py pictures RUN OUT

`throughput`: one epoch of persistent contrastive divergence of as many hidden units in batches of
100, by Glial's loop (draws, history and all) and by `BernoulliRBM.fit`, in turns, with 64 bits (as
it takes pixels divided by 255) and with 32, and in batches of 10, its default; rows a second, the
median ratio, and by how much a process of each grows that does nothing else. `likelihood`: both on
the same binary digits for the same number of epochs, each by its own optimiser; the log probability
of 2,000 test digits with partition functions from 200 annealed chains of 5,000 steps, and three
standard errors. `pretraining`: the same network of logistic layers with and without a share of
training in which layers learn one by one. `pictures`: filters and samples of a run of `rbm`, as PNG
files.

The digits are looked for in the folder that GLIAL_DATA names, as mnist.npz, and in shared/data
beside the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.neural_network import BernoulliRBM

import glial
from glial.data.batches import Batch, TensorBatches
from glial.functional import RBMWeights, annealed_log_partition
from glial.functional.rbm import rbm_free_energy
from glial.models.rbm import RBMSettings, RestrictedBoltzmann
from glial.objectives import ContrastiveDivergence
from glial.training import Loop, TrainSettings

FILE = "mnist.npz"
BATCH = 100
SIDE = 28
Array = np.ndarray[Any, Any]


def digits(split: str, rows: int) -> tuple[Array, Array]:
    """Pixels of 8 bits, [row, height, width], and classes."""
    for folder in (os.environ.get("GLIAL_DATA"), Path(__file__).parents[2] / "shared" / "data"):
        if folder is not None and (Path(folder) / FILE).exists():
            with np.load(Path(folder) / FILE, allow_pickle=False) as arrays:
                return arrays[f"{split}_x"][:rows], arrays[f"{split}_y"][:rows]
    raise SystemExit(f"set GLIAL_DATA to the folder that holds {FILE}")


def trained(pixels: Array, hidden: int, epochs: int = 1, lr: float = 0.002) -> RestrictedBoltzmann:
    """A machine after some epochs; pixels from 0 to 1 are learnt from as they are."""
    rows = torch.from_numpy(pixels.astype(np.float32))[:, None] * 2 - 1
    torch.manual_seed(0)
    settings = RBMSettings(hidden_size=hidden, persistent=True, greys=True)
    network = settings.build(images=[[1, SIDE, SIDE]])
    network.start(rows[:2048])

    def draw(batch: Batch, seed: int) -> Batch:
        drawn = network.draw(*batch.inputs, generator=torch.Generator().manual_seed(seed))
        return Batch(drawn.inputs, drawn.target)

    plan = TrainSettings(optimizer="adam", schedule="cosine", epochs=epochs, batch_size=BATCH)
    batches = TensorBatches(Batch((rows,), torch.zeros(len(rows))), BATCH, seed=0, augment=draw)
    Loop(network, ContrastiveDivergence(network, plan, lr=lr), batches, plan).run()
    return network


def peer(
    pixels: Array, hidden: int, epochs: int = 1, lr: float = 0.1, batch: int = BATCH
) -> BernoulliRBM:
    """scikit-learn's machine after as many."""
    own = BernoulliRBM(hidden, learning_rate=lr, batch_size=batch, n_iter=epochs, random_state=0)
    return own.fit(pixels.reshape(len(pixels), -1))


def learn(which: str, rows: int, hidden: int) -> float:
    """Rows a second of one contestant."""
    kind = np.float64 if which.startswith("sklearn64") else np.float32
    pixels = (digits("train", rows)[0] / 255).astype(kind)
    begin = time.perf_counter()
    if which == "glial":
        trained(pixels, hidden)
    else:
        peer(pixels, hidden, batch=10 if which.endswith("by 10") else BATCH)
    return rows / (time.perf_counter() - begin)


def growth(which: str, rows: int, hidden: int) -> float:
    """By how many MiB a process grows that learns, over one that has read the digits."""
    code = (
        "import re, sys; sys.path.insert(0, sys.argv[1]); import boltzmann as b\n"
        "which, rows, hidden = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])\n"
        "b.learn(which, 200, hidden)\n"
        "kind = b.np.float64 if which[:9] == 'sklearn64' else b.np.float32\n"
        "pixels = (b.digits('train', rows)[0] / 255).astype(kind)\n"
        "def read(key):\n"
        "    text = open('/proc/self/status').read()\n"
        "    return int(re.search(key + r':\\s+(\\d+)', text)[1])\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        "before = read('VmRSS')\n"
        "(b.trained if which == 'glial' else b.peer)(pixels, hidden)\n"
        "print(read('VmHWM') - before)\n"
    )
    words = [sys.executable, "-c", code, str(Path(__file__).parent), which, str(rows), str(hidden)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return int(said.split()[-1]) / 1024


def throughput(options: argparse.Namespace) -> None:
    """Rows a second of each, in turns, and its memory."""
    names = ["glial", "sklearn64", "sklearn32", "sklearn64 by 10"]
    speeds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        learn(name, 500, options.hidden)  # what is loaded by the first
    for number in range(options.rounds):
        for name in names if number % 2 else names[::-1]:
            speeds[name].append(learn(name, options.rows, options.hidden))
    print(
        f"{options.rows:,} rows, {options.hidden} hidden units, batches of {BATCH}, "
        f"{torch.get_num_threads()} threads"
    )
    print("| | rows a second | times | least to most | MiB more |\n|---|---|---|---|---|")
    for name in names:
        ratios = [a / b for a, b in zip(speeds["glial"], speeds[name], strict=True)]
        median = statistics.median(speeds[name])
        more = growth(name, options.rows, options.hidden)
        print(
            f"| {name} | {median:,.0f} | {statistics.median(ratios):.2f} | "
            f"{min(ratios):.2f} to {max(ratios):.2f} | {more:.0f} |",
            flush=True,
        )


def likelihood(options: argparse.Namespace) -> None:
    """Log probabilities of test digits under both."""

    def binary(split: str, rows: int, seed: int) -> Array:
        pixels = digits(split, rows)[0] / 255
        drawn = np.random.default_rng(seed).random(pixels.shape) < pixels
        return drawn.astype(np.float32)

    train, test = binary("train", options.rows, 0), binary("test", 2000, 1)
    means = torch.from_numpy(train.reshape(len(train), -1).mean(axis=0)).clamp(0.01, 0.99)
    base = torch.logit(means)
    machines: dict[str, tuple[RBMWeights, float]] = {}
    begin = time.perf_counter()
    network = trained(train, options.hidden, options.epochs, lr=options.lr)
    machines[f"glial, Adam {options.lr}, cosine"] = (network.machine, time.perf_counter() - begin)
    for lr in (0.1, 0.05, 0.01):
        begin = time.perf_counter()
        own = peer(train, options.hidden, options.epochs, lr)
        seconds = time.perf_counter() - begin
        parts = (own.components_, own.intercept_visible_, own.intercept_hidden_)
        weights = RBMWeights(*(torch.from_numpy(part).float() for part in parts))
        machines[f"scikit-learn, rate {lr}"] = (weights, seconds)
    print("| | log probability, nats | interval | seconds |\n|---|---|---|---|")
    rows = torch.from_numpy(test.reshape(len(test), -1))
    for name, (machine, seconds) in machines.items():
        with torch.no_grad():
            mean = -float(rbm_free_energy(machine, rows).mean())
            found = annealed_log_partition(
                machine,
                generator=torch.Generator().manual_seed(0),
                chains=200,
                temperatures=5000,
                base=base,
            )
        print(
            f"| {name} | {mean - found.log_partition:.1f} | {mean - found.high:.1f} to "
            f"{mean - found.low:.1f} | {seconds:.0f} |",
            flush=True,
        )


def pretraining(options: argparse.Namespace) -> None:
    """Test errors with and without layers learnt one by one."""
    train, classes = digits("train", options.rows)
    test, others = digits("test", 10_000)
    print("| share | seed | test error, per cent | seconds |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "digits.npz"
        np.savez(source, train_x=train, train_y=classes, test_x=test, test_y=others)
        for seed in range(options.seeds):
            for share in (options.share, 0.0):
                run = glial.train(
                    source,
                    target="y",
                    model="dbn",
                    epochs=options.epochs,
                    out=False,
                    set={
                        "model.hidden_sizes": options.layers,
                        "model.pretraining_share": share,
                        "train.seed": seed,
                        "doctor.watch": False,
                    },
                )
                error = 100 * (1 - run.metrics["test"]["accuracy"])
                print(f"| {share} | {seed} | {error:.2f} | {run.seconds:.0f} |", flush=True)


def pictures(options: argparse.Namespace) -> None:
    """Filters and samples of a run."""
    from glial.runs.unlabelled.making import grid_of, png_of

    run = glial.load(options.run)
    network: Any = run.model
    with torch.no_grad():
        weights = network.weight.reshape(-1, 1, SIDE, SIDE)[:100]
        bright = weights / weights.abs().amax(dim=(1, 2, 3), keepdim=True)
        filters = (127.5 * (bright + 1)).to(torch.uint8)
        made = network.sample(50, generator=torch.Generator().manual_seed(0), steps=2000)
        samples = (127.5 * (made + 1)).to(torch.uint8)
    out = Path(options.out)
    for name, images, columns in (("filters", filters, 20), ("samples", samples, 10)):
        (out / f"rbm-{name}.png").write_bytes(png_of(grid_of(images, columns)))
    print(json.dumps({"pictures": str(out)}))


def main() -> None:
    """The verbs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    verbs = parser.add_subparsers(required=True)
    for function in (throughput, likelihood, pretraining):
        verb = verbs.add_parser(function.__name__)
        verb.set_defaults(function=function)
        verb.add_argument("--rows", type=int, default=60_000 if function is pretraining else 10_000)
        verb.add_argument("--hidden", type=int, default=256)
        verb.add_argument("--rounds", type=int, default=5)
        verb.add_argument("--epochs", type=int, default=20 if function is pretraining else 10)
        verb.add_argument("--lr", type=float, default=0.005)
        verb.add_argument("--layers", type=int, nargs="+", default=[500, 500])
        verb.add_argument("--share", type=float, default=0.2)
        verb.add_argument("--seeds", type=int, default=1)
    verb = verbs.add_parser("pictures")
    verb.set_defaults(function=pictures)
    verb.add_argument("run")
    verb.add_argument("out")
    options = parser.parse_args()
    options.function(options)


if __name__ == "__main__":
    main()
