"""Reports of every kind of run: what they say, what they never hold, and that none is lost."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

import glial
from glial.cli.main import main
from glial.core.errors import InputError
from glial.reports import making
from glial.reports.making import TITLES, TookTooLong, at_most
from glial.reports.numbers import percent
from glial.reports.sections.cost import energy_of
from glial.reports.sections.training import gradient_table
from glial.reports.subject import Subject
from glial.runs import Plan

HOSTILE = '<img src=x onerror=alert(1)>"&\u202e'
pytestmark = pytest.mark.slow


def people(rows=200, seed=0):
    """A table in which one column gives the answer away and another tells of people."""
    drawn = np.random.default_rng(seed)
    y = drawn.integers(0, 2, rows)
    return pl.DataFrame(
        {
            "a": y + drawn.normal(size=rows),
            HOSTILE: drawn.choice(["x", HOSTILE], rows),
            "sex": drawn.choice(["f", "m"], rows),
            "y": np.where(y == 1, HOSTILE, "no"),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("report")
    people().write_parquet(path / "people.parquet")
    glial.train(
        path / "people.parquet",
        "y",
        model="linear",
        epochs=2,
        out=path / "run",
        set={"data.fairness.group": "sex"},
    )
    return path


@pytest.fixture(scope="module")
def made(folder):
    return glial.report(folder / "run")


def section(made, key):
    return next(one for one in made.sections if one.key == key)


def test_every_section_is_made(made):
    assert [one.key for one in made.sections] == list(TITLES)
    assert [one.key for one in made.sections if "error" in one.data] == []
    assert all(one.says or one.blocks for one in made.sections)


def test_figures_are_those_of_the_test_rows(folder, made):
    run = glial.load(folder / "run")
    result = section(made, "quality").data
    assert result["metrics"]["accuracy"] == run.metrics["test"]["accuracy"]
    assert result["baseline"]["accuracy"] == run.metrics["baseline"]["accuracy"]
    wrong = section(made, "failures").data
    assert wrong["wrong"] == round((1 - run.metrics["test"]["accuracy"]) * wrong["rows"])
    rows = section(made, "data").data["rows"]
    assert sum(rows.values()) == 200
    assert rows["test"] == wrong["rows"]


def test_the_page_holds_no_code_and_asks_for_nothing(made):
    page = made.to_html()
    assert "<script" not in page
    assert re.search(r"<[^>]*\son\w+=", page) is None
    assert re.findall(r'(?:src|href)="(?!#|data:)', page) == []
    assert "url(" not in page
    assert "<img src=x" not in page
    assert "\u202e" not in page
    assert "&lt;img src=x onerror" in page
    assert "default-src 'none'" in page
    assert len(page) < 3_000_000


def test_markdown_escapes_what_the_data_says(made):
    text = made.to_markdown()
    assert text.startswith("# run\n")
    outside = re.sub(r"(`{3,})text\n.*?\n\1", "", text, flags=re.DOTALL)
    assert re.search(r"(?<!\\)<", outside) is None


def test_values_are_json(made):
    told = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert list(told["sections"]) == list(TITLES)
    answers = told["sections"]["summary"]["answers"]
    assert next(iter(answers)) == "What was trained"
    assert all(text.endswith(".") for text in answers.values())


def test_groups_of_people_are_compared(made):
    audits = section(made, "card").data["fairness"]
    assert [group["group"]["sex"] for group in audits[0]["groups"]] == ["f", "m"]


def test_rows_that_moved_are_divided_as_before(folder, made, tmp_path):
    moved = tmp_path / "elsewhere.parquet"
    people().write_parquet(moved)
    again = glial.report(folder / "run", moved)
    figures = section(again, "quality").data["metrics"]
    assert figures == section(made, "quality").data["metrics"]


def test_rows_named_from_another_folder_are_found(tmp_path, monkeypatch):
    begun, elsewhere = tmp_path / "begun", tmp_path / "elsewhere"
    begun.mkdir()
    elsewhere.mkdir()
    people(60).write_parquet(begun / "people.parquet")
    people(60, seed=1).write_parquet(elsewhere / "people.parquet")
    monkeypatch.chdir(begun)
    run = elsewhere / "runs" / "one"
    glial.train("people.parquet", "y", model="linear", epochs=1, out=run)
    assert Plan.from_file(run / "plan.yaml").data.source == "people.parquet"
    monkeypatch.chdir(elsewhere)
    held = Subject.of(run).held
    assert held.same
    assert held.path == str(begun / "people.parquet")
    (begun / "people.parquet").unlink()
    other = Subject.of(run).held
    assert not other.same
    assert other.path == "people.parquet"
    (elsewhere / "people.parquet").unlink()
    assert Subject.of(run).held.path is None


def test_the_report_says_which_file_was_read(folder, made):
    assert section(made, "data").data["read"] == [str(folder / "people.parquet")]


def test_new_rows_are_judged_whole(folder):
    new = people(150, seed=1)
    found = section(glial.report(folder / "run", new), "failures").data
    assert found["rows"] == 150


def test_without_data_no_cell_is_shown(folder):
    page = glial.report(folder / "run", use_data=False).to_html()
    assert "An image of the data" not in page
    assert "A few rows" not in page
    assert "were not looked at" in page


def test_more_rows_than_asked_for_are_drawn_by_lot(folder):
    found = section(glial.report(folder / "run", people(500, 2), rows=100), "failures").data
    assert found["rows"] == 100


def test_a_section_that_fails_does_not_lose_the_report(folder, monkeypatch):
    def fails(subject):
        raise ZeroDivisionError("made to fail")

    def waits(subject):
        time.sleep(5)

    resolve = making.SECTIONS.resolve
    broken = {"cost": fails, "reasons": waits}
    monkeypatch.setattr(making.SECTIONS, "resolve", lambda key: broken.get(key) or resolve(key))
    subject = Subject.of(folder / "run", use_data=False)
    sections = {one.key: one for one in making.make_sections(subject, seconds=0.5)}
    assert "made to fail" in sections["cost"].data["error"]
    assert "longer than" in sections["reasons"].says[0]
    assert sections["glossary"].blocks


def test_time_that_is_up_is_said_and_nothing_rings_later():
    with pytest.raises(TookTooLong), at_most(0.05):
        time.sleep(1)
    with at_most(0.05):
        pass
    time.sleep(0.1)


def test_an_unfinished_run_has_a_report(folder, tmp_path):
    for name in ("plan.yaml", "history.csv", "environment.json"):
        (tmp_path / name).write_bytes((folder / "run" / name).read_bytes())
    made = glial.report(tmp_path)
    answers = section(made, "summary").data["answers"]
    assert answers["What to do next"].endswith("--resume.")
    assert [one.key for one in made.sections if "error" in one.data] == []


def test_wrong_input_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="there is no run"):
        glial.report(tmp_path / "none")
    with pytest.raises(InputError, match="rows is wrong"):
        glial.report(folder / "run", rows=0)


def test_the_verb_writes_files_and_one_object(folder, capsys, tmp_path):
    files = [tmp_path / name for name in ("a.html", "a.md", "a.json")]
    words = [word for file in files for word in ("--out", str(file))]
    assert main(["report", str(folder / "run"), *words, "--json", "--quiet", "--no-data"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["run"] == str(folder / "run")
    assert told["files"] == list(map(str, files))
    assert files[0].read_text().startswith("<!doctype html>")
    assert json.loads(files[2].read_text())["sections"].keys() == told["sections"].keys()
    assert main(["report", str(folder / "run"), "--out", str(tmp_path / "a.pdf")]) == 2
    assert "ends in .html" in capsys.readouterr().err


def test_energy_is_watts_times_time():
    assert energy_of(1800.0, 4) == {"low_wh": 6.0, "wh": 20.0, "high_wh": 40.0}


def test_gradients_of_a_layer_are_those_of_its_parameters_together(folder):
    [evidence] = Subject.of(folder / "run").evidence
    model = evidence.models[0]
    layers, steps, values = gradient_table(evidence, model)
    name = layers[0]
    own = [p for p in model.parameters if p.layer == name and len(p.gradient)]
    squares = sum(dict(p.gradient)[steps[-1]] ** 2 for p in own)
    count = sum(np.prod(p.shape) for p in own)
    assert values[0][-1] == pytest.approx((squares / count) ** 0.5)


def test_a_forecast_tells_its_steps_dates_and_ranges():
    begin = datetime(2024, 1, 1)
    times = [begin + timedelta(minutes=30 * step) for step in range(100)]
    frame = pl.DataFrame({"time": times, "y": [float(step % 6) for step in range(100)]})
    options = {"task": "forecasting", "time": "time", "set": {"task.horizon": 4}}
    run = glial.train(frame, "y", epochs=1, out=False, **options)
    told = glial.report(run, frame)
    data = section(told, "data").data
    assert data["step"] == "every 30 minutes"
    assert {name: part["rows"] for name, part in data["splits"].items()} == {
        "train": 70,
        "val": 15,
        "test": 15,
    }
    test = data["splits"]["test"]
    assert test["windows"] == 15 - 4 + 1
    assert (test["from"], test["to"]) == (str(times[85]), str(times[99]))
    good = section(told, "summary").data["answers"]["How good it is"]
    tested = run.metrics["test"]
    assert "repeating the last season gives" in good
    assert f"meant to hold 80.0 % of what comes, hold {percent(tested['coverage'])}" in good


SERIES = {"step": list(range(90)), "y": [float(i % 6) for i in range(90)]}
PAIRS = {"a": ["one two", "two one", "three"] * 20, "b": ["x y", "y x", "z"] * 20}
TEXTS = {"text": ["the cat sat on the mat. " * 10] * 6}
TAGS = {"tokens": ["a b c", "b c", "c a b"] * 20, "tags": ["X Y Z", "Y Z", "Z X Y"] * 20}


@pytest.mark.parametrize(
    ("source", "target", "options"),
    [
        (SERIES, "y", {"task": "forecasting", "time": "step"}),
        (PAIRS, "b", {"task": "translation"}),
        (TEXTS, None, {"task": "language-modelling"}),
        (TAGS, "tags", {"task": "tagging"}),
        ("iris", None, {"model": "linear", "folds": 2}),
        ("iris", None, {"task": "anomaly"}),
        ("iris", None, {"task": "generate"}),
        ("iris", None, {"task": "embedding"}),
    ],
    ids=lambda value: value.get("task", "folds") if isinstance(value, dict) else "",
)
def test_every_kind_of_run_has_a_report(source, target, options):
    run = glial.train(source, target, epochs=1, out=False, **options)
    made = glial.report(run, source if isinstance(source, dict) else None)
    assert [(one.key, one.data["error"]) for one in made.sections if "error" in one.data] == []
    assert "How good it is" in section(made, "summary").data["answers"]
    assert len(made.to_html()) < 1_000_000
