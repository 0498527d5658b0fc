"""First steps of every optimiser, penalties and clipping, by hand and against torch."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from glial.data.batches import Batch
from glial.training import Descent, Moment, TrainSettings, make_optimizer, parameter_groups

MOMENT = Moment(0, 0, 0.0)
ROWS = Batch((torch.ones(1, 1),), torch.zeros(1, 1))


class Weight(nn.Module):
    """One decayed weight; the loss below gives it whatever gradient is wanted."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([values], dtype=torch.float64))

    def forward(self, x):
        return self.w


def pulled(gradients):
    """A loss whose gradient in step t is the t-th of a list."""
    steps = iter(gradients)

    def loss(outputs, target, weight):
        return (outputs * torch.as_tensor(next(steps), dtype=outputs.dtype)).sum()

    return loss


def walked(start, gradients, lr=0.1, **settings):
    model = Weight(*start) if isinstance(start, tuple) else Weight(start)
    descent = Descent(model, pulled(gradients), TrainSettings(**settings), lr)
    places = []
    for step in range(len(gradients)):
        descent.step(ROWS, Moment(step, step, 0.0))
        places.append(model.w.detach().clone()[0].tolist())
    return [place[0] if len(place) == 1 else place for place in places]


def test_gradient_descent():
    assert walked(1.0, [2.0, -1.0], optimizer="sgd") == pytest.approx([0.8, 0.9])


def test_momentum():
    # v = 0.9 v + g; w -= lr v
    assert walked(1.0, [2.0, 1.0], optimizer="momentum") == pytest.approx([0.8, 0.8 - 0.28])


def test_momentum_takes_larger_steps_in_a_consistent_direction_and_damps_a_zigzag():
    steady = walked(0.0, [1.0] * 100, optimizer="momentum")
    assert steady[-2] - steady[-1] == pytest.approx(0.1 / (1 - 0.9), rel=1e-3)
    zigzag = walked(0.0, [(-1.0) ** i for i in range(100)], optimizer="momentum")
    assert abs(zigzag[-2] - zigzag[-1]) == pytest.approx(0.1 / (1 + 0.9), rel=1e-3)


def test_nesterov():
    # v = 0.9 v + g; w -= lr (g + 0.9 v)
    first = 1 - 0.1 * (2 + 0.9 * 2)
    second = first - 0.1 * (1 + 0.9 * (0.9 * 2 + 1))
    assert walked(1.0, [2.0, 1.0], optimizer="nesterov") == pytest.approx([first, second])


def test_adagrad():
    first = 1 - 0.1 * 2 / math.sqrt(4)
    second = first - 0.1 * 1 / math.sqrt(4 + 1)
    assert walked(1.0, [2.0, 1.0], optimizer="adagrad") == pytest.approx([first, second])


def test_rmsprop():
    average = 0.01 * 4
    first = 1 - 0.1 * 2 / math.sqrt(average)
    second = first - 0.1 * 1 / math.sqrt(0.99 * average + 0.01)
    found = walked(1.0, [2.0, 1.0], optimizer="rmsprop")
    assert found == pytest.approx([first, second], abs=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("gradient", [1e-3, 2.0, -500.0])
def test_adams_first_step_is_the_rate_whatever_the_gradient(optimizer, gradient):
    (found,) = walked(1.0, [gradient], optimizer=optimizer)
    assert 1 - found == pytest.approx(math.copysign(0.1, gradient), rel=1e-4)


def test_adams_second_step_by_hand():
    m, v = 0.9 * 0.1 * 2 + 0.1 * 1, 0.999 * 0.001 * 4 + 0.001 * 1
    step = 0.1 * (m / (1 - 0.9**2)) / (math.sqrt(v / (1 - 0.999**2)) + 1e-8)
    assert walked(1.0, [2.0, 1.0], optimizer="adam")[1] == pytest.approx(0.9 - step)


@pytest.mark.parametrize(
    "optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]
)
def test_decay_is_apart_from_the_gradient(optimizer):
    settings = {"optimizer": optimizer, "weight_decay": 0.5}
    (plain,) = walked(3.0, [2.0], optimizer=optimizer)
    (decayed,) = walked(3.0, [2.0], **settings)
    assert plain - decayed == pytest.approx(3 * 0.1 * 0.5)
    assert walked(3.0, [0.0, 0.0], **settings) == pytest.approx([3 * 0.95, 3 * 0.95**2])


def test_decay_that_falls_to_nothing():
    model = Weight(1.0)
    settings = TrainSettings(optimizer="sgd", weight_decay=0.5, decay_schedule="flat_cosine")
    descent = Descent(model, pulled([0.0, 0.0]), settings, 0.1)
    descent.step(ROWS, Moment(0, 0, 0.75))
    assert model.w.item() == pytest.approx(1 - 0.1 * 0.5 * 0.5)
    descent.step(ROWS, Moment(1, 0, 1.0))
    assert model.w.item() == pytest.approx(0.975)


@given(w=st.floats(-5, 5), g=st.floats(-5, 5), c=st.floats(0.01, 0.4), lr=st.floats(0.01, 0.9))
def test_an_l2_penalty_is_a_factor_below_one_for_plain_descent(w, g, c, lr):
    (found,) = walked(w, [g], lr=lr, optimizer="sgd", l2=c)
    assert found == pytest.approx((1 - 2 * lr * c) * w - lr * g)


def test_weight_decay_formula_at_rate_one():
    (found,) = walked(3.0, [0.5], lr=1.0, optimizer="sgd", l2=0.1)
    assert found == pytest.approx((1 - 2 * 0.1) * 3 - 0.5)


def test_an_l2_penalty_is_no_factor_for_adam():
    (found,) = walked(3.0, [0.5], lr=0.1, optimizer="adam", l2=0.1)
    (plain,) = walked(3.0, [0.5], lr=0.1, optimizer="adam")
    assert abs(found - (plain - 2 * 0.1 * 0.1 * 3)) > 0.01


def test_an_l1_penalty_makes_exact_zeros_and_a_subgradient_does_not():
    settings = {"lr": 0.03, "optimizer": "sgd"}
    found = walked((0.1, -2.0), [(0.0, 0.0)] * 10, **settings, l1=1.0)
    assert found[-1][0] == 0.0
    assert found[-1][1] == pytest.approx(-2 + 10 * 0.03)
    w, seen = 0.1, []
    for _ in range(10):
        w -= 0.03 * math.copysign(1, w)
        seen.append(w)
    assert 0.0 not in seen


def test_an_l1_penalty_solves_the_lasso():
    from sklearn.linear_model import Lasso

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(100, 6, generator=generator, dtype=torch.float64)
    y = x[:, :2] @ torch.tensor([2.0, -1.0], dtype=torch.float64)
    y = (y + 0.1 * torch.randn(100, generator=generator, dtype=torch.float64))[:, None]
    model = nn.Linear(6, 1, bias=False, dtype=torch.float64)
    settings = TrainSettings(optimizer="sgd", l1=0.4)
    descent = Descent(model, lambda o, t, w: (o - t).square().mean(), settings, 0.1)
    for step in range(300):
        descent.step(Batch((x,), y), Moment(step, step, 0.0))
    # scikit-learn halves the squared error
    oracle = Lasso(alpha=0.2, fit_intercept=False, tol=1e-10).fit(x.numpy(), y.numpy()[:, 0])
    assert model.weight[0].tolist() == pytest.approx(oracle.coef_.tolist(), abs=1e-6)
    assert model.weight[0, 2:].tolist() == [0.0] * 4


def test_biases_are_neither_decayed_nor_penalised():
    model = nn.Linear(1, 1)
    nn.init.ones_(model.weight)
    nn.init.ones_(model.bias)
    settings = TrainSettings(optimizer="sgd", weight_decay=0.5, l1=0.1, l2=0.1)
    descent = Descent(model, lambda o, t, w: 0 * o.sum(), settings, 0.1)
    descent.step(ROWS, MOMENT)
    assert model.bias.item() == 1.0
    assert model.weight.item() < 0.95


def test_clipping_by_norm_keeps_the_direction():
    (found,) = walked((0.0, 0.0), [(30.0, -40.0)], lr=1.0, optimizer="sgd", clip_norm=5.0)
    assert found == pytest.approx([-3.0, 4.0], rel=1e-5)
    (found,) = walked((0.0, 0.0), [(0.3, -0.4)], lr=1.0, optimizer="sgd", clip_norm=5.0)
    assert found == pytest.approx([-0.3, 0.4])


def test_clipping_by_value_stops_each_part_at_the_limit():
    (found,) = walked((0.0, 0.0), [(30.0, -0.4)], lr=1.0, optimizer="sgd", clip_value=5.0)
    assert found == pytest.approx([-5.0, 0.4])


def test_a_models_own_groups_are_used():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.ones(1, 1))
            self.b = nn.Parameter(torch.ones(1, 1))

        def forward(self, x):
            return self.a * x + self.b * x

        def parameter_groups(self):
            return [{"params": [self.a], "lr_factor": 0.1}, {"params": [self.b]}, {"params": []}]

    model = Own()
    assert [g["lr_factor"] for g in parameter_groups(model)] == [0.1, 1.0]
    Descent(model, lambda o, t, w: o.sum(), TrainSettings(optimizer="sgd"), 0.5).step(ROWS, MOMENT)
    assert (model.a.item(), model.b.item()) == pytest.approx((0.95, 0.5))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, 0.05)),
        ("momentum", lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
        ("nesterov", lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True)),
        ("adagrad", lambda p: torch.optim.Adagrad(p, 0.05)),
        ("rmsprop", lambda p: torch.optim.RMSprop(p, 0.05)),
        ("adam", lambda p: torch.optim.Adam(p, 0.05)),
        ("adamw", lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.0)),
    ],
)
def test_twenty_steps_are_torchs(name, make):
    torch.manual_seed(0)
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    second.load_state_dict(first.state_dict())
    x, y = torch.randn(8, 3), torch.randn(8, 2)
    descent = Descent(
        first, lambda o, t, w: (o - t).square().mean(), TrainSettings(optimizer=name), 0.05
    )
    optimizer = make(second.parameters())
    for step in range(20):
        descent.step(Batch((x,), y), Moment(step, 0, 0.0))
        optimizer.zero_grad()
        (second(x) - y).square().mean().backward()
        optimizer.step()
    for mine, torchs in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(mine, torchs, rtol=1e-4, atol=1e-6)


def test_a_frozen_parameter_stays():
    model = nn.Linear(2, 1)
    model.weight.requires_grad_(False)
    groups = parameter_groups(model)
    assert [len(group["params"]) for group in groups] == [1]
    assert len(make_optimizer(model, TrainSettings(), 0.1).param_groups) == 1
