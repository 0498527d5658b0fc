"""Time of explainers beside shap's and captum's, on the same network in one run.

Every section explains the same rows of the same network with the same settings; contestants of a
section take turns, with one thread, and the median of the rounds counts. What is compared must be
about the same: the greatest difference between contestants is printed beside the times, and how
many rows each put to the network.

    python benchmarks/explainers.py [--sections kernel ...] [--rounds 5] [--quick]

Results are appended to ``benchmarks/results/explainers.jsonl``. Needs shap and captum (the
``dev`` extra). ``--quick`` is a smoke run, its numbers mean nothing. A section is a line of
``SECTIONS``; the first contestant is Glial's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

RESULTS = Path(__file__).parent / "results" / "explainers.jsonl"

Explain = Callable[[], Any]


@dataclass
class Network:
    """A network, the rows to explain, those to compare with, and a count of what was asked."""

    num_features: int
    num_rows: int
    num_background: int
    asked: int = 0
    model: nn.Module = field(init=False)
    rows: Any = field(init=False)
    background: Any = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        sizes = (self.num_features, 64, 64, 1)
        pairs = itertools.pairwise(sizes)
        layers = [layer for a, b in pairs for layer in (nn.Tanh(), nn.Linear(a, b))]
        self.model = nn.Sequential(*layers[1:]).eval()
        generator = np.random.default_rng(0)
        self.rows = generator.normal(size=(self.num_rows, self.num_features))
        self.background = generator.normal(size=(self.num_background, self.num_features))

    def predict(self, rows: Any) -> Any:
        """The network as a function of arrays."""
        self.asked += len(rows)
        with torch.no_grad():
            return self.model(torch.from_numpy(np.asarray(rows, dtype=np.float32)))[:, 0].numpy()


@dataclass
class Contestant:
    """A way to explain, which gives values [row, feature]."""

    name: str
    explain: Explain


def exact(small: bool) -> tuple[Network, list[Contestant]]:
    """Shapley values over all coalitions."""
    import shap

    from glial.explanation import exact_shap

    net = Network(8 if small else 10, 2 if small else 10, 20)
    masker = shap.maskers.Independent(net.background, max_samples=len(net.background))
    theirs = shap.explainers.ExactExplainer(net.predict, masker)
    return net, [
        Contestant("glial", lambda: exact_shap(net.predict, net.rows, net.background).values),
        Contestant("shap", lambda: theirs(net.rows, silent=True).values),
    ]


def kernel(small: bool) -> tuple[Network, list[Contestant]]:
    """Kernel SHAP, 500 coalitions a row."""
    import shap

    from glial.explanation import kernel_shap

    net = Network(14, 2 if small else 10, 50)
    theirs = shap.KernelExplainer(net.predict, net.background)

    def by_glial() -> Any:
        return kernel_shap(net.predict, net.rows, net.background, num_samples=500).values

    def by_shap() -> Any:
        return theirs.shap_values(net.rows, nsamples=500, l1_reg=0, silent=True)

    return net, [Contestant("glial", by_glial), Contestant("shap", by_shap)]


def permutation(small: bool) -> tuple[Network, list[Contestant]]:
    """Ten orders forwards and backwards."""
    import shap

    from glial.explanation import permutation_shap

    net = Network(14, 2 if small else 10, 50)
    masker = shap.maskers.Independent(net.background, max_samples=len(net.background))
    theirs = shap.explainers.PermutationExplainer(net.predict, masker)
    evaluations = 10 * (2 * net.num_features + 1)

    def by_glial() -> Any:
        return permutation_shap(net.predict, net.rows, net.background).values

    def by_shap() -> Any:
        return theirs(net.rows, max_evals=evaluations, silent=True).values

    return net, [Contestant("glial", by_glial), Contestant("shap", by_shap)]


def partition(small: bool) -> tuple[Network, list[Contestant]]:
    """Owen values over one hierarchy, whole."""
    import shap

    from glial.explanation import hierarchy, partition_shap

    net = Network(12, 2 if small else 10, 50)
    tree = hierarchy(net.background)
    masker = shap.maskers.Partition(
        net.background, max_samples=len(net.background), clustering=tree
    )
    theirs = shap.explainers.PartitionExplainer(net.predict, masker)
    most = 5000

    def by_glial() -> Any:
        return partition_shap(
            net.predict, net.rows, net.background, tree=tree, most_evaluations=most
        ).values

    def by_shap() -> Any:
        return theirs(net.rows, max_evals=most, silent=True).values

    return net, [Contestant("glial", by_glial), Contestant("shap", by_shap)]


def lime(small: bool) -> tuple[Network, list[Contestant]]:
    """A ridge regression on 1,000 coalitions of a row and a row of zeros."""
    from captum._utils.models.linear_model import SkLearnRidge
    from captum.attr import Lime

    from glial.explanation import TableGame, lime_values

    net = Network(14, 2 if small else 10, 1)
    zeros = np.zeros((1, net.num_features))

    def forward(rows: torch.Tensor) -> torch.Tensor:
        net.asked += len(rows)
        with torch.no_grad():
            return net.model(rows)[:, 0]

    theirs = Lime(forward, interpretable_model=SkLearnRidge(alpha=1e-3))

    def by_glial() -> Any:
        return lime_values(TableGame(net.predict, net.rows, zeros), num_samples=1000).values

    def by_captum() -> Any:
        rows = torch.from_numpy(net.rows).float()
        return np.concatenate(
            [
                theirs.attribute(
                    row[None], torch.zeros(1, len(row)), n_samples=1000, perturbations_per_eval=1000
                ).numpy()
                for row in rows
            ]
        )

    return net, [Contestant("glial", by_glial), Contestant("captum", by_captum)]


SECTIONS: dict[str, Callable[[bool], tuple[Network, list[Contestant]]]] = {
    "exact": exact,
    "kernel": kernel,
    "permutation": permutation,
    "partition": partition,
    "lime": lime,
}


def measure(name: str, rounds: int, small: bool) -> dict[str, Any]:
    """Times of the contestants of a section, in turns, after a round that is not counted."""
    network, contestants = SECTIONS[name](small)
    seconds: dict[str, list[float]] = {one.name: [] for one in contestants}
    values, asked = {}, {}
    for turn in range(rounds + 1):
        for one in contestants:
            network.asked = 0
            start = time.perf_counter()
            values[one.name] = np.asarray(one.explain(), dtype=np.float64)
            if turn:
                seconds[one.name].append(time.perf_counter() - start)
            asked[one.name] = network.asked
    own, *others = contestants
    median = {key: statistics.median(told) for key, told in seconds.items()}
    return {
        "section": name,
        "seconds": median,
        "asked": asked,
        "ratio": {one.name: median[one.name] / median[own.name] for one in others},
        "difference": max(
            float(np.abs(values[one.name] - values[own.name]).max()) for one in others
        ),
        "size": float(np.abs(values[own.name]).max()),
    }


def main() -> None:
    """Measure the sections and print them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sections", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rounds = 1 if options.quick else options.rounds
    for name in options.sections:
        found = measure(name, rounds, options.quick)
        times = ", ".join(
            f"{key} {told * 1000:.1f} ms ({found['asked'][key]:,} rows asked)"
            for key, told in found["seconds"].items()
        )
        ratios = ", ".join(
            f"{key} takes {v:.2f} times as long" for key, v in found["ratio"].items()
        )
        gap = f"greatest difference {found['difference']:.2g} of values up to {found['size']:.2g}"
        print(f"{name}: {times}; {ratios}; {gap}", flush=True)
        if not options.quick:
            RESULTS.parent.mkdir(exist_ok=True)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
