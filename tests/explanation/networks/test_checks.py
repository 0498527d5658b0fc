from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.explanation.networks import (
    Attribution,
    check_method,
    concept_sensitivity,
    influence,
    input_x_gradient,
    integrated_gradients,
    maximize_activation,
)


def linear(*weights):
    network = nn.Linear(len(weights), 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([weights]))
    return network


def test_a_perfect_explanation_of_a_linear_network():
    network = linear(8.0, 4.0, 2.0, 1.0)
    told = check_method(input_x_gradient, network, (torch.ones(1, 4),), complete=True)
    assert told.completeness < 1e-6
    # Taken away from the largest on, what is left of 15 is 15, 7, 3, 1 and 0.
    assert told.deletion == pytest.approx((15 + 7 + 3 + 1 + 0) / 15 / 5)
    assert told.insertion == pytest.approx((0 + 8 + 12 + 14 + 15) / 15 / 5)
    assert told.beats_chance


def test_a_method_that_shows_the_input_does_not_look_at_the_network():
    def show(network, inputs, choice):
        return Attribution((inputs[0].abs(),), network(*inputs)[:, 0].detach())

    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
    told = check_method(show, network, (torch.randn(3, 6),))
    assert told.randomised == pytest.approx(1.0)
    assert not told.looks_at_the_network
    assert math.isnan(told.completeness)


def test_a_method_that_looks_changes_with_the_weights():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(40, 16), nn.Tanh(), nn.Linear(16, 1))
    told = check_method(integrated_gradients, network, (torch.ones(6, 40),), complete=True)
    assert abs(told.randomised) < 0.3
    assert told.looks_at_the_network
    assert told.sensitivity < 0.5


def test_an_order_of_chance_beats_nothing():
    def guess(network, inputs, choice):
        generator = torch.Generator().manual_seed(0)
        values = -network.weight * inputs[0] + 0 * torch.rand(4, generator=generator)
        return Attribution((values.detach(),), network(*inputs)[:, 0].detach())

    told = check_method(guess, linear(8.0, 4.0, 2.0, 1.0), (torch.ones(1, 4),))
    assert not told.beats_chance


def test_influence_is_the_product_of_gradients():
    # Squared error of y = w x: the gradient is 2 (w x - t) x.
    network = linear(0.5, -1.0)
    rows, target = torch.tensor([[1.0, 2.0], [3.0, 1.0]]), torch.tensor([[1.0], [2.0]])
    gradients = 2 * (network(rows).detach() - target) * rows
    found = influence(network, nn.functional.mse_loss, (rows, target), (rows, target))
    torch.testing.assert_close(found, gradients @ gradients.T)
    twice = influence(
        network,
        nn.functional.mse_loss,
        (rows, target),
        (rows, target),
        checkpoints=[(dict(network.state_dict()), 0.25), (dict(network.state_dict()), 0.5)],
    )
    torch.testing.assert_close(twice, 0.75 * found)


@pytest.mark.slow
def test_influence_finds_wrong_labels():
    torch.manual_seed(0)
    rows = torch.randn(80, 2)
    target = (rows[:, 0] > 0).long()
    flipped = rows[:, 0].abs().argsort(descending=True)[:6]
    target[flipped] = 1 - target[flipped]
    network = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    for _ in range(50):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(rows), target).backward()
        optimizer.step()
    found = influence(network, nn.functional.cross_entropy, (rows, target), (rows, target))
    largest = found.diagonal().argsort(descending=True)[:6]
    assert len(set(largest.tolist()) & set(flipped.tolist())) >= 5


@pytest.mark.slow
def test_maximization_finds_the_direction_of_a_linear_unit():
    network = linear(3.0, -4.0)
    found = maximize_activation(network, [2], 0, steps=2000, l2=1.0, roughness=0.0, lr=0.05)
    # w x - mean(x^2) is largest at x = w.
    torch.testing.assert_close(found.inputs[0], network.weight[0].detach(), rtol=1e-3, atol=1e-3)
    assert found.after == pytest.approx(25.0, rel=1e-3)
    bounded = maximize_activation(network, [2], 0, steps=200, low=-1.0, high=1.0)
    assert bounded.inputs.tolist() == [[1.0, -1.0]]
    with pytest.raises(InputError, match="no such unit"):
        maximize_activation(network, [2], 1, steps=1)


@pytest.mark.slow
def test_concepts_that_speak_for_an_output_against_it_and_for_nothing():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Identity(), linear(2.0, -3.0, 0.0))
    rows = torch.randn(60, 3)

    def shifted(axis):
        return rows + 4 * torch.eye(3)[axis]

    others = [torch.randn(60, 3) for _ in range(4)]
    speaks_for = concept_sensitivity(network, rows, shifted(0), others, "0", 0)
    against = concept_sensitivity(network, rows, shifted(1), others, "0", 0)
    assert speaks_for.score == 1.0
    assert against.score == 0.0
    assert min(speaks_for.accuracy) > 0.9
    with pytest.raises(InputError, match="too few examples"):
        concept_sensitivity(network, rows, rows[:2], others, "0", 0)
    with pytest.raises(InputError, match="unknown layer"):
        concept_sensitivity(network, rows, rows, others, "x", 0)
