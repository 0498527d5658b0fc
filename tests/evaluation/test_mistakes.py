"""Where a run errs: planted wrong labels, copies and confusions are found where they stand."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.data.quality.labels import confident_joint
from glial.evaluation import find_mistakes


def test_confident_joint_by_hand():
    """Thresholds 0.7 and 0.6 of two classes; each row is counted where it reaches one."""
    first = np.array([0.9, 0.8, 0.4, 0.2, 0.3, 0.7])
    labels = np.array([0, 0, 0, 1, 1, 1])  # means (0.9+0.8+0.4)/3 = 0.7, (0.8+0.7+0.3)/3 = 0.6
    joint = confident_joint(labels, np.stack([first, 1 - first], axis=1))
    # Row 2 reaches 1 - 0.4 = 0.6: class 1; row 5 reaches 0.7: class 0.
    assert joint.tolist() == [[2, 1], [1, 2]]


def test_rows_that_are_all_as_probable_reach_their_threshold():
    shares = np.tile([0.7, 0.3], (3, 1))
    assert confident_joint(np.zeros(3, dtype=int), shares).tolist() == [[3, 0], [0, 0]]


def test_confident_joint_leaves_out_who_reaches_no_threshold_and_absent_classes():
    shares = np.array([[0.9, 0.1, 0.0], [0.5, 0.4, 0.1], [0.1, 0.9, 0.0]])
    joint = confident_joint(np.array([0, 0, 1]), shares)
    assert joint.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def clouds(rows: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    kinds = random.integers(3, size=rows)
    centres = np.array([[0, 0], [6, 0], [0, 6]])[kinds]
    inputs = centres + random.normal(size=(rows, 2))
    names = np.array(["a", "b", "c"])[kinds]
    columns = {"key": [f"id {i}" for i in range(rows)], "u": inputs[:, 0], "v": inputs[:, 1]}
    return pl.DataFrame(columns | {"y": names.tolist()})


@pytest.fixture(scope="module")
def run():
    asked = {"model": "mlp", "epochs": 20, "set": {"train.lr": 0.02}, "out": False}
    return glial.train(clouds(300, 0), "y", **asked)


@pytest.mark.slow
def test_planted_wrong_labels_are_found(run):
    frame = clouds(400, 1)
    random = np.random.default_rng(0)
    flipped = np.sort(random.choice(400, 40, replace=False))
    labels = frame["y"].to_numpy().copy()
    labels[flipped] = [{"a": "b", "b": "c", "c": "a"}[label] for label in labels[flipped]]
    truth = frame["y"].to_list()
    found = find_mistakes(run, frame.with_columns(y=pl.Series(labels)))
    rows = {doubt["row"] for doubt in found.doubts}
    hits = rows & set(flipped.tolist())
    assert len(hits) >= 0.9 * 40
    assert len(hits) >= 0.9 * len(rows)
    assert all(one["suggested"] == truth[one["row"]] for one in found.doubts if one["row"] in hits)
    counts = np.array(found.joint["counts"])
    assert abs(counts.sum() - np.trace(counts) - 40) <= 8
    pairs = {pair["truth"] + pair["prediction"] for pair in found.confusions[:3]}
    assert pairs == {"ba", "cb", "ac"}
    told = glial.predict(run, frame)["prediction"].to_numpy()
    assert found.wrong == (told != labels).sum() == found.table.height
    probability = found.table["probability"].to_list()
    assert probability == sorted(probability, reverse=True)
    first = found.table.row(0, named=True)
    assert labels[first["row"]] == first["truth"]
    assert first["key"] == f"id {first['row']}"
    assert (found.table["prediction"] != found.table["truth"]).all()


@pytest.mark.slow
def test_rows_are_numbered_as_in_the_source_and_unseen_classes_told(run):
    frame = clouds(60, 2)
    labels = frame["y"].to_list()
    labels[0], labels[5], labels[7] = None, "z", "z"
    found = find_mistakes(run, frame.with_columns(y=pl.Series(labels)))
    assert found.rows == 59
    odd = found.table.filter(pl.col("truth") == "z")
    assert sorted(odd["row"]) == [5, 7]
    assert odd["probability_of_truth"].to_list() == [0.0, 0.0]
    assert any(pair["truth"] == "z" for pair in found.confusions)
    assert sum(map(sum, found.joint["counts"])) <= 57
    json.dumps(found.to_dict(3))


@pytest.mark.slow
def test_copies_within_and_among_other_rows(run):
    frame = clouds(30, 3)
    again = frame[4].with_columns(y=pl.lit("other"))
    source = pl.concat([frame, frame[2], again])
    found = find_mistakes(run, source).copies
    assert (found["repeated"], found["conflicting"]) == (1, 2)
    assert found["among_others"] is None
    across = find_mistakes(run, frame, pl.concat([clouds(20, 4), frame[:3]])).copies
    assert (across["repeated"], across["among_others"]) == (0, 3)
    assert across["examples"][0] == [{"in": "others", "row": 20}, {"in": "source", "row": 0}]
    with pytest.raises(InputError, match="not in the other rows"):
        find_mistakes(run, frame, frame.drop("u"))


@pytest.mark.slow
def test_errors_of_numbers_and_where_they_stand():
    random = np.random.default_rng(0)
    x = random.uniform(0, 1, 300)
    frame = pl.DataFrame({"x": x, "y": 3 * x + 0.1 * random.normal(size=300)})
    asked = {"model": "linear", "epochs": 30, "out": False, "set": {"train.lr": 0.05}}
    run = glial.train(frame, "y", **asked)
    new = frame[:100].with_columns(y=pl.when(pl.Series(range(100)) == 42).then(9.0).otherwise("y"))
    found = find_mistakes(run, new)
    assert found.table["row"][0] == 42
    assert found.table["doubtful"][0]
    assert [doubt["row"] for doubt in found.doubts] == [42]
    assert found.wrong is None
    assert found.joint is None
    assert found.confusions == []
    assert sum(part["rows"] for part in found.regions) == 100
    assert len(found.regions) == 5
    mae = np.average(
        [part["mean_absolute_error"] for part in found.regions],
        weights=[part["rows"] for part in found.regions],
    )
    assert mae == pytest.approx(glial.evaluate(run, new, replicates=0)["metrics"]["mae"])
    several = glial.train(frame.with_columns(z="x"), ["y", "z"], **asked | {"epochs": 1})
    with pytest.raises(InputError, match="row by row"):
        find_mistakes(several, frame.with_columns(z="x"))


@pytest.mark.slow
def test_evaluate_shows_errors_and_drift(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    clouds(90, 0).write_csv("old.csv")
    new = clouds(90, 1).with_columns(pl.col("u") + 2)
    new.write_csv("new.csv")
    words = ["train", "old.csv", "--target", "y", "--model", "linear", "--epochs", "2"]
    assert main([*words, "--out", "r", "--quiet"]) == 0
    capsys.readouterr()
    words = ["evaluate", "r", "new.csv", "--errors", "--against", "old.csv", "--replicates", "0"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "mistakes (rows count from 0)" in said
    assert "inputs: u moved" in said
    assert main([*words, "--errors", "2", "--out", "seen", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"metrics", "baseline", "details", "errors", "drift"} <= set(found)
    assert len(found["errors"]["mistakes"]) == 2
    assert found["drift"]["matters"]
    assert pl.read_csv(found["errors"]["file"]).height == found["errors"]["wrong"]
    assert main(["evaluate", "r", "new.csv", "--errors", "0"]) == 2
    assert main(["evaluate", "r", "new.csv", "--against", "none.csv"]) == 2
