"""Hopfield networks of rows: mixtures whose likelihood is known, and patterns that come back."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture

from glial.models.hopfield import HopfieldSettings
from glial.models.unlabelled import Encodes, Reconstructs, Samples, Unlabelled
from glial.testing import check_unlabelled


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def built(*sizes, images=(), seed=0, **settings):
    torch.manual_seed(seed)
    return HopfieldSettings(**settings).build(*sizes, images=images)


def fit(network, rows, epochs, lr=0.01, seed=0):
    generator, optimizer = seeded(seed), torch.optim.Adam(network.parameters(), lr=lr)
    for _ in range(epochs):
        for some in torch.randperm(len(rows), generator=generator).split(64):
            drawn = network.draw(rows[some], generator=generator)
            optimizer.zero_grad()
            network.loss(network(*drawn.inputs), drawn.target).backward()
            optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def digits():
    images, _ = load_digits(return_X_y=True)
    images = torch.from_numpy(images).float().view(-1, 1, 8, 8) / 8 - 1
    return images[:1400], images[1400:]


def test_the_density_is_a_mixture_of_gaussians_as_scikit_learn_has_it():
    network = built(3, num_memories=4).double()
    rows = torch.randn(20, 3, generator=seeded()).double()
    network.start(rows)
    mixture = GaussianMixture(4, covariance_type="spherical")
    mixture.weights_ = np.full(4, 0.25)
    mixture.means_ = network.memories.detach().numpy()
    precision = network.beta.item()
    mixture.covariances_ = np.full(4, 1 / precision)
    mixture.precisions_cholesky_ = np.full(4, precision**0.5)
    np.testing.assert_allclose(network(rows).detach(), mixture.score_samples(rows), atol=1e-6)
    shares = mixture.predict_proba(rows)
    np.testing.assert_allclose(network.embed(rows).detach(), shares, atol=1e-6)
    called = network.reconstruct(rows).detach()
    np.testing.assert_allclose(called, shares @ mixture.means_, atol=1e-6)


def test_samples_lie_as_the_density_says():
    network = built(2, num_memories=2)
    with torch.no_grad():
        network.memories.copy_(torch.tensor([[-3.0, 1.0], [3.0, 1.0]]))
        network.log_beta.fill_(np.log(4.0))
        made = network.sample(20_000, generator=seeded())
    assert made.mean(dim=0).tolist() == pytest.approx([0.0, 1.0], abs=0.06)
    assert made[:, 1].std().item() == pytest.approx(0.5, abs=0.02)
    assert (made[:, 0] > 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert made[:, 0].abs().std().item() == pytest.approx(0.5, abs=0.02)


def test_stored_rows_come_back_from_noisy_ones(digits):
    images, _ = digits
    network = built(0, images=[[1, 8, 8]], num_memories=100)
    network.start(images[:100])
    stored = network.memories.detach().reshape(-1, 1, 8, 8)
    noisy = stored + 0.3 * torch.randn(stored.shape, generator=seeded())
    with torch.no_grad():
        network.log_beta.fill_(4.0)
        torch.testing.assert_close(network.reconstruct(noisy), stored, atol=0.01, rtol=0)
        network.log_beta.fill_(-7.0)  # told apart no more, all of them are called up
        mean = network.reconstruct(noisy)
    middle = stored.mean(dim=0, keepdim=True).expand_as(mean)
    torch.testing.assert_close(mean, middle, atol=0.05, rtol=0)


@pytest.mark.slow
def test_memories_learn_what_digits_are_like(digits):
    images, unseen = digits
    network = built(0, images=[[1, 8, 8]], num_memories=100)
    network.start(images)
    with torch.no_grad():
        before = {
            k: v.mean().item() for k, v in network.measure(unseen, generator=seeded()).items()
        }
    fit(network, images, 8)
    with torch.no_grad():
        after = {k: v.mean().item() for k, v in network.measure(unseen, generator=seeded()).items()}
    assert after["log_likelihood"] > before["log_likelihood"] + 3
    assert after["reconstruction_error"] < before["reconstruction_error"]
    trivial = (unseen - images.mean(dim=0)).square().mean().item()
    assert after["reconstruction_error"] < 0.6 * trivial


def test_the_classical_network_calls_stored_digits_up():
    images, _ = load_digits(return_X_y=True)
    stored = torch.from_numpy(images[:10]).float().view(-1, 1, 8, 8) / 8 - 1
    network = built(0, images=[[1, 8, 8]], kind="classical")
    network.start(stored)
    states = network.states_of(stored)
    assert set(states.unique().tolist()) == {-1.0, 1.0}
    turned = torch.rand(states.shape, generator=seeded()) < 0.1
    noisy = network.rows_of(torch.where(turned, -states, states))
    with torch.no_grad():
        back = network.reconstruct(noisy)
        assert (network.states_of(back) == states).float().mean() > 0.99
        network.ties.zero_()  # without ties there is nothing that calls up
        assert torch.equal(network.reconstruct(noisy), noisy)


@pytest.mark.slow
def test_training_stores_what_projections_of_few_rows_do_not():
    generator = seeded(4)
    rows = (torch.rand(30, 40, generator=generator) < 0.5).float()
    network = built(40, kind="classical")
    network.start(rows)
    states = network.states_of(rows)

    def kept():
        with torch.no_grad():
            return (
                (network.states_of(network.reconstruct(rows)) == states).all(dim=1).float().mean()
            )

    few = kept()
    fit(network, rows, 200, lr=0.05)
    assert few < 0.8
    assert kept() > 0.95  # five times what Hebb's rule holds


def test_the_pseudo_likelihood_is_that_of_each_unit_given_the_others():
    network = built(4, kind="classical").double()
    with torch.no_grad():
        network.ties.normal_(generator=seeded())
        network.biases.normal_(generator=seeded(1))
    states = (torch.rand(5, 4, generator=seeded(2)) < 0.5).double() * 2 - 1
    loss = network.loss(network(states), states)
    total = 0.0
    for state in states:
        for unit in range(4):
            turned = state.clone()
            turned[unit] *= -1
            couplings = network.couplings

            def energy(values, couplings=couplings):
                return -0.5 * values @ couplings @ values - network.biases @ values

            total -= torch.log_softmax(torch.stack([-energy(state), -energy(turned)]), 0)[0]
    torch.testing.assert_close(loss, total / 5)
    assert torch.equal(network.couplings, network.couplings.T)
    assert network.couplings.diagonal().tolist() == [0] * 4


def test_both_kinds_keep_the_laws():
    check_unlabelled(HopfieldSettings(kind="classical"))
    continuous, classical = built(3), built(3, kind="classical")
    for part in (Unlabelled, Reconstructs, Samples):
        assert isinstance(continuous, part)
        assert isinstance(classical, part)
    assert isinstance(continuous, Encodes)
    assert not isinstance(classical, Encodes)  # its states are as long as rows
