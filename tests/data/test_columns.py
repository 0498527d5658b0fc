"""Kinds of columns, targets and tasks."""

from __future__ import annotations

import datetime
import math
from typing import Any

import polars as pl
import pytest

from glial.core.errors import InputError
from glial.data import check_target, infer_columns, infer_kind, infer_task

TWENTY = range(20)
PROSE = [f"the message number {i} says many words about nothing" for i in TWENTY]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "1e3", "?"], "number"),
        ([" 1", "2 ", "3"], "number"),
        ([0.5, 1.5, None], "number"),
        (["1", "inf", "2"], "number"),
        (["1,000", "2,000", "1,000"], "category"),
        (["true", "FALSE"], "boolean"),
        (["Yes", "no", "?"], "boolean"),
        (["t", "F"], "boolean"),
        (["0", "1", "1"], "boolean"),
        ([0, 1, 1], "boolean"),
        ([True, False], "boolean"),
        (["2024-01-01", "2024-01-02T10:00:00Z"], "datetime"),
        (["31/12/2024", "1/1/2025"], "datetime"),
        (["12/31/2024", "1/1/2025"], "datetime"),
        (["2024/12/31", "2025/01/01"], "datetime"),
        ([datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)], "datetime"),
        (["2024-01-01", "yesterday"], "category"),
        (["x", "y", "x"], "category"),
        (["1", "2", "3", "many"], "category"),
        (["a", "a"], "constant"),
        ([3, 3], "constant"),
        (["a", "?"], "category"),
        (["", "NA"], "empty"),
        ([None, math.nan], "empty"),
        (PROSE, "text"),
        ([["a"], ["b"]], "text"),
        ([[1], [2]], "sequence"),
        ([[[1, 2]], [], None], "sequence"),
        (["[1, null]", " [2]", ""], "sequence"),
        ([f"u{i:03}" for i in TWENTY], "identifier"),
        ([f"u{i:03}" for i in range(19)], "category"),
        (list(TWENTY), "identifier"),
        ([str(i + 100) for i in TWENTY], "identifier"),
        ([float(i) for i in TWENTY], "number"),
        ([f"{i}.0" for i in TWENTY], "number"),
        ([i * i for i in TWENTY], "number"),
        (list(range(19)), "number"),
    ],
)
def test_kinds(cells: list[Any], kind: str) -> None:
    assert infer_kind(pl.Series("column", cells, strict=False)) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("id", "identifier"),
        ("ID", "identifier"),
        ("PassengerId", "identifier"),
        ("customer_id", "identifier"),
        ("row key", "identifier"),
        ("Unnamed: 0", "identifier"),
        ("uuid", "identifier"),
        ("paid", "number"),
        ("humid", "number"),
        ("monkey", "number"),
        ("amount", "number"),
    ],
)
def test_names_of_identifiers(name: str, kind: str) -> None:
    assert infer_kind(pl.Series(name, [i * i for i in TWENTY])) == kind


@pytest.mark.parametrize("name", ["year", "Year built", "date", "month"])
def test_a_run_of_years_is_no_identifier(name: str) -> None:
    assert infer_kind(pl.Series(name, range(2000, 2030))) == "number"


def test_a_category_stays_one_whatever_it_holds() -> None:
    assert infer_kind(pl.Series("a", ["1", "2"], dtype=pl.Categorical)) == "category"
    assert infer_kind(pl.Series("a", ["1", "2"], dtype=pl.Enum(["1", "2"]))) == "category"


def test_numbers_that_count_are_kept_when_nothing_else_is_left() -> None:
    assert infer_columns(pl.DataFrame({"x": TWENTY}), {}) == {"x": "number"}
    frame = pl.DataFrame({"x": TWENTY, "z": [0.5 * i for i in TWENTY]})
    assert infer_columns(frame, {}) == {"x": "identifier", "z": "number"}
    with pytest.raises(InputError, match="no column is left"):
        infer_columns(pl.DataFrame({"id": TWENTY}), {})


def test_what_the_user_says_goes_first() -> None:
    frame = pl.DataFrame({"zip": [12345, 54321], "a": [1.0, 2.0]})
    assert infer_columns(frame, {"zip": "category"})["zip"] == "category"
    with pytest.raises(InputError, match="did you mean 'zip'"):
        infer_columns(frame, {"zipp": "category"})


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["", ""], "every cell is missing"),
        (["a", "a"], "one value only"),
        ([f"u{i}" for i in TWENTY], "numbers or names the rows"),
        (["1", "2", "inf"], "1 infinite cells"),
        (["1", "2", "3", "many"], "such as 'many'"),
        (["1/2/2024", "3/4/2024"], "day/month/year"),
    ],
)
def test_what_is_not_used_is_noticed(
    cells: list[str], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    frame = pl.DataFrame({"odd": cells, "good": [0.5 * i for i in range(len(cells))]})
    infer_columns(frame, {})
    assert words in caplog.text
    assert "'odd'" in caplog.text


@pytest.mark.parametrize(
    ("columns", "task"),
    [
        ({"y": ["a", "b"]}, "classification"),
        ({"y": [True, False]}, "classification"),
        ({"y": ["yes", "no"]}, "classification"),
        ({"y": [0.5, 1.5, 2.0]}, "regression"),
        ({"y": ["0.5", "1.5", "2.0"]}, "regression"),
        ({"y": [0, 1, 2] * 3}, "classification"),
        ({"y": ["3", "1", "2"] * 3}, "classification"),
        ({"y": [0, 1, 2, 3, 4, 5]}, "regression"),
        ({"y": list(range(21)) * 3}, "regression"),
        ({"y": list(range(20)) * 3}, "classification"),
        ({"y": [0, 1, 1], "z": [1, 0, 0]}, "multilabel"),
        ({"y": ["yes", "no"], "z": [True, False]}, "multilabel"),
        ({"y": [0.5, 1.5], "z": ["2", "3"]}, "regression"),
    ],
)
def test_tasks(columns: dict[str, list[Any]], task: str) -> None:
    assert infer_task(pl.DataFrame(columns), list(columns)) == task


def test_targets_that_make_no_task() -> None:
    with pytest.raises(InputError, match="do not make one task"):
        infer_task(pl.DataFrame({"y": ["a", "b"], "z": [0.5, 1.5]}), ["y", "z"])


def test_rows_without_a_target_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    frame = pl.DataFrame({"y": ["1", "?", "2", None], "x": [1, 2, 3, 4]})
    assert check_target(frame, ["y"], None)["x"].to_list() == [1, 3]
    assert "2 rows without a target" in caplog.text


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["a", "a"], "one value only"),
        (["a", "?"], "too few rows"),
        (["a"], "too few rows"),
        (["", ""], "too few rows"),
        ([1.0, math.inf], "infinite in row 2"),
        (["1", "-inf"], "infinite in row 2"),
        ([[1], [2]], "cannot be learnt"),
    ],
)
def test_targets_that_cannot_be_learnt(cells: list[Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_target(pl.DataFrame({"y": cells}), ["y"], None)


def test_a_target_that_is_absent_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'survived'"):
        check_target(pl.DataFrame({"survived": [1, 2]}), ["surived"], None)
    with pytest.raises(InputError, match="named twice"):
        check_target(pl.DataFrame({"y": [1, 2]}), ["y", "y"], None)


def test_a_word_that_looks_infinite_is_a_class() -> None:
    frame = pl.DataFrame({"y": ["inf", "fin"]})
    assert check_target(frame, ["y"], "classification").height == 2
