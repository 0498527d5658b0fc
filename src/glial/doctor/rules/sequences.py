"""Sequences: what a place can see, and what it has to predict."""

from __future__ import annotations

import re
from collections.abc import Iterator

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence
from glial.doctor.measures import ENOUGH, is_called, main_loss, path_in, trained_models

_VASWANI = "Vaswani et al. (2017), Attention is all you need, section 3.1"
_POSITIONS = "Vaswani et al. (2017), Attention is all you need, section 3.5"
_OF_PLACES = re.compile(r"(^|_)(pos|wpe|positions?|positional|places?)(_|$)", re.IGNORECASE)


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


def wrong_target(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Targets some places off, and values that go on where an episode has ended."""
    loss = main_loss(evidence)
    tokens, bootstrap = evidence.probe("tokens"), evidence.probe("bootstrap")
    numbers = tokens.numbers if tokens is not None else {}
    off = {name: numbers.get(name, 0.0) for name in ("two_ahead", "one_behind")}
    meant = max(numbers.get("next_token", 0.0), numbers.get("same_token", 0.0))
    if loss is not None and max(off.values()) > 0.95 > meant:
        what = "the token after the next" if off["two_ahead"] > 0.95 else "the token before"
        yield Finding(
            "wrong-target",
            "error",
            None,
            {**off, "targets_that_are_the_next_token": numbers.get("next_token", 0.0)},
            f"each place must predict {what}: was it shifted twice?",
            "shift once: transformers' models shift labels themselves, other losses need "
            "inputs tokens[:, :-1] and targets tokens[:, 1:]",
            at=loss.at,
            since_step=1,
            source="Radford et al. (2019), Language models are unsupervised multitask learners",
        )
    ends = bootstrap.numbers if bootstrap is not None else {}
    if loss is not None and ends.get("unused_marks", 0.0) > 0 and not ends.get("heeded"):
        yield Finding(
            "wrong-target",
            "warning",
            None,
            ends,
            "targets add the value of what follows, and the marks of yes and no that come with "
            "the rows play no part: values seem to go on where an episode has ended",
            "target = reward + gamma * value(next) * (1 - done), computed under no_grad",
            at=loss.at,
            since_step=1,
            source="Sutton, Barto (2018), Reinforcement learning, section 6.1",
        )


def unmasked_padding(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Answers to short rows that depend on how far these are filled up."""
    probe, loss = evidence.probe("padding"), main_loss(evidence)
    if probe is None or loss is None:
        return
    size, others = probe.numbers["size"], probe.numbers["others"]
    if probe.numbers["rows"] < 0.5 or size < 0.02 / sensitivity or others > 0.1 * size:
        return
    yield Finding(
        "unmasked-padding",
        "warning" if size >= 0.1 / sensitivity else "note",
        None,
        dict(probe.numbers),
        f"answers to short rows move by {size:.2g} of their deviation when these are filled up "
        "less: the filling is read as data",
        "pack the rows (pack_padded_sequence), mask the filling, and average over real places",
        at=loss.at,
        since_step=1,
        source="PyTorch documentation, pack_padded_sequence, MultiheadAttention, key_padding_mask",
    )


def missing_position(evidence: Evidence, sensitivity: float) -> Iterator[Finding]:
    """Order matters, and the network cannot see it, or leaves out what was made for it."""
    probe, loss = evidence.probe("tokens"), main_loss(evidence)
    unused = list(_unused_places(evidence))
    yield from unused[:1]
    if unused:
        return
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
            source=_POSITIONS,
        )


def _unused_places(evidence: Evidence) -> Iterator[Finding]:
    """Embeddings of places that are made and trained, and that no forward pass takes."""
    for model in trained_models(evidence):
        for parameter in model.parameters:
            name = parameter.layer or parameter.name
            waits = parameter.missed >= ENOUGH and not parameter.reached
            if parameter.optimizer is None or not waits or is_called(model, parameter):
                continue
            if _OF_PLACES.search(name.rpartition(".")[2]):
                yield Finding(
                    "missing-position",
                    "warning",
                    path_in(evidence, model, name),
                    {"steps_without_gradient": parameter.missed},
                    f"{name} is made to tell places apart, and nothing uses it",
                    "add it to the embeddings of the tokens",
                    at=parameter.at,
                    since_step=1,
                    source=_POSITIONS,
                )
