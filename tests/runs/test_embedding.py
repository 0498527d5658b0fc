"""Embeddings from training to use: proxies, batches, resuming, layers, neighbours, copies."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
import safetensors.torch
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional as F

import glial
from glial.core.errors import InputError
from glial.data.batches import Batch
from glial.functional import masked_mean
from glial.nn.proxies import WithProxies
from glial.runs import Plan, TrainingInterrupted
from glial.runs.embedding import embed_rows
from glial.runs.ready import make_ready
from glial.runs.request import make_request
from glial.tasks import TaskSettings, fit_task
from glial.training.captured import CapturedPasses

MLP = {"model": "mlp", "set": {"train.lr": 0.01, "model.hidden_sizes": [16]}}
EMBEDDING = {"task": "embedding", **MLP, "set": {**MLP["set"], "task.embedding_size": 8}}
IMAGES = {"model.widths": [4, 8], "train.batch_size": 16, "data.augment": "none"}
RANDOM = np.random.default_rng(0)
TEXTS = pl.DataFrame(
    {
        "text": [
            " ".join(RANDOM.choice(words, RANDOM.integers(3, 9))) + f" of number {i}"
            for i in range(40)
            for words in (["ice", "snow", "frost"], ["sun", "sand", "fire"])
        ],
        "kind": ["cold", "hot"] * 40,
    }
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pictures(folder):
    """A folder of 30 images of each of two kinds, which is the current one's ``pictures``."""
    for number in range(60):
        kind = ("dark", "light")[number % 2]
        low = 0 if kind == "dark" else 120
        path = folder / "pictures" / kind / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(low, low + 130, (12, 12), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return "pictures"


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "proxy"])
def test_each_loss_learns_a_table_better_than_chance(loss):
    run = glial.train("iris", epochs=8, loss=loss, out="run", **EMBEDDING)
    assert (run.task, run.plan.task.loss) == ("embedding", loss)
    names = {"recall_at_1", "recall_at_5", "mean_average_precision_at_r"}
    assert set(run.metrics["test"]) == set(run.metrics["val"]) == names
    for name in ("recall_at_1", "mean_average_precision_at_r"):
        assert run.metrics["test"][name] > run.metrics["baseline"][name] + 0.2
    assert {"val_loss", "val_recall_at_1"} <= set(run.history[0])
    loaded = glial.load("run")
    told = glial.predict(loaded, "iris")
    assert told.columns == [f"embedding_{i}" for i in range(8)]
    np.testing.assert_allclose(np.linalg.norm(told.to_numpy(), axis=1), 1, rtol=1e-5)
    assert told.equals(glial.predict(run, "iris"))
    scores = glial.evaluate(loaded, "iris")
    assert scores["metrics"]["recall_at_1"] > 0.8


def test_proxies_are_learnt_and_checkpointed_and_the_network_is_saved_alone():
    run = glial.train("iris", epochs=3, out="run", **EMBEDDING)
    best = safetensors.torch.load_file("run/checkpoints/best/checkpoint.safetensors")
    request = make_request(
        "iris", {"task.name": "embedding", "model.name": "mlp"} | EMBEDDING["set"]
    )
    first = make_ready(request, request.plan).network
    assert isinstance(first, WithProxies)
    assert best["model.proxies"].shape == (3, 8)
    moved = F.cosine_similarity(best["model.proxies"], first.proxies, dim=1)
    assert (moved < 0.999).all()
    saved = safetensors.torch.load_file("run/model.safetensors")
    assert sorted(saved) == sorted(run.model.state_dict())
    assert not any("proxies" in name or name.startswith("network.") for name in saved)
    for name, value in saved.items():
        assert torch.equal(value, best[f"model.network.{name}"])


@pytest.mark.parametrize("loss", ["triplet", "proxy"])
def test_an_interrupted_training_goes_on_to_the_same_bytes(loss, stop_at, monkeypatch):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    settings = {**EMBEDDING["set"], "train.checkpoint_seconds": 0.0, "train.batch_size": 16}
    options = {**EMBEDDING, "loss": loss, "epochs": 5, "set": settings}
    calm = glial.train("iris", out="calm", **options)
    with pytest.raises(TrainingInterrupted) as stopped:
        glial.train("iris", out="cut", callbacks=[stop_at(17)], **options)
    assert stopped.value.run.status == "interrupted"
    assert glial.embed("cut", "iris").shape == (150, 8)
    run = glial.train("iris", out="cut", resume=True, **options)
    assert run.metrics == calm.metrics
    for name in ("model.safetensors", "checkpoints/best/checkpoint.safetensors"):
        left, right = (safetensors.torch.load_file(f"{place}/{name}") for place in ("calm", "cut"))
        assert sorted(left) == sorted(right)
        assert all(torch.equal(value, right[key]) for key, value in left.items())


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "proxy"])
@pytest.mark.parametrize("mining", ["hard", "semi_hard"])
def test_captured_passes_are_the_eager_ones_on_other_batches_too(loss, mining):
    torch.manual_seed(0)
    settings = TaskSettings(name="embedding", loss=loss, mining=mining, embedding_size=4)
    task = fit_task(pl.DataFrame({"y": list("aabbcc")}), ["y"], settings)
    network: nn.Module = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    if task.num_proxies:
        network = WithProxies(network, task.num_proxies, 4)
    batches = [Batch((torch.randn(12, 6),), torch.randint(3, (12,))) for _ in range(4)]
    batches.append(Batch((torch.randn(12, 6),), torch.zeros(12, dtype=torch.int64)))
    captured = CapturedPasses(network, network, task.loss, batches[0])
    for batch in batches:
        loss_found = captured.run(batch).clone()
        found = [p.grad.clone() for p in network.parameters()]
        expected = task.loss(network(*batch.inputs), batch.target)
        gradients = torch.autograd.grad(expected, list(network.parameters()))
        torch.testing.assert_close(loss_found, expected)
        for left, right in zip(found, gradients, strict=True):
            torch.testing.assert_close(left, right)


def test_losses_of_pairs_get_batches_with_several_rows_of_a_class():
    table = pl.DataFrame({"x": RANDOM.normal(size=400), "y": [f"c{i % 40}" for i in range(400)]})
    plan = {"data.target": "y", "task.name": "embedding", "model.name": "mlp", "train.lr": 0.01}
    plan |= {"train.batch_size": 16, "data.split": {"train": 0.8, "val": 0.1, "test": 0.1}}
    partners = {}
    for loss in ("triplet", "proxy"):
        request = make_request(table, {**plan, "task.loss": loss})
        batches = list(make_ready(request, request.plan).batches().epoch(0))
        counts = torch.cat([batch.target.bincount()[batch.target] for batch in batches])
        partners[loss] = float((counts > 1).float().mean())
    assert partners["triplet"] > 0.95
    assert partners["proxy"] < 0.6


def test_classes_that_are_split_by_themselves_are_scored_though_never_shown():
    table = pl.DataFrame(
        {
            "x": [i % 12 + RANDOM.normal(0, 0.05) for i in range(240)],
            "y": [i % 12 for i in range(240)],
        }
    )
    run = glial.train(table, "y", epochs=3, group="y", out=False, **EMBEDDING)
    assert 0 < run.metrics["test"]["recall_at_1"] <= 1
    assert all(np.isfinite(row["val_loss"]) for row in run.history)


def test_networks_of_folds_are_scored_each_in_its_own_space():
    run = glial.train("iris", epochs=4, folds=3, out="folds", **EMBEDDING)
    each = [member.metrics["val"]["recall_at_1"] for member in run.members]
    assert run.metrics["val"]["recall_at_1"] == pytest.approx(np.mean(each))
    assert glial.embed("folds", "iris").shape == (150, 24)
    assert glial.predict("folds", "iris").columns[-1] == "embedding_23"
    assert "spread" not in glial.predict("folds", "iris").columns


def test_a_network_and_a_loss_of_ones_own():
    network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8))
    kept = copy.deepcopy(network)
    options = {"task": "embedding", "epochs": 4, "out": False}
    settings = {"task.embedding_size": 8, "train.lr": 0.01}
    run = glial.train("iris", model=network, set=settings, **options)
    assert run.model is network
    assert run.model(torch.zeros(2, 4)).shape == (2, 8)
    own = glial.train(
        "iris", model=kept, loss=lambda e, y: e.square().mean(), set=settings, **options
    )
    assert own.plan.task.loss == "custom"
    with pytest.raises(InputError, match="outputs do not fit"):
        glial.train("iris", model=nn.Linear(4, 3), set=settings, **options)


def test_siamese_twins_have_distance_zero_and_others_of_the_class_are_near():
    """Two branches that share their weights are one network, applied to both."""
    settings = {**EMBEDDING["set"], "task.margin": 1.0}
    options = {**EMBEDDING, "loss": "contrastive", "set": settings}
    run = glial.train("iris", epochs=10, out=False, **options)
    rows = embed_rows(run, "iris")
    near = rows.near(1, rows)
    assert near["distance_1"].to_list() == [0.0] * 150
    similarity = rows.vectors @ rows.vectors.T
    same = torch.arange(150)[:, None] // 50 == torch.arange(150) // 50
    assert similarity[same].mean() > similarity[~same].mean() + 0.2


def test_the_embedding_of_a_classifier_is_what_its_head_sees():
    run = glial.train("iris", epochs=2, out=False, **MLP)
    table = glial.embed(run, "iris")
    assert table.columns == [f"embedding_{i}" for i in range(16)]
    frame = glial.data.read("iris")
    numbers = run.encoding.transform(frame).numbers
    with torch.no_grad():
        expected = run.model.blocks(numbers)
        outputs = run.model.head(torch.from_numpy(table.to_numpy()))
    torch.testing.assert_close(torch.from_numpy(table.to_numpy()), expected)
    torch.testing.assert_close(outputs, run.outputs(frame))
    by_name = glial.embed(run, "iris", layer="head")
    np.testing.assert_allclose(by_name.to_numpy(), outputs.numpy(), rtol=1e-5)


@pytest.mark.parametrize("model", ["tabular", "linear", "mixed", "neuron"])
def test_any_network_of_a_table_has_an_embedding(model):
    table = pl.DataFrame({"a": RANDOM.normal(size=60), "b": RANDOM.normal(size=60)})
    table = table.with_columns(y=pl.col("a") > 0)
    run = glial.train(table, "y", model=model, epochs=1, out=False, set={"train.lr": 0.01})
    found = glial.embed(run, table)
    assert found.height == 60
    assert found.to_numpy().std(axis=0).any()
    # Whatever stands in the table beside a row, it has the same vector.
    np.testing.assert_allclose(
        glial.embed(run, table[20:23]).to_numpy(), found[20:23].to_numpy(), rtol=1e-3, atol=1e-5
    )


def test_members_of_a_network_stand_side_by_side():
    settings = {"model.members": 3, "model.hidden_sizes": [8], "train.lr": 0.01}
    run = glial.train("iris", model="tabular", epochs=1, out=False, set=settings)
    assert glial.embed(run, "iris").width == 3 * 8
    assert glial.embed(run, "iris", layer="head").width == 3 * 3
    outputs = run.outputs(glial.data.read("iris")).flatten(1)
    np.testing.assert_allclose(
        glial.embed(run, "iris", layer="head").to_numpy(), outputs, rtol=1e-4
    )


def test_images_of_a_folder_have_paths_vectors_and_layers(pictures):
    run = glial.train(pictures, epochs=2, out="run", set=IMAGES)
    table = glial.embed("run", pictures)
    assert table.columns == ["path", *(f"embedding_{i}" for i in range(8))]
    assert table["path"].is_sorted()
    assert table["path"].to_list() == glial.predict("run", pictures)["path"].to_list()
    frame = glial.data.read(pictures).sort("path")
    (images,) = run.encoding.finish(run.encoding.arguments(run.encoding.transform(frame)))
    with torch.no_grad():
        expected = run.model.embed(images)
        stem = run.model.stem(images).mean(dim=(2, 3))
    vectors = table.drop("path").to_numpy()
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)
    found = glial.embed(run, pictures, layer="stem").drop("path").to_numpy()
    np.testing.assert_allclose(found, stem, rtol=1e-4, atol=1e-5)


def test_images_are_learnt_by_their_folders(pictures):
    settings = {**IMAGES, "task.embedding_size": 8}
    run = glial.train(pictures, task="embedding", epochs=3, out="run", set=settings)
    assert run.plan.model["name"] == "residual_cnn"
    assert run.plan.train.monitor == "score"
    assert run.metrics["test"]["recall_at_1"] > run.metrics["baseline"]["recall_at_1"]
    assert glial.predict("run", pictures).equals(glial.embed("run", pictures))
    near = embed_rows("run", pictures).near(1)
    assert near.columns == ["near_1", "distance_1", "near_path_1"]
    same = [p.split("/")[1] for p in glial.embed("run", pictures)["path"]]
    other = [p.split("/")[1] for p in near["near_path_1"]]
    assert np.mean(np.array(same) == np.array(other)) > 0.9


@pytest.mark.parametrize("model", ["bag_of_words", "text_cnn", "text_gru"])
def test_texts_have_vectors_that_padding_does_not_touch(model):
    settings = {"train.lr": 0.003, "model.size": 8}
    run = glial.train(TEXTS, "kind", model=model, epochs=1, out=False, set=settings)
    layers = [None, "embedding", *(["filters.0"] if model == "text_cnn" else [])]
    for layer in layers:
        whole = glial.embed(run, TEXTS, layer=layer).to_numpy()
        some = np.concatenate([glial.embed(run, TEXTS[i : i + 1], layer=layer) for i in range(9)])
        np.testing.assert_allclose(some, whole[:9], rtol=1e-4, atol=1e-5)
    (tokens,) = run.encoding.finish(run.encoding.arguments(run.encoding.transform(TEXTS)))
    with torch.no_grad():
        expected = masked_mean(run.model.eval().embedding(tokens), tokens != 0)
    found = glial.embed(run, TEXTS, layer="embedding").to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_texts_are_learnt_by_their_column():
    run = glial.train(TEXTS, "kind", task="embedding", epochs=4, out=False)
    assert run.plan.model["name"] == "bag_of_words"
    assert run.metrics["test"]["recall_at_1"] > 0.8


def test_embeddings_feed_a_linear_model():
    run = glial.train("wine", epochs=10, out=False, **EMBEDDING)
    frame = glial.data.read("wine")
    target = run.decoder.targets[0]
    vectors = glial.embed(run, frame.to_pandas())
    assert isinstance(vectors, pd.DataFrame)
    labels = frame[target].to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    held = np.arange(len(labels)) % 3 == 0
    assert model.fit(vectors[~held], labels[~held]).score(vectors[held], labels[held]) > 0.9


def test_near_and_copies_between_two_sources():
    run = glial.train("iris", epochs=1, out=False, **MLP)
    frame = glial.data.read("iris")
    rows, some = embed_rows(run, frame), embed_rows(run, frame[40:50])
    near = some.near(2, rows, metric="euclidean")
    # A flower that stands twice in iris has two rows at distance zero.
    assert near["distance_1"].to_list() == [0.0] * 10
    expected = torch.cdist(some.vectors, rows.vectors).topk(2, largest=False).values[:, 1]
    np.testing.assert_allclose(near["distance_2"].to_numpy(), expected, atol=1e-3)
    copies = rows.copies(1.0)
    assert {"rows": [101, 142], "similarity": 1.0} in copies
    pairs = some.copies(1.0, rows)
    assert {(0, 40), (9, 49)} <= {tuple(pair["rows"]) for pair in pairs}


def test_what_cannot_be_embedded_is_refused():
    run = glial.train("iris", epochs=1, out=False, **MLP)
    with pytest.raises(InputError, match=r"unknown layer 'heed'.*did you mean 'head'"):
        glial.embed(run, "iris", layer="heed")
    with pytest.raises(InputError, match="unknown layer"):
        glial.embed(run, "iris", layer="")
    with pytest.raises(InputError, match="at least one row"):
        glial.embed(run, glial.data.read("iris").clear())
    other = glial.train("iris", epochs=1, out=False, model="linear", set={"train.lr": 0.1})
    with pytest.raises(InputError, match="another size"):
        embed_rows(run, "iris").near(1, embed_rows(other, "iris"))

    class Whole(nn.Module):
        """A layer that says one thing of all rows."""

        def forward(self, rows):
            return rows.mean(dim=0)

    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.whole, self.spare = nn.Linear(4, 3), Whole(), nn.Linear(1, 1)

        def forward(self, rows):
            return self.first(rows) + self.whole(rows).sum()

    own = glial.train("iris", model=Unused(), epochs=1, out=False, set={"train.lr": 0.1})
    assert glial.embed(own, "iris", layer="first").shape == (150, 3)
    for layer, got in (("whole", r"\[4\]"), ("spare", "no tensor")):
        with pytest.raises(InputError, match=f"no vector for each row.* gives {got} for"):
            glial.embed(own, "iris", layer=layer)


def test_a_network_without_a_layer_of_weights_is_asked_for_one():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.ones(3))

        def forward(self, rows):
            return rows[:, :3] * self.factor

    run = glial.train("iris", model=Bare(), epochs=1, out=False, set={"train.lr": 0.1})
    with pytest.raises(InputError, match="could be its head"):
        glial.embed(run, "iris")


def test_runs_of_loaders_take_no_table():
    rows = torch.utils.data.TensorDataset(torch.randn(32, 4), torch.arange(32) % 2)
    loader = torch.utils.data.DataLoader(rows, batch_size=8)
    run = glial.train(loader, model=nn.Linear(4, 2), epochs=1, out=False, set={"train.lr": 0.1})
    with pytest.raises(InputError, match="trained on a loader"):
        glial.embed(run, "iris")


def test_mixed_rows_have_proxies_but_no_partners(pictures):
    settings = {**IMAGES, "data.augment": {"mixup": 0.4}, "task.embedding_size": 8}
    run = glial.train(pictures, task="embedding", epochs=1, out=False, set=settings)
    assert np.isfinite(run.history[0]["train_loss"])
    with pytest.raises(InputError, match="mixed rows"):
        glial.train(pictures, task="embedding", loss="triplet", out=False, set=settings)


@pytest.mark.parametrize("loss", ["triplet", "proxy"])
def test_images_that_are_decoded_while_training(pictures, loss):
    settings = {**IMAGES, "task.embedding_size": 8, "data.stream": "always"}
    run = glial.train(pictures, task="embedding", loss=loss, epochs=3, out=False, set=settings)
    assert run.metrics["test"]["recall_at_1"] > run.metrics["baseline"]["recall_at_1"]


@pytest.mark.parametrize("key", [{"data.sampling": "weighted"}, {"data.stratified_batches": True}])
def test_classes_may_be_drawn_alike(key):
    settings = {**EMBEDDING["set"], **key, "train.batch_size": 16}
    for loss in ("triplet", "proxy"):
        options = {**EMBEDDING, "loss": loss, "set": settings}
        assert glial.train("iris", epochs=1, out=False, **options).epochs == 1


def test_a_plan_keeps_what_an_embedding_is():
    plan = Plan.from_values({"task": {"name": "embedding", "loss": "triplet", "margin": 0.3}})
    assert plan.task.embedding_size == 64
    for wrong in ({"embedding_size": 1}, {"margin": -1.0}, {"mining": "easy"}, {"temperature": 0}):
        with pytest.raises(InputError):
            Plan.from_values({"task": {"name": "embedding", **wrong}})
