"""The task of clusters: decoded, judged by classes, by their shape, and saved."""

import math

import numpy as np
import polars as pl
import pytest
import torch
from sklearn import metrics

from glial.core.errors import InputError
from glial.tasks import TaskSettings, fit_task, load_task
from glial.tasks.clustering import Clustering, shape_scores

FRAME = pl.DataFrame({"x": range(8), "kind": ["a", "a", "b", "b", "b", "c", "c", "a"]})
CODES = [0, 0, 1, 1, 0, 2, -1, -1]
OUTPUTS = torch.tensor([[float(code), 0.5 * i] for i, code in enumerate(CODES)])


def judged_by(target="kind"):
    task = fit_task(FRAME, [target] if target else [], TaskSettings(name="cluster"))
    task.figures = ["distance"]
    return task


def test_clusters_are_judged_by_classes_as_scikit_learn_does():
    scores = judged_by().scores(OUTPUTS, FRAME)
    truth = FRAME["kind"].to_list()
    assert scores["adjusted_rand_score"] == metrics.adjusted_rand_score(truth, CODES)
    normalized = metrics.normalized_mutual_info_score(truth, CODES)
    assert scores["normalized_mutual_info_score"] == pytest.approx(normalized)
    assert scores["cluster_accuracy"] == 5 / 8
    assert scores["noise_share"] == 0.25
    assert scores["num_clusters"] == 3
    assert scores["distance"] == pytest.approx(1.75)
    assert judged_by().monitor(OUTPUTS[:, 1:], torch.zeros(8))["loss"] == pytest.approx(1.75)


def test_without_classes_nothing_is_said_of_them(caplog):
    alone = judged_by(None)
    assert set(alone.scores(OUTPUTS, FRAME)) == {"num_clusters", "noise_share", "distance"}
    assert "adjusted_rand_score" not in judged_by().scores(OUTPUTS, FRAME.drop("kind"))
    assert "adjusted_rand_score" not in judged_by("x").scores(OUTPUTS, FRAME)
    assert "hardly a value comes twice" in caplog.text
    assert alone.num_outputs == judged_by().num_outputs == 0


def test_predictions_are_numbers_of_clusters_and_figures():
    frame = judged_by().decode(OUTPUTS).frame()
    assert frame["prediction"].to_list() == CODES
    assert frame["distance"].to_list() == [0.5 * i for i in range(8)]


def test_the_shape_of_clusters_is_scikit_learns():
    generator = np.random.default_rng(0)
    rows, codes = generator.normal(size=(60, 3)), generator.integers(0, 3, 60)
    found = shape_scores(torch.from_numpy(rows), torch.from_numpy(codes))
    assert found["silhouette"] == pytest.approx(metrics.silhouette_score(rows, codes))
    parts = [rows[codes == code] for code in range(3)]
    assert found["inertia"] == pytest.approx(sum(((p - p.mean(0)) ** 2).sum() for p in parts))
    noise = np.where(codes == 2, -1, codes)
    kept = shape_scores(torch.from_numpy(rows[codes < 2]), torch.from_numpy(codes[codes < 2]))
    assert shape_scores(torch.from_numpy(rows), torch.from_numpy(noise)) == kept
    assert "silhouette" not in shape_scores(torch.zeros(4, 1), torch.zeros(4, dtype=torch.int64))
    assert shape_scores(torch.ones(2, 1), torch.full((2,), -1))["inertia"] == 0


def test_the_trivial_predictor_knows_one_cluster():
    scores = judged_by().scores(judged_by().trivial_outputs(8), FRAME)
    assert scores["adjusted_rand_score"] == 0
    assert scores["num_clusters"] == 1
    assert math.isnan(scores["distance"])


def test_what_was_fitted_comes_back_and_damage_is_found():
    task = judged_by()
    held = load_task(task.state(), TaskSettings(name="cluster"))
    assert isinstance(held, Clustering)
    assert held.state() == task.state()
    with pytest.raises(InputError, match="damaged"):
        load_task({**task.state(), "targets": ["a", "b"]}, TaskSettings())
