"""Densities, divergences and bounds against torch.distributions, by hand and by their laws."""

import itertools
import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from glial.functional import (
    active_units,
    discretized_logistic_log_likelihood,
    gaussian_kl,
    gaussian_log_density,
    importance_weighted_bound,
)


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_densities_are_those_of_torch():
    values, mean, log_variance = drawn(6, 3), drawn(6, 3, seed=1), drawn(6, 3, seed=2)
    expected = Normal(mean, (0.5 * log_variance).exp()).log_prob(values)
    torch.testing.assert_close(gaussian_log_density(values, mean, log_variance), expected)


def test_divergences_are_those_of_torch():
    mean, log_variance = drawn(6, 3), drawn(6, 3, seed=1)
    other, other_log = drawn(6, 3, seed=2), drawn(6, 3, seed=3)
    one, two = Normal(mean, (0.5 * log_variance).exp()), Normal(other, (0.5 * other_log).exp())
    standard = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    torch.testing.assert_close(gaussian_kl(mean, log_variance), kl_divergence(one, standard))
    found = gaussian_kl(mean, log_variance, other, other_log)
    torch.testing.assert_close(found, kl_divergence(one, two))
    assert gaussian_kl(mean, log_variance, mean, log_variance).abs().max() < 1e-15


@pytest.mark.parametrize(
    "function",
    [
        gaussian_kl,
        lambda mean, log_variance: gaussian_log_density(drawn(4, 2, seed=9), mean, log_variance),
        lambda mean, log_scale: discretized_logistic_log_likelihood(
            torch.tensor([[-1.0, 1.0], [0.0, 1 / 3], [0.1, -0.5], [-1 / 3, -0.9]]).double(),
            mean,
            log_scale,
            num_levels=16,
        ),
        lambda mean, other: importance_weighted_bound(mean * other),
    ],
)
def test_gradients(function):
    one, two = drawn(4, 2).requires_grad_(), drawn(4, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(function, (one, two))


@pytest.mark.parametrize("log_scale", [-6.0, -4.0, -1.0, 1.0])
@pytest.mark.parametrize("centre", [-1.2, 0.013, 0.999])
def test_levels_of_brightness_have_all_the_mass(centre, log_scale):
    levels = torch.linspace(-1, 1, 256, dtype=torch.float64)
    centre, log_scale = (torch.tensor(value, dtype=torch.float64) for value in (centre, log_scale))
    told = discretized_logistic_log_likelihood(levels, centre, log_scale)
    assert float(told.exp().sum()) == pytest.approx(1, abs=2e-2 if log_scale < -5 else 1e-4)
    assert told.isfinite().all()


def test_a_level_by_hand():
    # Two levels, cut at 0: the upper has the mass above it.
    value, centre = torch.tensor([1.0]), torch.tensor(0.5)
    found = discretized_logistic_log_likelihood(value, centre, torch.tensor(0.0), num_levels=2)
    assert found.item() == pytest.approx(math.log(1 / (1 + math.exp(-0.5))))


def test_more_weights_give_a_greater_bound_in_expectation():
    weights = drawn(20_000, 64)
    bounds = [importance_weighted_bound(weights[:, :k]).mean() for k in (1, 2, 4, 16, 64)]
    assert all(one < two for one, two in itertools.pairwise(bounds))
    assert bounds[0] == pytest.approx(weights[:, 0].mean())
    assert bounds[-1] < 0.5  # the logarithm of a lognormal weight's mean


def test_used_units_vary():
    mean = torch.tensor([[1.0, 0.05, 3.0], [-1.0, -0.05, 3.0]])
    assert active_units(mean).tolist() == [1, 0, 0]
    assert active_units(mean, threshold=0.004).tolist() == [1, 1, 0]
