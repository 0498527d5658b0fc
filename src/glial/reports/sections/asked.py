"""What was asked for: the few choices that somebody made, and all that were made for them."""

from __future__ import annotations

from typing import Any

from glial.core.settings import flat
from glial.reports.blocks import Block, Facts, Fold, Section, Table
from glial.reports.numbers import counted
from glial.reports.subject import Subject

LONGEST = 120


def asked(subject: Subject) -> Section:
    """What was asked for, and what was decided.

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> asked(Subject.of(run)).says[0][:40]
        'From iris, learn to tell to which class '
    """
    plan = subject.plan
    wanted = _chosen(subject)
    says = [f"From {subject.source_name}, learn to {subject.goal}."]
    if wanted:
        says.append(
            f"{counted(len(wanted), 'choice').capitalize()} were made by somebody; everything "
            "else was decided by Glial from the data, and is written down below."
            if len(wanted) > 1
            else "One choice was made by somebody; everything else was decided by Glial."
        )
    decided = flat(plan.to_values())
    pairs = [(key, _told(value)) for key, value in wanted.items()]
    blocks: list[Block] = [Facts(pairs)] if pairs else []
    rows = [[key, _told(value)] for key, value in decided.items()]
    blocks.append(Fold("Every setting of the plan", [Table(["key", "value"], rows, "The plan")]))
    return Section("asked", "", says, blocks, {"asked": wanted, "plan": plan.to_values()})


def _chosen(subject: Subject) -> dict[str, Any]:
    told = subject.environment.get("asked")
    if not isinstance(told, dict):
        given = None if subject.run is None else subject.run.asked
        told = {} if given is None else given.to_values(given_only=True)
    return {key: value for key, value in flat(told).items() if value is not None}


def _told(value: Any) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
