"""Which layer gives its result to which, and the picture of it."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from glial import models
from glial.nn.dataflow import follow
from glial.nn.diagram import network_diagram, network_diagrams


class Residual(nn.Module):
    """One activation used twice, and a way past the rest."""

    def __init__(self, wide=8):
        super().__init__()
        self.one, self.two = nn.Linear(wide, wide), nn.Linear(wide, wide)
        self.act = nn.ReLU()

    def forward(self, x):
        y = self.act(self.one(x))
        y = self.two(y).reshape(x.shape)
        y = y + x
        return self.act(y)


class Two(nn.Module):
    """Two inputs, a mask, and results in a mapping."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(3, 4), nn.Linear(2, 4)

    def forward(self, a, b):
        mask = a.sum(-1, keepdim=True) > 0
        both = torch.cat([self.left(a), self.right(b)], dim=-1)
        return {"out": [both.masked_fill(~mask, 0.0)], "soft": functional.softmax(both, dim=-1)}


class Looping(nn.Module):
    """One cell over time."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 5)

    def forward(self, x):
        h = x.new_zeros(x.shape[0], 5)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return h


def edges(model, *inputs):
    return {(each, step.name) for step in follow(model, inputs) for each in step.inputs}


def test_a_way_past_layers_is_followed():
    (joined,) = [
        step.name for step in follow(Residual(), (torch.zeros(2, 8),)) if step.label == "+"
    ]
    assert edges(Residual(), torch.zeros(2, 8)) == {
        *(("input", "one"), ("one", "act"), ("act", "two"), ("two", joined)),
        *(("input", joined), (joined, "act #2"), ("act #2", "output")),
    }


def test_layers_that_do_nothing_are_not_told():
    model = nn.Sequential(nn.Dropout(0.0), nn.Linear(3, 3), nn.Identity(), nn.Dropout(0.5))
    assert edges(model, torch.zeros(2, 3)) == {("input", "1"), ("1", "3"), ("3", "output")}


def test_several_inputs_and_results():
    found = edges(Two(), torch.zeros(2, 3), torch.zeros(2, 2))
    assert found == {
        *(("input", "left"), ("input 2", "right"), ("left", "cat"), ("right", "cat")),
        *(("cat", "softmax"), ("cat", "output"), ("softmax", "output")),
    }


def test_what_repeats_over_time_is_one_step():
    steps = {step.name: step for step in follow(Looping(), (torch.zeros(2, 7, 3),))}
    assert list(steps) == ["input", "cell", "output"]
    assert steps["cell"].calls == 7
    assert steps["cell"].num_parameters == 3 * 5 * (3 + 5 + 2)
    assert steps["output"].shape == [2, 5]


def test_the_network_is_left_as_it_was():
    model = nn.Sequential(Residual(), nn.Dropout()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network_diagrams(model, (torch.zeros(2, 8),))
    assert model.training
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def words(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_repeated_blocks_are_told_once():
    model = nn.Sequential(nn.Linear(3, 8), *(Residual() for _ in range(12)), nn.Linear(8, 1))
    whole, inside = network_diagrams(model, (torch.zeros(2, 3),))
    assert "×12" in words(whole)
    assert f"{sum(p.numel() for p in model.parameters()):,} parameters" in whole
    assert words(inside)[0] == "Inside Residual (1)"
    assert {"Linear", "ReLU", "+"} <= set(words(inside))
    pairs = [layer for _ in range(5) for layer in (nn.Linear(4, 4), nn.Tanh())]
    (svg,) = network_diagrams(nn.Sequential(*pairs), (torch.zeros(1, 4),))
    assert {"Linear, Tanh", "×5"} <= set(words(svg))


def test_a_network_that_cannot_be_run_is_drawn_by_its_parts():
    svg = network_diagram(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), (torch.zeros(1, 7),))
    assert {"Linear", "ReLU"} <= set(words(svg))
    assert "could not be followed (RuntimeError)" in re.sub(r"</text><text[^>]*>", " ", svg)
    assert 'class="tip"' not in svg


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "inputs", "told"),
    [
        ("resnet18", torch.zeros(1, 3, 32, 32), {"BasicBlock", "×2", "Conv2d", "Linear"}),
        ("bert", torch.zeros(1, 8, dtype=torch.long), {"Embedding", "×12", "+"}),
    ],
)
def test_published_networks(name, inputs, told):
    with torch.device("meta"):
        model = models.build(name)
    model = model.to_empty(device="cpu")
    pictures = network_diagrams(model, (inputs,))
    assert told <= set(words(pictures[0]))
    assert pictures[0].count('class="box') < 40
    assert f"{sum(p.numel() for p in model.parameters()):,} parameters" in pictures[0]
    inside = set(words("".join(pictures[1:])))
    assert "+" in inside


class _WithToken(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(4))
        self.layer = nn.Linear(4, 3)

    def forward(self, inputs):
        return self.layer(inputs + self.token)


def test_parameters_outside_the_layers_are_told_so_that_the_sum_is_right():
    def read(model):
        svg = network_diagram(model, (torch.zeros(2, 4),))
        return " ".join(re.sub("<[^>]+>", " ", svg).split())

    assert "15 parameters in these layers and 4 outside them, 19 together" in read(_WithToken())
    assert "15 parameters; shapes" in read(nn.Sequential(nn.Linear(4, 3)))
    assert "15 parameters; shapes" in read(nn.Linear(4, 3))
