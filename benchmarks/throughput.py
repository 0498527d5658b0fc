"""Training throughput in samples a second, Glial and its peers beside a loop written by hand.

The unit is the best loop that PyTorch allows by hand. Every contestant trains the same networks
(a perceptron of 54-256-256-7 at three batch sizes, a convolutional network of three blocks) in a
process of its own, in turns, with one thread and with all; the better number of threads counts.
One that was a tenth slower in the first round is not tried again. The first epoch warms up and is
not measured; what goes before it (imports, preparation, compiling) is printed in epochs of the
unit. Glial runs as users run it, with progress, checkpoints and a run's folder; its peers without.

    python -m venv peers && peers/bin/pip install -c constraints.txt . -r benchmarks/peers.txt
    peers/bin/python benchmarks/throughput.py [--cases mlp-256 ...] [--contestants glial ...]

All must have learnt about the same: whose accuracy on the training rows is further than 0.1 from
the median is marked, and the exit status is 1. The whole takes about ten minutes on two cores
(``--minutes`` ends it after a whole round); ``--quick`` is a smoke run, its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from throughput_contestants import CONTESTANTS, Case

HERE = Path(__file__).parent
UNIT = "hand"
CASES = (
    Case("mlp-32", "mlp", rows=50_000, batch_size=32, epochs=1),
    Case("mlp-256", "mlp", rows=50_000, batch_size=256, epochs=2),
    Case("mlp-2048", "mlp", rows=50_000, batch_size=2048, epochs=4),
    Case("cnn-64", "cnn", rows=512, batch_size=64, epochs=3),
)
PACKAGES = {"sklearn": "scikit-learn"}
WORTH_TRYING = 0.9
TOLERANCE = 0.1

Rows = dict[tuple[str, int, str], list[dict[str, Any]]]


def absent(name: str) -> str | None:
    """How to install what a contestant needs and is not there."""
    pins = {line.partition("==")[0]: line for line in (HERE / "peers.txt").read_text().split()}
    tops = [module.partition(".")[0] for module in CONTESTANTS[name].modules]
    missing = [PACKAGES.get(top, top) for top in tops if importlib.util.find_spec(top) is None]
    if not missing:
        return None
    return f"pip install -c constraints.txt {' '.join(pins.get(part, part) for part in missing)}"


def run_contestant(name: str, threads: int, cases: list[Case], cache: str) -> list[dict[str, Any]]:
    """One process: the cases one after the other.

    Raises:
        RuntimeError: If it fails; the message is the last line that it wrote.
    """
    count = str(threads)
    environment = {
        **os.environ,
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count),
        "NPROC": count,  # XLA's pool of threads
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_COMPILATION_CACHE_DIR": f"{cache}/{threads}",
        **dict(CONTESTANTS[name].environment),
    }
    if threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    script = str(HERE / "throughput_contestants.py")
    command = [sys.executable, script, name, json.dumps([asdict(case) for case in cases])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    return [json.loads(line) for line in done.stdout.splitlines()]


def take_turns(
    names: list[str], cases: list[Case], threads: list[int], rounds: int, minutes: float
) -> tuple[Rows, dict[str, str]]:
    """Round after round, each contestant once with each number of threads still in question.

    Returns:
        The measurements by contestant, threads and case, and what went wrong with whom.
    """
    found: Rows = {}
    failed: dict[str, str] = {}
    begin = last = time.monotonic()
    turns = [
        (name, count, [case for case in cases if case.kind in CONTESTANTS[name].kinds])
        for name in names
        for count in threads
    ]
    # XLA compiles for longer than it trains here; only the first round's start-up is reported.
    with tempfile.TemporaryDirectory() as cache:
        for number in range(rounds):
            for name, count, wanted in turns:
                if name in failed or not wanted:
                    continue
                line = f"round {number + 1} of {rounds}: {name}, threads: {count}"
                print(line, file=sys.stderr, flush=True)
                seeded = [replace(case, seed=number) for case in wanted]
                try:
                    for row in run_contestant(name, count, seeded, cache):
                        found.setdefault((name, count, row["case"]), []).append(row)
                except RuntimeError as error:
                    failed[name] = str(error)
            before = sum(len(wanted) for _, _, wanted in turns)
            turns = [
                (name, count, [c for c in wanted if _worth_trying(found, name, count, c.name)])
                for name, count, wanted in turns
            ]
            now = time.monotonic()
            expected = (now - last) * sum(len(wanted) for _, _, wanted in turns) / before
            if now - begin + expected > 60 * minutes:
                break
            last = now
    return found, failed


def _worth_trying(found: Rows, name: str, threads: int, case: str) -> bool:
    """Whether a number of threads may still turn out the better one."""
    rates = {
        count: rows[0]["samples_per_second"]
        for (who, count, what), rows in found.items()
        if (who, what) == (name, case)
    }
    return threads in rates and rates[threads] >= WORTH_TRYING * max(rates.values())


def _best(found: Rows, name: str, case: str) -> tuple[int, list[dict[str, Any]]] | None:
    """The better number of threads and its measurements."""
    choices = {
        count: rows for (who, count, what), rows in found.items() if (who, what) == (name, case)
    }
    most = max(map(len, choices.values()), default=0)
    whole = {count: rows for count, rows in choices.items() if len(rows) == most}
    if not whole:
        return None
    threads = max(whole, key=lambda count: _median(whole[count], "samples_per_second"))
    return threads, whole[threads]


def _median(rows: list[dict[str, Any]], key: str) -> float:
    return statistics.median(row[key] for row in rows)


def summary(found: Rows, names: list[str], case: Case, *, absolute: bool) -> dict[str, Any]:
    """What is said of every contestant in a case; ratios are within a round."""
    best = {name: _best(found, name, case.name) for name in names}
    unit = best[UNIT]
    if unit is None:
        return {}
    middle = statistics.median(_median(b[1], "accuracy") for b in best.values() if b)
    result = {}
    for name, chosen in best.items():
        if chosen is None:
            continue
        threads, rows = chosen
        ratios = [
            row["samples_per_second"] / one["samples_per_second"]
            for row, one in zip(rows, unit[1], strict=False)
        ]
        epoch = case.rows / _median(unit[1], "samples_per_second")
        accuracy = _median(rows, "accuracy")
        result[name] = {
            "ratio": statistics.median(ratios),
            "least": min(ratios),
            "most": max(ratios),
            "rounds": len(ratios),
            "threads": threads,
            "start_epochs": rows[0]["start_seconds"] / epoch,
            "log_loss": _median(rows, "log_loss"),
            "accuracy": accuracy,
            "learnt_alike": abs(accuracy - middle) <= TOLERANCE,
        }
        if absolute:
            result[name]["samples_per_second"] = _median(rows, "samples_per_second")
            result[name]["start_seconds"] = rows[0]["start_seconds"]
    return result


def print_table(case: Case, lines: dict[str, Any]) -> None:
    """One case, the fastest first."""
    print(f"\n{case.name}: {case.rows:,} rows, batch {case.batch_size}; by-hand loop = 1")
    extra = any("samples_per_second" in line for line in lines.values())
    heads = ["samples/s", "least-most", "threads", "start, epochs", "log loss", "accuracy"]
    heads += ["absolute", "start, s"] if extra else []
    print(f"  {'':20}" + "".join(f"{head:>15}" for head in heads))
    for name, line in sorted(lines.items(), key=lambda item: -item[1]["ratio"]):
        cells = [
            f"{line['ratio']:.2f}",
            f"{line['least']:.2f}-{line['most']:.2f}",
            f"{line['threads']}",
            f"{line['start_epochs']:.1f}",
            f"{line['log_loss']:.3f}",
            f"{line['accuracy']:.3f}" + ("" if line["learnt_alike"] else " !"),
        ]
        if extra:
            cells += [f"{line['samples_per_second']:,.0f}", f"{line['start_seconds']:.1f}"]
        print(f"  {CONTESTANTS[name].title:20}" + "".join(f"{cell:>15}" for cell in cells))


def main() -> int:
    """Measure, print, and say whether all learnt alike."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    named = [case.name for case in CASES]
    parser.add_argument("--cases", nargs="+", default=named, choices=named)
    parser.add_argument("--contestants", nargs="+", default=list(CONTESTANTS), choices=CONTESTANTS)
    parser.add_argument("--threads", nargs="+", type=int, default=sorted({1, cores or 1}))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--minutes", type=float, default=12.0, help="begin no round that ends later"
    )
    parser.add_argument("--quick", action="store_true", help="few rows, one round: does it run?")
    parser.add_argument("--absolute", action="store_true", help="also samples and seconds")
    parser.add_argument("--json", action="store_true", help="one JSON object, no tables")
    options = parser.parse_args()
    cases = [case for case in CASES if case.name in options.cases]
    if options.quick:
        options.rounds = 1
        cases = [replace(case, rows=case.rows // 10, epochs=1) for case in cases]
    asked = [name for name in CONTESTANTS if name in {*options.contestants, UNIT}]
    lacking = {name: how for name in asked if (how := absent(name))}
    if UNIT in lacking:
        parser.error(f"the unit needs PyTorch: {lacking[UNIT]}")
    names = [name for name in asked if name not in lacking]
    found, failed = take_turns(names, cases, options.threads, options.rounds, options.minutes)
    tables = {case.name: summary(found, names, case, absolute=options.absolute) for case in cases}
    if options.json:
        print(json.dumps({"cases": tables, "absent": lacking, "failed": failed}))
    else:
        for case in cases:
            print_table(case, tables[case.name])
        for name, how in lacking.items():
            print(f"\nabsent: {CONTESTANTS[name].title}. To install: {how}")
        for name, why in failed.items():
            print(f"\nfailed: {CONTESTANTS[name].title}: {why}")
    alike = all(line["learnt_alike"] for lines in tables.values() for line in lines.values())
    return 0 if (alike or options.quick) and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
