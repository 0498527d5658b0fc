"""The score of windows of NAB: by hand, step by step, and beside another way to compute it."""

import math

import numpy as np
import pytest

from glial.core.errors import InputError
from glial.evaluation.metrics.windows import (
    PROFILES,
    Scored,
    probation,
    step_values,
    window_score,
)


def sigmoid(position):
    return 2 / (1 + math.exp(5 * position)) - 1


def by_hand(series, profile, threshold, starts):
    """The sum as the paper says it, one series, window and step after the other."""
    hit, alarm, miss = PROFILES[profile]
    total, count = 0.0, 0
    for (scores, windows), start in zip(series, starts, strict=True):
        told = [step for step in range(start, len(scores)) if scores[step] >= threshold]
        for first, last in windows:
            if last < start:
                continue
            count += 1
            inside = [step for step in told if first <= step <= last]
            if not inside:
                total -= miss
                continue
            position = -(last - inside[0] + 1) / (last - first + 1)
            total += hit * sigmoid(position) / sigmoid(-1)
        for step in told:
            if any(first <= step <= last for first, last in windows):
                continue
            before = [window for window in windows if window[1] < step]
            if not before:
                total -= alarm
                continue
            first, last = before[-1]
            position = (step - last) / (last - first)
            total += alarm * (sigmoid(position) if position <= 3 else -1)
    return 100 * (total + miss * count) / (count * (hit + miss))


@pytest.fixture
def series():
    generator = np.random.default_rng(0)
    windows = [[(20, 29), (60, 74)], [(0, 4), (50, 53)], []]
    return [Scored(generator.random(100).round(2), found) for found in windows]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("threshold", [0.2, 0.9, 0.97, 2.0])
def test_the_score_is_that_of_the_formula(series, profile, threshold):
    found = window_score(series, profile, threshold=threshold, probations=[10, 10, 10])
    assert found.score == pytest.approx(by_hand(series, profile, threshold, [10, 10, 10]))


@pytest.mark.parametrize("profile", PROFILES)
def test_the_best_threshold_is_the_best_of_all(series, profile):
    found = window_score(series, profile)
    all_of_them = [
        by_hand(series, profile, threshold, [15, 15, 15])
        for threshold in [*np.unique(np.concatenate([one.scores for one in series])), math.inf]
    ]
    assert found.score == pytest.approx(max(all_of_them))
    again = window_score(series, profile, threshold=found.threshold)
    assert again == found


def test_a_window_is_worth_the_less_the_later_it_is_found():
    values, inside = step_values(12, [(2, 5)])
    # By hand: sigmoids of -1, -3/4, -1/2 and -1/4 over that of -1; behind, a third and on.
    expected = [sigmoid(-share) / sigmoid(-1) for share in (1, 0.75, 0.5, 0.25)]
    assert values[2:6] == pytest.approx(expected)
    assert values[:2].tolist() == [-0.11, -0.11]
    assert values[6:] == pytest.approx([0.11 * sigmoid(step / 3) for step in range(1, 7)])
    assert inside.tolist() == [-1, -1, 0, 0, 0, 0, *[-1] * 6]
    assert (np.diff(values[2:6]) < 0).all()
    assert (np.diff(values[6:]) < 0).all()


def test_a_perfect_detector_has_100_and_a_silent_one_0():
    scores = np.zeros(200)
    scores[[50, 120]] = 1.0
    perfect = Scored(scores, [(50, 60), (120, 130)])
    for profile in PROFILES:
        assert window_score([perfect], profile).score == pytest.approx(100)
        assert window_score([perfect], profile, threshold=2.0).score == 0
    silent = Scored(np.zeros(200), [(50, 60)])
    # All are told or none, and to tell all costs more.
    found = window_score([silent], probations=[30])
    assert (found.score, found.threshold, found.found, found.false_alarms) == (0, math.inf, 0, 0)


def test_what_nobody_scored_is_not_told_and_its_window_is_missed():
    scores = np.full(100, np.nan)
    scores[40:] = 0.0
    scores[80] = 1.0
    found = window_score([Scored(scores, [(20, 30), (80, 90)])])
    assert found.found == 0.5
    assert found.score == pytest.approx(50)


def test_steps_of_the_probation_are_not_judged():
    scores = np.zeros(1000)
    scores[:150] = 1.0
    scores[500] = 0.5
    assert probation(1000) == 150
    assert window_score([Scored(scores, [(500, 510)])]).score == pytest.approx(100)


@pytest.mark.parametrize("windows", [[(5, 3)], [(1, 4), (4, 6)], [(8, 10)]])
def test_windows_that_do_not_fit_are_refused(windows):
    with pytest.raises(InputError, match="windows do not fit"):
        step_values(10, windows)


def test_a_profile_that_is_none_and_series_without_anomalies_are_refused():
    with pytest.raises(InputError, match="standard"):
        step_values(10, [], "standards")
    with pytest.raises(InputError, match="no anomaly"):
        window_score([Scored(np.zeros(10), [])])
