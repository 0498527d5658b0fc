"""From evidence to findings, the one to mend first."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence
from glial.doctor.ignoring import is_ignored

Sensitivity = Literal["low", "normal", "high"]


def diagnose(
    evidence: Evidence, sensitivity: Sensitivity = "normal", ignore: Collection[str] = ()
) -> list[Finding]:
    """What is wrong with a training.

    Args:
        evidence: What was seen of it.
        sensitivity: How much must speak for a finding.
        ignore: Problems, or problems at layers, that are left out.

    Returns:
        The findings.

    Example:
        >>> [finding.problem for finding in diagnose(Evidence(loss_not_finite=3))]
        ['loss-not-finite']
    """
    found = []
    step = evidence.loss_not_finite
    if step is not None:
        found.append(
            Finding(
                "loss-not-finite",
                "error",
                None,
                {"step": step},
                f"the loss is not finite from step {step} on",
                "lower the learning rate",
                at=evidence.losses[0].at if evidence.losses else None,
                since_step=step,
            )
        )
    return [finding for finding in found if not is_ignored(finding, ignore)]
