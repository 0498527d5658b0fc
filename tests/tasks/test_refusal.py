"""Refusal: the promise of its risk over many draws, thresholds by hand, states, bad inputs."""

from __future__ import annotations

import json
import logging

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import binom

from glial.core.errors import InputError
from glial.tasks import TaskSettings, fit_task, load_task
from glial.tasks.refusal import Refusal, refusal_scores, upper_bound


def drawn(rows, seed):
    """Confidences of a network that is right as often as it says, and whether it is wrong."""
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(0.5, 1, size=rows)
    return confidence, generator.uniform(size=rows) > confidence


def true_risk(threshold):
    """The error rate of rows at or above a threshold: the mean of 1 - confidence there."""
    return (1 - threshold) / 2


def test_the_bound_holds_a_binomial_tail():
    for total, errors in [(20, 0), (50, 3), (300, 20)]:
        wrong = np.arange(total) < errors
        bound = upper_bound(wrong, 0.95)
        assert binom.cdf(errors, total, bound) == pytest.approx(0.05)
    assert upper_bound(np.ones(5, dtype=bool), 0.95) == 1.0
    assert upper_bound(np.ones(0, dtype=bool), 0.95) == 1.0


def test_the_risk_is_kept_in_more_than_19_of_20_draws():
    broken = 0
    answered = []
    for seed in range(200):
        refusal = Refusal.fit(*drawn(1000, seed), risk=0.15)
        assert refusal.bound <= 0.15
        broken += true_risk(refusal.threshold) > 0.15
        answered.append(refusal.answered)
    assert broken <= 10
    # The best threshold is 0.7, which answers 0.6 of the rows; the promise costs some of them.
    assert 0.3 < np.mean(answered) < 0.6


def test_the_mere_error_rate_would_break_the_promise():
    broken = 0
    for seed in range(200):
        confidence, wrong = drawn(1000, seed)
        order = np.argsort(-confidence)
        rates = wrong[order].cumsum() / np.arange(1, 1001)
        threshold = confidence[order][np.flatnonzero(rates <= 0.15)[-1]]
        broken += true_risk(threshold) > 0.15
    assert broken > 40


def test_a_share_is_refused_exactly_where_no_two_rows_are_alike():
    confidence, wrong = drawn(200, 0)
    for share in (0.1, 0.25, 0.999):
        refusal = Refusal.fit(confidence, wrong, share=share)
        refused = refusal.refused(confidence)
        assert refused.sum() == int(share * 200)
        assert confidence[refused].max() < confidence[~refused].min()
        assert refusal.answered == pytest.approx(1 - refused.mean())
        assert refusal.bound is None
    equal = Refusal.fit(np.full(20, 0.7), np.zeros(20, dtype=bool), share=0.5)
    assert equal.answered == 1.0  # at most


def test_a_risk_that_cannot_be_kept_refuses_every_row(caplog):
    logging.getLogger("glial").propagate = True
    confidence = np.linspace(0.5, 1, 100)
    refusal = Refusal.fit(confidence, np.ones(100, dtype=bool), risk=0.1)
    assert refusal.refused(np.ones(3)).all()
    assert "every row is refused" in caplog.text
    assert refusal.answered == 0


def test_no_error_and_a_lax_risk_refuse_nothing():
    confidence = np.linspace(0.5, 1, 400)
    refusal = Refusal.fit(confidence, np.zeros(400, dtype=bool), risk=0.05)
    assert refusal.threshold == 0.5
    assert refusal.bound == pytest.approx(1 - (0.05 / 9) ** (1 / 400))  # nine halvings


def test_the_share_caps_what_a_risk_refuses(caplog):
    logging.getLogger("glial").propagate = True
    confidence, wrong = drawn(1000, 0)
    free = Refusal.fit(confidence, wrong, risk=0.1)
    assert free.answered < 0.5
    capped = Refusal.fit(confidence, wrong, risk=0.1, share=0.2)
    assert capped.answered == pytest.approx(0.8)
    assert capped.bound > 0.1
    assert "would refuse more rows" in caplog.text
    assert Refusal.fit(confidence, wrong, risk=0.1, share=0.9) == free


def test_too_few_rows_are_refused():
    with pytest.raises(InputError, match="at least 10 rows"):
        Refusal.fit(*drawn(9, 0), share=0.5)


def test_figures_by_hand():
    refused = np.array([True, False, False, False])
    wrong = np.array([True, True, False, False])
    assert refusal_scores(refused, wrong) == {"refused": 0.25, "selective_risk": 1 / 3}
    found = refusal_scores(refused, wrong, np.array([1.0, 3.0, 1.0, 0.0]))
    assert found == {"refused": 0.2, "selective_risk": 0.75}
    assert np.isnan(refusal_scores(np.ones(4, dtype=bool), wrong)["selective_risk"])


@pytest.mark.parametrize("option", [{"risk": 0.2}, {"refuse": 0.3}])
@pytest.mark.parametrize("decision", [{}, {"costs": {"n": {"y": 3.0}}}, {"threshold": 0.7}])
def test_refusals_are_said_saved_and_loaded(option, decision):
    confidence, wrong = drawn(600, 0)
    generator = np.random.default_rng(1)
    says_yes = generator.uniform(size=600) < 0.5
    positive = np.where(says_yes, confidence, 1 - confidence)
    truth = np.where(wrong, ~says_yes, says_yes)
    frame = pl.DataFrame({"y": np.where(truth, "y", "n")})
    outputs = torch.from_numpy(np.log(positive / (1 - positive)))[:, None]
    settings = TaskSettings(name="classification", **option, **decision)
    task = fit_task(frame, ["y"], settings)
    assert "refused" not in task.decode(outputs).frame().columns
    task.tune(outputs, frame)
    told = task.decode(outputs).frame()
    chosen = np.where(told["prediction"] == "y", positive, 1 - positive)
    assert told["refused"].dtype == pl.Boolean
    assert chosen[told["refused"]].max() < chosen[~told["refused"].to_numpy()].min()
    scores = task.scores(outputs, frame)
    assert scores["refused"] == pytest.approx(told["refused"].mean())
    answered = told.with_columns(frame["y"]).filter(~pl.col("refused"))
    error = (answered["prediction"] != answered["y"]).mean()
    assert scores["selective_risk"] == pytest.approx(error)
    if "risk" in option:
        assert error < 0.2
    else:
        assert scores["refused"] == pytest.approx(0.3, abs=0.01)
    again = load_task(json.loads(json.dumps(task.state())), settings)
    assert again.decode(outputs).frame().equals(told)


@pytest.mark.parametrize(
    "held",
    [
        {"threshold": 2.5, "answered": 0.0},
        {"threshold": -0.1, "answered": 0.0},
        {"threshold": 0.5},
        {"threshold": 0.5, "answered": 1.5},
        {"threshold": 0.5, "answered": 0.5, "bound": 2.0},
    ],
)
def test_a_damaged_refusal_is_refused(held):
    settings = TaskSettings(name="classification", refuse=0.1)
    task = fit_task(pl.DataFrame({"y": ["a", "b"]}), ["y"], settings)
    with pytest.raises(InputError, match="is damaged"):
        load_task(task.state() | {"refusal": held}, settings)
