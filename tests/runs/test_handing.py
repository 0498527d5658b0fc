"""Rows handed to a person and answers taken back: whole rounds, and every bad file."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.data import read, write_table

WATCHED = True

GENERATOR = np.random.default_rng(0)
FAST = {"doctor.watch": False, "train.lr": 0.05, "task.refuse": 0.3}


def drawn(rows):
    points = GENERATOR.normal(size=(rows, 2))
    label = np.where(points[:, 0] + 0.5 * GENERATOR.normal(size=rows) > 0, "ill", "well")
    return pl.DataFrame(points, schema=["a", "b"]).with_columns(
        word=pl.Series(["x y", "Ä,", None] * (rows // 3)), y=pl.Series(label)
    )


TABLE, NEW = drawn(240), drawn(60)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "r"
    return glial.train(TABLE, "y", model="mlp", epochs=4, out=path, set=FAST)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_a_whole_round(run, tmp_path, capsys, ending):
    out, over = (tmp_path / f"{name}.{ending}" for name in ("out", "over"))
    NEW.drop("y").write_csv(tmp_path / "new.csv")
    source = tmp_path / "new.csv"
    words = ["predict", str(run.path), str(source), "--out", str(out)]
    assert main([*words, "--hand-over", str(over), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    plain = read(str(out))
    refused = (
        plain["refused"].to_numpy().astype(bool)
        if ending != "csv"
        else (plain["refused"].cast(pl.String) == "true").to_numpy()
    )
    assert 0 < told["rows_handed_over"] == refused.sum() < 60
    handed = read(str(over))
    assert handed.columns == [
        "row",
        "a",
        "b",
        "word",
        "prediction",
        "probability_ill",
        "probability_well",
        "answer",
    ]
    assert (handed["row"].cast(pl.Int64).to_numpy() == np.flatnonzero(refused) + 1).all()
    np.testing.assert_allclose(handed["a"].cast(pl.Float64), NEW["a"].filter(pl.Series(refused)))
    # The person contradicts every one but the last, which stays open.
    opposite = {"ill": "well", "well": "ill"}
    answers = [opposite[label] for label in handed["prediction"]]
    answers[-1] = None
    filled = tmp_path / f"filled.{ending}"
    write_table(handed.with_columns(answer=pl.Series(answers, dtype=pl.String)), filled)
    assert main([*words, "--answers", str(filled)]) == 0
    merged = read(str(out))
    by_person = np.zeros(60, dtype=bool)
    by_person[np.flatnonzero(refused)[:-1]] = True
    assert merged["decided_by"].to_list() == np.where(by_person, "person", "model").tolist()
    assert (merged["prediction"] == plain["prediction"]).to_list() == (~by_person).tolist()
    assert merged.drop("prediction", "decided_by").equals(plain.drop("prediction"))


def test_rows_that_were_not_refused_may_be_answered(run):
    told = glial.predict(run, NEW)
    sure = int(told["refused"].arg_min())
    answer = "ill" if told["prediction"][sure] == "well" else "well"
    answers = pl.DataFrame({"row": [sure + 1], "answer": [f" {answer} "]})
    merged = glial.predict(run, NEW, answers=answers)
    assert merged["prediction"][sure] == answer
    assert (merged["decided_by"] == "person").sum() == 1


def test_labels_keep_their_type(tmp_path):
    table = TABLE.with_columns(y=(pl.col("y") == "ill").cast(pl.Int64) + 3)
    run = glial.train(table, "y", model="linear", epochs=1, out=False, set=FAST)
    handed = glial.runs.hand_over(run, table)
    merged = glial.predict(run, table, answers=handed.with_columns(answer=pl.lit("4")))
    assert merged.schema["prediction"] == pl.Int64
    rows = handed["row"].to_numpy() - 1
    assert set(merged["prediction"].to_numpy()[rows]) == {4}


@pytest.mark.parametrize(
    ("answers", "match"),
    [
        ({"row": [1]}, "no column 'answer'"),
        ({"answer": ["ill"]}, "no column 'row'"),
        ({"row": [0], "answer": ["ill"]}, "row 0"),
        ({"row": [61], "answer": ["ill"]}, "row 61"),
        ({"row": [1.5], "answer": ["ill"]}, "row 1.5"),
        ({"row": ["first"], "answer": ["ill"]}, "row 'first'"),
        ({"row": [None, 2], "answer": ["ill", "ill"]}, "row None"),
        ({"row": [3, 3], "answer": ["ill", "well"]}, "row 3 more than once"),
        ({"row": [2], "answer": ["il"]}, "did you mean 'ill'"),
        ({"row": [2], "answer": ["healthy"]}, "one of ill, well"),
        ({"row": [2], "answer": ["ill"], "a": [77.0]}, "given to other rows"),
        ({"row": [3], "answer": ["ill"], "word": ["x y"]}, "given to other rows"),
    ],
)
def test_bad_answers_are_refused(run, answers, match):
    with pytest.raises(InputError, match=match):
        glial.predict(run, NEW, answers=pl.DataFrame(answers, strict=False))


def test_numbers_that_a_spreadsheet_wrote_anew_are_the_same(run):
    rounded = NEW["a"].round(8)[:2]
    answers = pl.DataFrame({"row": ["1", "2"], "answer": ["ill", "ill"], "a": rounded})
    assert glial.predict(run, NEW, answers=answers)["decided_by"][0] == "person"


def test_runs_that_refuse_nothing_or_tell_no_classes(tmp_path, capsys):
    options = {"model": "linear", "epochs": 1, "set": {"train.lr": 0.1, "doctor.watch": False}}
    plain = glial.train(TABLE, "y", out=tmp_path / "p", **options)
    with pytest.raises(InputError, match="refuses no row"):
        glial.runs.hand_over(plain, NEW)
    NEW.write_csv(tmp_path / "n.csv")
    words = ["predict", str(plain.path), str(tmp_path / "n.csv"), "--out", str(tmp_path / "o.csv")]
    assert main([*words, "--hand-over", str(tmp_path / "h.csv")]) == 2
    assert not (tmp_path / "o.csv").exists()
    assert main([*words, "--hand-over", str(tmp_path / "h.txt")]) == 2
    assert main([*words, "--answers", str(tmp_path / "none.csv")]) == 2
    capsys.readouterr()
    numbers = glial.train(TABLE, "b", out=False, **options)
    with pytest.raises(InputError, match="takes no answers"):
        glial.predict(numbers, NEW, answers=pl.DataFrame({"row": [1], "answer": ["1"]}))
