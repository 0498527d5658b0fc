"""Translations from pairs to a run: splits, resuming, what is written, and what is refused."""

from __future__ import annotations

import json
import logging
import math
import random

import polars as pl
import pytest

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.runs import TrainingInterrupted
from glial.runs.pairs import read_pairs
from glial.runs.plan import Plan
from glial.runs.request import Request
from glial.runs.translation import make_ready
from glial.runs.writing import translate, written_otherwise

WORDS = ["red", "blue", "small", "cat", "dog", "sees"]


def pairs(rows=120, longest=4, seed=0):
    """Sentences, and the same in capitals from the end."""
    draw = random.Random(seed)
    lines = [draw.choices(WORDS, k=draw.randint(1, longest)) for _ in range(rows)]
    return pl.DataFrame(
        {
            "en": [" ".join(line) for line in lines],
            "fr": [" ".join(reversed(line)).upper() for line in lines],
        }
    )


def trained(frame=None, model="seq2seq", epochs=2, out=False, **changes):
    small = {"model.size": 8, "train.lr": 0.01}
    small |= {"model.heads": 2, "model.layers": 1} if model == "transformer" else {}
    return glial.train(
        pairs() if frame is None else frame,
        "fr",
        task="translation",
        model=model,
        epochs=epochs,
        out=out,
        set=small | changes,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(out=tmp_path_factory.mktemp("runs") / "run", epochs=6)


def test_a_run_tells_every_figure_and_is_what_is_loaded(run):
    assert run.task == "translation"
    names = ["bleu", "chrf", "exact_match", "log_loss", "perplexity", "token_accuracy"]
    for part in ("val", "test", "baseline"):
        assert sorted(run.metrics[part]) == names
    assert run.metrics["test"]["perplexity"] == pytest.approx(
        math.exp(run.metrics["test"]["log_loss"])
    )
    last = run.history[-1]
    best = min(row["val_loss"] for row in run.history)
    assert run.metrics["val"]["log_loss"] == pytest.approx(best, abs=1e-6)
    assert last["val_token_accuracy"] <= 1
    again, frame = glial.load(run.path), pairs(20, seed=1)
    assert glial.predict(again, frame).equals(glial.predict(run, frame))
    assert again.metrics == run.metrics
    told = glial.evaluate(again, frame)
    assert told["metrics"] == glial.evaluate(run, frame)["metrics"]
    assert told["baseline"]["exact_match"] == 0


def test_predictions_are_one_a_row_whatever_stands_beside(run):
    frame = pairs(30, seed=2)
    whole = glial.predict(run, frame)
    assert whole.columns == ["prediction"]
    assert whole.height == 30
    turned = glial.predict(run, frame[::-1].select("en"))
    assert turned["prediction"].to_list() == whole["prediction"].to_list()[::-1]
    alone = [glial.predict(run, frame[i : i + 1])["prediction"].item() for i in range(30)]
    assert alone == whole["prediction"].to_list()
    odd = pl.DataFrame({"en": ["", None, "Ω 日本", "red " * 5000]})
    assert glial.predict(run, odd).height == 4


def test_several_translations_the_likeliest_first(run):
    changes = {"task.beam": 5, "task.best": 3, "task.length_penalty": 0.0}
    run = written_otherwise(glial.load(run.path), changes)
    found = glial.predict(run, pairs(10))
    assert found.columns == [
        *("prediction", "log_likelihood", "prediction_2", "log_likelihood_2"),
        *("prediction_3", "log_likelihood_3"),
    ]
    assert (found["log_likelihood"] >= found["log_likelihood_2"]).all()
    assert (found["log_likelihood_2"] >= found["log_likelihood_3"]).all()
    assert (found["log_likelihood"] <= 0).all()
    one = translate(run, pairs(10)["en"])
    assert one.texts[0] == found["prediction"].to_list()


def test_texts_that_are_too_long_are_cut_and_that_is_said(run, caplog):
    with caplog.at_level(logging.WARNING):
        glial.predict(run, pl.DataFrame({"en": ["red " * 30]}))
    assert "1 of 1 texts have more than 4 tokens: their end is left out" in caplog.text


@pytest.mark.parametrize("model", ["seq2seq", "transformer"])
def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path, model, stop_at, monkeypatch):
    monkeypatch.setattr("glial.training.loop.TICK_SECONDS", 0.0)
    changes = {"train.checkpoint_seconds": 0.0, "train.batch_size": 16, "model.dropout": 0.2}
    calm = trained(out=tmp_path / "calm", model=model, epochs=3, **changes)
    options = {"target": "fr", "task": "translation", "model": model, "epochs": 3}
    small = {"model.size": 8, "train.lr": 0.01}
    small |= {"model.heads": 2, "model.layers": 1} if model == "transformer" else {}
    options["set"] = small | changes
    with pytest.raises(TrainingInterrupted):
        glial.train(pairs(), out=tmp_path / "cut", callbacks=[stop_at(8)], **options)
    again = glial.train(pairs(), out=tmp_path / "cut", resume=True, **options)
    left, right = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("calm", "cut")]
    assert left == right
    assert again.metrics == calm.metrics


def test_rows_of_the_same_source_stay_in_one_split():
    frame = pl.concat([pairs(60), pairs(60).with_columns(fr=pl.lit("X Y"))])
    plan = Plan.from_values({"data": {"target": "fr"}, "task": {"name": "translation"}})
    plan, tables, source = read_pairs(plan, frame)
    assert source == "en"
    assert plan.data.split.group is None  # a resumed run splits as it did
    parts = [set(part["en"]) for part in (tables.train, tables.val, tables.test)]
    assert not (parts[0] & parts[1])
    assert not (parts[0] & parts[2])
    assert not (parts[1] & parts[2])


def test_words_that_stand_for_nothing_elsewhere_are_texts():
    frame = pairs(60).with_columns(fr=pl.when(pl.col("en") == "red").then(None).otherwise("fr"))
    told = pl.DataFrame({"en": ["None", "NA", "?"] * 3, "fr": ["null", "nan", "Infinity"] * 3})
    rows = pl.concat([frame, told])
    plan = Plan.from_values({"data": {"target": "fr"}, "task": {"name": "translation"}})
    _, tables, _ = read_pairs(plan, rows)
    kept = pl.concat([tables.train, tables.val, tables.test])
    assert kept.filter(pl.col("fr").is_in(["null", "nan", "Infinity"])).height == 9
    assert kept.height == rows["fr"].is_not_null().sum()


def test_weights_of_rows_count():
    frame = pairs(90).with_columns(w=pl.int_range(pl.len()))
    values = {
        "data": {"target": "fr", "weight": "w"},
        "task": {"name": "translation"},
        "model": "seq2seq",
    }
    ready = make_ready(Request(Plan.from_values(values), frame), Plan.from_values(values))
    batch = ready.example()
    assert batch.weight.tolist() == ready.tables.train["w"].head(len(batch.weight)).to_list()
    losses = [
        ready.loss(ready.network(*batch.inputs), batch.target, w) for w in (None, batch.weight)
    ]
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pairs().select("fr"), "there is not one column of texts"),
        (pairs().with_columns(en=pl.col("fr")), "say the same in every row"),
        (pairs().with_columns(fr=pl.lit("")), "too few rows with a target"),
        (pairs().with_columns(fr=pl.lit("oui")), "has one value only"),
        (pairs().with_columns(fr=pl.int_range(pl.len())), "is no text"),
        (pairs().with_columns(fr=pl.concat_list("en")), "is no text"),
        (pairs().with_columns(en=pl.int_range(pl.len())), "there is not one column of texts"),
        (pairs().with_columns(it=pl.col("fr") + " e"), "there is not one column of texts"),
        (pairs(2), "too few"),
        (pairs(0), "no rows"),
    ],
)
def test_pairs_that_cannot_be_learnt_are_refused(frame, message):
    with pytest.raises(InputError, match=message):
        trained(frame)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.split.folds": 3}, "folds"),
        ({"data.sampling": "over"}, r"data\.sampling does not go"),
        ({"data.tokens": "wordpiece"}, "cannot be put together"),
        ({"task.beam": 0}, "beam"),
        ({"task.loss": "focal"}, "does not fit"),
        ({"model.name": "text_gru"}, "does not learn the task"),
    ],
)
def test_plans_that_cannot_be_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        glial.train(pairs(), "fr", task="translation", out=False, set=changes)


def test_rows_without_texts_are_refused(run):
    with pytest.raises(InputError, match="column 'en' that the network translates from"):
        glial.predict(run, pl.DataFrame({"fr": ["a"]}))
    with pytest.raises(InputError, match="no rows"):
        glial.predict(run, pairs().clear())
    with pytest.raises(InputError, match="target 'fr' is not in the data"):
        glial.evaluate(run, pairs().select("en"))


def test_the_command_line_trains_predicts_and_evaluates(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pairs().write_csv("pairs.csv")

    def call(*words):
        capsys.readouterr()
        status = main([*words, "--json", "--quiet"])
        return status, json.loads(capsys.readouterr().out)

    small = ["--set", "model.size=8", "--set", "train.lr=0.01", "--epochs", "1", "--out", "run"]
    status, told = call(*("train", "pairs.csv", "--task", "translation", "--target", "fr"), *small)
    assert (status, told["task"], told["model"]) == (0, "translation", "seq2seq")
    assert told["metrics"]["baseline"]["bleu"] is not None
    status, told = call("predict", "run", "pairs.csv", "--out", "out.csv")
    assert (status, told["rows"]) == (0, 120)
    assert pl.read_csv("out.csv").columns == ["prediction"]
    words = ("predict", "run", "pairs.csv", "--out", "out.jsonl", "--set")
    assert call(*words, "task.best=2")[0] == 0
    assert pl.read_ndjson("out.jsonl").width == 4
    for wrong in ("task.beam=none", "train.lr=1", "task.beam"):
        assert call(*words, wrong)[0] == 2
    status, told = call("evaluate", "run", "pairs.csv")
    assert (status, "chrf" in told["metrics"]) == (0, True)
    status, told = call("train", "pairs.csv", "--task", "translation", "--target", "no")
    assert (status, "error" in told) == (2, True)
