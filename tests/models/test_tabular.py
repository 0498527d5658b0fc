"""The default network for tables."""

import math

import pytest
import torch

from glial.models import build
from glial.models.tabular import TabularSettings


def test_members_are_independent_networks():
    torch.manual_seed(0)
    network = build("tabular", num_inputs=3, num_outputs=2, hidden_sizes=[4], members=3)
    outputs = network(torch.randn(5, 3))
    assert outputs.shape == (5, 3, 2)
    assert network.num_members == 3
    outputs[:, 1].sum().backward()
    for name, parameter in network.named_parameters():
        parts = parameter.grad.reshape(3, -1).abs().amax(dim=1)
        assert parts[0] == parts[2] == 0, name
        assert parts[1] > 0, name


def test_one_member_is_a_plain_network():
    network = build("tabular", num_inputs=3, num_outputs=2, hidden_sizes=[4])
    assert not hasattr(network, "num_members")
    assert network(torch.randn(5, 3)).shape == (5, 2)


def test_parameters_by_formula():
    network = build(
        "tabular", num_inputs=3, num_outputs=2, hidden_sizes=[10], cardinalities=[3, 5, 20]
    )
    width = 3 * 4 + 1 + 4 + 8
    periodic = 3 * (16 + 16 + 16 * 3 + 3)
    expected = periodic + 20 * 8 + width + (width * 10 + 10) + 10 + (10 * 2 + 2)
    assert sum(p.numel() for p in network.parameters()) == expected


def test_categories_are_one_hot_or_vectors_and_unknown_ones_are_nothing():
    network = build(
        "tabular", num_inputs=0, num_outputs=1, hidden_sizes=[4], cardinalities=[3, 5, 20]
    )
    codes = torch.tensor([[0, 0, 0], [1, 4, 3], [2, 1, 19]])
    features = network.features(torch.zeros(3, 0), codes)[0]
    assert features[:, 0].tolist() == [0, -1, 1]
    assert features[:, 1:5].tolist() == [[0] * 4, [0, 0, 0, 1], [1, 0, 0, 0]]
    assert features[0, 5:].tolist() == [0.0] * 8
    assert features[1, 5:].abs().min() > 0


def test_the_start_gives_outputs_of_unit_variance_on_the_training_rows():
    torch.manual_seed(0)
    rows = torch.randn(400, 6)
    network = build("tabular", num_inputs=6, num_outputs=3, members=2)
    network.start(rows)
    network.eval()
    with torch.no_grad():
        std = network(rows).std(dim=0)
    assert std.min() > 0.6
    assert std.max() < 1.6


def test_dropout_falls_to_zero_over_the_second_half():
    torch.manual_seed(0)
    network = build("tabular", num_inputs=2, num_outputs=1, hidden_sizes=[64], dropout=0.5)
    rows = torch.randn(8, 2)
    for fraction, is_random in ((0.0, True), (0.5, True), (0.9, True), (1.0, False)):
        network.set_progress(fraction)
        assert torch.equal(network(rows), network(rows)) != is_random


def test_every_parameter_is_in_exactly_one_group():
    network = build("tabular", num_inputs=2, num_outputs=1, cardinalities=[30])
    groups = network.parameter_groups()
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters())
    factors = {id(p): (g["lr_factor"], g["decay_factor"]) for g in groups for p in g["params"]}
    assert factors[id(network.scale.weight)][0] == 6.0
    assert factors[id(network.head.bias)] == (0.1, 0.0)
    assert factors[id(network.blocks[0].linear.weight)] == (1.0, 1.0)


def test_more_rows_mean_fewer_members_and_a_users_choice_stands():
    chosen = [TabularSettings().for_data(rows, 5, 1).members for rows in (100, 1500, 10**6)]
    assert chosen == [4, 2, 2]
    assert TabularSettings(members=3).for_data(10**6, 5, 1).members == 3


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_recipe_names_what_it_needs(task):
    recipe = TabularSettings.train_defaults(task)
    assert {"optimizer", "lr", "betas", "schedule", "decay_schedule", "epochs"} <= set(recipe)
    assert math.isfinite(recipe["lr"])


@pytest.mark.slow
def test_it_learns_a_wave_that_a_plain_start_would_take_long_for():
    torch.manual_seed(0)
    rows = torch.rand(256, 2) * 4 - 2
    target = torch.sin(3 * rows[:, :1]) * rows[:, 1:]
    network = build(
        "tabular", num_inputs=2, num_outputs=1, hidden_sizes=[32, 32], activation="mish"
    )
    network.start(rows)
    groups = [
        {"params": group["params"], "lr": 0.03 * group["lr_factor"]}
        for group in network.parameter_groups()
    ]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.95))
    for step in range(200):
        network.set_progress(step / 200)
        optimizer.zero_grad()
        (network(rows) - target).square().mean().backward()
        optimizer.step()
    network.eval()
    error = (network(rows) - target).square().mean() / target.var()
    assert error.item() < 0.1
