"""Findings as SARIF 2.1.0, which code review and editors show at their lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from glial.core.findings import Finding, Place
from glial.core.version import __version__
from glial.doctor.problems import PROBLEMS

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def to_sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    """Findings as one run of one tool.

    Args:
        findings: In their order; places are relative to the working folder or absolute.

    Returns:
        The file's content as plain values.

    Source:
        OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0 Plus Errata 01",
        2023, sections 3.14 (run), 3.27 (result), 3.28 (location).

    Example:
        >>> finding = Finding("dead-units", "warning", "0", {}, "It.", "Do.", at=Place("a.py", 3))
        >>> result = to_sarif([finding])["runs"][0]["results"][0]
        >>> result["ruleId"], result["level"]
        ('dead-units', 'warning')
    """
    names = list(dict.fromkeys(finding.problem for finding in findings))
    driver = {
        "name": "glial doctor",
        "semanticVersion": __version__,
        "rules": [_rule(name) for name in names],
    }
    results = [_result(finding, names.index(finding.problem)) for finding in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(name: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": name}
    if name in PROBLEMS:
        rule["shortDescription"] = {"text": PROBLEMS[name].title}
        rule["fullDescription"] = {"text": PROBLEMS[name].means}
    return rule


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if finding.at is not None:
        location["physicalLocation"] = _physical(finding.at)
    if finding.where is not None:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.where}]
    return {
        "ruleId": finding.problem,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": f"{_sentence(finding.means)} {_sentence(finding.do)}"},
        "locations": [location] if location else [],
        "properties": {
            "evidence": finding.evidence,
            "sinceStep": finding.since_step,
            "symptoms": list(finding.symptoms),
        },
    }


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _physical(place: Place) -> dict[str, Any]:
    """A place in a file; of a notebook's cell the notebook, whose own lines nobody sees."""
    file, _, cell = place.file.partition(":cell ")
    path = Path(file)
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if not cell:
        physical["region"] = {"startLine": place.line}
    return physical
