"""What an answer that looks at no input reaches: the loss of the best constant."""

from __future__ import annotations

import math

from glial.doctor.evidence import LossSeen


def best_constant(seen: LossSeen) -> float:
    """The loss of the best constant outputs, by the targets that were seen; NaN if unknown.

    Example:
        >>> from glial.doctor.evidence import TensorSeen
        >>> target = TensorSeen(shape=[4], count=4, whole=True, counts={"0": 2, "1": 2}, std=0.5)
        >>> round(best_constant(LossSeen("cross_entropy", target=target, reduction="mean")), 4)
        0.6931
        >>> best_constant(LossSeen("mse_loss", target=target, reduction="mean"))
        0.25
    """
    target = seen.target
    reduction = _reduction(seen)
    if target is None or target.count == 0 or seen.weighted or reduction == "none":
        return math.nan
    if len(target.counts) == seen.of_batch and len(set(target.counts.values())) == 1:
        return math.nan  # the rows of a batch numbered through, as in contrastive losses
    rows = 1.0
    if reduction == "sum":
        rows = float(seen.batch_sizes[1] if seen.batch_sizes else 1)
        rows *= math.prod(target.shape[1:])
    shares = [n / sum(target.counts.values()) for n in target.counts.values()]
    if seen.name in ("cross_entropy", "nll_loss"):
        if len(target.shape) == len(seen.outputs.shape) and "float" in target.dtype:
            shares = [mean for mean in target.means if mean > 0]
        return rows * -sum(p * math.log(p) for p in shares if p > 0) if shares else math.nan
    if seen.name == "mse_loss":
        per_column = [std**2 for std in target.stds]
        variance = sum(per_column) / len(per_column) if per_column else target.std**2
        return rows * variance
    if seen.name.startswith("binary_cross_entropy"):
        means = target.means or [target.mean]
        if min(means) < 0 or max(means) > 1:
            return math.nan
        return rows * sum(map(_entropy, means)) / len(means)
    if seen.name == "poisson_nll_loss" and seen.settings.get("log_input", 1.0) and target.mean > 0:
        return rows * target.mean * (1 - math.log(target.mean))
    if seen.name == "l1_loss" and target.counts and len(target.shape) == 1:
        values = sorted((float(v), n) for v, n in target.counts.items())
        return rows * _absolute_deviation(values)
    return math.nan


def _reduction(seen: LossSeen) -> str | None:
    """How values of rows become one: by the loss function, or by the call after it."""
    if seen.reduction != "none" or seen.name not in seen.functions:
        return seen.reduction
    after = seen.functions[seen.functions.index(seen.name) + 1 :]
    return after[0] if after in (["mean"], ["sum"]) else "none"


def _entropy(p: float) -> float:
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def _absolute_deviation(values: list[tuple[float, int]]) -> float:
    total, half, median = sum(n for _, n in values), 0, values[0][0]
    for value, n in values:
        half += n
        median = value
        if 2 * half >= total:
            break
    return sum(n * abs(value - median) for value, n in values) / total
