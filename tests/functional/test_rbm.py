"""Restricted Boltzmann machines, held against sums over every joint state and against autograd."""

import itertools
import math

import pytest
import torch

from glial.functional.rbm import (
    RBMWeights,
    rbm_contrast,
    rbm_free_energy,
    rbm_gibbs_step,
    rbm_hidden_sums,
    rbm_statistics,
    rbm_visible_sums,
)
from glial.functional.rbm_partition import annealed_log_partition, exact_log_partition, rbm_chain


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_machine(hidden, visible, *, gaussian=False, scale=1.0, seed=0):
    generator = seeded(seed)

    def numbers(*shape):
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    variance = numbers(visible).exp() if gaussian else None
    return RBMWeights(numbers(hidden, visible), numbers(visible), numbers(hidden), variance)


def states(units):
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=units)), dtype=torch.float64)


def energies(machine, visible, hidden):
    """E(v, h) of every pair, written out as it is defined, [visible state, hidden state]."""
    found = torch.zeros(len(visible), len(hidden), dtype=torch.float64)
    for (i, v), (j, h) in itertools.product(enumerate(visible), enumerate(hidden)):
        own = -(machine.visible_bias * v).sum()
        seen = v
        if machine.variance is not None:
            own = ((v - machine.visible_bias) ** 2 / (2 * machine.variance)).sum()
            seen = v / machine.variance
        found[i, j] = own - machine.hidden_bias @ h - h @ machine.weight @ seen
    return found


@pytest.mark.parametrize("gaussian", [False, True])
def test_free_energies_are_sums_over_hidden_states(gaussian):
    machine = random_machine(3, 2, gaussian=gaussian)
    rows = torch.randn(5, 2, generator=seeded(1)).double()
    expected = -(-energies(machine, rows, states(3))).logsumexp(dim=1)
    torch.testing.assert_close(rbm_free_energy(machine, rows), expected)


@pytest.mark.parametrize(("hidden", "visible"), [(2, 5), (5, 2), (4, 4)])
def test_exact_partition_is_the_sum_over_every_joint_state(hidden, visible):
    machine = random_machine(hidden, visible)
    joint = -energies(machine, states(visible), states(hidden))
    assert exact_log_partition(machine) == pytest.approx(float(joint.flatten().logsumexp(0)))


@pytest.mark.slow
def test_exact_partition_of_numbers_is_the_integral_over_them():
    machine = random_machine(2, 2, gaussian=True, seed=3)
    line = torch.linspace(-30, 30, 601, dtype=torch.float64)
    rows = torch.cartesian_prod(line, line)
    area = math.log(0.1**2)
    integral = float((-rbm_free_energy(machine, rows)).logsumexp(0)) + area
    assert exact_log_partition(machine) == pytest.approx(integral, abs=1e-6)


def test_exact_partition_refuses_what_nobody_can_sum_over():
    machine = random_machine(26, 30)
    with pytest.raises(ValueError, match="26 units have too many states"):
        exact_log_partition(machine)


@pytest.mark.parametrize("gaussian", [False, True])
def test_statistics_are_the_gradient_of_the_mean_free_energy(gaussian):
    machine = random_machine(3, 4, gaussian=gaussian)
    rows = torch.rand(6, 4, generator=seeded(1), dtype=torch.float64)
    leaves = [part.clone().requires_grad_() for part in machine[:3]]
    spread = torch.zeros(0)
    if machine.variance is not None:
        spread = machine.variance.log().requires_grad_()
        leaves.append(spread)
    again = RBMWeights(*leaves[:3], spread.exp() if gaussian else None)
    expected = torch.autograd.grad(rbm_free_energy(again, rows).mean(), leaves)
    for found, value in zip(rbm_statistics(machine, rows), expected, strict=False):
        torch.testing.assert_close(found, value, rtol=1e-7, atol=1e-8)


def test_data_less_the_machines_own_states_is_the_gradient_of_the_likelihood():
    """By full enumeration: what the machine's own rows are is known exactly."""
    machine = random_machine(3, 4)
    rows = states(4)[[1, 5, 5, 12]]
    leaves = [part.clone().requires_grad_() for part in machine[:3]]
    every = states(4)
    log_chances = -rbm_free_energy(RBMWeights(*leaves), every)
    partition = log_chances.logsumexp(0)
    loss = (partition + rbm_free_energy(RBMWeights(*leaves), rows)).mean()
    expected = torch.autograd.grad(loss, leaves)
    chances = (log_chances - partition).exp().detach()
    own = [rbm_statistics(machine, state[None]) for state in every]
    for place, value in enumerate(expected):
        model = sum(chance * one[place] for chance, one in zip(chances, own, strict=True))
        torch.testing.assert_close(rbm_statistics(machine, rows)[place] - model, value)


@pytest.mark.slow
def test_gibbs_chains_reach_the_exact_marginals():
    machine, chains = random_machine(3, 4), 10_000
    every = states(4)
    chances = torch.softmax(-rbm_free_energy(machine, every), dim=0)
    generator, visible = seeded(2), torch.zeros(chains, 4, dtype=torch.float64)
    for _ in range(40):
        noise = [torch.rand(chains, n, generator=generator, dtype=torch.float64) for n in (3, 4)]
        visible = rbm_gibbs_step(machine, visible, *noise)
    codes = (visible @ torch.tensor([8.0, 4.0, 2.0, 1.0]).double()).long()
    found = codes.bincount(minlength=16) / chains
    error = (chances * (1 - chances) / chains).sqrt()
    assert ((found - chances).abs() < 4.5 * error).all()


@pytest.mark.slow
def test_gibbs_steps_of_numbers_have_the_mean_and_variance_that_they_should():
    machine = random_machine(2, 2, gaussian=True, seed=3)
    every = states(2)
    weights = [m.double() for m in machine[:3]]
    own = (weights[1] + every @ weights[0]).square() - weights[1].square()
    chances = torch.softmax(every @ weights[2] + 0.5 * (own / machine.variance).sum(1), dim=0)
    means = weights[1] + every @ weights[0]
    mean = chances @ means
    variance = machine.variance + chances @ means.square() - mean.square()
    generator, visible = seeded(2), torch.zeros(10_000, 2, dtype=torch.float64)
    for _ in range(60):
        even = torch.rand(10_000, 2, generator=generator, dtype=torch.float64)
        normal = torch.randn(10_000, 2, generator=generator, dtype=torch.float64)
        visible = rbm_gibbs_step(machine, visible, even, normal)
    torch.testing.assert_close(visible.mean(0), mean, atol=0.06, rtol=0.03)
    torch.testing.assert_close(visible.var(0), variance, atol=0.06, rtol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("gaussian", [False, True])
def test_annealing_finds_the_exact_partition_within_its_interval(gaussian):
    inside = 0
    for seed in range(8):
        scale = 0.7 if gaussian else 1.0
        machine = random_machine(6, 8, gaussian=gaussian, scale=scale, seed=seed)
        exact = exact_log_partition(machine)
        found = annealed_log_partition(machine, generator=seeded(seed), temperatures=200)
        assert found.low < found.log_partition < found.high
        inside += found.low < exact < found.high
        assert found.log_partition == pytest.approx(exact, abs=0.5)
        assert found.log_weights.shape == (100,)
    assert inside >= 7  # three standard errors of a skewed mean: nearly always


@pytest.mark.slow
def test_annealing_is_told_another_start_and_ends_at_the_same():
    machine = random_machine(6, 8)
    base = torch.linspace(-1, 1, 8, dtype=torch.float64)
    found = annealed_log_partition(machine, generator=seeded(), temperatures=200, base=base)
    assert found.low < exact_log_partition(machine) < found.high


@pytest.mark.slow
def test_annealing_says_how_little_it_knows():
    """Two steps to a machine of large weights: the interval is wide, where it has a lower end."""
    machine = random_machine(6, 8, scale=3.0)
    coarse = annealed_log_partition(machine, generator=seeded(), temperatures=2)
    fine = annealed_log_partition(machine, generator=seeded(), temperatures=1000)
    assert fine.high - fine.low < 0.5 * (coarse.high - coarse.low)
    assert coarse.log_weights.std() > 5 * fine.log_weights.std()


@pytest.mark.slow
def test_long_chains_are_drawn_from_the_machine():
    machine = random_machine(3, 4)
    every = states(4)
    chances = torch.softmax(-rbm_free_energy(machine, every), dim=0)
    ends = rbm_chain(machine, 10_000, generator=seeded(), steps=60)
    torch.testing.assert_close(ends.mean(0), chances @ every, atol=0.02, rtol=0)


@pytest.mark.parametrize("gaussian", [False, True])
def test_contrasts_are_differences_of_statistics(gaussian):
    machine = random_machine(3, 4, gaussian=gaussian)
    rows, others = torch.rand(2, 5, 4, generator=seeded(), dtype=torch.float64)
    hidden = [torch.sigmoid(rbm_hidden_sums(machine, part)) for part in (rows, others)]
    found = rbm_contrast(machine, rows, hidden[0], others, hidden[1])
    own, other = rbm_statistics(machine, rows), rbm_statistics(machine, others)
    for value, first, second in zip(found[: 3 + gaussian], own, other, strict=False):
        torch.testing.assert_close(value, first - second)


def test_sums_go_both_ways_by_the_same_weights():
    machine = random_machine(3, 4, gaussian=True)
    visible, hidden = torch.randn(5, 4).double(), torch.rand(5, 3).double()
    there = (rbm_hidden_sums(machine, visible) - machine.hidden_bias) * hidden
    scaled = visible / machine.variance
    back = (rbm_visible_sums(machine, hidden) - machine.visible_bias) * scaled
    torch.testing.assert_close(there.sum(1), back.sum(1))
