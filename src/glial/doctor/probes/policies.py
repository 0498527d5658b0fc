"""Policies: whether what paid off is made likelier."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from glial.doctor.probes.replay import Replay
from glial.doctor.watching.statistics import is_plain
from glial.doctor.watching.tape import Entry, Tape

_PRODUCTS = {"mul", "mul_", "__mul__", "__rmul__"}
_CHOICES = {"gather", "nll_loss", "cross_entropy"}
_LOGARITHMS = {"log_softmax", "logsumexp", "nll_loss", "cross_entropy"}
_RATIOS = {"exp", "clamp", "clip"}  # of probabilities, which grow with them
MOST_PRODUCTS = 50


def probe_policy(replay: Replay) -> dict[str, float]:
    """The share of choices that the loss makes rarer where they paid off.

    A choice is a number picked from log-probabilities. What it is multiplied by, and learns
    nothing, says how good it was. The loss must fall where the log-probability of a good one
    rises.

    Source:
        Sutton, Barto (2018), "Reinforcement learning: an introduction", section 13.3.
    """
    tape, root = replay.round.tape, replay.root
    products = [pair for entry in tape.slice_to(root) if (pair := _product(tape, entry))]
    if not products:
        return {}
    products = products[-MOST_PRODUCTS:]
    leaves = [entry.result.detach().clone().requires_grad_() for entry, _ in products]
    given = {id(entry.result): leaf for (entry, _), leaf in zip(products, leaves, strict=True)}
    loss = replay.loss(root, given)
    if not loss.requires_grad:
        return {}
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
    wrong = known = 0
    for (entry, choice), gradient in zip(products, gradients, strict=True):
        if gradient is not None:
            rising = gradient.reshape(-1) * _direction(tape, choice)
            wrong += int((rising > 0).sum())
            known += int((rising != 0).sum())
            replay.round.losses[-1].seen.chosen_at = entry.place
    return {"choices": float(known), "made_rarer": wrong / known} if known else {}


def _product(tape: Tape, entry: Entry) -> tuple[Entry, Tensor] | None:
    """A product of chosen log-probabilities with what nothing is learnt by; the choices."""
    if entry.name not in _PRODUCTS or not isinstance(entry.result, Tensor):
        return None
    learnt = [value for value in entry.given() if value.requires_grad]
    if len(learnt) != 1 or len(entry.args) != 2 or not is_plain(learnt[0]):
        return None
    other: Any = entry.args[1] if entry.args[0] is learnt[0] else entry.args[0]
    if not isinstance(other, Tensor):
        return None  # a coefficient
    chosen = learnt[0].detach()
    one_sided = bool((chosen <= 0).all() or (chosen >= 0).all())
    if not one_sided or learnt[0].shape != entry.result.shape:
        return None
    behind = tape.slice_to(learnt[0])
    names = {step.name for step in behind}
    is_chance = names & _LOGARITHMS or any(map(_gives_distribution, behind))
    return (entry, learnt[0]) if is_chance and names & _CHOICES else None


def _gives_distribution(entry: Entry) -> bool:
    given = entry.result if isinstance(entry.result, (tuple, list)) else [entry.result]
    return any(isinstance(value, Distribution) for value in given)


def _direction(tape: Tape, choice: Tensor) -> int:
    """1 of what grows with a log-probability, -1 of what falls."""
    maker = tape.maker(choice)
    is_ratio = maker is not None and maker.name in _RATIOS
    return 1 if is_ratio or bool((choice <= 0).all()) else -1
