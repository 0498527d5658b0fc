"""Variances of starting weights, and what equal weights do to training."""

import math

import pytest
import torch
from torch import nn

from glial.core.errors import InputError
from glial.nn import (
    BIAS_INITIALIZATIONS,
    INITIALIZATIONS,
    Dense,
    activation,
    best_for,
    initialize,
    initialize_bias,
)

FAN_IN, FAN_OUT = 400, 300
VARIANCES = {
    "zero": 0.0,
    "constant": 0.0,
    "normal": 0.05**2,
    "uniform": 0.05**2 / 3,
    "small": 0.01**2,
    "xavier_normal": 2 / (FAN_IN + FAN_OUT),
    "xavier_uniform": 2 / (FAN_IN + FAN_OUT),
    "he_normal": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "lecun": 1 / FAN_IN,
}


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_variance(name):
    weight = initialize(name, torch.empty(FAN_OUT, FAN_IN), torch.Generator().manual_seed(0))
    assert weight.var().item() == pytest.approx(VARIANCES[name], rel=0.02, abs=1e-12)
    if name != "constant":
        assert abs(weight.mean().item()) < 5 * math.sqrt(VARIANCES[name] / weight.numel()) + 1e-9


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_the_same_generator_gives_the_same_weights(name):
    draws = [
        initialize(name, torch.empty(4, 5), torch.Generator().manual_seed(3)) for _ in range(2)
    ]
    assert torch.equal(*draws)


def test_biases():
    assert set(BIAS_INITIALIZATIONS) == {"zero", "constant", "random"}
    assert initialize_bias("zero", torch.ones(3)).tolist() == [0, 0, 0]
    assert initialize_bias("constant", torch.ones(3)).unique().tolist() == pytest.approx([0.01])
    assert initialize_bias("random", torch.zeros(3)).unique().numel() == 3
    with pytest.raises(InputError, match="zero"):
        initialize_bias("zeros", torch.ones(1))


@pytest.mark.parametrize("name", ["relu", "tanh", "selu"])
def test_the_best_start_keeps_the_size_of_activations_over_twenty_layers(name):
    torch.manual_seed(0)
    values = torch.randn(256, 256)
    layers = [(Dense(256, 256, initialization=best_for(name)), activation(name)) for _ in range(20)]
    sizes = []
    with torch.no_grad():
        for layer, function in layers:
            values = function(layer(values))
            sizes.append(values.square().mean().item())
    assert 0.03 < sizes[-1] / sizes[0] < 5


@pytest.mark.parametrize(("std", "way"), [(0.01, "vanishes"), (0.5, "explodes")])
def test_a_bad_scale_makes_the_gradient_vanish_or_explode(std, way):
    torch.manual_seed(0)
    layers = nn.Sequential()
    for _ in range(10):
        layers += nn.Sequential(Dense(64, 64), nn.ReLU())
    for parameter in layers.parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=std)
    layers(torch.randn(32, 64)).square().sum().sqrt().backward()
    size = layers[0].weight.grad.norm().item()
    assert size < 1e-6 if way == "vanishes" else size > 1e3


def trained_on_xor(first, activation_name, steps=1500):
    torch.manual_seed(0)
    # one row stands twice: on the balanced four, zero weights have no gradient at all
    inputs = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    target = torch.tensor([[0.0], [1.0], [1.0], [0.0], [0.0]])
    hidden = Dense(2, 8, initialization=first)
    head = Dense(8, 1, initialization=first)
    network = nn.Sequential(hidden, activation(activation_name), head)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(network(inputs), target).backward()
        optimizer.step()
    with torch.no_grad():
        return hidden.weight, ((network(inputs) > 0) == (target > 0)).float().mean().item()


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_zero_weights_stay_zero_and_xor_is_not_learnt(name):
    weight, accuracy = trained_on_xor("zero", name, steps=300)
    assert weight.abs().max() == 0
    assert accuracy < 1


@pytest.mark.parametrize(("first", "name"), [("zero", "sigmoid"), ("constant", "relu")])
def test_equal_units_stay_equal_and_xor_is_not_learnt(first, name):
    weight, accuracy = trained_on_xor(first, name, steps=300)
    assert weight.abs().max() > 0
    torch.testing.assert_close(weight, weight[:1].expand_as(weight))
    assert accuracy < 1


@pytest.mark.slow
@pytest.mark.parametrize("first", ["he_uniform", "xavier_normal", "small"])
def test_random_weights_learn_xor(first):
    assert trained_on_xor(first, "tanh", steps=600)[1] == 1


@pytest.mark.parametrize("first", ["zero", "constant", "normal"])
def test_a_one_layer_model_reaches_the_optimum_from_any_start(first):
    torch.manual_seed(1)
    inputs = torch.randn(50, 3, dtype=torch.float64)
    target = inputs @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64) + 3
    layer = Dense(3, 1, initialization=first).double()
    optimizer = torch.optim.LBFGS(layer.parameters(), line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (layer(inputs) - target).square().mean()
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    torch.testing.assert_close(
        layer.weight[0], torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), atol=1e-5, rtol=0
    )
