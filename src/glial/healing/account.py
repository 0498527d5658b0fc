"""What healing costs: trainings are counted, and screening is also held against the clock."""

from __future__ import annotations

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

    Args:
        budget: Trainings that may be made in all; a shortened one counts as its share.

    Example:
        >>> account = Account(8)
        >>> account.charge(Trial(0.5, 10.0, 9.0), share=1.0, expected=1.0, searching=False)
        1.0
        >>> account.can_search(1.0, to_confirm=4), account.can_search(3.0, to_confirm=4)
        (True, False)
    """

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.trainings = 0.0
        self._unit: float | None = None
        self._counted = 0.0
        self._seconds = {True: 0.0, False: 0.0}

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
        cheap = self._counted + expected <= SEARCH_LIMIT + ROUNDING
        return cheap and self.can_train(share + to_confirm)

    def charge(self, trial: Trial, *, share: float, expected: float, searching: bool) -> float:
        """Take in what a training cost.

        Args:
            trial: The training.
            share: The share of a training that it was meant to be.
            expected: What it was expected to cost.
            searching: Whether it was for the search.

        Returns:
            What it took, in units of one training.
        """
        self.trainings += share
        if self._unit is None and not trial.ended_early and trial.seconds > 0:
            self._unit = trial.seconds / trial.length / expected
        self._seconds[searching] += trial.seconds
        cost = trial.seconds / self._unit if self._unit else expected
        usual = abs(cost - expected) <= NOISE_OF_CLOCK * expected
        if searching:
            self._counted += expected if usual else cost
        return cost

    @property
    def search_cost(self) -> float:
        """What screening took, in units of one training; the whole runs of the chosen too."""
        return self._in_trainings(self._seconds[True])

    @property
    def confirm_cost(self) -> float:
        """What the control and confirming took, in units of one training."""
        return self._in_trainings(self._seconds[False])

    def _in_trainings(self, seconds: float) -> float:
        return seconds / self._unit if self._unit else 0.0
