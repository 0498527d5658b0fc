"""Repairs of scripts with known faults: by the doctor's command line, or by another policy.

A repair ends with a text. How good that is, is measured apart: the text is trained without the
doctor, with the same seeds as the faulty and the fixed version.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from doctor import effects, policies, records, runner
from doctor.cases import Case, all_cases
from doctor.effects import Effects
from doctor.policies import Outcome
from doctor.records import Record
from doctor.runner import call_doctor

POLICIES = ("ours", "random", "autotrainer")
MOST_SECONDS = 1200.0
METRIC = ("--metric", r"^score (\S+)", "--maximize")
KEPT_OF_ATTEMPTS = (
    *("remedy", "problem", "where", "stage", "verdict", "scores", "gain", "noise", "cost"),
    *("gone", "new", "why"),
)


def treated(case: Case, text: str, policy: str) -> Case:
    """The case's script after a repair, under a name of its own."""
    return replace(case, program=f"{case.name}@{policy}", operator=None, text=text, path=None)


def heal(case: Case, seed: int, call: Sequence[str], budget: float) -> Record:
    """What ``--heal`` makes of one script: its answer, and the text that its diff leads to.

    Args:
        case: The script.
        seed: The script's own.
        call: How the doctor is called.
        budget: Trainings in all.
    """
    record = _begun(case, seed, "ours", budget)
    with tempfile.TemporaryDirectory() as folder:
        place, arguments = case.command(Path(folder), seed)
        words = [*call, "--heal", *METRIC, "--budget", f"{budget:g}", "--json"]
        beside = place.parent if case.path is None else Path(folder)
        words += [str(place), "--", *arguments]
        called = call_doctor(words, beside, MOST_SECONDS)
        record["seconds"] = called.seconds
        if called.status is None:
            return {**record, "crash": f"over {MOST_SECONDS:g} s"}
        record["status"], said, script_said = called.status, called.said, called.script_said
        try:
            answer = json.loads(said)
            healing = answer["healing"]
        except (json.JSONDecodeError, KeyError, TypeError):
            record["crash"] = (said + script_said).strip()[-2000:] or "no answer"
            return record
        record["findings"] = [
            {name: finding.get(name) for name in ("problem", "severity", "where", "symptoms")}
            for finding in answer["findings"]
        ]
        record["kept"] = healing.get("kept") or []
        for name in ("trainings", "search_cost", "confirm_cost", "stopped", "noise"):
            record[name] = healing.get(name)
        for name in ("before", "after"):
            record[name] = (healing.get(name) or {}).get("scores")
        record["attempts"] = [
            {name: attempt.get(name) for name in KEPT_OF_ATTEMPTS}
            for attempt in healing["attempts"]
        ]
        record["diff"] = healing.get("diff")
        if healing.get("kept") and record["diff"] and case.path is None:
            record["text"], record["crash"] = _applied(record["diff"], place)
    return record


def _begun(case: Case, seed: int, policy: str, budget: float) -> Record:
    return {
        "kind": "repair",
        "policy": policy,
        "name": case.name,
        "version": case.version,
        "seed": seed,
        "budget": budget,
        "half": case.half,
        "attempts": [],
        "kept": [],
        "text": None,
        "crash": None,
    }


def _applied(diff: str, place: Path) -> tuple[str | None, str | None]:
    """The script's text after a diff; and why there is none, where it does not apply."""
    answer = subprocess.run(
        ["git", "apply", "-"], input=diff, capture_output=True, text=True, cwd=place.parent
    )
    if answer.returncode:
        return None, f"the diff does not apply: {answer.stderr.strip()[-500:]}"
    return place.read_text(), None


def by_policy(case: Case, seed: int, call: Sequence[str], policy: str, budget: float) -> Record:
    """What a baseline makes of one script.

    Args:
        case: The script.
        seed: The script's own.
        call: How the doctor is called, which tells AutoTrainer's symptoms.
        policy: ``random`` or ``autotrainer``.
        budget: Trainings in all.
    """

    def watched(text: str) -> Outcome:
        said = runner.run_doctor(replace(case, text=text), seed, call)
        serious = [f for f in said["findings"] if f["severity"] != "note"]
        problems = {f["problem"] for f in serious}.union(*(f["symptoms"] or () for f in serious))
        return Outcome(said.get("score"), said["seconds"], frozenset(problems))

    def unwatched(text: str) -> Outcome:
        said = effects.run(replace(case, text=text), seed)
        return Outcome(said["score"], said["seconds"])

    begin = time.monotonic()
    if policy == "random":
        found = policies.by_chance(case.text or "", unwatched, budget, seed)
    else:
        found = policies.by_symptom(case.text or "", watched, budget, seed)
    return {
        **_begun(case, seed, policy, budget),
        "seconds": round(time.monotonic() - begin, 2),
        "attempts": found.attempts,
        "kept": [a["remedy"] for a in found.attempts if a["verdict"] == "kept"],
        "trainings": round(found.trainings, 2),
        "text": found.text,
    }


def chosen(cases: Iterable[Case]) -> list[Case]:
    """Healthy scripts, and those whose fault a score was measured to show."""
    known = Effects()
    originals = {case.program: case for case in all_cases("healthy", "all")}
    found, unknown = [], 0
    for case in cases:
        if case.operator is None or case.path is not None:
            found.append(case)
            continue
        matters = known.matters(case, originals[case.program])
        unknown += matters is None
        if matters and case.visible:
            found.append(case)
    if unknown:
        print(f"effects of {unknown} faults are not measured: see the verb measure")
    return found


def _key(record: Record) -> tuple[str, str, str, int]:
    return record["policy"], *records.key(record)


def run_all(
    cases: Iterable[Case],
    seeds: Sequence[int],
    path: Path,
    call: Sequence[str],
    jobs: int,
    policy: str,
    budget: float,
) -> None:
    """Repair what was not yet, then measure what came of it; both go on where they were stopped.

    Args:
        cases: The scripts.
        seeds: With the first of them a script is repaired, with all of them it is measured.
        path: Where results are kept.
        call: How the doctor is called.
        jobs: Number of scripts at a time; random search takes one.
        policy: Who repairs.
        budget: Trainings in all.
    """
    wanted = chosen(cases)
    done = {_key(r) for r in records.read(path) if r.get("kind") == "repair"}
    todo = [c for c in wanted if (policy, c.name, c.version, seeds[0]) not in done]

    def repair(case: Case) -> Record:
        if policy == "ours":
            return heal(case, seeds[0], call, budget)
        return by_policy(case, seeds[0], call, policy, budget)

    if policy == "random":  # its trainings are forks of this process, which may have no threads
        effects.preload()
        made = one_by_one(repair, todo, path)
    else:
        made = runner.each(repair, todo, path, jobs)
    for number, record in enumerate(made, 1):
        says = f"CRASH {record['crash'][-80:]!r}" if record["crash"] else ", ".join(record["kept"])
        print(
            f"{number}/{len(todo)} {policy} {record['name']}: {says or 'nothing kept'}", flush=True
        )
    measure(wanted, seeds, path, policy)


def one_by_one(
    repair: Callable[[Case], Record], todo: Iterable[Case], path: Path
) -> Iterator[Record]:
    """Repairs in this thread, appended as they are made."""
    for case in todo:
        record = repair(case)
        records.append(path, record)
        yield record


def measure(cases: Iterable[Case], seeds: Sequence[int], path: Path, policy: str) -> None:
    """Train what was repaired, without the doctor, with every seed."""
    found = records.read(path)
    texts = {
        (r["name"], r["version"]): r["text"]
        for r in found
        if r.get("kind") == "repair" and r["policy"] == policy and r["text"] is not None
    }
    healed = [
        treated(case, texts[case.name, case.version], policy)
        for case in cases
        if (case.name, case.version) in texts
    ]
    effects.measure(healed, seeds, path)
