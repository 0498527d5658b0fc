"""Parameters, operations, shapes and memory by their formulas."""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from torch import nn

from glial.nn.summary import evaluating, summarize


@pytest.mark.parametrize(("rows", "sizes"), [(1, [3, 2]), (7, [4, 8, 8, 1]), (32, [10, 1])])
def test_dense_networks_by_formula(rows, sizes):
    layers = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    summary = summarize(nn.Sequential(*layers), (torch.zeros(rows, sizes[0]),))
    pairs = list(itertools.pairwise(sizes))
    assert summary.num_parameters == sum(i * o + o for i, o in pairs)
    assert summary.parameter_bytes == 4 * summary.num_parameters
    assert summary.flops == sum(2 * rows * i * o for i, o in pairs)
    assert [layer.output_shape for layer in summary.layers[::2]] == [[rows, o] for _, o in pairs]
    assert summary.activation_bytes == sum(2 * 4 * rows * o for _, o in pairs)
    assert sum(layer.flops for layer in summary.layers) == summary.flops
    assert [layer.kind for layer in summary.layers[:2]] == ["Linear", "ReLU"]


def test_frozen_parameters_are_counted_apart():
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    summary = summarize(model, (torch.zeros(1, 3),))
    assert (summary.num_parameters, summary.num_trainable) == (8, 6)
    assert summary.layers[0].name == ""


def test_the_network_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout().eval())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    summarize(model, (torch.randn(5, 2),))
    assert [module.training for module in model] == [True, True, False]
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_hooks_and_modes_are_put_back_after_an_error():
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(RuntimeError):
        summarize(model, (torch.zeros(1, 3),))
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_layer_used_twice_is_listed_twice_and_its_parameters_counted_once():
    layer = nn.Linear(2, 2)
    summary = summarize(nn.Sequential(layer, layer), (torch.zeros(1, 2),))
    assert len(summary.layers) == 2
    assert summary.num_parameters == 6
    assert summary.flops == 16


def test_the_summary_is_json():
    summary = summarize(nn.Linear(2, 1), (torch.zeros(1, 2),))
    assert json.loads(json.dumps(summary.to_dict()))["flops"] == 4


def test_evaluating_puts_every_mode_back_after_an_error():
    model = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    with pytest.raises(ZeroDivisionError), evaluating(model):
        _ = 1 / 0
    assert [module.training for module in model] == [True, False]
