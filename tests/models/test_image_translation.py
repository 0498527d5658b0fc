"""Networks from images to images: published sizes and names, their losses, the pool."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.models.cyclegan import CycleGAN, CycleGANSettings, ResNetGenerator
from glial.models.image_pairs import PatchDiscriminator, Translates
from glial.models.image_pool import ImagePool
from glial.models.pix2pix import Pix2Pix, Pix2PixSettings, UNetGenerator
from glial.models.players import Players
from glial.models.unlabelled import Unlabelled

SMALL = {"generator_width": 4, "discriminator_width": 4}
SHAPE = (1, 8, 8)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "millions"),
    [
        (lambda: UNetGenerator(3, 3), 54.414),
        (lambda: PatchDiscriminator(6), 2.769),
        (lambda: PatchDiscriminator(3, normalized="instance"), 2.765),
        (lambda: ResNetGenerator(3, 3), 11.378),
    ],
)
def test_parameters_are_as_many_as_published(make, millions):
    """Counts that the authors' code prints for its defaults."""
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in make().parameters())
    assert round(count / 1e6, 3) == millions


def test_parameters_have_the_published_names():
    with torch.device("meta"):
        unet, resnet = UNetGenerator(3, 3).state_dict(), ResNetGenerator(3, 3).state_dict()
        patches = PatchDiscriminator(6).state_dict()
    inner = "model.model.1.model" + 3 * ".3.model" + 3 * ".3.model"
    assert unet["model.model.0.weight"].shape == (64, 3, 4, 4)
    assert unet["model.model.1.model.1.weight"].shape == (128, 64, 4, 4)
    assert unet["model.model.1.model.3.model.2.running_var"].shape == (256,)
    assert unet[f"{inner}.1.weight"].shape == (512, 512, 4, 4)
    assert unet[f"{inner}.3.weight"].shape == (512, 512, 4, 4)  # up from the bottom
    assert unet[f"{inner}.4.bias"].shape == (512,)
    assert unet["model.model.3.weight"].shape == (128, 3, 4, 4)
    assert set(patches) >= {"model.0.bias", "model.2.weight", "model.3.running_mean"}
    assert patches["model.11.weight"].shape == (1, 512, 4, 4)
    blocks = [f"model.{number}.conv_block.{k}.weight" for number in range(10, 19) for k in (1, 5)]
    assert {name for name in resnet if "conv_block" in name and "weight" in name} == set(blocks)
    assert resnet["model.19.weight"].shape == (256, 128, 3, 3)
    assert resnet["model.26.bias"].shape == (3,)


def test_a_judgement_sees_seventy_pixels():
    layers = [layer for layer in PatchDiscriminator(3).model if isinstance(layer, nn.Conv2d)]
    field = 1
    for layer in reversed(layers):
        field = (field - 1) * layer.stride[0] + layer.kernel_size[0]
    assert field == 70


def test_unet_is_what_it_says_by_hand():
    torch.manual_seed(0)
    network = UNetGenerator(1, 1, 2, 2).eval()
    outer = network.model["model"]
    inner = outer[1].model
    images = drawn(2, 1, 4, 4)
    first = functional.leaky_relu(outer[0](images), 0.2)
    back = inner[3](inner[2](functional.leaky_relu(inner[1](first), 1.0).relu()))
    by_hand = outer[3](torch.cat([first, back], dim=1).relu()).tanh()
    torch.testing.assert_close(network(images), by_hand)


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (28, 28)])
@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
def test_images_of_any_size_keep_it(name, size):
    network = build(name, images=[(1, *size), (3, *size)], **SMALL).eval()
    assert isinstance(network, Translates)
    assert isinstance(network, Unlabelled)
    assert isinstance(network, Players)
    made = network.translate(drawn(2, 1, *size))
    assert made.shape == (2, 3, *size)
    assert made.abs().max() <= 1


def test_dropout_is_for_training_alone():
    """Below the fourth level but for the bottom, which images of 64 pixels have."""
    images = drawn(2, 1, 64, 64)
    network = build("pix2pix", images=[(1, 64, 64)] * 2, normalization="instance", **SMALL)
    assert sum(isinstance(module, nn.Dropout) for module in network.generator.modules()) == 1
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


def test_pix2pix_wants_the_absolute_error_and_a_judge_deceived():
    torch.manual_seed(0)
    pairs = drawn(3, *SHAPE), drawn(3, *SHAPE, seed=1)
    network = Pix2Pix(Pix2PixSettings(**SMALL), SHAPE, SHAPE)
    network.discriminator.eval()
    (made,) = network.generate(*pairs)
    judged = network.discriminator(torch.cat([pairs[0], made], dim=1))
    real = network.discriminator(torch.cat(pairs, dim=1))
    deceived = functional.binary_cross_entropy_with_logits(judged, torch.ones_like(judged))
    wanted = deceived + 100 * (made - pairs[1]).abs().mean()
    torch.testing.assert_close(network.generator_loss((made,), *pairs), wanted)
    told = functional.binary_cross_entropy_with_logits(judged, torch.zeros_like(judged))
    told = told + functional.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    torch.testing.assert_close(network.discriminator_loss((made,), *pairs), told)


def test_cyclegan_wants_to_come_back_to_stay_and_to_deceive():
    """Equations 1, 2 and 3, and the identity loss of section 5.2, with the published weights."""
    torch.manual_seed(0)
    network = CycleGAN(CycleGANSettings(**SMALL, blocks=1), SHAPE, SHAPE)
    rows = drawn(3, *SHAPE), drawn(3, *SHAPE, seed=1)
    inputs = network.draw(*rows, generator=torch.Generator().manual_seed(0)).inputs
    (forth, back), (judge, judge_back) = network.generator, network.discriminator
    x, y = inputs[:2]
    made = network.generate(*inputs)
    wanted = (judge(forth(x)) - 1).square().mean() + (judge_back(back(y)) - 1).square().mean()
    wanted += 10 * ((back(forth(x)) - x).abs().mean() + (forth(back(y)) - y).abs().mean())
    wanted += 5 * ((forth(y) - y).abs().mean() + (back(x) - x).abs().mean())
    torch.testing.assert_close(network.generator_loss(made, *inputs), wanted)
    told = sum(
        (one(real) - 1).square().mean() + one(fake).square().mean()
        for one, real, fake in ((judge, y, made[0]), (judge_back, x, made[1]))
    )
    torch.testing.assert_close(network.discriminator_loss(made, *inputs), told / 2)


def test_cyclegan_is_not_told_which_images_belong_together():
    network = CycleGAN(CycleGANSettings(**SMALL, blocks=0), SHAPE, SHAPE)
    rows = drawn(16, *SHAPE), drawn(16, *SHAPE, seed=1)
    first, second = (
        network.draw(*rows, generator=torch.Generator().manual_seed(seed)).inputs[1]
        for seed in (0, 1)
    )
    assert not torch.equal(first, second)
    for one in (first, second):
        assert sorted(one.sum(dim=(1, 2, 3)).tolist()) == pytest.approx(
            sorted(rows[1].sum(dim=(1, 2, 3)).tolist())
        )


def by_the_authors(pool: list[Tensor], size: int, made: Tensor, swaps: Tensor, places: Tensor):
    """The published pool, image by image, once it is full before a batch."""
    shown, full = [], len(pool) == size
    for image, swap, place in zip(made, swaps.tolist(), places.tolist(), strict=True):
        if len(pool) < size:
            pool.append(image)
            shown.append(image)
        elif full and swap:
            shown.append(pool[place])
            pool[place] = image
        else:
            shown.append(image)
    return torch.stack(shown)


def test_the_pool_is_the_published_one():
    pool, reference = ImagePool(5, (1, 2, 2)), []
    generator = torch.Generator().manual_seed(0)
    for step in range(20):
        made = torch.full((3, 1, 2, 2), 3.0 * step) + torch.arange(3.0)[:, None, None, None]
        swaps = torch.rand(3, generator=generator) < 0.5
        places = torch.randperm(5, generator=generator)[:3]
        wanted = by_the_authors(reference, 5, made, swaps, places)
        torch.testing.assert_close(pool(made, swaps, places), wanted)
        torch.testing.assert_close(pool.images[: len(reference)], torch.stack(reference))
        again = ImagePool(5, (1, 2, 2))
        again.load_state_dict(pool.state_dict())
        pool = again  # a resumed training


@pytest.mark.parametrize("size", [0, 2])
def test_a_pool_may_be_smaller_than_a_batch(size):
    network = CycleGAN(CycleGANSettings(**SMALL, blocks=0, pool_size=size), SHAPE, SHAPE)
    rows = drawn(6, *SHAPE), drawn(6, *SHAPE, seed=1)
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        inputs = network.draw(*rows, generator=generator).inputs
        made = tuple(part.detach() for part in network.generate(*inputs))
        assert network.discriminator_loss(made, *inputs).isfinite()
    assert network.pools[0].filled == size


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan"])
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"images": [SHAPE]}, "two columns of images"),
        ({"images": [SHAPE] * 3}, "two columns of images"),
        ({"images": [SHAPE, (1, 8, 9)]}, "images of one size"),
        ({"images": [(1, 7, 8)] * 2}, "from 8 pixels on"),
        ({"images": [SHAPE] * 2, "num_outputs": 2}, "no target"),
        ({"num_inputs": 3}, "needs inputs"),
    ],
)
def test_other_rows_are_refused(name, sizes, message):
    with pytest.raises(InputError, match=message):
        build(name, **sizes)


def test_pix2pix_knows_one_way():
    network = build("pix2pix", images=[SHAPE] * 2, **SMALL)
    with pytest.raises(InputError, match="one way only"):
        network.translate(drawn(1, *SHAPE), back=True)
