"""When a loss is a spike, and whether training goes better without what made it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from torch import Tensor

LEAST_RECENT = 16
FACTOR = 10.0
FLOOD = 100.0
_SQUARES = (".exp_avg_sq", ".square_avg", ".sum")


def spike_limit(recent: Sequence[float], factor: float = FACTOR, scale: float = 0.0) -> float:
    """The loss above which a step is a spike: so many times as far above the median as any lately.

    Args:
        recent: The losses of steps before.
        factor: How many times.
        scale: Usual size of losses; a thousandth of it is nothing.

    Returns:
        The limit; infinity where too few losses are known.

    Source:
        A limit from the median, as robust scores have (Iglewicz, Hoaglin 1993, "How to detect
        and handle outliers"), with the largest distance seen in the place of the mean one:
        losses of batches have long tails.

    Example:
        >>> spike_limit([1.0, 1.1] * 20)
        2.1
    """
    if len(recent) < LEAST_RECENT:
        return math.inf
    middle = statistics.median(recent)
    reach = max(max(recent) - middle, 0.1 * abs(middle), 1e-3 * scale)
    return middle + factor * reach if reach > 0 else math.inf


def goes_better(
    without: Sequence[float],
    with_: Sequence[float],
    recent: Sequence[float],
    *,
    stalled: bool = False,
) -> bool:
    """Whether training goes better without a step, by the losses of the batches that follow.

    Args:
        without: Losses of the batches that follow.
        with_: Those of the same batches where the step was made; not finite where all was lost.
        recent: Losses of steps before, whose spread is the noise.
        stalled: Whether hardly anything is learnt for long where the step was made; then it is
            enough that the losses are no higher without it.

    Returns:
        Whether four in five are lower, and by half the noise in the mean.

    Example:
        >>> goes_better([1.0, 1.1, 1.0, 0.9], [2.0, 2.0, 2.0, 2.0], [1.0, 1.1] * 20)
        True
    """
    pairs = list(zip(without, with_, strict=False))
    if not pairs or not all(math.isfinite(mine) for mine, _ in pairs):
        return False
    if any(not math.isfinite(other) for _, other in pairs):
        return True
    gains = [other - mine for mine, other in pairs]
    middle = statistics.median(recent)
    noise = 1.4826 * statistics.median(abs(loss - middle) for loss in recent)
    gain = statistics.fmean(gains)
    if stalled:
        return gain >= -noise
    return sum(one > 0 for one in gains) >= 0.8 * len(gains) and gain > 0.5 * noise


def is_flooded(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> bool:
    """Whether a step has filled an optimiser's mean squares, so that its updates hardly move.

    Adam and its kin divide by the root of a mean of squared gradients, which forgets slowly: one
    gradient that is a thousand times as large holds the next thousand updates down.

    Args:
        before: The training's tensors before the step, by their names.
        after: The same some steps later.

    Returns:
        Whether the mean squares of a tensor have grown a hundredfold or more.

    Source:
        Molybog et al. (2023), "A theory on Adam instability in large-scale machine learning",
        arXiv 2304.09871.

    Example:
        >>> import torch
        >>> is_flooded({"0.exp_avg_sq": torch.ones(2)}, {"0.exp_avg_sq": torch.ones(2) * 1e4})
        True
    """
    for name, value in before.items():
        if name.endswith(_SQUARES) and name in after:
            old, new = float(value.sum()), float(after[name].sum())
            if new > FLOOD * old > 0:
                return True
    return False
