"""Diffusion and flows learn digits and two moons, and do not where what defines them is broken."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from glial.data import Batch, TensorBatches
from glial.models.diffusion import DiffusionSettings
from glial.models.flow import FlowSettings
from glial.training import Descent, Loop, TrainSettings


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def trained(network, rows, steps, kind=DiffusionSettings, **changes):
    """A network after the model's own training, of fewer steps and without averages."""
    torch.manual_seed(0)
    network.start(*rows)
    values = kind.train_defaults("generate", len(rows[0]))
    values["epochs"] = -(-steps * changes.get("batch_size", 128) // len(rows[0]))
    settings = TrainSettings(**{**values, "ema": None, **changes})

    def drawn(batch, seed):
        inputs, target = network.draw(*batch.inputs, generator=generator(seed))
        return batch._replace(inputs=inputs, target=target)

    batches = TensorBatches(Batch(rows, rows[0]), settings.batch_size, 0, augment=drawn)
    Loop(network, Descent(network, network.loss, settings, settings.lr), batches, settings).run()
    return network.eval()


@pytest.fixture(scope="module")
def digits():
    pixels, codes = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 8 - 1, dtype=torch.float32).reshape(-1, 1, 8, 8)
    return images, torch.tensor(codes)


@pytest.fixture(scope="module")
def classifier(digits):
    images, codes = digits
    return LogisticRegression(max_iter=500).fit(images.flatten(1), codes)


def small():
    return DiffusionSettings(widths=[24], patch=2, levels=17).build(0, 10, images=[[1, 8, 8]])


def agreement(network, classifier, **options):
    """Share of samples in which the classifier finds the class that was asked for."""
    asked = torch.arange(10).repeat(20)
    made = network.sample(200, generator=generator(1), classes=asked, steps=20, **options)
    return (classifier.predict(made.flatten(1)) == asked.numpy()).mean()


@pytest.fixture(scope="module")
def network(digits):
    torch.manual_seed(0)
    return trained(small(), digits, steps=350, batch_size=64)


def test_a_classifier_of_real_digits_finds_the_classes_asked_for(network, classifier):
    assert agreement(network, classifier) > 0.8
    assert agreement(network, classifier, guidance=2.0) > 0.9


def test_all_digits_are_made_where_none_is_asked_for(network, classifier):
    made = network.sample(500, generator=generator(2), steps=20)
    shares = np.bincount(classifier.predict(made.flatten(1)), minlength=10) / 500
    assert shares.min() > 0.05


def test_what_is_learnt_shows_in_the_figures(network, digits):
    part = tuple(rows[:200] for rows in digits)
    figures, untrained = (
        {name: values.mean().item() for name, values in net.measure(*part, generator=draws).items()}
        for net, draws in ((network, generator()), (small(), generator()))
    )
    assert figures["denoising_error"] < 0.4 * untrained["denoising_error"]
    assert figures["bits_per_dim"] < 0.9 * untrained["bits_per_dim"]


def test_digits_are_not_made_where_the_time_is_not_told(network, digits, classifier, monkeypatch):
    blind = small()
    told = blind.denoiser.moments.forward
    monkeypatch.setattr(
        blind.denoiser.moments,
        "forward",
        lambda times, codes: told(torch.ones_like(times), codes),
    )
    trained(blind, digits, steps=100, batch_size=64)
    assert agreement(blind, classifier) < agreement(network, classifier) - 0.1


def test_digits_are_not_made_where_noise_never_grows(network, classifier, monkeypatch):
    constant = network.alpha_bars.clone()
    constant[1:] = constant[300]
    monkeypatch.setattr(network, "alpha_bars", constant)
    assert agreement(network, classifier) < 0.5


@pytest.fixture(scope="module")
def moons():
    points, side = make_moons(1200, noise=0.05, random_state=0)
    points = (points - points.mean(0)) / points.std(0)
    return torch.tensor(points, dtype=torch.float32), torch.tensor(side)


def one_normal(points):
    """The mean log density of rows by the normal distribution that fits them."""
    return -0.5 * np.linalg.slogdet(np.cov(points.T))[1] - np.log(2 * np.pi * np.e)


def check_moons(network, moons, **options):
    """Rows of a moon are near real ones of it, and real ones near them."""
    for code in (0, 1):
        asked = torch.full((500,), code)
        made = network.sample(500, generator=generator(), classes=asked, **options).numpy()
        real = moons[0][moons[1] == code].numpy()
        far = NearestNeighbors(n_neighbors=1).fit(real).kneighbors(made)[0]
        missed = NearestNeighbors(n_neighbors=1).fit(made).kneighbors(real)[0]
        assert (far > 0.25).mean() < 0.1
        assert (missed > 0.25).mean() < 0.1


def test_diffusion_of_two_moons(moons):
    torch.manual_seed(0)
    network = trained(DiffusionSettings().build(2, 2), moons, steps=500)
    check_moons(network, moons, steps=25)
    figures = network.measure(*moons, generator=generator())
    assert figures["elbo"].mean() > one_normal(moons[0].numpy()) + 0.5


def flow_of(rows, steps, num_classes=0, **settings):
    torch.manual_seed(0)
    network = FlowSettings(**settings).build(2, num_classes)
    return trained(network, rows, steps, FlowSettings)


def likelihood(network, *rows):
    return network.measure(*rows, generator=generator())["log_likelihood"].mean().item()


def test_flow_of_two_moons_is_far_better_than_one_normal(moons):
    train, held = (tuple(part[rows] for part in moons) for rows in (slice(900), slice(900, None)))
    network = flow_of(train, steps=250, num_classes=2, couplings=3)
    check_moons(network, moons)
    assert likelihood(network, *held) > one_normal(held[0].numpy()) + 1.0


def test_flow_finds_the_likelihood_of_a_normal_distribution():
    spread = torch.tensor([[1.0, 0.0], [0.8, 0.5]])
    train, held = torch.randn(2, 2000, 2, generator=generator()) @ spread.T
    true = torch.distributions.MultivariateNormal(torch.zeros(2), scale_tril=spread)
    truth = true.log_prob(held).mean().item()
    found = likelihood(flow_of((train,), steps=150, couplings=2, coupling="affine"), held)
    assert truth - 0.05 < found < truth + 0.02


def test_flow_without_its_determinant_learns_no_density(moons, monkeypatch):
    """All rows become the likeliest code where nothing says what that costs."""
    told = FlowSettings(couplings=2, hidden_sizes=[16]).build(2, 0)
    normalized = type(told).normalized

    def blind(self, rows, codes=None):
        latent, log_determinant = normalized(self, rows, codes)
        return latent, torch.zeros_like(log_determinant)

    monkeypatch.setattr(type(told), "normalized", blind)
    trained(told, moons[:1], 150, FlowSettings)
    monkeypatch.undo()
    assert likelihood(told, moons[0]) < one_normal(moons[0].numpy()) - 0.5
