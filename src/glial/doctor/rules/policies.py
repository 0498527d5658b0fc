"""Policies: choices and what they brought."""

from __future__ import annotations

from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence

MOST_MADE_RARER = 0.9


def reversed_policy(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A loss that falls where choices that paid off get rarer."""
    probe = evidence.probe("policy")
    if probe is None or probe.numbers["made_rarer"] < MOST_MADE_RARER / sensitivity:
        return
    yield Finding(
        "gradient-ascent",
        "error",
        None,
        dict(probe.numbers),
        "the loss falls where choices that paid off are made less likely",
        "put a minus sign before the log-probabilities times what the choices brought",
        at=next((loss.chosen_at for loss in evidence.losses if loss.chosen_at), None),
        since_step=1,
        source="Sutton, Barto (2018), Reinforcement learning: an introduction, section 13.3",
    )
