"""Preparation from end to end: a setting of the plan, fitted, saved, and used to predict."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

import glial
from glial.core.errors import InputError
from glial.data import DataSettings, read
from glial.tasks import fit_task
from glial.tasks.settings import TaskSettings

QUICK = {"model": "linear", "epochs": 5}


def holed() -> pl.DataFrame:
    """Iris with a tenth of one column gone, and a column of words."""
    frame = read("iris")
    gone = np.random.default_rng(0).random(frame.height) < 0.1
    width = pl.when(pl.Series(gone)).then(None).otherwise(pl.col("petal_width"))
    colour = pl.Series("colour", np.random.default_rng(1).choice(list("rgb"), frame.height))
    return frame.with_columns(width.alias("petal_width"), colour)


@pytest.mark.parametrize(
    "choice",
    [
        {"data.missing": "knn"},
        {"data.missing": "iterative"},
        {"data.missing": "factorization"},
        {"data.missing": "mask"},
        {"data.missing": "constant", "data.missing_value": 1.0},
        {"data.categories": "target"},
        {"data.categories": "ordinal"},
        {"data.categories": "hashing", "data.hash_size": 8},
        {"data.scaling": "quantile"},
        {
            "data.columns": {
                "petal_length": {"scaling": "minmax"},
                "colour": {"categories": "ordinal"},
            }
        },
        {"data.features.pca": 2},
        {"data.features.polynomial": 2},
        {"data.features.select": "mutual_information"},
        {"data.features.crosses": [["colour", "petal_width"]]},
    ],
    ids=str,
)
def test_a_choice_is_saved_and_used_again(choice, tmp_path):
    frame = holed()
    run = glial.train(frame, "species", set=choice, out=tmp_path / "run", **QUICK)
    again = glial.load(tmp_path / "run")
    one = glial.predict(again, frame[3:4])
    whole = glial.predict(run, frame)
    assert whole.equals(glial.predict(again, frame))
    for name in ("probability_setosa", "probability_virginica"):
        assert one[name][0] == pytest.approx(whole[name][3], abs=1e-5)
    assert run.metrics["test"]["accuracy"] > 0.5
    for key, value in choice.items():
        values = run.plan.to_values()
        for part in key.split("."):
            values = values[part]
        assert value == values or isinstance(value, dict)


def test_what_was_chosen_is_printed(caplog):
    caplog.set_level("INFO")
    run = glial.train(holed(), "species", out=False, **QUICK)
    assert run.plan.data.missing == "iterative"
    assert "numbers: scaled by standard, which suits linear" in caplog.text
    assert "missing numbers: iterative, each regressed on the others; flags in 1" in caplog.text
    caplog.clear()
    glial.train(holed(), "species", out=False, epochs=1)
    assert "numbers: scaled by robust, which suits tabular" in caplog.text
    assert "categories: 1 columns embedded, which suits tabular" in caplog.text
    asked = {"data.missing": "mean", "data.scaling": "minmax"}
    glial.train(holed(), "species", out=False, set=asked, **QUICK)
    assert "missing numbers: mean, as asked" in caplog.text
    assert "numbers: scaled by minmax, as asked" in caplog.text


def test_few_gaps_or_too_many_are_filled_by_medians(caplog):
    caplog.set_level("INFO")
    few = holed().with_columns(pl.col("petal_width").fill_null(1.0))
    few[0, "petal_width"] = None
    run = glial.train(
        few,
        "species",
        out=False,
        set={"data.split.test": 0.0, "data.split.val": 0.0, "data.split.train": 1.0},
        **QUICK,
    )
    assert run.plan.data.missing == "median"
    assert "missing numbers: median, less than 5% of each column" in caplog.text
    generator = np.random.default_rng(0)
    wide = generator.normal(size=(60, 30))
    wide[generator.random(wide.shape) < 0.2] = np.nan
    names = [f"x{i}" for i in range(30)]
    frame = pl.DataFrame(wide, schema=names).fill_nan(None).with_columns(y=pl.Series(range(60)))
    run = glial.train(frame, "y", task="regression", out=False, **QUICK)
    assert run.plan.data.missing == "median"
    assert "too many columns to regress" in caplog.text


def test_dropped_columns_are_told_with_the_reason(caplog):
    choice = {"data.features.select": "mutual_information"}
    run = glial.train(holed(), "species", set=choice, out=False, **QUICK)
    assert "colour" in run.encoding.dropped
    assert "'colour' is dropped: mutual information with the target" in caplog.text
    glial.predict(run, holed().drop("colour"))  # it is not asked for again


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"data.columns": {"colou": {"scaling": "minmax"}}}, "did you mean 'colour'"),
        ({"data.imputations": 3, "data.missing": "mean"}, "something to draw"),
        ({"data.features.pca": 40}, "principal components"),
        ({"data.features.crosses": [["colour", "weight"]]}, "weight"),
        ({"data.columns": {"colour": {"categories": "ordinal", "order": ["r"]}}}, "leaves out"),
        ({"data.missing": "knnn"}, "data.missing"),
        ({"data.features.pca": 1.5}, "data.features.pca"),
    ],
)
def test_choices_that_do_not_fit_are_refused(choice, words):
    with pytest.raises(InputError) as caught:
        glial.train(holed(), "species", set=choice, out=False, **QUICK)
    assert words in str(caught.value)


def test_words_of_a_text_column_are_read():
    generator = np.random.default_rng(0)
    filler = ["the quick brown fox", "a lazy dog sleeps", "rain falls on the roof"]
    texts, labels = [], []
    for _ in range(300):
        spam = generator.random() < 0.5
        words = [str(generator.choice(filler)), f"number {generator.integers(1e6)}"]
        words.insert(1, "win a prize now" if spam else "see you at home")
        texts.append(" ".join(words))
        labels.append("spam" if spam else "ham")
    frame = pl.DataFrame({"text": texts, "y": labels})
    run = glial.train(frame, "y", out=False, model="linear", epochs=20)
    assert run.metrics["test"]["accuracy"] > 0.95
    with pytest.raises(InputError, match="no column is left"):
        glial.train(frame, "y", out=False, set={"data.text": "ignore"}, **QUICK)


SCALES = [True, False, "standard", "minmax", "robust", "quantile", "power", "none"]


@pytest.mark.parametrize("scale", SCALES)
def test_targets_come_back_from_every_scaling(scale):
    generator = np.random.default_rng(0)
    frame = pl.DataFrame({"a": generator.lognormal(size=300), "b": generator.normal(size=300)})
    task = fit_task(
        frame, ["a", "b"], TaskSettings(name="regression"), scale_target=scale, loss=None
    )
    found = task.decode(task.encode(frame).double()).predictions
    tolerance = 0.02 if scale == "quantile" else 1e-5
    np.testing.assert_allclose(found["prediction_a"], frame["a"], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found["prediction_b"], frame["b"], rtol=tolerance, atol=tolerance)
    trivial = task.decode(task.trivial_outputs(2)).predictions["prediction_a"]
    assert trivial[0] == pytest.approx(frame["a"].mean(), rel=0.02)
    from glial.tasks import load_task

    again = load_task(task.state(), TaskSettings(name="regression"))
    assert torch.equal(again.encode(frame), task.encode(frame))


@pytest.mark.parametrize("scale", ["power", "quantile"])
def test_a_skewed_target_is_learnt_through_its_scaling(scale):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(600, 2))
    y = np.exp(3 + x[:, 0] + 0.5 * x[:, 1])
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y})
    errors = {
        how: glial.train(
            frame, "y", out=False, model="linear", epochs=60, set={"data.scale_target": how}
        ).metrics["test"]["mae"]
        for how in (scale, "standard")
    }
    assert errors[scale] < 0.8 * errors["standard"]


def test_several_imputations_are_as_many_tables_and_networks():
    frame = holed()
    run = glial.train(frame, "species", set={"data.imputations": 3}, out=False, **QUICK)
    assert [member.plan.data.imputation for member in run.members] == [1, 2, 3]
    assert run.members[0].plan.data.missing == "iterative"
    gone = frame["petal_width"].is_null().to_numpy()
    names = run.members[0].encoding.names
    place = names.index("petal_width")
    filled = np.stack([m.encoding.transform(frame).numbers[:, place] for m in run.members])
    # The tables were fitted on one and the same scaling, so only what was drawn differs.
    assert (filled.std(axis=0)[gone] > 1e-3).mean() > 0.5  # some meet at the least width
    assert np.allclose(filled.std(axis=0)[~gone], 0, atol=1e-6)
    found = glial.predict(run, frame)
    shares = [glial.predict(m, frame)["probability_setosa"].to_numpy() for m in run.members]
    np.testing.assert_allclose(found["probability_setosa"], np.mean(shares, axis=0), atol=1e-6)
    assert (found["spread"].to_numpy()[gone] > 0).all()
    assert set(run.spread["test"]["accuracy"]) == {"mean", "std"}


def test_the_settings_of_one_column_stand_before_those_of_all():
    choice = DataSettings(missing="mean", scaling="auto", columns={"a": {"missing": "mode"}})
    assert (choice.of("a").missing, choice.of("b").missing) == ("mode", "mean")
    assert choice.of("a").scaling is None
