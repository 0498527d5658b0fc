"""Gradients, weights and updates, measured around an optimiser's step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from glial.doctor.evidence import OptimizerSeen, ParameterSeen
from glial.doctor.watching.by_hand import Stepper, gradient_of
from glial.doctor.watching.statistics import is_plain

MOST_COPIED = 50_000_000
MOST_COMPARED = 4_000_000


def held_by(optimizer: Stepper) -> list[Tensor]:
    """The parameters of an optimiser, in the order of its groups."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def numbers_of(group: dict[str, Any]) -> dict[str, float]:
    """The numbers in the settings of a group; of pairs each one, as ``beta1`` and ``beta2``."""
    found: dict[str, float] = {}
    for name, value in group.items():
        if isinstance(value, (bool, int, float)):
            found[name] = float(value)
        elif name == "betas":
            found["beta1"], found["beta2"] = (float(beta) for beta in value)
        elif isinstance(value, Tensor) and value.numel() == 1:
            found[name] = float(value)
    return found


def equal_units(weight: Tensor) -> float:
    """The share of a weight's rows that equal another of its rows.

    Example:
        >>> equal_units(torch.tensor([[1.0, 2.0], [1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]))
        0.5
    """
    if weight.dim() < 2 or len(weight) < 2 or weight.numel() > MOST_COMPARED:
        return 0.0
    rows = weight.detach().double().reshape(len(weight), -1)
    place = torch.arange(1, rows.shape[1] + 1, dtype=torch.float64, device=rows.device)
    marks = torch.stack([rows @ (place * 0.7390851).sin(), rows @ (place * 1.2345678).cos()], 1)
    _, which, counts = torch.unique(marks, dim=0, return_inverse=True, return_counts=True)
    return float((counts[which] > 1).double().mean())


def total_norm(tensors: Iterable[Tensor]) -> float:
    """The L2 norm of all values of some tensors together; 0 of none."""
    values = [value.detach() for value in tensors if value.numel()]
    if not values:
        return 0.0
    return math.hypot(*(float(norm) for norm in torch._foreach_norm(values)))


def describe_parameter(name: str, value: Tensor) -> ParameterSeen:
    """A parameter as it is now."""
    seen = ParameterSeen(
        name=name,
        layer=name.rpartition(".")[0],
        shape=list(value.shape),
        dtype=str(value.dtype).removeprefix("torch."),
        trainable=value.requires_grad,
    )
    if is_plain(value) and value.numel() and value.is_floating_point():
        numbers = value.detach().float()
        seen.mean, seen.std = float(numbers.mean()), float(numbers.std(correction=0))
        seen.equal_units = seen.equal_units_last = equal_units(value)
    return seen


class StepWatch:
    """What one step of an optimiser does to its parameters.

    Args:
        seen: Where that is kept.
        find: ``find(parameter)``, what was seen of one; None of one that no network has.

    Attributes:
        norm: Of all gradients.
        rate: How far the weights went along them, as a multiple of them.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> optimizer = torch.optim.SGD([weight], lr=0.5)
        >>> weight.grad = torch.tensor([2.0, 0.0])
        >>> kept, seen = OptimizerSeen("o", "SGD"), describe_parameter("weight", weight)
        >>> watch = StepWatch(kept, lambda parameter: seen)
        >>> watch.before(optimizer, step=1)
        >>> optimizer.step()
        >>> watch.after(optimizer, step=1)
        >>> seen.gradient.last, seen.update.last, kept.alignment.last
        (2.0, 1.0, 1.0)
    """

    def __init__(self, seen: OptimizerSeen, find: Any) -> None:
        self._seen = seen
        self._find = find
        self._old: list[Tensor] = []
        self._gradients: list[Tensor | None] = []
        self._live: list[Tensor | None] = []
        self._step = 0
        self.norm = 0.0
        self.rate = math.nan

    def before(self, optimizer: Stepper, step: int) -> None:
        """Keep weights and gradients, and measure them."""
        before = self._gradients
        self.keep(optimizer)
        if step == self._step + 1:
            self._compare(before, self._gradients, step)
        self._step = step
        parameters = held_by(optimizer)
        self._measure(parameters, parameters, [p.grad for p in parameters], step)

    def keep(self, optimizer: Stepper) -> None:
        """Keep weights and gradients."""
        parameters = held_by(optimizer)
        small = sum(p.numel() for p in parameters) <= MOST_COPIED
        self._old = [p.detach().clone() for p in parameters] if small else []
        self._live = [gradient_of(optimizer, p) for p in parameters]
        self._gradients = [
            g.detach().clone() if small and g is not None else None for g in self._live
        ]

    def measure_kept(self, optimizer: Stepper, step: int) -> None:
        """Measure what was kept, the gradients as they were when they were last there."""
        for index, live in enumerate(self._live):
            if live is not None and is_plain(live) and bool(live.any()):
                self._gradients[index] = live  # clipped, say
        if self._old:
            self._measure(held_by(optimizer), self._old, self._gradients, step)

    def _measure(
        self,
        parameters: list[Tensor],
        weights: list[Tensor],
        gradients: list[Tensor | None],
        step: int,
    ) -> None:
        together = zip(parameters, weights, gradients, strict=True)
        some = [(p, w, g) for p, w, g in together if _readable(p, g)]
        norms = _norms([g for _, _, g in some if g is not None])
        self.norm = math.hypot(*norms) if norms else 0.0
        sizes = _norms([w for _, w, _ in some])
        for (parameter, _, _), norm, size in zip(some, norms, sizes, strict=True):
            seen = self._find(parameter)
            if seen is not None:
                seen.gradient.add(step, norm)
                seen.weight.add(step, size)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            seen = self._find(parameter)
            if seen is not None:
                seen.reached += gradient is not None
                seen.missed += gradient is None and parameter.requires_grad

    def _compare(
        self, before: list[Tensor | None], gradients: list[Tensor | None], step: int
    ) -> None:
        """How far the gradients of two steps that follow each other point the same way."""
        both = [
            (a, b)
            for a, b in zip(before, gradients, strict=False)
            if a is not None and b is not None and is_plain(a) and a.shape == b.shape
        ]
        size = total_norm(a for a, _ in both) * total_norm(b for _, b in both)
        if size > 0 and math.isfinite(size):
            cosine = sum(float((a * b).sum()) for a, b in both) / size
            self._seen.agreement.add(step, cosine)

    def after(self, optimizer: Stepper, step: int) -> None:
        """Measure what changed, and which way."""
        parameters = held_by(optimizer)
        self._live = []
        if len(parameters) != len(self._old):
            self._old = []
            return
        pairs = [
            (p, old, g)
            for p, old, g in zip(parameters, self._old, self._gradients, strict=True)
            if is_plain(p) and p.shape == old.shape
        ]
        changes = [p.detach() - old for p, old, _ in pairs]
        norms = _norms(changes)
        down = along = 0.0
        for (parameter, _, gradient), change, norm in zip(pairs, changes, norms, strict=True):
            seen = self._find(parameter)
            if seen is not None:
                seen.update.add(step, norm)
                seen.changed = seen.changed or norm > 0
            if gradient is not None and is_plain(gradient):
                down -= float((change * gradient).sum())
                along += float(gradient.square().sum())
        size = math.hypot(*norms) * math.sqrt(along) if norms else 0.0
        if size > 0 and math.isfinite(size):
            self._seen.alignment.add(step, down / size)
            self.rate = down / along

    def changes(self, optimizer: Stepper) -> list[tuple[Tensor, Tensor]]:
        """Each parameter with what it was before the step."""
        parameters = held_by(optimizer)
        return list(zip(parameters, self._old, strict=True)) if self._old else []


def _readable(parameter: Tensor, gradient: Tensor | None) -> bool:
    return is_plain(parameter) and is_plain(gradient) and gradient is not None


def _norms(values: list[Tensor]) -> list[float]:
    if not values:
        return []
    if len({value.device for value in values}) > 1:
        return [float(value.detach().float().norm()) for value in values]
    norms: list[float] = torch.stack(
        [norm.float() for norm in torch._foreach_norm([value.detach() for value in values])]
    ).tolist()
    return norms
