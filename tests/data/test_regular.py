"""The fast way through delimited text: taken where it may be, and never wrong."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glial.data.regular import read_regular

names = st.text("abcdefghijé", min_size=1, max_size=6)
cells = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]) | st.sampled_from(",;|\t\"' \n"),
    max_size=8,
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    header = draw(st.lists(names, min_size=2, max_size=4, unique=True))
    row = st.lists(cells, min_size=len(header), max_size=len(header))
    return [header, *draw(st.lists(row, min_size=1, max_size=6))]


@pytest.mark.slow
@given(
    tables(),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_it_is_taken_and_says_what_was_written(
    rows: list[list[str]], delimiter: str, line: str, quoting: int
) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator=line, quoting=quoting).writerows(rows)
    found = read_regular(buffer.getvalue().encode(), delimiter)
    assert found is not None
    assert [found[0], *map(list, found[1].rows())] == rows


@given(st.text('ab,"\n\r', max_size=30))
def test_it_never_contradicts_csv(text: str) -> None:
    found = read_regular(text.encode(), ",")
    if found is not None:
        rows = list(csv.reader(io.StringIO(text.rstrip("\r\n"), newline=""), strict=True))
        assert [found[0], *map(list, found[1].rows())] == rows


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b",
        b"a,b\n1\n",
        b"a,b\n1,2,3\n",
        b"a,b\n\n1,2\n",
        b"a,b\r1,2\r",
        b'a,b\n5" pipe,2\n',
        b'a,b\n"x,2\n',
        b'a,b\n"x"y,2\n',
    ],
)
def test_what_is_out_of_order_is_left_to_the_careful_way(content: bytes) -> None:
    assert read_regular(content, ",") is None
