"""Worked examples and formulas that textbooks give, each with its right number."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from glial.core.errors import InputError
from glial.data.batches import Batch, TensorBatches
from glial.nn.graph import capture
from glial.tasks.metrics import class_scores
from glial.training import Descent, Loop, Moment, TrainSettings


class Add(nn.Module):
    """Two constants and their sum."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("a", torch.tensor(2.0))
        self.register_buffer("b", torch.tensor(4.0))

    def forward(self):
        return self.a + self.b


class Twice(nn.Module):
    def forward(self, a):
        return a * 2


class Line(nn.Module):
    """Two variables of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.tensor([0.3]))
        self.b = nn.Parameter(torch.tensor([-0.3]))

    def forward(self, x):
        return self.W * x + self.b


def test_a_session_adds_two_constants():
    graph = capture(Add(), ())
    assert graph.run().item() == 6.0
    assert [node.kind for node in graph.nodes].count("constant") == 2
    assert graph.run().item() == 6.0


def test_a_placeholder_is_fed_and_a_missing_feed_is_an_error():
    graph = capture(Twice(), (torch.tensor(0.0),))
    assert graph.run(torch.tensor(3.0)).item() == 6.0
    with pytest.raises(InputError):
        graph.run()


def test_variables_have_their_first_values_and_can_be_trained():
    model = Line()
    graph = capture(model, (torch.zeros(1),))
    assert [node.label for node in graph.nodes if node.kind == "variable"] == ["W", "b"]
    assert graph.run(torch.tensor([1.0])).item() == pytest.approx(0.0)
    assert (model.W.item(), model.b.item()) == pytest.approx((0.3, -0.3))
    assert (model.W.dtype, model.W.requires_grad) == (torch.float32, True)


def test_ranks():
    tensors = [torch.tensor(5.0), torch.tensor([1.0, 2.0]), torch.ones(2, 3)]
    assert [tensor.ndim for tensor in tensors] == [0, 1, 2]
    assert all(tensor.ndim == len(tensor.shape) for tensor in tensors)
    assert all(math.prod(tensor.shape) == tensor.numel() for tensor in tensors)


def test_a_table_of_a_hundred_students():
    rows = range(100)
    frame = pl.DataFrame({"name": [f"s{i}" for i in rows], "mark": list(rows)})
    assert frame.shape == (100, 2)
    assert frame.columns == ["name", "mark"]


def test_element_wise_product_and_its_shapes():
    a, b = torch.arange(9.0).reshape(3, 3), torch.full((3, 3), 2.0)
    assert (a * b)[1, 2].item() == 5 * 2
    with pytest.raises(RuntimeError):
        _ = a * torch.ones(2, 2)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "matmul", "layer_norm", "softmax"])
def test_reverse_mode_derivatives_are_the_numeric_ones(name):
    functions = {
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "softplus": nn.functional.softplus,
        "matmul": lambda x: x @ x.T,
        "layer_norm": lambda x: nn.functional.layer_norm(x, (3,)),
        "softmax": lambda x: x.softmax(dim=1),
    }
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(functions[name], (x,))


def test_dropout_drops_its_share_and_keeps_the_expectation():
    torch.manual_seed(0)
    dropped = nn.Dropout(0.2)(torch.ones(100_000))
    assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert torch.equal(nn.Dropout(0.2).eval()(torch.ones(10)), torch.ones(10))


def test_usual_momentum():
    assert 0.8 <= TrainSettings().momentum <= 0.9


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=5))
def test_the_clip_rule(values):
    model = nn.Linear(len(values), 1, bias=False)
    before = model.weight.detach().clone()
    settings = TrainSettings(optimizer="sgd", clip_value=3.0)
    descent = Descent(model, lambda o, t, w: o.sum(), settings, 1.0)
    descent.step(Batch((torch.tensor([values]),), torch.zeros(1, 1)), Moment(0, 0, 0.0))
    moved = (before - model.weight.detach())[0].tolist()
    expected = [math.copysign(3, g) if abs(g) > 3 else g for g in values]
    assert moved == pytest.approx(expected, abs=1e-4)


def test_f1_is_the_harmonic_mean():
    rng = np.random.default_rng(0)
    share = rng.uniform(size=100)
    scores = class_scores(rng.integers(2, size=100), np.stack([1 - share, share], axis=1))
    precision, recall = scores["precision"], scores["recall"]
    assert scores["f1"] == pytest.approx(2 * precision * recall / (precision + recall))


def test_a_majority_predictor_scores_high_and_misses_the_minority():
    truth = np.r_[np.zeros(98, np.int64), np.ones(2, np.int64)]
    scores = class_scores(truth, np.tile([0.98, 0.02], (100, 1)))
    assert scores["accuracy"] == 0.98
    assert (scores["recall"], scores["f1"], scores["balanced_accuracy"]) == (0.0, 0.0, 0.5)


def logistic(outputs, target, weight):
    return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], target)


def trained(model, x, y):
    settings = TrainSettings(epochs=300, optimizer="adam")
    rows = Batch((x,), y)
    batches = TensorBatches(rows, len(y), 0)
    Loop(model, Descent(model, logistic, settings, 0.03), batches, settings).run()
    return ((model(x)[:, 0] > 0) == (y > 0.5)).float().mean().item()


def equal(model):
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.5 if parameter.ndim > 1 else 0.0)
    return model


def deep():
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))


def test_equal_weights_stop_three_layers_and_not_one():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(200, 2, generator=generator) * 2 - 1
    crossed, straight = (x[:, 0] * x[:, 1] > 0).float(), (x[:, 0] + x[:, 1] > 0).float()
    model = equal(deep())
    assert trained(model, x, crossed) < 0.85
    for number in (0, 2):
        weight = model[number].weight
        torch.testing.assert_close(weight, weight[:1].expand_as(weight), rtol=1e-4, atol=1e-5)
    torch.manual_seed(0)
    assert trained(deep(), x, crossed) > 0.95
    assert trained(equal(nn.Linear(2, 1)), x, straight) > 0.97


def test_relu_directly_under_a_sigmoid_says_one_class_and_a_layer_between_cures_it():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(100, 2, generator=generator)
    y = (x[:, 0] > 0).float()
    torch.manual_seed(0)
    faulty = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    assert (faulty(x).sigmoid() >= 0.5).all()
    cured = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    assert trained(cured, x, y) > 0.97
