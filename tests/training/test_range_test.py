"""The range test finds a good rate on known curves, and leaves the network as it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from glial.data.batches import Batch, TensorBatches
from glial.training import Descent, TrainSettings, lr_range_test, suggest_lr

RATES = np.geomspace(1e-6, 10, 120)


def curve(best, noise=0.0, seed=0, start=1.0):
    """Losses that fall until ten times the best rate and then blow up."""
    rng = np.random.default_rng(seed)
    place = np.log10(RATES / best)
    fall = start * (1 - 0.8 / (1 + np.exp(-4 * (place + 0.2))))
    rise = start * np.expm1(np.clip(6 * (place - 1.1), 0, 20))
    return fall + rise + noise * start * rng.normal(size=len(RATES))


@given(
    st.floats(-4, -0.5), st.floats(0, 0.05), st.integers(0, 10**6), st.sampled_from([1e-3, 1, 1e4])
)
def test_a_known_optimum_is_found_within_a_factor_of_ten(power, noise, seed, start):
    best = 10**power
    found, reason = suggest_lr(RATES, curve(best, noise, seed, start))
    assert best / 10 <= found <= best * 10, reason


@given(st.integers(0, 80), st.floats(-3, -1))
def test_one_spike_changes_little(place, power):
    losses = curve(10**power)
    plain, _ = suggest_lr(RATES, losses)
    for spike in (1e6, -10.0, math.nan, math.inf):
        losses = curve(10**power)
        losses[place] = spike
        found, _ = suggest_lr(RATES, losses)
        assert plain / 3 <= found <= plain * 3


@pytest.mark.parametrize(
    "losses",
    [
        np.ones(120),
        1 + 0.01 * np.random.default_rng(0).normal(size=120),
        np.full(120, np.nan),
        np.geomspace(1, 1e9, 120),
        np.array([1.0, np.nan, np.nan]),
        np.array([]),
    ],
)
def test_where_nothing_can_be_read_off_a_usual_rate_is_taken(losses):
    found, reason = suggest_lr(RATES[: len(losses)], losses)
    assert found == 1e-3
    assert "a usual rate" in reason


def make_rows():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 4, generator=generator)
    return Batch((x,), x.sum(dim=1, keepdim=True))


def range_of(model, loss, **settings):
    def make_step(schedule):
        return Descent(model, loss, TrainSettings(**settings), 1.0, schedule).step

    return lr_range_test(model, make_step, TensorBatches(make_rows(), 32, 0).epoch, seed=0)


def squared(outputs, target, weight):
    return (outputs - target).square().mean()


def test_the_network_and_all_chance_are_as_before():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 1))
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    found = range_of(model, squared)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [module.training for module in model] == [True, False, True, True]
    assert len(found.rates) == len(found.losses)
    again = range_of(model, squared)
    assert again.lr == found.lr
    assert np.array_equal(again.losses, found.losses)


def test_the_network_is_as_before_after_an_error():
    model = nn.Linear(4, 1)
    before = model.weight.detach().clone()
    calls = []

    def failing(outputs, target, weight):
        calls.append(1)
        if len(calls) == 5:
            raise ZeroDivisionError
        return squared(outputs, target, weight)

    with pytest.raises(ZeroDivisionError):
        range_of(model, failing)
    assert torch.equal(model.weight, before)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
def test_the_rate_found_learns(optimizer):
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    lr = range_of(model, squared, optimizer=optimizer).lr
    settings = TrainSettings(optimizer=optimizer)
    descent = Descent(model, squared, settings, lr)
    losses = []
    for epoch in range(30):
        for batch in TensorBatches(make_rows(), 32, 0).epoch(epoch):
            from glial.training import Moment

            losses.append(descent.step(batch, Moment(0, epoch, 0.0)).item())
    assert losses[-1] < 0.1 * losses[0]


def test_it_ends_early_where_it_diverges():
    model = nn.Linear(4, 1)
    found = range_of(model, squared, optimizer="sgd")
    assert len(found.losses) < 120
    assert 1e-3 < found.lr < 0.5
