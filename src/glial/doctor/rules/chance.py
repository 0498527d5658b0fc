"""Chance: noise that drowns what is to be learnt, and random numbers without a seed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence
from glial.doctor.measures import main_loss, outcome, suffers

DROWNED = 0.1  # the signal's share of the inputs' variance
LEARNT = 0.8


def drowning_noise(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Numbers drawn at random for each batch that outweigh the rows they are added to."""
    probe, loss, found = evidence.probe("noise"), main_loss(evidence), outcome(evidence)
    if probe is None or loss is None or found is None or probe.numbers["in_target"]:
        return
    share = probe.numbers["share"]
    if share < 1 - DROWNED * sensitivity:
        return
    yield Finding(
        "harmful-augmentation",
        "warning" if suffers(evidence) or found.skill < LEARNT else "note",
        None,
        {"share_of_noise": share, "skill": found.skill},
        f"{share:.0%} of the variance of the inputs is noise that is drawn anew for each batch",
        "make it far weaker than the rows' own spread, or leave it out",
        at=loss.noise_at or loss.at,
        since_step=1,
        source="Bishop (1995), Training with noise is equivalent to Tikhonov regularization",
    )


def not_reproducible(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Generators that nobody seeded, or a step that gives other numbers when it is made again."""
    source = "Pineau et al. (2021), Improving reproducibility in machine learning research, JMLR"
    if evidence.unseeded:
        names = " and ".join(evidence.unseeded)
        yield Finding(
            "not-reproducible",
            "note",
            None,
            {"generators": len(evidence.unseeded)},
            f"random numbers of {names} are drawn and were never seeded: two runs differ",
            "seed every generator at the beginning (torch.manual_seed and the like)",
            source=source,
        )
        return
    probe = evidence.probe("repeat")
    if probe is None:
        return
    again, once_more = probe.numbers["again"], probe.numbers.get("once_more", math.nan)
    if math.isfinite(again) and math.isfinite(once_more) and again != once_more:
        yield Finding(
            "not-reproducible",
            "note",
            None,
            {"loss": again, "repeated": once_more},
            "the same step from the same state gives another loss: something draws from a "
            "generator of its own, or sums in an order that changes",
            "give generators a seed; torch.use_deterministic_algorithms(True) for the order",
            since_step=probe.step,
            source=source,
        )
