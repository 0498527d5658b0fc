"""What each fault does to a script's own score, measured without the doctor.

Scripts run in forked processes that have torch already, which saves most of their time.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import multiprocessing
import os
import re
import runpy
import statistics
import sys
import tempfile
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path

from doctor import records
from doctor.cases import Case
from doctor.records import Record

EFFECTS = Path(__file__).parent / "effects.jsonl"
MOST_SECONDS = 60.0
# What scripts import, and what torch imports when its first optimiser is made.
PRELOADED = (
    *("torch", "torch._dynamo", "sklearn.datasets", "sklearn.model_selection", "sklearn.metrics"),
    *("sklearn.preprocessing", "sklearn.linear_model", "lightning", "skorch", "accelerate"),
    *("transformers.models.bert.modeling_bert", "transformers.models.gpt2.modeling_gpt2"),
    "transformers.trainer",
)
CLEAR = 0.02  # the least drop that somebody would care about; scores are shares, mostly


def score_in(text: str) -> float | None:
    """The last score that a script printed; None where there is none or it is not finite."""
    found = re.findall(r"^score (\S+)\s*$", text, re.MULTILINE)
    value = float(found[-1]) if found else math.nan
    return value if math.isfinite(value) else None


def _run(case: Case, seed: int, link: Connection) -> None:
    """Run one script in this process, and send what it printed and how it ended."""
    said, error = io.StringIO(), None
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        place, arguments = case.command(Path(folder), seed)
        sys.argv = [str(place), *arguments]
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            try:
                runpy.run_path(str(place), run_name="__main__")
            except BaseException:  # noqa: BLE001 whatever a faulty script raises is its result
                error = traceback.format_exc().strip().splitlines()[-1]
    link.send((said.getvalue(), error, time.process_time() - begin))


def run(case: Case, seed: int) -> Record:
    """One script's score with one seed."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_run, args=(case, seed, there))
    process.start()
    there.close()
    said, error, seconds = "", f"over {MOST_SECONDS:g} s", MOST_SECONDS
    if here.poll(MOST_SECONDS):
        with contextlib.suppress(EOFError):
            said, error, seconds = here.recv()
    process.kill()
    process.join()
    return {
        "name": case.name,
        "version": case.version,
        "seed": seed,
        "score": score_in(said),
        "error": error,
        "seconds": round(seconds, 2),
    }


def preload() -> None:
    """Import what scripts import, so that forked processes need not."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    importlib.import_module("torch").set_num_threads(1)


def measure(cases: Iterable[Case], seeds: Iterable[int], path: Path = EFFECTS) -> None:
    """Measure what was not yet."""
    preload()
    done = {records.key(r) for r in records.read(path) if r.get("kind") != "repair"}
    todo = [
        (case, seed)
        for case in cases
        for seed in seeds
        if case.visible and (case.name, case.version, seed) not in done
    ]
    for number, (case, seed) in enumerate(todo, 1):
        record = run(case, seed)
        records.append(path, record)
        print(f"{number}/{len(todo)} {case.name} {seed}: {record['score']} {record['error'] or ''}")


class Effects:
    """Scores that were measured, and what they say of faults."""

    def __init__(self, path: Path = EFFECTS) -> None:
        self.scores: dict[tuple[str, str], dict[int, float | None]] = defaultdict(dict)
        for record in records.read(path):
            if record.get("kind") == "repair":
                continue
            self.scores[record["name"], record["version"]][record["seed"]] = record["score"]

    def of(self, case: Case) -> dict[int, float | None]:
        """A case's score for each seed; None where it printed no finite one."""
        return self.scores[case.name, case.version]

    def matters(self, case: Case, healthy: Case) -> bool | None:
        """Whether a fault matters; None where that was not measured.

        It does where the score drops for every seed, by two hundredths and by the healthy scores'
        standard deviation at least on average; where a script ends without a score; and where the
        fault is none that a score shows.
        """
        if not case.visible:
            return True
        good, bad = self.of(healthy), self.of(case)
        pairs = [(good[seed], bad[seed]) for seed in good if seed in bad]
        if len(pairs) < 2:
            return None
        drops = [math.inf if b is None else g - b for g, b in pairs if g is not None]
        spread = statistics.stdev([g for g, _ in pairs if g is not None])
        return min(drops) > 0 and statistics.fmean(drops) >= max(CLEAR, spread)
