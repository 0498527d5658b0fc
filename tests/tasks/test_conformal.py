"""Conformal sets and intervals: the law of their coverage, levels by hand, states, bad inputs."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch
from scipy.special import softmax
from scipy.stats import beta, kstest

from glial.core.errors import InputError
from glial.tasks import TaskSettings, fit_task, load_task
from glial.tasks.conformal import Intervals, Sets, interval_scores, level_of, rank_of, set_scores
from glial.tasks.fitted import halves

METHODS = ("lac", "aps", "raps")
RESAMPLES, FITTED, NEW, COVERAGE = 100, 200, 3000, 0.9


def drawn(rows, seed, size=4):
    """What a network that is too sure says, and the truth."""
    generator = np.random.default_rng(seed)
    scores = 1.5 * generator.normal(size=(rows, size))
    edges = softmax(scores, axis=1).cumsum(axis=1)
    truth = (generator.uniform(size=(rows, 1)) > edges[:, :-1]).sum(axis=1)
    return softmax(2 * scores, axis=1), truth


def coverages(fit_and_judge):
    """The coverage of many new rows after fitting on few, over independent draws."""
    return np.array([fit_and_judge(seed) for seed in range(RESAMPLES)])


def check_law(found):
    """Beta(k, n + 1 - k): the mean within four of its standard errors, and the whole shape."""
    rank = rank_of(FITTED, COVERAGE)
    law = beta(rank, FITTED + 1 - rank)
    deviation = np.sqrt(law.var() + COVERAGE * (1 - COVERAGE) / NEW)  # new rows are finitely many
    assert abs(found.mean() - law.mean()) < 4 * deviation / np.sqrt(RESAMPLES)
    assert kstest(found, law.cdf).pvalue > 1e-3
    assert found.mean() >= COVERAGE - 4 * deviation / np.sqrt(RESAMPLES)


@pytest.mark.parametrize("method", METHODS)
def test_the_coverage_of_sets_follows_its_law(method):
    def judged(seed):
        sets = Sets.fit(method, COVERAGE, *drawn(FITTED, seed))
        shares, truth = drawn(NEW, 1000 + seed)
        return set_scores(sets.hold(shares), truth)["coverage"]

    check_law(coverages(judged))


@pytest.mark.parametrize("members", [False, True])
def test_the_coverage_of_intervals_follows_its_law(members):
    def rows(count, seed):
        generator = np.random.default_rng(seed)
        scale = generator.uniform(0.2, 3, size=(count, 1))
        spread = scale * generator.uniform(0.5, 1, size=(count, 1)) if members else None
        return generator.normal(size=(count, 1)), scale * generator.normal(size=(count, 1)), spread

    def judged(seed):
        values, errors, spread = rows(FITTED, seed)
        intervals = Intervals.fit(COVERAGE, values, values + errors, spread)
        values, errors, spread = rows(NEW, 1000 + seed)
        ends = intervals.ends(values, spread)
        return interval_scores(*ends, values + errors)["coverage"]

    check_law(coverages(judged))


def test_a_level_one_rank_lower_breaks_the_law():
    rank = rank_of(FITTED, COVERAGE)

    def judged(seed):
        shares, truth = drawn(FITTED, seed)
        scores = np.sort(1 - shares[np.arange(FITTED), truth])
        sets = Sets(method="lac", coverage=COVERAGE, level=scores[rank - 1 - 5])
        shares, truth = drawn(NEW, 1000 + seed)
        return set_scores(sets.hold(shares), truth)["coverage"]

    with pytest.raises(AssertionError):
        check_law(coverages(judged))


def test_levels_by_hand():
    assert [rank_of(n, 0.9) for n in (9, 10, 19, 99, 100)] == [9, 10, 18, 90, 91]
    assert level_of(np.array([3.0, 1.0, 2.0, 5.0, 4.0, 9.0, 8.0, 7.0, 6.0]), 0.9) == 9.0
    with pytest.raises(InputError, match="at least 9 rows"):
        level_of(np.arange(8.0), 0.9)
    assert level_of(np.arange(99.0), 0.99) == 98.0
    with pytest.raises(InputError, match="at least 99 rows"):
        level_of(np.arange(98.0), 0.99)


def test_sets_by_hand():
    shares = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    held = Sets(method="lac", coverage=0.9, level=0.75).hold(shares)
    assert held.tolist() == [[True, True, False], [False, False, True]]
    held = Sets(method="aps", coverage=0.9, level=0.85).hold(shares)
    assert held.tolist() == [[True, True, False], [False, False, True]]
    assert not Sets(method="aps", coverage=0.9, level=0.45).hold(shares).any()
    eight = np.full((1, 8), 0.125)
    # 0.125 each, and 0.01 more from the sixth on: 0.625, then 0.76.
    assert Sets(method="raps", coverage=0.9, level=0.755).hold(eight).sum() == 5
    assert Sets(method="raps", coverage=0.9, level=0.765).hold(eight).sum() == 6


def test_sets_that_sum_up_are_larger_where_rows_are_hard():
    shares, truth = drawn(4000, 0, size=8)
    hard = shares.max(axis=1) < np.median(shares.max(axis=1))
    lac, aps = (Sets.fit(m, 0.9, shares, truth).hold(shares) for m in ("lac", "aps"))
    assert lac.sum() < aps.sum()
    held = aps[np.arange(4000), truth]
    assert aps[hard].sum(axis=1).mean() > aps[~hard].sum(axis=1).mean() + 1
    gaps = [abs(h[hard].mean() - h[~hard].mean()) for h in (lac[np.arange(4000), truth], held)]
    assert gaps[1] < gaps[0]


def test_classes_never_shown_are_in_no_set_and_make_the_others_larger():
    shares, truth = drawn(400, 0)
    plain = Sets.fit("lac", 0.9, shares, truth)
    some = np.where(np.arange(400) % 25 == 0, -1, truth)
    with_new = Sets.fit("lac", 0.9, shares, some)
    assert with_new.level > plain.level
    assert set_scores(with_new.hold(shares), some)["coverage"] >= 0.9
    with pytest.raises(InputError, match="coverage"):
        Sets.fit("lac", 0.9, shares, np.where(np.arange(400) % 5 == 0, -1, truth))


def test_intervals_by_hand():
    values = np.zeros((9, 2))
    truth = np.stack([np.arange(1.0, 10.0), -10 * np.arange(1.0, 10.0)], axis=1)
    intervals = Intervals.fit(0.9, values, truth)
    assert intervals.widths == [9.0, 90.0]
    low, high = intervals.ends(np.array([[1.0, 2.0]]))
    assert (low.tolist(), high.tolist()) == ([[-8.0, -88.0]], [[10.0, 92.0]])
    spread = np.repeat([[1.0], [3.0]], [5, 4], axis=0)
    wider = Intervals.fit(0.9, values[:, :1], np.ones((9, 1)), spread)
    mean = (5 * 1 + 4 * 3) / 9
    assert wider.floors == pytest.approx([mean])
    assert wider.widths == pytest.approx([1 / (1 + mean)])
    low, high = wider.ends(np.zeros((1, 1)), np.array([[3.0]]))
    assert high - low == pytest.approx(2 * (3 + mean) / (1 + mean))
    same = Intervals.fit(0.9, values[:, :1], np.ones((9, 1)), np.zeros((9, 1)))
    assert same.floors is None


def test_figures_are_weighted():
    weight = np.array([1.0, 3.0])
    held = np.array([[True, True], [False, True]])
    found = set_scores(held, np.array([0, 0]), weight)
    assert found == {"coverage": 0.25, "set_size": 1.25}
    assert set_scores(held, np.array([-1, 1])) == {"coverage": 0.5, "set_size": 1.5}
    low, high = np.zeros((2, 2)), np.array([[2.0, 4.0], [2.0, 2.0]])
    found = interval_scores(low, high, np.array([[1.0, 1.0], [1.0, 3.0]]), weight)
    assert found == {"coverage": 0.25 * 1 + 0.75 * 0.5, "interval_width": 0.25 * 3 + 0.75 * 2}


# Tasks


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("labels", [["a b", "c"], [3, 10, 20], [True, False], [0.5, 1.5, 2.0]])
def test_sets_are_said_saved_and_loaded(method, labels):
    shares, truth = drawn(300, 0, size=len(labels))
    labels = sorted(labels)
    frame = pl.DataFrame({"y": [labels[code] for code in truth]})
    logs = torch.from_numpy(np.log(shares))
    outputs = logs[:, 1:] - logs[:, :1] if len(labels) == 2 else logs
    settings = TaskSettings(name="classification", coverage=0.9, conformal=method)
    task = fit_task(frame, ["y"], settings)
    assert "prediction_set" not in task.decode(outputs).frame().columns
    task.tune(outputs, frame)
    told = task.decode(outputs).frame()
    assert told.schema["prediction_set"] == pl.List(told.schema["prediction"])
    expected = Sets.fit(method, 0.9, shares, truth).hold(shares)
    assert told["prediction_set"].to_list() == [
        [label for label, there in zip(labels, row, strict=True) if there] for row in expected
    ]
    scores = task.scores(outputs, frame)
    inside = [y in s for y, s in zip(frame["y"], told["prediction_set"], strict=True)]
    assert scores["coverage"] == pytest.approx(np.mean(inside))
    assert scores["coverage"] >= 0.9
    assert scores["set_size"] == pytest.approx(told["prediction_set"].list.len().mean())
    again = load_task(json.loads(json.dumps(task.state())), settings)
    assert again.decode(outputs).frame().equals(told)


def test_what_promises_is_fitted_on_other_rows_than_what_chooses():
    shares, truth = drawn(400, 0)
    frame = pl.DataFrame({"y": truth})
    outputs = torch.from_numpy(np.log(shares))
    settings = TaskSettings(name="classification", coverage=0.9, calibration="temperature")
    task = fit_task(frame, ["y"], settings)
    task.tune(outputs, frame)
    alone = fit_task(frame, ["y"], TaskSettings(name="classification", calibration="temperature"))
    alone.tune(outputs, frame)
    assert task.calibration != alone.calibration
    choosing, promising = halves(400)
    assert set(choosing) | set(promising) == set(range(400))
    assert len(choosing) == len(promising) == 200
    alone.tune(outputs[choosing], frame[choosing])
    assert task.calibration == alone.calibration
    found = Sets.fit("lac", 0.9, task.calibration.apply(shares[promising]), truth[promising])
    assert task.sets.level == pytest.approx(found.level)


@pytest.mark.parametrize("ends", [None, [-3.0, 3.0]])
@pytest.mark.parametrize("targets", [["y"], ["y", "z"]])
def test_intervals_are_said_saved_and_loaded(targets, ends):
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(200, len(targets))).clip(-2.9, 2.9)
    frame = pl.DataFrame(truth, schema=targets)
    settings = TaskSettings(name="regression", coverage=0.8, output_range=ends)
    task = fit_task(frame, targets, settings)
    outputs = torch.from_numpy(generator.normal(size=(200, 5, len(targets))))
    task.tune(outputs, frame)
    assert task.intervals.floors is not None
    told = task.decode(outputs).frame()
    suffixes = [""] if len(targets) == 1 else ["_y", "_z"]
    kinds = ("prediction", "prediction_low", "prediction_high")
    assert told.columns == [f"{kind}{end}" for kind in kinds for end in suffixes]
    low, high = (told.select(pl.col(rf"^prediction_{e}.*$")).to_numpy() for e in ("low", "high"))
    assert (low <= high).all()
    if ends:
        assert low.min() >= -3
        assert high.max() <= 3
    inside = (low <= truth) & (truth <= high)
    scores = task.scores(outputs, frame)
    assert scores["coverage"] == pytest.approx(inside.mean())
    assert (inside.mean(axis=0) >= 0.8).all()
    assert scores["interval_width"] == pytest.approx((high - low).mean())
    assert np.ptp(high - low) > 0.1  # members differ more on some rows
    again = load_task(json.loads(json.dumps(task.state())), settings)
    assert again.decode(outputs).frame().equals(told)
    values = task.values(outputs)
    assert task.noise == pytest.approx(np.sqrt(((values - truth) ** 2).mean(axis=0)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("intervals", {"coverage": 0.9, "widths": [1.0, 2.0]}),
        ("intervals", {"coverage": 1.0, "widths": [1.0]}),
        ("intervals", {"coverage": 0.9, "widths": [1.0], "floors": [0.0]}),
        ("intervals", {"coverage": 0.9, "widths": [-1.0]}),
        ("noise", [1.0, 2.0]),
        ("noise", [-1.0]),
    ],
)
def test_damaged_intervals_are_refused(key, value):
    settings = TaskSettings(name="regression")
    task = fit_task(pl.DataFrame({"y": [1.0, 2.0]}), ["y"], settings)
    with pytest.raises(InputError, match="is damaged"):
        load_task(task.state() | {key: value}, settings)


@pytest.mark.parametrize("key", ["coverage", "refuse", "risk"])
def test_what_does_not_suit_the_task_is_refused(key):
    frame = pl.DataFrame({"y": [0, 1], "z": [1, 0]})
    with pytest.raises(InputError, match=rf"task\.{key} does not fit"):
        fit_task(frame, ["y", "z"], TaskSettings(name="multilabel", **{key: 0.5}))
    for wrong in (0.0, 1.0, "half"):
        with pytest.raises(InputError, match=key):
            TaskSettings.read({key: wrong}, where="task")
