"""Findings that somebody does not want to hear of: ``ID`` or ``ID@layer``."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from glial.core.errors import unknown_name
from glial.core.findings import Finding
from glial.doctor.problems import PROBLEMS


def check_ignored(texts: Iterable[str]) -> tuple[str, ...]:
    """The given texts, each of which names a problem that is known.

    Raises:
        InputError: If one does not; the nearest name is suggested.

    Example:
        >>> check_ignored(["dead-units@encoder.0"])
        ('dead-units@encoder.0',)
    """
    checked = tuple(texts)
    for text in checked:
        name = text.partition("@")[0]
        if name not in PROBLEMS:
            raise unknown_name("problem", name, PROBLEMS)
    return checked


def is_ignored(finding: Finding, ignore: Collection[str]) -> bool:
    """Whether a finding is not to be told: its problem is named, or it and its layer are.

    A layer stands for all within it.

    Example:
        >>> finding = Finding("dead-units", "warning", "encoder.0", {}, "It.", "Do.")
        >>> is_ignored(finding, ["dead-units@encoder"]), is_ignored(finding, ["dead-units@head"])
        (True, False)
    """
    for text in ignore:
        name, sign, layer = text.partition("@")
        within = not sign or f"{finding.where or ''}.".startswith(f"{layer}.")
        if name == finding.problem and within:
            return True
    return False
