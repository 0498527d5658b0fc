"""Laws of activations: torch's own and ours."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glial.functional import smooth_clip, step

NUMBERS = st.floats(-30, 30, allow_nan=False)


def test_step_fires_at_and_above_the_threshold_only():
    values = torch.tensor([-1.0, 0.49, 0.5, 2.0])
    assert step(values, threshold=0.5).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_nothing_flows_back_through_a_step():
    values = torch.randn(5, requires_grad=True)
    weight = torch.randn(5, requires_grad=True)
    (weight * step(values)).sum().backward()
    assert values.grad is None
    assert weight.grad is not None


@given(NUMBERS)
def test_tanh_is_a_stretched_sigmoid(number):
    x = torch.tensor(number, dtype=torch.float64)
    assert torch.tanh(x).item() == pytest.approx(2 * torch.sigmoid(2 * x).item() - 1, abs=1e-12)


@given(NUMBERS)
def test_sigmoid_of_relu_is_never_below_a_half(number):
    assert torch.sigmoid(torch.relu(torch.tensor(number))).item() >= 0.5


def test_sigmoid_at_zero_one_and_where_it_saturates():
    assert torch.sigmoid(torch.tensor(0.0)).item() == 0.5
    assert torch.sigmoid(torch.tensor(1.0)).item() == pytest.approx(0.7310585786)
    assert torch.sigmoid(torch.tensor(5.0)).item() > 0.99


def test_softmax_is_stable_for_large_scores_and_sums_to_one():
    shares = torch.softmax(torch.tensor([1000.0, 0.0, -1000.0]), dim=0)
    assert shares.tolist() == [1.0, 0.0, 0.0]
    shares = torch.softmax(torch.tensor([-1.0, 2.0, -3.0], dtype=torch.float64), dim=0)
    assert shares.min() > 0
    assert shares.sum().item() == pytest.approx(1)


@given(st.floats(0.1, 10), NUMBERS)
def test_smooth_clip_stays_inside_its_bound_and_is_odd(bound, number):
    x = torch.tensor(number, dtype=torch.float64)
    clipped = smooth_clip(x, bound=bound).item()
    assert abs(clipped) <= bound
    assert smooth_clip(-x, bound=bound).item() == pytest.approx(-clipped)
    assert clipped == pytest.approx(number / math.sqrt(1 + (number / bound) ** 2))


def test_smooth_clip_has_slope_one_at_zero_and_rises():
    x = torch.zeros((), dtype=torch.float64, requires_grad=True)
    smooth_clip(x).backward()
    assert x.grad.item() == 1
    assert (smooth_clip(torch.linspace(-50, 50, 999, dtype=torch.float64)).diff() > 0).all()


@pytest.mark.parametrize(
    "function",
    [
        torch.sigmoid,
        torch.tanh,
        torch.nn.functional.elu,
        torch.nn.functional.silu,
        torch.nn.functional.mish,
        torch.nn.functional.leaky_relu,
        smooth_clip,
    ],
)
def test_derivatives_agree_with_finite_differences(function):
    x = torch.tensor([-2.1, -0.3, 0.4, 1.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (x,), fast_mode=True)
