"""Recurrent layers beside torch's own and Keras's (JAX), in one run: training steps and passes.

Sequences of 64 vectors of 32 numbers, 128 units, read whole; the step is forward, backward and no
optimiser. All are timed in turns; a ratio above 1 means faster than torch's LSTM, the layer that
torch's processor kernels serve best.

    python benchmarks/recurrent.py [--rows 64] [--times 64] [--features 32] [--units 128]

Needs Keras and JAX beside Glial: pip install keras "jax[cpu]"; without them their column is empty.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from glial.nn import GRU, LSTM, RNN

OWN: dict[str, Any] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
TORCH: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def of_torch(layer: nn.Module, inputs: Tensor, learn: bool) -> Callable[[], None]:
    """A step, or a pass, of a layer that gives states and a state."""

    def step() -> None:
        layer.zero_grad(set_to_none=True)
        layer(inputs)[0][:, -1].sum().backward()

    def forward() -> None:
        with torch.inference_mode():
            layer(inputs)

    return step if learn else forward


def of_keras(kind: str, inputs: Tensor, units: int, learn: bool) -> Callable[[], None] | None:
    """The same by Keras on JAX, compiled; None where they are not installed."""
    os.environ["KERAS_BACKEND"] = "jax"
    try:
        import jax
        import keras
    except ImportError:
        return None
    named = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
    layer = named[kind](units)
    values = jax.numpy.asarray(inputs.numpy())
    layer(values)
    weights = [variable.value for variable in layer.trainable_variables]
    others = [variable.value for variable in layer.non_trainable_variables]

    def loss(weights: Any) -> Any:
        return layer.stateless_call(weights, others, values)[0].sum()

    run = jax.jit(jax.grad(loss) if learn else loss)
    return lambda: jax.block_until_ready(run(weights))


def speeds(runs: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each, a number a round, all in turns."""
    for run in runs.values():
        run()
        run()
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.perf_counter()
            for _ in range(5):
                run()
            found[name].append((time.perf_counter() - begin) / 5)
    return found


def main() -> None:
    """Read the command line and print a line for each layer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, usual in (("rows", 64), ("times", 64), ("features", 32), ("units", 128)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    inputs = torch.randn(options.rows, options.times, options.features)
    sizes = options.features, options.units
    print("times as fast as torch's LSTM: median [quartiles]; sequences a second")
    print("| pass | layer | parameters | Glial | torch | Keras (JAX) |")
    print("|---|---|---|---|---|---|")
    for learn in (True, False):
        runs: dict[str, Callable[[], None]] = {}
        for kind in OWN:
            runs[f"{kind} Glial"] = of_torch(OWN[kind](*sizes), inputs, learn)
            runs[f"{kind} torch"] = of_torch(TORCH[kind](*sizes, batch_first=True), inputs, learn)
            keras = of_keras(kind, inputs, options.units, learn)
            if keras is not None:
                runs[f"{kind} Keras"] = keras
        found = speeds(runs, options.rounds)
        reference = found["lstm torch"]
        for kind in OWN:
            count = sum(p.numel() for p in OWN[kind](*sizes).parameters())
            line = ["training" if learn else "forward", kind, f"{count:,}"]
            for whose in ("Glial", "torch", "Keras"):
                seconds = found.get(f"{kind} {whose}")
                if seconds is None:
                    line.append("")
                    continue
                gains = [r / s for r, s in zip(reference, seconds, strict=True)]
                low, middle, high = statistics.quantiles(gains, n=4)
                rate = options.rows / statistics.median(seconds)
                line.append(f"{middle:.2f} [{low:.2f}, {high:.2f}] {rate:,.0f}/s")
            print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
