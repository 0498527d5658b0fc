"""Layers joined side by side, all with all, and past each other."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from glial.nn import DenseConcatenation, InceptionBlock, ParallelBranches, Residual


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from([1, 3, 5])), min_size=1, max_size=4))
def test_channels_of_branches_add_up_and_stand_in_order(sizes):
    branches = [nn.Conv2d(2, width, side, padding=side // 2) for width, side in sizes]
    maps = torch.randn(2, 2, 6, 5)
    joined = ParallelBranches(*branches)(maps)
    assert joined.shape == (2, sum(width for width, _ in sizes), 6, 5)
    parts = joined.split([width for width, _ in sizes], dim=1)
    assert all(part.equal(branch(maps)) for part, branch in zip(parts, branches, strict=True))


def test_an_inception_block_is_the_published_one():
    """Table 1 of arXiv 1409.4842: module 3a gives 64 + 128 + 32 + 32 channels."""
    block = InceptionBlock(192, 64, {3: (96, 128), 5: (16, 32)}, 32)
    assert block.out_channels == 64 + 128 + 32 + 32 == 256
    weights = 192 * 64 + 192 * 96 + 9 * 96 * 128 + 192 * 16 + 25 * 16 * 32 + 192 * 32
    assert count(block) == weights + 64 + 96 + 128 + 16 + 32 + 32
    assert block(torch.randn(1, 192, 5, 6)).shape == (1, 256, 5, 6)


def test_each_branch_of_an_inception_block_sees_another_scale():
    block = InceptionBlock(1, 1, {3: (1, 1), 5: (1, 1)}, 1)
    for parameter in block.parameters():
        nn.init.constant_(parameter, 1.0 if parameter.ndim > 1 else 0.0)
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 4] = 1.0
    seen = [int((maps > 0).sum()) for maps in block(image)[0]]
    assert seen == [1, 9, 25, 9]


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 4))
def test_channels_grow_by_the_growth_rate(in_channels, growth_rate, num_layers):
    block = DenseConcatenation(in_channels, growth_rate, num_layers).eval()
    maps = torch.randn(2, in_channels, 4, 4)
    joined = block(maps)
    assert joined.shape[1] == block.out_channels == in_channels + num_layers * growth_rate
    assert joined[:, :in_channels].equal(maps)
    for number, layer in enumerate(block.layers):
        before = in_channels + number * growth_rate
        own = joined[:, before : before + growth_rate]
        torch.testing.assert_close(layer(joined[:, :before]), own)


def test_every_layer_gets_the_maps_of_all_layers_before_it():
    """With layers that add up what they are given, channels are 1, 1, 2, 4, 8."""

    def adding(before, after):
        layer = nn.Conv2d(before, after, 1, bias=False)
        nn.init.ones_(layer.weight)
        return layer

    block = DenseConcatenation(1, 1, 4, adding)
    assert block(torch.ones(1, 1, 1, 1)).flatten().tolist() == [1, 1, 2, 4, 8]
    assert count(block) == 1 + 2 + 3 + 4


def test_a_residual_of_nothing_is_the_input():
    body = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1))
    block = Residual(body)
    maps = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(block(maps), body(maps) + maps)
    nn.init.zeros_(body[2].weight)
    nn.init.zeros_(body[2].bias)
    assert block(maps).equal(maps)
    shortcut = nn.Conv2d(3, 4, 1, stride=2)
    wider = Residual(nn.Conv2d(3, 4, 3, 2, 1), shortcut)
    torch.testing.assert_close(wider(maps), wider.body(maps) + shortcut(maps))


def test_gradients_reach_the_bottom_of_residual_layers_and_not_of_plain_ones():
    def gradient(residual):
        torch.manual_seed(0)
        layers = [nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Tanh()) for _ in range(30)]
        maps = torch.randn(2, 4, 6, 6, requires_grad=True)
        nn.Sequential(*(Residual(layer) if residual else layer for layer in layers))(
            maps
        ).square().mean().backward()
        return maps.grad.norm().item()

    assert gradient(residual=True) > 1e3 * gradient(residual=False)


@pytest.mark.parametrize(
    "block",
    [InceptionBlock(2, 1, {3: (1, 2)}, 1), DenseConcatenation(2, 1, 2), Residual(nn.Tanh())],
    ids=lambda block: type(block).__name__,
)
def test_gradients_are_the_numeric_ones(block):
    torch.manual_seed(0)
    maps = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block.double().eval(), (maps,), fast_mode=True)
