"""How far a number would move with other rows: the bootstrap, as weights of the rows at hand."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.core.seeds import numpy_generator

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Score = Callable[[Floats], dict[str, Floats]]

WEIGHTS_AT_ONCE = 1 << 21  # numbers of a block of weights; what is made of it takes some times more
MOST_UNDEFINED = 0.1  # share of replicates without a value above which nothing is told


def bootstrap_weights(
    num_rows: int, replicates: int, seed: int = 0, *, clusters: NDArray[np.generic] | None = None
) -> Floats:
    """How often each row is drawn in each resample of as many rows, with replacement.

    Args:
        num_rows: Number of rows.
        replicates: Number of resamples.
        seed: Of the draws: the same seed and rows give the same weights, so that two networks
            are compared on the same resamples.
        clusters: Cluster of each row, [row], any values: whole clusters are drawn instead, as
            many as there are. For rows that belong together, such as those of one patient.

    Returns:
        Whole numbers, [replicate, row].

    Source:
        Efron (1979), "Bootstrap methods: another look at the jackknife",
        doi:10.1214/aos/1176344552; clusters: Davison and Hinkley (1997), "Bootstrap methods and
        their application", section 3.8.

    Example:
        >>> bootstrap_weights(5, 3).sum(axis=1).tolist()
        [5.0, 5.0, 5.0]
        >>> weights = bootstrap_weights(4, 100, clusters=np.array(["a", "a", "b", "b"]))
        >>> bool((weights[:, 0] == weights[:, 1]).all())
        True
    """
    blocks = weight_blocks(num_rows, replicates, seed, clusters=clusters)
    return np.concatenate([np.empty((0, num_rows)), *blocks])


def weight_blocks(
    num_rows: int, replicates: int, seed: int = 0, *, clusters: NDArray[np.generic] | None = None
) -> Iterator[Floats]:
    """The rows of `bootstrap_weights` in blocks of bounded memory.

    Example:
        >>> blocks = weight_blocks(1 << 20, 5)
        >>> [len(block) for block in blocks]
        [2, 2, 1]
    """
    generator = numpy_generator(seed, "bootstrap")
    units = None if clusters is None else np.unique(clusters, return_inverse=True)[1]
    count = num_rows if units is None else int(units.max(initial=-1)) + 1
    most = max(1, WEIGHTS_AT_ONCE // max(num_rows, 1))
    for start in range(0, replicates, most):
        block = np.empty((min(most, replicates - start), num_rows))
        for row in block:
            drawn = np.bincount(generator.integers(count, size=count), minlength=count)
            row[:] = drawn if units is None else drawn[units]
        yield block


def replicate(
    score: Score,
    num_rows: int,
    replicates: int,
    seed: int = 0,
    *,
    clusters: NDArray[np.generic] | None = None,
    weight: Floats | None = None,
) -> dict[str, Floats]:
    """The values that metrics take over resampled rows.

    Args:
        score: Metrics as functions of weights: given [replicate, row] it returns a number a
            replicate for each metric.
        num_rows: Number of rows.
        replicates: Number of resamples.
        seed: As for `bootstrap_weights`.
        clusters: Likewise.
        weight: What each row weighs beside how often it is drawn, [row].

    Returns:
        Metric name to values, [replicate].

    Example:
        >>> rows = np.arange(100.0)
        >>> mean = lambda weights: {"mean": weights @ rows / weights.sum(axis=1)}
        >>> replicate(mean, 100, 200)["mean"].shape
        (200,)
    """
    parts: list[dict[str, Floats]] = []
    tell, done = share_logger(logger, "resampling"), 0
    for block in weight_blocks(num_rows, replicates, seed, clusters=clusters):
        tell(done / max(1, replicates))
        done += len(block)
        with np.errstate(divide="ignore", invalid="ignore"):  # nothing drawn that counts: NaN
            parts.append(score(block if weight is None else block * weight))
    names = list(parts[0]) if parts else []
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def interval(values: Floats, confidence: float = 0.95) -> tuple[float, float]:
    """The percentile interval: between which ends the middle share of replicates lies.

    Args:
        values: A metric on each resample, [replicate]. Those on which it is not defined are NaN
            and are left out.
        confidence: The share, between 0 and 1.

    Returns:
        The lower and the upper end; NaN both where more than a tenth of the replicates have no
        value.

    Source:
        Efron and Tibshirani (1993), "An introduction to the bootstrap", section 13.3.

    Example:
        >>> interval(np.arange(101.0), 0.5)
        (25.0, 75.0)
    """
    known = values[~np.isnan(values)]
    if len(known) == 0 or len(known) < (1 - MOST_UNDEFINED) * len(values):
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def intervals(values: Mapping[str, Floats], confidence: float = 0.95) -> dict[str, list[float]]:
    """`interval` of each metric, as JSON has it.

    Example:
        >>> intervals({"accuracy": np.arange(101.0)}, 0.5)
        {'accuracy': [25.0, 75.0]}
    """
    return {name: list(interval(each, confidence)) for name, each in values.items()}


def check_bootstrap(confidence: float, replicates: int) -> None:
    """Refuse what makes no interval.

    Args:
        confidence: Share of replicates that an interval holds.
        replicates: Number of resamples; 0 asks for no intervals.

    Raises:
        InputError: If the share is not between 0 and 1, or the resamples are so few that none
            would lie beyond an end.

    Example:
        >>> check_bootstrap(0.95, 1000)
    """
    if not 0 < confidence < 1:
        raise InputError(
            "the confidence of an interval is a share",
            expected="a number between 0 and 1, such as 0.95",
            got=f"{confidence:g}",
            do="write 0.95 for 95 %",
        )
    least = math.ceil(round(2 / (1 - confidence), 6))
    if replicates and replicates < least:
        raise InputError(
            "too few resamples for an interval",
            expected=f"at least {least} for a confidence of {confidence:g}, or 0 for no intervals",
            got=str(replicates),
            do="leave --replicates out for 1000",
        )
