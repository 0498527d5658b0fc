"""Settings: typed, strict, and errors that say where and what to do."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from glial.core.errors import InputError
from glial.core.settings import (
    MAX_YAML_BYTES,
    Settings,
    flat,
    override,
    parse_yaml,
    read_yaml,
    write_yaml,
)


class Split(Settings):
    train: float = 0.7
    method: Literal["auto", "random"] = "auto"


class Data(Settings):
    source: str | None = None
    split: Split = Field(default_factory=Split)
    maybe: Split | None = None
    either: Split | Literal["auto", "none"] = "auto"
    rows: Annotated[int, Field(ge=1)] | Literal["all"] = "all"
    shuffle: bool = True


class Plan(Settings):
    data: Data = Field(default_factory=Data)
    epochs: int = 3


@pytest.mark.parametrize(
    ("values", "path", "nearest"),
    [
        ({"epoch": 1}, "epoch", "epochs"),
        ({"data": {"sorce": "a"}}, "data.sorce", "source"),
        ({"data": {"split": {"metod": "auto"}}}, "data.split.metod", "method"),
        ({"data": {"maybe": {"trainn": 0.5}}}, "data.maybe.trainn", "train"),
        ({"data": {"either": {"trainn": 0.5}}}, "data.either.trainn", "train"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_at_any_depth(values, path, nearest):
    with pytest.raises(InputError) as caught:
        Plan.read(values)
    assert repr(path) in caught.value.message
    assert repr(nearest) in caught.value.do


@pytest.mark.parametrize(
    ("value", "path", "wish"),
    [
        ({"train": "much"}, "data.either.train", "number"),
        ({"method": "odd"}, "data.either.method", "'auto' or 'random'"),
        ("never", "data.either", "'auto' or 'none'"),
    ],
)
def test_a_value_that_is_a_word_or_settings_is_named_as_the_plan_does(value, path, wish):
    with pytest.raises(InputError) as caught:
        Plan.read({"data": {"either": value}})
    assert repr(path) in caught.value.message
    assert wish in caught.value.expected


def test_an_unknown_key_is_told_before_a_wrong_value():
    with pytest.raises(InputError, match="unknown key 'epoch'"):
        Plan.read({"data": {"rows": "some"}, "epoch": 1})


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"epochs": True}, "epochs"),
        ({"epochs": "3"}, "epochs"),
        ({"epochs": 3.0}, "epochs"),
        ({"epochs": None}, "epochs"),
        ({"data": {"shuffle": 1}}, "data.shuffle"),
        ({"data": {"split": {"train": math.nan}}}, "data.split.train"),
        ({"data": {"split": {"train": math.inf}}}, "data.split.train"),
        ({"data": {"split": {"train": True}}}, "data.split.train"),
        ({"data": {"split": {"train": 10**400}}}, "data.split.train"),
        ({"data": {"split": [1]}}, "data.split"),
        ({"data": {"split": {"method": "rnd"}}}, "data.split.method"),
        ({"data": {"source": ["a"]}}, "data.source"),
        ({"data": {"rows": 0}}, "data.rows"),
        ({"data": {"rows": 1.5}}, "data.rows"),
        ({"data": None}, "data"),
    ],
)
def test_a_wrong_value_is_named_by_the_key_the_user_wrote(values, path):
    with pytest.raises(InputError) as caught:
        Plan.read(values)
    assert repr(path) in caught.value.message
    assert f"--set {path}=" in caught.value.do


def test_every_kind_that_a_value_may_have_is_told():
    with pytest.raises(InputError) as caught:
        Plan.read({"data": {"rows": "some"}})
    assert "integer" in caught.value.expected
    assert "'all'" in caught.value.expected
    assert caught.value.got == "'some'"


def test_a_place_above_is_told():
    with pytest.raises(InputError, match=r"unknown key 'train.epoch'"):
        Plan.read({"epoch": 1}, where="train")


def test_keys_that_are_not_text_are_refused():
    with pytest.raises(InputError):
        Plan.read({"data": {1: 2}})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        ("-.5e+2", -50.0),
        ("1_000", 1000),
        ("010", 10),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ("no", "no"),
        ("true", True),
        ("null", None),
        ("", None),
        ("'1'", "1"),
        ("[1, 2.5, a]", [1, 2.5, "a"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("1e", "1e"),
        ("0x10", "0x10"),
        ("<<", "<<"),
        ("=", "="),
    ],
)
def test_plain_yaml(text, value):
    found = parse_yaml(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/object:glial.core.errors.InputError {}",
        "!!python/name:os.system",
        "!!set {a}",
        "!!binary aGk=",
        "!!timestamp x",
        "a: &x [1]\nb: *x",
        "a: &a [l, l]\nb: &b [*a, *a]\nc: [*b, *b]",
        "a: 1\na: 2",
        "{a: 1, 'a': 2}",
        "{1: a, 1.0: b}",
        "? [a]\n: 1",
        "[" * 5000,
        "{a: " * 5000,
        "- " * 5000,
        "? " * 5000,
        '"\\UFFFFFFFF"',
        "a: b: c",
        "\x00",
        "--- a\n--- b",
        "9" * 5000,
        "%YAML 1.",
    ],
)
def test_yaml_that_is_not_plain_is_refused(text):
    with pytest.raises(InputError):
        parse_yaml(text)


def test_a_tag_is_not_carried_out(tmp_path):
    proof = tmp_path / "proof"
    with pytest.raises(InputError):
        parse_yaml(f"!!python/object/apply:os.mkdir ['{proof}']")
    assert not proof.exists()


def test_too_large_a_text_is_refused_at_once():
    with pytest.raises(InputError, match="too large"):
        parse_yaml("a" * (MAX_YAML_BYTES + 1))


def is_plain(value):
    if isinstance(value, dict):
        return all(is_plain(key) and is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def check_plain(text):
    try:
        value = parse_yaml(text)
    except InputError:
        return
    assert is_plain(value)


@pytest.mark.slow
@given(st.text())
def test_any_text_gives_plain_values_or_an_input_error(text):
    check_plain(text)


@given(st.text(alphabet="{}[]:,-?&*!|>'\"%@`#\n \t01aetn.~<=_\\U", max_size=40))
def test_any_text_of_yamls_own_signs_gives_plain_values_or_an_input_error(text):
    check_plain(text)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["1e-3", "1e5", "no", "12:30", "010", "0x1", "2024-01-01", "<<", "=", "~"])
)
plain = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), plain, max_size=4))
def test_what_is_written_is_read_back(values):
    assert parse_yaml(write_yaml(values)) == values


def test_a_value_that_stands_twice_is_written_twice():
    shared = [1, 2]
    text = write_yaml({"a": shared, "b": shared})
    assert "&" not in text
    assert parse_yaml(text) == {"a": [1, 2], "b": [1, 2]}


def test_override_sets_dotted_keys_in_a_copy():
    values = {"train": {"lr": 1.0}, "data": None}
    changed = override(values, {"train.lr": "1e-2", "data.split.train": 0.5, "x": "[1, a]"})
    assert changed == {"train": {"lr": 0.01}, "data": {"split": {"train": 0.5}}, "x": [1, "a"]}
    assert values == {"train": {"lr": 1.0}, "data": None}


def test_override_through_a_value_is_refused():
    with pytest.raises(InputError, match=r"cannot set 'train.lr.x'"):
        override({"train": {"lr": 1.0}}, {"train.lr.x": 1})


def test_override_names_the_option_whose_text_is_not_yaml():
    with pytest.raises(InputError, match=r"--set train.lr"):
        override({}, {"train.lr": "[1"})


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(), max_size=3),
        max_size=3,
    )
)
def test_flat_and_override_are_inverse(values):
    assert override({}, flat(values)) == values


def test_read_yaml(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("a: 1\n")
    assert read_yaml(path) == {"a": 1}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[1]", b"1: 2", b"", b"a: [", b"text"])
def test_a_file_that_is_no_plan_is_an_input_error(tmp_path, content):
    path = tmp_path / "plan.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_yaml(path)


def test_a_path_that_cannot_be_read_is_an_input_error(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path, tmp_path / "a\0b", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="cannot be read"):
            read_yaml(path)
