"""The tail of a distribution, told from the largest of some values."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from glial.core.errors import InputError

GRID, ROUNDS = 200, 4
LEAST_EXCESSES = 10


def fit_generalized_pareto(excesses: Float[Tensor, " value"]) -> tuple[float, float]:
    r"""The generalised Pareto distribution that makes some excesses likeliest.

    Its distribution function is :math:`1 - (1 + \xi y / \sigma)^{-1/\xi}`, for a shape of 0
    :math:`1 - e^{-y / \sigma}`. One number is searched for, since for each ratio of shape and scale
    the likeliest shape is known.

    Args:
        excesses: How far values lie above a level, all above 0.

    Returns:
        The shape, above -1, and the scale, in the units of the excesses.

    Raises:
        InputError: If there are none, or one is not above 0.

    Source:
        Grimshaw (1993), "Computing maximum likelihood estimates for the generalized Pareto
        distribution", doi:10.1080/00401706.1993.10485040, equation 5.

    Example:
        >>> even = -torch.linspace(0.0005, 0.9995, 1000).log()  # an exponential's quantiles
        >>> shape, scale = fit_generalized_pareto(even)
        >>> abs(shape) < 0.01, abs(scale - 1) < 0.01
        (True, True)
    """
    values = excesses.double()
    if not len(values) or not bool((values > 0).all()) or not bool(values.isfinite().all()):
        raise InputError(
            "a tail cannot be fitted to these excesses",
            expected="at least one number, all above 0 and finite",
            got=f"{len(values)} numbers",
        )
    mean, largest = values.mean(), values.max()
    # Ratios of shape and scale, in units of the largest value: above -1.
    low = 1 - torch.logspace(-6, 0, GRID, dtype=torch.float64)
    high = torch.logspace(-6, 4, GRID, dtype=torch.float64)
    ratios = torch.cat([-low.flip(0), high]).sort().values
    for _ in range(ROUNDS):
        shapes = torch.stack([torch.log1p(ratio * values / largest).mean() for ratio in ratios])
        scales = torch.where(ratios == 0, mean, shapes * largest / ratios)
        costs = torch.where(shapes > -1, scales.log() + shapes, torch.inf)
        best = int(costs.argmin())
        ends = ratios[max(0, best - 1)], ratios[min(len(ratios) - 1, best + 1)]
        found = float(shapes[best]), float(scales[best])
        ratios = torch.linspace(float(ends[0]), float(ends[1]), 41, dtype=torch.float64)
    return found


def extreme_quantile(values: Float[Tensor, " value"], share: float, *, tail: float = 0.1) -> float:
    r"""The level that a small share of values like these exceeds, by the shape of their tail.

    The level may lie beyond every value that there is: above the tail's level u, which :math:`k`
    of the n values exceed, it is :math:`u + \frac{\sigma}{\xi} ((n q / k)^{-\xi} - 1)`.

    Args:
        values: Such values.
        share: q, how many are to exceed it, above 0.
        tail: Share of the values that the tail is fitted to; at least ten are taken. Where
            ``share`` is no smaller, the level is the values' own quantile.

    Raises:
        InputError: If there are not eleven values, or they are not finite.

    Source:
        Siffer, Fouque, Termier, Largouet (2017), "Anomaly detection in streams with extreme value
        theory", doi:10.1145/3097983.3098144, equation 1.

    Example:
        >>> even = -torch.linspace(0.0005, 0.9995, 1000).log()
        >>> round(extreme_quantile(even, 0.0001))  # the exponential's: -ln 0.0001
        9
    """
    ordered = values.double().sort().values
    if len(ordered) <= LEAST_EXCESSES or not bool(ordered.isfinite().all()):
        raise InputError(
            "a tail cannot be told from these values",
            expected=f"more than {LEAST_EXCESSES} finite numbers",
            got=f"{len(ordered)} numbers",
        )
    count = min(len(ordered) - 1, max(LEAST_EXCESSES, round(tail * len(ordered))))
    wanted = share * len(ordered) / count
    level = ordered[-count - 1]
    excesses = ordered[-count:] - level
    excesses = excesses[excesses > 0]
    if wanted >= 1 or not len(excesses):
        return float(torch.quantile(ordered, max(0.0, 1 - share)))
    shape, scale = fit_generalized_pareto(excesses)
    wanted = share * len(ordered) / len(excesses)
    power = torch.tensor(wanted, dtype=torch.float64).log()
    beyond = -power * scale if abs(shape) < 1e-9 else torch.expm1(-shape * power) * scale / shape
    return float(level + beyond)
