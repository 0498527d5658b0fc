"""Adversarial networks: what they are told, how steep they may be, and what they make up."""

from __future__ import annotations

import pytest
import torch

from glial.core.errors import InputError
from glial.data.batches import Batch
from glial.functional import ADVERSARIAL_LOSSES
from glial.models.dcgan import DCGANSettings, MinibatchStd
from glial.models.gan import GANSettings
from glial.models.players import PenalizedPlayers, Players
from glial.models.unlabelled import Decodes, Encodes, Samples, Unlabelled
from glial.objectives import TwoPlayers
from glial.training import Moment, TrainSettings

SMALL = {"hidden_sizes": [8], "latent_size": 3}
IMAGE = [1, 12, 10]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def dense(classes=0, **settings):
    torch.manual_seed(0)
    return GANSettings(**{**SMALL, **settings}).build(2, classes)


def of_images(classes=0, image=IMAGE, **settings):
    torch.manual_seed(0)
    return DCGANSettings(width=4, latent_size=3, **settings).build(0, classes, images=[image])


@pytest.mark.parametrize("network", [dense(), of_images()])
def test_networks_keep_every_protocol(network):
    for protocol in (Unlabelled, Players, PenalizedPlayers, Samples, Decodes, Encodes):
        assert isinstance(network, protocol)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ADVERSARIAL_LOSSES)
@pytest.mark.parametrize("penalty", ["none", "r1", "r1_r2", "slope_1"])
def test_every_loss_and_penalty_makes_steps(kind, penalty):
    network = dense(3, adversarial_loss=kind, penalty=penalty)
    rows = torch.randn(8, 2), torch.arange(8) % 3
    drawn = network.draw(*rows, generator=generator())
    players = TwoPlayers(network, TrainSettings(optimizer="sgd"), 0.1)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    loss = players.step(Batch(drawn.inputs, drawn.target), Moment(0, 0, 0.0))
    assert loss.isfinite()
    moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert sum(moved) >= len(moved) - 1  # a difference of judgements has no bias


def test_penalties_are_of_the_slope_at_their_rows():
    network = dense(penalty="r1", penalty_weight=3.0).double()
    drawn = network.draw(torch.randn(6, 2).double(), generator=generator())
    made = network.generate(*drawn.inputs)
    _, penalty = network.penalized_loss(made, *drawn.inputs)
    weights = [(0.0, 1e-6), (1e-6, 0.0)]
    rows, judge = drawn.inputs[0], network.discriminator
    slopes = [(judge(rows + torch.tensor(step)) - judge(rows)) / 1e-6 for step in weights]
    expected = 1.5 * torch.stack(slopes).square().sum(dim=0).mean()
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-4)


def test_spectral_norm_holds_every_layer_at_a_slope_of_one():
    network = dense(spectral_norm=True, hidden_sizes=[16, 16])
    for _ in range(30):
        network.discriminator(torch.randn(4, 2))
    weights = [network.discriminator.body[1].weight, network.discriminator.head.weight]
    assert all(torch.linalg.matrix_norm(w, 2).item() == pytest.approx(1, abs=0.02) for w in weights)
    first, second = torch.randn(50, 2), torch.randn(50, 2)
    judged = (network.discriminator(first) - network.discriminator(second)).abs()
    assert (judged <= 1.05 * (first - second).norm(dim=1)).all()


def test_classes_are_drawn_by_how_common_they_were_and_can_be_asked_for():
    network = dense(3)
    network.start(torch.zeros(10, 2), torch.tensor([0] * 7 + [2] * 3))
    assert network.told.shares.tolist() == pytest.approx([0.7, 0.0, 0.3])
    told = []
    network.generator.register_forward_pre_hook(lambda _, inputs: told.append(inputs[1]))
    network.sample(2000, generator=generator())
    shares = torch.bincount(told[0], minlength=3) / 2000
    assert shares.tolist() == pytest.approx([0.7, 0.0, 0.3], abs=0.04)
    network.sample(2, generator=generator(), classes=torch.tensor([1, 1]))
    assert told[1].tolist() == [1, 1]


def test_a_class_changes_what_is_made_and_how_it_is_judged():
    network, noise = dense(2), torch.randn(4, 3)
    zeros, ones = torch.zeros(4, dtype=torch.long), torch.ones(4, dtype=torch.long)
    made = network.decode(noise, zeros)
    assert not torch.allclose(made, network.decode(noise, ones))
    judge = network.discriminator
    assert not torch.allclose(judge(made, zeros), judge(made, ones))
    difference = judge(made, zeros) - judge(made, ones)
    weight = judge.classes.weight
    assert torch.allclose(difference, judge.embed(made) @ (weight[0] - weight[1]), atol=1e-5)


def test_the_accuracy_is_one_half_where_rows_cannot_be_told_apart():
    network = dense()
    with torch.no_grad():
        network.discriminator.head.weight.zero_()
    found = network.measure(torch.randn(20, 2), generator=generator())["discriminator_accuracy"]
    assert found.tolist() == [0.5] * 20


def test_judging_together_or_apart_is_the_same():
    network = of_images()
    drawn = network.draw(torch.randn(5, *IMAGE), generator=generator())
    made = network.generate(*drawn.inputs)
    together = network.discriminator_loss(made, *drawn.inputs)
    network.judges_apart = True
    assert torch.allclose(together, network.discriminator_loss(made, *drawn.inputs), atol=1e-6)


@pytest.mark.parametrize("image", [[1, 8, 8], [3, 28, 28], [1, 13, 30], [2, 33, 9]])
@pytest.mark.parametrize("norm", ["pixel", "batch", "none"])
def test_images_of_any_size(image, norm):
    network = of_images(image=image, norm=norm, minibatch_std=True)
    made = network.sample(4, generator=generator())
    assert list(made.shape) == [4, *image]
    assert made.abs().max() <= 1
    assert len(network.embed(made)) == 4


def test_small_images_are_refused():
    with pytest.raises(InputError, match="too small"):
        of_images(image=[1, 7, 20])


def test_rows_that_are_alike_have_no_spread():
    maps = torch.randn(1, 2, 3, 3).expand(6, -1, -1, -1)
    assert MinibatchStd()(maps)[:, 2].abs().max() < 1e-3
    spread = MinibatchStd()(torch.randn(2000, 2, 3, 3) * 3)[:, 2]
    assert spread.mean().item() == pytest.approx(3, abs=0.1)


def test_dense_ones_take_small_images_within_their_bounds():
    network = GANSettings(**SMALL).build(images=[[1, 4, 5]])
    made = network.sample(3, generator=generator())
    assert made.shape == (3, 1, 4, 5)
    assert made.abs().max() <= 1


def test_the_noise_has_no_more_numbers_than_a_row():
    assert GANSettings().build(2).latent_size == 2
    assert DCGANSettings(width=2).build(images=[[3, 16, 16]]).latent_size == 64
    assert dense().latent_size == 3
