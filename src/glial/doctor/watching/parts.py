"""What a number whose gradient is taken consists of, and whom it teaches what."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glial.core.findings import Place
from glial.doctor.watching.statistics import is_plain
from glial.doctor.watching.tape import Entry, Tape, tensors_in

_CUTS = ("detach", "detach_", "data", "numpy", "item")
_TIMES = ("mul", "__mul__", "__rmul__")
_ADDS = ("add", "__add__", "__radd__", "__iadd__", "add_", "sum")


def slope_of(value: object, root: Tensor) -> float:
    """By how much a number rises with another that it was computed from; a tensor's mean.

    Returns:
        0 where it does not depend on it, NaN where that cannot be asked.

    Example:
        >>> x = torch.ones(2, requires_grad=True)
        >>> slope_of(x, (3 * x).sum())
        3.0
    """
    if value is root:
        return 1.0
    if not isinstance(value, Tensor) or not is_plain(value) or not value.requires_grad:
        return math.nan
    try:
        slope = torch.autograd.grad(root.sum(), value, retain_graph=True, allow_unused=True)[0]
    except RuntimeError:
        return math.nan
    return 0.0 if slope is None else float(slope.detach().float().mean())


def addition(tape: Tape, entries: list[Entry], own: Tensor) -> tuple[Place | None, float]:
    """Where the most is added to a loss function's value, and the number that it is multiplied by.

    Args:
        tape: The round.
        entries: The calls from a network's outputs to the number whose gradient is taken.
        own: The loss function's value.
    """
    reached = {id(own)}
    found: tuple[float, Place | None, float] = (-1.0, None, math.nan)
    for entry in entries:
        given = entry.given()
        if not any(id(value) in reached for value in given):
            continue
        others = [v for v in given if id(v) not in reached and v.requires_grad]
        if entry.name in _ADDS and others:
            size = float(others[0].detach().abs().float().sum())
            found = max(
                found, (size, entry.place, _factor(tape, others[0])), key=lambda one: one[0]
            )
        reached |= {id(made) for made in entry.made()}
    return found[1], found[2]


def _factor(tape: Tape, value: Tensor) -> float:
    """The number that a value was multiplied by, after all else."""
    factor = 1.0
    while (entry := tape.maker(value)) is not None and entry.name in _TIMES:
        numbers = [one for one in entry.args if isinstance(one, (int, float))]
        given = entry.given()
        if len(numbers) != 1 or len(given) != 1:
            break
        factor, value = factor * abs(float(numbers[0])), given[0]
    return factor


def cut(entries: list[Entry]) -> Place | None:
    """Where what a network gave was last cut off from the gradient, among the calls of a number."""
    found = None
    for entry in entries:
        if entry.name in _CUTS and any(value.requires_grad for value in entry.given()):
            found = entry.place
    return found


def drawn(tape: Tape, inputs: list[Tensor]) -> Place | None:
    """Where numbers that inputs are computed from were drawn at random; rows chosen are none."""
    for value in inputs:
        for entry in reversed(tape.slice_to(value)):
            made = next(tensors_in(entry.result), None)
            is_number = made is not None and made.is_floating_point()
            if entry.draws and not entry.is_model and is_number:
                return entry.place
    return None


def answers_to_made(tape: Tape, root: Tensor) -> tuple[float, float]:
    """How a number rises with a network's answers to what another network made.

    Returns:
        The slope by answers whose input is cut off from its maker, and by those where the
        gradient goes on; NaN where there are none.

    Source:
        Goodfellow et al. (2014), "Generative adversarial nets", equation 1: one player lowers
        what the other raises.
    """
    slopes: dict[bool, list[float]] = {False: [], True: []}
    for entry in tape.slice_to(root):
        if not entry.is_model:
            continue
        inputs = [value for value in tensors_in((entry.args, entry.kwargs)) if is_plain(value)]
        before = [e for value in inputs for e in tape.slice_to(value) if e.is_model]
        if not any(e.function is not entry.function for e in before):
            continue
        answer = next((value for value in tensors_in(entry.result) if is_plain(value)), None)
        slope = slope_of(answer, root)
        if not math.isnan(slope):
            slopes[any(value.requires_grad for value in inputs)].append(slope)
    return _sum(slopes[False]), _sum(slopes[True])


def _sum(values: list[float]) -> float:
    return sum(values) if values else math.nan
