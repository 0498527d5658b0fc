"""The plan's data part."""

from __future__ import annotations

import pytest

from glial.core.errors import InputError
from glial.data import DataSettings


def test_every_default_survives_a_round_trip() -> None:
    settings = DataSettings()
    assert DataSettings.read(settings.model_dump()) == settings


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"soure": "a.csv"}, "did you mean 'source'"),
        ({"scaling": "log"}, "data.scaling"),
        ({"types": {"a": "integer"}}, "data.types"),
        ({"split": {"train": 0.9}}, "sum to 1"),
        ({"split": {"method": "group"}}, "data.split.group"),
        ({"split": {"train": -0.5}}, "data.split.train"),
        ({"max_categories": 1}, "data.max_categories"),
        ({"max_one_hot": -1}, "data.max_one_hot"),
    ],
)
def test_wrong_values_are_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        DataSettings.read(values, where="data")
    assert words in str(caught.value)
