"""Runs of clusters and of computed reductions: trained, judged, resumed, told and embedded."""

from __future__ import annotations

import itertools
import json

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.cluster import KMeans

import glial
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted

OF_IRIS = {"kmeans": 0.6, "hierarchical": 0.6, "dbscan": 0.3}


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "flowers"
    return glial.train("iris", task="cluster", out=folder, set={"model.num_clusters": 3})


def test_kmeans_is_the_default_and_iris_is_judged_by_its_species(flowers):
    assert flowers.plan.model["name"] == "kmeans"
    test, baseline = flowers.metrics["test"], flowers.metrics["baseline"]
    assert test["adjusted_rand_score"] > 0.3 > 0.1 > baseline["adjusted_rand_score"]
    assert test["silhouette"] > 0.3 > 0.1 > baseline["silhouette"]
    assert test["inertia"] < 0.5 * baseline["inertia"]
    assert flowers.ended_by == "settled"
    assert flowers.findings == []
    losses = [row["train_loss"] for row in flowers.history]
    assert all(later <= earlier + 1e-6 for earlier, later in itertools.pairwise(losses))


def test_a_run_says_the_same_from_its_folder_and_needs_no_classes(flowers):
    again = glial.load(str(flowers.path))
    frame = glial.data.load_dataset("iris")[0]
    told = glial.predict(again, frame.drop("species"))
    assert told.columns == ["prediction", "distance"]
    assert told.equals(glial.predict(flowers, frame))
    assert set(told["prediction"].to_list()) == {0, 1, 2}
    vectors = glial.embed(again, frame).to_numpy()
    np.testing.assert_allclose(vectors.min(axis=1), told["distance"], rtol=1e-4)
    assert (vectors.argmin(axis=1) == told["prediction"].to_numpy()).all()
    judged = glial.evaluate(again, frame.drop("species"))["metrics"]
    assert "adjusted_rand_score" not in judged
    assert glial.evaluate(again, frame)["metrics"]["silhouette"] == judged["silhouette"]
    names = {path.name for path in flowers.path.iterdir()}
    assert names >= {"model.safetensors", "model.json", "decoding.json"}
    assert not any(name.endswith((".pkl", ".joblib", ".pt")) for name in names)


def test_nothing_that_is_learnt_hangs_on_the_classes(flowers):
    frame = glial.data.load_dataset("iris")[0]
    turned = frame.with_columns(pl.col("species").shuffle(seed=1))
    options = {"task": "cluster", "out": False, "set": {"model.num_clusters": 3}}
    first, second = (glial.train(f, "species", **options) for f in (frame, turned))
    blind = glial.train(frame.drop("species"), **options)
    assert torch.equal(first.model.centres, second.model.centres)
    assert torch.equal(first.model.centres, blind.model.centres)
    fitted = first.metrics["test"]["adjusted_rand_score"]
    assert fitted > second.metrics["test"]["adjusted_rand_score"] + 0.3


@pytest.mark.parametrize("model", OF_IRIS)
def test_clusters_of_flowers_are_near_their_species(model):
    chosen = {} if model == "dbscan" else {"model.num_clusters": 3}
    run = glial.train("iris", task="cluster", model=model, out=False, set=chosen)
    found = glial.evaluate(run, "iris")
    assert found["metrics"]["adjusted_rand_score"] > OF_IRIS[model] - 0.2
    assert found["metrics"]["adjusted_rand_score"] > found["baseline"]["adjusted_rand_score"] + 0.2
    assert run.findings == []
    if model != "kmeans":
        told = glial.predict(run, "iris")
        assert (told["distance"] == 0).sum() > 50  # the kept rows themselves


@pytest.mark.parametrize("model", ["pca", "tsne"])
def test_rows_are_reduced_to_two_numbers(model):
    chosen = {"model.num_components": 2} if model == "pca" else {"model.perplexity": 10.0}
    run = glial.train("iris", task="reduce", model=model, out=False, set=chosen)
    told = glial.predict(run, "iris")
    figure = "reconstruction_error" if model == "pca" else "neighbours_kept"
    assert told.columns == ["embedding_0", "embedding_1", figure]
    assert run.findings == []
    if model == "pca":
        assert run.metrics["test"][figure] < 0.3 * run.metrics["baseline"][figure]
    else:
        assert run.metrics["test"][figure] > 0.3


def test_a_stopped_training_goes_on_to_the_same_centres(tmp_path, stop_at):
    frame = pl.DataFrame(np.random.default_rng(0).normal(size=(3000, 6)).tolist(), orient="row")
    options = {"task": "cluster", "set": {"model.num_clusters": 9, "model.restarts": 1}}
    whole = glial.train(frame, out=False, **options)
    assert whole.epochs > 5
    with pytest.raises(TrainingInterrupted):
        glial.train(frame, out=tmp_path / "run", callbacks=[stop_at(3)], **options)
    resumed = glial.train(frame, out=tmp_path / "run", resume=True, **options)
    assert torch.equal(resumed.model.centres, whole.model.centres)
    assert resumed.epochs == whole.epochs


@pytest.mark.parametrize("step", [2, 10])
def test_a_deep_training_goes_on_from_either_part(tmp_path, stop_at, step):
    chosen = {"model.num_clusters": 3, "model.hidden_sizes": [16], "train.batch_size": 53}
    options = {"task": "cluster", "model": "deep_clustering", "epochs": 6, "set": chosen}
    whole = glial.train("iris", out=False, **options)
    assert bool(whole.model.placed)
    with pytest.raises(TrainingInterrupted) as stopped:
        glial.train("iris", out=tmp_path / "run", callbacks=[stop_at(step)], **options)
    assert bool(stopped.value.run.model.placed) == (step > 8)
    resumed = glial.train("iris", out=tmp_path / "run", resume=True, **options)
    held = resumed.model.state_dict()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, held[name]), name
    told = glial.predict(glial.load(tmp_path / "run"), "iris")
    assert told.columns == ["prediction", "probability", "reconstruction_error"]
    assert told["probability"].min() >= 1 / 3
    assert whole.findings == []


def test_pictures_are_clustered_by_their_pixels(tmp_path):
    generator = np.random.default_rng(0)
    kind = np.arange(60) % 2
    pixels = (40 * generator.random((60, 8, 8)) + 180 * kind[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "squares.npz", x=pixels, y=kind)
    chosen = {"model.num_clusters": 2}
    run = glial.train(tmp_path / "squares.npz", task="cluster", out=False, set=chosen)
    assert run.metrics["test"]["adjusted_rand_score"] == 1.0


def test_weights_move_centres_as_scikit_learns_do():
    generator = np.random.default_rng(0)
    rows, weights = generator.normal(size=(90, 2)), generator.integers(1, 4, 90)
    frame = pl.DataFrame({"a": rows[:, 0], "b": rows[:, 1], "w": weights})
    chosen = {
        "model.num_clusters": 3,
        "data.weight": "w",
        "data.scaling": "none",
        "data.split": {"train": 1.0, "val": 0.0, "test": 0.0},
    }
    run = glial.train(frame, task="cluster", out=False, set=chosen)
    centres = run.model.centres.double().numpy()
    fitted = KMeans(3, init=centres, n_init=1).fit(rows, sample_weight=weights)
    np.testing.assert_allclose(fitted.cluster_centers_, centres, atol=1e-5)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"train.batch_size": 20}, "fitted to all rows at once"),
        ({"model.name": "autoencoder"}, "does not learn the task 'cluster'"),
        ({"model.num_clusters": 500}, "too few different rows for 500"),
        ({"train.weight_decay": 0.1}, r"train\.weight_decay does not go"),
    ],
)
def test_what_cannot_be_is_refused(chosen, message):
    with pytest.raises(InputError, match=message):
        glial.train("iris", task="cluster", out=False, set=chosen)


def test_a_run_that_was_damaged_is_found_out(flowers, tmp_path):
    copy = tmp_path / "run"
    copy.mkdir()
    for path in flowers.path.glob("*.*"):
        (copy / path.name).write_bytes(path.read_bytes())
    state = json.loads((copy / "decoding.json").read_text())
    (copy / "decoding.json").write_text(json.dumps({**state, "figures": 3}))
    with pytest.raises(InputError, match="damaged"):
        glial.load(copy)
