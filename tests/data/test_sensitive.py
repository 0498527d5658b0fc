"""Groups by sensitive columns, and the weights by which labels do not hang on them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from glial.core.errors import InputError
from glial.data.sensitive import FairnessSettings, Groups, reweighing

# Weights


@given(st.integers(0, 10**6), st.booleans(), st.integers(2, 4), st.integers(2, 4))
def test_weighted_labels_do_not_hang_on_groups(seed, weighs, num_groups, num_classes):
    random = np.random.default_rng(seed)
    groups = np.r_[
        np.repeat(np.arange(num_groups), num_classes), random.integers(0, num_groups, 50)
    ]
    labels = np.r_[np.tile(np.arange(num_classes), num_groups), (groups[-50:] + seed) % num_classes]
    before = random.random(len(groups)) + 0.1 if weighs else None
    weight = reweighing(groups, labels, before)
    old = np.ones(len(groups)) if before is None else before
    joint = np.zeros((num_groups, num_classes))
    np.add.at(joint, (groups, labels), weight)
    shares = joint / joint.sum()
    assert shares == pytest.approx(np.outer(shares.sum(axis=1), shares.sum(axis=0)))
    assert weight.sum() == pytest.approx(old.sum())
    of_labels = np.bincount(labels, old, num_classes) / old.sum()
    assert shares.sum(axis=0) == pytest.approx(of_labels)
    assert shares.sum(axis=1) == pytest.approx(np.bincount(groups, old, num_groups) / old.sum())


def test_weights_of_the_papers_example():
    # Kamiran and Calders (2012), table 1: ten applicants by sex, and who was hired.
    sex = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    hired = np.array([1, 1, 1, 1, 0, 1, 0, 0, 1, 0])
    weight = reweighing(sex, hired)
    # Women who were hired: 0.5 x 0.6 / 0.2.
    assert weight[sex + 2 * hired == 2] == pytest.approx([1.5, 1.5])
    assert weight[(sex == 0) & (hired == 0)] == pytest.approx([0.5 * 0.4 / 0.3] * 3)
    assert weight[(sex == 1) & (hired == 1)] == pytest.approx([0.75] * 4)
    assert weight[(sex == 1) & (hired == 0)] == pytest.approx([2.0])


def test_labels_that_do_not_hang_on_groups_keep_their_weights():
    groups, labels = np.array([0, 0, 1, 1] * 5), np.array([0, 1, 0, 1] * 5)
    assert reweighing(groups, labels) == pytest.approx(np.ones(20))


# Groups


def test_groups_are_found_again_in_other_rows():
    frame = pl.DataFrame(
        {"age": [float(n) for n in range(40)], "sex": ["f", "m"] * 19 + [None, "f"]}
    )
    groups = Groups.fit(frame, ["age", "sex"])
    again = Groups.model_validate_json(groups.model_dump_json())
    assert again == groups
    assert again.codes(frame).tolist() == groups.codes(frame).tolist()
    assert set(groups.codes(frame)) == set(range(len(groups.names)))
    other = pl.DataFrame({"age": [-5.0, 99.0, None], "sex": ["m", "f", "m"]})
    low, high, missing = again.codes(other).tolist()
    assert groups.names[low] == {"age": "0 to 9", "sex": "m"}
    assert groups.names[high] == {"age": "30 to 39", "sex": "f"}
    assert missing == -1


def test_groups_of_values_that_columns_lack_are_refused():
    groups = Groups.fit(pl.DataFrame({"sex": ["f", "m"]}), ["sex"])
    state = groups.model_dump()
    for damage in ({"members": [[0], [2]]}, {"members": [[0, 1], [1, 0]]}, {"columns": []}):
        with pytest.raises(ValidationError):
            Groups.model_validate({**state, **damage})
    with pytest.raises(InputError, match="sex"):
        groups.codes(pl.DataFrame({"age": [1]}))


# Settings


@pytest.mark.parametrize(
    "values",
    [
        {"how": "reweighing"},
        {"group": "sex", "how": "reweighing", "criterion": "equalized_odds"},
        {"group": "sex", "how": "magic"},
        {"group": "sex", "strength": -1.0},
        {"group": "sex", "bins": 1},
    ],
)
def test_settings_that_do_not_fit_are_refused(values):
    with pytest.raises(InputError):
        FairnessSettings.read(values, where="data.fairness")
