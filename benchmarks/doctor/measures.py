"""What the doctor's findings are worth: shares of runs, with intervals over programs.

Faults that were measured to change nothing are counted apart: a note is right for them.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from doctor.cases import Case, all_cases
from doctor.catalogue import PROGRAMS
from doctor.effects import Effects
from doctor.records import Record
from glial.doctor.causes import LEADS_TO, consequences
from glial.doctor.problems import SYMPTOMS

LEADS_TO_ALL = consequences(LEADS_TO)
Measure = Callable[["Result"], "bool | None"]


class Result(NamedTuple):
    """One run under the doctor, with what is known of its script."""

    record: Record
    case: Case
    matters: bool

    @property
    def serious(self) -> list[Record]:
        """Findings that are errors or warnings."""
        return [f for f in self.record["findings"] if f["severity"] != "note"]


def detected(result: Result) -> bool:
    """An error or a warning names an accepted cause, or a symptom of it."""
    right = set(result.case.accepted)
    for problem in result.case.accepted:
        right |= LEADS_TO_ALL.get(problem, frozenset()) & SYMPTOMS
    return any({f["problem"], *(f["symptoms"] or ())} & right for f in result.serious)


def first(result: Result) -> bool:
    """The finding named first is accepted."""
    return any(f["problem"] in result.case.accepted for f in result.record["findings"][:1])


def first_three(result: Result) -> bool:
    """One of the first three findings is accepted."""
    return any(f["problem"] in result.case.accepted for f in result.record["findings"][:3])


def located(result: Result) -> bool | None:
    """The first accepted finding names a right layer or line; None of a fault without a place."""
    if not result.case.lines and not result.case.layers:
        return None
    for finding in result.record["findings"]:
        if finding["problem"] in result.case.accepted:
            where = finding["where"] or ""
            layer = any(where == n or where.endswith(f".{n}") for n in result.case.layers if n)
            return layer or finding["line"] in result.case.lines
    return False


def alarmed(result: Result) -> bool:
    """There is an error or a warning."""
    return bool(result.serious)


def condemned(result: Result) -> bool:
    """There is an error."""
    return any(f["severity"] == "error" for f in result.serious)


def interval(results: list[Result], measure: Measure, draws: int = 2000) -> str:
    """A share of runs and its 95 % interval: programs are drawn anew, with all their runs."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for result in results:
        answer = measure(result)
        if answer is not None:
            groups[result.case.program].append(answer)
    if not groups:
        return "no runs"
    sums = [(sum(group), len(group)) for group in groups.values()]
    generator = random.Random(0)
    shares = []
    for _ in range(draws):
        drawn = generator.choices(sums, k=len(sums))
        shares.append(sum(s for s, _ in drawn) / sum(n for _, n in drawn))
    shares.sort()
    right, runs = sum(s for s, _ in sums), sum(n for _, n in sums)
    low, high = shares[int(0.025 * draws)], shares[int(0.975 * draws)]
    return (
        f"{100 * right / runs:5.1f} % [{100 * low:.1f}, {100 * high:.1f}] "
        f"({right}/{runs} runs of {len(sums)} programs)"
    )


def by_problem(faulty: list[Result], healthy: list[Result]) -> str:
    """A line for each problem: hits, misses, and false alarms on healthy runs."""
    hits, named, missed, wrong = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    alarms, notes = Counter[str](), Counter[str]()
    for result in faulty:
        said = [f["problem"] for f in result.record["findings"]]
        right = [problem for problem in said if problem in result.case.accepted]
        hits.update(said[:1] if first(result) else ())
        wrong.update(said[:1] if not first(result) else ())
        named.update(set(right))
        missed.update(() if right else result.case.accepted[:1])
    for result in healthy:
        for finding in result.record["findings"]:
            (notes if finding["severity"] == "note" else alarms)[finding["problem"]] += 1
    rows = [
        f"{'problem':28s} {'first':>6s} {'named':>6s} {'missed':>7s} {'wrong':>6s} "
        f"{'alarms':>7s} {'notes':>6s}"
    ]
    counters = (hits, named, missed, wrong, alarms, notes)
    rows.extend(
        f"{p:28s} {hits[p]:6d} {named[p]:6d} {missed[p]:7d} {wrong[p]:6d} "
        f"{alarms[p]:7d} {notes[p]:6d}"
        for p in sorted(set().union(*counters))
    )
    return "\n".join(rows)


def by_operator(faulty: list[Result]) -> str:
    """A line for each kind of fault: how often it is detected, named, and what else is said."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in faulty:
        groups[result.case.operator or ""].append(result)
    rows = [f"{'fault':24s} {'runs':>5s} {'found':>6s} {'first':>6s} {'three':>6s}  instead"]
    for name, group in sorted(groups.items()):
        instead = Counter(
            (r.record["findings"][0]["problem"] if r.record["findings"] else "nothing")
            for r in group
            if not first(r)
        )
        said = ", ".join(f"{p} {n}" for p, n in instead.most_common(4))
        found, one, three = (sum(m(r) for r in group) for m in (detected, first, first_three))
        rows.append(f"{name:24s} {len(group):5d} {found:6d} {one:6d} {three:6d}  {said}")
    return "\n".join(rows)


def by_family(faulty: list[Result], healthy: list[Result]) -> str:
    """A line for each family of networks: alarms on healthy runs, what is found of faults."""
    families = {program.name: program.family for program in PROGRAMS}
    groups: dict[str, tuple[list[Result], list[Result]]] = defaultdict(lambda: ([], []))
    for side, results in enumerate((healthy, faulty)):
        for result in results:
            groups[families.get(result.case.program, "open")][side].append(result)
    rows = [
        f"{'family':16s} {'programs':>8s} {'healthy':>8s} {'alarms':>7s} "
        f"{'faulty':>7s} {'found':>6s} {'first':>6s}"
    ]
    for name, (well, ill) in sorted(groups.items()):
        programs = len({r.case.program for r in (*well, *ill)})
        counts = [sum(measure(r) for r in ill) for measure in (detected, first)]
        rows.append(
            f"{name:16s} {programs:8d} {len(well):8d} {sum(map(alarmed, well)):7d} "
            f"{len(ill):7d} {counts[0]:6d} {counts[1]:6d}"
        )
    return "\n".join(rows)


def unchanged(results: Iterable[Result], known: Effects) -> tuple[int, int]:
    """Runs whose score equals that without the doctor, and runs that can be compared."""
    pairs = []
    for result in results:
        plain = known.of(result.case).get(result.record["seed"])
        if plain is not None and result.record.get("score") is not None:
            pairs.append(plain == result.record["score"])
    return sum(pairs), len(pairs)


def report(found: list[Record], cases: list[Case], known: Effects) -> str:
    """Everything that the results say of these cases."""
    chosen = {(case.name, case.version): case for case in cases}
    originals = {case.program: case for case in all_cases("healthy", "all")}
    results = []
    for record in found:
        case = chosen.get((record["name"], record["version"]))
        if case is None:
            continue
        if case.operator is None or case.path is not None:
            results.append(Result(record, case, case.operator is not None))
        elif (matters := known.matters(case, originals[case.program])) is not None:
            results.append(Result(record, case, matters))
    healthy = [r for r in results if r.case.operator is None]
    faulty = [r for r in results if r.matters]
    harmless = [r for r in results if r.case.operator is not None and not r.matters]
    notes = [sum(f["severity"] == "note" for f in r.record["findings"]) for r in healthy]
    costs = sorted(r.record["overhead"] for r in results if r.record.get("overhead") is not None)
    same, compared = unchanged(results, known)
    lines = [
        f"detection           {interval(faulty, detected)}",
        f"first cause right   {interval(faulty, first)}",
        f"among first three   {interval(faulty, first_three)}",
        f"right place         {interval(faulty, located)}",
        f"false alarms        {interval(healthy, alarmed)}",
        f"false errors        {interval(healthy, condemned)}",
        f"harmless, alarmed   {interval(harmless, alarmed)}",
        f"notes a healthy run {statistics.fmean(notes) if notes else 0:.2f}",
        f"scores unchanged    {same}/{compared}",
        f"crashes             {sum(r.record['crash'] is not None for r in results)}",
    ]
    if costs:
        ninety = costs[math.ceil(0.9 * len(costs)) - 1]
        lines.append(
            f"time added          median {100 * statistics.median(costs):.1f} %, "
            f"nine in ten below {100 * ninety:.1f} %"
        )
    tables = (
        by_family(faulty, healthy),
        by_problem(faulty, healthy),
        by_operator(faulty),
    )
    return "\n\n".join(["\n".join(lines), *tables])
