"""Codes that are drawn around a mean: whether they say anything about their rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glial.core.findings import Place
from glial.doctor.evidence import CodeSeen
from glial.doctor.watching.places import user_place
from glial.doctor.watching.statistics import is_plain
from glial.doctor.watching.tape import Entry

_NORMAL = {"randn", "randn_like", "normal", "normal_"}
_TIMES = {"mul", "mul_", "__mul__", "__rmul__", "__imul__", "multiply"}
_PLUS = {"add", "add_", "__add__", "__radd__", "__iadd__"}
_MEANS, _VARIANCES = ("mean", "mu"), ("log_variance", "logvar", "log_var")
LEAST_ROWS = 8
VARIES = 0.01
MOST_CODES = 8


class CodesWatch:
    """Finds ``mean + deviation * noise`` where both were computed by a network.

    Example:
        >>> watch = CodesWatch()
        >>> noise, mean = torch.randn(32, 2), torch.zeros(32, 2, requires_grad=True) + 0
        >>> deviation = mean.exp()
        >>> scaled = deviation * noise
        >>> watch.function(Entry(torch.randn, (32, 2), {}, noise, None), "vae", 1)
        >>> watch.function(Entry(torch.mul, (deviation, noise), {}, scaled, None), "vae", 1)
        >>> watch.function(Entry(torch.add, (mean, scaled), {}, mean + scaled, None), "vae", 1)
        >>> watch.seen()[0].units, watch.seen()[0].divergence.values
        (2, [0.0])
    """

    def __init__(self) -> None:
        self._codes: dict[tuple[str, tuple[int, ...]], CodeSeen] = {}
        self._noises: dict[int, Tensor] = {}
        self._scaled: dict[int, tuple[Tensor, Tensor]] = {}

    def begin_round(self) -> None:
        """Nothing was drawn yet."""
        self._noises.clear()
        self._scaled.clear()

    def function(self, entry: Entry, model: str | None, step: int) -> None:
        """One of torch's functions was called.

        Args:
            entry: The call.
            model: The network within or after which it was.
            step: The coming update.
        """
        name, result = entry.name, entry.result
        if not isinstance(result, Tensor):
            return
        if name in _NORMAL:
            if not result.requires_grad:
                self._noises[id(result)] = result
        elif self._noises and name in _TIMES:
            given = entry.given()
            noise = next((value for value in given if id(value) in self._noises), None)
            scales = [value for value in given if value is not noise and _is_computed(value)]
            if noise is not None and scales and scales[0].shape[-1:] == noise.shape[-1:]:
                self._scaled[id(result)] = (result, scales[0])
        elif self._scaled and name in _PLUS:
            given = entry.given()
            scaled = next((self._scaled[id(v)] for v in given if id(v) in self._scaled), None)
            means = [v for v in given if _is_computed(v) and id(v) not in self._scaled]
            if scaled is not None and means and means[0].shape == scaled[1].shape:
                self.add(means[0], scaled[1], model, step, user_place())

    def answered(self, answer: Any, model: str | None, step: int) -> None:
        """A network gave an answer: codes may be a part of it, by name.

        Args:
            answer: What it gave; only records with names are looked at.
            model: Its name.
            step: The coming update.
        """
        names = getattr(answer, "_fields", ())
        mean = next((getattr(answer, name) for name in names if name in _MEANS), None)
        variance = next((getattr(answer, name) for name in names if name in _VARIANCES), None)
        if isinstance(mean, Tensor) and isinstance(variance, Tensor) and mean.requires_grad:
            with torch.no_grad():
                self.add(mean, (variance / 2).exp(), model, step, None)

    def add(
        self, mean: Tensor, deviation: Tensor, model: str | None, step: int, place: Place | None
    ) -> None:
        """Take in the codes of some rows.

        Args:
            mean: ``[rows, ...]``.
            deviation: Likewise.
            model: The network's name.
            step: The coming update.
            place: Where they were drawn.
        """
        if not (is_plain(mean) and is_plain(deviation)) or mean.dim() < 2:
            return
        if len(mean) < LEAST_ROWS or mean.shape != deviation.shape:
            return
        key = (model or "", tuple(mean.shape[1:]))
        if key not in self._codes and len(self._codes) >= MOST_CODES:
            return
        seen = self._codes.setdefault(key, CodeSeen(model or ""))
        seen.at = seen.at or place
        centre, spread = (v.detach().flatten(1).float() for v in (mean, deviation))
        varies = centre.var(0, correction=0) > VARIES
        nats = (centre.square() + spread.square() - 1) / 2 - spread.clamp_min(1e-20).log()
        if seen.divergence.steps[-1:] != [step]:
            seen.units = centre.shape[1]
            seen.active.add(step, float(varies.float().mean()))
            seen.divergence.add(step, float(nats.sum(1).mean()))

    def seen(self) -> list[CodeSeen]:
        """What was seen so far."""
        return list(self._codes.values())


def _is_computed(value: Tensor) -> bool:
    return value.requires_grad and not value.is_leaf
