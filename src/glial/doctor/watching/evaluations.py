"""Evaluations: what a trained network is asked without learning from it, and its answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from glial.doctor.watching.losses import LOSSES, LossWatch
from glial.doctor.watching.places import Site
from glial.doctor.watching.rows import RowStore
from glial.doctor.watching.statistics import is_plain
from glial.doctor.watching.tape import Entry, Tape, tensors_in

MOST_CALLS = 16
MOST_STRETCHES = 30
MOST_SITES = 16
LATER = 1.25  # times as many updates: after so many stretches, one is heard for its loss alone
CLASSES = ("cross_entropy", "nll_loss", "multi_margin_loss")
DISTANCES = ("sub", "__sub__", "rsub", "__rsub__", "mse_loss", "l1_loss", "huber_loss")


class Evaluations:
    """The stretches of a training in which its network is evaluated.

    Args:
        rows: Where rows and answers are kept.

    Example:
        >>> evaluations = Evaluations(RowStore())
        >>> evaluations.begin(step=3, site=()), evaluations.had_enough
        (True, False)
    """

    def __init__(self, rows: RowStore) -> None:
        self._rows = rows
        self._calls = self._stretches = 0
        self._step, self._is_late = -1, False
        self._sites: set[Site] = set()
        self._inputs: dict[int, Tensor] = {}
        self._kept: list[Tensor] = []

    def begin(self, step: int, site: Site) -> bool:
        """A stretch may begin, or go on after the same update; whether it is to be looked at.

        What begins somewhere else is another one, and is looked at however many there were: many
        programs evaluate rows in every epoch, and others once at the end. Of many, a later one is
        heard now and then, so that the loss is known of the end.
        """
        is_new = site not in self._sites and len(self._sites) < MOST_SITES
        if step == self._step and not is_new:
            return not self.had_enough
        self._is_late = self._stretches >= MOST_STRETCHES and not is_new
        if self._is_late and step < LATER * self._step:
            return False
        self._sites.add(site)
        self._stretches += step != self._step
        self._rows.end_evaluation()
        self._calls, self._step = 0, step
        return True

    @property
    def had_enough(self) -> bool:
        """Whether enough calls of this stretch were looked at."""
        return self._calls > MOST_CALLS

    def forget(self) -> None:
        """Let go of what was asked: training goes on, and an evaluation after it is another."""
        self._is_late = False
        self._inputs.clear()
        self._kept.clear()

    def add(self, args: Any, kwargs: Any, output: Any, tape: Tape, site: Site) -> None:
        """A network was called."""
        self._calls += 1
        if self._is_late:
            return
        given = next((value for value in tensors_in((args, kwargs)) if is_plain(value)), None)
        if given is None:
            return
        self._rows.add_evaluated(given, tape, site)
        for value in tensors_in(output):
            self._inputs[id(value)] = given
            self._kept.append(value)

    def note(self, entry: Entry, tape: Tape, losses: Iterable[LossWatch], step: int) -> None:
        """A function was called: a loss, or a comparison of answers with targets."""
        name = entry.name
        if name in LOSSES and is_plain(entry.result) and not torch.is_grad_enabled():
            for watch in losses:
                if watch.seen.name == name:
                    watch.observe_evaluation(entry.result, step)
                    break
        if not self._inputs or len(entry.args) < 2:
            return
        if name in CLASSES:
            outputs, target = entry.args[:2]
            if is_plain(outputs) and is_plain(target) and outputs.dim() == 2 == target.dim() + 1:
                self._answered(outputs, outputs.argmax(1), target, tape)
        elif name in ("eq", "__eq__", "ne", "__ne__", *DISTANCES):
            for left, right in (entry.args[:2], entry.args[1::-1]):
                alike = is_plain(left) and is_plain(right) and left.shape == right.shape
                if (
                    alike
                    and left.dim()
                    and self._answered(left, left, right, tape, amounts=name in DISTANCES)
                ):
                    return

    def _answered(
        self, asked: Tensor, answers: Tensor, targets: Tensor, tape: Tape, *, amounts: bool = False
    ) -> bool:
        """Keep answers and targets; whether they are a network's answers."""
        given = self._asked(asked, tape)
        if given is None or len(given) != len(targets) or self._asked(targets, tape) is not None:
            return False
        if amounts:
            if targets.is_floating_point():
                self._rows.add_amounts(given, answers, targets)
        else:
            self._rows.add_answers(given, targets, float((answers == targets).float().mean()))
        return True

    def _asked(self, value: Tensor, tape: Tape) -> Tensor | None:
        """The inputs of the call that answers were made from."""
        if not self._inputs:
            return None
        seen = {id(value)}
        for entry in reversed(tape.entries):
            if any(id(made) in seen for made in entry.made()):
                for given in entry.given():
                    if id(given) in self._inputs:
                        return self._inputs[id(given)]
                    seen.add(id(given))
        return self._inputs.get(id(value))
