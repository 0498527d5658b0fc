"""Findings with the diff of what mends them most likely."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence
from glial.doctor.remedies import Case, Sources, changes, diff_of, texts_after

logger = logging.getLogger(__name__)


def with_diffs(
    findings: Iterable[Finding],
    evidence: Evidence,
    sources: Sources | None = None,
    root: Path | None = None,
) -> list[Finding]:
    """Findings, each with the first of its changes of the source as its remedy.

    Args:
        findings: What was found; one that has a remedy keeps it.
        evidence: What was seen.
        sources: The program's files; what is on disk if None.
        root: Where the diff tells paths from; the current folder if None.

    Returns:
        As many findings. Where nothing is known to change, or the source cannot be read, the
        remedy stays None.

    Example:
        >>> finding = Finding("data-drift", "note", None, {}, "It.", "Do.")
        >>> with_diffs([finding], Evidence()) == [finding]
        True
    """
    sources = sources or Sources()
    return [_with_diff(finding, evidence, sources, root) for finding in findings]


def _with_diff(
    finding: Finding, evidence: Evidence, sources: Sources, root: Path | None
) -> Finding:
    if finding.remedy is not None:
        return finding
    try:
        found = changes(Case(finding, evidence, sources))
        if not found:
            return finding
        diff = diff_of(texts_after(found[:1], sources), sources, root)
    except Exception:
        logger.debug("no diff for %s", finding.problem, exc_info=True)
        return finding
    return replace(finding, remedy={"diff": diff})
