"""Deep Boltzmann machines: sums and slopes against enumeration, bounds, and digits given back."""

import math

import pytest
import torch
from sklearn.datasets import load_digits

from glial.data.batches import Batch
from glial.functional import binary_states
from glial.models.dbm import DBMSettings
from glial.models.energy import EnergyBased
from glial.objectives import ContrastiveDivergence
from glial.training import TrainSettings
from glial.training.schedules import Moment


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def built(num_visible, seed=0, images=(), **settings):
    torch.manual_seed(seed)
    return DBMSettings(**settings).build(num_visible, images=images)


def random_machine(num_visible, sizes, scale=0.8, **settings):
    network = built(num_visible, hidden_sizes=sizes, **settings).double()
    network.visible_units.start(torch.tensor([[0.0], [1.0]]).double().expand(2, num_visible))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=scale, generator=seeded(3))
    return network


def energies(network, states):
    """By the layers, as the paper has them."""
    layers = states.split(network.sizes, dim=1)
    total = -sum(layer @ bias for layer, bias in zip(layers, network.biases, strict=True))
    for lower, weight in enumerate(network.weights):
        total = total - ((layers[lower + 1] @ weight) * layers[lower]).sum(dim=1)
    return total


def exact_log_probability(network, rows):
    """By going through every state."""
    visible = network.sizes[0]
    scores = -energies(network, binary_states(sum(network.sizes)))
    states = binary_states(visible)
    told = scores.view(len(states), -1).logsumexp(dim=1) - scores.logsumexp(dim=0)
    places = (rows @ 2.0 ** torch.arange(visible - 1, -1, -1).double()).long()
    return told[places]


@pytest.mark.parametrize("sizes", [[3, 2], [2, 3, 2], [2, 2, 2, 2]])
def test_the_partition_is_the_sum_over_all_states(sizes):
    network = random_machine(4, sizes)
    scores = -energies(network, binary_states(sum(network.sizes)))
    assert network.log_partition() == pytest.approx(float(scores.logsumexp(dim=0).detach()))
    estimate = network.estimate_partition(generator=seeded())
    assert estimate.low <= float(scores.logsumexp(dim=0).detach()) <= estimate.high


@pytest.mark.parametrize("sizes", [[3, 2], [2, 3, 2]])
def test_what_a_mean_field_says_is_a_bound_that_is_tight_without_ties_to_the_top(sizes):
    network = random_machine(4, sizes)
    rows = binary_states(4)
    with torch.no_grad():
        exact, bound = exact_log_probability(network, rows), network.bound(rows)
        assert (bound <= exact + 1e-9).all()
        assert (exact - bound).max() > 1e-3
        assert exact.exp().sum().item() == pytest.approx(1)
        for weight in [*network.weights][1:]:
            weight.zero_()
        torch.testing.assert_close(network.bound(rows), exact_log_probability(network, rows))


def test_more_updates_of_the_mean_field_raise_the_bound():
    network = random_machine(4, [3, 3], scale=1.5)
    bounds = []
    for steps in (1, 2, 4, 30):
        network.settings = network.settings.model_copy(update={"mean_field_steps": steps})
        with torch.no_grad():
            bounds.append(network.bound(binary_states(4)).mean().item())
    assert bounds[0] < bounds[1] < bounds[2] <= bounds[3]


@pytest.mark.parametrize("sizes", [[3, 2], [2, 3, 2]])
def test_the_slope_of_the_loss_is_the_contrast(sizes):
    network = random_machine(5, sizes)
    drawn = network.draw(torch.rand(7, 5, generator=seeded()).double(), generator=seeded(1))
    network.loss(network(*drawn.inputs), drawn.target).backward()
    found = network.contrast({}, *drawn.inputs)
    names = [name for name, _ in network.named_parameters()]
    assert sorted(found.gradients) == sorted(names)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found.gradients[name], parameter.grad)
    assert isinstance(network, EnergyBased)


@pytest.mark.slow
def test_chains_have_the_marginals_of_all_states():
    network = random_machine(3, [3, 2])
    states = binary_states(8)
    chances = (-energies(network, states)).softmax(dim=0).detach()
    with torch.no_grad():
        made = network.sample(20_000, generator=seeded(), steps=60, noise=True)
    expected = chances @ states[:, :3]
    torch.testing.assert_close(made.mean(dim=0), expected, atol=0.015, rtol=0)


@pytest.mark.slow
def test_learning_raises_the_likelihood_close_to_the_best():
    generator = seeded(2)
    patterns = torch.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 1, 0]])
    rows = patterns[torch.randint(3, (600,), generator=generator)].double()
    network = built(6, hidden_sizes=[6, 4]).double()
    network.start(rows)
    greedy = exact_log_probability(network, rows).mean().item()
    optimizer, chains = torch.optim.Adam(network.parameters(), lr=0.05), {}
    for step in range(250):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 250)
        some = rows[torch.randint(600, (100,), generator=generator)]
        found = network.contrast(chains, *network.draw(some, generator=generator).inputs)
        for name, parameter in network.named_parameters():
            parameter.grad = found.gradients[name]
        optimizer.step()
        chains = found.chains
    learnt = exact_log_probability(network, rows).mean().item()
    assert learnt > -math.log(3) - 0.5
    independent = rows.mean(dim=0)
    alone = (rows * independent.log() + (1 - rows) * (1 - independent).log()).sum(dim=1).mean()
    assert learnt > alone.item() + 1.5
    assert learnt > greedy + 0.1


@pytest.mark.slow
def test_digits_come_back_better_than_as_their_mean_and_greedy_layers_start_that():
    images, _ = load_digits(return_X_y=True)
    images = torch.from_numpy(images).float().view(-1, 1, 8, 8) / 8 - 1
    train, unseen = images[:1400], images[1400:]
    trivial = (unseen - train.mean(dim=0)).square().mean().item()
    errors = {}
    for epochs in (0, 20):
        network = built(0, images=[[1, 8, 8]], hidden_sizes=[64, 32], greedy_epochs=epochs)
        network.start(train)
        with torch.no_grad():
            errors[epochs] = (network.reconstruct(unseen) - unseen).square().mean().item()
    assert errors[0] > 0.95 * trivial
    assert errors[20] < 0.7 * trivial


def test_steps_by_contrast_are_those_of_descent_on_the_loss():
    plan = TrainSettings(optimizer="adam", schedule="constant")
    ours, plain = (built(6, hidden_sizes=[5, 3, 2]) for _ in range(2))
    objective = ContrastiveDivergence(ours, plan, lr=0.01)
    objective._network.persistent = plain.persistent = False
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01)
    generator = seeded(4)
    for step in range(4):
        drawn = plain.draw(torch.rand(9, 6, generator=generator) * 2 - 1, generator=generator)
        objective.step(Batch(drawn.inputs, drawn.target), Moment(step, 0, 0.0))
        optimizer.zero_grad()
        plain.loss(plain(*drawn.inputs), drawn.target).backward()
        optimizer.step()
    for (name, mine), other in zip(ours.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, other, atol=2e-4, rtol=0, msg=name)
