"""From evidence to findings: the rules are asked, and what they say is put in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from glial.core.errors import unknown_name
from glial.core.findings import Finding
from glial.doctor.causes import rank
from glial.doctor.evidence import Evidence
from glial.doctor.ignoring import check_ignored, is_ignored
from glial.doctor.rules import RULES

Sensitivity = Literal["low", "normal", "high"]
SENSITIVITIES: dict[str, float] = {"low": 0.5, "normal": 1.0, "high": 2.0}


def diagnose(
    evidence: Evidence, sensitivity: Sensitivity = "normal", ignore: Iterable[str] = ()
) -> list[Finding]:
    """What is wrong with a training, the thing to mend first at the front.

    Args:
        evidence: What was seen of it.
        sensitivity: How little is enough: ``low`` asks for twice the evidence that ``normal``
            asks for, ``high`` for half.
        ignore: Problems that are not to be told, ``ID`` or ``ID@layer``.

    Raises:
        InputError: If there is no such sensitivity or problem.

    Example:
        >>> diagnose(Evidence())
        []
    """
    if sensitivity not in SENSITIVITIES:
        raise unknown_name("sensitivity", sensitivity, SENSITIVITIES)
    silenced = check_ignored(ignore)
    found = [
        finding
        for rule in RULES
        for finding in rule(evidence, SENSITIVITIES[sensitivity])
        if not is_ignored(finding, silenced)
    ]
    order = [layer.name for model in evidence.models for layer in model.layers]
    return rank(found, order)
