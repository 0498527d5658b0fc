"""What repairs teach about causes: findings that went when one cause was mended.

Where one cause alone was mended and the change kept, whatever else was found before and is not
found after may have followed from it. An edge is learned where that happened in several programs,
and more often than not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from doctor.records import Record
from glial.doctor.causes import LEADS_TO, consequences


class Edge(NamedTuple):
    """How often one problem went when another was mended.

    Attributes:
        cause: The problem that was mended.
        effect: The other.
        went: Programs in which it went.
        seen: Programs in which both were found.
    """

    cause: str
    effect: str
    went: int
    seen: int

    @property
    def share(self) -> float:
        """The share of programs in which it went."""
        return self.went / self.seen


def problems(findings: Sequence[Record]) -> set[str]:
    """What errors and warnings name, with the symptoms that they explain."""
    serious = [f for f in findings if f["severity"] != "note"]
    return {f["problem"] for f in serious}.union(*(f["symptoms"] or () for f in serious))


def edges(found: Sequence[Record]) -> list[Edge]:
    """What went with what, most often first.

    Args:
        found: Records of repairs; those that kept one remedy of one problem count.
    """
    went: dict[tuple[str, str], set[str]] = defaultdict(set)
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in found:
        if record.get("kind") != "repair" or record.get("findings") is None:
            continue
        kept = [a for a in record["attempts"] if a["verdict"] == "kept"]
        if len(kept) != 1 or " + " in (kept[0]["problem"] or " + "):
            continue
        cause, program = kept[0]["problem"], record["name"].split(":")[0]
        before = problems(record["findings"])
        stayed = set(kept[0].get("new") or ())
        # Errors and warnings are told as gone; a symptom goes with the finding that explained it.
        gone = set(kept[0].get("gone") or ())
        for finding in record["findings"]:
            if finding["problem"] in gone:
                gone |= set(finding["symptoms"] or ())
        for effect in before - {cause}:
            seen[cause, effect].add(program)
            if effect in gone and effect not in stayed:
                went[cause, effect].add(program)
    made = [Edge(*pair, len(went[pair]), len(programs)) for pair, programs in seen.items()]
    return sorted(made, key=lambda edge: (-edge.went, -edge.share, edge))


def learned(made: Sequence[Edge], least: int = 2) -> list[Edge]:
    """Edges that repair shows: in several programs, and more often than not."""
    return [edge for edge in made if edge.went >= least and edge.share > 0.5]


def table(made: Sequence[Edge]) -> str:
    """Edges, a line each."""
    return "\n".join(f"{e.cause:26s} -> {e.effect:26s} {e.went:3d} of {e.seen}" for e in made)


def report(found: Sequence[Record], leads_to: Mapping[str, Sequence[str]] = LEADS_TO) -> str:
    """Edges learned, beside the graph that the doctor goes by.

    Args:
        found: Records of repairs.
        leads_to: What it takes each problem to lead to.
    """
    made = edges(found)
    known: Mapping[str, Set[str]] = consequences(leads_to)
    shown = learned(made)
    missing = [edge for edge in shown if edge.effect not in known.get(edge.cause, ())]
    refuted = [
        edge
        for edge in made
        if edge.effect in known.get(edge.cause, ()) and edge.seen >= 2 and edge.share < 0.5
    ]
    tested = {(edge.cause, edge.effect) for edge in made}
    untested = sum(
        (cause, effect) not in tested for cause in leads_to for effect in leads_to[cause]
    )
    causes = Counter(edge.cause for edge in shown)
    return "\n".join(
        [
            f"learned from repair: {len(shown)} edges of {len(causes)} causes",
            table(shown),
            "",
            f"not in the doctor's graph: {len(missing)}",
            table(missing),
            "",
            f"in the graph, and stayed more often than it went: {len(refuted)}",
            table(refuted),
            "",
            f"direct edges of the graph that no repair has tested: {untested} of "
            f"{sum(map(len, leads_to.values()))}",
        ]
    )
