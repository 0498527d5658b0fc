"""Errors say what was expected, what came, and what to do."""

from __future__ import annotations

import json

import pytest

from glial.core.errors import GlialError, InputError, suggest, unknown_name
from glial.core.optional import require


def test_an_error_reads_as_one_text_and_as_json():
    error = InputError("it is wrong", expected="a", got="b", do="c")
    assert str(error) == "it is wrong. Expected: a. Got: b. Do: c"
    assert json.loads(json.dumps(error.to_dict())) == {
        "message": "it is wrong",
        "expected": "a",
        "got": "b",
        "do": "c",
    }


def test_parts_not_given_are_left_out():
    assert str(GlialError("it is wrong")) == "it is wrong"


def test_exit_statuses():
    assert (GlialError("a").exit_status, InputError("a").exit_status) == (4, 2)
    assert issubclass(InputError, GlialError)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("epoch", "epochs"), ("EPOCHS", "epochs"), ("sede", "seed"), ("zebra", None), ("", None)],
)
def test_suggest(name, nearest):
    assert suggest(name, ["epochs", "seed", "Learning"]) == nearest


def test_suggest_gives_the_known_spelling():
    assert suggest("learning", ["Learning"]) == "Learning"


def test_a_long_list_of_names_is_cut():
    error = unknown_name("column", "x", [f"c{i:03}" for i in range(50)])
    assert "and 20 more" in error.expected
    assert "c030" not in error.expected


def test_an_empty_list_of_names_is_said():
    assert "none" in unknown_name("model", "x", []).expected


def test_a_missing_package_is_named_with_its_extra():
    with pytest.raises(InputError) as caught:
        require("no_such_package_xyz.part", extra="frames", purpose="reading Parquet")
    assert "'no_such_package_xyz'" in caught.value.message
    assert caught.value.do == "pip install 'glial[frames]'"
