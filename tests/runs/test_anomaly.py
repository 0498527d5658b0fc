"""Runs that learn normal rows: judged by marked ones, told apart, resumed, and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

import glial
from glial.cli.main import main
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted

SMALL: dict[str, Any] = {"model.hidden_sizes": [16], "train.lr": 0.01, "model.code_size": 2}


def machines(count: int = 600, seed: int = 0, share: float = 0.05) -> pl.DataFrame:
    """Machines whose heat follows speed and load; of a broken one it does not."""
    generator = np.random.default_rng(seed)
    speed, load = generator.normal(size=(2, count))
    broken = generator.random(count) < share
    heat = speed + load + 0.1 * generator.normal(size=count)
    heat = np.where(broken, heat + 4 * np.where(generator.random(count) < 0.5, 1, -1), heat)
    maker = np.where(load + 0.2 * generator.normal(size=count) > 0, "north", "south")
    return pl.DataFrame(
        {
            "speed": 1000 + 50 * speed,
            "load": load,
            "heat": 40 + 5 * heat,
            "maker": maker,
            "state": np.where(broken, "broken", "fine"),
        }
    )


def trained(frame: pl.DataFrame, target: str | None = "state", **options: Any) -> glial.Run:
    chosen = {**SMALL, **options.pop("set", {})}
    options = {"out": False, "epochs": 40, **options}
    return glial.train(frame, target, task="anomaly", set=chosen, **options)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> glial.Run:
    return trained(machines(), out=tmp_path_factory.mktemp("runs") / "machines")


def test_what_breaks_a_rule_scores_higher_than_what_keeps_it(watched: glial.Run) -> None:
    test, baseline = watched.metrics["test"], watched.metrics["baseline"]
    assert test["roc_auc"] > 0.97 > baseline["roc_auc"] == 0.5
    assert test["average_precision"] > 3 * baseline["average_precision"]
    # Heat alone does not tell the two apart.
    frame = machines(400, seed=1)
    spread = (frame["heat"] - frame["heat"].mean()).abs().to_numpy()
    broken = (frame["state"] == "broken").to_numpy()
    told = glial.predict(watched, frame)
    alone, whole = (
        np.mean(values[broken][:, None] > values[~broken])
        for values in (spread, told["score"].to_numpy())
    )
    assert whole > alone + 0.05


def test_a_digit_that_was_never_shown_is_found() -> None:
    pixels, classes = load_digits(return_X_y=True)
    frame = pl.DataFrame({f"p{i}": column for i, column in enumerate(pixels.T)})
    frame = frame.with_columns(zero=pl.Series(classes == 0))
    run = glial.train(frame, "zero", task="anomaly", epochs=40, out=False)
    normal = pixels[classes != 0]
    distances = ((pixels - normal.mean(axis=0)) ** 2 / (normal.var(axis=0) + 0.1)).sum(axis=1)
    assert run.metrics["test"]["roc_auc"] > 0.85
    assert roc_auc_score(classes == 0, distances) < 0.7  # the mean digit tells little


def test_anomalies_are_told_in_the_columns_own_words_with_what_made_them_so(
    watched: glial.Run,
) -> None:
    frame = machines(300, seed=2, share=0.0).with_columns(
        load=pl.when(pl.int_range(pl.len()) == 7).then(40.0).otherwise("load")
    )
    told = glial.predict(watched, frame.drop("state"))
    assert told.columns == ["prediction", "score", "because"]
    assert told["prediction"][7] == "broken"
    assert told["because"][7].startswith("load ")
    normal = told.filter(pl.col("prediction") == "fine")
    assert normal.height > 280
    assert (normal["because"] == "").all()
    assert told["score"].arg_max() == 7


@pytest.mark.parametrize(
    ("model", "epochs", "settings"),
    [
        ("vae", 15, {"model.hidden_sizes": [16], "model.latent_size": 2}),
        ("flow", 4, {"model.hidden_sizes": [16], "model.couplings": 2}),
        ("gan", 4, {"model.hidden_sizes": [16]}),
        ("deep_svdd", 10, {"model.hidden_sizes": [16]}),
        ("one_class", 15, {"model.hidden_sizes": [16]}),
    ],
)
def test_every_network_names_the_column_that_is_out_of_bounds(
    model: str, epochs: int, settings: dict[str, Any]
) -> None:
    run = glial.train(
        machines(), "state", task="anomaly", model=model, epochs=epochs, out=False, set=settings
    )
    rows = machines(60, seed=7, share=0.0)
    wrong = rows.with_columns(load=pl.lit(30.0))
    told = glial.predict(run, wrong)
    assert (told["prediction"] == "broken").mean() > 0.95
    assert told["because"].str.starts_with("load ").mean() > 0.9
    assert (glial.predict(run, rows)["prediction"] == "fine").mean() > 0.8
    assert np.isfinite(told["score"].to_numpy()).all()


def test_marked_rows_are_not_learnt_from() -> None:
    frame = machines(300)
    wrecked = frame.with_columns(
        heat=pl.when(pl.col("state") == "broken").then(1e6).otherwise("heat")
    )
    one, other = (trained(table, epochs=3) for table in (frame, wrecked))
    fine = frame.filter(pl.col("state") == "fine")
    assert glial.predict(one, fine).equals(glial.predict(other, fine))


def test_without_marks_all_rows_are_taken_for_normal(watched: glial.Run) -> None:
    frame = machines(600, share=0.02)
    run = trained(frame.drop("state"), None)
    assert run.metrics["test"].keys() == {"flagged_share"}
    told = glial.predict(run, frame)
    assert set(told["prediction"]) == {"normal", "anomaly"}
    broken = (frame["state"] == "broken").to_numpy()
    scores = told["score"].to_numpy()
    assert np.mean(scores[broken][:, None] > scores[~broken]) > 0.9


def test_a_threshold_fitted_to_marks_is_better_than_one_for_a_share(watched: glial.Run) -> None:
    fitted = trained(machines(), set={"task.anomaly_threshold": "labels"})
    rows = machines(2000, seed=3)
    found = {
        name: glial.evaluate(run, rows)["metrics"]
        for name, run in (("labels", fitted), ("quantile", watched))
    }
    assert found["labels"]["roc_auc"] == pytest.approx(found["quantile"]["roc_auc"])
    assert found["labels"]["f1"] > 0.75
    assert glial.evaluate(watched, rows.drop("state"))["metrics"].keys() == {"flagged_share"}


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_as_many_normal_rows_are_flagged_as_asked(share: float) -> None:
    frame = machines(2000, share=0.0)
    run = trained(frame, epochs=5, set={"task.anomaly_share": share})
    told = glial.evaluate(run, machines(4000, seed=4, share=0.0))["metrics"]
    # 300 rows decide the threshold: its share has a standard error of sqrt(q (1 - q) / 300).
    assert told["flagged_share"] == pytest.approx(share, abs=3 * np.sqrt(share / 300))


def test_a_run_that_went_on_and_one_that_was_opened_say_the_same(
    watched: glial.Run, tmp_path: Path
) -> None:
    opened = glial.load(str(watched.path))
    rows = machines(50, seed=5)
    assert glial.predict(opened, rows).equals(glial.predict(watched, rows))
    assert opened.metrics == watched.metrics
    assert glial.embed(opened, rows).shape == (50, 2)
    held = json.loads((Path(str(watched.path)) / "decoding.json").read_text())
    assert held["columns"] == ["speed", "load", "heat", "maker"]


@pytest.mark.parametrize("model", ["autoencoder", "deep_svdd", "one_class"])
def test_a_resumed_training_is_the_one_that_never_stopped(
    model: str, tmp_path: Path, stop_at: Any
) -> None:
    options = {"task": "anomaly", "model": model, "epochs": 6}
    whole = glial.train(machines(200), "state", out=False, **options)
    with pytest.raises(TrainingInterrupted):
        glial.train(machines(200), "state", out=tmp_path / "run", callbacks=[stop_at(5)], **options)
    resumed = glial.train(machines(200), "state", out=tmp_path / "run", resume=True, **options)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert resumed.decoder.state() == whole.decoder.state()
    assert resumed.plan.model == whole.plan.model


def test_the_command_line(watched: glial.Run, tmp_path: Path, capsys: Any) -> None:
    source, out = tmp_path / "rows.csv", tmp_path / "told.csv"
    machines(80, seed=6, share=0.2).write_csv(source)
    assert main(["predict", str(watched.path), str(source), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 80
    assert pl.read_csv(out).columns == ["prediction", "score", "because"]
    assert main(["evaluate", str(watched.path), str(source), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["roc_auc"] > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "maker", "set": {"task.anomaly_labels": ["west"]}}, "west"),
        ({"target": "speed"}, "does not say which"),
        ({"target": None, "set": {"task.anomaly_threshold": "labels"}}, "without a column"),
        ({"set": {"task.threshold": 0.5}}, "task.threshold"),
        ({"set": {"task.anomaly_share": 0}}, "anomaly_share"),
        ({"model": "linear"}, "does not learn the task"),
    ],
)
def test_what_cannot_be_done_is_refused(options: dict[str, Any], message: str) -> None:
    options = {"target": "state", **options}
    with pytest.raises(InputError, match=message):
        glial.train(machines(100), task="anomaly", out=False, **options)


def test_a_threshold_by_labels_without_any_is_refused_before_training() -> None:
    frame = machines(100, share=0.0)
    with pytest.raises(InputError, match="there are none"):
        trained(frame, set={"task.anomaly_threshold": "labels"})
