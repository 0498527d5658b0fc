"""What it costs to be watched: Glial's own loop, and a script under ``glial doctor``.

The networks and the loops are those of ``throughput.py``. Each is trained with the doctor and
without, in turns, in processes of their own:

- ``glial``: Glial's own loop, where the doctor is always there, and ``doctor.watch: false``;
- ``script``: the loop written by hand, run unchanged under ``glial doctor`` and by Python alone.

Two costs are told: of the epochs after the first, and of the whole training, with all that is
tested before and in the first epoch. Imports, and what the doctor does after the script's end, are
printed beside them, and of scripts the share of the process's time that the doctor says it took.

    python benchmarks/watching.py [--rounds 5] [--threads 1] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from throughput_contestants import Case

SCRIPT = Path(__file__).with_name("throughput_contestants.py")
CASES = (
    Case("mlp-256", "mlp", rows=50_000, batch_size=256, epochs=80),
    Case("cnn-64", "cnn", rows=512, batch_size=64, epochs=80),
)
WAYS = {
    ("glial", "alone"): ([], "glial-unwatched"),
    ("glial", "watched"): ([], "glial"),
    ("script", "alone"): ([], "hand"),
    ("script", "watched"): (["-m", "glial", "doctor", "--json"], "hand"),
}


def train(way: tuple[str, str], case: Case, threads: int) -> dict[str, Any]:
    """One process: seconds of an epoch after the first, of the training, and of the process.

    Raises:
        RuntimeError: If it fails; the message is what it wrote last.
    """
    before, contestant = WAYS[way]
    words = [contestant, json.dumps([asdict(case)])]
    script = [str(SCRIPT), "--", *words] if before else [str(SCRIPT), *words]
    count = str(threads)
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), count)}
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *before, *script], env=environment, capture_output=True, text=True
    )
    whole = time.perf_counter() - begin
    # Under the doctor the script's own output is on standard error.
    lines = (done.stderr if before else done.stdout).splitlines()
    told = [line for line in lines if line.startswith('{"case"')]
    if not told:
        raise RuntimeError("\n".join((done.stderr or done.stdout).splitlines()[-5:]))
    row = json.loads(told[0])
    epoch = case.rows / row["samples_per_second"]
    training = row["start_seconds"] - row["import_seconds"] + case.total_epochs * epoch
    found = {"epoch": epoch, "training": training, "whole": whole, "log_loss": row["log_loss"]}
    if before:
        verdict = json.loads(done.stdout)
        found["problems"] = [finding["problem"] for finding in verdict["findings"]]
        found["clock"] = verdict["watched"]["overhead_share"]
    return found


def main() -> None:
    """Take turns, then print how much longer each took with the doctor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    options = parser.parse_args()
    cases = [replace(c, rows=c.rows // 8, epochs=1) for c in CASES] if options.quick else CASES
    for case in cases:
        rows: dict[tuple[str, str], list[dict[str, Any]]] = {way: [] for way in WAYS}
        for number in range(1 if options.quick else options.rounds):
            for way in WAYS:
                print(f"{case.name}, round {number + 1}: {' '.join(way)}", file=sys.stderr)
                rows[way].append(train(way, replace(case, seed=number), options.threads))
        for kind in ("glial", "script"):
            pairs = list(zip(rows[kind, "alone"], rows[kind, "watched"], strict=True))
            shares = {
                part: [with_[part] / alone[part] - 1 for alone, with_ in pairs]
                for part in ("epoch", "training", "whole")
            }
            told = ", ".join(
                f"{part} {statistics.median(values):+.1%} [{min(values):+.1%}, {max(values):+.1%}]"
                for part, values in shares.items()
            )
            same = all(alone["log_loss"] == with_["log_loss"] for alone, with_ in pairs)
            seconds = statistics.median(alone["training"] for alone, _ in pairs)
            clock = [with_["clock"] for _, with_ in pairs if "clock" in with_]
            told += f", by its own clock {statistics.median(clock):.1%}" if clock else ""
            print(
                f"{case.name}, {kind}: {told}; trained {seconds:.1f} s; "
                f"the same result: {'yes' if same else 'NO'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
