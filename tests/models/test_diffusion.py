"""Diffusion: what it draws, its bound and its samples against distributions known exactly."""

import math

import pytest
import torch

from glial.core.errors import InputError
from glial.models import MODELS, build
from glial.models.denoisers import DenseDenoiser, UNet
from glial.models.diffusion import DiffusionSettings
from glial.models.unlabelled import Samples, Unlabelled


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def dense(num_classes=0, **settings):
    return DiffusionSettings(hidden_size=8, layers=1, **settings).build(2, num_classes)


def images(num_classes=0, size=(1, 7, 5), **settings):
    return DiffusionSettings(widths=[8, 16], **settings).build(0, num_classes, images=[size])


class Exact(torch.nn.Module):
    """What is best told of rows that are normal: their velocity or their noise."""

    def __init__(self, network, mean, deviation):
        super().__init__()
        self.alpha_bars, self.mean, self.deviation = network.alpha_bars, mean, deviation
        self.predicts = network._predicts

    def forward(self, noisy, times, codes=None):
        at = self.alpha_bars[times][:, None]
        gain = at.sqrt() * self.deviation**2 / (at * self.deviation**2 + 1 - at)
        clean = self.mean + gain * (noisy - at.sqrt() * self.mean)
        noise = (noisy - at.sqrt() * clean) / (1 - at).sqrt()
        told = noise if self.predicts == "noise" else at.sqrt() * noise - (1 - at).sqrt() * clean
        return told.to(noisy)


def exact(mean=1.0, deviation=0.5, **settings):
    network = dense(**settings)
    network.denoiser = Exact(network, mean, deviation)
    return network


def test_it_keeps_the_protocols():
    for network in (dense(), images(3)):
        assert isinstance(network, Unlabelled)
        assert isinstance(network, Samples)
    assert MODELS.resolve("diffusion") is DiffusionSettings
    assert build("diffusion", num_inputs=3, num_outputs=0).shape == (3,)


def test_draws_say_what_noise_was_put_on():
    rows = torch.randn(1000, 2, generator=generator())
    for predicts in ("noise", "velocity"):
        network = dense(predicts=predicts)
        (noisy, times), target = network.draw(rows, generator=generator(1))
        assert 1 <= times.min() <= times.max() <= 1000
        cleared = network._cleared(noisy.double(), target.double(), network.alpha_bars[times])
        early = times < 900
        torch.testing.assert_close(cleared[early].float(), rows[early], atol=1e-4, rtol=1e-3)


def test_times_of_a_batch_are_spread_evenly_and_in_no_order():
    rows = torch.zeros(1000, 2)
    (_, times), _ = dense().draw(rows, generator=generator())
    assert torch.equal(((times - 1) * 10 // 1000).bincount(), torch.full((10,), 100))
    assert abs(torch.corrcoef(torch.stack([times.float(), torch.arange(1000.0)]))[0, 1]) < 0.1


def test_draws_are_decided_by_the_generator_alone():
    network, rows = images(3), (torch.randn(9, 1, 7, 5), torch.arange(9) % 3)
    first, second = (network.draw(*rows, generator=generator(5)) for _ in range(2))
    other = network.draw(*rows, generator=generator(6))
    assert all(map(torch.equal, first.inputs, second.inputs))
    assert not torch.equal(first.inputs[0], other.inputs[0])


def test_a_share_of_classes_is_dropped():
    network = dense(3, drop_classes=0.25)
    rows = torch.zeros(10_000, 2), torch.arange(10_000) % 3
    codes = network.draw(*rows, generator=generator()).inputs[2]
    dropped = codes == 3
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert torch.equal(codes[~dropped], rows[1][~dropped])


def test_loss_is_the_mean_over_weighted_rows():
    network = dense()
    outputs, target = torch.tensor([[1.0, 3.0], [0.0, 0.0]]), torch.zeros(2, 2)
    assert network.loss(outputs, target).item() == 2.5
    assert network.loss(outputs, target, torch.tensor([1.0, 3.0])).item() == 1.25


@pytest.mark.parametrize("predicts", ["noise", "velocity"])
@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_exact_denoiser_makes_the_gaussian(predicts, schedule):
    network = exact(predicts=predicts, schedule=schedule)
    rows = network.sample(20_000, generator=generator(), steps=200)
    assert rows.mean().item() == pytest.approx(1.0, abs=0.02)
    assert rows.std().item() == pytest.approx(0.5, rel=0.03)
    assert rows.dtype == torch.float32


@pytest.mark.slow
def test_new_noise_at_each_step_makes_the_gaussian_too():
    rows = exact().sample(20_000, generator=generator(), steps=400, eta=1.0)
    assert rows.mean().item() == pytest.approx(1.0, abs=0.02)
    assert rows.std().item() == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize("predicts", ["noise", "velocity"])
def test_bound_is_below_the_likelihood_and_near_it_for_the_exact_denoiser(predicts):
    network = exact(predicts=predicts)
    rows = 1 + 0.5 * torch.randn(40_000, 2, generator=generator())
    figures = network.measure(rows, generator=generator(1))
    likelihood = -2 * (math.log(0.5) + 0.5 * math.log(2 * math.pi * math.e))
    error = figures["elbo"].std().item() / len(rows) ** 0.5
    assert likelihood - 0.1 < figures["elbo"].mean().item() < likelihood + 3 * error
    assert error < 0.03


def test_bound_is_lower_for_a_wrong_denoiser():
    rows = 1 + 0.5 * torch.randn(5_000, 2, generator=generator())
    right, wrong = (
        network.measure(rows, generator=generator(1))["elbo"].mean()
        for network in (exact(), exact(mean=0.0))
    )
    assert wrong < right - 1


def test_denoising_error_is_the_mean_loss_over_times():
    network, rows = exact(), 1 + 0.5 * torch.randn(20_000, 2, generator=generator())
    drawn = network.draw(rows, generator=generator(1))
    loss = network.loss(network(*drawn.inputs), drawn.target)
    figures = network.measure(rows, generator=generator(2))
    assert figures["denoising_error"].mean().item() == pytest.approx(loss.item(), rel=0.03)


def test_bound_of_images_is_that_of_their_probability():
    """A denoiser that knows all rows alike tells a pixel but for its last digits."""
    network = images(size=(1, 4, 4), levels=2)

    class Black(torch.nn.Module):
        def forward(self, noisy, times, codes=None):
            at = network.alpha_bars[times][:, None, None, None]
            noise = (noisy + at.sqrt()) / (1 - at).sqrt()
            return (at.sqrt() * noise + (1 - at).sqrt()).to(noisy)

    network.denoiser = Black()
    figures = network.measure(-torch.ones(7, 1, 4, 4), generator=generator())
    assert figures["elbo"].shape == (7,)
    # it costs nothing to tell what is certain
    torch.testing.assert_close(figures["elbo"], torch.zeros(7), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        figures["bits_per_dim"], -figures["elbo"] / (16 * math.log(2)), atol=1e-9, rtol=1e-6
    )


def test_samples_are_decided_by_the_generator_and_stay_within_the_rows():
    network = images(3)
    rows = torch.rand(20, 1, 7, 5, generator=generator()) - 0.5
    network.start(rows, torch.tensor([0] * 15 + [1] * 5))
    assert network.classes.shares.tolist() == [0.75, 0.25, 0.0]
    first, second = (network.sample(6, generator=generator(), steps=4) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (6, 1, 7, 5)
    assert rows.min() <= first.min() <= first.max() <= rows.max()


def test_classes_are_drawn_by_how_common_they_were(monkeypatch):
    network = dense(2)
    network.start(torch.randn(8, 2), torch.tensor([0, 1, 1, 1, 1, 1, 1, 1]))
    seen = []
    told = network.denoiser.forward

    def watched(noisy, times, codes):
        seen.append(codes)
        return told(noisy, times, codes)

    monkeypatch.setattr(network.denoiser, "forward", watched)
    network.sample(4000, generator=generator(), steps=1)
    assert seen[0].float().mean().item() == pytest.approx(7 / 8, abs=0.02)
    network.sample(3, generator=generator(), steps=1, classes=torch.tensor([1, 0, 1]))
    assert seen[1].tolist() == [1, 0, 1]


def test_guidance_asks_with_and_without_the_class():
    network = dense(2)

    class Told(torch.nn.Module):
        def forward(self, noisy, times, codes):
            return codes.float()[:, None].expand_as(noisy)

    network.denoiser = Told()
    noisy, codes = torch.zeros(2, 2), torch.tensor([0, 1])
    at = network.alpha_bars[500]
    for guidance, told in ((1.0, [0.0, 1.0]), (3.0, [-4.0, -1.0])):  # 2 + 3 * (code - 2)
        clean = network.denoise(noisy, 500, codes, guidance)
        wanted = -(1 - at).sqrt().float() * torch.tensor(told)
        torch.testing.assert_close(clean, wanted[:, None].expand(2, 2))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"num_samples": 0}, "num_samples"),
        ({"steps": 0}, "steps"),
        ({"steps": 1001}, "steps"),
        ({"eta": 1.5}, "eta"),
        ({"eta": math.nan}, "eta"),
        ({"guidance": -1.0}, "guidance"),
        ({"guidance": 2.0}, "guidance"),
        ({"classes": torch.zeros(3, dtype=torch.long)}, "classes"),
    ],
)
def test_options_out_of_range_are_refused(options, word):
    with pytest.raises(InputError, match=word):
        dense().sample(**{"num_samples": 3, "generator": generator(), **options})


@pytest.mark.parametrize("classes", [[0, 1, 3], [0, -1, 1], [0, 1], [0.5, 1.0, 1.0]])
def test_unknown_classes_are_refused(classes):
    with pytest.raises(InputError, match="classes"):
        dense(3).sample(3, generator=generator(), classes=torch.tensor(classes), steps=1)


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 8, 8), (1, 9, 30), (2, 33, 17)])
@pytest.mark.parametrize("patch", [1, 2, 4])
def test_unet_takes_images_of_any_size(size, patch):
    network = UNet(size[0], [4, 8, 8], 2, 10, num_classes=2, patch=patch)
    told = network(torch.randn(2, *size), torch.tensor([1, 10]), torch.tensor([0, 2]))
    assert told.shape == (2, *size)


@pytest.mark.parametrize("kind", ["dense", "images"])
def test_denoisers_heed_time_and_class_and_learn_everywhere(kind):
    torch.manual_seed(0)
    if kind == "dense":
        network, noisy = DenseDenoiser(3, 16, 2, 100, num_classes=2), torch.randn(1, 3)
    else:
        network, noisy = UNet(1, [8, 8], 1, 100, num_classes=2), torch.randn(1, 1, 6, 6)
    assert network(noisy, torch.tensor([1]), torch.tensor([0])).abs().max() < 0.05
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    first, later, other = (
        network(noisy, torch.tensor([time]), torch.tensor([code]))
        for time, code in ((1, 0), (90, 0), (1, 1))
    )
    assert not torch.allclose(first, later)
    assert not torch.allclose(first, other)
    codes = torch.tensor([0, 1, 2])
    network(
        noisy.repeat(3, *[1] * (noisy.ndim - 1)), torch.tensor([1, 5, 90]), codes
    ).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.any(), name


def test_rows_do_not_see_each_other():
    torch.manual_seed(0)
    network = images(2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    rows, times, codes = (
        torch.randn(4, 1, 7, 5),
        torch.tensor([1, 9, 500, 999]),
        torch.tensor([0, 1, 2, 0]),
    )
    together = network(rows, times, codes)
    alone = torch.cat(
        [network(rows[i : i + 1], times[i : i + 1], codes[i : i + 1]) for i in range(4)]
    )
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_sizes_left_open_fit_the_images():
    def chosen(*size):
        settings = DiffusionSettings().for_data(1000, 0, 0, images=[list(size)])
        assert settings.for_data(9, 0, 0, images=[[1, 8, 8]]) == settings
        return settings.patch, settings.widths

    assert chosen(1, 8, 8) == (1, [32])
    assert chosen(1, 28, 28) == (2, [32, 64])
    assert chosen(3, 32, 32) == (2, [32, 64])
    assert chosen(3, 64, 64) == (4, [32, 64])
    assert chosen(3, 128, 128) == (4, [32, 64, 128])
    assert DiffusionSettings.train_defaults("generate", 10)["epochs"] == 1000


def test_the_trained_state_holds_what_sampling_needs():
    network, other = dense(2), dense(2)
    network.start(torch.randn(8, 2), torch.arange(8) % 2)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other.low, network.low)
    drawn = (net.sample(5, generator=generator(), steps=3) for net in (network, other))
    assert torch.equal(*drawn)


@pytest.mark.parametrize(
    "sizes",
    [
        {"num_inputs": 3, "images": [[1, 4, 4]]},
        {"num_inputs": 0},
        {"num_inputs": 0, "sequences": [[2]]},
        {"num_inputs": 2, "cardinalities": [3]},
    ],
)
def test_other_things_than_numbers_or_one_image_are_refused(sizes):
    with pytest.raises(InputError):
        DiffusionSettings().build(num_outputs=0, **sizes)
