"""Runs tested against each other: the better one is found, equals are not told apart."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import log_loss

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.evaluation import compare, compare_folds, compare_on, corrected_resampled_t

pytestmark = pytest.mark.slow
KEPT = {"out": False, "model": "linear", "epochs": 30, "set": {"train.lr": 0.05}}


def table(rows: int = 300, seed: int = 0, columns: str = "ab") -> pl.DataFrame:
    random = np.random.default_rng(seed)
    values = {name: random.normal(size=rows) for name in columns}
    score = 2 * sum(values.values()) + random.logistic(size=rows)
    return pl.DataFrame({**values, "y": np.where(score > 0, "yes", "no"), "z": score})


@pytest.fixture(scope="module")
def runs():
    """A network that sees all that matters, one that sees half, and a twin of the first."""
    frame = table()
    half = {"data.types.b": "identifier"}
    whole = glial.train(frame.drop("z"), target="y", **KEPT)
    less = glial.train(frame.drop("z"), target="y", **KEPT | {"set": {"train.lr": 0.05} | half})
    return whole, less, whole


def test_the_better_run_is_found_and_equals_are_not_told_apart(runs):
    new = table(400, seed=1).drop("z")
    found = compare_on(runs, new)
    assert found.rows == 400
    better, same, worse = found.pairs
    assert better.better == better.first == "1"
    assert better.verdict.startswith("1 is better than 2 on log_loss by 0.")
    assert better.metrics["log_loss"].high < 0 < better.metrics["accuracy"].low
    assert max(better.adjusted[name] for name in ("mcnemar", "t", "wilcoxon")) < 1e-3
    assert same.better is None
    assert same.verdict == "1 and 3 cannot be told apart on log_loss: 0 [0, 0]"
    assert same.metrics["log_loss"].p_value == same.mcnemar.exact == 1.0
    assert worse.better == worse.second == "3"
    assert worse.metrics["log_loss"].difference == -better.metrics["log_loss"].difference


def test_numbers_of_a_pair_are_those_of_the_metrics_and_of_scipy(runs):
    new = table(200, seed=2).drop("z")
    pair = compare_on(runs[:2], new, metric="accuracy").pairs[0]
    found = [glial.predict(run, new) for run in runs[:2]]
    truth = new["y"].to_numpy()
    right = [one["prediction"].to_numpy() == truth for one in found]
    scores = [glial.evaluate(run, new)["metrics"] for run in runs[:2]]
    for name, one in pair.metrics.items():
        assert (one.first, one.second) == pytest.approx((scores[0][name], scores[1][name]))
    assert pair.mcnemar.only_first == (right[0] & ~right[1]).sum()
    losses = [
        [
            log_loss([t], [[1 - p, p]], labels=["no", "yes"])
            for t, p in zip(truth, shares, strict=True)
        ]
        for shares in (one["probability_yes"] for one in found)
    ]
    assert pair.t.p_value == pytest.approx(stats.ttest_rel(*losses).pvalue, rel=1e-6)
    assert pair.wilcoxon.p_value == pytest.approx(stats.wilcoxon(*map(np.array, losses)).pvalue)
    assert pair.metric == "accuracy"
    assert pair.better == "1"


def test_regressions_are_compared_in_the_units_of_the_target():
    frame = table()
    runs = [
        glial.train(frame.drop("y"), target="z", **KEPT | {"set": {"train.lr": 0.05} | more})
        for more in ({}, {"data.types.b": "identifier"})
    ]
    new = table(300, seed=1).drop("y")
    found = compare_on(runs, new)
    pair = found.pairs[0]
    assert pair.metric == "root_mean_squared_error"
    assert pair.better == "1"
    assert pair.mcnemar is None
    one = pair.metrics["root_mean_squared_error"]
    scores = [metrics["rmse"] for metrics in found.metrics]
    assert (one.first, one.second) == pytest.approx(tuple(scores))
    assert one.low < one.difference < one.high < 0


def test_rows_of_unseen_classes_count_as_errors_only(runs):
    new = table(50, seed=3).drop("z")
    odd = pl.concat([new, new[:5].with_columns(y=pl.lit("perhaps"))])
    found, base = (compare_on(runs[:2], frame).pairs[0] for frame in (odd, new))
    assert found.metrics["log_loss"].first == pytest.approx(base.metrics["log_loss"].first)
    accuracy = base.metrics["accuracy"].first
    assert found.metrics["accuracy"].first == pytest.approx(accuracy * 50 / 55)


@pytest.mark.filterwarnings("ignore:A single label was found")
def test_one_row_and_weights_of_rows(runs):
    pair = compare_on(runs[:2], table(1, seed=3).drop("z")).pairs[0]
    assert pair.better is None
    assert np.isnan(pair.t.p_value)
    frame = table(100).drop("z").with_columns(w=pl.Series([1.0] * 50 + [0.0] * 50))
    weighted = [glial.train(frame, target="y", weight="w", **KEPT | {"epochs": 2}) for _ in "ab"]
    found = compare_on(weighted, frame)
    only = compare_on(weighted, frame[:50].with_columns(w=1.0))
    for name in ("log_loss", "accuracy"):
        first = only.pairs[0].metrics[name].first
        assert found.pairs[0].metrics[name].first == pytest.approx(first)
    with pytest.raises(InputError, match="weigh the rows differently"):
        compare_on([weighted[0], runs[0]], frame)


def test_wrong_requests_are_refused(runs):
    numbers = glial.train(table().drop("y"), target="z", **KEPT | {"epochs": 1})
    renamed = glial.train(table().drop("z").rename({"y": "v"}), target="v", **KEPT | {"epochs": 1})
    new = table(20)
    for wrong, said in (([runs[0], numbers], "same task"), ([runs[0], renamed], "same target")):
        with pytest.raises(InputError, match=said):
            compare_on(wrong, new)
    with pytest.raises(InputError, match="nothing to compare"):
        compare_on(runs[:1], new)
    with pytest.raises(InputError, match="metric"):
        compare_on(runs, new, metric="accurac")
    with pytest.raises(InputError):
        compare_on(runs, new, confidence=1.0)
    with pytest.raises(InputError):
        compare_on(runs, new, replicates=0)
    with pytest.raises(InputError):
        compare_on(runs, new.drop("y"))


def test_folds_and_rows_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table(150).drop("z").write_csv("t.csv")
    table(150, seed=1).drop("z").write_csv("new.csv")
    asked = {"model": "linear", "folds": 3}
    lr = {"train.lr": 0.05}
    glial.train("t.csv", "y", out="a", set=lr, epochs=10, **asked)
    glial.train("t.csv", "y", out="b", set=lr | {"data.types.b": "identifier"}, epochs=10, **asked)
    glial.train("t.csv", "y", out="c", set=lr, seed=1, epochs=1, **asked)
    capsys.readouterr()
    assert main(["compare", "a", "b", "c", "--on", "new.csv", "--with-first", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {"runs", "differences", "folds", "on"} <= set(result)
    assert [(p["first"], p["second"]) for p in result["on"]["pairs"]] == [("a", "b"), ("a", "c")]
    assert result["on"]["pairs"][0]["better"] == "a"
    (pair,) = result["folds"]  # another seed divides the rows into other folds
    assert (pair["first"], pair["second"], pair["folds"]) == ("a", "b", 3)
    members = [json.loads((tmp_path / n / "metrics.json").read_text())["members"] for n in "ab"]
    first, second = (np.array([m["metrics"]["val"]["accuracy"] for m in one]) for one in members)
    oracle = corrected_resampled_t(first - second, 1 / 3)
    assert pair["metrics"]["accuracy"]["p_value"] == oracle.p_value
    assert compare(["a", "b"])["folds"] == compare_folds(["a", "b"])
    assert main(["compare", "a", "b", "--on", "new.csv"]) == 0
    said = capsys.readouterr().out
    assert "a is better than b on log_loss by" in said
    assert "McNemar" in said
    assert "over 3 folds" in said
