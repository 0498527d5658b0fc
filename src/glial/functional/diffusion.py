r"""Noise put on rows step by step, and taken away again.

At time :math:`t` of :math:`T` a row is :math:`x_t = \sqrt{\bar\alpha_t} x_0 +
\sqrt{1 - \bar\alpha_t} \epsilon` with normal noise :math:`\epsilon`. A schedule holds all
:math:`\bar\alpha_t` from time 0, the row itself, where it is 1, in double precision: near time 0
what matters is its distance from 1.

Source:
    Ho, Jain, Abbeel (2020), "Denoising diffusion probabilistic models", arXiv 2006.11239.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Rows = Float[Tensor, "row *shape"]
AlphaBar = Float[Tensor, " row"] | Float[Tensor, ""]
Schedule = Float[Tensor, " time"]

LARGEST_BETA = 0.999


class Posterior(NamedTuple):
    """The normal distribution of rows one step before, where the clean rows are known.

    Example:
        >>> Posterior(torch.zeros(2, 3), torch.ones(2)).mean.shape
        torch.Size([2, 3])
    """

    mean: Tensor
    variance: Tensor


def linear_alpha_bars(num_times: int, first: float = 1e-4, last: float = 0.02) -> Schedule:
    r"""The schedule whose :math:`\beta_t` rise evenly.

    Args:
        num_times: T, at least 1.
        first: :math:`\beta_1` of 1000 times; another number of times scales both ends, so that
            as much noise comes in all.
        last: :math:`\beta_T` of 1000 times.

    Returns:
        :math:`\bar\alpha_0 = 1` to :math:`\bar\alpha_T`, falling.

    Source:
        Ho, Jain, Abbeel (2020), arXiv 2006.11239, section 4.

    Example:
        >>> alpha_bars = linear_alpha_bars(1000)
        >>> len(alpha_bars), round(alpha_bars[1].item(), 4), round(alpha_bars[-1].item(), 7)
        (1001, 0.9999, 4.04e-05)
    """
    scale = 1000 / num_times
    betas = torch.linspace(first * scale, last * scale, num_times, dtype=torch.float64)
    return _products(betas)


def cosine_alpha_bars(num_times: int, offset: float = 0.008) -> Schedule:
    r"""The schedule whose :math:`\bar\alpha_t` is a squared cosine: more time at middling noise.

    Args:
        num_times: T, at least 1.
        offset: Keeps :math:`\beta` from being tiny at first; a share of the time.

    Returns:
        :math:`\bar\alpha_0 = 1` to :math:`\bar\alpha_T`, falling; no :math:`\beta` is over 0.999.

    Source:
        Nichol, Dhariwal (2021), "Improved denoising diffusion probabilistic models",
        arXiv 2102.09672, equation 17.

    Example:
        >>> round(cosine_alpha_bars(1000)[500].item(), 3)
        0.494
    """
    times = torch.linspace(0, 1, num_times + 1, dtype=torch.float64)
    shape = torch.cos((times + offset) / (1 + offset) * math.pi / 2).square()
    return _products(1 - shape[1:] / shape[:-1])


def _products(betas: Tensor) -> Tensor:
    alphas = 1 - betas.clamp(max=LARGEST_BETA)
    return torch.cat([torch.ones_like(alphas[:1]), alphas.cumprod(0)])


def diffuse(rows: Rows, noise: Rows, alpha_bar: AlphaBar) -> Rows:
    r"""Rows at a time: :math:`\sqrt{\bar\alpha} x_0 + \sqrt{1 - \bar\alpha} \epsilon`.

    Args:
        rows: Clean rows.
        noise: Standard normal numbers.
        alpha_bar: Of each row's time, or of all.

    Source:
        Ho, Jain, Abbeel (2020), arXiv 2006.11239, equation 4.

    Example:
        >>> diffuse(torch.tensor([[1.0]]), torch.tensor([[2.0]]), torch.tensor([0.36]))
        tensor([[2.2000]])
    """
    return _like(alpha_bar.sqrt(), rows) * rows + _like((1 - alpha_bar).sqrt(), rows) * noise


def velocity(rows: Rows, noise: Rows, alpha_bar: AlphaBar) -> Rows:
    r"""Noise less rows: :math:`v = \sqrt{\bar\alpha} \epsilon - \sqrt{1 - \bar\alpha} x_0`.

    What a network may predict in place of noise. Unlike noise it tells of the clean row at all
    times, also where nothing but noise is left.

    Args:
        rows: Clean rows.
        noise: The noise put on them.
        alpha_bar: Of each row's time, or of all.

    Source:
        Salimans, Ho (2022), "Progressive distillation for fast sampling of diffusion models",
        arXiv 2202.00512, section 4.

    Example:
        >>> velocity(torch.tensor([[1.0]]), torch.tensor([[2.0]]), torch.tensor([0.36]))
        tensor([[0.4000]])
    """
    return _like(alpha_bar.sqrt(), rows) * noise - _like((1 - alpha_bar).sqrt(), rows) * rows


def rows_from_velocity(noisy: Rows, v: Rows, alpha_bar: AlphaBar) -> Rows:
    r"""Clean rows: :math:`\sqrt{\bar\alpha} x_t - \sqrt{1 - \bar\alpha} v`.

    Args:
        noisy: Rows at a time.
        v: Their velocity.
        alpha_bar: Of each row's time, or of all.

    Source:
        Salimans, Ho (2022), arXiv 2202.00512, section 4.

    Example:
        >>> rows_from_velocity(torch.tensor([[2.2]]), torch.tensor([[0.4]]), torch.tensor([0.36]))
        tensor([[1.]])
    """
    return _like(alpha_bar.sqrt(), noisy) * noisy - _like((1 - alpha_bar).sqrt(), noisy) * v


def rows_from_noise(noisy: Rows, noise: Rows, alpha_bar: AlphaBar) -> Rows:
    r"""Clean rows: :math:`(x_t - \sqrt{1 - \bar\alpha} \epsilon) / \sqrt{\bar\alpha}`.

    Args:
        noisy: Rows at a time.
        noise: The noise that was put on them.
        alpha_bar: Of each row's time, or of all; above 0.

    Source:
        Ho, Jain, Abbeel (2020), arXiv 2006.11239, equation 15.

    Example:
        >>> rows_from_noise(torch.tensor([[2.2]]), torch.tensor([[2.0]]), torch.tensor([0.36]))
        tensor([[1.]])
    """
    return (noisy - _like((1 - alpha_bar).sqrt(), noisy) * noise) / _like(alpha_bar.sqrt(), noisy)


def denoising_posterior(
    noisy: Rows, rows: Rows, alpha_bar: AlphaBar, alpha_bar_before: AlphaBar
) -> Posterior:
    r"""How rows were distributed at an earlier time, given those of a time and the clean ones.

    Args:
        noisy: Rows at a time.
        rows: Clean rows.
        alpha_bar: Of the time; under 1.
        alpha_bar_before: Of the earlier time.

    Returns:
        The mean, and the variance of each number (a row's, or all rows' one), 0 where the earlier
        time is 0.

    Source:
        Ho, Jain, Abbeel (2020), arXiv 2006.11239, equations 6 and 7.

    Example:
        >>> known = denoising_posterior(
        ...     torch.ones(1, 1), torch.zeros(1, 1), torch.tensor([0.25]), torch.tensor([0.5])
        ... )
        >>> known.mean.item(), known.variance.item()  # sqrt(0.5) 0.5 / 0.75, and 0.5 / 0.75 0.5
        (0.4714..., 0.3333...)
    """
    alpha = alpha_bar / alpha_bar_before
    past = (1 - alpha_bar_before) / (1 - alpha_bar)
    of_rows = alpha_bar_before.sqrt() * (1 - alpha) / (1 - alpha_bar)
    mean = _like(of_rows, noisy) * rows + _like(alpha.sqrt() * past, noisy) * noisy
    return Posterior(mean, (past * (1 - alpha)).to(noisy))


def ddpm_step(
    noisy: Rows, rows: Rows, alpha_bar: AlphaBar, alpha_bar_before: AlphaBar, noise: Rows
) -> Rows:
    """Rows at an earlier time, drawn from the posterior.

    Args:
        noisy: Rows at a time.
        rows: The clean rows, as they are told from these.
        alpha_bar: Of the time.
        alpha_bar_before: Of the earlier time.
        noise: Standard normal numbers.

    Source:
        Ho, Jain, Abbeel (2020), arXiv 2006.11239, algorithm 2.

    Example:
        >>> at, before = torch.tensor(0.25), torch.tensor(1.0)
        >>> ddpm_step(torch.ones(1, 1), torch.full((1, 1), 3.0), at, before, torch.ones(1, 1))
        tensor([[3.]])
    """
    mean, variance = denoising_posterior(noisy, rows, alpha_bar, alpha_bar_before)
    return mean + _like(variance.sqrt(), noisy) * noise


def ddim_step(
    noisy: Rows,
    rows: Rows,
    alpha_bar: AlphaBar,
    alpha_bar_before: AlphaBar,
    noise: Rows | None = None,
    eta: float = 0.0,
) -> Rows:
    """Rows at an earlier time, with as much new noise as asked.

    Args:
        noisy: Rows at a time.
        rows: The clean rows, as they are told from these.
        alpha_bar: Of the time; under 1.
        alpha_bar_before: Of the earlier time.
        noise: Standard normal numbers; needed where ``eta`` is above 0.
        eta: 0 takes the way that the rows themselves decide, 1 is `ddpm_step`.

    Source:
        Song, Meng, Ermon (2021), "Denoising diffusion implicit models", arXiv 2010.02502,
        equations 12 and 16.

    Example:
        >>> at, before = torch.tensor(0.36), torch.tensor(0.64)
        >>> ddim_step(torch.tensor([[2.2]]), torch.tensor([[1.0]]), at, before)  # 0.8 + 0.6 * 2
        tensor([[2.0000]])
    """
    variance = (
        eta**2 * (1 - alpha_bar_before) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_before)
    )
    direction = ((1 - alpha_bar_before - variance).clamp_min(0) / (1 - alpha_bar)).sqrt()
    distance = noisy - _like(alpha_bar.sqrt(), noisy) * rows
    earlier = _like(alpha_bar_before.sqrt(), noisy) * rows + _like(direction, noisy) * distance
    if noise is None:
        return earlier
    return earlier + _like(variance.sqrt(), noisy) * noise


def guided(conditional: Rows, unconditional: Rows, guidance: float) -> Rows:
    """A prediction pushed towards what is told: classifier-free guidance.

    Args:
        conditional: What is predicted of rows whose class is told.
        unconditional: What is predicted of them where it is not.
        guidance: 1 is the conditional prediction, 0 the unconditional one; more than 1 makes rows
            more typical of their class, and less varied. The paper's w and 1.

    Source:
        Ho, Salimans (2022), "Classifier-free diffusion guidance", arXiv 2207.12598, equation 6.

    Example:
        >>> guided(torch.ones(1, 1), torch.zeros(1, 1), 3.0)
        tensor([[3.]])
    """
    return torch.lerp(unconditional, conditional, guidance)


def _like(coefficient: Tensor, rows: Tensor) -> Tensor:
    """Coefficients in the rows' precision, each beside all numbers of its row."""
    if coefficient.ndim:
        coefficient = coefficient.reshape(-1, *[1] * (rows.ndim - 1))
    return coefficient.to(rows)
