"""LeNet-5 against the paper's counts, and its layers against loops and hand counts."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from glial.core.errors import InputError
from glial.models import build
from glial.models.lenet import LeNet5, LeNetSettings, PartialConv2d, ScaledTanh, Subsampling

# Table I of the paper as it is printed: a row for each map of S2, a column for each of C3.
TABLE = [
    "X...XXX..XXXX.XX",
    "XX...XXX..XXXX.X",
    "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX",
    "..XXX..XXXX.XX.X",
    "...XXX..XXXX.XXX",
]


def lenet():
    torch.manual_seed(0)
    return LeNet5(LeNetSettings(), 1, 10)


def test_parameters_of_each_layer_are_those_of_the_paper():
    """Section II.B: 156, 12, 1516, 32, 48120 and 10164; the linear head is 84 x 10 + 10."""
    network = lenet()
    found = {}
    for name, parameter in network.named_parameters():
        layer = name.split(".")[0]
        found[layer] = found.get(layer, 0) + parameter.numel()
    expected = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164, "head": 850}
    assert found == expected
    assert sum(found.values()) == 60_850


def test_maps_have_the_sizes_of_the_paper():
    network = lenet()
    maps, sizes = torch.zeros(1, 1, 32, 32), []
    for layer in (network.c1, network.s2, network.c3, network.s4, network.c5):
        maps = layer(maps)
        sizes.append(tuple(maps.shape[1:]))
    assert sizes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1)]


def test_a_map_of_the_second_convolution_sees_what_table_one_says():
    network = lenet().double()
    maps = torch.zeros(6, 6, 14, 14, dtype=torch.float64)
    for number in range(6):
        maps[number, number] = 1.0
    changes = network.c3(maps) - network.c3(torch.zeros_like(maps))
    seen = (changes != 0).flatten(2).any(-1)
    assert seen.tolist() == [[mark == "X" for mark in row] for row in TABLE]
    assert sum(row.count("X") for row in TABLE) == 60  # 60 x 25 weights and 16 biases are 1516


def test_a_partial_convolution_is_a_sum_over_the_maps_that_are_seen():
    torch.manual_seed(0)
    seen = [[0, 2], [1], [0, 1, 2]]
    layer = PartialConv2d(seen, 3)
    maps = torch.randn(2, 3, 7, 6)
    filters = iter(layer.weight)
    for after, sources in enumerate(seen):
        expected = layer.bias[after] + sum(
            functional.conv2d(maps[:, [source]], next(filters)[None, None]) for source in sources
        )
        torch.testing.assert_close(layer(maps)[:, [after]], expected)


def test_gradients_of_a_partial_convolution_are_the_numeric_ones():
    layer = PartialConv2d([[0], [0, 1]], 2).double()
    maps = torch.randn(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    weights = {name: value.detach().requires_grad_() for name, value in layer.named_parameters()}

    def outputs(inputs, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (inputs,))

    assert torch.autograd.gradcheck(outputs, (maps, weights["weight"], weights["bias"]))


def test_subsampling_by_hand():
    layer = Subsampling(2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([2.0, -1.0]))
        layer.bias.copy_(torch.tensor([0.5, 1.0]))
    first = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    maps = torch.stack([first, first])[None]
    # Means 3.5 and 5.5.
    assert layer(maps).tolist() == [[[[7.5, 11.5]], [[-2.5, -4.5]]]]


def test_the_squashing_function_is_one_at_one_and_bends_most_there():
    """Appendix A: f(1) = 1, f(-1) = -1, and the second derivative is largest at 1 and -1."""
    squash = ScaledTanh()
    points = torch.tensor([-1.0, 0.0, 1.0, 100.0], dtype=torch.float64)
    expected = [1.7159 * math.tanh(2 * x / 3) for x in points.tolist()]
    assert squash(points).tolist() == pytest.approx(expected, abs=1e-12)
    assert squash(points)[2].item() == pytest.approx(1, abs=1e-4)
    inputs = torch.linspace(0, 3, 301, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(squash(inputs).sum(), inputs, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), inputs)
    assert inputs[bend.abs().argmax()].item() == pytest.approx(1, abs=0.02)


def test_a_forward_pass_is_that_of_plain_functions():
    network = lenet().eval()
    images = torch.randn(3, 1, 32, 32)
    state = network.state_dict()

    def squash(values):
        return 1.7159 * (2 / 3 * values).tanh()

    def subsampled(maps, name):
        means = functional.avg_pool2d(maps, 2)
        return torch.stack(
            [
                state[f"{name}.weight"][i] * m + state[f"{name}.bias"][i]
                for i, m in enumerate(means.unbind(1))
            ],
            dim=1,
        )

    whole = torch.zeros(16, 6, 5, 5)
    filters = iter(state["c3.weight"])
    for new in range(16):
        for old in (row for row in range(6) if TABLE[row][new] == "X"):
            whole[new, old] = next(filters)
    hidden = squash(functional.conv2d(images, state["c1.weight"], state["c1.bias"]))
    hidden = squash(subsampled(hidden, "s2"))
    hidden = squash(functional.conv2d(hidden, whole, state["c3.bias"]))
    hidden = squash(subsampled(hidden, "s4")).flatten(1)
    hidden = squash(hidden @ state["c5.weight"].flatten(1).T + state["c5.bias"])
    hidden = squash(hidden @ state["f6.weight"].T + state["f6.bias"])
    torch.testing.assert_close(network.embed(images), hidden)
    expected = hidden @ state["head.weight"].T + state["head.bias"]
    torch.testing.assert_close(network(images), expected)


def test_weights_start_within_the_bounds_of_the_paper():
    """Appendix A: uniform to 2.4 by the number of a unit's inputs, 25 for each map seen."""
    network = lenet()
    inputs = {"c1": 25, "c5": 400, "f6": 120, "head": 84}
    for name, count in inputs.items():
        weight = network.get_submodule(name).weight
        assert weight.abs().max().item() <= 2.4 / count
        assert weight.std().item() == pytest.approx(2.4 / count / 3**0.5, rel=0.15)
    seen = [sum(row[new] == "X" for row in TABLE) for new in range(16)]
    for filters, count in zip(network.c3.weight.split(seen), seen, strict=True):
        assert 0.8 * 2.4 / (25 * count) < filters.abs().max().item() <= 2.4 / (25 * count)


def test_maps_embeddings_and_the_head_fit_each_other():
    network = lenet().eval()
    for height, width, places in ((32, 32, (1, 1)), (64, 40, (9, 3))):
        images = torch.randn(2, 1, height, width)
        assert network.features(images).shape == (2, 120, *places)
        assert network.embed(images).shape == (2, 84)
        assert torch.equal(network(images), network.head(network.embed(images)))
    assert network.num_features == 84
    network.reset_head(7)
    assert network(images).shape == (2, 7)
    groups = network.layer_groups()
    for name, _ in network.named_parameters():
        found = [i for i, group in enumerate(groups) for p in group if name.startswith(f"{p}.")]
        assert len(found) == 1
    assert groups[-1] == ["head"]


def test_a_wider_network_keeps_table_one_by_copies():
    network = build("lenet5", width=2.0)
    assert (network.c1.out_channels, network.c5.in_channels) == (12, 32)
    assert network.c3.weight.shape == (60 * 2 * 2, 5, 5)
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 10)


def test_images_that_are_too_small_are_refused():
    with pytest.raises(InputError, match="too small for the model 'lenet5'"):
        LeNetSettings().build(0, 10, images=[[1, 28, 28]])
