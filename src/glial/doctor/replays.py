"""Watches a loop of Glial's own, whose steps may be compiled, by passes made again beside it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.doctor.evidence import Evidence, NotChecked
from glial.doctor.probes.rounds import RoundProbes
from glial.doctor.reference import examine_rows
from glial.doctor.watcher import Watcher
from glial.doctor.watching.guarding import Home
from glial.doctor.watching.rows import MOST_COLUMNS

FIRST_LOOKS, FEWEST_LOOKS = 6, 5
RAMP = 0.2
LOOKS_A_STEP = 12
LEAST_LOOKS = 10


class ReplayWatcher(Watcher):
    """Looks at some steps of a loop that says when it steps; in between nothing is in place.

    What a step computes is computed once more before it, call by call, while torch's hooks are
    there. The gradient is measured then, and what the step itself changes afterwards.

    Args:
        share: The share of the training's time that looks and tests may take.
        floor: Seconds that tests, the first looks, and some that are spread evenly over the
            training may take in any case.
        steps: Steps of the whole training, as far as is known.
        preflight: What was seen before the training; None of nothing.
        ramp: The share of the time so far that the floor may be, so that short trainings pay
            less; a few looks are taken all the same.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> def passes():
        ...     optimizer.zero_grad()
        ...     loss = torch.nn.functional.mse_loss(model(torch.ones(4, 2)), torch.ones(4, 1))
        ...     loss.backward()
        >>> watcher = ReplayWatcher()
        >>> for step in range(3):
        ...     if watcher.is_due(step):
        ...         watcher.look(step, passes, optimizer)
        ...     optimizer.step()
        ...     watcher.stepped()
        >>> evidence = watcher.end(steps=3)
        >>> evidence.steps, len(evidence.models[0].parameters[0].update)
        (3, 3)
    """

    def __init__(
        self,
        share: float = 0.02,
        floor: float = 2.0,
        steps: int | None = None,
        preflight: Evidence | None = None,
        ramp: float = RAMP,
    ) -> None:
        super().__init__(budget=share, floor=floor)
        if preflight is not None:
            self._probes = RoundProbes(
                *(self._evidence, share, floor / 2),
                early=False,
                at_once=0.0,
                ramp=ramp,
                names=self._networks.name,
            )
            self._evidence.probes, self._evidence.rows = preflight.probes, preflight.rows
            self._evidence.watching = preflight.watching
        self._share, self._floor, self._ramp = share, floor, ramp
        self._looks, self._looked = 0, 0.0
        self._next = 0
        self._apart = math.inf if steps is None else max(1, steps // LEAST_LOOKS)
        self._last = 0
        self._looking = False
        self._optimizers_due: tuple[torch.optim.Optimizer, ...] = ()
        self._home = Home()
        self._by_hand.is_ruled_out()
        self._active = True
        self._began = time.perf_counter() - (preflight.seconds if preflight else 0.0)

    def is_due(self, step: int) -> bool:
        """Whether a step, counted from 0, is to be looked at: each at first, then ever fewer."""
        if step < self._next or not self._active:
            return False
        gone = time.perf_counter() - self._began
        spread = self._looks < FIRST_LOOKS or step >= self._last + self._apart
        most = max(self._share * gone, min(self._floor, self._ramp * gone) if spread else 0.0)
        few = not self._looks or (
            self._looks < FEWEST_LOOKS and self._evidence.watching <= self._floor
        )
        # Whatever tests took, looks have half of the floor for themselves.
        if few or self._evidence.watching <= most or self._looked <= min(most, self._floor / 2):
            return True
        later = step + max(1, step // LOOKS_A_STEP)
        self._next = int(min(later, self._last + self._apart))
        return False

    def look(
        self,
        step: int,
        passes: Callable[[], object],
        *optimizers: torch.optim.Optimizer,
    ) -> None:
        """Watch the passes of a step, made beside it.

        Args:
            step: The step, from 0.
            passes: Makes them and leaves the gradient in the parameters. Its errors are noted.
            optimizers: Whose step it is, in their order.
        """
        begin = time.perf_counter()
        self._evidence.steps = self._last = step
        self._looks += 1
        self._looking, self._optimizers_due = True, optimizers
        before = self._evidence.watching
        self._hooks.put()
        try:
            self._begin_round()
            passes()
            for each in reversed(optimizers):  # a round ends with the first that is known
                self.before_step(each, closure=None)
        except Exception as error:  # noqa: BLE001 - the training itself says what is wrong with it
            why = f"a step could not be made again: {type(error).__name__}: {error}"[:200]
            self._evidence.not_checked.append(NotChecked("*", why))
            self._active = False
        finally:
            self._hooks.take_away()
            self.listens = self._looking = False
        self._took(begin, before)

    def stepped(self, *, made: bool = True) -> None:
        """The step that was looked at is over: what did it change?

        Args:
            made: Whether it was made; otherwise its passes are all that there was.
        """
        begin, before = time.perf_counter(), self._evidence.watching
        for optimizer in self._optimizers_due if made else ():
            self.after_step(optimizer)
        if not (made and self._optimizers_due):
            self._end_round()
        gap = 1 if self._looks < FIRST_LOOKS else max(1, self._last // LOOKS_A_STEP)
        self._next = self._last + int(min(gap, self._apart))
        self._optimizers_due = ()
        self._took(begin, before)

    def _took(self, begin: float, before: float) -> None:
        seconds = time.perf_counter() - begin
        self._evidence.watching = before + seconds
        self._looked += seconds

    def fit_one_batch(self) -> None:
        """See whether a batch can be fitted, if there was no time for that."""
        begin = time.perf_counter()
        self._probes.fit(self._last)
        self._evidence.watching += time.perf_counter() - begin

    def compare(
        self, rows: tuple[Sequence[Tensor], Tensor], others: tuple[Sequence[Tensor], Tensor] | None
    ) -> None:
        """See what can be predicted of rows, and whether they stand elsewhere too.

        Args:
            rows: Inputs and targets of training rows.
            others: Likewise, of rows that are kept back; None where there are none.
        """
        begin = time.perf_counter()
        train, targets = _as_table(*rows)
        held = _as_table(*others)[0] if others is not None else train[:0]
        if train.shape[1] <= MOST_COLUMNS:
            calls = np.array([len(held)], np.int64)
            none = train[:0]
            found = examine_rows(train, targets, held, calls, none, None, math.nan, whole=True)
            self._evidence.rows = found
        self._evidence.watching += time.perf_counter() - begin

    def judged(self, step: int, learnt: float, judged: float | None, *, keeps: bool) -> None:
        """An epoch ended.

        Args:
            step: Steps made.
            learnt: The mean of its losses.
            judged: The loss on rows that are kept back; None where there are none.
            keeps: Whether the weights of the best epoch are kept.
        """
        self._evidence.steps, self._evidence.keeps_best = step, keeps and judged is not None
        for watch in self._losses:
            watch.seen.value.add(step, learnt)
            if judged is not None:
                watch.seen.eval_value.add(step, judged)

    def end(self, steps: int | None = None) -> Evidence:
        """The evidence of the whole.

        Args:
            steps: Steps made; by default those until the last that was looked at.
        """
        evidence = self.evidence()
        evidence.steps = evidence.steps if steps is None else steps
        self._active = False
        return evidence

    @property
    def listens_to_rounds(self) -> bool:
        """Whether this round is looked at from its beginning."""
        return self._round.is_close

    def _alert(self) -> bool:
        return self._looking and super()._alert()


def _as_table(inputs: Sequence[Tensor], target: Tensor) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Rows as numbers: ``[rows, columns]``, and their targets, unless each position has one."""
    parts = [part.detach().reshape(len(part), -1).cpu().float() for part in inputs]
    rows = torch.cat(parts, 1).numpy()
    of_positions = target.ndim > 1 and not target.is_floating_point()
    return rows, None if of_positions else target.detach().cpu().double().numpy()
