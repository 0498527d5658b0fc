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

ORDER = {"error": 0, "warning": 1, "note": 2}


class Verdict(NamedTuple):
    """One script's run with one tool."""

    result: Result
    answered: bool


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


def verdicts(records: list[Record], known: Effects) -> dict[str, dict[tuple[Any, ...], Verdict]]:
    """For each tool, and each script and seed, what it said."""
    cases = {(case.name, case.version): case for case in all_cases("all", "all")}
    originals = {case.program: case for case in cases.values() if case.operator is None}
    found: dict[str, dict[tuple[Any, ...], Verdict]] = defaultdict(dict)
    for record in records:
        case = cases.get((record["name"], record["version"]))
        if case is None or record.get("group") == "mended":
            continue
        matters = bool(case.operator and known.matters(case, originals[case.program]))
        key = (record["name"], record["version"], record["seed"])
        if "said" not in record:  # the doctor's own
            found["glial"][key] = Verdict(Result(record, case, matters), not record["crash"])
            continue
        for peer in {**record["said"], **record["failed"]}:
            if peer == "warnings" and record["group"] != "watched":
                continue
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
    cells = [
        measures.interval(faulty, measures.detected).split(" (")[0].strip(),
        measures.interval(faulty, first).split(" (")[0].strip(),
        measures.interval(faulty, measures.alarmed).split(" (")[0].strip(),
        measures.interval(healthy, measures.alarmed).split(" (")[0].strip(),
        measures.interval(healthy, measures.condemned).split(" (")[0].strip(),
        f"{len(answers) - sum(v.answered for v in answers)} of {len(answers)}",
    ]
    label = f"{name} {PEERS[name].version}" if name in PEERS else name
    return f"| {label} | " + " | ".join(cells) + " |"


def table(found: dict[str, dict[tuple[Any, ...], Verdict]], keys: set[tuple[Any, ...]]) -> str:
    """Every tool on the same runs."""
    sample = [v.result for k, v in found["mldoct"].items() if k in keys]
    faulty = sum(r.matters for r in sample)
    healthy = sum(r.case.operator is None for r in sample)
    lines = [
        f"{faulty} faulty runs, {healthy} healthy ones",
        "| tool | found | first finding accepted | alarm where faulty | alarm where healthy "
        "| error where healthy | no answer |",
        "|---|---|---|---|---|---|---|",
    ]
    names = [name for name in ("glial", *PEERS) if name in found]
    lines.extend(row(name, [v for k, v in found[name].items() if k in keys]) for name in names)
    return "\n".join(lines)


def rules(found: dict[str, dict[tuple[Any, ...], Verdict]], keys: set[tuple[Any, ...]]) -> str:
    """The findings that alarm on healthy scripts, by tool."""
    lines = []
    for name in found:
        counts = Counter(
            f["problem"]
            for k, v in found[name].items()
            if k in keys and v.result.case.operator is None
            for f in {g["problem"]: g for g in v.result.serious}.values()
        )
        said = ", ".join(f"{problem} {n}" for problem, n in counts.most_common(5))
        lines.append(f"{name}: {said or 'none'}")
    return "\n".join(lines)


def noise(known: Effects, healthy: Case) -> float:
    """The deviation of a healthy script's scores between seeds, at least a hundredth."""
    scores = [score for score in known.of(healthy).values() if score is not None]
    return max(0.01, statistics.stdev(scores) if len(scores) > 1 else 0.0)


def regained(records: list[Record], group: str, known: Effects) -> str:
    """What scripts score where a tool mended them, beside their scores by themselves."""
    cases = {(case.name, case.version): case for case in all_cases("all", "all")}
    originals = {case.program: case for case in cases.values() if case.operator is None}
    changed, better, worse, whole, broken, healthy, harmed = 0, 0, 0, 0, 0, 0, 0
    for record in records:
        case = cases.get((record["name"], record["version"]))
        if case is None or record.get("group") != group:
            continue
        if group == "arc" and not record.get("rollbacks"):
            continue
        good = known.of(originals[case.program]).get(record["seed"])
        bad = known.of(case).get(record["seed"])
        score = record["score"]
        spread = noise(known, originals[case.program])
        if case.operator is None:
            healthy += 1
            harmed += score is None or (good is not None and score < good - spread)
            continue
        changed += 1
        broken += score is None and bad is not None
        if score is not None and good is not None:
            gain = score - (bad if bad is not None else min(0.0, good))
            better += gain > spread
            worse += gain < -spread
            whole += gain >= 0.9 * (good - (bad if bad is not None else min(0.0, good)))
    return (
        f"{group}: changed {changed} faulty runs, better {better}, at least 90 % regained {whole}, "
        f"worse {worse}, no score any more {broken}; "
        f"changed {healthy} healthy runs, harmed {harmed}"
    )


def report(found: list[Record], ours: list[Record]) -> str:
    """Everything that the results say, on the runs that every tool has."""
    known = Effects()
    by_tool = verdicts(found + ours, known)
    keys = set.intersection(*(set(answers) for answers in by_tool.values()))
    parts = [table(by_tool, keys), rules(by_tool, keys)]
    parts.extend(regained(found, group, known) for group in ("mended", "arc"))
    return "\n\n".join(parts)
