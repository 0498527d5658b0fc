"""A table resolves names lazily; third parties add names and never replace one."""

from __future__ import annotations

import importlib.metadata
import math

import pytest

from glial.core.errors import InputError
from glial.core.tables import Table


@pytest.fixture
def table():
    return Table("function", "functions", {"sqrt": "math:sqrt", "gone": "no_such_module:a"})


@pytest.fixture
def installed(monkeypatch):
    points = [
        importlib.metadata.EntryPoint("sqrt", "math:cos", "glial.functions"),
        importlib.metadata.EntryPoint("sin", "math:sin", "glial.functions"),
        importlib.metadata.EntryPoint("broken", "math:none_such", "glial.functions"),
    ]

    def entry_points(*, group):
        return [point for point in points if point.group == group]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def test_a_name_is_resolved(table):
    assert table.resolve("sqrt") is math.sqrt
    assert list(table) == ["sqrt", "gone"]
    assert len(table) == 2


@pytest.mark.parametrize("name", ["sqr", "SQRT"])
def test_an_unknown_name_gets_a_suggestion(table, name):
    with pytest.raises(InputError, match="did you mean 'sqrt'"):
        table.resolve(name)


def test_a_part_whose_package_is_missing_names_it(table):
    with pytest.raises(InputError, match="'no_such_module'"):
        table.resolve("gone")


@pytest.mark.usefixtures("installed")
def test_entry_points_add_and_do_not_replace(table):
    assert table.resolve("sin") is math.sin
    assert table.resolve("sqrt") is math.sqrt
    assert sorted(table) == ["broken", "gone", "sin", "sqrt"]


@pytest.mark.usefixtures("installed")
def test_a_broken_entry_point_is_named(table):
    with pytest.raises(InputError, match="'broken'"):
        table.resolve("broken")
