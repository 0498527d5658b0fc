"""ConvNeXt against published counts, plain functions and hand-made blocks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.models.convnext import Block, ChannelNorm, ConvNeXt, ConvNeXtSettings
from glial.nn.summary import summarize


def small(**settings):
    torch.manual_seed(0)
    return ConvNeXt(ConvNeXtSettings(width=0.125, **settings), 3, 5)


def test_parameters_and_operations_are_the_published_ones_and_those_of_a_hand_count():
    """28,589,128 parameters and 4.456 billion multiply-adds, as torchvision publishes them."""

    def block(c):
        return 49 * c + c + 2 * c + (c * 4 * c + 4 * c) + (4 * c * c + c) + c

    def halving(before, after):
        return 2 * before + 4 * before * after + after

    total = 48 * 96 + 96 + 2 * 96
    total += 3 * block(96) + halving(96, 192) + 3 * block(192) + halving(192, 384)
    total += 9 * block(384) + halving(384, 768) + 3 * block(768) + 2 * 768 + 768 * 1000 + 1000
    with torch.device("meta"):
        network = build("convnext_tiny")
        summary = summarize(network, (torch.zeros(1, 3, 224, 224),))
    assert sum(p.numel() for p in network.parameters()) == total == 28_589_128
    assert summary.flops / 2e9 == pytest.approx(4.456, abs=0.001)
    assert sum(isinstance(module, Block) for module in network.modules()) == 18


def test_names_are_those_of_published_weights():
    with torch.device("meta"):
        state = build("convnext_tiny").state_dict()
    assert len(state) == 4 + 18 * 9 + 3 * 4 + 4
    shapes = {
        "features.0.0.weight": (96, 3, 4, 4),
        "features.0.1.bias": (96,),
        "features.1.2.layer_scale": (96, 1, 1),
        "features.3.0.block.0.weight": (192, 1, 7, 7),
        "features.5.8.block.2.weight": (384,),
        "features.6.1.weight": (768, 384, 2, 2),
        "features.7.1.block.3.weight": (3072, 768),
        "features.7.1.block.5.weight": (768, 3072),
        "classifier.0.weight": (768,),
        "classifier.2.weight": (1000, 768),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


def by_hand(values, weight, bias):
    """Channels of each place normalised, scaled and shifted."""
    centred = values - values.mean(dim=1, keepdim=True)
    deviation = (centred.square().mean(dim=1, keepdim=True) + 1e-6).sqrt()
    return centred / deviation * weight[:, None, None] + bias[:, None, None]


def test_a_forward_pass_is_that_of_plain_functions():
    network = small(layer_scale=0.5).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    state = network.state_dict()

    def conv(values, name, **how):
        return functional.conv2d(values, state[f"{name}.weight"], state[f"{name}.bias"], **how)

    def normed(values, name):
        return by_hand(values, state[f"{name}.weight"], state[f"{name}.bias"])

    def mixed(values, name):
        found = torch.einsum("nchw,oc->nohw", values, state[f"{name}.weight"])
        return found + state[f"{name}.bias"][:, None, None]

    images = torch.randn(2, 3, 64, 48, generator=generator)
    hidden = normed(conv(images, "features.0.0", stride=4), "features.0.1")
    for stage, count in enumerate([3, 3, 9, 3]):
        if stage:
            name = f"features.{2 * stage}"
            hidden = conv(normed(hidden, f"{name}.0"), f"{name}.1", stride=2)
        for number in range(count):
            name = f"features.{2 * stage + 1}.{number}"
            inner = conv(hidden, f"{name}.block.0", padding=3, groups=hidden.shape[1])
            inner = mixed(normed(inner, f"{name}.block.2"), f"{name}.block.3")
            inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
            hidden = hidden + state[f"{name}.layer_scale"] * mixed(inner, f"{name}.block.5")
    torch.testing.assert_close(network.features(images), hidden, atol=1e-3, rtol=1e-4)
    vectors = normed(hidden.mean((2, 3), keepdim=True), "classifier.0")[:, :, 0, 0]
    torch.testing.assert_close(network.embed(images), vectors, atol=1e-3, rtol=1e-4)
    expected = vectors @ state["classifier.2.weight"].T + state["classifier.2.bias"]
    torch.testing.assert_close(network(images), expected, atol=1e-3, rtol=1e-4)


def test_channels_are_normalised_at_each_place_by_itself():
    norm = ChannelNorm(3)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
        norm.bias.fill_(1.0)
        found = norm(torch.tensor([[0.0, 5.0], [3.0, 5.0], [6.0, 5.0]]).reshape(1, 3, 1, 2))
    step = 3 / 6**0.5  # the variance of 0, 3 and 6 is 6
    expected = torch.tensor([[1 - step, 1.0], [1.0, 1.0], [1 + 3 * step, 1.0]])
    torch.testing.assert_close(found[0, :, 0], expected, atol=1e-5, rtol=1e-5)


def test_a_block_is_the_identity_at_scale_zero_and_nearly_so_at_the_start():
    maps = torch.randn(2, 8, 9, 9)
    block = Block(8, 1e-6)
    assert 0 < (block(maps) - maps).abs().max().item() < 1e-4
    nn.init.zeros_(block.layer_scale)
    assert torch.equal(block(maps), maps)


def test_a_block_is_skipped_for_a_share_of_the_rows_and_weighs_more_for_the_others():
    torch.manual_seed(0)
    maps = torch.randn(200, 4, 3, 3)
    block = Block(4, 1.0, rate=0.75)
    with torch.no_grad():
        added = block.eval()(maps) - maps
        found = block.train()(maps) - maps
    skipped = (found == 0).all(dim=(1, 2, 3))
    assert 0.65 < skipped.float().mean().item() < 0.85
    torch.testing.assert_close(found[~skipped], 4 * added[~skipped], atol=1e-5, rtol=1e-5)


def test_the_chance_of_being_skipped_grows_in_equal_steps():
    rates = [block.rate for block in small().modules() if isinstance(block, Block)]
    assert rates == pytest.approx([0.1 * number / 17 for number in range(18)])


def test_maps_embeddings_and_the_head_fit_each_other():
    network = small().eval()
    for height, width in ((32, 40), (96, 65)):
        images = torch.randn(2, 3, height, width)
        maps = network.features(images)
        assert maps.shape == (2, 96, height // 32, width // 32)
        assert network.embed(images).shape == (2, 96)
        assert torch.equal(network(images), network.classifier[2](network.embed(images)))
    assert network.num_features == 96
    network.reset_head(7)
    assert network(images).shape == (2, 7)
    network.remove_head()
    assert torch.equal(network(images), network.embed(images))


def test_every_parameter_is_in_one_group_and_the_head_in_the_last():
    network = small()
    groups = network.layer_groups()
    for name, _ in network.named_parameters():
        found = [i for i, group in enumerate(groups) for p in group if name.startswith(f"{p}.")]
        assert len(found) == 1
    assert groups[-2:] == [["features.7"], ["classifier"]]


def test_one_row_of_the_least_size_can_be_trained_on_and_less_is_refused():
    settings = ConvNeXtSettings(width=0.125)
    network = settings.build(0, 2, images=[[1, 32, 32]]).train()
    network(torch.randn(1, 1, 32, 32)).sum().backward()
    assert network.features[0][0].weight.grad.abs().sum() > 0
    with pytest.raises(InputError, match="too small for the model 'convnext_tiny'"):
        settings.build(0, 2, images=[[1, 31, 40]])


def test_weights_start_normal_and_small():
    network = small()
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and module.weight.numel() > 5_000:
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.05), name
            assert not module.bias.any()
    assert network.features[1][0].layer_scale.unique().item() == pytest.approx(1e-6)
