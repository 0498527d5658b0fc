"""Learning-rate schedules: the factor on the base rate at each moment of training."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from glial.training.settings import TrainSettings


class Moment(NamedTuple):
    """Where training stands.

    Attributes:
        step: Updates done so far.
        epoch: Epochs done so far.
        fraction: Share of the whole training that is done, in [0, 1].

    Example:
        >>> Moment(step=10, epoch=1, fraction=0.5).fraction
        0.5
    """

    step: int
    epoch: int
    fraction: float


Schedule = Callable[[Moment], float]


def cosine(fraction: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5).

    Example:
        >>> cosine(0.5)
        0.5
    """
    return 0.5 * (1 + math.cos(math.pi * fraction))


def flat_cosine(fraction: float) -> float:
    """1 for the first half, then half a cosine down to 0.

    Example:
        >>> flat_cosine(0.3), flat_cosine(0.75)
        (1.0, 0.5)
    """
    return cosine(max(0.0, 2 * fraction - 1))


def one_cycle(fraction: float, *, rise: float = 0.3, start: float = 25.0) -> float:
    """Up from 1/25 by a cosine over 30 %, then down to nearly 0 (Smith 2018, arXiv 1803.09820).

    Example:
        >>> one_cycle(0.0), one_cycle(0.3)
        (0.04, 1.0)
    """
    if fraction < rise:
        return 1 / start + (1 - 1 / start) * (1 - cosine(fraction / rise))
    return max(cosine((fraction - rise) / (1 - rise)), 1e-4 / start)


def coslog4(fraction: float) -> float:
    """Four cosine cycles that lengthen, each from 0 up to 1 and down to 0.

    Source: Holzmüller et al. 2024, arXiv 2407.04491, section 3:
    ``(1 - cos(2 pi log2(1 + (2^4 - 1) t))) / 2``.

    Example:
        >>> round(coslog4(0.0), 9), round(coslog4(1.0), 9)
        (0.0, 0.0)
    """
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * fraction)))


def make_schedule(settings: TrainSettings) -> Schedule:
    """The schedule that the settings name, warm-up included.

    ``plateau`` is constant here: its falls depend on what is measured, see
    :class:`PlateauFactor`.

    Example:
        >>> schedule = make_schedule(TrainSettings(schedule="exponential", schedule_gamma=0.5))
        >>> schedule(Moment(step=20, epoch=2, fraction=0.2))
        0.25
    """
    gamma, every = settings.schedule_gamma, settings.schedule_every
    shapes: dict[str, Schedule] = {
        "constant": lambda moment: 1.0,
        "plateau": lambda moment: 1.0,
        "step": lambda moment: gamma ** (moment.epoch // every),
        "exponential": lambda moment: gamma**moment.epoch,
        "linear": lambda moment: 1.0 - moment.fraction,
        "cosine": lambda moment: cosine(moment.fraction),
        "flat_cosine": lambda moment: flat_cosine(moment.fraction),
        "one_cycle": lambda moment: one_cycle(moment.fraction),
        "coslog4": lambda moment: coslog4(moment.fraction),
    }
    shape, warmup = shapes[settings.schedule], settings.warmup
    if not warmup:
        return shape
    return lambda moment: shape(moment) * min(1.0, moment.fraction / warmup + 1e-3)


class PlateauFactor:
    """Falls by a factor whenever the validation loss has not improved for some epochs.

    Args:
        gamma: Factor of each fall.
        patience: Epochs without improvement that are waited for.

    Example:
        >>> plateau = PlateauFactor(gamma=0.1, patience=1)
        >>> for value in (1.0, 1.0, 1.0):
        ...     plateau.observe(value)
        >>> plateau.factor
        0.1
    """

    def __init__(self, gamma: float, patience: int) -> None:
        self.gamma = gamma
        self.patience = patience
        self.factor = 1.0
        self.best: float | None = None
        self.waited = 0

    def observe(self, value: float) -> None:
        """Take in the validation loss of an epoch."""
        if self.best is None or value < self.best * (1 - 1e-4):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.factor *= self.gamma
            self.waited = 0

    def state(self) -> dict[str, float | int | None]:
        """What a checkpoint must hold."""
        return {"factor": self.factor, "best": self.best, "waited": self.waited}

    def load(self, state: dict[str, float | int | None]) -> None:
        """Go on from a checkpoint."""
        self.factor = float(state["factor"] or 0.0)
        self.best = state["best"]
        self.waited = int(state["waited"] or 0)
