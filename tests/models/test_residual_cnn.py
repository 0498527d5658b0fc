"""The residual network for images against torch's own layers, hand counts and its own laws."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.models.residual_cnn import ResidualCNN, ResidualCNNSettings
from glial.nn.summary import summarize


def small(**settings):
    torch.manual_seed(0)
    return ResidualCNN(ResidualCNNSettings(**{"widths": [4, 8], **settings}), [3, 16, 16], 5)


def test_a_forward_pass_is_that_of_plain_functions():
    network = small(depth=2).eval()
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.running_mean.uniform_(-1, 1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.uniform_(0.5, 2, generator=generator)
                module.bias.uniform_(-1, 1, generator=generator)
    state = network.state_dict()

    def normed(values, name):
        mean, var, scale, shift = (
            state[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (values - mean) / (var + 1e-5).sqrt() * scale + shift

    def block(values, name, stride):
        hidden = functional.conv2d(values, state[f"{name}.conv1.weight"], None, stride, 1)
        hidden = normed(hidden, f"{name}.norm1").relu()
        hidden = normed(
            functional.conv2d(hidden, state[f"{name}.conv2.weight"], None, 1, 1), f"{name}.norm2"
        )
        if stride == 2:
            values = functional.avg_pool2d(values, 2)
            values = functional.conv2d(values, state[f"{name}.shortcut.1.weight"])
            values = normed(values, f"{name}.shortcut.2")
        return (hidden + values).relu()

    images = torch.randn(2, 3, 16, 16, generator=generator)
    hidden = functional.conv2d(images, state["stem.0.weight"], None, 1, 1)
    hidden = normed(hidden, "stem.1").relu()
    for number, stride in enumerate([1, 1, 2, 1]):
        hidden = block(hidden, f"blocks.{number}", stride)
    expected = hidden.mean((2, 3)) @ state["head.weight"].T + state["head.bias"]
    torch.testing.assert_close(network(images), expected, atol=1e-4, rtol=1e-4)


def test_parameters_and_operations_are_those_of_a_hand_count():
    network = build(
        "residual_cnn", num_inputs=0, num_outputs=10, images=[[1, 28, 28]], widths=[2, 3]
    )
    stem = 2 * 16 + 2 * 2
    first = 2 * (2 * 2 * 9) + 2 * (2 * 2)
    second = 3 * 2 * 9 + 3 * 3 * 9 + 3 * 2 + 3 * (2 * 3)
    assert sum(p.numel() for p in network.parameters()) == stem + first + second + 3 * 10 + 10
    # A stem of stride 2 gives 14 x 14 places, the second stage 7 x 7; a multiply-add is two.
    products = 196 * (2 * 16 + 2 * 36) + 49 * (54 + 81 + 6) + 30
    assert summarize(network, (torch.zeros(1, 1, 28, 28),)).flops == 2 * products


@pytest.mark.parametrize(
    ("side", "stem", "first"), [(8, 1, 8), (19, 1, 19), (64, 2, 32), (79, 2, 39), (128, 4, 32)]
)
def test_the_stem_strides_over_large_images(side, stem, first):
    chosen = ResidualCNNSettings().for_data(50_000, 0, 2, images=[[1, side, side]])
    assert chosen.stem == stem
    network = chosen.build(0, 2, images=[[1, side, side]])
    assert network.stem(torch.zeros(1, 1, side, side)).shape[2:] == (first, first)


def test_one_network_takes_images_of_other_sizes():
    network = small().eval()
    assert network(torch.zeros(2, 3, 33, 21)).shape == (2, 5)
    assert network.num_features == 8
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(network.head(network.embed(images)), network(images))


def test_a_feature_is_the_same_wherever_a_thing_stands():
    network = small().eval()
    thing = torch.randn(1, 3, 4, 4)
    images = torch.zeros(2, 3, 32, 32)
    images[0, :, 10:14, 10:14], images[1, :, 16:20, 12:16] = thing, thing
    features = network.embed(images)
    torch.testing.assert_close(features[0], features[1])


@pytest.mark.parametrize(
    ("num_inputs", "images", "cardinalities"),
    [(0, [], ()), (1, [[1, 8, 8]], ()), (0, [[1, 8, 8]] * 2, ()), (0, [[1, 8, 8]], (3,))],
)
def test_other_inputs_are_refused(num_inputs, images, cardinalities):
    with pytest.raises(InputError, match="one column of images"):
        ResidualCNNSettings().build(num_inputs, 2, cardinalities, images)


@pytest.mark.slow
def test_it_learns_random_labels_by_heart():
    torch.manual_seed(0)
    network = small()
    images, labels = torch.randn(32, 3, 16, 16), torch.randint(0, 5, (32,))
    optimizer = torch.optim.AdamW(network.parameters(), 0.01)
    for _ in range(60):
        loss = functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_gradients_through_convolutions_pooling_and_shortcuts_are_the_numeric_ones():
    torch.manual_seed(0)
    network = small(widths=[2, 3], depth=1, dropout=0.0).double().train()
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in network.named_parameters()]

    def outputs(inputs, *weights):
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(network, given, (inputs,))

    weights = [value.detach().requires_grad_() for value in network.parameters()]
    assert torch.autograd.gradcheck(outputs, (images, *weights), fast_mode=True)


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2)])
def test_gradients_of_a_convolution_and_its_pooling_by_hand(pool):
    """One 3 x 3 image, one 2 x 2 filter: the window's numbers, by where the largest one is."""
    image = torch.arange(9.0).view(1, 1, 3, 3)
    weight = torch.ones(1, 1, 2, 2, requires_grad=True)
    pool(functional.conv2d(image, weight)).sum().backward()
    whole = torch.tensor([[2.0, 3.0], [5.0, 6.0]])  # each weight's mean over the four places
    last = torch.tensor([[4.0, 5.0], [7.0, 8.0]])  # what lies under the filter at the last
    assert torch.equal(weight.grad[0, 0], last if isinstance(pool, nn.MaxPool2d) else whole)
