"""From a source to a run: scores above the trivial baseline, plans that are kept, own parts."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from torch import nn

import glial
from glial.core.errors import InputError
from glial.core.settings import read_yaml
from glial.runs import Plan, draft
from glial.training import TrainSettings

WATCHED = True

FAST = {"train.lr": 0.01, "train.patience": None}


@pytest.mark.parametrize(
    ("source", "metric", "least"),
    [
        ("iris", "accuracy", 0.85),
        ("wine", "accuracy", 0.9),
        ("breast-cancer", "accuracy", 0.93),
        ("two-moons", "accuracy", 0.95),
        ("xor", "accuracy", 0.95),
        ("diabetes", "r2", 0.3),
        ("line", "r2", 0.95),
    ],
)
def test_default_network_beats_the_baseline_by_far(source, metric, least):
    run = glial.train(source, out=False)
    assert run.metrics["test"][metric] >= least
    assert run.metrics["test"][metric] > run.metrics["baseline"][metric] + 0.1


def test_mlp_on_xor_needs_its_nonlinearity():
    options = {"model": "mlp", "out": False, "epochs": 150, "set": {"train.lr": 0.01}}
    whole = glial.train("xor", **options)
    broken = glial.train(
        "xor", **{**options, "set": {"train.lr": 0.01, "model.activation": "linear"}}
    )
    assert whole.metrics["test"]["accuracy"] > 0.95
    assert broken.metrics["test"]["accuracy"] < 0.75


def test_perceptron_learns_separable_classes_and_not_xor():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 2))
    x = x[np.abs(x @ [1.0, -2.0]) > 0.3]
    y = (x @ [1.0, -2.0] > 0).astype(int)
    run = glial.train((x, y), target="target", model="perceptron", epochs=60, out=False)
    assert run.metrics["test"]["accuracy"] == 1.0
    assert run.history[-1]["train_loss"] == 0.0
    failed = glial.train("xor", model="perceptron", epochs=60, out=False)
    assert failed.metrics["test"]["accuracy"] < 0.8
    assert failed.history[-1]["train_loss"] > 0.2


def test_linear_model_reaches_least_squares():
    x = np.random.default_rng(1).normal(size=(300, 3))
    y = x @ [1.0, -2.0, 0.5] + 3 + np.random.default_rng(2).normal(size=300) * 0.1
    run = glial.train(
        (x, y),
        target="target",
        model="linear",
        epochs=300,
        out=False,
        set={
            "train.lr": 0.1,
            "train.optimizer": "sgd",
            "train.batch_size": "full",
            "train.schedule": "constant",
            "train.weight_decay": 0.0,
            "train.patience": None,
            "train.restore_best": False,
            "data.split.train": 1.0,
            "data.split.val": 0.0,
            "data.split.test": 0.0,
        },
    )
    exact = np.linalg.lstsq(np.c_[x, np.ones(300)], y, rcond=None)[0]
    predicted = glial.predict(run, pl.DataFrame(x, schema=["0", "1", "2"]))["prediction"].to_numpy()
    np.testing.assert_allclose(predicted, np.c_[x, np.ones(300)] @ exact, atol=1e-4)
    assert run.metrics["test"] == {}


def test_multilabel_and_several_outputs():
    x = np.random.default_rng(0).normal(size=(300, 2))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "up": x[:, 0] > 0, "right": x[:, 1] > 0})
    quick = {**FAST, "train.lr": 0.1}
    run = glial.train(
        frame, target=["up", "right"], model="linear", epochs=60, out=False, set=quick
    )
    assert run.task == "multilabel"
    assert run.metrics["test"]["accuracy"] > 0.8
    told = glial.predict(run, frame)
    assert told.columns == [
        "prediction_up",
        "prediction_right",
        "probability_up",
        "probability_right",
    ]
    assert told["prediction_up"].dtype == pl.Boolean
    numbers = frame.with_columns(
        pl.col("a") * 2 + 1, s=pl.col("a") + pl.col("b"), d=pl.col("a") * 3
    )
    numbers = numbers.drop("up", "right")
    run = glial.train(numbers, target=["s", "d"], model="linear", epochs=60, out=False, set=quick)
    assert run.task == "regression"
    assert glial.predict(run, numbers).columns == ["prediction_s", "prediction_d"]
    assert run.metrics["test"]["r2"] > 0.9


def test_own_module_and_own_loss():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    seen = []

    def loss(outputs, target):
        seen.append(outputs.shape)
        return nn.functional.cross_entropy(outputs, target)

    run = glial.train(
        "iris", model=network, loss=loss, epochs=30, out=False, set={"train.lr": 0.02}
    )
    assert run.model is network
    assert run.metrics["test"]["accuracy"] > 0.8
    assert seen[0][1] == 3


def test_own_module_is_saved_and_loaded_with_its_class(tmp_path):
    network = nn.Linear(4, 3)
    run = glial.train("iris", model=network, epochs=2, out=tmp_path / "r", set=FAST)
    with pytest.raises(InputError, match="network"):
        glial.load(tmp_path / "r")
    again = glial.load(tmp_path / "r", model=nn.Linear(4, 3))
    assert glial.predict(again, "iris").equals(glial.predict(run, "iris"))


@pytest.mark.parametrize("network", [nn.Linear(5, 3), nn.Linear(4, 2)])
def test_own_module_of_wrong_size_is_refused(network):
    with pytest.raises(InputError, match=r"inputs|outputs"):
        glial.train("iris", model=network, epochs=1, out=False, set=FAST)


def test_same_seed_same_weights_and_other_seed_other_weights():
    runs = [
        glial.train("iris", model="mlp", epochs=3, out=False, seed=s, set=FAST) for s in (0, 0, 1)
    ]
    states = [run.model.state_dict() for run in runs]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_global_random_state_and_caller_threads_do_not_matter():
    first = glial.train("iris", model="mlp", epochs=2, out=False, set=FAST)
    torch.manual_seed(99)
    torch.rand(5)
    second = glial.train("iris", model="mlp", epochs=2, out=False, set=FAST)
    for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_run_folder_holds_what_was_promised(tmp_path):
    run = glial.train(
        "iris", model="mlp", epochs=3, out=tmp_path / "r", set={"train.patience": None}
    )
    names = {path.name for path in run.path.iterdir()}
    assert names >= {
        "plan.yaml",
        "model.safetensors",
        "model.json",
        "encoding.json",
        "encoding.safetensors",
        "decoding.json",
        "history.csv",
        "metrics.json",
        "findings.json",
        "evidence.parquet",
        "environment.json",
        "checkpoints",
    }
    plan = read_yaml(run.path / "plan.yaml")
    assert isinstance(plan["train"]["lr"], float)
    assert isinstance(plan["train"]["batch_size"], int)
    assert plan["data"]["types"]["petal_length"] == "number"
    assert plan["model"]["hidden_sizes"]
    told = json.loads((run.path / "findings.json").read_text())
    assert told == [finding.to_dict() for finding in run.findings]
    history = pl.read_csv(run.path / "history.csv")
    assert history["epoch"].to_list() == [1, 2, 3]
    assert (run.path / "checkpoints/best").is_dir()


def test_resolved_plan_trains_the_same_network_again(tmp_path):
    first = glial.train("iris", model="linear", epochs=5, out=tmp_path / "a")
    second = glial.train(tmp_path / "a" / "plan.yaml", out=tmp_path / "b")
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in "ab"]
    assert left == right
    assert first.plan.train.lr == second.plan.train.lr


def test_draft_writes_every_default_and_can_be_trained(tmp_path):
    plan = draft("iris", {"model.name": "mlp"})
    values = plan.to_values()
    assert set(values["train"]) == set(TrainSettings.model_fields)
    path = tmp_path / "plan.yaml"
    path.write_text(plan.to_yaml())
    assert Plan.from_file(path).to_values() == values
    run = glial.train(path, epochs=2, out=False)
    assert run.epochs == 2


def test_loading_gives_the_same_predictions(tmp_path):
    run = glial.train("wine", model="mlp", epochs=3, out=tmp_path / "r", set=FAST)
    again = glial.load(run.path)
    assert glial.predict(again, "wine").equals(glial.predict(run, "wine"))
    assert again.metrics == run.metrics
    assert [r["epoch"] for r in again.history] == [r["epoch"] for r in run.history]


def test_evaluate_agrees_with_the_run_and_with_scikit_learn(tmp_path):
    bunch = load_breast_cancer(as_frame=True)
    run = glial.train(bunch.frame, target="target", model="linear", epochs=20, out=False, set=FAST)
    told = glial.predict(run, bunch.frame)
    assert type(told).__module__.startswith("pandas")
    found = glial.evaluate(run, bunch.frame)
    from sklearn import metrics

    truth = bunch.target
    assert found["metrics"]["accuracy"] == pytest.approx(
        metrics.accuracy_score(truth, told["prediction"])
    )
    assert found["metrics"]["roc_auc"] == pytest.approx(
        metrics.roc_auc_score(truth, told["probability_1"])
    )
    assert found["baseline"]["accuracy"] == pytest.approx(truth.mean())
    counts = np.array(found["details"]["confusion_matrix"]["counts"])
    assert (counts == metrics.confusion_matrix(truth, told["prediction"])).all()


def test_regression_baseline_is_the_training_mean():
    frame = load_diabetes(as_frame=True).frame
    run = glial.train(frame, target="target", model="linear", epochs=5, out=False, set=FAST)
    assert run.metrics["baseline"]["r2"] == pytest.approx(0, abs=0.1)
    assert run.metrics["test"]["rmse"] == run.metrics["test"]["root_mean_squared_error"]


def test_time_limit_is_honoured_within_a_tenth():
    run = glial.train("digits", model="mlp", epochs=1_000_000, time_limit=3.0, out=False, set=FAST)
    assert run.ended_by == "time_limit"
    assert run.seconds <= 3.3


def test_patience_and_best_weights():
    run = glial.train(
        "iris", model="mlp", epochs=500, out=False, set={"train.lr": 0.05, "train.patience": 5}
    )
    assert run.ended_by == "patience"
    losses = [row["val_loss"] for row in run.history]
    assert run.metrics["val"]["log_loss"] == pytest.approx(min(losses), rel=1e-4)
    assert run.epochs == int(np.argmin(losses)) + 1 + 5


def test_own_validation_and_test_files(tmp_path):
    frame = pl.DataFrame({"x": np.arange(60.0), "y": ["a", "b"] * 30})
    for name, part in {"train": frame[:40], "val": frame[40:50], "test": frame[50:]}.items():
        part.write_csv(tmp_path / f"{name}.csv")
    run = glial.train(
        str(tmp_path / "train.csv"),
        target="y",
        model="linear",
        val=str(tmp_path / "val.csv"),
        test=str(tmp_path / "test.csv"),
        epochs=1,
        out=False,
        set=FAST,
    )
    found = glial.evaluate(run, str(tmp_path / "test.csv"))
    assert found["metrics"] == pytest.approx(run.metrics["test"])


def test_weights_of_rows_count_like_repeated_rows():
    x = np.array([[0.0], [1.0], [2.0], [3.0]] * 10)
    y = x[:, 0] ** 2
    weight = np.where(x[:, 0] == 3.0, 3.0, 1.0)
    one = {
        "data.split.train": 1.0,
        "data.split.val": 0.0,
        "data.split.test": 0.0,
        "data.scaling": "none",
        "data.scale_target": False,
        "train.batch_size": "full",
        "train.optimizer": "sgd",
        "train.lr": 0.05,
        "train.schedule": "constant",
        "train.weight_decay": 0.0,
    }
    repeated = np.repeat(np.arange(40), weight.astype(int))
    weighted = pl.DataFrame({"x": x[:, 0], "w": weight, "y": y})
    plain = pl.DataFrame({"x": x[repeated, 0], "y": y[repeated]})
    options = {"target": "y", "task": "regression", "model": "linear", "epochs": 2000, "out": False}
    a = glial.train(weighted, weight="w", set=one, **options)
    b = glial.train(plain, set=one, **options)
    grid = pl.DataFrame({"x": [0.0, 1.5, 3.0]})
    np.testing.assert_allclose(
        glial.predict(a, grid)["prediction"], glial.predict(b, grid)["prediction"], atol=1e-3
    )
    exact = np.polyfit(x[:, 0], y, 1, w=np.sqrt(weight))
    np.testing.assert_allclose(
        glial.predict(a, grid)["prediction"].to_numpy(), np.polyval(exact, [0, 1.5, 3]), atol=1e-2
    )


def test_split_by_group_and_by_time():
    frame = pl.DataFrame(
        {"x": np.arange(90.0), "who": [i // 3 for i in range(90)], "y": [i % 2 for i in range(90)]}
    )
    run = glial.train(frame, target="y", group="who", model="linear", epochs=1, out=False, set=FAST)
    assert "who" not in run.encoding.encoders
    run = glial.train(frame, target="y", time="x", model="linear", epochs=1, out=False, set=FAST)
    assert run.plan.data.split.time == "x"


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_divergence_leaves_finite_weights_and_a_notice(task, caplog):
    x = np.random.default_rng(0).normal(size=(80, 2))
    y = np.arange(80) % 2 if task == "classification" else x[:, 0] * 3.5
    run = glial.train(
        (x, y),
        target="target",
        model="mlp",
        epochs=40,
        out=False,
        set={"train.lr": 1e30, "train.optimizer": "sgd", "train.schedule": "constant"},
    )
    assert run.ended_by == "not_finite"
    assert "not finite" in caplog.text
    assert all(torch.isfinite(p).all() for p in run.model.parameters())
    assert np.isfinite(list(run.metrics["test"].values())).all()
