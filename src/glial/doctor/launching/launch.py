"""From a script or a run to a verdict."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from glial.core.errors import GlialError, InputError
from glial.core.files import read_json
from glial.core.findings import Finding, distinct, on_met_faults, with_known_remedies
from glial.doctor.diagnosis import Sensitivity, diagnose
from glial.doctor.evidence import Evidence
from glial.doctor.evidence.table import evidence_files, load_evidence
from glial.doctor.ignoring import check_ignored, is_ignored
from glial.doctor.launching.gathering import failure_of, gather
from glial.doctor.launching.output import Output
from glial.doctor.launching.process import Child, Ended
from glial.doctor.launching.script import Script
from glial.doctor.launching.verdict import Verdict
from glial.doctor.remedies import Sources
from glial.doctor.remedies.diffs import with_diffs
from glial.doctor.traces import FOLDER, PATCHES, PREFLIGHT, SHIFT, STEPS, Traces

WISHES = {STEPS, PREFLIGHT, PATCHES, SHIFT}
BOOTSTRAP = Path(__file__).parents[1] / "bootstrap"

NO_TORCH = "torch was never imported: there is nothing to judge"
NO_TIME = "the script ended before anything could be seen of it"
NO_STEP = "no optimiser made a step: there was no training to judge"
LATE = "the script was ended: its time was over"
HUNG = "the script was done, but its process neither worked nor ended: the doctor ended it"

logger = logging.getLogger(__name__)


def watch(
    script: Script,
    *,
    steps: int | None = None,
    preflight: bool = False,
    sensitivity: Sensitivity = "normal",
    ignore: Collection[str] = (),
    output_to_error: bool = False,
    patches: Mapping[str, str] | None = None,
    seed_shift: int | None = None,
    output: Output | None = None,
    most_seconds: float | None = None,
) -> Verdict:
    """Run a script to its end and say what is wrong with its training.

    It runs unchanged in one child process of this Python, with this process's environment,
    input and output. With patches it runs as if some of its files held other texts: nothing of
    them is written, and each keeps its path, its folder and its name.

    Args:
        script: What to run.
        steps: The script is stopped after as many steps of its optimisers; None for never.
        preflight: Whether the start of the training is all that is looked at.
        sensitivity: How much must speak for a finding.
        ignore: Problems, each as ``ID`` or ``ID@layer``, that are left out.
        output_to_error: Whether the script's standard output goes to standard error.
        patches: The whole new text of some files, by their paths; a notebook's is that of its
            code cells as one script.
        seed_shift: Moves every seed that the script gives to a shared generator, for another
            draw of the same training; 0 leaves them, and seeds generators that it never seeds;
            None leaves all as it is.
        output: Where what the script writes is kept; None for nowhere.
        most_seconds: After how many it is ended; None for never.

    Returns:
        The verdict, however the script ended.

    Raises:
        InputError: If ``ignore`` names an unknown problem.
        GlialError: If the doctor itself failed where the script did not.

    Example:
        >>> watch(Script("no training", ("-c", "pass"))).note
        'torch was never imported: there is nothing to judge'
    """
    ignore = check_ignored(ignore)
    with tempfile.TemporaryDirectory(prefix="glial-doctor-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        patches = dict(patches or {})
        script = script.written_to(folder, patches)
        for line, text in script.notebook.taken_out if script.notebook else ():
            logger.info("left out, as only a notebook can run it: %s (%s)", text, line)
        child = Child(
            script.words,
            _environment(folder, script)
            | _wishes(folder, steps, preflight, patches, seed_shift)
            | ({"PYTHONUNBUFFERED": "1"} if output is not None else {}),
            script.folder,
            output_to_error=output_to_error,
            output=output,
            most_seconds=most_seconds,
        )
        ended = child.run(
            lambda process: Traces.of(folder, process).stopped.exists(),
            lambda process: Traces.of(folder, process).over.exists(),
        )
        found = gather(folder, ended.process)
        failure = failure_of(folder, ended.process)
        blind = NO_TIME if Traces.all_of(folder) else NO_TORCH
    if found:
        verdict = _verdict(script, found, ended, sensitivity, ignore, patches)
    else:
        verdict = Verdict([], None, ended, note=blind)
    if failure is not None:
        logger.error("%s", failure.strip())
        if not verdict.failed:
            raise GlialError(
                "the doctor failed while it watched; the script itself was not disturbed",
                got=failure.strip().splitlines()[-1],
                do="this is an error of Glial's own: please report it with the traceback",
            )
    return verdict


def _environment(folder: Path, script: Script) -> dict[str, str]:
    """This process's variables, and those that have the child watched."""
    values = {key: value for key, value in os.environ.items() if key not in WISHES}
    beside = [str(script.folder)] if script.folder else []
    before = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    values["PYTHONPATH"] = os.pathsep.join([str(BOOTSTRAP), *beside, *before])
    if script.notebook is not None:
        values.setdefault("MPLBACKEND", "Agg")  # a notebook opens no windows
    values[FOLDER] = str(folder)
    return values


def _wishes(
    folder: Path,
    steps: int | None,
    preflight: bool,
    patches: Mapping[str, str],
    seed_shift: int | None,
) -> dict[str, str]:
    """The variables that say how the child is run."""
    values = {STEPS: None if steps is None else str(steps), PREFLIGHT: "1" if preflight else None}
    if patches:
        path = folder / "patches.json"
        path.write_text(json.dumps({str(Path(p).resolve()): text for p, text in patches.items()}))
        values[PATCHES] = str(path)
    if seed_shift is not None:
        values[SHIFT] = str(seed_shift)
    return {name: value for name, value in values.items() if value is not None}


def _verdict(
    script: Script,
    found: Mapping[int, Evidence],
    ended: Ended,
    sensitivity: Sensitivity,
    ignore: Collection[str],
    patches: Mapping[str, str],
) -> Verdict:
    seen = next(iter(found.values()))
    findings = diagnose(seen, sensitivity, ignore)
    if script.notebook is None:  # a diff of its file would be one of cells as JSON
        findings = with_diffs(findings, seen, Sources(patches))
    findings = [replace(finding, at=script.place(finding.at)) for finding in findings]
    seen = replace(seen, error_at=script.place(seen.error_at))
    note = None if seen.steps else NO_STEP
    if ended.forced and not seen.stopped:
        note = LATE if ended.late else HUNG
    steps_of = {process: evidence.steps for process, evidence in found.items()}
    return Verdict(findings, seen, ended, steps_of, note)


def examine_run(
    folder: Path, *, sensitivity: Sensitivity = "normal", ignore: Collection[str] = ()
) -> Verdict:
    """Say what is wrong with a run that was trained before.

    Args:
        folder: The run's.
        sensitivity: How much must speak for a finding; matters where the run keeps evidence.
        ignore: Problems, each as ``ID`` or ``ID@layer``, that are left out.

    Returns:
        The verdict: on the run's evidence where it keeps any, else the findings it was saved
        with, and a note that says so.

    Raises:
        InputError: If the folder is not a run's, or ``ignore`` names an unknown problem.

    Example:
        >>> from glial.core.files import write_atomic
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_atomic(folder / "findings.json", "[]")
        >>> examine_run(folder).healthy
        True
    """
    ignore = check_ignored(ignore)
    kept = [load_evidence(path) for path in evidence_files(folder)]
    if kept:
        findings = distinct(f for one in kept for f in diagnose(one, sensitivity, ignore))
        if (folder / "findings.json").exists():
            told = _read(folder / "findings.json", list[Finding])
            findings = with_known_remedies(findings, told)  # what mends them hangs on the plan
            findings += [one for one in on_met_faults(told) if not is_ignored(one, ignore)]
        several = f"the run has {len(kept)} networks, each of which was judged"
        return Verdict(findings, kept[0], note=several if len(kept) > 1 else None)
    findings = _read(folder / "findings.json", list[Finding])
    note = "the run keeps no evidence: these are the findings that it was saved with"
    return Verdict([x for x in findings if not is_ignored(x, ignore)], None, note=note)


def _read(path: Path, kind: Any) -> Any:
    """The content of a file of a run, of a kind."""
    try:
        return TypeAdapter(kind).validate_python(read_json(path))
    except ValidationError as error:
        raise InputError(
            f"{path} cannot be read",
            expected="what Glial wrote there",
            got=json.dumps(str(error.errors()[0]["msg"])),
            do="the file was changed: restore it, or train again",
        ) from error
