"""Hopfield networks: energies by hand, what they store and how much, and attention."""

import math

import numpy as np
import pytest
import torch

from glial.functional import (
    associate,
    association_energy,
    binary_states,
    hebbian_couplings,
    pairwise_energy,
    pseudo_inverse_couplings,
    recall,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def patterns(count, units, seed=0):
    return (torch.rand(count, units, generator=seeded(seed)) < 0.5).double() * 2 - 1


def corrupted(states, share, seed=1):
    return torch.where(
        torch.rand(states.shape, generator=seeded(seed)) < share, -states, states
    ).to(states)


def test_energy_is_the_sum_over_pairs():
    couplings, biases = torch.randn(5, 5, generator=seeded()).double(), torch.arange(5.0).double()
    couplings = (couplings + couplings.T).fill_diagonal_(0)
    states = patterns(3, 5)
    for state, found in zip(states, pairwise_energy(states, couplings, biases), strict=True):
        pairs = sum(couplings[i, j] * state[i] * state[j] for i in range(5) for j in range(i))
        assert found.item() == pytest.approx(float(-pairs - (biases * state).sum()))


def test_energy_never_rises_where_units_are_asked_one_by_one():
    couplings = torch.randn(30, 30, generator=seeded()).double()
    couplings, biases = (couplings + couplings.T).fill_diagonal_(0), patterns(1, 30, 5)[0]
    states = patterns(20, 30)
    for turn in range(200):
        unit = torch.tensor([turn * 7 % 30])
        found = recall(states, couplings, biases, sweeps=1, order=unit)
        assert (found.energies[1] <= found.energies[0]).all()
        states = found.states
    ended = recall(states, couplings, biases)
    assert ended.settled.all()
    fields = ended.states @ couplings + biases
    assert (fields * ended.states >= 0).all()  # an end is a state that follows its own fields


def test_asked_all_at_once_two_states_can_follow_each_other():
    couplings = torch.tensor([[0.0, -1.0], [-1.0, 0.0]])
    both = torch.ones(1, 2)
    turned = recall(both, couplings, how="synchronous", sweeps=7)
    assert turned.states.tolist() == [[-1, -1]]
    assert not turned.settled.any()
    assert recall(both, couplings).states.tolist() == [[-1, 1]]
    assert both.tolist() == [[1, 1]]
    uneven = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])  # has no energy that could fall
    assert not recall(both, uneven, sweeps=9).settled.any()


def test_stored_patterns_come_back_from_corrupted_ones_as_from_every_start_by_numpy():
    stored = patterns(10, 200)
    couplings = hebbian_couplings(stored)
    reference = sum(np.outer(row, row) for row in stored.numpy()) / 200
    np.fill_diagonal(reference, 0)
    np.testing.assert_allclose(couplings, reference, atol=1e-12)
    found = recall(corrupted(stored, 0.15), couplings)
    assert torch.equal(found.states, stored)
    assert found.settled.all()
    # Its defining part broken: couplings of other patterns call nothing up.
    other = recall(corrupted(stored, 0.15), hebbian_couplings(patterns(10, 200, seed=9)))
    assert (other.states * stored).mean(dim=1).abs().max() < 0.9


@pytest.mark.slow
def test_hebbs_rule_stores_below_its_capacity_and_not_above():
    overlaps = {}
    for load in (0.10, 0.20):
        stored = patterns(int(load * 400), 400, seed=3)
        found = recall(stored, hebbian_couplings(stored), sweeps=30)
        overlaps[load] = (found.states * stored).mean().item()
    assert overlaps[0.10] > 0.98
    assert overlaps[0.20] < 0.7


def test_projections_store_patterns_that_are_alike_where_hebbs_rule_does_not():
    stored = corrupted(patterns(1, 60).repeat(20, 1), 0.15)
    projected = recall(stored, pseudo_inverse_couplings(stored))
    assert torch.equal(projected.states, stored)
    hebbian = recall(stored, hebbian_couplings(stored))
    assert not torch.equal(hebbian.states, stored)
    projection = stored.T @ torch.linalg.inv(stored @ stored.T) @ stored
    torch.testing.assert_close(pseudo_inverse_couplings(stored), projection.fill_diagonal_(0))


def test_clamped_units_keep_their_values():
    stored = patterns(3, 50)
    start = corrupted(stored, 0.5)
    free = torch.arange(50) >= 20
    found = recall(start, hebbian_couplings(stored), free=free)
    assert torch.equal(found.states[:, :20], start[:, :20])
    assert not torch.equal(found.states[:, 20:], start[:, 20:])
    start[:, :25] = stored[:, :25]  # half a pattern calls up the other half
    free = torch.arange(50) >= 25
    assert torch.equal(recall(start, hebbian_couplings(stored), free=free).states, stored)


def test_the_continuous_network_stores_more_patterns_than_units_and_never_climbs():
    memories = patterns(300, 24)
    queries = memories + 0.3 * torch.randn(memories.shape, generator=seeded()).double()
    torch.testing.assert_close(
        associate(queries, memories, 3.0, steps=3), memories, atol=1e-3, rtol=0
    )
    for beta in (0.1, 1.0, 5.0):
        states = torch.randn(40, 24, generator=seeded(1)).double()
        energies = []
        for _ in range(6):
            energies.append(association_energy(states, memories, beta))
            states = associate(states, memories, beta)
        falls = torch.stack(energies).diff(dim=0)
        assert (falls <= 1e-9).all()
        assert (falls[0] < -0.1).all()
        assert (energies[-1] >= 0).all()


def test_its_energy_is_of_a_mixture_of_gaussians_and_its_step_follows_the_slope():
    memories = torch.randn(7, 3, generator=seeded()).double()
    states = torch.randn(5, 3, generator=seeded(1)).double().requires_grad_()
    beta = 1.7
    energy = association_energy(states, memories, beta)
    (slope,) = torch.autograd.grad(energy.sum(), states)
    stepped = associate(states, memories, beta)
    torch.testing.assert_close(stepped, states - slope)  # a whole step downhill
    parts = -0.5 * beta * torch.cdist(states, memories).square()
    told = (parts + 0.5 * beta * memories.square().sum(dim=1)).logsumexp(dim=1)
    apart = energy + told / beta
    torch.testing.assert_close(apart, apart[:1].expand(5))


def test_a_step_is_attention_of_heads_without_maps():
    queries, memories = (torch.randn(6, 8, generator=seeded(seed)) for seed in (0, 1))
    attended = torch.nn.functional.scaled_dot_product_attention(queries, memories, memories)
    torch.testing.assert_close(associate(queries, memories, 1 / math.sqrt(8)), attended)


def test_states_of_least_energy_are_patterns_turned_about_too():
    stored = patterns(1, 10)
    states = binary_states(10) * 2 - 1
    energies = pairwise_energy(states, hebbian_couplings(stored))
    least = states[energies == energies.min()]
    assert sorted(least.tolist()) == sorted([*stored.tolist(), *(-stored).tolist()])
