"""Boltzmann machines: chances by enumeration, chains that keep them, and annealing."""

import itertools
import math

import pytest
import torch

from glial.core.errors import InputError
from glial.functional import (
    anneal,
    binary_states,
    boltzmann_moments,
    cooling,
    gibbs_sweep,
    pairwise_energy,
)


def machine(units, seed=0, strength=1.0):
    generator = torch.Generator().manual_seed(seed)
    couplings = strength * torch.randn(units, units, generator=generator).double()
    couplings = (couplings + couplings.T).fill_diagonal_(0)
    return couplings, torch.randn(units, generator=generator).double()


def test_moments_are_sums_over_all_states_and_slopes_of_the_partition():
    couplings, biases = machine(4)
    weights = {}
    for state in itertools.product([0, 1], repeat=4):
        pull = sum(couplings[i, j] * state[i] * state[j] for i in range(4) for j in range(i))
        weights[state] = math.exp(float(pull + sum(biases[i] * state[i] for i in range(4))) / 1.3)
    total = sum(weights.values())
    found = boltzmann_moments(couplings, biases, temperature=1.3)
    assert found.log_partition.item() == pytest.approx(math.log(total))
    for one in range(4):
        chance = sum(w for state, w in weights.items() if state[one]) / total
        assert found.means[one].item() == pytest.approx(chance)
        both = sum(w for state, w in weights.items() if state[one] and state[2]) / total
        assert found.pairs[one, 2].item() == pytest.approx(both)
    shifts = biases.clone().requires_grad_()
    scores = -pairwise_energy(binary_states(4), couplings, shifts)
    (slope,) = torch.autograd.grad(scores.logsumexp(dim=0), shifts)
    torch.testing.assert_close(slope, boltzmann_moments(couplings, biases).means)


def test_clamped_moments_are_those_given_the_clamped_units():
    couplings, biases = machine(4, seed=1)
    clamped = torch.tensor([1.0, math.nan, math.nan, 0.0], dtype=torch.float64)
    found = boltzmann_moments(couplings, biases, clamped=clamped)
    states = binary_states(4)
    chances = (-pairwise_energy(states, couplings, biases)).softmax(dim=0)
    kept = (states[:, 0] == 1) & (states[:, 3] == 0)
    given = (chances * kept)[:, None] * states
    torch.testing.assert_close(found.means, given.sum(dim=0) / chances[kept].sum())
    assert found.means[[0, 3]].tolist() == [1, 0]
    with pytest.raises(InputError, match="too many states"):
        binary_states(30)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_chains_have_the_exact_moments(temperature):
    couplings, biases = machine(6, seed=2)
    generator = torch.Generator().manual_seed(0)
    states = torch.zeros(4000, 6).double()
    means, pairs = [], []
    for sweep in range(60):
        uniforms = torch.rand(states.shape, generator=generator).double()
        states = gibbs_sweep(states, couplings, biases, uniforms, temperature=temperature)
        if sweep >= 20:
            means.append(states.mean(dim=0))
            pairs.append(states.T @ states / len(states))
    exact = boltzmann_moments(couplings, biases, temperature=temperature)
    torch.testing.assert_close(torch.stack(means).mean(dim=0), exact.means, atol=0.01, rtol=0)
    torch.testing.assert_close(torch.stack(pairs).mean(dim=0), exact.pairs, atol=0.01, rtol=0)
    other = boltzmann_moments(couplings, biases, temperature=3 * temperature)
    assert (torch.stack(means).mean(dim=0) - other.means).abs().max() > 0.03


def test_a_sweep_asks_each_unit_with_those_that_have_just_answered():
    couplings, biases = machine(5, seed=3)
    uniforms = torch.rand(1, 5, generator=torch.Generator().manual_seed(1)).double()
    state = torch.ones(5).double()
    for unit in range(5):
        field = couplings[unit] @ state + biases[unit]
        state[unit] = float(uniforms[0, unit] < torch.sigmoid(field / 0.7))
    start = torch.ones(1, 5).double()
    found = gibbs_sweep(start, couplings, biases, uniforms, temperature=0.7)
    assert found[0].tolist() == state.tolist()
    assert start.tolist() == [[1] * 5]  # what was given is left as it was


def test_clamped_units_keep_their_state_and_a_cold_machine_follows_its_fields():
    couplings, biases = machine(6, seed=4)
    start = torch.ones(10, 6).double()
    uniforms = torch.rand(10, 6, generator=torch.Generator().manual_seed(0)).double()
    free = torch.tensor([False, True, True, False, True, True])
    found = gibbs_sweep(start, couplings, biases, uniforms, free=free)
    assert torch.equal(found[:, ~free], start[:, ~free])
    assert not torch.equal(found[:, free], start[:, free])
    cold = gibbs_sweep(start, couplings, biases, uniforms, temperature=0.0)
    assert torch.equal(cold, cold[:1].expand(10, 6))  # no chance is left
    assert (pairwise_energy(cold, couplings, biases) <= pairwise_energy(start, couplings, biases))[
        0
    ]


def test_annealing_finds_the_state_of_least_energy():
    couplings, biases = machine(12, seed=5)
    energies = pairwise_energy(binary_states(12), couplings, biases)
    generator = torch.Generator().manual_seed(0)
    found = anneal(couplings, biases, cooling(40, 5.0, 0.1), generator=generator)
    assert found.energies.min().item() == pytest.approx(energies.min().item())
    torch.testing.assert_close(pairwise_energy(found.states, couplings, biases), found.energies)
    assert found.trace.shape == (40, 32)
    assert found.trace[-1].mean() < found.trace[0].mean()
    held = torch.full((12,), math.nan).double()
    held[:3] = torch.tensor([1.0, 0.0, 1.0])
    kept = anneal(couplings, biases, cooling(40, 5.0, 0.1), generator=generator, clamped=held)
    assert torch.equal(kept.states[:, :3], held[:3].expand(32, 3))
    states = binary_states(12)
    fitting = (states[:, :3] == held[:3]).all(dim=1)
    assert kept.energies.min().item() == pytest.approx(energies[fitting].min().item())


def test_cooling_falls_by_one_factor():
    temperatures = cooling(5, 8.0, 0.5)
    assert temperatures == pytest.approx([8.0, 4.0, 2.0, 1.0, 0.5])
