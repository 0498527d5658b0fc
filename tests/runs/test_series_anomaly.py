"""Anomalies in series: found, told of, kept out of training, and told of a stream alike."""

import json

import numpy as np
import polars as pl
import pytest
import torch

import glial
from glial.core.errors import InputError
from glial.runs.anomaly.streaming import AnomalyStream

STEPS, SPIKE, STUCK = 500, 470, slice(440, 446)


def series(seed=0):
    """Two columns with a season of 24; a spike in one, and later a stop of the other."""
    generator, hours = np.random.default_rng(seed), np.arange(STEPS)
    load = 10 + 3 * np.sin(2 * np.pi * hours / 24) + 0.3 * generator.normal(size=STEPS)
    heat = np.cos(2 * np.pi * hours / 24) + 0.1 * generator.normal(size=STEPS)
    load[SPIKE] += 8
    heat[STUCK] = -2.5
    known = np.zeros(STEPS, dtype=int)
    known[SPIKE], known[STUCK] = 1, 1
    return pl.DataFrame({"hour": hours, "load": load, "heat": heat, "broken": known})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series") / "run"
    return glial.train(series(), "broken", task="anomaly", time="hour", epochs=2, out=folder)


def test_what_is_planted_is_found_and_its_column_named(run):
    told = glial.predict(run, series())
    assert run.plan.model["name"] == "forecast_rnn"
    assert told["prediction"][SPIKE] == 1
    assert told["because"][SPIKE].startswith("load")
    assert told["because"][STUCK.start].startswith("heat")
    assert abs(told["expected_load"][SPIKE] - (series()["load"][SPIKE] - 8)) < 2
    assert told["score"][:20].null_count() == 20
    test, baseline = run.metrics["test"], run.metrics["baseline"]
    assert test["roc_auc"] > 0.95
    assert test["average_precision"] > 0.8 > baseline["average_precision"]
    assert glial.evaluate(run, series())["metrics"]["roc_auc"] > 0.95


def test_values_that_are_usual_at_other_hours_are_found_by_forecasts_alone(run, monkeypatch):
    turned = [390, 402, 413]  # where the wave is highest or lowest
    load = series()["load"].to_numpy().copy()
    load[turned] = 20 - load[turned]

    def share_above():
        scores = glial.predict(run, series().with_columns(load=load).head(430))["score"]
        return (scores.drop_nulls() >= scores.gather(turned).min()).mean()

    found = share_above()
    monkeypatch.setattr(run.model, "forward", lambda history: torch.zeros(len(history), 6))
    assert found < 0.03
    assert share_above() > 0.2


def test_a_stream_has_the_scores_of_the_table(run):
    holed = series().filter(~pl.col("hour").is_in([60, 61, 300]))
    holed = holed.with_columns(heat=pl.when(pl.col("hour") != 350).then("heat"))
    holed = pl.concat([holed[:200], holed[400:]])  # a gap of 200 steps in one
    told = glial.predict(run, holed)
    stream, seen = AnomalyStream(run.path), []
    for number, row in enumerate(holed.iter_rows(named=True)):
        if number == 150:  # written down, and taken up in another process
            held, stream = json.dumps(stream.state()), AnomalyStream(run)
            stream.load(json.loads(held))
        seen.append(stream.see(row))
    scores = np.array([one.score for one in seen])
    of_table = told["score"].fill_null(np.nan).to_numpy()
    np.testing.assert_allclose(scores, of_table, rtol=1e-5, atol=1e-6)
    surely = np.abs(of_table - run.decoder.threshold) > 1e-5
    of_stream = np.array([one.prediction for one in seen])
    assert (of_stream == told["prediction"].to_numpy())[surely].all()
    assert [one.because for one in seen][SPIKE - 203].startswith("load")
    expected = [one.expected["heat"] for one in seen]
    np.testing.assert_allclose(
        expected, told["expected_heat"].fill_null(np.nan).to_numpy(), rtol=1e-4, atol=1e-5
    )


def test_a_stream_remembers_no_more_the_longer_it_is(run):
    stream, sizes = AnomalyStream(run), []
    for row in series().head(170).iter_rows(named=True):
        stream.see(row)
        sizes.append(sum(len(part) for part in stream.state()[""]["values"]))
    context, season = run.plan.task.context, run.plan.task.season
    assert max(sizes) == sizes[-1] == 2 * (context + season)


def test_marked_steps_are_not_learnt_from():
    """A column that is wrong wherever it is marked forecasts as if it were not there."""
    frame = series().with_columns(broken=pl.lit(0))
    marks = np.arange(STEPS) % 40 == 30
    wrong = frame.with_columns(
        load=pl.when(pl.Series(marks)).then(1e3).otherwise("load"), broken=marks.astype(int)
    )
    options = {"task": "anomaly", "time": "hour", "epochs": 1, "out": False}
    marked = glial.train(wrong, "broken", **options)
    assert marked.metrics["test"]["roc_auc"] > 0.95
    unmarked = glial.train(wrong.drop("broken"), **options)
    losses = [one.history[-1]["val_scaled_mae"] for one in (marked, unmarked)]
    assert losses[0] < 0.4 * losses[1]


def test_groups_have_each_their_own_surprises():
    small = series().with_columns(site=pl.lit("small"))
    large = small.with_columns(pl.col("load", "heat") * 1e4, site=pl.lit("large"))
    both = pl.concat([small, large]).sort("hour", "site")
    options = {"task": "anomaly", "time": "hour", "group": "site", "epochs": 2, "out": False}
    run = glial.train(both.drop("broken"), **options)
    told = glial.predict(run, both).with_columns(both["hour", "site"])
    for site in ("small", "large"):
        spike = told.filter(pl.col("site") == site, pl.col("hour") == SPIKE)
        assert spike["prediction"].item() == "anomaly"
    stream = AnomalyStream(run)
    seen = [stream.see(row).score for row in both.head(120).iter_rows(named=True)]
    of_table = told["score"][:120].fill_null(np.nan).to_numpy()
    np.testing.assert_allclose(seen, of_table, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"task.horizon": 3}, "horizon"), ({"task.known": ["load"]}, "task.known")],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        glial.train(series(), task="anomaly", time="hour", set=changes, out=False)


def test_series_without_numbers_are_refused():
    frame = pl.DataFrame({"hour": [1, 2, 3], "what": ["a", "b", "a"]})
    with pytest.raises(InputError, match="no series to watch"):
        glial.train(frame, task="anomaly", time="hour", out=False)


def test_a_stream_refuses_what_it_cannot_follow(run):
    stream = AnomalyStream(run)
    stream.see({"hour": 5, "load": 1.0, "heat": 0.0})
    with pytest.raises(InputError, match="does not follow"):
        stream.see({"hour": 5, "load": 1.0, "heat": 0.0})
    with pytest.raises(InputError, match="no 'heat'"):
        stream.see({"hour": 6, "load": 1.0})
    with pytest.raises(InputError, match="no state"):
        stream.load({"": {"count": 1}})
    with pytest.raises(InputError, match="scores no streams"):
        AnomalyStream(glial.train("iris", model="linear", epochs=1, out=False))
