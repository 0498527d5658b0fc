"""Thresholds of groups: the optimum of fairlearn, brute force, parity, stable lots, states."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin

from glial.core.errors import InputError
from glial.data.sensitive import FairnessSettings
from glial.tasks.group_thresholds import GroupThresholds, Mixture

RATES = {
    "demographic_parity": lambda t, p: [p.mean()],
    "equal_opportunity": lambda t, p: [p[t == 1].mean()],
    "predictive_equality": lambda t, p: [p[t == 0].mean()],
    "equalized_odds": lambda t, p: [p[t == 1].mean(), p[t == 0].mean()],
}
THEIRS = {
    "demographic_parity": "demographic_parity",
    "equal_opportunity": "true_positive_rate_parity",
    "predictive_equality": "false_positive_rate_parity",
    "equalized_odds": "equalized_odds",
}


@pytest.fixture(scope="module")
def optimizer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fairlearn.postprocessing import ThresholdOptimizer
    return ThresholdOptimizer


def drawn(seed, rows=300, groups=2, digits=3):
    random = np.random.default_rng(seed)
    codes = random.integers(0, groups, rows)
    truth = (random.random(rows) < 0.25 + 0.2 * codes / (groups - 1)).astype(np.int64)
    logits = 1.5 * truth + 0.5 * codes + random.normal(size=rows) - 1
    positive = np.round(1 / (1 + np.exp(-logits)), digits)
    return positive, truth, pl.DataFrame({"g": codes.astype(str)})


def fitted(seed, criterion, *, randomized, weight=None, **options):
    positive, truth, frame = drawn(seed, **options)
    asked = FairnessSettings(
        group="g", how="thresholds", criterion=criterion, randomized=randomized
    )
    return GroupThresholds.fit(asked, positive, truth, frame, weight), positive, truth, frame


def chances(found, positive, frame):
    codes = found.groups.codes(frame)
    result = np.empty(len(positive))
    for code, mixture in enumerate(found.mixtures):
        result[codes == code] = mixture.chance(positive[codes == code])
    return result, codes


def rates_by_group(criterion, truth, chance, codes):
    return np.array(
        [RATES[criterion](truth[codes == c], chance[codes == c]) for c in np.unique(codes)]
    )


@pytest.mark.slow
@pytest.mark.parametrize("criterion", RATES)
@pytest.mark.parametrize(("seed", "groups"), [(0, 2), (1, 2), (2, 3)])
def test_mixed_thresholds_reach_fairlearns_optimum(optimizer, criterion, seed, groups):
    found, positive, truth, frame = fitted(seed, criterion, randomized=True, groups=groups)
    chance, codes = chances(found, positive, frame)
    rates = rates_by_group(criterion, truth, chance, codes)
    assert np.ptp(rates, axis=0).max() < 1e-6
    mine = np.where(truth == 1, chance, 1 - chance).mean()

    class Scores(ClassifierMixin, BaseEstimator):
        def fit(self, x, y):
            self.fitted_ = True
            return self

        def predict(self, x):
            return x[:, 0]

    theirs = optimizer(
        estimator=Scores().fit(None, None),
        constraints=THEIRS[criterion],
        objective="accuracy_score",
        prefit=True,
        predict_method="predict",
        grid_size=1000,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(positive[:, None], truth, sensitive_features=codes)
        shares = theirs._pmf_predict(positive[:, None], sensitive_features=codes)[:, 1]
    reached = np.where(truth == 1, shares, 1 - shares).mean()
    assert reached - 1e-6 <= mine <= reached + 0.002


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from(sorted(RATES)))
@pytest.mark.slow
def test_no_pair_of_thresholds_with_equal_rates_is_better(seed, criterion):
    found, positive, truth, frame = fitted(seed, criterion, randomized=True, rows=40, digits=1)
    chance, codes = chances(found, positive, frame)
    mine = np.where(truth == 1, chance, 1 - chance).mean()
    cuts = [*np.unique(positive), 2.0]
    for pair in itertools.product(cuts, cuts):
        said = (positive >= np.array(pair)[codes]).astype(float)
        rates = rates_by_group(criterion, truth, said, codes)
        if np.ptp(rates, axis=0).max() < 1e-9:
            assert (said == truth).mean() <= mine + 1e-6


@pytest.mark.parametrize("criterion", ["demographic_parity", "equal_opportunity"])
def test_one_threshold_a_group_comes_within_a_row_of_parity(criterion):
    found, positive, truth, frame = fitted(0, criterion, randomized=False, rows=2000, digits=12)
    assert all(len(mixture.thresholds) == 1 for mixture in found.mixtures)
    said = found.decide(positive, frame)
    codes = found.groups.codes(frame)
    gap = np.ptp(rates_by_group(criterion, truth, said, codes), axis=0).max()
    fewest = min((codes == c)[truth >= (criterion == "equal_opportunity")].sum() for c in (0, 1))
    assert gap <= 1 / fewest
    alike = np.ptp(rates_by_group(criterion, truth, positive >= 0.5, codes), axis=0).max()
    assert alike > 0.1


def test_equalised_odds_need_lots():
    one, positive, truth, frame = fitted(0, "equalized_odds", randomized=False, rows=2000)
    mixed, *_ = fitted(0, "equalized_odds", randomized=True, rows=2000)
    gaps = [
        np.ptp(rates_by_group("equalized_odds", truth, *chances(found, positive, frame)), axis=0)
        for found in (one, mixed)
    ]
    assert gaps[1].max() < 1e-6 < gaps[0].max() < 0.15
    assert max(len(mixture.thresholds) for mixture in mixed.mixtures) > 1


def test_a_rows_lot_is_its_own():
    found, _, _, frame = fitted(3, "equalized_odds", randomized=True)
    positive, truth, frame = drawn(4, rows=20_000, digits=12)
    said = found.decide(positive, frame)
    order = np.random.default_rng(0).permutation(len(truth))
    assert found.decide(positive[order], frame[order]).tolist() == said[order].tolist()
    assert found.decide(positive[:5], frame[:5]).tolist() == said[:5].tolist()
    chance, codes = chances(found, positive, frame)
    for code in (0, 1):
        here = codes == code
        assert said[here].mean() == pytest.approx(chance[here].mean(), abs=0.015)


def test_weights_are_repeated_rows():
    positive, truth, frame = drawn(0, rows=60)
    weight = np.random.default_rng(0).integers(1, 4, 60)
    asked = FairnessSettings(group="g", how="thresholds", randomized=True)
    weighed = GroupThresholds.fit(asked, positive, truth, frame, weight.astype(float))
    rows = np.repeat(np.arange(60), weight)
    repeated = GroupThresholds.fit(asked, positive[rows], truth[rows], frame[rows])
    ours, _ = chances(weighed, positive, frame)
    theirs, _ = chances(repeated, positive, frame)
    right = [np.average(np.where(truth == 1, c, 1 - c), weights=weight) for c in (ours, theirs)]
    assert right[0] == pytest.approx(right[1])


def test_a_state_is_whole_or_refused():
    found, positive, _, frame = fitted(0, "demographic_parity", randomized=True)
    again = GroupThresholds.model_validate_json(found.model_dump_json())
    assert again.decide(positive, frame).tolist() == found.decide(positive, frame).tolist()
    state = found.model_dump()
    for damage in (
        {"mixtures": state["mixtures"][:1]},
        {"mixtures": [{"thresholds": [0.5], "shares": [0.4]}] * 2},
        {"mixtures": [{"thresholds": [0.5, 0.6], "shares": [1.0]}] * 2},
        {"other": float("nan")},
        {"criterion": "luck"},
    ):
        with pytest.raises(ValidationError):
            GroupThresholds.model_validate({**state, **damage})


def test_rows_need_their_groups(caplog):
    found, positive, _, frame = fitted(0, "demographic_parity", randomized=False)
    for rows in (None, frame.rename({"g": "h"})):
        with pytest.raises(InputError, match="decides by groups"):
            found.decide(positive, rows)
    strange = pl.DataFrame({"g": ["?", "7", "0"]})
    said = found.decide(np.array([0.99, 0.0, 0.99]), strange)
    assert said.tolist() == [1, 0, 1]
    assert "2 rows are of groups that were not there" in caplog.text


def test_groups_without_the_class_in_question_are_refused():
    positive, truth, frame = np.array([0.1, 0.4, 0.6, 0.9]), np.array([0, 1, 0, 0]), ["a"] * 2
    frame = pl.DataFrame({"g": ["a", "a", "b", "b"]})
    for criterion, fits in (("demographic_parity", True), ("equal_opportunity", False)):
        asked = FairnessSettings(group="g", how="thresholds", criterion=criterion)
        if fits:
            GroupThresholds.fit(asked, positive, truth, frame)
            continue
        with pytest.raises(InputError, match="lacks a class"):
            GroupThresholds.fit(asked, positive, truth, frame)


def test_chances_fall_between_thresholds():
    mixture = Mixture(thresholds=[0.3, 2.0], shares=[0.25, 0.75])
    assert mixture.chance(np.array([0.2, 0.3, 1.0])).tolist() == [0, 0.25, 0.25]
