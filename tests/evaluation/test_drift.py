"""Drift between tables: the numbers are SciPy's, nothing is seen in nothing, and what moved is."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import roc_auc_score

import glial
from glial.cli import main
from glial.core.errors import InputError
from glial.evaluation import compare_tables, drift, source_drift
from glial.evaluation.drifting.tables import jensen_shannon, stability_index


def table(rows: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    gone = random.random(rows) < 0.1
    return pl.DataFrame(
        {
            "a": random.normal(size=rows),
            "b": np.where(gone, None, random.exponential(size=rows)).tolist(),
            "c": random.choice(["p", "q", "r"], size=rows, p=[0.6, 0.3, 0.1]),
            "d": random.integers(3, size=rows),
        },
        schema_overrides={"b": pl.Float64},
    )


def of(found, name: str):
    return next(one for one in found.columns if one.column == name)


def test_numbers_are_those_of_scipy():
    old, new = table(400, 0), table(300, 1).with_columns(pl.col("a") + 0.4)
    found = compare_tables(new, old)
    oracle = stats.ks_2samp(old["a"], new["a"], method="asymp")
    assert (of(found, "a").effect, of(found, "a").p_value) == pytest.approx(tuple(oracle))
    counts = np.array([[(t["c"] == v).sum() for v in "pqr"] for t in (old, new)])
    assert of(found, "c").p_value == pytest.approx(stats.chi2_contingency(counts).pvalue)
    assert of(found, "c").jensen_shannon == pytest.approx(jensenshannon(*counts, base=2))
    p_values = [one.p_value for one in found.columns]
    adjusted = stats.false_discovery_control(p_values, method="bh")
    assert [one.adjusted for one in found.columns] == pytest.approx(list(adjusted))
    assert jensen_shannon(np.array([[1, 2, 3], [2, 4, 6]])) == pytest.approx(0.0, abs=1e-7)


def test_stability_index_by_hand():
    counts = np.array([[99, 299], [199, 199]])  # shares 99.5 / 399, 299.5 / 399, and halves
    p, q = 99.5 / 399, 0.5
    hand = (q - p) * np.log(q / p) + (p - q) * np.log(q / (1 - p))
    assert stability_index(counts) == pytest.approx(hand)
    # Deciles of a normal column that moved by one deviation: the integral is 1.
    random = np.random.default_rng(0)
    old, new = (pl.DataFrame({"a": random.normal(m, 1, 20_000)}) for m in (0, 1))
    assert compare_tables(new, old).columns[0].psi == pytest.approx(0.94, abs=0.06)


@pytest.mark.slow
def test_nothing_is_seen_in_tables_of_one_source():
    false_columns = false_together = 0
    for seed in range(20):
        found = compare_tables(table(250, 2 * seed), table(250, 2 * seed + 1))
        false_columns += bool(found.moved)
        false_together += found.together.moved
    assert false_columns <= 1
    assert false_together <= 1


@pytest.mark.slow
def test_each_way_of_moving_is_seen_and_the_others_are_not():
    old, new = table(600, 0), table(600, 1)
    random = np.random.default_rng(0)
    some = pl.Series(random.random(600) < 0.3)
    ways = {
        "a": pl.col("a") * 2,
        "b": pl.when(some).then(None).otherwise(pl.col("b")),
        "c": pl.when(pl.Series(random.random(600) < 0.3))
        .then(pl.lit("new"))
        .otherwise(pl.col("c")),
    }
    for name, way in ways.items():
        found = compare_tables(new.with_columns(way.alias(name)), old)
        assert [one.column for one in found.moved] == [name]
        assert found.matters
        assert found.columns[0].size in ("moderate", "large")
        assert found.says()[0].startswith(f"{name} moved")
    mild = compare_tables(
        pl.concat([new] * 20).with_columns(pl.col("a") + 0.1), pl.concat([old] * 20)
    )
    assert of(mild, "a").size == "small"  # sure, and of no matter


@pytest.mark.slow
def test_columns_that_move_only_together_are_told_apart():
    random = np.random.default_rng(0)
    first = random.normal(size=(500, 2))
    second = random.normal(size=(500, 1)) @ np.ones((1, 2)) + 0.2 * random.normal(size=(500, 2))
    second /= second.std(axis=0)
    old, new = (pl.DataFrame(part, schema=["a", "b"]) for part in (first, second))
    found = compare_tables(new, old)
    assert found.moved == []
    assert found.matters
    assert found.together.auc > 0.75
    assert found.together.p_value < 1e-6
    assert "can be told apart" in found.says()[-1]


def test_auc_is_scikit_learns(monkeypatch):
    random = np.random.default_rng(0)
    shares = random.random(100).round(1)
    monkeypatch.setattr(
        "glial.evaluation.drifting.tables.other_half",
        lambda *_: (np.arange(100), np.stack([1 - shares, shares], axis=1)),
    )
    old, new = table(60, 0), table(40, 1)
    labels = np.repeat([0, 1], [60, 40])
    assert compare_tables(new, old).together.auc == pytest.approx(roc_auc_score(labels, shares))


def test_columns_of_every_sort():
    old = pl.DataFrame(
        {
            "same": [1] * 40,
            "key": [f"row {i}" for i in range(40)],
            "empty": [None] * 40,
            "becomes": ["x"] * 40,
            "gone": [0.5 * i for i in range(40)],
            "when": [f"2024-01-{1 + i % 28:02}" for i in range(40)],
            "text": [str(i / 7) for i in range(40)],
        }
    )
    new = old.drop("gone").with_columns(
        becomes=pl.lit("y"), when=pl.lit("2025-03-01"), extra=pl.lit(1.0), text=pl.lit("?")
    )
    found = compare_tables(new, old)
    assert {one.column for one in found.moved} == {"becomes", "when", "text"}
    assert of(found, "same").psi == 0.0
    assert of(found, "same").p_value == 1.0
    assert found.not_compared["gone"] == "not in the new rows"
    assert found.not_compared["extra"] == "not in the reference"
    assert "identifier" in found.not_compared["key"]
    assert json.loads(json.dumps(found.to_dict()))["matters"]


def test_what_cannot_be_compared_is_refused():
    frame = table(30, 0)
    for new, old in (
        (frame[:3], frame),
        (frame, frame[:0]),
        (frame, frame.rename({name: f"other {name}" for name in frame.columns})),
    ):
        with pytest.raises(InputError):
            compare_tables(new, old)
    with pytest.raises(InputError):
        compare_tables(frame, frame, level=1.5)
    with pytest.raises(InputError, match=r"data\.types"):
        source_drift(frame, frame, set={"data.types.none": "number"})
    small = compare_tables(frame[:10], frame[10:20])
    assert small.together is None


@pytest.mark.slow
def test_runs_say_whether_their_outputs_moved():
    frame = table(400, 0).drop("b", "c")
    frame = frame.with_columns(y=pl.when(pl.col("a") > 0).then(pl.lit("u")).otherwise(pl.lit("v")))
    run = glial.train(
        frame,
        "y",
        model="mlp",
        epochs=10,
        out=False,
        set={"train.lr": 0.02, "data.types.d": "number"},
    )
    new = table(300, 1).drop("b", "c")
    same = drift(run, frame, new)
    assert not same.matters
    assert not same.inputs.matters
    moved = drift(run, frame, new.with_columns(pl.col("a") + 1))
    assert moved.matters
    assert moved.outputs.matters
    assert moved.embeddings.matters
    assert {one.column for one in moved.outputs.moved} >= {"prediction", "probability_u"}
    assert any(line.startswith("outputs: prediction moved") for line in moved.says())
    assert drift(run, frame, new.with_columns(pl.col("d") + 1)).inputs.matters
    with pytest.raises(InputError):
        drift(
            glial.train("line", model="linear", task="embedding", epochs=1, out=False),
            "line",
            "line",
        )


@pytest.mark.slow
def test_inspect_against(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table(200, 0).write_csv("old.csv")
    table(200, 1).with_columns(pl.col("a") + 1).write_csv("new.csv")
    assert main(["inspect", "new.csv", "--against", "old.csv"]) == 0
    assert "a moved, large" in capsys.readouterr().out
    assert main(["inspect", "new.csv", "--against", "old.csv", "--json", "--strict"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["columns"][0]["column"] == "a"
    assert found["rows"]["new"] == 200
    assert main(["inspect", "old.csv", "--against", "old.csv", "--strict"]) == 0
    for wrong in (["--target", "a"], ["--augment", "x.png"], ["--set", "data.types.z=number"]):
        assert main(["inspect", "new.csv", "--against", "old.csv", *wrong]) == 2
    assert main(["inspect", "new.csv", "--against", "none.csv"]) == 2
    assert main(["inspect", "mlp", "--against", "old.csv"]) == 2
