"""Calibrators: scikit-learn's, closed forms, recovered truths; states; what cannot be fitted."""

from __future__ import annotations

import json
import logging

import numpy as np
import polars as pl
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit, softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

import glial
from glial.core.errors import InputError
from glial.tasks import TaskSettings, fit_task, load_task
from glial.tasks.calibration import CALIBRATORS, Isotonic, Platt, fit_calibration
from glial.tasks.decisions import tuned_threshold, tuned_thresholds
from glial.tasks.task import undecided

NAMES = list(CALIBRATORS)


def drawn(size, rows=400, hotter=3.0, seed=0):
    """Scores of a network that is `hotter` times too sure, its probabilities and the truth."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(rows, size)) * 1.5
    truth = np.array([generator.choice(size, p=p) for p in softmax(scores, axis=1)])
    return softmax(hotter * scores, axis=1), truth


def log_loss(shares, truth, weight=None):
    return np.average(-np.log(shares[np.arange(len(truth)), truth]), weights=weight)


def fitted_estimator(size, rows=300):
    generator = np.random.default_rng(1)
    inputs, codes = generator.normal(size=(rows, 4)), generator.integers(0, size, rows)
    inputs[:, 0] += codes
    return LogisticRegression(C=100).fit(inputs[:150], codes[:150]), inputs[150:], codes[150:]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_temperature_of_an_overconfident_network_is_found(size):
    shares, truth = drawn(size, rows=4000)
    found = fit_calibration("temperature", shares, truth)
    assert found.temperature == pytest.approx(3.0, rel=0.1)
    np.testing.assert_array_equal(found.apply(shares).argmax(1), shares.argmax(1))


@pytest.mark.parametrize("size", [2, 3])
def test_no_other_temperature_has_a_lower_log_loss(size):
    shares, truth = drawn(size, rows=80)
    weight = np.random.default_rng(2).uniform(size=80)
    found = fit_calibration("temperature", shares, truth, weight)
    least = log_loss(found.apply(shares), truth, weight)
    for temperature in np.geomspace(0.02, 50, 200):
        other = softmax(np.log(shares) / temperature, axis=1)
        assert least <= log_loss(other, truth, weight) + 1e-12


@pytest.mark.parametrize("size", [2, 3])
def test_scikit_learn_finds_the_same_temperature(size):
    model, inputs, truth = fitted_estimator(size)
    oracle = CalibratedClassifierCV(FrozenEstimator(model), method="temperature")
    told = fit_calibration("temperature", model.predict_proba(inputs), truth)
    expected = oracle.fit(inputs, truth).predict_proba(inputs)
    np.testing.assert_allclose(told.apply(model.predict_proba(inputs)), expected, atol=2e-4)


def test_isotonic_curves_are_scikit_learns_between_the_steps_too():
    from sklearn.isotonic import IsotonicRegression

    shares, truth = drawn(3)
    weight = np.random.default_rng(2).uniform(0.1, 2, size=len(truth))
    found = fit_calibration("isotonic", shares, truth, weight)
    new, _ = drawn(3, seed=9)
    each = []
    for code in range(3):
        curve = IsotonicRegression(out_of_bounds="clip")
        each.append(
            curve.fit(shares[:, code], truth == code, sample_weight=weight).predict(new[:, code])
        )
    expected = np.stack(each, axis=1)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.apply(new), expected, atol=1e-12)


def test_platts_sigmoid_is_scikit_learns():
    from sklearn.calibration import _SigmoidCalibration

    shares, truth = drawn(2, rows=60)
    weight = np.random.default_rng(2).uniform(0.1, 2, size=60)
    for given in (None, weight):
        found = fit_calibration("platt", shares, truth, given)
        oracle = _SigmoidCalibration().fit(logit(shares[:, 1]), truth, given)
        assert found.slopes == pytest.approx([-oracle.a_], rel=1e-4)
        assert found.shifts == pytest.approx([-oracle.b_], rel=1e-4, abs=1e-5)


def test_platts_targets_are_smoothed_so_that_rows_told_apart_stay_uncertain():
    shares = np.array([[0.9, 0.1]] * 10 + [[0.1, 0.9]] * 20)
    truth = np.array([0] * 10 + [1] * 20)
    told = fit_calibration("platt", shares, truth).apply(shares)
    np.testing.assert_allclose(told[[0, -1], 1], [1 / 12, 21 / 22], atol=1e-6)


def test_platt_of_several_classes_is_one_against_the_rest():
    shares, truth = drawn(3)
    each = []
    for code in range(3):
        two = np.stack([1 - shares[:, code], shares[:, code]], axis=1)
        each.append(fit_calibration("platt", two, (truth == code).astype(int)).apply(two)[:, 1])
    expected = np.stack(each, axis=1)
    found = fit_calibration("platt", shares, truth).apply(shares)
    np.testing.assert_allclose(found, expected / expected.sum(1, keepdims=True), atol=1e-9)


@pytest.mark.parametrize("size", [2, 4])
def test_vector_scaling_is_least_by_another_optimiser(size):
    shares, truth = drawn(size, rows=120)
    found = fit_calibration("vector", shares, truth)
    scores = np.log(shares) - np.log(shares).mean(axis=1, keepdims=True)

    def loss(values):
        told = log_softmax(scores * values[:size] + values[size:], axis=1)
        away = values - np.repeat([1.0, 0.0], size)
        return -told[np.arange(len(truth)), truth].mean() + away @ away / 2 / len(truth)

    start = np.repeat([1.0, 0.0], size)
    options = {"maxiter": 40000, "maxfev": 40000, "xatol": 1e-9, "fatol": 1e-14, "adaptive": True}
    oracle = minimize(loss, start, method="Nelder-Mead", options=options)
    assert loss(np.array(found.scales + found.shifts)) <= oracle.fun + 1e-10
    np.testing.assert_allclose(found.scales + found.shifts, oracle.x, atol=1e-3)


def test_vector_scaling_mends_a_class_that_is_said_too_often():
    shares, truth = drawn(3, rows=5000, hotter=1.0)
    scores = np.log(shares) + np.array([2.0, 0.0, 0.0])
    biased = softmax(scores, axis=1)
    told = fit_calibration("vector", biased, truth).apply(biased)
    assert np.abs(told - shares).max() < 0.08 < 0.3 < np.abs(biased - shares).max()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [2, 3])
def test_new_rows_have_a_lower_log_loss_and_probabilities_sum_to_one(name, size):
    shares, truth = drawn(size, rows=3000)
    fitted = fit_calibration(name, shares[:1500], truth[:1500])
    told = fitted.apply(shares[1500:])
    np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-12)
    assert told.min() >= 0
    brier = [((p - np.eye(size)[truth[1500:]]) ** 2).mean() for p in (told, shares[1500:])]
    assert brier[0] < 0.9 * brier[1]
    if name != "isotonic":
        assert log_loss(told, truth[1500:]) < 0.8 * log_loss(shares[1500:], truth[1500:])


@pytest.mark.parametrize("name", NAMES)
def test_extreme_probabilities_stay_probabilities(name):
    shares, truth = drawn(3, hotter=400.0)
    assert (shares == 0).any()
    told = fit_calibration(name, shares, truth).apply(shares)
    assert np.isfinite(told).all()
    np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-12)


def test_rows_that_no_curve_gives_anything_to_are_equally_likely():
    flat = Isotonic(places=[[0.0, 1.0]] * 3, heights=[[0.0, 0.0]] * 3)
    assert flat.apply(np.array([[0.2, 0.3, 0.5]])).tolist() == [[1 / 3] * 3]


@pytest.mark.parametrize("name", NAMES)
def test_too_few_rows_or_one_class_are_refused(name):
    shares, truth = drawn(2)
    with pytest.raises(InputError, match="cannot be fitted"):
        fit_calibration(name, shares[:9], truth[:9])
    with pytest.raises(InputError, match="1 classes"):
        fit_calibration(name, shares, np.zeros(400, dtype=int))
    with pytest.raises(InputError, match="0 rows"):
        fit_calibration(name, shares, truth, np.zeros(400))
    with pytest.raises(InputError, match="0 rows"):
        fit_calibration(name, shares, np.full(400, -1))
    with pytest.raises(InputError, match="finite"):
        fit_calibration(name, shares * np.nan, truth)


def test_what_has_no_best_value_is_refused():
    shares, _ = drawn(3)
    with pytest.raises(InputError, match="gets wrong"):
        fit_calibration("temperature", shares, shares.argmax(1))
    with pytest.raises(InputError, match="lack a class"):
        fit_calibration("isotonic", shares, np.arange(400) % 2)


# Tasks


def task_of(values, name="classification", **options):
    return fit_task(pl.DataFrame({"y": values}), ["y"], TaskSettings(name=name, **options))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [2, 3])
def test_a_calibration_is_used_before_thresholds_saved_and_loaded(name, size):
    shares, truth = drawn(size)
    frame = pl.DataFrame({"y": np.array(["a", "b", "c"])[truth]})
    logs = torch.from_numpy(np.log(shares))
    outputs = logs[:, 1:] - logs[:, :1] if size == 2 else logs
    settings = TaskSettings(name="classification", calibration=name, threshold="accuracy")
    task = fit_task(frame, ["y"], settings)
    before = task.decode(outputs).frame()
    task.tune(outputs, frame)
    told = task.decode(outputs, frame).frame()
    columns = [f"probability_{c}" for c in "abc"[:size]]
    expected = fit_calibration(name, shares, truth).apply(shares)
    np.testing.assert_allclose(told[columns].to_numpy(), expected, atol=1e-9)
    by_hand = (
        [tuned_threshold(told[columns[1]].to_numpy(), truth, "accuracy")]
        if size == 2
        else tuned_thresholds(told[columns].to_numpy(), truth, "accuracy")
    )
    assert task.thresholds == pytest.approx(by_hand)
    assert undecided(task).decode(outputs).frame().equals(before)
    state = json.loads(json.dumps(task.state()))
    again = load_task(state, settings)
    assert again.decode(outputs).frame().equals(told)
    pooled = task.decode(task.pool([(again, outputs), (task, outputs)])).frame()
    np.testing.assert_allclose(pooled[columns].to_numpy(), expected, atol=1e-9)


def test_each_question_has_a_calibration_of_its_own(caplog):
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(3000, 2))
    truth = generator.uniform(size=(3000, 2)) < expit(scores)
    outputs = torch.from_numpy(scores * [4.0, 0.5])
    frame = pl.DataFrame(truth.astype(int), schema=["p", "q"])
    settings = TaskSettings(name="multilabel", calibration="temperature", threshold="f1")
    task = fit_task(frame, ["p", "q"], settings)
    task.tune(outputs, frame)
    assert [c.temperature for c in task.calibration] == pytest.approx([4.0, 0.5], rel=0.15)
    told = task.decode(outputs).frame()
    expected = expit(scores * [4.0, 0.5] / [c.temperature for c in task.calibration])
    np.testing.assert_allclose(told[["probability_p", "probability_q"]], expected, atol=1e-9)
    again = load_task(json.loads(json.dumps(task.state())), settings)
    assert again.decode(outputs).frame().equals(told)
    one_sided = frame.with_columns(q=pl.lit(1))
    with pytest.raises(InputError, match="1 classes"):
        task.tune(outputs, one_sided)
    assert [c is None for c in task.calibration] == [False, True]
    assert load_task(json.loads(json.dumps(task.state())), settings).calibration[1] is None


@pytest.mark.parametrize(
    "change",
    [
        {"method": "oracle"},
        {"method": "platt", "slopes": []},
        {"temperature": 0.0},
        {"temperature": "2"},
        {"temperature": None},
        {"colour": 1},
    ],
)
def test_a_damaged_calibration_is_refused(change):
    task = task_of(["a", "b"], calibration="temperature")
    state = task.state() | {"calibration": {"method": "temperature", "temperature": 2.0} | change}
    with pytest.raises(InputError, match="is damaged"):
        load_task(state, task.settings)


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("platt", {"slopes": [1.0], "shifts": [0.0]}),
        ("platt", {"slopes": [1.0] * 3, "shifts": [0.0]}),
        ("vector", {"scales": [1.0] * 2, "shifts": [0.0] * 2}),
        ("isotonic", {"places": [[0.0, 1.0]] * 3, "heights": [[0.0]] * 3}),
        ("isotonic", {"places": [[1.0, 0.0]] * 3, "heights": [[0.0, 1.0]] * 3}),
    ],
)
def test_a_calibration_of_other_classes_is_refused(name, held):
    task = task_of(["a", "b", "c"], calibration=name)
    with pytest.raises(InputError, match="is damaged"):
        load_task(task.state() | {"calibration": {"method": name, **held}}, task.settings)


def test_numbers_are_not_calibrated():
    with pytest.raises(InputError, match=r"task\.calibration does not fit"):
        task_of([1.0, 2.0], "regression", calibration="platt")


# Runs

FAST = {"doctor.watch": False, "train.lr": 0.02, "train.batch_size": 16, "train.patience": None}


def blobs(rows=240):
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 2, rows)
    table = generator.normal(size=(rows, 6))
    table[:, 0] += codes
    return pl.DataFrame(table).with_columns(y=pl.Series(np.array(["n", "p"])[codes]))


@pytest.mark.slow
@pytest.mark.parametrize("folds", [None, 3])
def test_a_run_says_calibrated_probabilities(tmp_path, folds, caplog):
    options = {"target": "y", "model": "mlp", "epochs": 12, "folds": folds}
    plain = glial.train(blobs(), out=False, set={**FAST, "train.restore_best": False}, **options)
    settings = {**FAST, "train.restore_best": False, "task.calibration": "temperature"}
    run = glial.train(blobs(), out=tmp_path / "r", set=settings, **options)
    assert run.metrics["val"]["log_loss"] < plain.metrics["val"]["log_loss"]
    assert run.metrics["test"]["accuracy"] == plain.metrics["test"]["accuracy"]
    new = blobs().drop("y")
    assert glial.predict(glial.load(run.path), new).equals(glial.predict(run, new))
    raw = glial.predict(plain, new)["probability_p"].to_numpy()
    expected = expit(logit(raw) / run.decoder.calibration.temperature)
    np.testing.assert_allclose(glial.predict(run, new)["probability_p"], expected, atol=1e-6)
    assert run.metrics["baseline"] == plain.metrics["baseline"]


@pytest.mark.slow
def test_what_cannot_be_fitted_is_said_and_left_out(tmp_path, caplog):
    logging.getLogger("glial").propagate = True
    table = (
        blobs(60)
        .with_columns(y=pl.Series(["n", "p"] * 30))
        .with_columns(column_0=pl.Series([-9.0, 9.0] * 30))
    )
    settings = {**FAST, "task.calibration": "temperature"}
    run = glial.train(table, "y", model="mlp", epochs=8, out=tmp_path / "r", set=settings)
    assert run.decoder.calibration is None
    assert "this is left out" in caplog.text
    assert glial.load(run.path).decoder.calibration is None
    with pytest.raises(InputError, match="fitted on validation rows, and there are none"):
        glial.train(
            table, "y", out=False, set={**settings, "data.split.val": 0.0, "data.split.train": 0.85}
        )


def test_platt_is_saved_as_plain_numbers():
    held = Platt(slopes=[0.5], shifts=[0.0])
    assert json.loads(json.dumps(held.model_dump())) == {
        "method": "platt",
        "slopes": [0.5],
        "shifts": [0.0],
    }
