"""Kill a training again and again at random instants; every resume must end in the same weights.

    python benchmarks/kills.py [--kills 50] [--seed 0] [--folds K] [--stream]

Each kill is a SIGKILL after a random time, so it falls into imports, preparation, epochs,
validation and the writing of checkpoints alike. Prints how many kills there were and whether the
final weights equal those of a run that was never disturbed, byte for byte.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from glial.data import load_dataset

ARGUMENTS = [
    "--model=mlp",
    "--epochs=400",
    "--set=train.lr=0.001",
    "--set=train.batch_size=32",
    "--set=train.patience=null",
    "--set=model.dropout=0.1",
    "--set=train.ema=0.99",
    "--set=train.checkpoint_seconds=0.05",
    "--quiet",
]


STREAMED = [
    "--target=digit",
    "--set=data.stream=always",
    "--set=data.buffer_rows=200",
    "--set=data.workers=3",
]
SOURCE = ["digits"]


def command(folder: Path, *more: str) -> list[str]:
    """The training, as a user would call it."""
    start = [sys.executable, "-m", "glial", "train", *SOURCE]
    return [*start, *ARGUMENTS, f"--out={folder}", *more]


def main() -> None:
    """Train once undisturbed, then with kills, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", type=int, help="train this many networks")
    parser.add_argument("--stream", action="store_true", help="stream a Parquet file with workers")
    options = parser.parse_args()
    if options.folds:
        ARGUMENTS.append(f"--folds={options.folds}")
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as root:
        if options.stream:
            table, target, _ = load_dataset("digits")
            SOURCE[:] = [f"{root}/digits.parquet", *STREAMED]
            table.rename({target: "digit"}).write_parquet(SOURCE[0], row_group_size=50)
        calm, stormy = Path(root, "calm"), Path(root, "stormy")
        begin = time.monotonic()
        subprocess.run(command(calm), check=True, stdout=subprocess.DEVNULL)
        whole = time.monotonic() - begin
        kills = failures = 0
        while kills < options.kills:
            process = subprocess.Popen(command(stormy, "--resume"), stdout=subprocess.DEVNULL)
            try:
                process.wait(timeout=draw.uniform(0, min(whole, 8.0)))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                print(f"kill {kills}", end="\r", flush=True)
                continue
            failures += process.returncode != 0
            if process.returncode == 0 and kills < options.kills:
                # It finished early: begin another, so that every kill hits a training.
                _compare(calm, stormy)
                for path in sorted(stormy.rglob("*"), reverse=True):
                    path.rmdir() if path.is_dir() else path.unlink()
            if failures > 3:
                sys.exit("resuming failed")
        subprocess.run(command(stormy, "--resume"), check=True, stdout=subprocess.DEVNULL)
        _compare(calm, stormy)
        print(f"{kills} kills, {failures} failed resumes, final weights equal byte for byte")


def _compare(calm: Path, stormy: Path) -> None:
    for name in ("model.safetensors", "plan.yaml", "encoding.json"):
        for path in sorted(calm.rglob(name)):
            place = path.relative_to(calm)
            if path.read_bytes() != (stormy / place).read_bytes():
                sys.exit(f"{place} differs from the undisturbed run's")


if __name__ == "__main__":
    main()
