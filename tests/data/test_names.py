"""Columns out of the names of files."""

from __future__ import annotations

import pytest

from glial.core.errors import InputError
from glial.core.settings import override
from glial.data import DataSettings
from glial.data.names import NamePattern, name_columns


@pytest.mark.parametrize(
    ("pattern", "path", "values"),
    [
        ("{digit}_{speaker}_{index}", "zip/7_theo_12.wav", ["7", "theo", "12"]),
        ("{word}_{rest}", "a_b_c.wav", ["a", "b_c"]),
        ("{speaker}/{digit}", "all/theo/7.wav", ["theo", "7"]),
        ("take-{number}-of-{speaker}!", "take-3-of-ann!.flac", ["3", "ann"]),
        ("x{a}", "x.b.wav", [".b"]),
        ("{a}", "C:\\sounds\\bark.ogg", ["bark"]),
        ("{digit}_{speaker}", "7theo.wav", None),
        ("{digit}_{speaker}", "_theo.wav", None),
        ("{digit}_{speaker}", "7_.wav", None),
        ("{speaker}/{digit}", "7.wav", None),
        ("x{a}", "y1.wav", None),
        ("{a}x", "1y.wav", None),
        ("all/{a}", "some/1.wav", None),
        ("all/{a}", "all/1.wav", ["1"]),
        ("[0-9]+{a}", "12.wav", None),
    ],
)
def test_values_of_a_name(pattern: str, path: str, values: list[str] | None) -> None:
    assert NamePattern.read(pattern).values(path) == values


@pytest.mark.parametrize(
    "pattern", ["", "plain", "{}", "{a}{b}", "{a}_{a}", "{a", "a}", "{a}_}", "{ }", "}{a}"]
)
def test_patterns_that_say_nothing_are_refused(pattern: str) -> None:
    with pytest.raises(InputError, match=r"data\.names"):
        DataSettings.read({"names": pattern}, where="data")


def test_names_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match="4 of 5 file names") as refused:
        name_columns(["1_a.wav", "b.wav", "c.wav", "d.wav", "e.wav"], "{n}_{x}")
    assert refused.value.got == "b.wav, c.wav, d.wav and 1 more"


def test_a_pattern_is_no_yaml() -> None:
    values = override({}, {"data.names": "{digit}_{speaker}", "model": "{name: mlp}"})
    assert values == {"data": {"names": "{digit}_{speaker}"}, "model": {"name": "mlp"}}
