"""Variational autoencoders: exact where the likelihood is known, healthy, and collapsed."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from glial.core.errors import InputError
from glial.functional import active_units
from glial.models.unlabelled import Decodes, Encodes, Reconstructs, Samples, Unlabelled
from glial.models.vae import VAESettings


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def fit(network, rows, epochs, lr=3e-3, batch_size=100, seed=0):
    """The plainest training."""
    generator, optimizer = seeded(seed), torch.optim.Adam(network.parameters(), lr=lr)
    network.train()
    for epoch in range(epochs):
        network.set_progress(epoch / epochs)
        optimizer.param_groups[0]["lr"] = lr * min(1.0, 2 * (1 - epoch / epochs))
        for some in torch.randperm(len(rows[0]), generator=generator).split(batch_size):
            drawn = network.draw(*(part[some] for part in rows), generator=generator)
            optimizer.zero_grad()
            network.loss(network(*drawn.inputs), drawn.target).backward()
            optimizer.step()
    return network.eval()


def built(sizes=(0,), seed=0, images=(), **settings):
    torch.manual_seed(seed)
    return VAESettings(**settings).build(*sizes, images=images)


@torch.no_grad()
def measured(network, *rows):
    return {k: v.mean().item() for k, v in network.measure(*rows, generator=seeded(9)).items()}


@pytest.fixture(scope="module")
def linear():
    """Rows of five numbers made of two, and probabilistic PCA of them."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(600, 2)) @ generator.normal(size=(2, 5))
    rows = rows + 0.5 * generator.normal(size=rows.shape) + 1.0
    return rows, PCA(2).fit(rows)


def exact(pca, samples=8):
    """The network whose decoder is probabilistic PCA, and whose encoder is its posterior."""
    network = built(
        (5,),
        latent_size=2,
        hidden_sizes=[],
        variance=float(pca.noise_variance_),
        evaluation_samples=samples,
    ).double()
    lengths = np.sqrt(pca.explained_variance_ - pca.noise_variance_)
    weights = torch.from_numpy(pca.components_.T * lengths)
    precision = weights.T @ weights + pca.noise_variance_ * torch.eye(2, dtype=torch.float64)
    encoding = torch.linalg.inv(precision) @ weights.T
    mean = torch.from_numpy(pca.mean_)
    spread = torch.log(pca.noise_variance_ * torch.linalg.inv(precision).diagonal())
    with torch.no_grad():
        network.decoder.layers[0].weight.copy_(weights)
        network.decoder.layers[0].bias.zero_()
        network.offset.copy_(mean)
        network.encoder.layers[0].weight.copy_(torch.cat([encoding, 0 * encoding]))
        network.encoder.layers[0].bias.copy_(torch.cat([-encoding @ mean, spread]))
    return network


def test_the_bound_is_the_likelihood_where_the_posterior_is_exact(linear):
    rows, pca = linear
    with torch.no_grad():
        found = exact(pca).measure(torch.from_numpy(rows), generator=seeded())
    # Every single weight is p(x): the bound has no spread at all.
    np.testing.assert_allclose(found["iwae_bound"], pca.score_samples(rows), atol=1e-5)
    with torch.no_grad():
        many = exact(pca, 200).measure(torch.from_numpy(rows), generator=seeded())
    assert many["elbo"].mean().item() == pytest.approx(pca.score(rows), abs=0.02)


def test_scores_of_anomalies_are_the_likelihood_s_but_for_a_constant(linear):
    rows, pca = linear
    with torch.no_grad():
        scores = exact(pca).scores(torch.from_numpy(rows)).numpy()
    beside = scores + pca.score_samples(rows)
    np.testing.assert_allclose(beside, beside[0], atol=1e-5)


def test_a_worse_posterior_gives_a_lower_bound_and_more_samples_a_tighter_one(linear):
    rows, pca = linear
    network = exact(pca)
    with torch.no_grad():
        network.encoder.layers[0].bias[2:] += 1.5
        network.encoder.layers[0].bias[0] += 0.2
    table = torch.from_numpy(rows)
    bounds = []
    for samples in (1, 2, 4, 16, 64):
        network.settings.evaluation_samples = samples
        found = [network.measure(table, generator=seeded(seed)) for seed in range(4)]
        bounds.append(np.mean([each["iwae_bound"].mean().item() for each in found]))
        assert np.mean([e["elbo"].mean().item() for e in found]) < pca.score(rows) - 0.5
    assert all(one < two for one, two in itertools.pairwise(bounds))
    assert bounds[0] < pca.score(rows) - 0.5
    assert pca.score(rows) - 0.1 < bounds[-1] < pca.score(rows)


@pytest.mark.slow
def test_training_finds_the_best_linear_model(linear):
    rows, pca = linear
    table = torch.from_numpy(rows).float()
    network = built((5,), latent_size=2, hidden_sizes=[], warmup=0.0)
    fit(network, (table,), 150, lr=0.05, batch_size=200)
    found = measured(network, table)
    assert pca.score(rows) - 0.05 < found["elbo"] < pca.score(rows) + 0.01
    learnt = network.likelihood.spread().exp().mean().item()
    assert learnt == pytest.approx(pca.noise_variance_, rel=0.15)


def test_the_loss_is_the_bound_and_its_gradient_is_right():
    network = built((3,), latent_size=2, hidden_sizes=[4], warmup=0.5).double()
    drawn = network.draw(torch.randn(4, 3, generator=seeded()).double(), generator=seeded(1))
    names = [name for name, _ in network.named_parameters()]

    def loss(*values):
        parameters = dict(zip(names, values, strict=True))
        outputs = torch.func.functional_call(network, parameters, drawn.inputs)
        return network.loss(outputs, drawn.target)

    values = tuple(p for p in network.parameters() if p is not network.likelihood.raw_variance)
    names = [name for name in names if name != "likelihood.raw_variance"]
    assert torch.autograd.gradcheck(loss, values)


def test_the_weight_of_the_divergence_rises_in_training_alone():
    network = built((3,), latent_size=2, beta=4.0, warmup=0.5)
    network.train()
    found = []
    for progress in (0.0, 0.25, 0.5, 1.0):
        network.set_progress(progress)
        found.append(network.beta)
    assert found == [0.0, 2.0, 4.0, 4.0]
    network.set_progress(0.0)
    assert network.eval().beta == 4.0


def test_losses_of_one_sample_agree_in_expectation_and_weights_repeat_rows():
    table = torch.randn(3, 4, generator=seeded())
    one = built((4,), latent_size=2, hidden_sizes=[6]).eval()
    drawn = one.draw(table, generator=seeded())
    outputs = one(*drawn.inputs)
    rows = [0, 0, 1]
    repeated = outputs._replace(
        **{name: getattr(outputs, name)[rows] for name in ("mean", "log_variance", "decoded")}
    )
    weighted = one.loss(outputs, table, torch.tensor([2.0, 1.0, 0.0]))
    torch.testing.assert_close(weighted, one.loss(repeated, table[rows]))
    free = built((4,), latent_size=2, hidden_sizes=[6], free_bits=50.0)
    free.load_state_dict(one.state_dict())
    free.train()
    nats = free.loss(free(*drawn.inputs), table) - one.loss(outputs, table)
    kl = one.measure(table, generator=seeded())["kl"].mean()
    torch.testing.assert_close(nats, 100.0 - kl)
    many = built((4,), latent_size=2, hidden_sizes=[6], importance_samples=5).eval()
    many.load_state_dict(one.state_dict())
    wide = table.repeat(4000, 1)
    drawn = [network.draw(wide, generator=seeded(1)) for network in (one, many)]
    means = [one.loss(one(*drawn[0].inputs), wide), many.loss(many(*drawn[1].inputs), wide)]
    assert means[1] < means[0]


def test_black_and_white_pixels_are_drawn_as_they_are_grey():
    greys = torch.tensor([-1.0, -0.5, 0.0, 1.0]).expand(20_000, 1, 1, 4)
    network = built((0,), images=[[1, 1, 4]])
    drawn = network.draw(greys, generator=seeded())
    assert set(drawn.target.unique().tolist()) == {0.0, 1.0}
    shares = drawn.target.mean(dim=(0, 1, 2))
    torch.testing.assert_close(shares, torch.tensor([0.0, 0.25, 0.5, 1.0]), atol=0.01, rtol=0)
    assert drawn.inputs[0] is drawn.target
    again = network.draw(greys, generator=seeded())
    assert torch.equal(again.inputs[1], drawn.inputs[1])


@pytest.mark.parametrize("likelihood", ["bernoulli", "logistic", "gaussian"])
@pytest.mark.parametrize(("image", "body"), [([1, 5, 7], "dense"), ([3, 13, 14], "convolutional")])
def test_images_of_every_likelihood_and_body(likelihood, image, body):
    network = built((0, 3), images=[image], likelihood=likelihood, body=body, hidden_sizes=[8])
    images = torch.rand(6, *image, generator=seeded()) * 2 - 1
    classes = torch.arange(6) % 3
    network.start(images, classes)
    drawn = network.draw(images, classes, generator=seeded())
    network.loss(network(*drawn.inputs), drawn.target).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    found = network.measure(images, classes, generator=seeded())
    assert all(value.shape == (6,) and value.isfinite().all() for value in found.values())
    assert ("bits_per_dim" in found) == (likelihood == "logistic")
    assert network.reconstruct(images, classes).shape == images.shape
    made = network.sample(5, generator=seeded(), noise=True)
    assert made.shape == (5, *image)
    if likelihood != "gaussian":
        assert made.abs().max() <= 1
    for part in (Unlabelled, Encodes, Reconstructs, Samples, Decodes):
        assert isinstance(network, part)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="one of pixels"):
        built((4,), likelihood="bernoulli")
    with pytest.raises(InputError, match="free bits"):
        built((4,), free_bits=0.1, importance_samples=5)
    with pytest.raises(InputError, match="too small"):
        built((4,), body="convolutional")
    with pytest.raises(InputError, match="told the classes"):
        built((4, 3)).embed(torch.zeros(2, 4))


@pytest.fixture(scope="module")
def digits():
    images, classes = load_digits(return_X_y=True)
    images = torch.from_numpy(images).float().view(-1, 1, 8, 8) / 8 - 1
    return (images[:1400], torch.from_numpy(classes[:1400])), (
        images[1400:],
        torch.from_numpy(classes[1400:]),
    )


def independent_pixels(train, test):
    """Nats a row of the best model without any code: each pixel by its own share."""
    chances = ((train + 1) / 2).mean(dim=0).clamp(0.01, 0.99)
    greys = (test + 1) / 2
    return (greys * chances.log() + (1 - greys) * (1 - chances).log()).flatten(1).sum(1).mean()


@pytest.mark.slow
def test_digits_are_likelier_than_under_independent_pixels(digits):
    (images, _), (unseen, _) = digits
    network = built((0,), images=[[1, 8, 8]], latent_size=12, hidden_sizes=[128])
    network.start(images)
    start = measured(network.eval(), unseen)["iwae_bound"]
    baseline = independent_pixels(images, unseen).item()
    assert start == pytest.approx(baseline, abs=1.5)
    fit(network, (images,), 25)
    found = measured(network, unseen)
    assert found["elbo"] < found["iwae_bound"]
    assert found["iwae_bound"] > baseline + 2.5
    assert active_units(network.embed(unseen)).sum() >= 6
    # Without its divergence it is an autoencoder, which says nothing of how likely rows are.
    broken = built((0,), images=[[1, 8, 8]], latent_size=12, hidden_sizes=[128], beta=0.0)
    broken.start(images)
    fit(broken, (images,), 25)
    assert measured(broken, unseen)["elbo"] < found["elbo"] - 20


@pytest.mark.slow
def test_a_conditional_network_makes_the_class_that_it_is_told(digits):
    (images, classes), _ = digits
    network = built((0, 10), images=[[1, 8, 8]], latent_size=8, hidden_sizes=[128])
    network.start(images, classes)
    fit(network, (images, classes), 25)
    wanted = torch.arange(10).repeat(20)
    with torch.no_grad():
        made = network.sample(200, generator=seeded(), classes=wanted)
    means = torch.stack([images[classes == code].mean(dim=0).flatten() for code in range(10)])
    told = torch.cdist(made.flatten(1), means).argmin(dim=1)
    assert (told == wanted).float().mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "used"), [({}, True), ({"beta": 30.0}, False)])
def test_collapse_shows_in_units_that_are_not_used(settings, used, digits):
    (images, _), (unseen, _) = digits
    network = built((0,), images=[[1, 8, 8]], latent_size=8, hidden_sizes=[64], **settings)
    network.start(images)
    fit(network, (images,), 20)
    found = measured(network, unseen)
    share = active_units(network.embed(unseen)).mean().item()
    if used:
        assert share > 0.6
        assert found["kl"] > 2
    else:
        assert share == 0
        assert found["kl"] < 0.1
