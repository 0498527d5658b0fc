"""Penalties: what is added to the loss, or mixed into its targets, and outweighs it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence, LossSeen
from glial.doctor.measures import main_loss, suffers

HEAVY = 10.0  # a weight that makes a term of the loss's own size the larger by far
_BOOK = "Goodfellow, Bengio, Courville (2016), Deep Learning, section 7.1"


def outweighed_loss(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """What is added to the loss is larger than it, and the loss itself is not learnt."""
    loss = main_loss(evidence)
    if loss is None or loss.added_at is None or loss.bootstrapped:
        return
    shares = added_shares(loss)
    if len(shares) < 5:
        return
    share = max(shares[: max(5, len(shares) // 4)])
    base = loss.constant if loss.constant > 1e-12 else loss.own.first
    skill = 1 - loss.own.mean(0.1) / base if base > 0 else 1.0
    outweighs = share > 1 - 0.5 * sensitivity or loss.added_weight >= HEAVY / sensitivity
    if not outweighs or skill > 0.15:
        return
    yield Finding(
        "over-regularised",
        "error" if skill < 0.05 else "warning",
        None,
        {
            "share_of_what_is_added": share,
            "weight_of_what_is_added": loss.added_weight,
            "skill_of_the_loss_itself": skill,
        },
        f"what is added to {loss.name} (up to {share:.0%} of the whole, weighed "
        f"{loss.added_weight:g}) outweighs it: {loss.name} itself ends where a constant answer is",
        "weigh it so that it is a small part of the loss at first",
        at=loss.added_at,
        since_step=1,
        source=f"{_BOOK}; Bowman et al. (2016), Generating sentences from a continuous space",
    )


def added_shares(loss: LossSeen) -> list[float]:
    """The share of a number that is not its loss function's value, step by step.

    Example:
        >>> from glial.doctor.evidence import Series
        >>> loss = LossSeen("mse_loss", value=Series([1], [4.0]), own=Series([1], [1.0]))
        >>> added_shares(loss)
        [0.75]
    """
    whole = dict(loss.value)
    pairs = [(own, whole[step]) for step, own in loss.own if whole.get(step, 0.0) > 0]
    return [1 - own / total for own, total in pairs if math.isfinite(own / total)]


def smoothed_labels(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Labels smoothed so much that every class is nearly as right as the true one."""
    loss = main_loss(evidence)
    smoothing = loss.settings.get("label_smoothing", 0.0) if loss is not None else 0.0
    if loss is None or smoothing < 0.5 / sensitivity:
        return
    rows = evidence.rows
    known = not math.isnan(rows.eval_accuracy) and not math.isnan(rows.eval_score)
    bad = rows.eval_accuracy < rows.eval_score - 0.05 if known else suffers(evidence)
    yield Finding(
        "over-regularised",
        "warning" if bad else "note",
        None,
        {"label_smoothing": smoothing},
        f"label_smoothing={smoothing:g} leaves {1 - smoothing:.0%} of a target to the true class",
        "use 0.1 or nothing",
        at=loss.made_at or loss.at,
        since_step=1,
        source="Szegedy et al. (2016), Rethinking the Inception architecture, section 7",
    )
