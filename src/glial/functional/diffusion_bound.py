r"""The parts of a diffusion's variational bound.

Source:
    Ho, Jain, Abbeel (2020), "Denoising diffusion probabilistic models", arXiv 2006.11239,
    equation 5; as a sum over ratios of signal to noise, :math:`\bar\alpha_t / (1 -
    \bar\alpha_t)`: Kingma, Salimans, Poole, Ho (2021), "Variational diffusion models",
    arXiv 2107.00630, equation 14.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

Rows = Float[Tensor, "row *shape"]
OfRow = Float[Tensor, " row"]
Schedule = Float[Tensor, " time"]


class Times(NamedTuple):
    """Times at which a bound is looked at.

    Attributes:
        times: From 2 to the last, [row].
        chances: How likely each was to be drawn, [row].

    Example:
        >>> Times(torch.tensor([2]), torch.tensor([0.5])).chances
        tensor([0.5000])
    """

    times: Int[Tensor, " row"]
    chances: Float[Tensor, " row"]


def times_by_noise(alpha_bars: Schedule, shares: OfRow) -> Times:
    r"""Times after the first: half of them even, half where much of a bound lies.

    The terms of rows of unit variance, divided by the fall of :math:`-\log(1 - \bar\alpha_t)` to
    which the second half is proportional, are all alike; the first keeps every time likely.

    Args:
        alpha_bars: The schedule, of at least two times.
        shares: Numbers in [0, 1), as even as the times are to be.

    Example:
        >>> from glial.functional import cosine_alpha_bars
        >>> times_by_noise(cosine_alpha_bars(1000), torch.tensor([0.1, 0.5, 0.9])).times
        tensor([  6, 215, 810])
    """
    known = -torch.log1p(-alpha_bars[1:])
    by_noise = (known[0] - known) / (known[0] - known[-1])
    share = (torch.linspace(0, 1, len(known)).to(by_noise) + by_noise) / 2
    index = torch.searchsorted(share, shares.to(share), right=True).clamp(1, len(share) - 1)
    return Times(index + 1, share[index] - share[index - 1])


def step_divergence(
    rows: Rows,
    known: Rows,
    alpha_bars: Schedule,
    times: Int[Tensor, " row"],
    *,
    wide: bool = False,
) -> OfRow:
    r"""Of the posterior of clean rows from what is drawn of rows as they are known, in nats.

    Args:
        rows: Clean rows.
        known: What a network takes them for, seeing them at their times.
        alpha_bars: The schedule.
        times: From 2 to the last.
        wide: Whether what is drawn has the variance :math:`\beta_t`, best for rows of unit
            variance, and not the posterior's, best for rows that are all alike.

    Source:
        Ho, Jain, Abbeel (2020), arXiv 2006.11239, section 3.2.

    Example:
        >>> alpha_bars, time = torch.tensor([1.0, 0.8, 0.5]), torch.tensor([2])
        >>> known, wrong = torch.zeros(1, 1), torch.ones(1, 1)
        >>> step_divergence(known, wrong, alpha_bars, time)  # signal to noise falls from 4 to 1
        tensor([1.5000])
        >>> step_divergence(known, known, alpha_bars, time, wide=True)  # (0.4 - 1 - log(0.4)) / 2
        tensor([0.1581])
    """
    before, at = alpha_bars[times - 1], alpha_bars[times]
    fall = before / (1 - before) - at / (1 - at)
    ratio = (1 - before) / (1 - at) if wide else torch.ones_like(at)
    spread = (ratio - 1 - ratio.log()).to(rows)
    missed = (rows - known).flatten(1).square()
    return (missed * (ratio * fall).to(rows)[:, None] + spread[:, None]).sum(dim=1) / 2


def prior_divergence(rows: Rows, alpha_bar: Float[Tensor, ""]) -> OfRow:
    """Of rows at the last time from standard normal numbers, in nats.

    Args:
        rows: Clean rows.
        alpha_bar: Of the last time.

    Example:
        >>> prior_divergence(torch.ones(1, 1), torch.tensor(0.5))  # (0.5 - 0.5 + log(2)) / 2
        tensor([0.3466])
    """
    kept = alpha_bar.item()
    spread = -kept - math.log1p(-kept)
    divergence: Tensor = (kept * rows.flatten(1).square() + spread).sum(dim=1) / 2
    return divergence


def pixel_log_probability(rows: Rows, mean: Rows, deviation: float, levels: int) -> OfRow:
    """The log probability of pixels of few values, as parts of a normal distribution, in nats.

    Args:
        rows: Pixels, of evenly spaced values from -1 to 1.
        mean: Of the normal distribution of each pixel.
        deviation: Of all.
        levels: Values that a pixel may have; the first and the last have the tails.

    Source:
        Ho, Jain, Abbeel (2020), arXiv 2006.11239, equation 13.

    Example:
        >>> pixel_log_probability(torch.tensor([[1.0]]), torch.tensor([[0.0]]), 1.0, 2).exp()
        tensor([0.5000])
    """
    half = 1 / (levels - 1)
    above = ((rows + half - mean) / deviation).where(rows < 1 - half, math.inf)
    below = ((rows - half - mean) / deviation).where(rows > half - 1, -math.inf)
    # Both tails are computed as the lower one, which keeps small probabilities.
    flip = below > 0
    above, below = (-below).where(flip, above).double(), (-above).where(flip, below).double()
    chance = torch.special.ndtr(above) - torch.special.ndtr(below)
    tiny = torch.finfo(chance.dtype).tiny
    probability: Tensor = chance.clamp_min(tiny).log().flatten(1).sum(dim=1)
    return probability.to(rows)
