"""Copies of rows: counted as a loop over all pairs counts them."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glial.data.quality.duplicates import find_duplicates
from glial.data.quality.sheet import Sheet

KINDS = {"a": "number", "b": "category"}
row = st.tuples(
    st.sampled_from([0.0, 1.0, None]), st.sampled_from(["u", None]), st.sampled_from(["p", "q"])
)


def sheet_of(parts: list[list[tuple[object, ...]]]) -> Sheet:
    schema = {"a": pl.Float64, "b": pl.String, "y": pl.String}
    frames = [pl.DataFrame(rows, schema=schema, orient="row") for rows in parts]
    return Sheet.of(frames, ["y"], KINDS, "classification")


@pytest.mark.slow
@given(st.lists(row, min_size=1, max_size=6), st.lists(row, max_size=4), st.lists(row, max_size=4))
def test_counts_are_those_of_a_loop_over_pairs(train, val, test) -> None:
    found = find_duplicates(sheet_of([train, val, test]))
    rows = [*train, *val, *test]
    assert found.repeated == sum(one in rows[:i] for i, one in enumerate(rows))
    assert found.conflicting == sum(
        any(one[:2] == other[:2] and one[2] != other[2] for other in rows) for one in rows
    )
    known = {one[:2] for one in train}
    assert found.val == sum(one[:2] in known for one in val)
    known |= {one[:2] for one in val}
    assert found.test == sum(one[:2] in known for one in test)
    assert found.distinct == len({one[:2] for one in rows})


def test_copies_are_named_by_split_and_row() -> None:
    train = [(float(i), "u", "p") for i in range(9)]
    found = find_duplicates(sheet_of([train, [(4.0, "u", "q")], [(9.0, "u", "q")]]))
    places = [{"split": "train", "row": 4}, {"split": "val", "row": 0}]
    assert (found.examples, found.conflicts) == ([places], [places])


def test_the_first_of_many_copies_show_every_split() -> None:
    found = find_duplicates(sheet_of([[(1.0, "u", "p")] * 20, [], [(1.0, "u", "p")]]))
    assert {place["split"] for place in found.examples[0]} == {"train", "test"}
    assert len(found.examples[0]) == 5


def test_numbers_are_compared_by_value_and_identifiers_not_at_all() -> None:
    frame = pl.DataFrame({"id": ["1", "2"], "a": ["1.0", "1"], "y": ["u", "u"]})
    kinds = {"id": "identifier", "a": "number"}
    found = find_duplicates(Sheet.of([frame], ["y"], kinds, "classification"))
    assert found.repeated == 1
