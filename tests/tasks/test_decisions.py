"""Decisions: closed forms of costs, thresholds against brute force and scikit-learn, states."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from glial.core.errors import InputError
from glial.tasks import TaskSettings, fit_task, load_task
from glial.tasks.decisions import (
    cost_matrix,
    cost_weights,
    decide,
    mean_cost,
    tuned_threshold,
    tuned_thresholds,
)

SCORES = {
    "accuracy": metrics.accuracy_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
    "f1": lambda t, g, **o: metrics.f1_score(t, g, zero_division=0, **o),
    "f1_macro": lambda t, g, **o: metrics.f1_score(t, g, average="macro", zero_division=0, **o),
    "precision": lambda t, g, **o: metrics.precision_score(t, g, zero_division=0, **o),
    "recall": lambda t, g, **o: metrics.recall_score(t, g, zero_division=0, **o),
    "matthews_corrcoef": metrics.matthews_corrcoef,
}
OF_SEVERAL = ("accuracy", "balanced_accuracy", "f1_macro", "matthews_corrcoef")


def task_of(values, name="classification", **options):
    return fit_task(pl.DataFrame({"y": values}), ["y"], TaskSettings(name=name, **options))


def logits(probabilities):
    return torch.tensor(probabilities, dtype=torch.float64).logit()[:, None]


# Costs


@given(st.floats(0.1, 50), st.floats(0.1, 50))
def test_two_costs_are_a_threshold_in_closed_form(false_alarm, miss):
    costs = cost_matrix({"n": {"y": false_alarm}, "y": {"n": miss}}, ["n", "y"])
    threshold = false_alarm / (false_alarm + miss)
    positive = np.linspace(0, 1, 201)
    positive = positive[np.abs(positive - threshold) > 1e-9]
    shares = np.stack([1 - positive, positive], axis=1)
    assert decide(shares, costs=costs).tolist() == (positive > threshold).astype(int).tolist()


@given(st.integers(3, 5), st.integers(0, 100))
def test_no_other_class_costs_less_in_expectation(size, seed):
    random = np.random.default_rng(seed)
    costs, shares = random.random((size, size)), random.dirichlet(np.ones(size), 20)
    for row, guess in zip(shares, decide(shares, costs=costs), strict=True):
        expected = [sum(row[i] * costs[i, j] for i in range(size)) for j in range(size)]
        assert expected[guess] == min(expected)


def test_equal_costs_choose_the_likeliest_class():
    shares = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    costs = cost_matrix({}, list("abcd"))
    assert decide(shares, costs=costs).tolist() == shares.argmax(axis=1).tolist()


def test_weights_of_two_classes_have_the_ratio_of_their_costs():
    costs = np.array([[0.0, 2.0], [14.0, 0.0]])
    no, yes = cost_weights(costs, [0.9, 0.1])
    assert yes / no == pytest.approx(7)
    assert 0.9 * no + 0.1 * yes == pytest.approx(1)
    assert cost_weights(cost_matrix({}, list("abc")), [0.5, 0.3, 0.2]) == pytest.approx([1, 1, 1])


def test_weights_in_training_move_the_decision_to_the_threshold_of_the_costs():
    """The least weighted loss of a constant output is the share after reweighting."""
    task = task_of(["n"] * 8 + ["y"] * 2, costs={"y": {"n": 4.0}}, cost_use="training")
    target = torch.tensor([0] * 8 + [1] * 2)
    output = torch.tensor([[0.0]], requires_grad=True)
    task.loss(output.expand(10, 1), target).backward()  # 8 times 1 against 2 times 4
    assert output.grad.item() == pytest.approx(0, abs=1e-6)
    assert task.decode(logits([0.3])).predictions["prediction"].tolist() == ["n"]


@pytest.mark.slow
def test_the_recall_of_a_class_rises_with_its_cost():
    torch.manual_seed(0)
    target = (torch.rand(2000) < 0.08).long()
    x = torch.randn(2000, 1) + 1.2 * target[:, None]
    frame = pl.DataFrame({"y": target.numpy()})
    for use in ("decision", "training"):
        recalls, costs = [], []
        for cost in (1.0, 4.0, 12.0):
            options = {"costs": {"1": {"0": cost}}, "cost_use": use}
            task = fit_task(frame, ["y"], TaskSettings(name="classification", **options))
            model = torch.nn.Linear(1, 1)
            optimizer = torch.optim.Adam(model.parameters(), 0.3)
            for _ in range(50):
                optimizer.zero_grad()
                task.loss(model(x), target).backward()
                optimizer.step()
            scores = task.scores(model(x).detach(), frame)
            recalls.append(scores["recall"])
            costs.append((scores["cost"], 0.0 + cost * float(target.float().mean())))
        assert recalls[0] < recalls[1] < recalls[2]
        for cost, of_the_majority_predictor in costs[1:]:
            assert cost < of_the_majority_predictor


def test_the_cost_of_a_row_is_the_mean_over_the_confusion_matrix():
    frame = pl.DataFrame({"y": list("nnnyy")})
    task = task_of(list("nnnyy"), costs={"n": {"y": 2.0}, "y": {"n": 10.0, "y": 1.0}})
    outputs = logits([0.01, 0.02, 0.9, 0.03, 0.95])
    scores = task.scores(outputs, frame)
    (tn, fp), (fn, tp) = task.details(outputs, frame)["confusion_matrix"]["counts"]
    assert (tn, fp, fn, tp) == (2, 1, 1, 1)
    assert scores["cost"] == pytest.approx((2 * fp + 10 * fn + 1 * tp) / 5)
    weight = np.array([1.0, 1.0, 3.0, 0.0, 5.0])
    assert task.scores(outputs, frame, weight)["cost"] == pytest.approx((2 * 3 + 1 * 5) / 10)
    assert math.isnan(mean_cost(np.array([-1]), np.array([0]), np.eye(2)))


@pytest.mark.parametrize(
    ("costs", "match"),
    [
        ({"setsa": {"virginica": 2.0}}, "did you mean 'setosa'"),
        ({"setosa": {"zebra": 2.0}}, "take this class out"),
        ({"setosa": {"setosa": 5.0}}, "right answers"),
        ({"setosa": {"virginica": 0.0}, "virginica": {"setosa": 0.0}}, "right answers"),
    ],
)
def test_costs_that_make_no_sense_are_refused(costs, match):
    with pytest.raises(InputError, match=match):
        task_of(["setosa", "virginica"], costs=costs)


def test_costs_and_thresholds_need_classes_and_not_both():
    with pytest.raises(InputError, match="both decide"):
        task_of(["a", "b"], costs={"a": {"b": 2.0}}, threshold="f1")
    task_of(["a", "b"], costs={"a": {"b": 2.0}}, threshold="f1", cost_use="training")
    for options in ({"threshold": 0.3}, {"costs": {"a": {"b": 1.0}}}):
        with pytest.raises(InputError, match="does not fit the task"):
            task_of([1.0, 2.0], "regression", **options)
    for threshold in (0.3, "f1", "precision"):
        with pytest.raises(InputError, match="one of two classes"):
            task_of(list("abc"), threshold=threshold)


# Thresholds


def drawn(seed, size, rows=40):
    """Probabilities with ties, truths, and weights."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.ones(size), rows)
    if size == 2:
        positive = shares[:, 1].round(1 + seed % 2)
        shares = np.stack([1 - positive, positive], axis=1)
    return shares, random.integers(0, size, rows), random.random(rows)


@pytest.mark.parametrize("metric", SCORES)
@settings(max_examples=8)
@given(seed=st.integers(0, 300), weighted=st.booleans())
@pytest.mark.slow
def test_no_threshold_beats_the_tuned_one(metric, seed, weighted):
    shares, truth, weight = drawn(seed, 2)
    options = {"sample_weight": weight} if weighted else {}
    found = tuned_threshold(shares[:, 1], truth, metric, weight if weighted else None)
    assert 0 <= found <= 1

    def score(threshold):
        return SCORES[metric](truth, (shares[:, 1] >= threshold).astype(int), **options)

    values = np.unique(shares[:, 1])
    every = [*values, *(values + 1e-9), *((values[1:] + values[:-1]) / 2), 1.0 + 1e-9]
    assert score(found) >= max(map(score, every)) - 1e-9


def test_the_tuned_threshold_lies_in_the_middle_of_the_best_interval():
    truth = np.array([0, 0, 1, 1])
    assert tuned_threshold(np.array([0.1, 0.2, 0.6, 0.7]), truth, "f1") == pytest.approx(0.4)
    # From 0.2 to 0.5 accuracy is the same: the rows between, of both classes, balance.
    positive = np.array([0.1, 0.2, 0.3, 0.4, 0.9])
    found = tuned_threshold(positive, np.array([0, 0, 1, 0, 1]), "accuracy")
    assert found in (pytest.approx(0.25), pytest.approx(0.65))


@pytest.mark.slow
def test_a_threshold_of_scikit_learn_is_no_better():
    """TunedThresholdClassifierCV looks at 100 thresholds, we at every one, on the same rows."""
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import TunedThresholdClassifierCV

    x, y = make_classification(1500, weights=[0.93], flip_y=0.05, random_state=0)
    model = LogisticRegression().fit(x[:700], y[:700])
    for metric in ("balanced_accuracy", "f1", "matthews_corrcoef"):
        peer = TunedThresholdClassifierCV(model, scoring=metric, cv="prefit", refit=False)
        peer.fit(x[700:], y[700:])
        positive = model.predict_proba(x[700:])[:, 1]
        ours = tuned_threshold(positive, y[700:], metric)
        best = SCORES[metric](y[700:], (positive >= ours).astype(int))
        assert best >= SCORES[metric](y[700:], (positive >= peer.best_threshold_).astype(int))
        assert best == pytest.approx(peer.best_score_, abs=0.03)
        assert best > SCORES[metric](y[700:], model.predict(x[700:]))


@pytest.mark.slow
@pytest.mark.parametrize("metric", OF_SEVERAL)
@pytest.mark.parametrize("size", [3, 5])
@settings(max_examples=6)
@given(seed=st.integers(0, 100), weighted=st.booleans())
def test_thresholds_of_several_classes_are_a_local_best(metric, size, seed, weighted):
    shares, truth, weight = drawn(seed, size, rows=25)
    options = {"sample_weight": weight} if weighted else {}
    found = tuned_thresholds(shares, truth, metric, weight if weighted else None)
    assert sum(found) == pytest.approx(1)
    assert min(found) > 0

    def score(thresholds):
        return SCORES[metric](truth, decide(shares, list(thresholds)), **options)

    best = score(found)
    assert best >= SCORES[metric](truth, shares.argmax(axis=1), **options) - 1e-9
    for code in range(size):
        for factor in np.geomspace(0.01, 100, 12):
            other = np.array(found)
            other[code] *= factor
            assert best >= score(other) - 1e-9


def test_thresholds_of_several_classes_find_the_rare_ones():
    random = np.random.default_rng(0)
    truth = random.choice(3, 3000, p=[0.9, 0.07, 0.03])
    scores = random.normal(size=(3000, 3)) + 1.5 * np.eye(3)[truth]
    shares = np.exp(1.5 * scores) * [0.9, 0.07, 0.03]  # Bayes' rule
    shares /= shares.sum(axis=1, keepdims=True)
    found = tuned_thresholds(shares[:1500], truth[:1500], "balanced_accuracy")
    plain, tuned = (
        metrics.balanced_accuracy_score(truth[1500:], guess)
        for guess in (shares[1500:].argmax(axis=1), decide(shares[1500:], found))
    )
    assert tuned > plain + 0.15
    # What is best for it is to divide by the shares of the classes.
    best = metrics.balanced_accuracy_score(truth[1500:], decide(shares[1500:], [0.9, 0.07, 0.03]))
    assert tuned > best - 0.05


# Tasks


def test_a_given_threshold_decides_at_once():
    task = task_of(["n", "y"], threshold=0.2)
    outputs, frame = logits([0.1, 0.3]), pl.DataFrame({"y": ["n", "y"]})
    assert task.decode(outputs).predictions["prediction"].tolist() == ["n", "y"]
    assert task.scores(outputs, frame)["recall"] == 1.0
    assert task.details(outputs, frame)["confusion_matrix"]["counts"] == [[1, 0], [0, 1]]
    task.tune(outputs, frame)
    assert task.thresholds == [0.2]
    assert task_of(["n", "y"]).scores(outputs, frame)["recall"] == 0.0


@pytest.mark.parametrize("size", [2, 3])
def test_a_tuned_threshold_is_used_saved_and_loaded(size):
    names = list("abc")[:size]
    truth = [names[i % size] for i in range(90)]
    frame = pl.DataFrame({"y": truth})
    task = task_of(truth, threshold="balanced_accuracy")
    plain = task.state()
    torch.manual_seed(0)
    outputs = torch.randn(90, task.num_outputs) - 3.0
    outputs += torch.arange(float(task.num_outputs))
    before = task.scores(outputs, frame)
    task.tune(outputs, frame)
    after = task.scores(outputs, frame)
    assert after["balanced_accuracy"] > before["balanced_accuracy"]
    assert after["log_loss"] == before["log_loss"]
    assert (
        after["average_precision" if size == 2 else "roc_auc"]
        == before["average_precision" if size == 2 else "roc_auc"]
    )
    options = task.settings
    again = load_task(json.loads(json.dumps(task.state())), options)
    assert again.thresholds == task.thresholds
    assert again.decode(outputs).frame().equals(task.decode(outputs).frame())
    assert again.scores(outputs, frame) == after
    guess = task.decode(outputs).predictions["prediction"]
    assert metrics.balanced_accuracy_score(truth, guess) == after["balanced_accuracy"]
    damaged = [[], [0.5] * 4, ["a"], [-0.1] * len(task.thresholds), "x", None, {}]
    damaged += [[2.0] * len(task.thresholds)]
    damaged += [[0.0] * 3] if size == 3 else []
    for value in damaged:
        with pytest.raises(InputError, match="damaged"):
            load_task(task.state() | {"thresholds": value}, options)
    with pytest.raises(InputError, match="damaged"):
        load_task(plain, options)


def test_rows_of_unknown_classes_do_not_tune():
    task = task_of(["n", "y"], threshold="f1")
    frame = pl.DataFrame({"y": ["n", "n", "y", "zebra"]})
    task.tune(logits([0.1, 0.2, 0.3, 0.05]), frame)
    assert task.thresholds == [pytest.approx(0.25)]


@pytest.mark.parametrize("values", [["n", "n"], ["zebra", None]])
def test_one_class_alone_tunes_nothing(values, caplog):
    task = task_of(["n", "y"], threshold="f1")
    task.tune(logits([0.1, 0.2]), pl.DataFrame({"y": pl.Series(values, dtype=pl.String)}))
    assert task.thresholds == [0.5]
    assert "all of one class" in caplog.text
    assert tuned_thresholds(np.full((2, 3), 1 / 3), np.array([1, 1]), "accuracy") == [1 / 3] * 3


@pytest.mark.parametrize("metric", ["f1", "f1_macro", "matthews_corrcoef"])
def test_each_question_has_a_threshold_of_its_own(metric):
    frame = pl.DataFrame({"p": [0, 0, 1, 1, 0], "q": [0, 1, 1, 1, 0]})
    options = TaskSettings(name="multilabel", threshold=metric)
    task = fit_task(frame, ["p", "q"], options)
    shares = [[0.1, 0.3], [0.15, 0.8], [0.2, 0.9], [0.3, 0.7], [0.12, 0.6]]
    outputs = torch.tensor(shares, dtype=torch.float64).logit()
    assert task.scores(outputs, frame)["accuracy"] < 1
    task.tune(outputs, frame)
    assert task.thresholds == [pytest.approx(0.175), pytest.approx(0.65)]
    assert task.scores(outputs, frame)["accuracy"] == 1
    decoded = task.decode(outputs).predictions
    assert decoded["prediction_p"].tolist() == frame["p"].to_list()
    again = load_task(json.loads(json.dumps(task.state())), options)
    assert again.decode(outputs).frame().equals(task.decode(outputs).frame())
    with pytest.raises(InputError, match="damaged"):
        load_task(task.state() | {"thresholds": [0.5]}, options)
