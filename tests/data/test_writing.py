"""Tables as files: lists in the cells of CSV."""

from __future__ import annotations

import csv
import json

import polars as pl
from polars.testing import assert_frame_equal

from glial.data import write_table


def test_lists_in_csv_are_joined_by_blanks_unless_an_item_has_some(tmp_path):
    table = pl.DataFrame(
        {
            "plain": [["a", "b"], [], None],
            "blanks": [["a b", "c"], [], None],
            "empty": [[""], ["é"], ["x"]],
            "numbers": [[1, 2], [3], None],
        }
    )
    write_table(table, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        plain, blanks, empty, numbers = zip(*list(csv.reader(file))[1:], strict=True)
    assert plain == ("a b", "", "")
    assert [json.loads(text) for text in blanks[:2]] == [["a b", "c"], []]
    assert [json.loads(text) for text in empty] == [[""], ["é"], ["x"]]
    assert numbers == ("1 2", "3", "")
    write_table(table, tmp_path / "t.parquet")
    assert_frame_equal(pl.read_parquet(tmp_path / "t.parquet"), table)
