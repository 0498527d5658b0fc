"""Adversarial losses: values by hand, torch's own losses, and two known densities as oracles."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from glial.functional import (
    ADVERSARIAL_LOSSES,
    between,
    discriminator_loss,
    generator_loss,
    slope_penalty,
    squared_slope,
)

REAL, MADE = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.0, 3.0, -1.0])


def log_sigmoid(value):
    return -math.log1p(math.exp(-value))


def mean(values):
    return sum(values) / len(values)


BY_HAND = {
    "non_saturating": (
        -mean([log_sigmoid(r) for r in REAL]) - mean([log_sigmoid(-f) for f in MADE]),
        -mean([log_sigmoid(f) for f in MADE]),
    ),
    "minimax": (
        -mean([log_sigmoid(r) for r in REAL]) - mean([log_sigmoid(-f) for f in MADE]),
        mean([log_sigmoid(-f) for f in MADE]),
    ),
    "least_squares": ((0 + 9 + 0.25) / 6 + (0 + 9 + 1) / 6, (1 + 4 + 4) / 6),
    "wasserstein": (2 / 3 + 0.5 / 3, -2 / 3),
    "hinge": ((0 + 3 + 0.5) / 3 + (1 + 4 + 0) / 3, -2 / 3),
    "relativistic": (
        -mean([log_sigmoid(r - f) for r, f in zip(REAL, MADE, strict=True)]),
        -mean([log_sigmoid(f - r) for r, f in zip(REAL, MADE, strict=True)]),
    ),
    "relativistic_average": (
        -mean([log_sigmoid(r - 2 / 3) for r in REAL])
        - mean([log_sigmoid(-(f + 0.5 / 3)) for f in MADE]),
        -mean([log_sigmoid(f + 0.5 / 3) for f in MADE])
        - mean([log_sigmoid(-(r - 2 / 3)) for r in REAL]),
    ),
}


@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
def test_values_by_hand(kind):
    judge, make = BY_HAND[kind]
    assert discriminator_loss(REAL, MADE, kind).item() == pytest.approx(float(judge), rel=1e-5)
    assert generator_loss(REAL, MADE, kind).item() == pytest.approx(float(make), rel=1e-5)


def test_the_usual_one_is_torchs_binary_cross_entropy():
    one, none = torch.ones(3), torch.zeros(3)
    expected = binary_cross_entropy_with_logits(REAL, one) + binary_cross_entropy_with_logits(
        MADE, none
    )
    assert torch.allclose(discriminator_loss(REAL, MADE), expected)
    assert torch.allclose(generator_loss(REAL, MADE), binary_cross_entropy_with_logits(MADE, one))


@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
def test_gradients(kind):
    torch.manual_seed(0)
    values = [torch.randn(4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert gradcheck(lambda real, made: discriminator_loss(real, made, kind), values)
    assert gradcheck(lambda real, made: generator_loss(real, made, kind), values)


def test_minimax_is_a_game_of_zero_sum():
    real, made = (part.clone().requires_grad_() for part in (REAL, MADE))
    (lost,) = torch.autograd.grad(discriminator_loss(real, made, "minimax"), made)
    (won,) = torch.autograd.grad(generator_loss(real, made, "minimax"), made)
    assert torch.allclose(lost, -won)


@pytest.mark.parametrize("kind", ["wasserstein", "relativistic", "relativistic_average"])
def test_what_is_added_to_all_judgements_changes_no_differences(kind):
    found = discriminator_loss(REAL + 3, MADE + 3, kind)
    assert torch.allclose(found, discriminator_loss(REAL, MADE, kind), atol=1e-6)


def test_judgements_may_be_maps():
    maps = torch.randn(2, 1, 3, 3)
    assert discriminator_loss(maps, maps - 1, "least_squares").shape == ()


def test_slopes_of_a_quadratic_form():
    torch.manual_seed(0)
    form = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    rows = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)

    def slopes(form):
        return squared_slope(((rows @ form) * rows).sum(dim=1), rows)

    expected = (rows @ (form + form.T)).square().sum(dim=1)
    assert torch.allclose(slopes(form), expected)
    assert gradcheck(slopes, [form])

    def penalty(form):
        return slope_penalty(((rows @ form) * rows).sum(dim=1), rows)

    assert torch.allclose(penalty(form), (expected.sqrt() - 1).square().mean())
    assert gradcheck(penalty, [form])


def test_a_flat_discriminator_has_a_penalty_with_a_gradient():
    layer = nn.Linear(2, 1)
    nn.init.zeros_(layer.weight)
    rows = torch.ones(3, 2, requires_grad=True)
    penalty = slope_penalty(layer(rows), rows)
    penalty.backward()
    assert penalty.item() == pytest.approx(1.0)
    assert layer.weight.grad.isfinite().all()


def test_points_between_are_on_the_line():
    real, made = torch.zeros(3, 1, 2), torch.ones(3, 1, 2)
    points = between(real, made, torch.tensor([0.0, 0.25, 1.0]))
    assert points[:, 0, 0].tolist() == [1.0, 0.75, 0.0]
    assert points.requires_grad


@pytest.mark.slow
def test_the_best_discriminator_of_two_known_densities():
    """Two normal densities on a line: log p/q is a line, and it is what training finds."""
    generator = torch.Generator().manual_seed(0)
    distance = 1.5
    points = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    normal = torch.distributions.Normal
    p = normal(distance, 1.0).log_prob(points).exp()
    q = normal(0.0, 1.0).log_prob(points).exp()
    mixture, step = (p + q) / 2, points[1] - points[0]
    jsd = (p * (p / mixture).log() + q * (q / mixture).log()).sum() * step / 2
    lowest = math.log(4) - 2 * float(jsd)
    best = points * distance - distance**2 / 2
    at_best = -((logsigmoid(best) * p) + (logsigmoid(-best) * q)).sum() * step
    assert float(at_best) == pytest.approx(lowest, rel=1e-6)
    assert torch.allclose(best.sigmoid(), p / (p + q), atol=1e-12)

    real = distance + torch.randn(40_000, 1, generator=generator)
    made = torch.randn(40_000, 1, generator=generator)
    judge = nn.Linear(1, 1)
    optimizer = torch.optim.LBFGS(judge.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = discriminator_loss(judge(real), judge(made))
        value.backward()
        return value

    optimizer.step(loss)
    assert judge.weight.item() == pytest.approx(distance, abs=0.03)
    assert judge.bias.item() == pytest.approx(-(distance**2) / 2, abs=0.03)
    assert loss().item() == pytest.approx(lowest, abs=0.01)


def test_the_best_discriminator_of_pairs_knows_the_same_ratio():
    """It is the logarithm of the densities' ratio, but for a constant."""
    generator = torch.Generator().manual_seed(0)
    real = 1.5 + torch.randn(20_000, generator=generator)
    made = torch.randn(20_000, generator=generator)
    slope = torch.ones((), requires_grad=True)
    optimizer = torch.optim.LBFGS([slope], max_iter=50, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = discriminator_loss(slope * real, slope * made, "relativistic")
        value.backward()
        return value

    optimizer.step(loss)
    assert slope.item() == pytest.approx(1.5, abs=0.03)


def test_a_critic_of_slope_one_measures_wasserstein_distance():
    """On a line the distance of a density and the same moved along is how far it was moved."""
    generator = torch.Generator().manual_seed(0)
    made = torch.randn(5000, 1, generator=generator)
    critic = nn.Linear(1, 1)
    nn.init.ones_(critic.weight)
    assert -discriminator_loss(critic(made + 0.7), critic(made), "wasserstein").item() == (
        pytest.approx(0.7, abs=1e-4)
    )
