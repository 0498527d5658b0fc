"""The whole report: what it holds, that it is seeded, and what training notices of it."""

from __future__ import annotations

import datetime
import json
import logging
import time

import numpy as np
import polars as pl
import pytest

import glial
from glial.core.files import to_json
from glial.data import Kind, inspect_quality, load_dataset, notice_leaks
from glial.data.quality.columns import describe_columns
from glial.data.quality.report import _note_if_long
from glial.data.quality.sheet import Sheet

pytestmark = pytest.mark.slow  # trains or judges many tables


def test_columns_by_hand() -> None:
    frame = pl.DataFrame(
        {
            "id": [f"r{i}" for i in range(100)],
            "flat": [1] * 100,
            "nearly": [0] * 99 + [1],
            "not quite": [0] * 98 + [1, 1],
            "nothing": ["?"] * 100,
            "holes": ["", "NA", *["x", "y"] * 49],
            "y": ["u", "v"] * 50,
        }
    )
    kinds: dict[str, Kind] = {
        "id": "identifier",
        "flat": "constant",
        "nearly": "number",
        "not quite": "number",
        "nothing": "empty",
        "holes": "category",
    }
    found = describe_columns(Sheet.of([frame], ["y"], kinds, "classification"))
    assert [(c.column, c.missing, c.distinct, c.top_share, c.verdict) for c in found] == [
        ("id", 0, 100, 0.01, "identifier"),
        ("flat", 0, 1, 1.0, "constant"),
        ("nearly", 0, 2, 0.99, "near-constant"),
        ("not quite", 0, 2, 0.98, "fine"),
        ("nothing", 100, 0, 1.0, "empty"),
        ("holes", 2, 2, 0.49, "fine"),
    ]


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer", "diabetes", "line", "blobs"])
def test_sound_tables_have_no_warning(name: str) -> None:
    report = glial.inspect(name)
    assert report.healthy, report.findings
    assert report == glial.inspect(name)
    content = json.loads(to_json(report.to_dict()))
    assert set(content) >= {"findings", "columns", "duplicates", "giveaways", "labels", "shifts"}
    assert all(set(f) >= {"problem", "severity", "where", "evidence"} for f in content["findings"])


@pytest.mark.slow
def test_digits_have_no_warning() -> None:
    assert glial.inspect("digits").healthy


def test_rows_are_numbered_as_in_the_source(tmp_path) -> None:
    """A row without a target, which training leaves out, does not move the numbers."""
    frame, target, _ = load_dataset("breast-cancer")
    labels = frame[target].to_list()
    wrong = int(np.flatnonzero((frame["worst_radius"] > 30).to_numpy())[0])
    labels[wrong], labels[0] = "benign", None
    frame.with_columns(pl.Series(target, labels)).write_csv(tmp_path / "t.csv")
    doubts = glial.inspect(str(tmp_path / "t.csv"), target).labels
    assert wrong in [doubt.row for doubt in doubts]


@pytest.fixture
def noticed(caplog):
    """What is logged of a table cut into three splits."""

    def run(frame: pl.DataFrame, target: str, kinds: dict[str, Kind], task: str) -> str:
        caplog.clear()
        third = frame.height // 3
        parts = [frame[:third], frame[third : 2 * third], frame[2 * third :]]
        notice_leaks(*parts, [target], kinds, task)
        return caplog.text

    return run


def test_training_notices_copies_and_giveaways(noticed) -> None:
    draw = np.random.default_rng(0)
    frame = pl.DataFrame({"a": draw.normal(size=300), "y": draw.choice(["u", "v"], 300).tolist()})
    frame = frame.with_columns(b=pl.col("a").round(1), copy=pl.col("y"))
    kinds: dict[str, Kind] = {"a": "number", "b": "number"}
    assert noticed(frame, "y", kinds, "classification") == ""
    assert "'copy' alone predicts 'y'" in noticed(
        frame, "y", {**kinds, "copy": "category"}, "classification"
    )
    copied = pl.concat([frame[:294], frame[:6]])
    assert "6 of 100 rows of test" in noticed(copied, "y", kinds, "classification")


def test_a_table_of_few_different_rows_is_no_leak(noticed) -> None:
    frame = pl.DataFrame({"a": [0, 1, 1] * 40, "b": [1, 0] * 60, "y": ["u", "v", "v"] * 40})
    frame = frame.with_columns(y=pl.Series(["u", "u", "v"] * 30 + ["v", "u", "u"] * 10))
    assert noticed(frame, "y", {"a": "number", "b": "number"}, "classification") == ""


def test_columns_that_a_split_lacks_are_left_to_the_encoding(caplog) -> None:
    frame = pl.DataFrame({"a": np.arange(60.0), "b": np.arange(60) % 7, "y": ["u", "v"] * 30})
    parts = [frame, frame.drop("b"), frame[:0]]
    notice_leaks(*parts, ["y"], {"a": "number", "b": "number"}, "classification")
    assert caplog.text == ""  # the encoding refuses such rows; here nothing is said of them


def odd(num_rows: int, targets: dict[str, list[object]]) -> pl.DataFrame:
    """Columns of everything that a table should not hold."""
    draw = np.random.default_rng(num_rows)
    hours = draw.integers(0, 10**5, num_rows).tolist()
    columns: dict[str, list[object]] = {
        "nothing": [None] * num_rows,
        "holes": [None if i % 3 else float(i % 5) for i in range(num_rows)],
        "giant": (draw.random(num_rows) * 1e300).tolist(),
        "word": draw.choice(["a", "b", None], num_rows).tolist(),
        "flat": ["z"] * num_rows,
        "hour": [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=h) for h in hours],
        "text": [f"many words of row number {i}" for i in range(num_rows)],
        "list": [[1]] * num_rows,
        "truth": draw.choice([True, False], num_rows).tolist(),
    }
    return pl.DataFrame({**columns, **targets})


ODD: dict[str, Kind] = {
    "nothing": "number",
    "holes": "number",
    "giant": "number",
    "word": "category",
    "flat": "constant",
    "hour": "datetime",
    "text": "text",
    "list": "text",
    "truth": "boolean",
}


@pytest.mark.parametrize("num_rows", [3, 12, 60])
@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_odd_tables_are_borne(num_rows: int, task: str) -> None:
    y: list[object] = [i * 7 % 5 if task == "regression" else f"{i % 2}" for i in range(num_rows)]
    targets = {"y": y, "z": y[:-1] + y[:1]} if task != "classification" else {"y": y}
    frame = odd(num_rows, targets)
    for first, second in ((num_rows, num_rows), (num_rows // 2, 3 * num_rows // 4), (1, 2)):
        parts = [frame[:first], frame[first:second], frame[second:]]
        for kinds in (ODD, {"text": ODD["text"]}, {"nothing": ODD["nothing"]}):
            report = inspect_quality(*parts, list(targets), kinds, task)
            assert sum(report.rows.values()) == num_rows
            assert json.loads(to_json(report.to_dict()))["targets"] == list(targets)
            notice_leaks(*parts, list(targets), kinds, task)


def test_an_empty_table_of_training_rows_is_borne() -> None:
    frame = pl.DataFrame({"a": [1.0], "y": ["u"]})
    report = inspect_quality(frame[:0], frame, frame, ["y"], {"a": "number"}, "classification")
    assert (report.rows, report.shifts) == ({"train": 0, "val": 1, "test": 1}, [])


def test_a_note_comes_only_where_it_takes_long(caplog, monkeypatch) -> None:
    caplog.set_level(logging.INFO, "glial")
    with _note_if_long("a moment"):
        pass
    assert caplog.text == ""
    monkeypatch.setattr("glial.data.quality.report.PATIENCE", 0.01)
    with _note_if_long("a moment"):
        time.sleep(0.3)
    assert "a moment" in caplog.text


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["adult", "california-housing"])
def test_real_tables_have_no_warning(name, shared_data, monkeypatch) -> None:
    monkeypatch.setenv("GLIAL_DATA", str(shared_data))
    report = glial.inspect(name)
    assert report.healthy, report.findings
    assert len(report.labels) <= 0.02 * sum(report.rows.values())
