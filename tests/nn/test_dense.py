"""Dense layers and hidden blocks."""

import pytest
import torch
from torch import nn

from glial.nn import BatchNorm, Dense, DenseBlock


def test_a_dense_layer_is_torchs_linear():
    ours, theirs = Dense(3, 4), nn.Linear(3, 4)
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(2, 5, 3)
    torch.testing.assert_close(ours(inputs), theirs(inputs))


@pytest.mark.parametrize(("bias", "count"), [("per-neuron", 16), ("shared", 13), ("none", 12)])
def test_kinds_of_bias(bias, count):
    layer = Dense(3, 4, bias=bias, bias_initialization="constant")
    assert sum(p.numel() for p in layer.parameters()) == count
    at_zero = layer(torch.zeros(1, 3))
    assert at_zero.unique().numel() == 1
    assert at_zero.unique().item() == pytest.approx(0 if bias == "none" else 0.01)


def test_a_shared_bias_cannot_move_one_unit_alone():
    layer = Dense(1, 2, bias="shared")
    layer(torch.zeros(1, 1))[:, 0].sum().backward()
    assert layer.bias.grad.tolist() == [1.0]


def test_a_stack_of_linear_layers_is_one_matrix():
    torch.manual_seed(0)
    layers = nn.Sequential(Dense(4, 7), Dense(7, 5), Dense(5, 2)).double()
    matrix = layers[2].weight @ layers[1].weight @ layers[0].weight
    inputs = torch.randn(6, 4, dtype=torch.float64)
    torch.testing.assert_close(layers(inputs), inputs @ matrix.T)


def test_batch_normalisation_in_training_and_in_evaluation():
    block = DenseBlock(3, 4, "linear", norm="batch")
    inputs = 5 + 3 * torch.randn(64, 3)
    outputs = block(inputs)
    torch.testing.assert_close(outputs.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(outputs.std(0, correction=0), torch.ones(4), atol=1e-3, rtol=0)
    for _ in range(200):
        block(inputs)
    block.eval()
    torch.testing.assert_close(block(inputs), outputs, atol=0.05, rtol=0)
    torch.testing.assert_close(block(inputs[:1]), block(inputs)[:1])


def test_batch_normalisation_takes_one_row_by_its_running_statistics():
    layer = BatchNorm(2)
    layer(torch.randn(16, 2))
    before = layer.running_mean.clone()
    row = torch.randn(1, 2)
    trained = layer(row)
    assert torch.equal(layer.running_mean, before)
    torch.testing.assert_close(layer.eval()(row), trained)


def test_layer_normalisation_is_independent_of_the_batch():
    block = DenseBlock(3, 8, "linear", norm="layer")
    inputs = torch.randn(5, 3)
    torch.testing.assert_close(block(inputs)[:1], block(inputs[:1]))
    torch.testing.assert_close(block(inputs).mean(1), torch.zeros(5), atol=1e-5, rtol=0)


def test_normalisation_stands_before_the_activation():
    outputs = DenseBlock(3, 64, "relu", norm="batch")(torch.randn(128, 3))
    assert outputs.min() == 0
    assert 0.3 < (outputs > 0).float().mean() < 0.7


def test_dropout_keeps_the_expectation_and_drops_its_share():
    block = DenseBlock(1, 1, "linear", dropout=0.2)
    block.linear.weight.data.fill_(1.0)
    outputs = block(torch.ones(50_000, 1))
    assert (outputs == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert outputs.mean().item() == pytest.approx(1.0, abs=0.02)
    assert outputs.max().item() == pytest.approx(1 / 0.8)
    assert torch.equal(block.eval()(torch.ones(3, 1)), torch.ones(3, 1))


def test_a_skip_adds_the_input_or_its_projection():
    block = DenseBlock(3, 3, "relu", skip=True, initialization="zero")
    inputs = torch.randn(4, 3)
    assert torch.equal(block(inputs), inputs)
    wider = DenseBlock(3, 5, "relu", skip=True, initialization="zero")
    torch.testing.assert_close(wider(inputs), wider.shortcut(inputs))
