"""Flows: exact inverses and determinants, densities that integrate to one, known likelihoods."""

import math

import pytest
import torch

from glial.core.errors import InputError
from glial.models.flow import FlowSettings
from glial.models.flow_layers import ActNorm, Coupling, Mixing
from glial.models.unlabelled import Decodes, Encodes, Samples, Unlabelled


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def scrambled(network, scale=0.15):
    """A network whose weights are drawn, in double precision."""
    draws = generator(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=draws))
    return network.double()


def flow(num_inputs=3, num_classes=0, **settings):
    settings = {"couplings": 3, "hidden_sizes": [8], **settings}
    return scrambled(FlowSettings(**settings).build(num_inputs, num_classes))


def rows(count=5, size=3):
    return torch.randn(count, size, generator=generator(), dtype=torch.float64)


KINDS = [
    {"coupling": "spline", "mixing": "learnt"},
    {"coupling": "affine", "mixing": "learnt"},
    {"coupling": "spline", "mixing": "order"},
    {"coupling": "affine", "mixing": "order"},
]


def test_it_keeps_the_protocols():
    for protocol in (Unlabelled, Samples, Encodes, Decodes):
        assert isinstance(flow(), protocol)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_rows_come_back_from_their_codes(kind, size):
    network = flow(size, 2, **kind)
    codes = torch.tensor([0, 1, 1, 0, 1])
    latent = network.embed(rows(size=size), codes)
    assert latent.shape == (5, network.latent_size)
    torch.testing.assert_close(network.decode(latent, codes), rows(size=size), atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_log_determinant_is_autograds(kind, size):
    network = flow(size, **kind)
    found = network.normalized(rows(size=size))[1]
    for row, log_determinant in zip(rows(size=size), found, strict=True):
        jacobian = torch.func.jacrev(lambda x: network.embed(x[None])[0])(row)
        assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(log_determinant.item())


@pytest.mark.parametrize(
    "layer",
    [
        ActNorm(3),
        Mixing(3, seed=1),
        Mixing(3, seed=1, learns=False),
        Coupling(3, [8], "spline"),
        Coupling(3, [8], "affine"),
    ],
)
def test_each_layer_turns_round_and_tells_its_determinant(layer):
    scrambled(layer)
    changed, log_determinants = layer(rows())
    torch.testing.assert_close(layer.inverse(changed), rows())
    for row, log_determinant in zip(rows(), log_determinants, strict=True):
        jacobian = torch.func.jacrev(lambda x: layer(x[None])[0][0])(row)
        assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(log_determinant.item())


def test_log_determinant_of_images_is_autograds():
    network = FlowSettings(couplings=2, hidden_sizes=[8]).build(0, 0, images=[[1, 2, 3]])
    scrambled(network)
    image = torch.tensor([[[[-1.0, 0.2, 0.9], [1.0, -0.4, 0.0]]]], dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda x: network.embed(x)[0])(image).reshape(6, 6)
    found = network.normalized(image)[1].item()
    assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(found)
    torch.testing.assert_close(network.decode(network.embed(image)), image)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_density_integrates_to_one(kind):
    network = scrambled(FlowSettings(couplings=3, hidden_sizes=[8], **kind).build(2, 2), 0.1)
    axis = torch.linspace(-12, 12, 241, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    for code in (0, 1):
        density = network(grid, torch.full((len(grid),), code)).exp()
        mass = density.sum().item() * (axis[1] - axis[0]).item() ** 2
        assert mass == pytest.approx(1, abs=0.01)


def test_density_of_untrained_layers_is_the_normal_one_times_their_scale():
    network = FlowSettings(couplings=1, hidden_sizes=[4], coupling="affine").build(2, 0).double()
    with torch.no_grad():
        network.layers[0].log_scale.fill_(math.log(2))
        for parameter in network.layers[2].parameters():
            parameter.zero_()
    point = torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    wanted = 2 * math.log(2) - math.log(2 * math.pi) - (1.0**2 + 2.0**2) / 2
    assert network(point).item() == pytest.approx(wanted)


def test_first_scales_make_rows_standard():
    network = FlowSettings(couplings=3).build(2, 0)
    given = 5 + 3 * torch.randn(2000, 2, generator=generator())
    network.start(given)
    latent = network.embed(given)
    torch.testing.assert_close(latent.mean(0), torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(latent.std(0), torch.ones(2), atol=1e-2, rtol=0)


def test_noise_is_as_wide_as_values_lie_apart():
    network = FlowSettings(couplings=1).build(3, 0)
    given = torch.stack([torch.arange(9.0) % 3 * 0.5, torch.ones(9), torch.randn(9)], dim=1)
    network.start(given)
    torch.testing.assert_close(network.noise[:2], torch.tensor([0.5, 1.0]))
    assert network.noise[2] >= 0.01
    (noisy,), target = network.draw(given, generator=generator())
    assert noisy is target
    assert ((noisy - given).abs() <= network.noise / 2).all()
    assert (noisy != given).any(dim=0).all()
    again = network.draw(given, generator=generator()).target
    assert torch.equal(noisy, again)


def test_likelihood_of_images_is_that_of_their_levels():
    """With even noise alone, where all levels are alike likely, a pixel costs its levels' bits."""
    network = FlowSettings(couplings=1, levels=4).build(0, 0, images=[[1, 2, 2]])
    levels = torch.tensor([-1.0, -1 / 3, 1 / 3, 1.0])
    given = levels[torch.randint(4, (4000, 1, 2, 2), generator=generator())]
    low, span = network._range()
    assert (low.item(), span.item()) == pytest.approx((-4 / 3, 8 / 3))
    network.start(given)
    figures = network.measure(given, generator=generator())
    bits = -figures["log_likelihood"] / (4 * math.log(2))
    torch.testing.assert_close(figures["bits_per_dim"], bits)
    assert 2.0 <= bits.mean() < 2.2  # two bits, and what bends are still wanting


def test_samples_are_decided_by_the_generator_and_the_class():
    network = flow(2, 3)
    first, second = (network.sample(4, generator=generator()) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (4, 2)
    zeros, ones = (
        network.sample(4, generator=generator(), classes=torch.full((4,), code)) for code in (0, 1)
    )
    assert not torch.allclose(zeros, ones)
    images = FlowSettings(couplings=1).build(0, 0, images=[[1, 3, 2]])
    made = images.sample(50, generator=generator())
    assert made.shape == (50, 1, 3, 2)
    assert -1 <= made.min() <= made.max() <= 1


def test_lower_temperatures_make_less_varied_rows():
    network = flow(2)
    latent = [
        network.embed(network.sample(500, generator=generator(), temperature=t)).std().item()
        for t in (1.0, 0.5)
    ]
    assert latent[1] == pytest.approx(latent[0] / 2)


@pytest.mark.parametrize(
    "options",
    [
        {"num_samples": 0},
        {"temperature": 0.0},
        {"temperature": math.nan},
        {"classes": torch.tensor([0, 1])},
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InputError):
        flow().sample(**{"num_samples": 2, "generator": generator(), **options})


def test_sizes_left_open_go_by_the_numbers_of_a_row():
    few = FlowSettings().for_data(1000, 5, 0)
    many = FlowSettings().for_data(1000, 0, 0, images=[[1, 28, 28]])
    assert (few.coupling, few.mixing, few.hidden_sizes) == ("spline", "learnt", [64, 64])
    assert (many.coupling, many.mixing, many.hidden_sizes) == ("affine", "order", [512])
    assert few.for_data(9, 5, 0) == few
