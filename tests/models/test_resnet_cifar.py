"""Residual networks for small images against the paper's counts and blocks made by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.models.resnet_cifar import CifarBlock, CifarResNet, CifarResNetSettings
from glial.testing import check_model

# Millions of parameters, He et al. (2016), table 6.
PUBLISHED = {
    "resnet20_cifar": 0.27,
    "resnet32_cifar": 0.46,
    "resnet44_cifar": 0.66,
    "resnet56_cifar": 0.85,
    "resnet110_cifar": 1.7,
}


@pytest.mark.slow
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_those_of_the_paper_and_of_a_hand_count(name, skip):
    with torch.device("meta"):
        network = build(name, skip=skip)
    depth = int(name[6:].removesuffix("_cifar"))
    blocks = (depth - 2) // 6

    def conv(before, after):
        return 9 * before * after + 2 * after

    later = 2 * blocks - 1
    first = conv(3, 16) + 2 * blocks * conv(16, 16)
    others = conv(16, 32) + later * conv(32, 32) + conv(32, 64) + later * conv(64, 64)
    found = sum(p.numel() for p in network.parameters())
    assert found == first + others + 64 * 10 + 10
    digits = 1 if depth == 110 else 2
    assert round(found / 1e6, digits) == PUBLISHED[name]
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth


def test_names_and_shapes_of_the_state():
    state = CifarResNetSettings().build().state_dict()
    assert len(state) == 19 * 6 + 2  # convolutions with their norm's five tensors; the head
    assert state["conv1.weight"].shape == (16, 3, 3, 3)
    assert state["layer2.0.conv1.weight"].shape == (32, 16, 3, 3)
    assert state["layer3.2.bn2.running_mean"].shape == (64,)
    assert state["fc.weight"].shape == (10, 64)


def test_a_block_whose_convolutions_give_nothing_is_the_identity():
    block = CifarBlock(4, 4)
    nn.init.zeros_(block.conv2.weight)
    maps = torch.rand(2, 4, 5, 5)
    assert torch.equal(block(maps), maps)
    plain = CifarBlock(4, 4, skip=False)
    nn.init.zeros_(plain.conv2.weight)
    assert torch.equal(plain(maps), torch.zeros_like(maps))


@pytest.mark.parametrize("side", [6, 7])
def test_a_shortcut_takes_every_second_place_and_adds_channels_of_zeros(side):
    block = CifarBlock(2, 5, stride=2)
    nn.init.zeros_(block.conv2.weight)
    maps = torch.rand(1, 2, side, side)
    found = block(maps)
    assert torch.equal(found[:, :2], maps[:, :, ::2, ::2])
    assert torch.equal(found[:, 2:], torch.zeros(1, 3, -(-side // 2), -(-side // 2)))
    assert len(list(block.parameters())) == 6  # none of the shortcut


def test_a_block_is_that_of_plain_functions():
    torch.manual_seed(0)
    block = CifarBlock(2, 3, stride=2).eval()
    block.bn1.eps = block.bn2.eps = 0.0  # Statistics as they start: nothing is normalised.
    maps = torch.randn(2, 2, 6, 6)
    hidden = functional.conv2d(maps, block.conv1.weight, None, 2, 1).relu()
    hidden = functional.conv2d(hidden, block.conv2.weight, None, 1, 1)
    past = torch.cat([maps[:, :, ::2, ::2], torch.zeros(2, 1, 3, 3)], dim=1)
    torch.testing.assert_close(block(maps), (hidden + past).relu())


def test_gradients_through_blocks_are_the_numeric_ones():
    torch.manual_seed(0)
    blocks = nn.Sequential(CifarBlock(2, 2), CifarBlock(2, 3, stride=2)).double()
    maps = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(blocks, (maps,))


def test_maps_embeddings_and_the_head_fit_each_other():
    network = CifarResNet(CifarResNetSettings(), 3, 5).eval()
    for height, width in ((32, 32), (9, 30)):
        images = torch.randn(2, 3, height, width)
        maps = network.features(images)
        assert maps.shape == (2, 64, -(-height // 4), -(-width // 4))
        torch.testing.assert_close(network.embed(images), maps.mean((2, 3)))
        assert torch.equal(network(images), network.fc(network.embed(images)))
    assert network.num_features == 64
    network.reset_head(7)
    assert network(images).shape == (2, 7)
    groups = network.layer_groups()
    for name, _ in network.named_parameters():
        found = [i for i, group in enumerate(groups) for p in group if name.startswith(f"{p}.")]
        assert len(found) == 1
    assert groups[-1] == ["fc"]


def test_one_row_of_the_least_size_can_be_trained_on_and_less_is_refused():
    network = CifarResNetSettings().build(0, 2, images=[[1, 5, 5]]).train()
    network(torch.randn(1, 1, 5, 5)).sum().backward()
    assert network.conv1.weight.grad.abs().sum() > 0
    with pytest.raises(InputError, match="too small"):
        CifarResNetSettings().build(0, 2, images=[[1, 4, 8]])


@pytest.mark.slow
def test_the_plain_network_keeps_the_laws():
    check_model(CifarResNetSettings(skip=False, width=0.5))
