"""Scripts with other people's tools beside them, one forked process each."""

from __future__ import annotations

import contextlib
import importlib
import io
import multiprocessing
import os
import runpy
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from doctor import effects, records
from doctor.cases import Case, all_cases, digest
from doctor.effects import Effects
from doctor.records import Record

MOST_SECONDS = 400.0
GROUPS = ("linted", "watched", "arc", "mended")
# These two hook backward passes, which some scripts do not bear: where one ends by an error that
# it does not have by itself, it is run again without them.
PRELOADED = (
    *("pandas", "arc", "torchmortem", "torch_audit", "stabilityguard", "torchtest2", "torchdiag"),
    *(
        "gradsnitch",
        "runmedic.checks",
        "trainspotter.readers",
        "training_doctor",
        "losslint.checks",
    ),
    *("torchfix.torchfix", "torchtest", "torcheck", "mldoctor.linter"),
)
TOOLS = ("torchmortem", "torch_audit", "stabilityguard")  # whose own warnings are not the script's
INTRUSIVE = ("torchmortem", "stabilityguard")


def _child(case: Case, seed: int, group: str, without: tuple[str, ...], link: Connection) -> None:
    """Run one script with the tools of a group, and send what they said."""
    from doctor.peers import logs
    from doctor.peers.listening import Listener, Watcher
    from doctor.peers.watchers import WATCHERS, Arc

    said, error = io.StringIO(), None
    watchers: dict[str, Watcher] = {}
    if group == "arc":
        watchers["arc"] = Arc()
    elif group == "watched":
        watchers = {name: kind() for name, kind in WATCHERS.items() if name not in without}
    shown = watchers["warnings"] = Watcher()
    listener = Listener(watchers)

    def heard(message: Any, category: Any, file: str, *place: Any, **more: Any) -> None:
        meant = issubclass(category, (UserWarning, RuntimeWarning))
        theirs = (
            any(f"/{name}/" in file for name in TOOLS) or "backward hook" in str(message).lower()
        )
        if meant and not listener.busy and not theirs:
            shown.say(str(message)[:60], "warning", str(message))

    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place, arguments = case.command(Path(folder), seed)
        os.chdir(place.parent if case.path is None else folder)
        sys.argv = [str(place), *arguments]
        warnings.resetwarnings()
        warnings.showwarning = heard
        quiet = contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO())
        with listener.listening(), quiet[0], quiet[1]:
            try:
                runpy.run_path(str(place), run_name="__main__")
            except BaseException as raised:  # noqa: BLE001 whatever a script raises is its result
                if not isinstance(raised, SystemExit) or raised.code not in (None, 0):
                    error = f"{type(raised).__name__}: {raised}"[:300]
        for number, monitor in enumerate(
            getattr(watchers.get("gradsnitch"), "monitors", {}).values()
        ):
            path = Path(folder) / f"log{number}.csv"
            logs.read(monitor.rows, path, watchers, listener.failed)
    link.send(
        {
            "said": {name: watcher.said for name, watcher in watchers.items()},
            "failed": listener.failed,
            "trainings": len(listener.trainings),
            "steps": sum(t.steps for t in listener.trainings.values()),
            "rollbacks": getattr(watchers.get("arc"), "rollbacks", None),
            "score": effects.score_in(said.getvalue()),
            "error": error,
            "seconds": round(time.monotonic() - begin, 2),
        }
    )


def forked(case: Case, seed: int, group: str, without: tuple[str, ...] = ()) -> Record:
    """What a group of tools says of one script."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_child, args=(case, seed, group, without, there)
    )
    process.start()
    there.close()
    answer = {"said": {}, "failed": {}, "trainings": 0, "score": None, "seconds": MOST_SECONDS}
    answer["error"] = f"over {MOST_SECONDS:g} s"
    if here.poll(MOST_SECONDS):
        answer["error"] = "ended without an answer"
        with contextlib.suppress(EOFError):
            answer = here.recv()
    process.kill()
    process.join()
    return answer


def measured(case: Case, seed: int, group: str, known: Effects) -> Record | None:
    """One record; None where a group has nothing to do with a script."""
    from doctor.peers import linters

    record: Record = {
        "name": case.name,
        "version": case.version,
        "seed": seed,
        "half": case.half,
        "group": group,
    }
    text = case.text if case.text is not None else (case.path or Path()).read_text()
    if group == "linted":
        said, failed = {}, {}
        for name, linter in linters.LINTERS.items():
            try:
                said[name] = linter(text).said
            except Exception as error:  # noqa: BLE001 a tool's failure is a result
                said[name], failed[name] = [], f"{type(error).__name__}: {error}"[:300]
        return {**record, "said": said, "failed": failed}
    if group == "mended":
        better = linters.mended(text) if case.path is None else None
        return (
            None
            if better is None
            else {**record, **forked(replace(case, text=better), seed, group)}
        )
    answer = forked(case, seed, group)
    by_itself = known.of(case).get(seed) is not None
    if group == "watched" and answer["error"] and by_itself:
        again = forked(case, seed, group, INTRUSIVE)
        if not again["error"]:
            again["failed"] |= dict.fromkeys(INTRUSIVE, f"script ended: {answer['error']}")
            answer = again
    return {**record, **answer}


def run_all(
    cases: Iterable[Case], seeds: Iterable[int], path: Path, groups: Iterable[str], harmless: bool
) -> None:
    """Measure what was not yet, and append it to a file.

    Scripts come in an order that their names' digests fix, so that where it is stopped, what was
    measured is a fair sample.

    Args:
        cases: The scripts.
        seeds: The seeds of each.
        path: Where results are kept.
        groups: Which of ``GROUPS``.
        harmless: Whether faults that were not measured to matter are run too.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in (*effects.PRELOADED, *PRELOADED):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    importlib.import_module("torch").set_num_threads(1)
    known = Effects()
    originals = {case.program: case for case in all_cases("healthy", "all")}
    chosen = [
        case
        for case in cases
        if case.operator is None
        or harmless
        or case.path is not None
        or known.matters(case, originals[case.program])
    ]
    done = {(*records.key(record), record["group"]) for record in records.read(path)}
    todo = [
        (case, seed, group)
        for seed in seeds
        for case in sorted(chosen, key=lambda case: digest(case.name))
        for group in groups
        if (case.name, case.version, seed, group) not in done
    ]
    for number, (case, seed, group) in enumerate(todo, 1):
        record = measured(case, seed, group, known)
        if record is not None:
            records.append(path, record)
            said = {name: len(found) for name, found in record["said"].items() if found}
            more = record["failed"] or ""
            print(f"{number}/{len(todo)} {group} {case.name} {seed}: {said} {more}", flush=True)
