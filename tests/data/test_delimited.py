"""Delimited text: every cell comes back as it was spelt, and what is no table is refused."""

from __future__ import annotations

import csv
import io
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glial.core.errors import InputError
from glial.data.delimited import check_names, decode, find_delimiter, find_quote, read_delimited
from glial.data.regular import read_regular

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]


def refused(content: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        read_delimited(content, "t.csv")
    assert caught.value.message.startswith("t.csv")
    assert caught.value.expected
    assert caught.value.got
    assert caught.value.do
    return caught.value


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_is_found(encoding: str) -> None:
    text = "name,size\nJosé,1\nZoë,2\nBjörn,3\n"
    frame = read_delimited(text.encode(encoding), "t.csv")
    assert frame.columns == ["name", "size"]
    assert frame.rows() == [("José", "1"), ("Zoë", "2"), ("Björn", "3")]


def test_utf16_with_a_big_endian_mark() -> None:
    content = "\ufeffa,b\né,2\n".encode("utf-16-be")
    assert read_delimited(content, "t.csv").rows() == [("é", "2")]


def test_windows_1252_has_its_own_quotes_and_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    content = b"a,b\n\x93x\x94,\x80\n"
    assert read_delimited(content, "t.csv").rows() == [("“x”", "€")]
    assert "t.csv is not UTF-8" in caplog.text


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiter_and_line_end(delimiter: str, end: str) -> None:
    lines = [["a", "b"], ["01", "x y"], ["1.0", ""]]
    text = end.join(delimiter.join(line) for line in lines) + end
    frame = read_delimited(text.encode(), "t.csv")
    assert [frame.columns, *map(list, frame.rows())] == lines


def test_old_line_ends_of_a_lone_return() -> None:
    assert read_delimited(b"a,b\r1,2\r3,4\r", "t.csv").rows() == [("1", "2"), ("3", "4")]


def test_quoted_delimiters_line_breaks_and_quotes() -> None:
    content = b'a,b\n"x, y","1\n2"\n"say ""hi""",\r\n'
    assert read_delimited(content, "t.csv").rows() == [("x, y", "1\n2"), ('say "hi"', "")]


def test_a_quoted_delimiter_of_another_kind_does_not_mislead() -> None:
    content = b'"a,1";"b,2"\n"x,y";"z,w"\n'
    frame = read_delimited(content, "t.csv")
    assert frame.columns == ["a,1", "b,2"]
    assert frame.rows() == [("x,y", "z,w")]


def test_decimal_commas_do_not_mislead() -> None:
    assert find_delimiter("a;b\n1,5;2,5\n3,5;4,5\n") == ";"


def test_labels_keep_their_spelling() -> None:
    frame = read_delimited(b"y,z\n01,1.0\n1,1\n1e0,+1\n", "t.csv")
    assert frame["y"].to_list() == ["01", "1", "1e0"]
    assert frame["z"].to_list() == ["1.0", "1", "+1"]


def test_single_quotes_and_the_spreadsheet_line() -> None:
    assert find_quote("'a';'b'\n", ";") == "'"
    assert read_delimited(b"'a','b'\n'x, y','1'\n", "t.csv").rows() == [("x, y", "1")]
    assert read_delimited(b"sep=;\r\na;b\r\n1,5;2\r\n", "t.csv").rows() == [("1,5", "2")]


def test_one_column_keeps_its_empty_cells() -> None:
    assert read_delimited(b'a\n1\n""\n3\n', "t.csv").rows() == [("1",), ("",), ("3",)]


def test_blank_lines_are_passed_over() -> None:
    assert read_delimited(b"\n\na,b\n\n1,2\n   \n3,4\n\n", "t.csv").height == 2


def test_nothing_at_all() -> None:
    for content in (b"", b"\n\n", b"\xff\xfe"):
        assert "empty" in refused(content).message


def test_header_alone() -> None:
    for content in (b"a,b\n", b"a,b", b"a\n", b"a,b\r\n\r\n"):
        assert "header and no rows" in refused(content).message


@pytest.mark.parametrize(
    ("content", "line", "got"),
    [
        (b"a,b\n1,2\n1,2,3\n", 3, "3 cells"),
        (b"a,b\n1,2\n1\n", 3, "1 cells"),
        (b'a,b\n"1\n1",2\n1,2,3\n', 4, "3 cells"),
        (b"a,b\r\n1,2\r\n\r\n3\r\n", 4, "1 cells"),
    ],
)
def test_a_ragged_row_is_named_by_its_line(content: bytes, line: int, got: str) -> None:
    error = refused(content)
    assert error.message.endswith(f"line {line}")
    assert error.expected == "2 cells, as in the header"
    assert error.got == got


@pytest.mark.parametrize("content", [b'a,b\n1,2\n"3,4\n5,6\n', b'a,b\n1,2\n"3"x,4\n'])
def test_a_quote_out_of_order_is_named_by_its_line(content: bytes) -> None:
    assert "line 3" in refused(content).message


def test_a_column_name_twice() -> None:
    error = refused(b"a,b,a\n1,2,3\n")
    assert "'a'" in error.message
    with pytest.raises(InputError):
        check_names(["x", "x"], "t")


def test_an_empty_column_name_gets_one(caplog: pytest.LogCaptureFixture) -> None:
    frame = read_delimited(b"a,,c\n1,2,3\n", "t.csv")
    assert frame.columns == ["a", "column_2", "c"]
    assert "column 2 has no name" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        bytes(range(256)) * 8,
        b"a,b\n1,\0\0\0\x01\x02\n",
        b"\xef\xbb\xbfa,b\n\xff,2\n",
        b"\xff\xfea\0,\0b\0\n\0x",
        "a,b\nx,\ud800\n".encode("utf-16-le", "surrogatepass"),
        b"\x01\x02\x03\x04\x05\x06\x07" * 10,
    ],
)
def test_what_is_not_text(content: bytes) -> None:
    assert "not text" in refused(content).message


def test_decode_gives_the_text_without_its_mark() -> None:
    assert decode(b"\xef\xbb\xbfab", "t") == "ab"
    assert decode("äb".encode("utf-16-be"), "t") == "äb"


words = st.text(
    st.characters(codec="cp1252", exclude_characters=",;\t|\"\r\n'", exclude_categories=("Cc",)),
    max_size=6,
).map(str.strip)
names = st.lists(
    st.text(string.ascii_letters, min_size=1, max_size=5), min_size=2, max_size=5, unique=True
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], str, str, int, str]:
    header = draw(names)
    delimiter = draw(st.sampled_from(",;\t|"))
    own = draw(st.sampled_from(["", delimiter, '"', "\n", "\r\n"]))
    cell = st.tuples(words, st.sampled_from(["", own]), words).map("".join)
    rows = draw(
        st.lists(
            st.lists(cell, min_size=len(header), max_size=len(header)).filter(
                lambda row: any(c.strip() for c in row)
            ),
            min_size=1,
            max_size=8,
        )
    )
    end = draw(st.sampled_from(["\n", "\r\n"]))
    quoting = draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    return [header, *rows], delimiter, end, quoting, draw(st.sampled_from(ENCODINGS[:5]))


@pytest.mark.slow
@given(tables())
@settings(max_examples=80)
def test_what_python_writes_comes_back_cell_for_cell(
    table: tuple[list[list[str]], str, str, int, str],
) -> None:
    rows, delimiter, end, quoting, encoding = table
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    text = out.getvalue()
    if encoding in ("utf-16-le", "utf-16-be") and not text.isascii():
        encoding = "utf-16"  # without a mark, only texts that are mostly Latin can be told
    frame = read_delimited(text.encode(encoding), "t.csv")
    assert [frame.columns, *map(list, frame.rows())] == rows


@pytest.mark.slow
@given(st.text('ab,"\r\n ;', max_size=40))
@settings(max_examples=500)
def test_the_fast_way_agrees_with_the_careful_one(text: str) -> None:
    found = read_regular(text.encode(), ",")
    if found is None:
        return
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    assert [found[0], *map(list, found[1].rows())] == rows


@pytest.mark.slow
@given(st.one_of(st.binary(max_size=200), st.text('a1,;"\t|\r\n\0é', max_size=80)))
@settings(max_examples=500)
def test_any_bytes_give_a_table_or_a_clear_error(content: bytes | str) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    try:
        frame = read_delimited(data, "t.csv")
    except InputError:
        return
    assert frame.height > 0
    assert len(set(frame.columns)) == frame.width
