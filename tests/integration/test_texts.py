"""Texts from end to end: a column of texts, its model, a run's folder, and the real messages."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import glial
from glial.core.errors import InputError

MOODS = {"good": ["lovely", "bright", "warm"], "bad": ["awful", "dark", "cold"]}


def reviews(rows: int = 400) -> pl.DataFrame:
    """Texts with one telling word among others, some of them empty."""
    generator = np.random.default_rng(0)
    moods = generator.choice(list(MOODS), rows)
    texts = [
        f"we saw {generator.integers(0, 99)} rooms , all {generator.choice(MOODS[m])} and old !"
        for m in moods
    ]
    texts[7] = texts[11] = ""
    return pl.DataFrame({"review": texts, "mood": moods})


def test_one_column_of_texts_has_a_model_of_texts(tmp_path):
    frame = reviews()
    run = glial.train(frame, "mood", epochs=12, out=tmp_path / "run")
    assert run.plan.model["name"] == "bag_of_words"
    assert run.plan.data.text == "tokens"
    assert run.metrics["test"]["accuracy"] > 0.9
    again = glial.load(tmp_path / "run")
    new = pl.DataFrame({"review": ["", None, "Ω 日本 👍", "all warm " * 5000, "awful cold"]})
    found = glial.predict(again, new)
    assert found["prediction"].to_list()[3:] == ["good", "bad"]
    assert found.equals(glial.predict(run, new))
    alone = glial.predict(again, new[4:])
    assert alone["probability_bad"].item() == pytest.approx(found["probability_bad"][4], abs=1e-6)


def test_numbers_beside_a_model_of_texts_are_refused():
    frame = reviews(60).with_columns(size=pl.int_range(60) % 7)
    with pytest.raises(InputError, match="does not take the column 'size'"):
        glial.train(frame, "mood", model="text_cnn", out=False)


def test_tokens_for_a_model_of_numbers_are_refused():
    with pytest.raises(InputError, match="does not take the column 'review'"):
        glial.train(reviews(60), "mood", model="mlp", out=False, set={"data.text": "tokens"})


def test_counts_are_still_to_be_had():
    run = glial.train(reviews(60), "mood", epochs=1, out=False, set={"data.text": "counts"})
    assert run.plan.model["name"] == "tabular"
    assert "review says warm" in run.encoding.names


def test_rows_cannot_be_made_up_between_texts():
    choice = {"data.sampling": "smote"}
    with pytest.raises(InputError, match="neighbours among numbers"):
        glial.train(reviews(60), "mood", model="text_cnn", epochs=1, out=False, set=choice)


def test_columns_are_selected_beside_texts():
    frame = reviews(200).with_columns(size=pl.int_range(200) % 7, noise=pl.int_range(200) % 5)
    choice = {"data.features.select": "mutual_information", "data.features.keep": 1}
    run = glial.train(frame, "mood", epochs=1, out=False, set=choice)
    assert len(run.encoding.dropped) == 1
    assert run.encoding.sizes("text")


@pytest.mark.shared_data
def test_spam(shared_data):
    run = glial.train(str(shared_data / "sms-spam.csv.gz"), target="label", out=False)
    assert run.metrics["test"]["f1"] >= 0.93
