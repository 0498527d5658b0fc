"""Targets that were computed by a network: whether they stop where an episode ends."""

from __future__ import annotations

import torch
from torch import Tensor

from glial.doctor.probes.replay import Replay
from glial.doctor.watching.losses import asks_network
from glial.doctor.watching.statistics import is_plain

# How what goes on is made of what ends.
_OPPOSITES = {"rsub", "__rsub__", "logical_not", "bitwise_not", "__invert__", "where"}

_PRODUCTS = {"mul", "mul_", "__mul__", "__rmul__"}


def probe_bootstrap(replay: Replay) -> dict[str, float]:
    """Whether marks of yes and no come with the rows, and whether targets heed them.

    Source:
        Sutton, Barto (2018), "Reinforcement learning: an introduction", section 6.1.
    """
    tape, target = replay.round.tape, replay.round.losses[-1].last_target
    if target is None or target.dim() < 1:
        return {}
    behind = tape.slice_to(target)
    if not any(map(asks_network, behind)):
        return {}
    heeded = any(
        entry.name in _OPPOSITES
        or any(_is_mark(value, len(target)) for value in entry.given())
        or (entry.name in _PRODUCTS and any(map(_is_zero_or_one, entry.given())))
        for entry in behind
    )
    used = {id(value) for entry in tape.slice_to(replay.root) for value in entry.given()}
    marks = {
        id(value)
        for entry in tape.entries
        for value in entry.made()
        if _is_mark(value, len(target)) and id(value) not in used
    }
    return {"unused_marks": float(len(marks)), "heeded": float(heeded)}


def _is_mark(value: Tensor, rows: int) -> bool:
    """Whether a tensor says yes or no of each row."""
    return is_plain(value) and value.dtype == torch.bool and value.shape in ((rows,), (rows, 1))


def _is_zero_or_one(value: Tensor) -> bool:
    """Whether a table of numbers holds nothing but 0 and 1."""
    return is_plain(value) and value.dim() > 0 and bool(((value == 0) | (value == 1)).all())
