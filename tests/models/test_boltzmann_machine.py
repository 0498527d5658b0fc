"""Boltzmann machines: what they learn against enumeration, and units that are clamped."""

import math

import pytest
import torch
from sklearn.datasets import load_digits

from glial.core.errors import InputError
from glial.functional import binary_states, boltzmann_moments
from glial.models.boltzmann_machine import BoltzmannMachineSettings
from glial.models.energy import EnergyBased


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def built(num_visible, seed=0, **settings):
    torch.manual_seed(seed)
    network = BoltzmannMachineSettings(**settings).build(num_visible)
    network.visible_units.start(torch.tensor([[0.0], [1.0]]).expand(2, num_visible))
    return network


def fit(network, rows, steps, lr=0.05):
    optimizer, chains = torch.optim.Adam(network.parameters(), lr=lr), {}
    generator = seeded(1)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
        some = torch.randint(len(rows), (100,), generator=generator)
        found = network.contrast(chains, *network.draw(rows[some], generator=generator).inputs)
        for name, parameter in network.named_parameters():
            parameter.grad = found.gradients[name]
        optimizer.step()
        chains = found.chains if network.persistent else {}
    return network


def parity(rows):
    """Rows of three units of which an even number is on: pairs alone cannot say that."""
    states = binary_states(3).float()
    return states[states.sum(dim=1) % 2 == 0].repeat(rows // 4, 1)


def test_how_likely_rows_are_adds_up_to_one_over_all_of_them():
    network = built(4, hidden_size=3)
    with torch.no_grad():
        network.ties.normal_(generator=seeded())
        told = network.log_probability(binary_states(4).float())
    assert told.exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_the_contrast_is_the_slope_of_the_likelihood():
    network = built(4, hidden_size=2, sweeps=30, persistent=False).double()
    with torch.no_grad():
        network.ties.normal_(generator=seeded())
        network.biases.normal_(generator=seeded(1))
    rows = torch.tensor([[1.0, 0, 1, 1], [0, 0, 1, 0]]).double()
    (-network.log_probability(rows).mean()).backward()
    many = rows.repeat(10_000, 1)
    found = network.contrast({}, *network.draw(many, generator=seeded(2)).inputs)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found.gradients[name], parameter.grad, atol=0.02, rtol=0)
    # By hand: units together while free, less that while each row is clamped.
    free = boltzmann_moments(network.couplings, network.biases)
    clamped = []
    for row in rows:
        held = torch.cat([row, torch.full((2,), torch.nan).double()])
        clamped.append(boltzmann_moments(network.couplings, network.biases, clamped=held).means)
    expected = free.means - torch.stack(clamped).mean(dim=0)
    torch.testing.assert_close(network.biases.grad, expected.detach())


def test_the_slope_of_the_loss_is_the_contrast():
    network = built(5, hidden_size=3, sweeps=2)
    drawn = network.draw(torch.rand(7, 5, generator=seeded()), generator=seeded(1))
    network.loss(network(*drawn.inputs), drawn.target).backward()
    found = network.contrast({}, *drawn.inputs)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found.gradients[name], parameter.grad)
    assert isinstance(network, EnergyBased)


@pytest.mark.slow
def test_hidden_units_learn_what_ties_of_visible_ones_cannot_say():
    rows = parity(400)
    network = fit(built(3, hidden_size=4, sweeps=3), rows, 400, lr=0.1)
    alone = built(3, hidden_size=2)
    alone.ties.data.zero_()
    with torch.no_grad():
        assert alone.log_probability(rows).mean().item() == pytest.approx(-3 * math.log(2))
        told = network.log_probability(rows).mean().item()
    assert told > -3 * math.log(2) + 0.35  # the best is -2 log 2, 0.69 above
    made = network.sample(1000, generator=seeded(5), steps=40)
    assert (made.sum(dim=1) % 2 == 0).float().mean() > 0.65


def test_clamped_units_keep_their_values_and_the_others_follow():
    network = built(4, hidden_size=1)
    with torch.no_grad():  # units 0 and 1 want to be alike, 2 and 3 too
        couplings = torch.zeros(5, 5)
        couplings[0, 1] = couplings[2, 3] = 12.0
        network.ties.copy_(couplings[tuple(network.pairs)])
        network.biases.copy_(torch.tensor([-6.0, -6.0, -6.0, -6.0, 0.0]))
    rows = torch.tensor([[1.0, 0.5, 0.0, 0.5], [0.0, 0.5, 1.0, 0.5]])
    known = torch.tensor([True, False, True, False])
    made = network.complete(rows, known, generator=seeded(), sweeps=20)
    assert made.tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    back = network.reconstruct(torch.tensor([[1.0, 1.0, 0.0, 0.0]]))
    assert back.round().tolist() == [[1, 1, 0, 0]]


def test_likelihoods_of_many_units_are_left_out():
    network = built(20, hidden_size=3)
    rows = torch.rand(2, 20, generator=seeded())
    assert sorted(network.measure(rows, generator=seeded())) == ["reconstruction_error"]
    with pytest.raises(InputError, match="too many states"):
        network.log_probability(rows)


@pytest.mark.slow
def test_pixels_of_digits_are_likelier_than_one_by_one():
    images = torch.from_numpy(load_digits().images[:, 2:5, 2:5]).float().flatten(1)
    rows = (images > 7).float()
    train, unseen = rows[:1400], rows[1400:]
    shares = train.mean(dim=0)
    alone = (unseen * shares.log() + (1 - unseen) * (1 - shares).log()).sum(dim=1).mean().item()
    network = built(9, hidden_size=3, sweeps=3)
    network.start(train)
    fit(network, train, 150)
    with torch.no_grad():
        told = network.log_probability(unseen).mean().item()
        assert told > alone + 0.8
        network.ties.zero_()
        assert network.log_probability(unseen).mean().item() < alone + 0.01
