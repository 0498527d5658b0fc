"""Fairness: every figure against fairlearn's, laws of resampling and of chance, planted truth."""

from __future__ import annotations

import json
import warnings

import numpy as np
import polars as pl
import pytest
from scipy import stats

import glial
from glial.core.errors import InputError
from glial.core.files import to_json
from glial.evaluation.fairness.audits import audit
from glial.evaluation.fairness.gaps import compare_groups, conflict, implied_false_positive_rate
from glial.evaluation.fairness.rates import of_classes, of_numbers
from glial.evaluation.fairness.sensitive import Grouping, groupings


@pytest.fixture(scope="module")
def fairlearn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import fairlearn.metrics
    return fairlearn.metrics


def drawn(seed, rows=400, groups=3):
    random = np.random.default_rng(seed)
    codes = random.integers(0, groups, rows)
    truth = random.random(rows) < 0.3 + 0.1 * codes
    shares = np.clip(0.3 * truth + random.random(rows) * 0.7, 0, 1)
    guess = shares > 0.4 + 0.05 * codes
    names = [{"g": str(code)} for code in range(groups)]
    return truth, guess, shares, Grouping(["g"], names, codes), random.random(rows) + 0.1


def gaps(measures, grouping, **options):
    found = compare_groups(measures, grouping, **{"min_rows": 1, "replicates": 0, **options})
    return {name: gap.value for name, gap in found.gaps.items()}


# Oracles


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("weighs", [False, True])
def test_figures_are_those_of_fairlearn(fairlearn, seed, weighs):
    truth, guess, shares, grouping, weight = drawn(seed)
    weight = weight if weighs else np.ones(len(truth))
    options = {"sensitive_features": grouping.codes, "sample_weight": weight}
    measures = of_classes(truth, guess, shares, weight)
    mine = gaps(measures, grouping)
    for name in ("demographic_parity", "equal_opportunity", "equalized_odds"):
        for kind in ("difference", "ratio"):
            theirs = getattr(fairlearn, f"{name}_{kind}")(truth, guess, **options)
            assert mine[f"{name}_{kind}"] == pytest.approx(theirs)
    from sklearn.metrics import accuracy_score, precision_score

    functions = {
        "selection_rate": fairlearn.selection_rate,
        "true_positive_rate": fairlearn.true_positive_rate,
        "false_positive_rate": fairlearn.false_positive_rate,
        "false_negative_rate": fairlearn.false_negative_rate,
        "precision": precision_score,
        "accuracy": accuracy_score,
        "calibration_in_the_large": lambda t, _, sample_weight: 0,
    }
    frame = fairlearn.MetricFrame(
        metrics=functions,
        y_true=truth,
        y_pred=guess,
        sensitive_features=grouping.codes,
        sample_params={name: {"sample_weight": weight} for name in functions},
    )
    found = compare_groups(measures, grouping, min_rows=1, replicates=0)
    for code, group in enumerate(found.groups):
        here = grouping.codes == code
        for name in functions:
            theirs = frame.by_group[name].loc[code]
            if name == "calibration_in_the_large":
                theirs = np.average(shares[here] - truth[here], weights=weight[here])
            assert group.figures[name].value == pytest.approx(theirs)
    assert mine["predictive_parity_difference"] == pytest.approx(frame.difference()["precision"])
    assert mine["accuracy_difference"] == pytest.approx(frame.difference()["accuracy"])


def test_calibration_is_the_weighted_gap_of_its_bins():
    truth, guess, shares, grouping, _ = drawn(3)
    found = compare_groups(of_classes(truth, guess, shares), grouping, min_rows=1, replicates=0)
    for code, group in enumerate(found.groups):
        here = grouping.codes == code
        bins = np.minimum(np.floor(shares[here] * 10), 9)
        expected = sum(
            (bins == b).mean() * abs(shares[here][bins == b].mean() - truth[here][bins == b].mean())
            for b in np.unique(bins)
        )
        assert group.figures["expected_calibration_error"].value == pytest.approx(expected)


@pytest.mark.parametrize("weighs", [False, True])
def test_errors_are_those_of_scikit_learn(fairlearn, weighs):
    from sklearn import metrics

    random = np.random.default_rng(0)
    truth, codes = random.normal(size=300), random.integers(0, 2, 300)
    predicted = truth + random.normal(size=300) * (1 + codes) + 0.5 * codes
    weight = random.random(300) if weighs else np.ones(300)
    grouping = Grouping(["g"], [{"g": "a"}, {"g": "b"}], codes)
    found = compare_groups(of_numbers(truth, predicted, weight), grouping, replicates=0)
    for code, group in enumerate(found.groups):
        here = codes == code
        rows = (truth[here], predicted[here])
        figures = {name: figure.value for name, figure in group.figures.items()}
        assert figures == pytest.approx(
            {
                "mean_prediction": np.average(rows[1], weights=weight[here]),
                "mean_error": np.average(rows[1] - rows[0], weights=weight[here]),
                "mean_absolute_error": metrics.mean_absolute_error(
                    *rows, sample_weight=weight[here]
                ),
                "root_mean_squared_error": metrics.root_mean_squared_error(
                    *rows, sample_weight=weight[here]
                ),
            }
        )
        assert group.error_quantiles["0.5"] == pytest.approx(np.median(rows[1] - rows[0]))


# Intervals and chance


def test_intervals_of_a_rate_are_about_wilsons():
    random = np.random.default_rng(0)
    guess, codes = random.random(2000) < 0.3, np.arange(2000) % 2
    grouping = Grouping(["g"], [{"g": "a"}, {"g": "b"}], codes)
    found = compare_groups(of_classes(guess, guess, guess.astype(float)), grouping)
    for code, group in enumerate(found.groups):
        figure = group.figures["selection_rate"]
        wilson = stats.binomtest(int(guess[codes == code].sum()), 1000).proportion_ci(
            method="wilson"
        )
        assert (figure.low, figure.high) == pytest.approx(tuple(wilson), abs=0.006)


@pytest.mark.slow
def test_intervals_of_a_difference_cover_the_truth():
    covered = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        codes = np.arange(400) % 2
        guess = random.random(400) < np.where(codes == 1, 0.5, 0.3)
        grouping = Grouping(["g"], [{"g": "a"}, {"g": "b"}], codes)
        measures = of_classes(guess, guess, guess.astype(float))
        gap = compare_groups(measures, grouping, replicates=300).gaps
        found = gap["demographic_parity_difference"]
        covered += found.low <= 0.2 <= found.high
    assert covered >= stats.binom.ppf(0.001, 100, 0.95)


def test_chance_is_fishers_exact_test_of_two_groups():
    codes = np.array([0] * 30 + [1] * 30)
    guess = np.array([True] * 12 + [False] * 18 + [True] * 4 + [False] * 26)
    grouping = Grouping(["g"], [{"g": "a"}, {"g": "b"}], codes)
    measures = of_classes(guess, guess, guess.astype(float))
    gap = compare_groups(measures, grouping, replicates=20_000, min_rows=30).gaps
    exact = stats.fisher_exact([[12, 18], [4, 26]]).pvalue  # equal sizes: as rare is as large
    assert gap["demographic_parity_difference"].chance == pytest.approx(exact, abs=0.004)


@pytest.mark.slow
def test_equal_groups_seldom_differ_more_than_by_chance():
    small = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        guess, codes = random.random(200) < 0.4, np.arange(200) % 4
        grouping = Grouping(["g"], [{"g": str(code)} for code in range(4)], codes)
        measures = of_classes(guess, guess, guess.astype(float))
        gap = compare_groups(measures, grouping, replicates=100).gaps
        small += gap["demographic_parity_difference"].chance <= 0.1
    assert small <= stats.binom.ppf(0.999, 200, 0.1)


def test_the_same_seed_gives_the_same_numbers_and_weights_no_chance():
    truth, guess, shares, grouping, weight = drawn(0)
    one, two = (compare_groups(of_classes(truth, guess, shares), grouping) for _ in range(2))
    assert one == two
    other = compare_groups(of_classes(truth, guess, shares, weight), grouping)
    assert np.isnan(other.gaps["demographic_parity_difference"].chance)


def test_rows_that_belong_together_are_drawn_together():
    truth, guess, shares, grouping, _ = drawn(0)
    copies = np.repeat(np.arange(400), 9)
    ninefold = Grouping(grouping.columns, grouping.groups, grouping.codes[copies])
    one = compare_groups(of_classes(truth, guess, shares), grouping)
    measures = of_classes(truth[copies], guess[copies], shares[copies])
    found = compare_groups(measures, ninefold, clusters=copies)
    apart = compare_groups(measures, ninefold)
    widths = [
        group.figures["accuracy"].high - group.figures["accuracy"].low
        for audit in (one, found, apart)
        for group in audit.groups[:1]
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)
    assert widths[2] == pytest.approx(widths[0] / 3, rel=0.15)
    assert np.isnan(found.gaps["accuracy_difference"].chance)
    alone = compare_groups(measures, ninefold, clusters=ninefold.codes)
    assert np.isnan(alone.groups[0].figures["accuracy"].low)


def test_probabilities_that_are_no_numbers_leave_no_calibration():
    truth, guess, shares, grouping, _ = drawn(0)
    found = compare_groups(of_classes(truth, guess, shares * np.nan), grouping, replicates=0)
    figures = found.groups[0].figures
    assert np.isnan(figures["expected_calibration_error"].value)
    assert 0 < figures["selection_rate"].value < 1


# Small groups


def test_groups_too_small_are_said_so_and_not_compared():
    codes = np.array([0] * 100 + [1] * 100 + [2] * 5)
    guess = np.array(([True] * 50 + [False] * 50) * 2 + [True] * 5)
    truth = np.array([True] * 105 + [False] * 100)
    grouping = Grouping(["g"], [{"g": name} for name in "abc"], codes)
    found = compare_groups(of_classes(truth, guess, guess.astype(float)), grouping, replicates=50)
    assert found.gaps["demographic_parity_difference"].value == 0.0
    few = found.groups[2].figures["selection_rate"]
    assert (few.value, few.rows, few.enough) == (1.0, 5, False)
    assert np.isnan(few.low)
    # Only the first group has positive rows enough.
    assert np.isnan(found.gaps["equal_opportunity_difference"].value)
    assert np.isnan(found.gaps["equalized_odds_difference"].value)


# What cannot all be had


@pytest.mark.parametrize("seed", range(5))
def test_a_groups_false_positive_rate_follows_from_three_other_figures(seed):
    truth, guess, shares, grouping, _ = drawn(seed)
    found = compare_groups(of_classes(truth, guess, shares), grouping, min_rows=1, replicates=0)
    for group in found.groups:
        figures = {name: figure.value for name, figure in group.figures.items()}
        implied = implied_false_positive_rate(
            figures["base_rate"], figures["precision"], figures["true_positive_rate"]
        )
        assert implied == pytest.approx(figures["false_positive_rate"])


def test_without_errors_or_with_equal_base_rates_nothing_conflicts():
    compared = np.array([True, True])
    enough = dict.fromkeys(("base_rate", "precision", "true_positive_rate"), compared)
    rates = {
        "base_rate": np.array([0.2, 0.6]),
        "precision": np.ones(2),
        "true_positive_rate": np.ones(2),
    }
    assert conflict(rates, enough)["false_positive_rates"] == [0, 0]
    rates |= {"base_rate": np.array([0.3, 0.3]), "precision": np.array([0.5, 0.7])}
    first, second = conflict(rates, enough)["false_positive_rates"]
    assert first == second > 0
    rates["base_rate"] = np.array([0.0, 0.3])
    assert conflict(rates, enough) == {}


# Groups


def test_numbers_are_cut_at_quantiles_and_missing_cells_are_a_group():
    frame = pl.DataFrame({"age": [*map(float, range(100)), None], "sex": ["f", "m"] * 50 + ["?"]})
    age, sex, both = groupings(frame, ["age", "sex"])
    assert age.sizes.tolist() == [25, 25, 25, 25, 1]
    assert age.groups[0] == {"age": "0 to 24"}
    assert age.groups[-1] == {"age": "(missing)"}
    assert sex.sizes.tolist() == [50, 50, 1]
    assert both.sizes.sum() == 101
    assert {"age": "75 to 99", "sex": "m"} in both.groups


def test_bins_of_many_equal_numbers_are_fewer():
    frame = pl.DataFrame({"gain": [0.0] * 90 + [float(n) for n in range(1, 21)]})
    [grouping] = groupings(frame, ["gain"])
    assert [group["gain"] for group in grouping.groups] == ["0", "1 to 20"]


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        (["nowhere"], ["f", "m"]),
        (["sex", "sex"], ["f", "m"]),
        ([], ["f", "m"]),
        (["sex"], ["f", "f"]),
        (["sex"], [None, None]),
        (["sex"], [f"name {n}" for n in range(60)]),
    ],
)
def test_columns_that_tell_nothing_apart_are_refused(columns, values):
    with pytest.raises(InputError):
        groupings(pl.DataFrame({"sex": values}), columns)


# Runs


@pytest.fixture(scope="module")
def hiring():
    random = np.random.default_rng(0)
    sex = random.choice(["f", "m"], 1200)
    skill = random.normal(size=1200)
    hired = skill + np.where(sex == "m", 0.8, -0.8) + random.normal(size=1200) * 0.5 > 0
    proxy = np.where(sex == "m", 1.0, -1.0) + random.normal(size=1200) * 0.3
    return pl.DataFrame(
        {
            "skill": skill,
            "height": proxy,
            "sex": sex,
            "hired": np.where(hired, "yes", "no"),
            "pay": skill + proxy + random.normal(size=1200) * 0.1,
        }
    )


@pytest.fixture(scope="module")
def hired(hiring):
    columns = hiring.drop("sex", "pay")
    return glial.train(columns, target="hired", model="linear", epochs=15, out=False)


@pytest.mark.slow
def test_a_column_that_is_no_input_is_audited(hiring, hired):
    [found] = audit(hired, hiring, "sex", replicates=200)
    gap = found.gaps["demographic_parity_difference"]
    assert gap.value > 0.4
    assert gap.low > 0.3
    assert gap.chance < 0.01
    assert found.outcome == "yes"
    assert len(found.conflict["false_positive_rates"]) == 2
    said = glial.predict(hired, hiring.drop("hired"))["prediction"]
    for group in found.groups:
        rate = (said.filter(hiring["sex"] == group.group["sex"]) == "yes").mean()
        assert group.figures["selection_rate"].value == pytest.approx(rate)
    told = json.loads(to_json(found.to_dict()))
    assert told["by"] == ["sex"]
    [other] = audit(hired, hiring, "sex", outcome="no", replicates=0)
    assert other.gaps["demographic_parity_difference"].value == pytest.approx(gap.value)


@pytest.mark.slow
def test_bad_questions_are_refused(hiring, hired):
    for options in (
        {"by": "nowhere"},
        {"by": "sex", "outcome": "maybe"},
        {"by": "sex", "replicates": 3},
        {"by": "sex", "bins": 1},
    ):
        with pytest.raises(InputError):
            audit(hired, hiring, **options)


@pytest.mark.slow
def test_numbers_and_several_questions_are_audited(hiring):
    run = glial.train(hiring.drop("hired"), target="pay", model="linear", epochs=20, out=False)
    found = audit(run, hiring, ["sex"], replicates=0)
    assert [one.outcome for one in found] == ["pay"]
    assert found[0].gaps["mean_prediction_difference"].value > 1
    frame = hiring.with_columns(tall=pl.col("height") > 0)
    run = glial.train(
        frame.drop("sex"), ["hired", "tall"], task="multilabel", model="linear", epochs=2, out=False
    )
    assert [one.outcome for one in audit(run, frame, "sex", replicates=0)] == ["hired", "tall"]
