"""The perceptron rule, and what descent learns beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch import nn

from glial.data.batches import Batch, TensorBatches
from glial.objectives import OBJECTIVES, PerceptronRule
from glial.training import Descent, Loop, Moment, TrainSettings

CORNERS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
MOMENT = Moment(0, 0, 0.0)


def passes(target, rows=CORNERS, limit=100, lr=1.0):
    """Share of errors in each pass of the rule, until there are none."""
    unit = nn.Linear(rows.shape[1], 1)
    nn.init.zeros_(unit.weight)
    nn.init.zeros_(unit.bias)
    rule = PerceptronRule(unit, lr)
    errors = []
    while len(errors) < limit and (not errors or errors[-1]):
        errors.append(rule.step(Batch((rows,), torch.tensor(target)), MOMENT).item())
    return errors


@pytest.mark.parametrize("target", [[0, 0, 0, 1], [0, 1, 1, 1], [1, 1, 1, 0], [0, 1, 0, 0]])
def test_separable_classes_are_learnt_without_error(target):
    assert passes(target)[-1] == 0.0


@pytest.mark.parametrize("target", [[0, 1, 1, 0], [1, 0, 0, 1]])
def test_xor_is_never_learnt(target):
    errors = passes(target, limit=300)
    assert len(errors) == 300
    assert min(errors) > 0


def test_one_change_by_hand():
    unit = nn.Linear(2, 1)
    nn.init.zeros_(unit.weight)
    nn.init.zeros_(unit.bias)
    rule = PerceptronRule(unit, lr=0.5)
    # at 0 the unit says 1; the target is 0, so w -= 0.5 x and b -= 0.5
    error = rule.step(Batch((torch.tensor([[2.0, -1.0]]),), torch.tensor([0])), MOMENT)
    assert error.item() == 1.0
    assert unit.weight[0].tolist() == [-1.0, 0.5]
    assert unit.bias.item() == -0.5


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), lr=st.floats(0.01, 10))
def test_it_makes_at_most_as_many_errors_as_novikoff_allows(seed, lr):
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    x = rng.uniform(-1, 1, size=(60, 2))
    margins = np.c_[x, np.ones(60)] @ direction
    x, margins = x[np.abs(margins) > 0.1], margins[np.abs(margins) > 0.1]
    if len(x) == 0:
        return
    rows = torch.tensor(x, dtype=torch.float32)
    errors = passes((margins > 0).astype(int).tolist(), rows, limit=2000, lr=lr)
    assert errors[-1] == 0.0
    radius = np.linalg.norm(np.c_[x, np.ones(len(x))], axis=1).max()
    assert sum(errors) * len(x) <= (radius / np.abs(margins).min()) ** 2 + 1


@pytest.mark.parametrize("model", [nn.Linear(2, 2), nn.Linear(2, 1, bias=False), nn.Identity()])
def test_only_one_unit_with_a_bias_can_be_trained(model):
    with pytest.raises(ValueError, match="one unit"):
        PerceptronRule(model)


def test_objectives_are_found_by_name():
    assert OBJECTIVES.resolve("perceptron_rule") is PerceptronRule
    assert OBJECTIVES.resolve("descent") is Descent


def learnt(model, rows, loss, epochs, lr=0.1, optimizer="adam"):
    plan = TrainSettings(epochs=epochs, optimizer=optimizer)
    batches = TensorBatches(rows, len(rows.target), 0)
    Loop(model, Descent(model, loss, plan, lr), batches, plan).run()
    return model


def logistic(outputs, target, weight):
    return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], target)


@pytest.mark.parametrize("target", [[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]])
def test_a_network_with_hidden_units_learns_both(target):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    learnt(model, Batch((CORNERS,), torch.tensor(target)), logistic, 200)
    assert ((model(CORNERS)[:, 0] > 0).float() == torch.tensor(target)).all()


@pytest.mark.slow
@pytest.mark.parametrize("start", [-100.0, 0.0, 100.0])
def test_linear_regression_reaches_least_squares_from_any_start(start):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    y = torch.randn(50, 1, generator=generator, dtype=torch.float64)
    model = nn.Linear(3, 1, dtype=torch.float64)
    nn.init.constant_(model.weight, start)

    def squared(outputs, target, weight):
        return (outputs - target).square().mean()

    learnt(model, Batch((x,), y), squared, 400, lr=0.2, optimizer="sgd")
    expected = np.linalg.lstsq(np.c_[x, np.ones(50)], y, rcond=None)[0][:, 0]
    found = [*model.weight[0].tolist(), model.bias.item()]
    assert found == pytest.approx(expected.tolist(), abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("start", [-3.0, 3.0])
def test_logistic_regression_reaches_scikit_learns_optimum_and_thresholded_is_a_perceptron(start):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = (x @ [1.0, -2.0] + rng.logistic(size=200) > 0).astype(float)
    model = nn.Linear(2, 1, dtype=torch.float64)
    nn.init.constant_(model.weight, start)
    rows = Batch((torch.from_numpy(x),), torch.from_numpy(y))
    learnt(model, rows, logistic, 600, lr=2.0, optimizer="sgd")
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(x, y)
    assert model.weight[0].tolist() == pytest.approx(oracle.coef_[0].tolist(), abs=1e-4)
    assert model.bias.item() == pytest.approx(oracle.intercept_[0], abs=1e-4)
    scores = model(rows.inputs[0])[:, 0]
    assert torch.equal((scores.sigmoid() >= 0.5).float(), (scores >= 0).float())
