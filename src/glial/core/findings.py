"""A finding: what is wrong, where, since when, on what evidence, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Place:
    """A line of somebody's code.

    Example:
        >>> str(Place("train.py", 12))
        'train.py:12'
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Finding:
    """One thing that somebody should look at.

    Attributes:
        problem: What it is, one of the names in :data:`glial.doctor.PROBLEMS`.
        severity: ``error`` where training is broken, ``warning`` where its result is worse or
            may mislead, ``note`` where nothing measurable is lost.
        where: The layer, parameter or column; None where it concerns the whole.
        evidence: The numbers that show it.
        means: What it is, in one sentence.
        do: What to do about it, in one sentence.
        remedy: ``{"set": {plan key: value}}`` or ``{"diff": text}``; None where there is none.
        source: The paper or textbook that it rests on.
        at: The line of the user's code that it is about.
        since_step: The first step that showed it, from 1.
        symptoms: The problems that follow from it and were seen too.

    Example:
        >>> Finding("leakage", "warning", "copy", {"score": 1.0}, "It.", "Do.").where
        'copy'
    """

    problem: str
    severity: Severity
    where: str | None
    evidence: dict[str, int | float]
    means: str
    do: str
    remedy: dict[str, Any] | None = None
    source: str | None = None
    at: Place | None = None
    since_step: int | None = None
    symptoms: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return {**asdict(self), "symptoms": list(self.symptoms)}


def distinct(findings: Iterable[Finding]) -> list[Finding]:
    """Findings of several networks, each problem of a place once.

    Example:
        >>> found = Finding("leakage", "note", "copy", {}, "It.", "Do.")
        >>> len(distinct([found, found]))
        1
    """
    kept: dict[tuple[str, str | None], Finding] = {}
    for finding in findings:
        kept.setdefault((finding.problem, finding.where), finding)
    return list(kept.values())


def with_known_remedies(findings: Iterable[Finding], known: Iterable[Finding]) -> list[Finding]:
    """Findings with the remedies that the same problems of the same places have among others.

    Args:
        findings: They.
        known: Findings of the same thing, as they were told before.

    Example:
        >>> found = Finding("leakage", "note", "copy", {}, "It.", "Do.")
        >>> told = replace(found, remedy={"set": {"data.duplicates": "drop"}})
        >>> with_known_remedies([found], [told]) == [told]
        True
    """
    remedies = {(one.problem, one.where): one.remedy for one in known}
    return [
        finding
        if finding.remedy
        else replace(finding, remedy=remedies.get((finding.problem, finding.where)))
        for finding in findings
    ]


def on_met_faults(findings: Iterable[Finding]) -> list[Finding]:
    """Findings on faults that a training met by itself: what else was seen does not tell of them.

    Args:
        findings: Of that training, as they were told when it ended.

    Example:
        >>> met = Finding("loss-spike", "note", None, {"step": 7, "met": 1}, "It.", "Do.")
        >>> on_met_faults([met, replace(met, evidence={})]) == [met]
        True
    """
    return [finding for finding in findings if "met" in finding.evidence]


def is_healthy(findings: list[Finding]) -> bool:
    """Whether there is no error and no warning among findings.

    Example:
        >>> is_healthy([Finding("leakage", "note", None, {}, "It.", "Do.")])
        True
    """
    return all(finding.severity == "note" for finding in findings)
