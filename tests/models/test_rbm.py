"""The restricted Boltzmann machine as a network: rows in and out, and how likely they are."""

import numpy as np
import pytest
import torch
from sklearn.neural_network import BernoulliRBM

from glial.functional.rbm_partition import exact_log_partition
from glial.models.rbm import RBMSettings
from glial.models.unlabelled import Encodes, Reconstructs, Samples, Unlabelled


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def built(num_inputs=0, images=(), std=0.5, **settings):
    torch.manual_seed(0)
    network = RBMSettings(**settings).build(num_inputs, images=images)
    with torch.no_grad():
        network.weight.normal_(std=std)
        network.hidden_bias.normal_(std=std)
    return network


def test_it_keeps_the_protocols():
    network = built(4, hidden_size=3)
    for protocol in (Unlabelled, Encodes, Reconstructs, Samples):
        assert isinstance(network, protocol)


def test_energies_features_and_steps_are_scikit_learns():
    network = built(images=[[1, 2, 3]], hidden_size=4)
    own = BernoulliRBM(4)
    own.components_ = network.weight.detach().double().numpy()
    own.intercept_visible_ = network.visible_bias.detach().double().numpy()
    own.intercept_hidden_ = network.hidden_bias.detach().double().numpy()
    greys = torch.rand(5, 1, 2, 3, generator=seeded())
    features = network.embed(2 * greys - 1).detach()
    expected = own.transform(greys.flatten(1).double().numpy())
    np.testing.assert_allclose(features, expected, rtol=1e-5)
    drawn = network.draw(2 * greys - 1, generator=seeded())
    found = network(*drawn.inputs).of_rows.detach()
    rows = drawn.target.double().numpy()
    np.testing.assert_allclose(found, own._free_energy(rows), rtol=1e-5)


def test_greys_are_drawn_as_often_as_they_are_bright_or_taken_as_they_are():
    greys = torch.tensor([-1.0, -0.5, 0.5, 1.0]).reshape(1, 1, 2, 2).expand(4000, -1, -1, -1)
    drawn = built(images=[[1, 2, 2]], hidden_size=2).draw(greys, generator=seeded()).target
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), torch.tensor([0, 0.25, 0.75, 1]), atol=0.03, rtol=0)
    kept = built(images=[[1, 2, 2]], hidden_size=2, greys=True)
    assert torch.equal(
        kept.draw(greys[:2], generator=seeded()).target[0], (greys[0].flatten() + 1) / 2
    )


def test_numbers_of_two_values_come_back_as_these():
    rows = torch.tensor([[-2.0, 0.5, 7.0], [3.0, 0.5, -7.0]])
    network = built(3, hidden_size=2, visible="bernoulli")
    network.start(rows)
    assert network.visible_units.chances(rows).tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    made = network.sample(50, generator=seeded(), steps=4)
    assert set(made[:, 0].tolist()) <= {-2.0, 3.0}
    torch.testing.assert_close(
        network.visible_units.rows(network.visible_units.chances(rows)), rows
    )


def test_it_starts_as_independent_units():
    rows = torch.randn(500, 3, generator=seeded()) * torch.tensor([1.0, 2.0, 0.1]) + 1
    network = RBMSettings(hidden_size=3).build(3)
    network.start(rows)
    torch.testing.assert_close(network.visible_bias.detach(), rows.mean(0))
    pixels = RBMSettings(hidden_size=3).build(images=[[1, 1, 2]])
    pixels.start(torch.tensor([[[[-1.0, 1.0]]], [[[-1.0, 0.0]]]]))
    shares = torch.sigmoid(pixels.visible_bias.detach())
    torch.testing.assert_close(shares, torch.tensor([0.01, 0.75]))


def test_rows_of_a_small_machine_have_probabilities_that_sum_to_one():
    network = built(images=[[1, 2, 2]], hidden_size=3)
    codes = torch.arange(16)[:, None] >> torch.arange(4) & 1
    rows = (2.0 * codes - 1).reshape(16, 1, 2, 2)
    with torch.no_grad():
        told = network.measure(rows, generator=seeded())
    assert set(told) == {"log_probability", "reconstruction_error"}
    assert float(told["log_probability"].exp().sum()) == pytest.approx(1, abs=1e-5)


def test_a_large_machine_estimates_its_partition_once_and_anew_when_it_changes(monkeypatch):
    network = built(images=[[1, 4, 4]], hidden_size=14, partition_steps=400)
    asked = []
    whole = network.estimate_partition
    monkeypatch.setattr(
        network, "estimate_partition", lambda **options: asked.append(1) or whole(**options)
    )
    first = network.log_partition()
    assert network.log_partition() == first
    assert len(asked) == 1
    assert first == pytest.approx(exact_log_partition(network.machine), abs=0.2)
    with torch.no_grad():
        network.visible_bias.add_(1.0)
    assert network.log_partition() > first + 1
    assert len(asked) == 2


def test_samples_of_numbers_have_the_spread_that_the_machine_has():
    network = built(2, hidden_size=2, visible="gaussian", variance=0.25)
    with torch.no_grad():
        network.weight.zero_()
        network.visible_bias.copy_(torch.tensor([3.0, -1.0]))
    rows = network.sample(4000, generator=seeded(), steps=4)
    torch.testing.assert_close(rows.mean(0), torch.tensor([3.0, -1.0]), atol=0.05, rtol=0)
    torch.testing.assert_close(rows.std(0), torch.tensor([0.5, 0.5]), atol=0.03, rtol=0)
    expected = network.sample(5, generator=seeded(), steps=4, noise=False)
    torch.testing.assert_close(expected, network.visible_bias.detach().expand(5, -1))


def test_chains_go_on_where_rows_are_to_be_made_up():
    chosen = {task: RBMSettings().for_data(100, 5, task=task) for task in ("generate", "reduce")}
    assert chosen["generate"].persistent
    assert chosen["reduce"].persistent is False
    assert RBMSettings(persistent=False).for_data(100, 5).persistent is False
