"""What other people's tools found, beside the doctor on the same scripts and seeds."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from doctor import measures
from doctor.cases import Case, all_cases
from doctor.effects import Effects
from doctor.measures import Result
from doctor.peers.table import PEERS, SPEED, meant
from doctor.records import Record
from glial.doctor.problems import PROBLEMS

OF_GROUP = {
    "linted": ("mldoct", "torchfix"),
    "arc": ("arc",),
    "watched": tuple(n for n in PEERS if n not in ("mldoct", "torchfix", "arc")),
}
ORDER = {"error": 0, "warning": 1, "note": 2}


class Verdict(NamedTuple):
    """One script's run with one tool."""

    result: Result
    answered: bool


Answers = dict[str, dict[tuple[Any, ...], Verdict]]  # by tool, then by script, version and seed


def findings(peer: str, said: Iterable[Record]) -> list[Record]:
    """A tool's findings in the shape of the doctor's, worst first."""
    found = []
    for one in said:
        problems = meant(peer, one["rule"])
        severity = "note" if one["rule"] in SPEED else one["severity"]
        found.append(
            {
                "problem": problems[0] if problems else f"{peer}: {one['rule']}",
                "symptoms": list(problems[1:]),
                "rule": one["rule"],
                "severity": severity,
                "where": one["where"],
                "line": None,
            }
        )
    return sorted(found, key=lambda finding: ORDER[finding["severity"]])


def first_named(result: Result) -> bool:
    """Any problem that the first finding stands for is accepted."""
    return any(
        {f["problem"], *(f["symptoms"] or ())} & set(result.case.accepted)
        for f in result.record["findings"][:1]
    )


def verdicts(records: list[Record], cases: list[Case], known: Effects) -> Answers:
    """For each tool, and each script and seed, what it said."""
    by_version = {(case.name, case.version): case for case in cases}
    originals = {case.program: case for case in cases if case.operator is None}
    found: Answers = defaultdict(dict)
    for record in records:
        case = by_version.get((record["name"], record["version"]))
        if case is None or record.get("group") == "mended":
            continue
        matters = bool(case.operator and known.matters(case, originals[case.program]))
        key = (record["name"], record["version"], record["seed"])
        if "said" not in record:  # the doctor's own
            found["glial"][key] = Verdict(Result(record, case, matters), not record["crash"])
            continue
        for peer in OF_GROUP[record["group"]]:
            said = findings(peer, record["said"].get(peer, []))
            answered = peer not in record["failed"]
            if record["group"] != "linted" and peer != "warnings":
                answered = answered and record["trainings"] > 0
            found[peer][key] = Verdict(Result({"findings": said}, case, matters), answered)
    return dict(found)


def row(name: str, answers: list[Verdict]) -> str:
    """One tool's line: shares of faulty runs, alarms on healthy ones, scripts it could not do."""
    faulty = [v.result for v in answers if v.result.matters]
    healthy = [v.result for v in answers if v.result.case.operator is None]
    first = measures.first if name == "glial" else first_named
    asked = (
        (faulty, measures.detected),
        (faulty, first),
        (faulty, measures.alarmed),
        (healthy, measures.alarmed),
        (healthy, measures.condemned),
    )
    cells = [measures.interval(runs, measure).split(" (")[0].strip() for runs, measure in asked]
    label = f"{name} {PEERS[name].version}" if name in PEERS else name
    silent = len(answers) - sum(v.answered for v in answers)
    return f"| {label} | {' | '.join(cells)} | {len(faulty)} + {len(healthy)} | {silent} |"


def table(found: Answers, keys: set[tuple[Any, ...]]) -> str:
    """Every tool on the same runs; a tool that was not yet run on all of them on fewer."""
    lines = [
        "| tool | found | first finding accepted | alarm where faulty | alarm where healthy "
        "| error where healthy | faulty + healthy runs | no answer |",
        "|---|---|---|---|---|---|---|---|",
    ]
    names = [name for name in ("glial", *PEERS) if name in found]
    lines.extend(row(name, [v for k, v in found[name].items() if k in keys]) for name in names)
    return "\n".join(lines)


def themes(found: Answers, keys: set[tuple[Any, ...]]) -> str:
    """For each theme of the problems, the faults that each tool found, the best tools first."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    runs: Counter[str] = Counter()
    for name, answers in found.items():
        for key, verdict in answers.items():
            if key in keys and verdict.result.matters:
                theme = PROBLEMS[verdict.result.case.accepted[0]].theme
                counts[theme][name] += measures.detected(verdict.result)
                runs[theme] += name == "mldoct"
    lines = []
    for theme, by_tool in sorted(counts.items()):
        best = ", ".join(f"{name} {n}" for name, n in by_tool.most_common(5))
        lines.append(f"{theme:14s} {runs[theme]:3d} runs: {best}")
    return "\n".join(lines)


def rules(found: Answers, keys: set[tuple[Any, ...]]) -> str:
    """The findings that alarm on healthy scripts, by tool."""
    lines = []
    for name in found:
        counts = Counter(
            rule
            for k, v in found[name].items()
            if k in keys and v.result.case.operator is None
            for rule in {f.get("rule", f["problem"]) for f in v.result.serious}
        )
        said = ", ".join(f"{problem} {n}" for problem, n in counts.most_common(5))
        lines.append(f"{name}: {said or 'none'}")
    return "\n".join(lines)


def noise(known: Effects, healthy: Case) -> float:
    """The deviation of a healthy script's scores between seeds, at least a hundredth."""
    scores = [score for score in known.of(healthy).values() if score is not None]
    return max(0.01, statistics.stdev(scores) if len(scores) > 1 else 0.0)


def regained(
    records: list[Record], group: str, given: str, cases: list[Case], known: Effects
) -> Counter[str]:
    """What scripts score where a tool mended them, beside their scores by themselves.

    Args:
        records: Everything that was measured.
        group: Whose scores are those of mended scripts.
        given: The group that holds every script that the tool was given.
        cases: All scripts.
        known: Scores without any tool.
    """
    by_version = {(case.name, case.version): case for case in cases}
    originals = {case.program: case for case in cases if case.operator is None}
    counts: Counter[str] = Counter()
    for record in records:
        case = by_version.get((record["name"], record["version"]))
        if case is None or not case.visible:
            continue
        kind = "healthy" if case.operator is None else "faulty"
        counts[f"{kind} given"] += record.get("group") == given
        if record.get("group") != group or (group == "arc" and not record.get("rollbacks")):
            continue
        healthy = originals[case.program]
        good = known.of(healthy).get(record["seed"])
        bad = known.of(case).get(record["seed"], good)
        if good is None:
            continue
        counts[f"{kind} changed"] += 1
        if record["score"] is None:
            counts[f"{kind} with no score any more"] += bad is not None
            continue
        bad = min(0.0, good) if bad is None else bad
        gain, least = record["score"] - bad, noise(known, healthy)
        counts[f"{kind} better"] += gain > least
        counts[f"{kind} worse"] += gain < -least
        counts[f"{kind} with nine tenths regained"] += gain > least and gain >= 0.9 * (good - bad)
    return counts


def report(found: list[Record], ours: list[Record]) -> str:
    """Everything that the results say, on the runs that the doctor and its peers have both."""
    known, cases = Effects(), all_cases("all", "all")
    by_tool = verdicts(found + ours, cases, known)
    whole = [set(by_tool[name]) for name in ("glial", "mldoct", "torchmortem") if name in by_tool]
    keys = set.intersection(*whole) if whole else set()
    parts = [table(by_tool, keys), themes(by_tool, keys), rules(by_tool, keys)]
    for group, given in (("mended", "linted"), ("arc", "arc")):
        counts = regained(found, group, given, cases, known)
        parts.append(f"{group}: {', '.join(f'{n} {what}' for what, n in sorted(counts.items()))}")
    return "\n\n".join(parts)
