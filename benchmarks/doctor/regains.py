"""What repairs are worth: how much of the fixed version's gain they regain, at what cost and harm.

All scores are of trainings without the doctor: the faulty and the fixed version's as measured
once for all policies, the repaired version's with the same seeds.
"""

from __future__ import annotations

import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from doctor import repairs
from doctor.cases import Case, all_cases
from doctor.effects import Effects
from doctor.records import Record

ENOUGH = 0.9  # of the fixed version's gain
NO_SCORE = 0.0  # what a training without a score counts as: about that of a trivial answer


class Repair(NamedTuple):
    """One repair, with mean scores over seeds of what it began with and should come to.

    Attributes:
        record: What was tried and kept.
        case: The script.
        faulty: Before; of a healthy script the same as ``fixed``.
        fixed: The healthy version's.
        healed: After; ``faulty`` where nothing was kept.
        noise: The standard deviation between seeds of the healthy version.
    """

    record: Record
    case: Case
    faulty: float
    fixed: float
    healed: float
    noise: float

    @property
    def regain(self) -> float:
        """The share of the fixed version's gain; of a healthy script without meaning."""
        return (self.healed - self.faulty) / (self.fixed - self.faulty)

    @property
    def is_kept(self) -> bool:
        """Whether the script was changed."""
        return self.record["text"] is not None

    @property
    def is_worse(self) -> bool:
        """Whether the script does worse than before, by more than seeds differ."""
        return self.healed < self.faulty - self.noise


def mean(scores: Iterable[float | None]) -> float:
    """The mean over seeds; one without a score counts as a trivial answer."""
    return statistics.fmean(NO_SCORE if score is None else score for score in scores)


def gathered(found: Sequence[Record], cases: Iterable[Case], known: Effects) -> list[Repair]:
    """Repairs of these cases whose scores are all measured.

    Args:
        found: Records of repairs, and of the trainings that measure them.
        cases: The scripts.
        known: Scores of faulty and fixed versions.
    """
    chosen = {(case.name, case.version): case for case in cases}
    originals = {case.program: case for case in all_cases("healthy", "all")}
    scores: dict[tuple[str, str], dict[int, float | None]] = defaultdict(dict)
    for record in found:
        if record.get("kind") != "repair":
            scores[record["name"], record["version"]][record["seed"]] = record["score"]
    repaired = []
    for record in found:
        case = chosen.get((record["name"], record["version"]))
        if record.get("kind") != "repair" or case is None or case.program not in originals:
            continue
        fixed, faulty = known.of(originals[case.program]), known.of(case)
        healed = faulty
        if record["text"] is not None:
            after = repairs.treated(case, record["text"], record["policy"])
            healed = scores[after.name, after.version]
        seeds = sorted(set(fixed) & set(faulty) & set(healed))
        if len(seeds) < 2:
            continue
        good = [fixed[seed] for seed in seeds]
        repaired.append(
            Repair(
                record,
                case,
                mean(faulty[seed] for seed in seeds),
                mean(good),
                mean(healed[seed] for seed in seeds),
                statistics.stdev(NO_SCORE if score is None else score for score in good),
            )
        )
    return repaired


def interval(
    repaired: Sequence[Repair], measure: Callable[[Repair], float], draws: int = 2000
) -> str:
    """A mean and its 95 % interval: programs are drawn anew, with all their repairs.

    Args:
        repaired: The repairs.
        measure: What is averaged.
        draws: How often programs are drawn.
    """
    groups: dict[str, list[float]] = defaultdict(list)
    for one in repaired:
        groups[one.case.program].append(measure(one))
    if not groups:
        return "no repairs"
    sums = [(sum(group), len(group)) for group in groups.values()]
    generator, drawn_means = random.Random(0), []
    for _ in range(draws):
        drawn = generator.choices(sums, k=len(sums))
        drawn_means.append(sum(s for s, _ in drawn) / sum(n for _, n in drawn))
    drawn_means.sort()
    middle = sum(s for s, _ in sums) / sum(n for _, n in sums)
    low, high = drawn_means[int(0.025 * draws)], drawn_means[int(0.975 * draws)]
    return f"{middle:.3f} [{low:.3f}, {high:.3f}] ({len(repaired)} of {len(groups)} programs)"


def by_remedy(repaired: Sequence[Repair]) -> str:
    """A line for each remedy: tries, how many gained, were kept and regained enough, and harm.

    A treatment of several remedies counts for each. Gains are of the last trainings it had, in
    units of what the fixed version gains. Harm is a training that failed or lost a tenth of that.
    """
    rows: dict[str, list[tuple[float | None, str, bool]]] = defaultdict(list)
    for one in repaired:
        gap = one.fixed - one.faulty
        for attempt in one.record["attempts"]:
            if attempt["verdict"] == "not-tried":
                continue
            gain = attempt.get("gain")
            share = gain / gap if gain is not None and gap > 0 else None
            kept = attempt["verdict"] == "kept"
            enough = kept and one.case.operator is not None and one.regain >= ENOUGH
            for name in dict.fromkeys(attempt["remedy"].split(" + ")):
                rows[name].append((share, attempt["verdict"], enough))
    lines = [
        f"{'remedy':32s} {'tries':>6s} {'gained':>7s} {'kept':>5s} {'enough':>7s} {'harm':>5s} "
        f"{'median gain':>12s}"
    ]
    for name, tries in sorted(rows.items(), key=lambda row: (-len(row[1]), row[0])):
        shares = [share for share, _, _ in tries if share is not None]
        middle = f"{statistics.median(shares):12.2f}" if shares else f"{'-':>12s}"
        verdicts = Counter(verdict for _, verdict, _ in tries)
        gained = sum(share > 0 for share in shares)
        harm = sum(share < -0.1 for share in shares) + verdicts["failed"]
        enough = sum(one for _, _, one in tries)
        lines.append(
            f"{name[:32]:32s} {len(tries):6d} {gained:7d} {verdicts['kept']:5d} {enough:7d} "
            f"{harm:5d} {middle}"
        )
    return "\n".join(lines)


def by_operator(faulty: Sequence[Repair]) -> str:
    """A line for each kind of fault: repairs, kept, regained, and what was kept."""
    groups: dict[str, list[Repair]] = defaultdict(list)
    for one in faulty:
        groups[one.case.operator or ""].append(one)
    lines = [f"{'fault':24s} {'runs':>5s} {'kept':>5s} {'enough':>7s} {'median':>7s}  by"]
    for name, group in sorted(groups.items()):
        names = Counter(word for one in group for word in one.record.get("kept") or ())
        said = ", ".join(f"{word} {count}" for word, count in names.most_common(3))
        middle = statistics.median(one.regain for one in group)
        enough = sum(one.regain >= ENOUGH for one in group)
        kept = sum(one.is_kept for one in group)
        lines.append(f"{name:24s} {len(group):5d} {kept:5d} {enough:7d} {middle:7.2f}  {said}")
    return "\n".join(lines)


def report(found: Sequence[Record], cases: Sequence[Case], known: Effects) -> str:
    """Everything that the results say of repairs, for each policy."""
    parts = []
    for policy in repairs.POLICIES:
        records = [r for r in found if r.get("kind") != "repair" or r["policy"] == policy]
        made = [r for r in records if r.get("kind") == "repair"]
        if not made:
            continue
        repaired = gathered(records, cases, known)
        faulty = [one for one in repaired if one.case.operator is not None]
        healthy = [one for one in repaired if one.case.operator is None]
        searched = [one for one in faulty if one.record.get("search_cost") is not None]
        crashes = Counter(r["crash"][-60:] for r in made if r["crash"])
        kept = [one for one in faulty if one.is_kept]
        lines = [
            f"== {policy}",
            f"regain >= {ENOUGH:.0%}        {interval(faulty, lambda r: r.regain >= ENOUGH)}",
            f"regain, cut to 0..1  {interval(faulty, lambda r: min(1.0, max(0.0, r.regain)))}",
            f"something kept       {interval(faulty, lambda r: r.is_kept)}",
            f"kept, and no better  {sum(one.healed <= one.faulty for one in kept)}/{len(kept)}",
            f"search cost          {interval(searched, lambda r: r.record['search_cost'])}",
            f"trainings in all     {interval(faulty, lambda r: r.record.get('trainings') or 0.0)}",
            f"healthy, changed     {sum(one.is_kept for one in healthy)}/{len(healthy)}",
            f"healthy, made worse  {sum(one.is_worse for one in healthy)}/{len(healthy)}",
            f"crashes              {sum(crashes.values())} {dict(crashes.most_common(3)) or ''}",
            f"not measured yet     {len(made) - len(repaired)}",
            "",
            by_remedy(repaired),
            "",
            by_operator(faulty),
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
