"""Attention over channels and over places, by hand and against plain functions."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.nn import SpatialAttention, SqueezeExcitation


def test_squeeze_and_excitation_is_two_matrices_on_the_means():
    torch.manual_seed(0)
    layer = SqueezeExcitation(6, 2)
    maps = torch.randn(3, 6, 4, 5)
    state = {
        name: value.flatten(1) if value.ndim > 1 else value
        for name, value in layer.state_dict().items()
    }
    means = maps.sum((2, 3)) / 20
    hidden = (means @ state["fc1.weight"].T + state["fc1.bias"]).clamp_min(0)
    factors = 1 / (1 + (-(hidden @ state["fc2.weight"].T + state["fc2.bias"])).exp())
    torch.testing.assert_close(layer(maps), maps * factors[:, :, None, None])
    torch.testing.assert_close(layer.attention(maps)[:, :, 0, 0], factors)
    assert sum(p.numel() for p in layer.parameters()) == 6 * 2 + 2 + 2 * 6 + 6


def test_the_gate_and_the_activation_are_those_given():
    layer = SqueezeExcitation(4, 2, nn.SiLU, nn.Hardsigmoid)
    nn.init.zeros_(layer.fc2.weight)
    with torch.no_grad():
        layer.fc2.bias.copy_(torch.tensor([-3.0, 0.0, 1.5, 3.0]))
    # A hard sigmoid is 0 up to -3, 1 from 3 on, and a line between.
    factors = layer.attention(torch.ones(1, 4, 2, 2)).flatten()
    torch.testing.assert_close(factors, torch.tensor([0.0, 0.5, 0.75, 1.0]))
    assert isinstance(layer.activation, nn.SiLU)


def test_the_factor_of_a_place_is_from_the_means_and_the_largest_around_it():
    torch.manual_seed(0)
    layer = SpatialAttention(3)
    maps = torch.randn(2, 5, 6, 7)
    both = torch.stack([maps.sum(1) / 5, maps.max(1).values], dim=1)
    windows = functional.unfold(both, 3, padding=1)
    sums = layer.conv.weight.reshape(1, -1) @ windows
    expected = torch.sigmoid(sums).reshape(2, 1, 6, 7)
    torch.testing.assert_close(layer.attention(maps), expected)
    torch.testing.assert_close(layer(maps), maps * expected)
    assert list(SpatialAttention().state_dict()) == ["conv.weight"]
    assert SpatialAttention().conv.weight.shape == (1, 2, 7, 7)


def test_an_attention_of_zero_weights_halves_everything():
    maps = torch.randn(2, 4, 9, 9)
    for layer in (SqueezeExcitation(4, 2), SpatialAttention()):
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
        torch.testing.assert_close(layer(maps), maps / 2)


@pytest.mark.parametrize("layer", [SqueezeExcitation(3, 2), SpatialAttention(3)])
def test_gradients_are_the_numeric_ones(layer):
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer.double(), (maps,), fast_mode=True)
