"""Spoken digits said by somebody whom training never heard: six folds, a speaker left out in each.

The recordings are 20 of each digit by each of six speakers (the Free Spoken Digit Dataset); in
each fold the network learns from five speakers with Glial's default settings and is judged by the
sixth. A sixth of the five speakers' own recordings chooses the best epoch: of the speaker who is
left out nothing is known before the end.

    python benchmarks/spoken_digits.py [--seeds 1] [--set KEY=VALUE]... [--speakers NAME...]

``spoken-digits.zip`` is looked for in the folder ``GLIAL_DATA``. Results are appended to
``benchmarks/results/spoken_digits.jsonl``, a line a fold, so that a run that was cut off goes on
where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "spoken_digits.jsonl"
NAMES = "{digit}_{speaker}_{index}"


def divided(archive: Path, speaker: str, folder: Path) -> tuple[Path, Path]:
    """Archives of all recordings but a speaker's, and of this speaker's."""
    parts = (folder / "heard.zip", folder / "unheard.zip")
    with (
        zipfile.ZipFile(archive) as all_files,
        zipfile.ZipFile(parts[0], "w") as heard,
        zipfile.ZipFile(parts[1], "w") as unheard,
    ):
        for name in all_files.namelist():
            goal = unheard if f"_{speaker}_" in name else heard
            goal.writestr(name, all_files.read(name))
    return parts


def speakers_of(archive: Path) -> list[str]:
    """Who speaks in an archive."""
    with zipfile.ZipFile(archive) as file:
        return sorted({Path(name).stem.split("_")[1] for name in file.namelist() if "_" in name})


def fold(archive: Path, speaker: str, seed: int, changes: dict[str, str]) -> dict[str, Any]:
    """One network, trained without a speaker and judged by him."""
    import glial

    with tempfile.TemporaryDirectory() as name:
        heard, unheard = divided(archive, speaker, Path(name))
        settings = {"data.names": NAMES, "data.test": str(unheard), "train.seed": seed, **changes}
        begin = time.perf_counter()
        run = glial.train(heard, target="digit", out=False, set=settings)
        return {
            "speaker": speaker,
            "seed": seed,
            "changes": changes,
            "accuracy": run.metrics["test"]["accuracy"],
            "same_speakers": run.metrics["val"]["accuracy"],
            "baseline": run.metrics["baseline"]["accuracy"],
            "epochs": run.epochs,
            "seconds": round(time.perf_counter() - begin, 1),
        }


def main() -> None:
    """Train what is missing among the folds, and print all of them with their mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--speakers", nargs="*", help="only these")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    archive = Path(os.environ.get("GLIAL_DATA", "data")) / "spoken-digits.zip"
    if not archive.exists():
        sys.exit(f"{archive} is missing: say where it lies with GLIAL_DATA")
    changes = dict(item.partition("=")[::2] for item in options.set)
    RESULTS.parent.mkdir(exist_ok=True)
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    known = [line for line in map(json.loads, lines) if line["changes"] == changes]
    found = {(line["seed"], line["speaker"]): line for line in known}
    for seed in range(options.seeds):
        for speaker in options.speakers or speakers_of(archive):
            if (seed, speaker) not in found:
                found[seed, speaker] = fold(archive, speaker, seed, changes)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(found[seed, speaker]) + "\n")
            line = found[seed, speaker]
            print(f"seed {seed}  {speaker:<10} {line['accuracy']:.1%}", flush=True)
    wanted = [found[key] for key in found if key[0] < options.seeds]
    print(f"mean {statistics.mean(line['accuracy'] for line in wanted):.1%}")


if __name__ == "__main__":
    main()
