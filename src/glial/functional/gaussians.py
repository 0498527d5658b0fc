"""Gaussians, images' likelihoods, and the bounds that variational networks are trained by."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

LEAST_PROBABILITY = 1e-12


def gaussian_log_density(
    values: Float[Tensor, "*shape"],
    mean: Float[Tensor, "*#shape"],
    log_variance: Float[Tensor, "*#shape"],
) -> Float[Tensor, "*shape"]:
    """The logarithm of a normal density at each value, in nats.

    Args:
        values: Where.
        mean: Of each value.
        log_variance: Natural logarithm of the variance of each value.

    Example:
        >>> gaussian_log_density(torch.zeros(1), torch.zeros(1), torch.zeros(1))
        tensor([-0.9189])
    """
    squares = (values - mean).square() * torch.exp(-log_variance)
    return -0.5 * (math.log(2 * math.pi) + log_variance + squares)


def gaussian_kl(
    mean: Float[Tensor, "*shape"],
    log_variance: Float[Tensor, "*shape"],
    other_mean: Float[Tensor, "*#shape"] | None = None,
    other_log_variance: Float[Tensor, "*#shape"] | None = None,
) -> Float[Tensor, "*shape"]:
    """The Kullback-Leibler divergence of one normal distribution from another, in nats.

    Args:
        mean: Of each distribution.
        log_variance: Natural logarithm of its variance.
        other_mean: Of the distribution that it is held against; 0 by default.
        other_log_variance: Likewise, 0 by default: together a standard normal one.

    Returns:
        For each distribution at least 0; the divergence of a diagonal Gaussian is their sum.

    Source:
        Kingma, Welling (2014), "Auto-encoding variational Bayes", arXiv 1312.6114, appendix B.

    Example:
        >>> gaussian_kl(torch.tensor([0.0, 2.0]), torch.zeros(2))
        tensor([0., 2.])
    """
    away = mean if other_mean is None else mean - other_mean
    ratio = log_variance if other_log_variance is None else log_variance - other_log_variance
    precision = 1.0 if other_log_variance is None else torch.exp(-other_log_variance)
    return 0.5 * (away.square() * precision + ratio.exp() - 1 - ratio)


def discretized_logistic_log_likelihood(
    values: Float[Tensor, "*shape"],
    mean: Float[Tensor, "*#shape"],
    log_scale: Float[Tensor, "*#shape"],
    *,
    num_levels: int = 256,
) -> Float[Tensor, "*shape"]:
    """The log-probability of levels of brightness under a logistic distribution cut into them.

    A level has the mass of its interval; the darkest and the brightest have all that lies beyond.

    Args:
        values: Levels, spread evenly over -1 to 1.
        mean: Centre of the logistic distribution.
        log_scale: Natural logarithm of its scale.
        num_levels: How many levels there are.

    Source:
        Salimans, Karpathy, Chen, Kingma (2017), "PixelCNN++", arXiv 1701.05517, equation 2.

    Example:
        >>> levels = torch.linspace(-1, 1, 4)
        >>> place = torch.tensor(0.3)
        >>> told = discretized_logistic_log_likelihood(levels, place, -place, num_levels=4)
        >>> bool((told.exp().sum() - 1).abs() < 1e-6)
        True
    """
    half = 1 / (num_levels - 1)
    precision = torch.exp(-log_scale)
    upper = (values - mean + half) * precision
    lower = (values - mean - half) * precision
    mass = (torch.sigmoid(upper) - torch.sigmoid(lower)).clamp_min(LEAST_PROBABILITY)
    # Where the interval's mass is too small to be a difference, the density times its width.
    middle = (values - mean) * precision
    density = functional.logsigmoid(middle) + functional.logsigmoid(-middle) - log_scale
    inner = torch.where(mass > 1e-5, mass.log(), density + math.log(2 * half))
    brightest = values > 1 - half
    outer = torch.where(brightest, functional.logsigmoid(-lower), inner)
    return torch.where(values < half - 1, functional.logsigmoid(upper), outer)


def importance_weighted_bound(
    log_weights: Float[Tensor, "row sample"],
) -> Float[Tensor, " row"]:
    """The logarithm of the mean importance weight: a bound on the log-likelihood, in nats.

    Args:
        log_weights: ``log p(x, z) - log q(z | x)`` of codes drawn from the posterior of each row.

    Returns:
        In expectation below the log-likelihood, and the nearer the more samples there are; of one
        sample the evidence lower bound.

    Source:
        Burda, Grosse, Salakhutdinov (2016), "Importance weighted autoencoders",
        arXiv 1509.00519, equation 8.

    Example:
        >>> importance_weighted_bound(torch.tensor([[1.0, 3.0]]).log())
        tensor([0.6931])
    """
    return torch.logsumexp(log_weights, dim=1) - math.log(log_weights.shape[1])


def active_units(
    mean: Float[Tensor, "row latent"], threshold: float = 0.01
) -> Float[Tensor, " latent"]:
    """Which numbers of a code are used: 1 where the posterior's mean varies over rows, else 0.

    Args:
        mean: Mean of each row's posterior.
        threshold: Least variance of an active one.

    Source:
        Burda, Grosse, Salakhutdinov (2016), arXiv 1509.00519, section 5.2.

    Example:
        >>> active_units(torch.tensor([[0.0, 1.0], [0.01, -1.0]]))
        tensor([0., 1.])
    """
    return (mean.var(dim=0) > threshold).to(mean.dtype)
