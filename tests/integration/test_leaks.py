"""A leak planted in five ways: each is found, or cannot happen."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import glial
from glial.runs.preparation import prepare, read_tables
from glial.runs.request import make_request


def table(seed: int = 0, num_rows: int = 400) -> pl.DataFrame:
    """Numbers that tell something of the target, a city, and a day."""
    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=num_rows), draw.normal(size=num_rows)
    y = np.where(a + draw.normal(size=num_rows) > 0, "yes", "no")
    start = datetime.date(2024, 1, 1)
    days = [start + datetime.timedelta(days=int(d)) for d in draw.permutation(num_rows)]
    city = draw.choice(["Bonn", "Bern"], num_rows).tolist()
    return pl.DataFrame({"a": a, "b": b, "city": city, "day": days, "y": y.tolist()})


def problems(report: glial.data.QualityReport) -> list[tuple[str, str | None]]:
    return [(f.problem, f.where) for f in report.findings if f.severity == "warning"]


def test_without_a_leak_there_is_no_warning(caplog) -> None:
    for seed in range(3):
        assert problems(glial.inspect(table(seed), "y")) == []
    prepare(make_request(table(), {"data.target": "y"}).plan, table())
    assert "alone predicts" not in caplog.text
    assert "equal in all inputs" not in caplog.text


def test_copies_across_splits_are_found(caplog) -> None:
    frame = pl.concat([table(), table()[:40]])
    report = glial.inspect(frame, "y")
    assert problems(report) == [("leakage", None)] * 2
    _, tables, _ = read_tables(make_request(frame, {"data.target": "y"}).plan, frame)
    rows = {"train": set(tables.train.rows())}
    assert report.duplicates.val == sum(row in rows["train"] for row in tables.val.rows())
    earlier = rows["train"] | set(tables.val.rows())
    assert report.duplicates.test == sum(row in earlier for row in tables.test.rows())
    for places in report.duplicates.examples:
        assert len({frame.row(place["row"]) for place in places}) == 1
    assert report.duplicates.repeated == 40
    prepare(make_request(frame, {"data.target": "y"}).plan, frame)
    assert "equal in all inputs to rows of an earlier split" in caplog.text


def test_copies_are_dropped_where_that_is_asked(caplog) -> None:
    caplog.set_level("INFO")
    frame = pl.concat([table(), table()[:40]])
    changes = {"data.target": "y", "data.duplicates": "drop"}
    _, tables, _ = read_tables(make_request(frame, changes).plan, frame)
    parts = [set(part.rows()) for part in (tables.train, tables.val, tables.test)]
    assert sum(len(part) for part in parts) == 400
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert "40 copies of other rows are dropped" in caplog.text
    report = glial.inspect(frame, "y", set={"data.duplicates": "drop"})
    assert report.duplicates.repeated == 40


KEYS = "problem severity where at since_step evidence symptoms means do remedy source"


def test_a_remedy_named_takes_the_finding_away() -> None:
    frame = table().with_columns(outcome=pl.col("y").replace({"yes": "7", "no": "3"}))
    frame = pl.concat([frame, frame[:40]])
    report = glial.inspect(frame, "y")
    told = [finding.to_dict() for finding in report.findings]
    assert all(set(one) == set(KEYS.split()) for one in told)
    remedies = [one["remedy"]["set"] for one in told if one["remedy"]]
    changes = {key: value for remedy in remedies for key, value in remedy.items()}
    assert changes.pop("data.split.time") == "day"
    assert changes == {"data.types.outcome": "identifier", "data.duplicates": "drop"}
    _, tables, _ = read_tables(make_request(frame, {"data.target": "y", **changes}).plan, frame)
    assert sum(part.height for part in (tables.train, tables.val, tables.test)) == 400
    mended = glial.inspect(frame.unique(), "y", set={"data.types.outcome": "identifier"})
    assert problems(mended) == []


def test_the_target_in_a_feature_is_found(caplog) -> None:
    frame = table().with_columns(outcome=pl.col("y").replace({"yes": "7", "no": "3"}))
    report = glial.inspect(frame, "y")
    assert ("leakage", "outcome") in problems(report)
    assert [found.column for found in report.giveaways] == ["outcome"]
    glial.train(frame, "y", model="linear", epochs=1, out=False)
    assert "column 'outcome' alone predicts 'y' nearly perfectly" in caplog.text


def grouped(seed: int = 0) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    patient = draw.permutation(np.repeat(np.arange(100), 4))
    sick = draw.integers(0, 2, 100)[patient]
    return table(seed).with_columns(
        patient=pl.Series([f"P{number}" for number in patient]),
        y=pl.Series(np.where(draw.random(400) < 0.9, sick, 1 - sick)).cast(pl.String),
    )


def test_a_group_across_splits_is_found_and_impossible_with_group() -> None:
    frame = grouped()
    assert ("split-groups", "patient") in problems(glial.inspect(frame, "y"))
    changes = {"data.target": "y", "data.split.group": "patient"}
    kept = glial.inspect(frame, set=changes)
    assert kept.groups == []
    assert ("split-groups", "patient") not in problems(kept)
    _, tables, _ = read_tables(make_request(frame, changes).plan, frame)
    seen = [set(part["patient"]) for part in (tables.train, tables.val, tables.test)]
    assert all(seen)
    assert not (seen[0] & seen[1])
    assert not (seen[0] & seen[2])
    assert not (seen[1] & seen[2])


@pytest.mark.parametrize("gap", [0.0, 10.0])
def test_the_future_is_impossible_with_time(gap: float) -> None:
    frame = table()
    (hint,) = glial.inspect(frame, "y").times
    assert (hint.column, hint.crossing > 100) == ("day", True)
    changes = {"data.target": "y", "data.split.time": "day", "data.split.gap": gap}
    assert glial.inspect(frame, set=changes).times == []
    _, tables, _ = read_tables(make_request(frame, changes).plan, frame)
    days = [part["day"] for part in (tables.train, tables.val, tables.test)]
    assert days[0].max() < days[1].min()
    assert days[1].max() < days[2].min()


CHOICES: list[dict[str, object]] = [
    *({"data.scaling": name} for name in ("standard", "minmax", "robust", "quantile", "power")),
    *({"data.missing": name} for name in ("mean", "knn", "iterative", "factorization")),
    *({"data.scale_target": name} for name in ("minmax", "robust", "quantile", "power")),
    {"data.categories": "target"},
    {"data.features.select": "mutual_information", "data.features.pca": 2},
]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_nothing_is_fitted_on_rows_that_judge(choice: dict[str, object], tmp_path: Path) -> None:
    """Statistics do not change when the rows of validation and test change beyond recognition."""
    frame = table().drop("day").with_columns(y=pl.col("a") + pl.col("b"))
    gone = np.random.default_rng(0).random(frame.height) < 0.1
    frame = frame.with_columns(b=pl.when(pl.Series(gone)).then(None).otherwise("b"))
    frame = frame.with_columns(pl.col("y").fill_null(0.0))
    changes = {"data.target": "y", "model.name": "linear", **choice}
    plan = make_request(frame, changes).plan
    _, tables, _ = read_tables(plan, frame)
    outside = np.ones(frame.height, dtype=bool)
    outside[tables.splits.train] = False
    changed = frame.with_columns(
        **{
            name: pl.when(pl.Series(outside)).then(pl.col(name) * 1000 - 77).otherwise(name)
            for name in ("a", "b", "y")
        },
        city=pl.when(pl.Series(outside)).then(pl.lit("Oslo")).otherwise("city"),
    )
    before, after = prepare(plan, frame), prepare(plan, changed)
    assert after.tables.train.equals(before.tables.train)
    assert not after.tables.test.equals(before.tables.test)
    for name, prepared in (("before", before), ("after", after)):
        (tmp_path / name).mkdir()
        prepared.encoding.save(tmp_path / name)
    for name in ("encoding.json", "encoding.safetensors"):
        kept = [(tmp_path / when / name).read_bytes() for when in ("before", "after")]
        assert kept[0] == kept[1]
    assert after.task.state() == before.task.state()
    first, second = before.training_batch(), after.training_batch()
    assert all((x == y).all() for x, y in zip(first.inputs, second.inputs, strict=True))
    assert (first.target == second.target).all()
