"""What healing costs: trainings are counted, and screening is also held against the clock."""

from __future__ import annotations

import statistics

from glial.core.errors import InputError
from glial.healing.patient import Trial
from glial.healing.verdict import SEEDS

DEFAULT_BUDGET = 8
LEAST_BUDGET = 2 * len(SEEDS)
SEARCH_LIMIT = 2.0  # trainings that screening may cost
NOISE_OF_CLOCK = 0.25  # a training that takes so much more or less than expected counts as expected
ROUNDING = 1e-9


def check_budget(budget: float) -> None:
    """Refuse a budget in which nothing can be shown to help.

    Raises:
        InputError: If it is too small.

    Example:
        >>> check_budget(8)
    """
    if not budget >= LEAST_BUDGET:
        raise InputError(
            "the budget is too small to heal anything",
            expected=f"at least {LEAST_BUDGET} trainings: three with the change, three without",
            got=f"{budget:g}",
            do=f"leave the budget out ({DEFAULT_BUDGET}), or make it larger",
        )


class Account:
    """Trainings made so far, and what screening took of them.

    Whether more may be screened is asked of what the thing's trainings are meant to take: one that
    ended early is a poor measure. What it did cost is told in units of the control's own.

    Args:
        budget: Trainings that may be made in all; a shortened one counts as its share.

    Example:
        >>> account = Account(8)
        >>> account.charge(Trial(0.5, 10.0, 9.0), is_control=True)
        >>> account.can_search(1.0, to_confirm=4), account.can_search(3.0, to_confirm=4)
        (True, False)
        >>> account.charge(Trial(0.9, 5.0, 4.0), searching=True)
        >>> account.search_cost
        0.5
    """

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.trainings = 0.0
        self._searched = 0.0  # in trainings of the length that is meant
        self._meant: float | None = None
        self._seconds = {True: 0.0, False: 0.0}
        self._controls: list[float] = []
        self._others: list[float] = []
        self._broken: list[float] = []  # controls that ended early: better than no measure

    def can_train(self, number: float) -> bool:
        """Whether so many trainings are left.

        Args:
            number: How many.
        """
        return self.trainings + number <= self.budget + ROUNDING

    def can_search(self, expected: float, *, to_confirm: float, share: float = 1.0) -> bool:
        """Whether a candidate may be screened.

        Args:
            expected: What it is expected to cost, in trainings.
            to_confirm: Trainings that must be left to confirm it.
            share: What it counts as.
        """
        cheap = self._searched + expected <= SEARCH_LIMIT + ROUNDING
        return cheap and self.can_train(share + to_confirm)

    def charge(
        self,
        trial: Trial,
        *,
        share: float = 1.0,
        times: float = 1.0,
        searching: bool = False,
        is_control: bool = False,
    ) -> None:
        """Take in what a training cost.

        Args:
            trial: The training.
            share: The share of a training that it was meant to be.
            times: How many times as long its treatment makes it.
            searching: Whether it was for the search.
            is_control: Whether it was a whole training without a treatment.
        """
        self._seconds[searching] += trial.seconds
        expected = share * times
        if not trial.ended_early and trial.seconds > 0:
            (self._controls if is_control else self._others).append(trial.seconds / expected)
            self._meant = self._meant or trial.seconds / trial.length / expected
        elif is_control and trial.seconds > 0:
            self._broken.append(trial.seconds / expected)
        # What a candidate's failure ended soon was no whole training.
        broke_off = trial.failed is not None and searching
        unit = self._meant or (self._broken[0] if broke_off and self._broken else None)
        cost = trial.seconds / unit if unit else expected
        self.trainings += min(share, cost) if broke_off else share
        if searching:
            usual = abs(cost - expected) <= NOISE_OF_CLOCK * expected
            self._searched += expected if usual else cost

    def in_trainings(self, seconds: float) -> float:
        """Seconds in units of what a training of the control took.

        Args:
            seconds: Of any trainings.
        """
        told = self._controls or self._others or self._broken
        return seconds / statistics.median(told) if told else 0.0

    @property
    def search_cost(self) -> float:
        """What screening took, in units of one training; the whole runs of the chosen too."""
        return self.in_trainings(self._seconds[True])

    @property
    def confirm_cost(self) -> float:
        """What the control and confirming took, in units of one training."""
        return self.in_trainings(self._seconds[False])
