"""Time and memory of the board beside TensorBoard, on many long runs; and what watching costs.

    python benchmarks/board.py make FOLDER [--runs 1000] [--points 10000]
    python benchmarks/board.py open FOLDER [--rounds 3]
    python benchmarks/board.py slow [--pairs 5]

``make`` writes the same numbers as histories of runs and as TensorBoard's event files. ``open``
starts each server in turn and measures in Chromium how long it takes from the start of the server,
and from the navigation, to the first drawn curves. ``slow`` trains three networks at once, with the
board open in a browser and without, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

DISTINCT = 20
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PLAN = """data:
  source: wine
  target: cultivar
task:
  name: classification
model:
  name: mlp
train:
  lr: {lr}
  batch_size: {batch_size}
  epochs: {points}
  seed: {seed}
  optimizer: {optimizer}
"""


def history(rng: np.random.Generator, points: int) -> dict[str, np.ndarray]:
    """The columns of a made-up training: falling losses, a rising score, a cosine rate."""
    epochs = np.arange(1, points + 1)
    share = epochs / points
    noise = rng.normal(0, 0.02, (3, points))
    train = np.exp(-rng.uniform(2, 5) * share) + 0.05 + noise[0] ** 2
    return {
        "epoch": epochs,
        "step": 4 * epochs,
        "train_loss": train,
        "val_loss": train + rng.uniform(0, 0.3) * share + noise[1] ** 2,
        "val_accuracy": np.clip(1 - 0.5 * train + noise[2], 0, 1),
        "lr": 0.5 * (1 + np.cos(np.pi * share)) * 1e-3,
        "seconds": np.cumsum(rng.uniform(0.01, 0.02, points)),
    }


def make(folder: Path, runs: int, points: int) -> None:
    """Write runs under ``glial`` and the same numbers under ``tensorboard``.

    Twenty trainings are made up; the others are copies of their curves with plans of their own.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for number in range(runs):
        rng = np.random.default_rng(number)
        told = history(np.random.default_rng(number % DISTINCT), points)
        run = folder / "glial" / f"search-{number}"
        run.mkdir(parents=True)
        events = folder / "tensorboard" / f"search-{number}"
        if number >= DISTINCT:
            shutil.copytree(folder / "tensorboard" / f"search-{number % DISTINCT}", events)
            same = folder / "glial" / f"search-{number % DISTINCT}" / "history.csv"
            shutil.copyfile(same, run / "history.csv")
        else:
            pl.DataFrame(told).write_csv(run / "history.csv")
        plan = PLAN.format(
            lr=float(f"{10 ** rng.uniform(-4, -1):.3g}"),
            batch_size=int(2 ** rng.integers(4, 9)),
            points=points,
            seed=number,
            optimizer=["sgd", "adamw"][number % 2],
        )
        (run / "plan.yaml").write_text(plan)
        score, loss = float(told["val_accuracy"][-1]), float(told["val_loss"][-1])
        metrics = {
            "metrics": {"test": {"accuracy": score, "log_loss": loss}},
            "epochs": points,
            "seconds": float(told["seconds"][-1]),
            "status": "finished",
        }
        (run / "metrics.json").write_text(json.dumps(metrics))
        (run / "findings.json").write_text("[]")
        if number >= DISTINCT:
            continue
        writer = EventFileWriter(str(events), max_queue_size=1)
        names = ("train_loss", "val_loss", "val_accuracy", "lr")
        for at in range(points):
            values = [Summary.Value(tag=name, simple_value=told[name][at]) for name in names]
            writer.add_event(Event(wall_time=1e9 + at, step=at + 1, summary=Summary(value=values)))
        writer.close()


def memory(process: subprocess.Popen[bytes]) -> float:
    """Resident memory of a process and its children now, in MiB."""
    found = subprocess.run(
        ["ps", "-o", "rss=", "--pid", str(process.pid), "--ppid", str(process.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    return sum(map(int, found.stdout.split())) / 1024


def open_board(browser: Any, folder: Path) -> dict[str, float]:
    """One start of the board, and its page opened: seconds and memory."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "glial", "board", str(folder / "glial"), "--port", "0"]
    server = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE)
    try:
        told = json.loads(server.stdout.readline())  # type: ignore[union-attr]
        page = browser.new_page()
        started = time.perf_counter()
        page.goto(told["url"])
        runs = len(list((folder / "glial").glob("search-*")))
        drawn = f'html[data-drawn="{runs}"]'
        first = 'html[data-drawn]:not([data-drawn="0"])'
        page.wait_for_selector(first, timeout=600_000)
        seen = time.perf_counter()
        page.wait_for_selector(drawn, timeout=600_000)
        end = time.perf_counter()
        again = time.perf_counter()
        page.reload()
        page.wait_for_selector(drawn, timeout=600_000)
        reloaded = time.perf_counter() - again
        result = {
            "start to first picture": seen - begin,
            "navigation to first picture": seen - started,
            "navigation to all curves": end - started,
            "opened again": reloaded,
            "memory, MiB": memory(server),
        }
        page.close()
        return result
    finally:
        server.terminate()
        server.wait()


def open_tensorboard(browser: Any, folder: Path) -> dict[str, float]:
    """One start of TensorBoard: until a first chart is drawn, and until all runs are read."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder / "tensorboard")]
    port = "6117"
    server = subprocess.Popen(
        [*command, "--port", port, "--host", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        page = browser.new_page()
        while True:
            try:
                page.goto(f"http://127.0.0.1:{port}/#timeseries")
                break
            except Exception:
                if server.poll() is not None:
                    raise
                time.sleep(0.1)
        started = time.perf_counter()
        path = "line-chart canvas, line-chart svg path"
        while time.perf_counter() - started < 600:
            try:
                page.wait_for_selector(path, timeout=15_000)
                break
            except Exception:  # noqa: BLE001 - the page reads anew only every 30 s
                page.reload()
        seen = time.perf_counter()
        runs = len(list((folder / "tensorboard").glob("search-*")))
        ask = f"http://127.0.0.1:{port}/data/runs"
        while len(page.request.get(ask).json()) < runs and time.perf_counter() - started < 900:
            time.sleep(0.5)
        end = time.perf_counter()
        result = {
            "start to first picture": seen - begin,
            "navigation to first picture": seen - started,
            "navigation to all runs known": end - started,
            "memory, MiB": memory(server),
        }
        page.close()
        return result
    finally:
        server.terminate()
        server.wait()


def open_both(folder: Path, rounds: int) -> None:
    """Each server several times, in turn; the board's first start has no index."""
    from playwright.sync_api import sync_playwright

    (folder / "glial" / ".glial-board.sqlite").unlink(missing_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        print(
            "board, without an index", json.dumps(_rounded(open_board(browser, folder))), flush=True
        )
        for _ in range(rounds):
            print("board", json.dumps(_rounded(open_board(browser, folder))), flush=True)
            print(
                "tensorboard", json.dumps(_rounded(open_tensorboard(browser, folder))), flush=True
            )
        browser.close()


def train_three(folder: Path) -> float:
    """Processor-bound seconds until three trainings at once are done."""
    command = [sys.executable, "-m", "glial", "train", "digits", "--model", "mlp", "--quiet"]
    options = ["--set", "train.patience=null", "--set", "train.lr=0.001", "--epochs", "6000"]
    begin = time.perf_counter()
    running = [
        subprocess.Popen(
            [*command, *options, "--seed", str(seed), "--out", str(folder / f"digits-{seed}")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for seed in range(3)
    ]
    for process in running:
        process.wait()
    if any(process.returncode for process in running):
        raise SystemExit("a training failed")
    told = [
        json.loads((folder / f"digits-{seed}" / "metrics.json").read_text()) for seed in range(3)
    ]
    print(f"  {time.perf_counter() - begin:.2f} s in all", file=sys.stderr)
    return sum(one["seconds"] for one in told) / 3


def processor_seconds(pid: int) -> float:
    """What a process used so far of processors' time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def slow(pairs: int) -> None:
    """Training seconds with a board open in a browser, and without, in turn."""
    from playwright.sync_api import sync_playwright

    shares = []
    with sync_playwright() as playwright:
        for pair in range(pairs):
            found = {}
            for watched in (False, True) if pair % 2 else (True, False):
                folder = Path(tempfile.mkdtemp())
                if not watched:
                    found[watched] = train_three(folder)
                    continue
                command = [sys.executable, "-m", "glial", "board", str(folder), "--port", "0"]
                server = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE)
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox"]
                )
                page = browser.new_page()
                page.goto(json.loads(server.stdout.readline())["url"])  # type: ignore[union-attr]
                begin, busy = time.perf_counter(), processor_seconds(server.pid)
                found[watched] = train_three(folder)
                used = (processor_seconds(server.pid) - busy) / (time.perf_counter() - begin)
                print(f"  the server used {100 * used:.2f} % of a core", flush=True)
                browser.close()
                server.terminate()
                server.wait()
            shares.append(100 * (found[True] / found[False] - 1))
            print(
                f"alone {found[False]:.3f} s, watched {found[True]:.3f} s: {shares[-1]:+.1f} %",
                flush=True,
            )
    print(f"median {statistics.median(shares):+.2f} % of {pairs} pairs")


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}


def main() -> None:
    """Read the words and do what they say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["make", "open", "slow"])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    if options.what == "make":
        make(options.folder, options.runs, options.points)
    elif options.what == "open":
        open_both(options.folder, options.rounds)
    else:
        slow(options.pairs)


if __name__ == "__main__":
    main()
