"""``glial evaluate --fair``: one JSON object, tables for people, bad columns refused."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import glial
from glial.cli.main import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("fair")
    random = np.random.default_rng(0)
    x = random.normal(size=400)
    old = random.integers(18, 80, 400)
    y = x + (old - 50) / 30 + random.normal(size=400) > 0
    sex = np.where(random.random(400) < 0.05, "m", "f")
    frame = pl.DataFrame({"x": x, "age": old, "sex": sex, "y": np.where(y, "yes", "no")})
    frame.write_csv(place / "rows.csv")
    glial.train(frame, target="y", model="linear", epochs=2, out=place / "run")
    return place


@pytest.mark.slow
def test_groups_are_told_as_json_and_as_tables(folder, capsys):
    words = ["evaluate", str(folder / "run"), str(folder / "rows.csv"), "--replicates", "50"]
    assert main([*words, "--fair", "age", "--fair", "sex", "--json", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["by"] for one in told["fairness"]] == [["age"], ["sex"], ["age", "sex"]]
    assert len(told["fairness"][0]["groups"]) == 4
    few = told["fairness"][1]["groups"][1]
    assert few["group"] == {"sex": "m"}
    assert few["figures"]["selection_rate"]["low"] is None
    assert {"metrics", "baseline", "details"} <= told.keys()
    assert main([*words, "--fair", "sex", "--quiet"]) == 0
    text = capsys.readouterr().out
    for part in ("groups by sex", "demographic parity", "below 30", "drawn by lot"):
        assert part in text
    assert main([*words, "--json", "--quiet"]) == 0
    assert "fairness" not in json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_column_that_is_not_there_is_refused(folder, capsys):
    words = ["evaluate", str(folder / "run"), str(folder / "rows.csv"), "--fair", "sexx"]
    assert main([*words, "--json", "--quiet"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["do"] == "did you mean 'sex'?"
