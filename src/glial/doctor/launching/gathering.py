"""What the processes of a script left, put together: the evidence of the one that trained most."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from glial.core.findings import Place
from glial.doctor.evidence import Evidence
from glial.doctor.reference import examine_file
from glial.doctor.traces import Traces


def gather(folder: Path, main: int) -> dict[int, Evidence]:
    """The evidence of every process that was watched, the one that trained most first.

    Args:
        folder: The doctor's.
        main: The number of the process that was started; it comes first among equals.

    Returns:
        Evidence by process, with the exception that ended it; empty where none was watched.

    Example:
        >>> gather(Path("no-such-folder"), 1)
        {}
    """
    found = {
        traces.process: _with_error(_read(traces), traces.error)
        for traces in Traces.all_of(folder)
        if traces.evidence.exists()
    }
    order = sorted(found, key=lambda process: (-found[process].steps, process != main, process))
    return {process: found[process] for process in order}


def failure_of(folder: Path, main: int) -> str | None:
    """The traceback of an error of the doctor's own in the process that was started.

    Example:
        >>> failure_of(Path("no-such-folder"), 1) is None
        True
    """
    path = Traces.of(folder, main).failure
    return path.read_text(encoding="utf-8") if path.exists() else None


def _read(traces: Traces) -> Evidence:
    evidence = Evidence.from_dict(json.loads(traces.evidence.read_bytes()))
    if traces.rows.exists():
        evidence.rows = examine_file(traces.rows)
    return evidence


def _with_error(evidence: Evidence, path: Path) -> Evidence:
    if evidence.ended is not None or not path.exists():
        return evidence
    told = json.loads(path.read_bytes())
    place = Place(**told["error_at"]) if told["error_at"] else None
    return replace(evidence, ended=told["ended"], error=told["error"], error_at=place)
