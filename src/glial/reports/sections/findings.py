"""What the doctor found: each problem with its evidence, what it means and what to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from glial.core.findings import Finding
from glial.doctor import PROBLEMS
from glial.reports.blocks import Block, Card, Code, Facts, Fold, Section, Text, Tone
from glial.reports.drawings import lines
from glial.reports.numbers import counted, sentence
from glial.reports.subject import Subject

TONES: dict[str, Tone] = {"error": "bad", "warning": "warn", "note": "muted"}
MOST = 30
SERIES = ("gradient", "dead", "saturated", "weight", "mean", "std", "rank")


def findings(subject: Subject) -> Section:
    """What the doctor found.

    Args:
        subject: What the report is about.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> findings(Subject.of(run, use_data=False)).key
        'findings'
    """
    found = subject.findings
    section = Section("findings", "", data={"findings": [one.to_dict() for one in found]})
    section.says = [counts_told(found)]
    if not found:
        watched = bool(subject.evidence or subject.live)
        section.says = [
            "The doctor watched the training and found nothing to mend."
            if watched
            else "Nothing is known of problems: this training was not watched."
        ]
    main = [one for one in found if one.severity != "note"]
    notes = [one for one in found if one.severity == "note"]
    section.blocks = [_card(one, subject) for one in main[:MOST]]
    cards: list[Block] = [_card(one, subject) for one in notes[:MOST]]
    if cards:
        fold = Fold(f"{counted(len(notes), 'note')}: worth knowing", cards, not main)
        section.blocks.append(fold)
    if len(found) > MOST:
        section.blocks.append(Text("The rest stands in findings.json.", "muted"))
    section.blocks += _not_checked(subject)
    return section


def counts_told(found: Sequence[Finding]) -> str:
    """How many findings of each kind there are.

    Args:
        found: The findings.

    Example:
        >>> counts_told([Finding("leakage", "note", None, {}, "It.", "Do.")])
        'The doctor found 1 note. The first is the one to look at first.'
    """
    kinds = ("error", "warning", "note")
    counts = {kind: sum(one.severity == kind for one in found) for kind in kinds}
    told = [counted(count, kind) for kind, count in counts.items() if count]
    joined = " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)
    return f"The doctor found {joined or 'nothing'}. The first is the one to look at first."


def title_of(finding: Finding) -> str:
    """What a finding's problem is called.

    Args:
        finding: The finding.

    Example:
        >>> title_of(Finding("made-up", "note", "a", {}, "It.", "Do."))
        'made-up'
    """
    known = PROBLEMS.get(finding.problem)
    return finding.problem if known is None else known.title


def _card(finding: Finding, subject: Subject) -> Card:
    blocks: list[Block] = [
        Text(sentence(finding.means)),
        Text(f"What to do: {sentence(finding.do)}"),
    ]
    facts = [
        ("Where", finding.where),
        ("Since step", finding.since_step),
        ("Line", None if finding.at is None else str(finding.at)),
        ("Also seen, because of it", ", ".join(finding.symptoms)),
    ]
    blocks.append(Facts([(name, value) for name, value in facts if value]))
    if finding.evidence:
        pairs = [(name.replace("_", " "), value) for name, value in finding.evidence.items()]
        blocks.append(Fold("The numbers that show it", [Facts(pairs)]))
    blocks += _curve(finding, subject)
    if finding.remedy:
        blocks.append(Fold("A remedy", [Code(_remedy(finding))]))
    if finding.source:
        blocks.append(Text(f"See: {finding.source}", "muted"))
    title = title_of(finding)
    return Card(
        f"{title[:1].upper()}{title[1:]}", blocks, TONES[finding.severity], finding.severity
    )


def _remedy(finding: Finding) -> str:
    remedy = finding.remedy or {}
    if "diff" in remedy:
        return str(remedy["diff"])
    changes = remedy.get("set", {})
    return " ".join(f"--set {key}={json.dumps(value)}" for key, value in changes.items())


def _curve(finding: Finding, subject: Subject) -> list[Block]:
    """What was followed over the steps at the place of a finding."""
    if finding.where is None:
        return []
    for evidence in subject.evidence:
        for model in evidence.models:
            parts: list[Any] = [*model.parameters, *model.layers]
            for part in [one for one in parts if one.name == finding.where]:
                for name in SERIES:
                    series = getattr(part, name, None)
                    if series is not None and len(series) > 2:
                        drawn = {name: (series.steps, series.values)}
                        title = f"{finding.where}: {name} over training"
                        return [lines(drawn, title=title, x="step", y=name)]
    return []


def _not_checked(subject: Subject) -> list[Block]:
    gone = {one.problem: one.why for seen in subject.evidence for one in seen.not_checked}
    if not gone:
        return []
    pairs = list(gone.items())[:MOST]
    return [Fold(f"{counted(len(gone), 'problem')} could not be looked for", [Facts(pairs)])]
