"""The multi-layer perceptron against hand values and what it must be able to learn."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from glial.core.errors import InputError
from glial.functional import half_squared_error
from glial.models import build
from glial.models.mlp import MLPSettings


def network_221():
    """Two inputs, two hidden sigmoid units, one sigmoid output, with named weights."""
    network = build(
        "mlp",
        num_inputs=2,
        num_outputs=1,
        hidden_sizes=[2],
        activation="sigmoid",
        output_activation="sigmoid",
    ).double()
    with torch.no_grad():
        network.blocks[0].linear.weight.copy_(torch.tensor([[0.1, -0.2], [0.4, 0.3]]))
        network.blocks[0].linear.bias.copy_(torch.tensor([0.05, -0.1]))
        network.head.weight.copy_(torch.tensor([[0.7, -0.5]]))
        network.head.bias.fill_(0.2)
    return network


X0, X1, TARGET = 1.5, -0.8, 1.0


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def forward_221(w00, w01, w10, w11, b0=0.05, b1=-0.1, v0=0.7, v1=-0.5, b=0.2):
    a0 = sigmoid(w00 * X0 + w01 * X1 + b0)
    a1 = sigmoid(w10 * X0 + w11 * X1 + b1)
    return a0, a1, sigmoid(v0 * a0 + v1 * a1 + b)


WEIGHTS = (0.1, -0.2, 0.4, 0.3)


def test_forward_of_the_221_network_by_hand():
    _, _, expected = forward_221(*WEIGHTS)
    found = network_221()(torch.tensor([[X0, X1]], dtype=torch.float64))
    assert found.item() == pytest.approx(expected, rel=1e-7)


def test_derivatives_of_the_221_network_by_the_chain_rule():
    network = network_221()
    output = network(torch.tensor([[X0, X1]], dtype=torch.float64))
    target = torch.full((1, 1), TARGET, dtype=torch.float64)
    half_squared_error(output, target).backward()
    a0, a1, y = forward_221(*WEIGHTS)
    delta = (y - TARGET) * y * (1 - y)
    expected = [
        [delta * 0.7 * a0 * (1 - a0) * X0, delta * 0.7 * a0 * (1 - a0) * X1],
        [delta * -0.5 * a1 * (1 - a1) * X0, delta * -0.5 * a1 * (1 - a1) * X1],
    ]
    found = network.blocks[0].linear.weight.grad
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=0
    )
    torch.testing.assert_close(
        network.head.weight.grad, torch.tensor([[delta * a0, delta * a1]], dtype=torch.float64)
    )


@pytest.mark.parametrize(("row", "column"), [(1, 0), (1, 1)])
def test_the_often_printed_derivative_of_the_second_unit_fails_the_numeric_gradient(row, column):
    def cost(shift):
        weights = list(WEIGHTS)
        weights[2 * row + column] += shift
        return (forward_221(*weights)[2] - TARGET) ** 2 / 2

    numeric = (cost(1e-6) - cost(-1e-6)) / 2e-6
    a0, a1, y = forward_221(*WEIGHTS)
    delta, x = (y - TARGET) * y * (1 - y), (X0, X1)[column]
    assert numeric == pytest.approx(delta * -0.5 * a1 * (1 - a1) * x, rel=1e-5)
    printed = delta * -0.5 * a0 * (1 - a0) * X0 if column == 0 else 0.0
    assert numeric != pytest.approx(printed, rel=1e-3)


@given(st.integers(1, 6), st.lists(st.integers(1, 9), max_size=3), st.integers(1, 4), st.booleans())
@settings(max_examples=25, deadline=None)
def test_parameter_counts_by_formula(inputs, hidden, outputs, per_neuron):
    network = build(
        "mlp",
        num_inputs=inputs,
        num_outputs=outputs,
        hidden_sizes=hidden,
        bias="per-neuron" if per_neuron else "shared",
    )
    sizes = [inputs, *hidden, outputs]
    pairs = list(itertools.pairwise(sizes))
    expected = sum(a * b + (b if per_neuron else 1) for a, b in pairs)
    assert sum(p.numel() for p in network.parameters()) == expected


def test_without_activation_depth_adds_nothing():
    torch.manual_seed(0)
    network = build(
        "mlp", num_inputs=3, num_outputs=2, hidden_sizes=[8, 8], activation="linear"
    ).double()
    matrix = network(torch.eye(3, dtype=torch.float64)) - network(torch.zeros(3, 3).double())
    inputs = torch.randn(6, 3, dtype=torch.float64)
    start = network(torch.zeros(1, 3, dtype=torch.float64))
    torch.testing.assert_close(network(inputs), inputs @ matrix + start)


def test_the_error_of_an_approximation_falls_as_the_width_grows():
    inputs = torch.linspace(-3, 3, 128, dtype=torch.float64)[:, None]
    target = torch.sin(2 * inputs)
    errors = []
    for width in (1, 8, 64):
        torch.manual_seed(0)
        network = build(
            "mlp", num_inputs=1, num_outputs=1, hidden_sizes=[width], activation="tanh"
        ).double()
        torch.nn.init.normal_(network.blocks[0].linear.weight, std=2)
        torch.nn.init.uniform_(network.blocks[0].linear.bias, -6, 6)
        hidden = network.blocks(inputs).detach()
        best = torch.linalg.lstsq(torch.cat([hidden, torch.ones_like(inputs)], 1), target).solution
        with torch.no_grad():
            network.head.weight.copy_(best[:-1].T)
            network.head.bias.copy_(best[-1])
            errors.append((network(inputs) - target).square().mean().item())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 1e-4


def test_high_capacity_memorises_random_labels():
    torch.manual_seed(0)
    inputs, labels = torch.randn(40, 5), torch.randint(2, (40,))
    network = build("mlp", num_inputs=5, num_outputs=2, hidden_sizes=[128])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(network(inputs), labels).backward()
        optimizer.step()
    assert (network(inputs).argmax(1) == labels).all()


def test_relu_under_a_sigmoid_always_says_the_same_class():
    network = build("mlp", num_inputs=3, num_outputs=1, hidden_sizes=[4], output_activation="relu")
    assert (torch.sigmoid(network(torch.randn(100, 3))) >= 0.5).all()


def test_the_bias_alone_decides_where_all_inputs_are_zero():
    network = build("neuron", num_inputs=3, num_outputs=1)
    with torch.no_grad():
        network.linear.bias.fill_(2.0)
    assert network(torch.zeros(1, 3)).item() == 2.0


def test_capacity_grows_with_the_rows_and_a_users_choice_stands():
    widths = [MLPSettings().for_data(rows, 4, 1).hidden_sizes[0] for rows in (50, 5000, 10**7)]
    assert widths == [32, 128, 512]
    assert MLPSettings(hidden_sizes=[3]).for_data(10**6, 4, 1).hidden_sizes == [3]


def test_an_unknown_category_is_another_input_than_a_known_one():
    torch.manual_seed(0)
    network = build("mlp", num_inputs=1, num_outputs=1, cardinalities=[4], hidden_sizes=[8])
    numbers = torch.zeros(4, 1)
    outputs = network(numbers, torch.arange(4)[:, None])
    assert outputs.unique().numel() == 4


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("mlp", {"num_inputs": 0, "num_outputs": 1}, "needs inputs"),
        ("mlp", {"num_inputs": 1, "num_outputs": 0}, "outputs"),
        ("perceptron", {"num_inputs": 1, "num_outputs": 3}, "outputs"),
        ("linear", {"num_inputs": 1, "num_outputs": 1, "cardinalities": [3]}, "categories"),
        ("mpl", {"num_inputs": 1, "num_outputs": 1}, "mlp"),
        ("mlp", {"num_inputs": 1, "num_outputs": 1, "hiden_sizes": [3]}, "hidden_sizes"),
        ("mlp", {"num_inputs": 1, "num_outputs": 1, "hidden_sizes": [0]}, "hidden_sizes"),
        ("mlp", {"num_inputs": 1, "num_outputs": 1, "activation": "rellu"}, "relu"),
        ("mlp", {"num_inputs": 1, "num_outputs": 1, "initialization": "xavier"}, "xavier_normal"),
    ],
)
def test_wrong_names_and_sizes_are_refused(name, sizes, message):
    with pytest.raises(InputError, match=message):
        build(name, **sizes)
