"""Runs that forecast: trained, resumed, judged and asked for what comes next."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted
from glial.runs.forecasts import forecasts, read_as_trained
from glial.runs.series import series_rows
from glial.runs.ways import WAYS

QUICK = {"task.horizon": 4, "task.season": 4, "task.context": 8, "model.members": 2}


def seasonal(count=60, *, first="2020-01", seed=0, season=4):
    """Months with a season, a trend and little noise."""
    year, month = (int(part) for part in first.split("-"))
    steps = np.arange(count)
    names = [f"{year + (month - 1 + i) // 12}-{(month - 1 + i) % 12 + 1:02d}" for i in steps]
    noise = np.random.default_rng(seed).normal(0, 0.1, count)
    values = 10 + 0.1 * steps + 2 * np.sin(steps * 2 * np.pi / season) + noise
    return pl.DataFrame({"month": names, "y": values})


def trained(frame, *, epochs=3, settings=None, **options):
    values = {**QUICK, **(settings or {})}
    if options.get("model", "forecast_mlp") != "forecast_mlp":
        values.pop("model.members")
    defaults = {"target": "y", "time": "month", "task": "forecasting", "out": False}
    return glial.train(frame, epochs=epochs, set=values, **{**defaults, **options})


@pytest.mark.parametrize("model", ["forecast_mlp", "forecast_rnn"])
def test_interrupted_forecasting_resumes_to_the_same_weights(tmp_path, model, stop_at, monkeypatch):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    source = str(tmp_path / "a.csv")
    seasonal().write_csv(source)
    options = {
        "model": model,
        "epochs": 3,
        "settings": {"train.batch_size": 16, "train.checkpoint_seconds": 0.0},
    }
    calm = trained(source, out=tmp_path / "calm", **options)
    with pytest.raises(TrainingInterrupted):
        trained(source, out=tmp_path / "cut", callbacks=[stop_at(4)], **options)
    run = trained(source, out=tmp_path / "cut", resume=True, **options)
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("calm", "cut")]
    assert left == right
    assert run.metrics == calm.metrics
    loaded = glial.load(tmp_path / "cut")
    assert glial.predict(loaded, source).equals(glial.predict(calm, source))


def test_the_next_steps_of_every_series_follow_its_end():
    frames = [seasonal(60), seasonal(40, first="2021-05", seed=1), seasonal(9, seed=2)]
    frame = pl.concat(
        [part.with_columns(shop=pl.lit(name)) for part, name in zip(frames, "abc", strict=True)]
    )
    run = trained(frame, group="shop")
    found = glial.predict(run, frame.sample(fraction=1.0, shuffle=True, seed=0).sort("shop"))
    assert found["shop"].to_list() == [name for name in "abc" for _ in range(4)]
    assert found["month"].to_list()[:4] == ["2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01"]
    assert found["month"][4] == "2024-09-01"
    assert found.columns[2:] == ["prediction", *(f"prediction_{q}" for q in (0.1, 0.5, 0.9))]
    new = glial.predict(run, seasonal(1, seed=5).with_columns(shop=pl.lit("new")))
    assert new.height == 4
    assert np.isfinite(new["prediction"].to_numpy()).all()


def test_rows_without_a_target_at_the_end_are_forecast_alone():
    frame = pl.concat([seasonal(60), seasonal(2, first="2025-01")]).with_row_index("row")
    asked = frame.with_columns(y=pl.when(pl.col("row") < 60).then(pl.col("y"))).drop("row")
    run = trained(seasonal(60))
    found = glial.predict(run, asked)
    assert found["month"].to_list() == ["2025-01", "2025-02"]  # as the source spells them
    whole = glial.predict(run, asked.head(60))
    assert found["prediction"].to_list() == whole["prediction"].to_list()[:2]


def test_what_comes_later_changes_no_forecast_before():
    frame = seasonal(80)
    run = trained(frame.head(60))
    task = run.decoder
    table = [frame, frame.with_columns(y=pl.when(pl.int_range(80) < 50).then("y").otherwise(99.0))]
    found = []
    for one in table:
        series = read_as_trained(run, one)
        rows = series_rows(series, task, run.encoding, series.ends)
        found.append(forecasts(run, rows.windows, torch.arange(20, 51)))
    assert torch.equal(found[0], found[1])


def test_steps_that_validate_and_test_are_never_learnt_from():
    frame = seasonal(80)
    spoilt = frame.with_columns(y=pl.when(pl.int_range(80) < 56).then("y").otherwise(-99.0))
    plain, other = [
        trained(one, settings={"train.restore_best": False, "task.transform": "none"})
        for one in (frame, spoilt)
    ]
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name])


@pytest.mark.parametrize("model", ["forecast_mlp", "forecast_tcn"])
def test_step_by_step_gives_the_whole_horizon(model):
    run = trained(seasonal(), model=model, settings={"task.strategy": "recursive"})
    assert glial.predict(run, seasonal()).height == 4
    assert run.sizes["windows"]["horizon"] == 1
    direct = trained(seasonal(), model=model)
    # The first step of both is of the same kind; the later ones feed on those before.
    assert run.metrics["test"].keys() == direct.metrics["test"].keys()


def test_step_by_step_is_a_loop_by_hand():
    class Doubles(nn.Module):
        """The last value twice over, for three quantiles."""

        def __init__(self):
            super().__init__()
            self.unused = nn.Parameter(torch.ones(1))

        def forward(self, history):
            return (2 * history[:, -1] - history[:, -2]).expand(-1, 3) * self.unused

    frame = pl.DataFrame({"month": np.arange(40), "y": 3.0 * np.arange(40) + 7})
    settings = {"task.strategy": "recursive", "train.lr": 1e-9, "task.season": 1}
    run = glial.train(
        frame,
        "y",
        task="forecasting",
        time="month",
        model=Doubles(),
        epochs=1,
        out=False,
        set={"task.horizon": 5, "task.context": 4, **settings},
    )
    found = glial.predict(run, frame)
    assert found["prediction"].to_numpy() == pytest.approx(3.0 * np.arange(40, 45) + 7, rel=1e-4)
    assert found["month"].to_list() == list(range(40, 45))


def test_several_targets_and_gaps():
    frame = seasonal(80).with_columns(z=pl.col("y") * 2)
    holes = frame.with_columns(y=pl.when(pl.int_range(80) % 9 != 4).then("y"))
    run = trained(holes.filter(pl.int_range(80) % 13 != 6), target=["y", "z"])
    found = glial.predict(run, holes)
    assert {"prediction_y", "prediction_z", "prediction_z_0.9"} <= set(found.columns)
    assert np.isfinite(run.metrics["test"]["mase"])


def test_series_that_stand_still_are_forecast_as_they_stand():
    flat = seasonal(60).with_columns(y=pl.lit(5.0))
    run = trained(flat)
    assert glial.predict(run, flat)["prediction"].to_numpy() == pytest.approx(5.0, abs=0.01)
    assert np.isnan(run.metrics["test"]["mase"])


def test_evaluation_is_from_many_moments():
    run = trained(seasonal(60))
    judged = glial.evaluate(run, seasonal(60, seed=3))
    assert set(judged["baseline"]) == {"mae", "rmse", "smape", "mase", "quantile_loss"}
    assert set(judged["metrics"]) == {*judged["baseline"], "coverage", "nominal_coverage"}
    values = seasonal(60, seed=3)["y"].to_numpy()
    moments = range(8, 57)
    naive = [np.abs(values[m : m + 4] - np.resize(values[m - 4 : m], 4)) for m in moments]
    assert judged["baseline"]["mae"] == pytest.approx(np.mean(naive))
    scale = np.abs(values[4:8] - values[:4]).mean()
    assert judged["baseline"]["mase"] == pytest.approx(np.mean(naive) / scale)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frame": seasonal(5)}, "too short"),
        ({"frame": seasonal(1)}, "too short"),
        ({"settings": {"task.context": 3}}, "shorter than a season"),
        ({"settings": {"task.known": ["price"]}}, "price"),
        (
            {
                "settings": {"task.transform": "log"},
                "frame": seasonal().with_columns(y=-pl.col("y")),
            },
            "no logarithm",
        ),
        ({"time": "when"}, "not in the data"),
        ({"target": "sales"}, "sales"),
        ({"group": "shop"}, "shop"),
        ({"weight": "y"}, "weight"),
        ({"folds": 3}, "folds"),
        ({"model": "mlp"}, "does not learn"),
    ],
)
def test_what_cannot_be_forecast_is_refused(change, words):
    options = {"frame": seasonal(), **change}
    with pytest.raises(InputError, match=words):
        trained(options.pop("frame"), **options)


def test_forecasts_of_more_steps_or_without_what_is_known_are_refused():
    frame = seasonal().with_columns(price=pl.int_range(60) % 7)
    run = trained(frame)
    with pytest.raises(InputError, match="nothing is known"):
        glial.predict(run, frame)
    with pytest.raises(InputError, match="price"):
        glial.predict(run, seasonal())
    later = seasonal(6, first="2025-01").with_columns(y=pl.lit(None, pl.Float64), price=1)
    with pytest.raises(InputError, match="more steps"):
        glial.predict(run, pl.concat([frame, later], how="vertical_relaxed"))
    with pytest.raises(InputError, match="long enough"):
        glial.evaluate(run, frame.head(8))


def test_the_verbs_forecast(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    seasonal().write_csv("a.csv")
    common = ["--target", "y", "--time", "month", "--task", "forecasting"]
    assert main(["init", "a.csv", *common]) == 0
    assert "horizon: 6" not in (tmp_path / "plan.yaml").read_text()
    asked = ["a.csv", *common, "--epochs", "2", "--out", "run", "--json", "--set", "task.horizon=3"]
    capsys.readouterr()
    assert main(["train", *asked]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["task"], told["model"]) == ("forecasting", "forecast_mlp")
    assert main(["predict", "run", "a.csv", "--out", "next.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 3
    assert main(["evaluate", "run", "a.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["mase"] > 0
    assert WAYS.resolve("forecasting").predict(glial.load("run"), "a.csv").height == 3
