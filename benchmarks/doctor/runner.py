"""Scripts under the doctor: one process each, a few at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple, TypeVar

from doctor import records
from doctor.cases import Case, all_cases
from doctor.effects import Effects, score_in
from doctor.records import Record

MOST_SECONDS = 600.0  # a script takes ten; machines may be busy
Work = TypeVar("Work")


class Called(NamedTuple):
    """What came of a call of the doctor; no status where it took too long."""

    status: int | None
    said: str
    script_said: str
    seconds: float


def call_doctor(words: Sequence[str], folder: Path, most_seconds: float) -> Called:
    """Call the doctor in a process of one thread.

    Args:
        words: The command.
        folder: Where it runs.
        most_seconds: After so many it is ended.
    """
    begin = time.monotonic()
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        cwd=folder,
        start_new_session=True,
    )
    try:
        said, script_said = process.communicate(timeout=most_seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Called(None, "", "", most_seconds)
    return Called(process.returncode, said, script_said, round(time.monotonic() - begin, 2))


def run_doctor(case: Case, seed: int, call: Sequence[str]) -> Record:
    """What the doctor says of one script, and how long that took.

    Args:
        case: The script.
        seed: Its seed.
        call: How the doctor is called; ``--json SCRIPT -- ARGUMENTS`` is added.
    """
    record: Record = {
        "name": case.name,
        "version": case.version,
        "seed": seed,
        "half": case.half,
        "findings": [],
        "crash": None,
    }
    with tempfile.TemporaryDirectory() as folder:
        place, arguments = case.command(Path(folder), seed)
        beside = place.parent if case.path is None else Path(folder)
        words = [*call, "--json", str(place), "--", *arguments]
        called = call_doctor(words, beside, MOST_SECONDS)
    record["seconds"] = called.seconds
    if called.status is None:
        return {**record, "crash": f"over {MOST_SECONDS:g} s"}
    record["status"], said, script_said = called.status, called.said, called.script_said
    record["score"] = score_in(script_said)
    try:
        answer = json.loads(said)
        record["findings"] = [_short(finding, place) for finding in answer["findings"]]
        record["healthy"] = answer["healthy"]
        record["overhead"] = answer["watched"].get("overhead_share")
        record["not_checked"] = len(answer["watched"].get("not_checked", []))
    except (json.JSONDecodeError, KeyError, TypeError):
        record["crash"] = (said + script_said).strip()[-2000:] or "no answer"
    return record


def _short(finding: Record, place: Path) -> Record:
    """What is kept of a finding; its line only where that is the script's."""
    at = finding.get("at")
    own = at is not None and Path(at["file"]).name == place.name
    kept = ("problem", "severity", "where", "symptoms", "evidence", "since_step")
    return {**{name: finding.get(name) for name in kept}, "line": at["line"] if own else None}


def run_all(
    cases: Iterable[Case],
    seeds: Iterable[int],
    path: Path,
    call: Sequence[str],
    jobs: int,
    harmless: bool,
) -> None:
    """Run what was not yet, and append what the doctor said to a file.

    Args:
        cases: The scripts.
        seeds: The seeds of each.
        path: Where results are kept.
        call: How the doctor is called.
        jobs: Number of scripts at a time.
        harmless: Whether faults that were not measured to matter are run too.
    """
    known = Effects()
    originals = {case.program: case for case in all_cases("healthy", "all")}
    chosen, unknown = [], 0
    for case in cases:
        if case.operator is None or case.path is not None:
            chosen.append(case)
            continue
        effect = known.matters(case, originals[case.program])
        unknown += effect is None
        if effect or harmless:
            chosen.append(case)
    if unknown:
        print(f"effects of {unknown} faults are not measured: see the verb measure")
    done = {records.key(record) for record in records.read(path)}
    todo = [
        (case, seed)
        for seed in seeds
        for case in chosen
        if (case.name, case.version, seed) not in done
    ]

    def run(one: tuple[Case, int]) -> Record:
        return run_doctor(*one, call)

    for number, record in enumerate(each(run, todo, path, jobs), 1):
        named = [f"{f['severity'][0]}:{f['problem']}" for f in record["findings"]]
        says = " ".join(named) if not record["crash"] else f"CRASH {record['crash'][-80:]!r}"
        print(f"{number}/{len(todo)} {record['name']} {record['seed']}: {says}", flush=True)


def each(
    work: Callable[[Work], Record], todo: Sequence[Work], path: Path, jobs: int
) -> Iterator[Record]:
    """Work that is done a few at a time; each record is appended as soon as it is there.

    Where that is interrupted, what is being worked on is finished and appended first.

    Args:
        work: What is done.
        todo: With what.
        path: Where records are kept.
        jobs: How many at a time.
    """
    writing = threading.Lock()

    def worked(one: Work) -> Record:
        record = work(one)
        with writing:
            records.append(path, record)
        return record

    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(worked, one) for one in todo]
        try:
            for future in as_completed(running):
                yield future.result()
        except (KeyboardInterrupt, GeneratorExit):
            print("finishing what is running; it goes on from there", file=sys.stderr)
            pool.shutdown(cancel_futures=True)
            raise
