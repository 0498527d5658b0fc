"""Layers of several members trained as one."""

import math

import pytest
import torch

from glial.nn.members import MemberDense, MemberEmbeddings, MemberScale, PeriodicEmbeddings


def test_a_dense_layer_of_members_is_each_members_layer():
    layer = MemberDense(3, 4, 5)
    torch.nn.init.normal_(layer.bias)
    inputs = torch.randn(3, 7, 4)
    for i in range(3):
        expected = inputs[i] @ layer.weight[i] / 2 + layer.bias[i]
        torch.testing.assert_close(layer(inputs)[i], expected)


@pytest.mark.parametrize("width", [4, 64, 1024])
def test_the_outputs_size_does_not_depend_on_the_width(width):
    torch.manual_seed(0)
    outputs = MemberDense(1, width, 64)(torch.randn(1, 512, width))
    assert outputs.std().item() == pytest.approx(1, abs=0.2)


def test_the_start_from_data_gives_unit_variance_and_biases_inside_the_data():
    torch.manual_seed(0)
    inputs = 3 + torch.randn(2, 200, 6) * torch.tensor([0.1, 1, 10, 1, 1, 1])
    layer = MemberDense(2, 6, 32)
    layer.start(inputs)
    outputs = layer(inputs)
    torch.testing.assert_close(outputs.std(dim=1, correction=0), torch.ones(2, 32))
    assert (outputs.amin(dim=1) <= 0).all()
    assert (outputs.amax(dim=1) >= 0).all()


def test_the_start_survives_constant_inputs():
    layer = MemberDense(1, 3, 4)
    layer.start(torch.zeros(1, 5, 3))
    assert all(torch.isfinite(p).all() for p in layer.parameters())


def test_scales_start_at_one_and_are_each_members_own():
    layer = MemberScale(2, 3)
    inputs = torch.randn(2, 4, 3)
    assert torch.equal(layer(inputs), inputs)
    layer(inputs)[0].sum().backward()
    assert layer.weight.grad[1].abs().max() == 0


def test_embeddings_of_members_are_each_members_table():
    layer = MemberEmbeddings(2, [3, 4], 5)
    codes = torch.tensor([[0, 0], [2, 3], [1, 2]])
    outputs = layer(codes)
    assert outputs.shape == (2, 3, 10)
    assert outputs[:, 0].abs().max() == 0
    assert torch.equal(outputs[1, 1], torch.cat([layer.weight[1, 2], layer.weight[1, 3 + 3]]))


def test_periodic_embeddings_by_hand():
    torch.manual_seed(0)
    layer = PeriodicEmbeddings(1, 2, num_waves=3, size=4)
    outputs = layer(torch.tensor([[[0.3, -0.7]]]))
    assert outputs.shape == (1, 1, 8)
    assert outputs[0, 0, 6:].tolist() == pytest.approx([0.3, -0.7])
    waves = torch.cos(2 * math.pi * -0.7 * layer.frequency[1, 0] + layer.phase[1, 0])
    expected = waves @ layer.weight[1] + layer.bias[1, 0]
    torch.testing.assert_close(outputs[0, 0, 3:6], expected)


def test_a_number_moves_only_its_own_vector():
    layer = PeriodicEmbeddings(2, 3)
    inputs = torch.randn(2, 1, 3)
    moved = inputs.clone()
    moved[:, :, 1] += 1
    same = (layer(inputs) == layer(moved))[:, 0]
    assert same.tolist() == [[True] * 3 + [False] * 3 + [True] * 3 + [True, False, True]] * 2
