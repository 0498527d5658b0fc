"""Sequences: what a place can see, and what it has to predict."""

from __future__ import annotations

from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence
from glial.doctor.measures import main_loss

_VASWANI = "Vaswani et al. (2017), Attention is all you need, section 3.1"


def target_in_input(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """A network that is shown what it must predict."""
    probe, loss = evidence.probe("tokens"), main_loss(evidence)
    if probe is None or loss is None:
        return
    numbers = probe.numbers
    same, following = numbers.get("same_token", 0.0), numbers.get("next_token", 0.0)
    ahead = numbers.get("sees_later", 0.0)
    if following > 0.95 and ahead > 0.5:
        yield Finding(
            "target-in-input",
            "error",
            None,
            {"places_that_see_later_tokens": ahead, "targets_that_are_the_next_token": following},
            "each place must predict the next token, and sees it: there is no causal mask",
            "mask what comes later (is_causal=True, or a triangular mask)",
            at=loss.at,
            since_step=1,
            source=_VASWANI,
        )
    elif same > 0.95:
        yield Finding(
            "target-in-input",
            "error",
            None,
            {"targets_that_are_the_token_itself": same},
            "each place must predict the very token that it is given",
            "shift the targets by one: inputs tokens[:, :-1], targets tokens[:, 1:]",
            at=loss.at,
            since_step=1,
            source=_VASWANI,
        )


def missing_position(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Order matters, and the network cannot see it."""
    probe, loss = evidence.probe("tokens"), main_loss(evidence)
    if probe is None or loss is None or probe.numbers.get("next_token", 0.0) < 0.95:
        return
    if probe.numbers.get("sees_order", 1.0) < 0.05:
        yield Finding(
            "missing-position",
            "warning",
            None,
            {"outputs_that_see_order": probe.numbers["sees_order"]},
            "exchanging the two tokens before the last changes nothing at the last place: the "
            "network sees a bag of tokens",
            "add position embeddings, or rotary ones",
            at=loss.at,
            since_step=1,
            source="Vaswani et al. (2017), Attention is all you need, section 3.5",
        )
