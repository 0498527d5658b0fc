"""Diffusion against its own definition, and where the exact answer is known."""

import itertools
import math

import pytest
import torch

from glial.functional import (
    cosine_alpha_bars,
    ddim_step,
    ddpm_step,
    denoising_posterior,
    diffuse,
    guided,
    linear_alpha_bars,
    rows_from_noise,
    rows_from_velocity,
    velocity,
)

SCHEDULES = [linear_alpha_bars, cosine_alpha_bars]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("num_times", [20, 1000])
def test_schedules_fall_from_one_to_nearly_nothing(schedule, num_times):
    alpha_bars = schedule(num_times)
    assert alpha_bars.shape == (num_times + 1,)
    assert alpha_bars[0] == 1
    assert (alpha_bars.diff() < 0).all()
    assert 0 < alpha_bars[-1] < 2e-3


def test_linear_schedule_is_the_product_of_its_betas():
    product = math.prod(1 - (1e-4 + (0.02 - 1e-4) * i / 999) for i in range(300))
    assert linear_alpha_bars(1000)[300].item() == pytest.approx(product, rel=1e-12)


def test_cosine_schedule_is_the_papers_away_from_the_clipped_end():
    def f(t):
        return math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    alpha_bars = cosine_alpha_bars(1000)
    for t in (1, 250, 900):
        assert alpha_bars[t].item() == pytest.approx(f(t) / f(0), rel=1e-9)
    assert 1 - (alpha_bars[1000] / alpha_bars[999]).item() == pytest.approx(0.999)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_closed_form_has_the_moments_of_many_small_steps(schedule):
    alpha_bars = schedule(50)
    noisy = torch.full((200_000, 1), 1.5, dtype=torch.float64)
    draws = generator()
    for before, after in itertools.pairwise(alpha_bars[:31]):
        beta = 1 - after / before
        noise = torch.randn(noisy.shape, generator=draws, dtype=torch.float64)
        noisy = (1 - beta).sqrt() * noisy + beta.sqrt() * noise
    closed = diffuse(torch.full_like(noisy, 1.5), normal(*noisy.shape, seed=1), alpha_bars[30])
    for drawn in (noisy, closed):
        assert drawn.mean().item() == pytest.approx(1.5 * alpha_bars[30].sqrt().item(), abs=0.01)
        assert drawn.var().item() == pytest.approx(1 - alpha_bars[30].item(), rel=0.015)


def test_rows_come_back_from_noise_and_from_velocity():
    rows, noise = normal(4, 2, 3, 3), normal(4, 2, 3, 3, seed=1)
    alpha_bar = cosine_alpha_bars(100)[[1, 30, 60, 99]]
    noisy = diffuse(rows, noise, alpha_bar)
    v = velocity(rows, noise, alpha_bar)
    torch.testing.assert_close(rows_from_noise(noisy, noise, alpha_bar), rows)
    torch.testing.assert_close(rows_from_velocity(noisy, v, alpha_bar), rows)


def test_each_row_has_its_own_time():
    rows, noise = normal(3, 2, 2), normal(3, 2, 2, seed=1)
    alpha_bars = linear_alpha_bars(10)[[1, 5, 9]]
    together = diffuse(rows, noise, alpha_bars)
    for index in range(3):
        alone = diffuse(rows[index : index + 1], noise[index : index + 1], alpha_bars[index])
        torch.testing.assert_close(together[index : index + 1], alone)


def test_posterior_is_bayes_rule():
    alpha_bars = linear_alpha_bars(10)
    at, before = alpha_bars[6], alpha_bars[4]  # also over several times
    x0, xt = normal(1, 1), normal(1, 1, seed=1)
    # precision-weighted: x_s ~ N(sqrt(a_s) x0, 1 - a_s), x_t | x_s ~ N(sqrt(a) x_s, 1 - a)
    step = (at / before).sqrt()
    precision = 1 / (1 - before) + step**2 / (1 - step**2)
    mean = (before.sqrt() * x0 / (1 - before) + step * xt / (1 - step**2)) / precision
    known = denoising_posterior(xt, x0, at, before)
    torch.testing.assert_close(known.mean, mean)
    torch.testing.assert_close(known.variance, 1 / precision)


def test_posterior_variance_by_hand():
    # beta = 0.1 and 0.2: alpha_bar = 0.9 and 0.72; (1 - 0.9) / (1 - 0.72) * 0.2
    at, before = torch.tensor(0.72, dtype=torch.float64), torch.tensor(0.9, dtype=torch.float64)
    known = denoising_posterior(normal(1, 1), normal(1, 1), at, before)
    assert known.variance.item() == pytest.approx(0.0714285714)


@pytest.mark.parametrize(("t", "s"), [(1000, 980), (500, 100), (2, 1), (1, 0)])
def test_ddim_with_eta_one_is_ddpm(t, s):
    alpha_bars = cosine_alpha_bars(1000)
    noisy, rows, noise = normal(3, 4), normal(3, 4, seed=1), normal(3, 4, seed=2)
    times = (alpha_bars[t], alpha_bars[s])
    torch.testing.assert_close(
        ddim_step(noisy, rows, *times, noise, eta=1.0), ddpm_step(noisy, rows, *times, noise)
    )


def sampled(steps, eta, mean=2.0, deviation=0.5, num=20_000):
    """Samples by the exact denoiser of a normal distribution."""
    alpha_bars = cosine_alpha_bars(1000)
    draws = generator()
    noisy = torch.randn(num, 1, generator=draws, dtype=torch.float64)
    for t, s in itertools.pairwise(torch.linspace(1000, 0, steps + 1).round().long().tolist()):
        at, before = alpha_bars[t], alpha_bars[s]
        gain = at.sqrt() * deviation**2 / (at * deviation**2 + 1 - at)
        rows = mean + gain * (noisy - at.sqrt() * mean)
        noise = torch.randn(noisy.shape, generator=draws, dtype=torch.float64) if eta else None
        noisy = ddim_step(noisy, rows, at, before, noise, eta)
    return noisy


@pytest.mark.parametrize(("steps", "eta"), [(200, 0.0), (200, 0.5), (500, 1.0)])
def test_exact_denoiser_of_a_gaussian_recovers_it(steps, eta):
    drawn = sampled(steps, eta)
    assert drawn.mean().item() == pytest.approx(2.0, abs=0.02)
    assert drawn.std().item() == pytest.approx(0.5, rel=0.03)


def test_more_steps_are_nearer_to_the_gaussian():
    errors = [abs(sampled(steps, 0.0).std().item() - 0.5) for steps in (5, 50, 500)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_guidance_goes_from_one_prediction_past_the_other():
    told, untold = normal(2, 3), normal(2, 3, seed=1)
    torch.testing.assert_close(guided(told, untold, 0.0), untold)
    torch.testing.assert_close(guided(told, untold, 1.0), told)
    # the paper's (1 + w) told - w untold, with w = guidance - 1
    torch.testing.assert_close(guided(told, untold, 3.0), 3 * told - 2 * untold)


def test_coefficients_near_time_zero_keep_single_precision():
    alpha_bars = cosine_alpha_bars(1000)
    rows = torch.zeros(1, 1)
    noisy = diffuse(rows, torch.ones(1, 1), alpha_bars[1:2])
    assert noisy.dtype == torch.float32
    assert noisy.item() == pytest.approx((1 - alpha_bars[1].item()) ** 0.5, rel=1e-6)
