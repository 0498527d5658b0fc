"""Schedules against torch's and their formulas."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from glial.training import Moment, PlateauFactor, TrainSettings, make_schedule


def torchs(make, steps, observe=None):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*([observe[step]] if observe else []))
    return rates


def mine(steps, **settings):
    schedule = make_schedule(TrainSettings(**settings))
    return [schedule(Moment(step, step, step / steps)) for step in range(steps)]


def test_step_and_exponential_and_cosine_are_torchs():
    found = mine(50, schedule="step", schedule_every=7, schedule_gamma=0.3)
    assert found == pytest.approx(torchs(lambda o: lr_scheduler.StepLR(o, 7, 0.3), 50))
    found = mine(50, schedule="exponential", schedule_gamma=0.9)
    assert found == pytest.approx(torchs(lambda o: lr_scheduler.ExponentialLR(o, 0.9), 50))
    found = mine(50, schedule="cosine")
    expected = torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, 50), 50)
    assert found == pytest.approx(expected, abs=1e-9)


def test_exponential_is_gamma_to_the_epoch():
    assert mine(5, schedule="exponential", schedule_gamma=0.5) == [1, 0.5, 0.25, 0.125, 0.0625]


def test_one_cycle_has_torchs_shape():
    steps = 1001
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = torchs(
            lambda o: lr_scheduler.OneCycleLR(
                o, max_lr=1.0, total_steps=steps, cycle_momentum=False
            ),
            steps,
        )
    assert mine(steps, schedule="one_cycle") == pytest.approx(expected, abs=6e-3)
    assert mine(10, schedule="one_cycle")[0] == 1 / 25


@given(st.floats(0, 1))
def test_every_schedule_stays_between_nought_and_one(fraction):
    for name in ("constant", "cosine", "flat_cosine", "one_cycle", "coslog4", "plateau"):
        for warmup in (0.0, 0.2):
            schedule = make_schedule(TrainSettings(schedule=name, warmup=warmup))
            assert 0 <= schedule(Moment(0, 0, fraction)) <= 1


def test_flat_cosine_by_hand():
    schedule = make_schedule(TrainSettings(schedule="flat_cosine"))
    found = [schedule(Moment(0, 0, f)) for f in (0.0, 0.5, 2 / 3, 1.0)]
    assert found == pytest.approx([1, 1, 0.75, 0])


def test_coslog4_has_four_peaks_at_equal_steps_of_the_logarithm():
    schedule = make_schedule(TrainSettings(schedule="coslog4"))
    for cycle in range(4):
        low, high = ((2.0**k - 1) / 15 for k in (cycle, cycle + 0.5))
        assert schedule(Moment(0, 0, low)) == pytest.approx(0, abs=1e-12)
        assert schedule(Moment(0, 0, high)) == pytest.approx(1)


def test_warm_up_rises_in_a_straight_line():
    schedule = make_schedule(TrainSettings(warmup=0.2))
    found = [schedule(Moment(0, 0, f)) for f in (0.0, 0.05, 0.1, 0.2, 0.9)]
    assert found == pytest.approx([0, 0.25, 0.5, 1, 1], abs=2e-3)
    assert found[0] > 0


@pytest.mark.parametrize("patience", [1, 2, 5])
@given(losses=st.lists(st.floats(0.1, 10), min_size=30, max_size=30))
def test_plateau_is_torchs(patience, losses):
    plateau = PlateauFactor(0.5, patience)
    found = []
    for value in losses:
        found.append(plateau.factor)
        plateau.observe(value)
    expected = torchs(
        lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=patience),
        len(losses),
        losses,
    )
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_plateau_goes_on_from_its_state():
    first, second = PlateauFactor(0.5, 1), PlateauFactor(0.5, 1)
    for value in (1.0, 1.0, math.nan, 1.0):
        first.observe(value)
    second.load(first.state())
    assert vars(first) == vars(second)
