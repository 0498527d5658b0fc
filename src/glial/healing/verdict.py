"""Whether a treatment helps: pairs of trainings with and without it, held against their noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CLEAR = 0.01  # of the larger score: what one pair must differ by to be looked into
SEEDS = (0, 1, 2)
ALIKE = 2.0  # times the deviation between gains that their mean must be to be no chance


@dataclass(frozen=True)
class Pair:
    """Two trainings of one seed: with and without a treatment.

    Attributes:
        seed: The seed.
        before: The score without it; None where the training came to none.
        after: The score with it.

    Example:
        >>> Pair(0, 0.5, 0.75).gain(lower_is_better=False)
        0.25
        >>> Pair(0, None, 0.75).gain(lower_is_better=False)
        inf
    """

    seed: int
    before: float | None
    after: float | None

    def gain(self, *, lower_is_better: bool) -> float:
        """By how much the treated one is better: no score is worse than any.

        Args:
            lower_is_better: Whether a lower score is a better one.
        """
        if self.after is None:
            return 0.0 if self.before is None else -math.inf
        if self.before is None:
            return math.inf
        return (self.before - self.after) if lower_is_better else (self.after - self.before)

    def is_clear(self, *, lower_is_better: bool) -> bool:
        """Whether the gain is more than rounding: a hundredth of the larger score.

        Args:
            lower_is_better: Whether a lower score is a better one.

        Example:
            >>> Pair(0, 0.5, 0.501).is_clear(lower_is_better=False)
            False
        """
        sizes = [abs(score) for score in (self.before, self.after) if score is not None]
        gain = self.gain(lower_is_better=lower_is_better)
        return gain > CLEAR * max(sizes, default=0.0)


@dataclass(frozen=True)
class Judgement:
    """What pairs come to.

    Attributes:
        helps: Whether every pair gains, and the mean gain is more than the noise, or more than
            twice the deviation between the gains themselves; or the treated arm's worst is better
            than the other's best by more than the treated arm's own noise; or it is no worse, and
            the mean gain is more than the noise.
        gain: The mean over pairs; infinite where a control had no score.
        noise: The pooled standard deviation between seeds of both arms.

    Example:
        >>> Judgement(True, 0.5, 0.1).helps
        True
    """

    helps: bool
    gain: float
    noise: float


def judge(pairs: Sequence[Pair], *, lower_is_better: bool) -> Judgement:
    """Whether a treatment helps.

    Both arms of a pair split and begin alike, so gains may be alike where scores are not. And
    trainings that break differ wildly between seeds, which is part of what is wrong with them: arms
    that are apart altogether are held against the noise of the treated one alone.

    Args:
        pairs: Trainings of several seeds.
        lower_is_better: Whether a lower score is a better one.

    Example:
        >>> pairs = [Pair(0, 0.50, 0.80), Pair(1, 0.52, 0.82), Pair(2, 0.48, 0.78)]
        >>> found = judge(pairs, lower_is_better=False)
        >>> found.helps, round(found.gain, 3), round(found.noise, 3)
        (True, 0.3, 0.02)
    """
    gains = [pair.gain(lower_is_better=lower_is_better) for pair in pairs]
    arms = [[pair.before for pair in pairs], [pair.after for pair in pairs]]
    noise = pooled_deviation([[x for x in arm if x is not None] for arm in arms])
    gain = -math.inf if not gains or -math.inf in gains else sum(gains) / len(gains)
    surely = gain > noise or _are_alike(gains) or _are_apart(pairs, lower_is_better)
    helps = bool(gains) and min(gains) > 0 and surely
    return Judgement(helps or _is_steadier(pairs, gains, noise, lower_is_better), gain, noise)


def _is_steadier(
    pairs: Sequence[Pair], gains: Sequence[float], noise: float, lower_is_better: bool
) -> bool:
    """Whether what sometimes goes well always does: no score is worse than the best without.

    Of six scores in any order the better three are those with the treatment once in twenty times.
    """
    arms = [[p.before for p in pairs], [p.after for p in pairs]]
    before, after = ([x for x in arm if x is not None] for arm in arms)
    if min(len(before), len(after)) < len(SEEDS) or sum(gain > 0 for gain in gains) < 2:
        return False
    overlap = max(after) > min(before) if lower_is_better else min(after) < max(before)
    return not overlap and sum(gains) / len(gains) > noise


def _are_alike(gains: Sequence[float]) -> bool:
    """Whether the mean gain is far from chance by how little gains differ: t of 3.5 of three."""
    if len(gains) < len(SEEDS) or not all(map(math.isfinite, gains)):
        return False
    return sum(gains) / len(gains) > ALIKE * pooled_deviation([gains])


def _are_apart(pairs: Sequence[Pair], lower_is_better: bool) -> bool:
    """Whether every score with the treatment is better than every one without, by its noise."""
    before = [pair.before for pair in pairs if pair.before is not None]
    after = [pair.after for pair in pairs if pair.after is not None]
    if len(after) < len(SEEDS) or len(before) < len(SEEDS):
        return False
    gap = min(before) - max(after) if lower_is_better else min(after) - max(before)
    return gap > pooled_deviation([after])


def pooled_deviation(arms: Sequence[Sequence[float]]) -> float:
    """The standard deviation within groups, which may have different means.

    Args:
        arms: The groups; those of fewer than two numbers say nothing.

    Example:
        >>> pooled_deviation([[1.0, 3.0], [11.0, 13.0], [5.0]]) == 2**0.5
        True
    """
    told = [np.asarray(arm) for arm in arms if len(arm) > 1]
    freedom = sum(len(arm) - 1 for arm in told)
    squares = sum(float(((arm - arm.mean()) ** 2).sum()) for arm in told)
    return math.sqrt(squares / freedom) if freedom else 0.0
