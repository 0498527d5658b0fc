"""Anyone's loader trains a network of one's own, and goes on exactly after a stop."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import glial
from glial.core.errors import InputError
from glial.data.streams import LoaderBatches, is_loader
from glial.runs import TrainingInterrupted

generator = torch.Generator().manual_seed(0)
X = torch.randn(400, 4, generator=generator)
Y = (X[:, 0] + X[:, 1] > 0).long()
FAST = {"train.lr": 0.05}


def network(outputs=2, inputs=4):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, outputs))


class Noisy(Dataset):
    """Rows with noise from each of the generators that people's code draws from."""

    def __len__(self):
        return 120

    def __getitem__(self, index):
        noise = torch.randn(4) + random.random() + np.random.rand()  # noqa: NPY002
        return X[index] + 0.01 * noise, Y[index]


class Rows(IterableDataset):
    """Rows in their order, shared out among workers."""

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        start, step = (0, 1) if info is None else (info.id, info.num_workers)
        for i in range(start, 120, step):
            yield X[i] + 0.01 * torch.randn(4), Y[i]


def stretches():
    for start in range(0, 400, 50):
        yield X[start : start + 50], Y[start : start + 50]


def arrays():
    for x, y in stretches():
        yield x.double().numpy(), y.numpy()


def named():
    for x, y in stretches():
        yield {"label": y, "input": x}


SOURCES = {
    "loader": lambda: DataLoader(TensorDataset(X, Y), 50, shuffle=True),
    "dataset": lambda: TensorDataset(X, Y),
    "function": lambda: stretches,
    "arrays": lambda: arrays,
    "named": lambda: named,
    "iterable": lambda: DataLoader(list(zip(X, Y, strict=True)), 50),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_loader_is_learnt_from(kind):
    run = glial.train(
        SOURCES[kind](),
        "label" if kind == "named" else None,
        model=network(),
        epochs=8,
        out=False,
        val=DataLoader(TensorDataset(X, Y), 64) if kind != "named" else None,
        test=SOURCES[kind](),
        set=FAST,
    )
    assert run.task == "classification"
    assert run.epochs == 8
    assert run.metrics["test"]["accuracy"] > 0.93
    assert 0.4 < run.metrics["baseline"]["accuracy"] < 0.6
    assert bool(run.metrics["val"]) == (kind != "named")


def test_scores_are_those_of_the_networks_outputs():
    model = network(3)
    target = torch.arange(400) % 3
    loader = DataLoader(TensorDataset(X, target), 64)
    run = glial.train(loader, model=model, epochs=1, test=loader, out=False, set=FAST)
    with torch.no_grad():
        outputs = model(X)
    expected = nn.functional.cross_entropy(outputs, target).item()
    assert run.metrics["test"]["log_loss"] == pytest.approx(expected, rel=1e-4)
    accuracy = (outputs.argmax(1) == target).float().mean().item()
    assert run.metrics["test"]["accuracy"] == pytest.approx(accuracy)
    said = glial.predict(run, X)
    assert said["prediction"].to_list() == outputs.argmax(1).tolist()
    assert torch.allclose(
        torch.tensor(said["probability_2"].to_list()), outputs.softmax(1)[:, 2], atol=1e-5
    )
    assert glial.predict(run, loader).equals(said)
    assert glial.evaluate(run, loader)["metrics"] == pytest.approx(run.metrics["test"])


def test_two_outputs_and_one_output_learn_two_classes_alike():
    # A score for each of two classes is one score: their difference.
    two = network(2)
    one = network(2)
    last = nn.Linear(8, 1)
    with torch.no_grad():
        last.weight.copy_(two[2].weight[1:] - two[2].weight[:1])
        last.bias.copy_(two[2].bias[1:] - two[2].bias[:1])
    one[2] = last
    loader = DataLoader(TensorDataset(X, Y), 400)
    runs = [
        glial.train(loader, model=model, epochs=0, test=loader, out=False, set=FAST)
        for model in (one, two)
    ]
    assert runs[0].metrics["test"] == pytest.approx(runs[1].metrics["test"], rel=1e-5)


def test_numbers_are_a_regression_and_shapes_do_not_broadcast():
    target = X @ torch.tensor([1.0, -2.0, 0.5, 0.0])  # [row], where the network gives [row, 1]
    loader = DataLoader(TensorDataset(X, target), 50, shuffle=True)
    run = glial.train(
        loader, model=nn.Linear(4, 1), epochs=60, test=loader, out=False, set={"train.lr": 0.05}
    )
    assert run.task == "regression"
    assert run.metrics["test"]["r2"] > 0.999
    assert run.model.weight.detach()[0].tolist() == pytest.approx([1, -2, 0.5, 0], abs=0.05)


def test_a_loss_of_ones_own_sees_outputs_and_targets_as_they_are():
    seen = []

    def loss(outputs, target):
        seen.append((outputs.shape, target.shape))
        return nn.functional.mse_loss(outputs, target)

    images = torch.randn(40, 1, 3, 3)
    run = glial.train(
        DataLoader(TensorDataset(images, images), 8),
        model=nn.Conv2d(1, 1, 3, padding=1),
        loss=loss,
        epochs=2,
        out=False,
        set=FAST,
    )
    assert set(seen) == {(torch.Size([8, 1, 3, 3]), torch.Size([8, 1, 3, 3]))}
    assert run.history[-1]["train_loss"] < run.history[0]["train_loss"]


def test_dictionaries_are_given_in_the_order_of_the_networks_arguments():
    class Difference(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, left, right):
            return self.scale * (left - right)

    def batches():
        yield {"right": X[:, :1], "y": X[:, 1:2] - X[:, :1], "left": X[:, 1:2]}

    run = glial.train(
        batches, "y", model=Difference(), epochs=1, test=batches, out=False, set={"train.lr": 1e-9}
    )
    assert run.metrics["test"]["rmse"] == pytest.approx(0, abs=1e-6)


def test_a_generator_is_passed_over_once_and_loses_no_batch():
    rows = []

    def watched():
        for x, y in stretches():
            rows.append(len(y))
            yield x, y

    run = glial.train(watched(), model=network(), out=False, set=FAST)
    assert run.epochs == 1
    assert rows == [50] * 8
    assert run.history[0]["step"] == 8
    with pytest.raises(InputError, match="passed over once"):
        glial.train(stretches(), model=network(), epochs=2, out=False, set=FAST)
    with pytest.raises(InputError, match="nothing to measure"):
        glial.train(stretches(), model=network(), out=False)
    spent = stretches()
    with pytest.raises(InputError, match="no batch in epoch"):
        glial.train(lambda: spent, model=network(), epochs=3, out=False, set=FAST)


def test_length_is_counted_where_nothing_tells_it(caplog):
    caplog.set_level("INFO", "glial")
    run = glial.train(stretches, model=network(), epochs=2, out=False, set=FAST)
    assert "counted in one pass" in caplog.text
    assert run.history[-1]["step"] == 16
    batches = LoaderBatches(DataLoader(TensorDataset(X, Y), 64, drop_last=True))
    assert (batches.num_batches, batches.num_rows) == (6, 384)
    assert sum(len(batch.target) for batch in batches.epoch(0)) == 384
    batches = LoaderBatches(TensorDataset(X, Y), 64)
    assert (batches.num_batches, batches.num_rows) == (7, 400)


def weights(run):
    return torch.cat([value.flatten() for value in run.model.state_dict().values()])


def dropping():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 2))


LOADERS = {
    "in this process": lambda: DataLoader(Noisy(), 16, shuffle=True),
    "workers": lambda: DataLoader(Noisy(), 16, shuffle=True, num_workers=2),
    "own generator": lambda: DataLoader(
        Noisy(), 16, shuffle=True, generator=torch.Generator().manual_seed(7)
    ),
    "iterable with workers": lambda: DataLoader(Rows(), 16, num_workers=2),
}


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("step", [3, 12])
def test_an_interrupted_training_goes_on_to_the_same_weights(
    tmp_path, monkeypatch, kind, step, stop_at
):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    # No checkpoint but the last: the type checks of these tests draw from Python's generator, also
    # in the thread that writes checkpoints.
    options = {"epochs": 3, "set": {"train.lr": 0.01, "train.checkpoint_seconds": 1000.0}}
    make = LOADERS[kind]
    calm = glial.train(make(), model=dropping(), out=tmp_path / "calm", **options)
    with pytest.raises(TrainingInterrupted):
        glial.train(
            make(), model=dropping(), out=tmp_path / "cut", callbacks=[stop_at(step)], **options
        )
    torch.manual_seed(12345)  # another process has other states
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    run = glial.train(make(), model=dropping(), out=tmp_path / "cut", resume=True, **options)
    assert torch.equal(weights(run), weights(calm))


def test_epochs_differ_and_the_callers_random_numbers_are_left_alone():
    batches = LoaderBatches(DataLoader(Noisy(), 16, shuffle=True), seed=0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, second = (list(batches.epoch(epoch)) for epoch in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert all(torch.equal(a.inputs[0], b.inputs[0]) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].inputs[0], second[0].inputs[0])
    rest = list(batches.epoch(1, 3))
    assert len(rest) == len(second) - 3
    assert torch.equal(rest[0].inputs[0], second[3].inputs[0])


def test_a_run_is_saved_and_loaded_with_its_network(tmp_path):
    loader = DataLoader(TensorDataset(X, Y), 50)
    run = glial.train(
        loader, model=network(), epochs=3, test=loader, out=tmp_path / "run", set=FAST
    )
    assert not (tmp_path / "run" / "encoding.json").exists()
    again = glial.load(tmp_path / "run", model=network())
    assert glial.predict(again, X).equals(glial.predict(run, X))
    assert again.metrics == run.metrics
    with pytest.raises(InputError, match="not Glial's"):
        glial.load(tmp_path / "run")
    with pytest.raises(InputError, match="trained on a loader"):
        glial.evaluate(again, "iris")


BAD = {
    "no model": (lambda: TensorDataset(X, Y), {"model": None}, "network of your own"),
    "a name": (lambda: TensorDataset(X, Y), {"model": "mlp"}, "network of your own"),
    "folds": (lambda: TensorDataset(X, Y), {"folds": 3}, "needs a table"),
    "weights": (lambda: TensorDataset(X, Y), {"weight": "w"}, "needs a table"),
    "a file": (lambda: TensorDataset(X, Y), {"val": "a.csv"}, "needs a table"),
    "width": (lambda: TensorDataset(X[:, :3], Y), {}, "does not take"),
    "classes": (lambda: TensorDataset(X, Y + 5), {}, "do not fit"),
    "negative": (lambda: TensorDataset(X, Y - 1), {}, "do not fit"),
    "numbers": (lambda: TensorDataset(X, X[:, :3]), {}, "do not fit"),
    "task": (lambda: TensorDataset(X, Y), {"task": "multilabel"}, "for this task"),
    "no target": (lambda: TensorDataset(X), {}, "not understood"),
    "words": (lambda: lambda: iter([("a", "b")]), {}, "not understood"),
    "rows": (lambda: lambda: iter([(X, Y[:3])]), {}, "not understood"),
    "key": (lambda: named, {}, "not understood"),
    "nothing": (lambda: lambda: iter([]), {}, "no batch"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_trained_on_is_refused_with_one_clear_error(name):
    source, options, message = BAD[name]
    with pytest.raises(InputError, match=message):
        glial.train(source(), **{"model": network(), "out": False, "set": FAST, **options})


def test_tables_are_no_loaders():
    import polars as pl

    tables = [pl.DataFrame({"a": [1]}), {"a": [1]}, np.zeros((2, 2)), torch.zeros(2, 2), "iris"]
    assert not any(map(is_loader, [*tables, (X, Y), ["a.csv"], None]))
    with pytest.raises(InputError, match="are no files"):
        glial.train("iris", model="linear", out=False, val=pl.DataFrame({"a": [1]}))
