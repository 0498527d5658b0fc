"""What a network's outputs depend on: the seed, the mode, other rows, later tokens, order."""

from __future__ import annotations

import math
import random

import numpy as np
import torch
from torch import Tensor

from glial.doctor.probes.replay import Replay
from glial.doctor.watching.statistics import is_plain
from glial.doctor.watching.tape import Entry, tensors_in

CHANGED = 1e-5
REDRAWS = 8


def probe_repeat(replay: Replay) -> dict[str, float]:
    """The round's last loss, and the same computed again twice, from equal states."""
    root, found = replay.root, {"loss": float(replay.root.detach())}
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    for name in ("again", "once_more"):
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        found[name] = float(replay.loss(root).detach())
        replay.reset()
    return found


def probe_modes(replay: Replay) -> dict[str, float]:
    """The loss of the batch in training mode and in evaluation mode."""
    root = replay.root
    found = {}
    flags = {m: m.training for twin in replay.twins.values() for m in twin.modules()}
    for name, mode in (("train", True), ("eval", False)):
        for twin in replay.twins.values():
            twin.train(mode)
        with torch.no_grad():
            found[name] = float(replay.loss(root))
        replay.reset()
    for module, flag in flags.items():
        module.training = flag
    return found


def probe_rows(replay: Replay) -> dict[str, float]:
    """Whether another row's output changes, in evaluation mode, when one row is changed."""
    entry = only_call(replay)
    if entry is None:
        return {}
    inputs = [value for value in tensors_in((entry.args, entry.kwargs)) if is_plain(value)]
    outputs = next((value for value in tensors_in(entry.result) if is_plain(value)), None)
    if len(inputs) != 1 or outputs is None or not inputs[0].dim() or not outputs.dim():
        return {}
    rows = inputs[0]
    if len(rows) < 3 or len(outputs) != len(rows) or outputs.dim() == 0:
        return {}
    base = answer(replay, entry, {})
    changed = rows.detach().clone()
    changed[0] = rows[1].detach() if not torch.equal(rows[0], rows[1]) else rows[2].detach()
    if torch.equal(changed[0], rows[0]):
        return {}
    other = answer(replay, entry, {id(rows): changed})
    moved = (other[2:] - base[2:]).abs().float().reshape(len(rows) - 2, -1)
    scale = float(base.float().std()) + 1e-12
    own = float((other[0] - base[0]).abs().float().mean())
    return {
        "others": float((moved.amax(1) > CHANGED * scale).float().mean()),
        "size": float(moved.mean()) / scale,
        "own": own / scale,
    }


def probe_noise(replay: Replay) -> dict[str, float]:
    """What share of the variance of a network's inputs is drawn anew for each batch.

    That is the share of the middle column. Rows that are chosen at random are no noise: only
    numbers that are drawn as such are drawn again.
    """
    entry, tape = only_call(replay), replay.round.tape
    inputs = [v for v in tensors_in((entry.args, entry.kwargs)) if is_plain(v)] if entry else []
    if len(inputs) != 1 or not inputs[0].is_floating_point() or inputs[0].dim() < 2:
        return {}
    behind = tape.slice_to(inputs[0])
    drawn = [e for e in behind if e.draws]
    noise = [v for e in drawn for v in tensors_in(e.result) if v.is_floating_point()]
    made = {id(v) for e in behind for v in e.made()}
    signal = [v for e in behind if not e.draws for v in e.given() if id(v) not in made and v.dim()]
    if not noise or not signal or len(inputs[0]) < 4 or any(e.is_model for e in behind):
        return {}
    chosen = {id(v): v for e in drawn for v in tensors_in(e.result) if not v.is_floating_point()}
    answers = []
    for seed in range(REDRAWS):
        torch.manual_seed(seed)
        answers.append(tape.replay([inputs[0]], given=chosen, entries=behind)[0].detach().double())
    drawn_anew = torch.stack(answers).flatten(2)
    noise_of = drawn_anew.var(0).mean(0)
    share = noise_of / (drawn_anew.flatten(0, 1).var(0) + 1e-30)
    target = replay.round.losses[-1].last_target
    in_target = target is not None and any(e in tape.slice_to(target) for e in drawn)
    return {
        "share": min(1.0, float(share.median())),
        "in_target": float(in_target),
    }


def probe_tokens(replay: Replay) -> dict[str, float]:
    """For networks over sequences of tokens: what each place can see, and what it must predict."""
    entry = only_call(replay) or last_call(replay)
    if entry is None:
        return {}
    is_only = only_call(replay) is not None
    inputs = [value for value in tensors_in((entry.args, entry.kwargs)) if is_plain(value)]
    outputs = next((v for v in tensors_in(entry.result) if is_plain(v) and v.dim() == 3), None)
    if outputs is None or outputs.shape[1] < 4:
        return {}
    inputs = [v for v in inputs if v.shape == outputs.shape[:2] and not v.is_floating_point()]
    if not inputs:
        return {}
    found = {}
    target, tokens = replay.round.losses[-1].last_target, inputs[0]
    if target is not None and target.numel() == tokens.numel():
        target = target.reshape(tokens.shape)
        # A decoder is given a source as well, which may be as long.
        tokens = max(inputs, key=lambda v: _likeness(target, v))
        found["next_token"] = _agreement(target[:, :-1], tokens[:, 1:])
        found["same_token"] = _agreement(target, tokens)
        found["two_ahead"] = _agreement(target[:, :-2], tokens[:, 2:])
        found["one_behind"] = _agreement(target[:, 1:], tokens[:, :-1])
    if not is_only:  # what was computed from the same tokens before would not change with them
        return found
    base = answer(replay, entry, {}, outputs)
    changed = tokens.detach().clone()
    changed[:, -1] = tokens.roll(1, 0)[:, -1]
    changed[:, -1] = torch.where(changed[:, -1] == tokens[:, -1], tokens[:, 0], changed[:, -1])
    later = answer(replay, entry, {id(tokens): changed}, outputs)
    touched = changed[:, -1] != tokens[:, -1]
    if bool(touched.any()):
        moved = (later - base).abs()[touched][:, :-1].amax(-1)
        found["sees_later"] = float((moved > CHANGED * float(base.std())).float().mean())
    swapped = tokens.detach().clone()
    swapped[:, [-3, -2]] = tokens[:, [-2, -3]]
    order = answer(replay, entry, {id(tokens): swapped}, outputs)
    touched = tokens[:, -3] != tokens[:, -2]
    if bool(touched.any()):
        moved = (order - base).abs()[touched][:, -1].amax(-1)
        found["sees_order"] = float((moved > CHANGED * float(base.std())).float().mean())
    return found


def _likeness(target: Tensor, tokens: Tensor) -> float:
    """How many targets are the tokens before, beside or after them."""
    here = _agreement(target, tokens)
    return max(
        here,
        _agreement(target[:, :-1], tokens[:, 1:]),
        _agreement(target[:, 1:], tokens[:, :-1]),
    )


def _agreement(target: Tensor, tokens: Tensor) -> float:
    """The share of targets that are the given tokens, ignored ones left out."""
    counts = target >= 0
    return float((target == tokens)[counts].float().mean()) if bool(counts.any()) else 0.0


def only_call(replay: Replay) -> Entry | None:
    """The one call of a network that the last loss depends on; None of none or several.

    Args:
        replay: The round.
    """
    entries = replay.round.tape.slice_to(replay.root)
    calls = [entry for entry in entries if entry.is_model]
    return calls[0] if len(calls) == 1 else None


def last_call(replay: Replay) -> Entry | None:
    """The last of the networks' calls that the last loss depends on.

    Args:
        replay: The round.
    """
    entries = replay.round.tape.slice_to(replay.root)
    return next((entry for entry in reversed(entries) if entry.is_model), None)


def answer(
    replay: Replay, entry: Entry, given: dict[int, Tensor], wanted: Tensor | None = None
) -> Tensor:
    """What the copy of a network answers in evaluation mode.

    Args:
        replay: The round.
        entry: The call.
        given: ``id`` of a tensor of the recording to what takes its place.
        wanted: Which of the tensors that it gave; by default the first.
    """
    twin = replay.twins[id(entry.function)]
    flags = {module: module.training for module in twin.modules()}
    twin.eval()
    if replay.round.random is not None:
        torch.set_rng_state(replay.round.random)
    try:
        with torch.no_grad():
            if wanted is None:
                wanted = next(v for v in tensors_in(entry.result) if is_plain(v))
            found = replay.round.tape.replay([wanted], replay.twins, given, entries=[entry])
    finally:
        for module, flag in flags.items():
            module.training = flag
    answer = found[0].detach()
    return answer if math.prod(answer.shape) else answer.reshape(0)
