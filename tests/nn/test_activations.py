"""The table of activations."""

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.nn import ACTIVATIONS, ParametricActivation, activation

RANGES = {
    "step": (0, 1),
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "relu": (0, torch.inf),
    "softmax": (0, 1),
    "elu": (-1, torch.inf),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_keeps_the_shape_and_is_fresh(name):
    values = torch.randn(3, 4)
    first, second = activation(name), activation(name)
    assert first is not second
    assert first(values).shape == values.shape
    assert torch.isfinite(first(100 * values)).all()


@pytest.mark.parametrize("name", RANGES)
def test_ranges(name):
    low, high = RANGES[name]
    outputs = activation(name)(torch.linspace(-20, 20, 101)[None])
    assert outputs.min() >= low
    assert outputs.max() <= high


def test_prelu_learns_its_slope():
    module = activation("prelu")
    module(torch.tensor([[-2.0]])).sum().backward()
    assert module.weight.grad.item() == -2


def test_leaky_relu_lets_gradient_through_below_zero_and_relu_does_not():
    for name, expected in (("leaky_relu", 0.01), ("relu", 0.0)):
        x = torch.tensor([-3.0], requires_grad=True)
        activation(name)(x).sum().backward()
        assert x.grad.item() == pytest.approx(expected)


def test_swish_is_x_times_sigmoid():
    x = torch.randn(9)
    torch.testing.assert_close(activation("swish")(x), x * torch.sigmoid(x))


def test_softmax_sums_to_one():
    shares = activation("softmax")(100 * torch.randn(5, 3))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(5))


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match="leaky_relu"):
        activation("leaky-relu")


def test_a_parametric_activation_goes_from_the_identity_to_the_function():
    layer = ParametricActivation("selu", 1, 2)
    x = torch.randn(1, 4, 2)
    torch.testing.assert_close(layer(x), nn.functional.selu(x))
    with torch.no_grad():
        layer.weight.zero_()
    torch.testing.assert_close(layer(x), x)
    with torch.no_grad():
        layer.weight.fill_(0.3)
    torch.testing.assert_close(layer(x), 0.7 * x + 0.3 * nn.functional.selu(x))
