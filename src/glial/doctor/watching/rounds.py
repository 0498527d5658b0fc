"""One round of training, from one step of the first optimiser to its next."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glial.doctor.watching.tape import Tape

if TYPE_CHECKING:
    from glial.doctor.watching.losses import LossWatch
    from glial.doctor.watching.optimizers import OptimizerWatch

CLOSE_ROUNDS, FEWEST_CLOSE = 24, 10  # the fewer where these took so many seconds
CLOSE_SECONDS = 1.0
ROUNDS_A_STEP = 12
SHARE_OF_WATCHING = 0.04
IDLE = 8
# Of short rounds, once there were many, most are only counted.
DOZE_AFTER, MOST_DOZED, SHORT_ROUND = 100, 9, 0.01
MOST_BEGINNINGS = 8


@dataclass
class Schedule:
    """When rounds end, and which are looked at closely: each at first, then ever fewer.

    Attributes:
        rounds: Rounds that are over.
        due: The number of the next that is looked at.
        close: The number until which each is looked at.
        dozed: Steps that are still only to be counted, unless a round ends before.
        begins_anew: Whether the round that ends is the last before another training.

    Example:
        >>> schedule = Schedule(rounds=1000, due=1000)
        >>> schedule.next(spent=0.0, seconds=0.0)
        >>> schedule.due
        1084
    """

    rounds: int = 0
    due: int = 0
    close: int = 0
    dozed: int = 0
    begins_anew: bool = False
    _clock: weakref.ref[torch.optim.Optimizer] | None = None
    _begun: set[int] = field(default_factory=set)

    @property
    def is_due(self) -> bool:
        """Whether the round that begins is to be looked at."""
        return self.rounds >= self.due

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimiser is about to step; rounds end with the steps of the first that lives."""
        if self._clock is None or self._clock() is None:
            self._clock = weakref.ref(optimizer)

    def ends_with(self, optimizer: torch.optim.Optimizer, times: int) -> bool:
        """Whether the step of an optimiser ends the round.

        Args:
            optimizer: It.
            times: How often it stepped in this round. Where that is often, the optimiser that
                rounds ended with is idle: another training began, whose first rounds matter.
        """
        self.begins_anew = False
        if times > IDLE:
            self._clock = weakref.ref(optimizer)
            # Optimisers may take turns for ever: only the first turn of each is a beginning.
            if id(optimizer) not in self._begun and len(self._begun) < MOST_BEGINNINGS:
                self._begun.add(id(optimizer))
                self.due, self.close = self.rounds, self.rounds + FEWEST_CLOSE
                self.begins_anew = True
        return self._clock is not None and self._clock() is optimizer

    def doze(self, seconds: float, due: float) -> bool:
        """Whether the steps that come are only counted, until :meth:`count` says otherwise.

        Args:
            seconds: What all rounds took.
            due: The number of the next round that is tested.
        """
        if self.rounds < DOZE_AFTER or seconds > SHORT_ROUND * self.rounds:
            return False
        ahead = min(self.due, due) - self.rounds - 2
        self.dozed = int(min(MOST_DOZED, self.rounds // DOZE_AFTER, ahead))
        return self.dozed > 0

    def count(self, optimizer: torch.optim.Optimizer) -> bool:
        """One more step that is only counted; whether to go on so."""
        self.dozed -= 1
        if self._clock is None or self._clock() is not optimizer:
            return self.dozed > -IDLE  # in the middle of a round, or of another training
        self.rounds += 1
        return self.dozed > 0

    def next(self, spent: float, seconds: float) -> None:
        """A round is over.

        Args:
            spent: The share of the time that watching took so far.
            seconds: Likewise, in seconds.
        """
        self.rounds += 1
        if self.rounds <= self.due:
            return
        first = CLOSE_ROUNDS if seconds < CLOSE_SECONDS else FEWEST_CLOSE
        late = self.rounds >= max(first, self.close)
        gap = max(1, self.rounds // ROUNDS_A_STEP) if late else 0
        if late and spent > SHARE_OF_WATCHING:
            gap = int(gap * 2 * spent / SHARE_OF_WATCHING) + 1
        self.due = self.rounds + gap


@dataclass
class Round:
    """What happened in a round.

    Attributes:
        is_close: Whether it is looked at from its beginning.
        tape: The calls.
        roots: The numbers whose gradients were taken, in their order.
        losses: What watches each of them.
        steps: What watches each optimiser that stepped, in their order.
        kept: Tensors that must live as long as the round.
        tested: The number whose gradient was last taken before anything changed; None of none.
        is_stepping: Whether an optimiser takes gradients by itself, by a closure.
        random: The state of torch's generator when it began; None if it was not kept.

    Example:
        >>> Round().roots
        []
    """

    is_close: bool = False
    tape: Tape = field(default_factory=Tape)
    roots: list[Tensor] = field(default_factory=list)
    losses: list[LossWatch] = field(default_factory=list)
    steps: list[OptimizerWatch] = field(default_factory=list)
    kept: list[Tensor] = field(default_factory=list)
    tested: Tensor | None = None
    is_stepping: bool = False
    random: Tensor | None = None

    def take(self, root: Tensor, watch: LossWatch) -> None:
        """Gradients of a number are about to be taken, which something watches."""
        self.roots.append(root)
        self.losses.append(watch)
        changed = self.steps or (self.is_stepping and self.tested is not None)
        self.tested = self.tested if changed else root
