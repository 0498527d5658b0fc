"""Gated recurrent units in C give the numbers of those step by step, by any number of threads."""

import pytest
import torch
from torch import nn

from glial.functional import gru, recurrent_kernels, through_time
from glial.functional.recurrent_kernels import gru_kernels

FOUND = recurrent_kernels._found()
pytestmark = pytest.mark.skipif(FOUND is None, reason="there is no GCC to build the kernels")
SIZES = [(1, 1, 16), (3, 5, 16), (9, 13, 48), (70, 40, 80), (5, 600, 16)]


def passes(steps, rows, units, kernels, monkeypatch, dtype=torch.float32, scale=1.0):
    """States and every gradient, by these kernels or none."""
    monkeypatch.setattr(through_time, "gru_kernels", lambda *_: kernels)
    torch.manual_seed(0)
    weights = [p.detach().to(dtype) for p in nn.GRU(7, units).parameters()]
    inputs = scale * torch.randn(rows, steps, 7).to(dtype)
    given = [inputs, torch.randn(rows, units).to(dtype), *weights]
    given = [part.clone().requires_grad_() for part in given]
    states, last = gru(given[0], given[1], tuple(given[2:]))
    ((states * states.cos()).sum() + (2 * last).sin().sum()).backward()
    return [states.detach(), *(part.grad for part in given)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 40.0])
def test_numbers_are_those_of_double_precision(sizes, scale, monkeypatch):
    found = passes(*sizes, FOUND, monkeypatch, scale=scale)
    expected = passes(*sizes, None, monkeypatch, torch.float64, scale=scale)
    for one, other in zip(found, expected, strict=True):
        bound = 3e-6 * max(1.0, float(other.abs().max()))
        torch.testing.assert_close(one.double(), other, rtol=3e-5, atol=bound)


def test_threads_change_no_bit(monkeypatch):
    count = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(passes(6, 50, 32, FOUND, monkeypatch)[0])
    finally:
        torch.set_num_threads(count)
    assert all(torch.equal(results[0], other) for other in results[1:])


def test_what_is_not_a_number_stays_so_and_large_numbers_saturate(monkeypatch):
    monkeypatch.setattr(through_time, "gru_kernels", lambda *_: FOUND)
    inputs = torch.tensor([torch.nan, torch.inf, -1e30]).reshape(3, 1, 1)
    weights = (torch.ones(48, 1), torch.zeros(48, 16), torch.zeros(48), torch.zeros(48))
    states, _ = gru(inputs, torch.full((3, 16), 0.5), weights)
    assert states[0].isnan().all()
    assert torch.equal(states[1], torch.full((1, 16), 0.5))  # kept, as the update gate is 1
    assert torch.equal(states[2], torch.full((1, 16), -1.0))


def test_small_work_other_types_and_other_widths_are_left_to_torch():
    assert gru_kernels(64, 64, 128, torch.float32) is FOUND
    assert gru_kernels(64, 64, 128, torch.float64) is None
    assert gru_kernels(64, 64, 120, torch.float32) is None
    assert gru_kernels(2, 64, 128, torch.float32) is None
