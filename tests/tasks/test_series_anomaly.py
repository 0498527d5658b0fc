"""Surprises of steps: by hand, one column beside another, and what survives being written down."""

import json
import math

import numpy as np
import pytest
import torch

from glial.core.errors import InputError
from glial.data.series import Frequency, WindowForm
from glial.functional.tails import Largest
from glial.tasks import load_task
from glial.tasks.forecasting import Forecasting
from glial.tasks.series_anomaly import SeriesAnomaly, Surprise
from glial.tasks.settings import TaskSettings


def scored(values, expected, **options):
    surprise = Surprise([[Largest(), Largest()] for _ in range(values.shape[1])], **options)
    return [surprise.see(*step) for step in zip(values, expected, strict=True)], surprise


def test_a_score_is_half_of_each_error_beside_the_largest_before():
    generator = np.random.default_rng(0)
    values, expected = generator.normal(size=(2, 60, 1))
    found, _ = scored(values, expected)
    assert all(math.isnan(score) for score, _ in found[:21])  # the first has no mean before it
    for step in range(21, 60):
        errors = np.abs(values - expected)[1:step, 0]
        before = [abs(values[one, 0] - values[:one, 0].mean()) for one in range(1, step)]
        now = abs(values[step, 0] - values[:step, 0].mean())
        # Of fewer than 200 steps the one that a share of 0.005 is at or above is the largest.
        first = abs(values[step, 0] - expected[step, 0]) / max(errors)
        by_hand = (first + now / max(before)) / 2
        assert found[step][0] == pytest.approx(by_hand)
        assert found[step][1] == pytest.approx([by_hand**2])


def test_the_column_that_jumps_has_the_larger_part():
    values = np.tile(np.sin(np.arange(200.0))[:, None], (1, 3))
    expected = values + np.random.default_rng(0).normal(size=(200, 3)) * 0.1
    values[150, 1] += 5
    found, _ = scored(values, expected)
    score, parts = found[150]
    assert parts.argmax() == 1
    assert parts[1] > 0.9 * parts.sum()
    assert score == pytest.approx(math.sqrt(parts.sum()))
    assert score > 3 * max(one for one, _ in found[21:150])


def test_missing_values_are_left_out_and_nothing_is_learnt_of_them():
    generator = np.random.default_rng(0)
    values, expected = generator.normal(size=(2, 80, 2))
    holed = values.copy()
    holed[60, 0] = np.nan
    holed[61] = np.nan
    found, surprise = scored(holed, expected)
    alone, _ = scored(values[:61, 1:], expected[:61, 1:])
    assert found[60][0] == pytest.approx(alone[60][0])  # the other column's alone
    assert math.isnan(found[61][0])
    assert surprise.count.tolist() == [78, 79]


def test_what_does_not_adapt_keeps_what_it_is_held_against():
    generator = np.random.default_rng(0)
    values, expected = generator.normal(size=(2, 300, 1))
    _, learnt = scored(values, expected)
    for adapts in (True, False):
        surprise = Surprise(learnt.largest, adapts=adapts)
        surprise.count, surprise.total = learnt.count, learnt.total
        told = [surprise.see(np.array([50.0]), np.array([0.0]))[0] for _ in range(9)]
        assert (told[-1] < told[0] / 2) == adapts
        assert learnt.largest[0][0].held[-1] < 10  # copies: what is known stays as it is


def test_the_task_survives_being_written_down():
    form, frequency = WindowForm(4, 1), Frequency("row", 1.0)
    settings = TaskSettings(name="anomaly")
    forecasting = Forecasting(["y", "z"], form, frequency, False, [], settings)
    largest = {"a": [[Largest(seen=30, held=[1.0, 2.0]), Largest()]] * 2}
    task = SeriesAnomaly(
        forecasting, None, None, settings, threshold=0.5, usual=[0.1, 0.2], largest=largest
    )
    state = json.loads(json.dumps(task.state()))
    again = load_task(state, settings)
    assert again.state() == task.state()
    assert (again.name, again.threshold, again.columns) == ("anomaly", 0.5, ["y", "z"])
    outputs = torch.tensor([[0.7, 0.4, 0.2], [torch.nan, 0.0, 0.0]], dtype=torch.float64)
    assert again.decode(outputs).predictions["prediction"].tolist() == ["anomaly", "normal"]
    # A series that training had is held against its surprises, another against its own.
    assert again.surprise("a").largest[0][0].seen == 30
    assert again.surprise("b").largest[0][0].seen == 0
    state["largest"]["a"] = state["largest"]["a"][:1]
    with pytest.raises(InputError, match="damaged"):
        load_task(state, settings)
