"""Dropout."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glial.functional import dropout, stochastic_depth


@given(st.floats(0.01, 0.95))
@settings(max_examples=10, deadline=None)
def test_the_share_of_zeros_is_the_rate_and_the_mean_stays(rate):
    torch.manual_seed(0)
    outputs = dropout(torch.ones(40_001), rate)
    assert (outputs == 0).float().mean().item() == pytest.approx(rate, abs=0.015)
    assert outputs.mean().item() == pytest.approx(1, abs=0.015 / (1 - rate))
    assert outputs.max().item() == pytest.approx(1 / (1 - rate), rel=1e-3)


def test_the_four_decisions_of_a_word_are_independent():
    torch.manual_seed(0)
    kept = (dropout(torch.ones(80_000), 0.3) > 0).double().reshape(-1, 4)
    correlation = torch.corrcoef(kept.T) - torch.eye(4)
    assert correlation.abs().max() < 0.03


def test_nothing_happens_without_training_or_rate():
    values = torch.randn(5)
    assert dropout(values, 0.5, training=False) is values
    assert dropout(values, 0.0) is values


def test_the_gradient_is_zero_where_dropped_and_scaled_where_kept():
    values = torch.randn(50, requires_grad=True)
    outputs = dropout(values, 0.5)
    outputs.sum().backward()
    assert values.grad.tolist() == (2.0 * (outputs != 0)).tolist()


def test_the_seed_decides():
    draws = []
    for _ in range(2):
        torch.manual_seed(7)
        draws.append(dropout(torch.ones(100), 0.5))
    assert torch.equal(*draws)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(dtype):
    outputs = dropout(torch.ones(64, dtype=dtype), 0.25)
    assert outputs.dtype == dtype


def test_stochastic_depth_drops_whole_rows_and_keeps_the_mean():
    torch.manual_seed(0)
    values = torch.randn(20_000, 2, 3)
    outputs = stochastic_depth(values, 0.2)
    dropped = (outputs == 0).all(dim=(1, 2))
    assert dropped.float().mean().item() == pytest.approx(0.2, abs=0.01)
    torch.testing.assert_close(outputs[~dropped], values[~dropped] / 0.8)


def test_stochastic_depth_does_nothing_without_training_or_rate():
    values = torch.randn(5, 2)
    assert stochastic_depth(values, 0.5, training=False) is values
    assert stochastic_depth(values, 0.0) is values


def test_the_gradient_of_stochastic_depth_is_zero_where_dropped_and_scaled_where_kept():
    torch.manual_seed(0)
    values = torch.ones(50, 4, dtype=torch.float64, requires_grad=True)
    outputs = stochastic_depth(values, 0.5)
    outputs.sum().backward()
    assert set(outputs.flatten().tolist()) == {0.0, 2.0}
    assert torch.equal(values.grad, outputs.detach())
