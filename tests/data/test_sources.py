"""Sources: files of every ending, whole or broken, named, globbed or listed."""

from __future__ import annotations

import datetime
import gzip
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from glial.core.errors import InputError
from glial.data import files
from glial.data.files import READERS, read_file
from glial.data.fingerprints import fingerprint
from glial.data.sources import read
from glial.data.writing import check_table_ending, write_table

FRAME = pl.DataFrame({"a": [1, 2, None], "b": ["x", None, "z"], "c": [0.5, 1.5, 2.5]})
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))


def packed(writer: str, frame: pl.DataFrame = FRAME) -> bytes:
    buffer = io.BytesIO()
    getattr(frame, writer)(buffer)
    return buffer.getvalue()


CSV, PARQUET, JSON_LINES = packed("write_csv"), packed("write_parquet"), packed("write_ndjson")
ARROW, STREAM = packed("write_ipc"), packed("write_ipc_stream")


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def write(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


def refused(source: object) -> InputError:
    with pytest.raises(InputError) as caught:
        read(source)
    assert all((caught.value.message, caught.value.expected, caught.value.got, caught.value.do))
    return caught.value


Put = Callable[[str, bytes], Path]


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        ("parquet", PARQUET),
        ("pq", PARQUET),
        ("arrow", ARROW),
        ("arrow", STREAM),
        ("feather", ARROW),
        ("ipc", ARROW),
        ("jsonl", JSON_LINES),
        ("ndjson", JSON_LINES),
    ],
)
@pytest.mark.parametrize("gz", [False, True])
def test_typed_formats_keep_their_types(put: Put, ending: str, content: bytes, gz: bool) -> None:
    path = put(f"t.{ending}.gz", gzip.compress(content)) if gz else put(f"t.{ending}", content)
    assert_frame_equal(read(path), FRAME)
    assert_frame_equal(read(str(path)), FRAME)


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "data", "CSV"])
@pytest.mark.parametrize("gz", [False, True])
def test_text_formats_keep_their_spelling(put: Put, ending: str, gz: bool) -> None:
    content = b"a\tb\n01\tx\n1.0\t?\n"
    path = put(f"t.{ending}.gz", gzip.compress(content)) if gz else put(f"t.{ending}", content)
    assert read(path).rows() == [("01", "x"), ("1.0", "?")]


def test_json_lines_with_keys_that_come_and_go(put: Put) -> None:
    path = put("t.jsonl", b'{"a": 1}\n{"b": "x"}\n\n{"a": 2.5, "b": null}\n')
    assert read(path).rows() == [(1.0, None), (None, "x"), (2.5, None)]


def test_feather_of_another_writer(tmp_path: Path) -> None:
    feather = pytest.importorskip("pyarrow.feather")
    feather.write_feather(FRAME.to_arrow(), str(tmp_path / "t.feather"))
    assert_frame_equal(read(tmp_path / "t.feather"), FRAME)


def test_missing_file_names_the_nearest(put: Put) -> None:
    path = put("houses.csv", CSV)
    error = refused(path.with_name("house.csv"))
    assert "there is no file" in error.message
    assert str(path) in str(error.do)


def test_missing_data_set_names_the_nearest() -> None:
    assert "'iris'" in str(refused("irris").do)


def test_folder(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert "is a folder" in error.message
    assert "*.csv" in str(error.do)


@pytest.mark.parametrize("ending", [e for e in READERS if e != ".json"])
@pytest.mark.parametrize("content", [b"", b" \n"])
def test_empty_file(put: Put, ending: str, content: bytes) -> None:
    assert "is empty" in refused(put(f"t{ending}", content)).message


def test_header_alone(put: Put) -> None:
    assert "header and no rows" in refused(put("t.csv", b"a,b\n")).message


@pytest.mark.parametrize("writer", ["write_parquet", "write_ipc"])
def test_typed_table_without_rows(put: Put, writer: str) -> None:
    ending = {"write_parquet": "parquet", "write_ipc": "arrow"}[writer]
    assert "no rows" in refused(put(f"t.{ending}", packed(writer, FRAME.clear()))).message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("png.csv", PNG),
        ("png.parquet", PNG),
        ("text.parquet", CSV),
        ("text.arrow", CSV),
        ("parquet.csv", PARQUET),
        ("arrow.csv", ARROW),
        ("parquet.arrow", PARQUET),
        ("arrow.parquet", ARROW),
        ("parquet.jsonl", PARQUET),
        ("gzip.csv", gzip.compress(CSV, mtime=0)),
        ("png.csv.gz", gzip.compress(PNG, mtime=0)),
    ],
)
def test_a_file_that_is_not_what_its_ending_says(put: Put, name: str, content: bytes) -> None:
    assert "not what its ending says" in refused(put(name, content)).message


def test_a_header_that_looks_like_a_sign_is_a_table(put: Put) -> None:
    assert read(put("t.csv", b"PAR1,b\n1,2\n")).columns == ["PAR1", "b"]


@pytest.mark.parametrize("name", ["t.csv.gz", "t.parquet.gz"])
def test_plain_text_as_gz(put: Put, name: str) -> None:
    assert "gzip" in refused(put(name, CSV)).message


def test_truncated_gzip(put: Put) -> None:
    content = gzip.compress(CSV * 100)
    assert "whole gzip" in refused(put("t.csv.gz", content[:-12])).message
    broken = bytearray(content)
    broken[len(broken) // 2] ^= 0xFF
    refused(put("u.csv.gz", bytes(broken)))


@pytest.mark.parametrize("content", [PARQUET, ARROW, STREAM, JSON_LINES])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_file(put: Put, content: bytes, share: float) -> None:
    ending = {PARQUET: "parquet", JSON_LINES: "jsonl"}.get(content, "arrow")
    path = put(f"t.{ending}", content[: int(len(content) * share)])
    try:
        error = refused(path)
    except pytest.fail.Exception:  # a stream of Arrow may end after any of its parts
        assert content is STREAM
        return
    assert "read" in error.message or "ending" in error.message or "rows" in error.message


@pytest.mark.parametrize("content", [b'{"a": 1}\n{"a":', b"[1, 2]\n", b"1\n2\n", b"\xff\xfe\x01{"])
def test_broken_json_lines(put: Put, content: bytes) -> None:
    refused(put("t.jsonl", content))


@pytest.mark.parametrize("content", [b"a,\0\1\2\3\n" * 9, b"\xef\xbb\xbfa,b\n\xff,1\n"])
def test_binary_and_undecodable_text(put: Put, content: bytes) -> None:
    assert "not text" in refused(put("t.csv", content)).message


def test_gzip_bomb(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put("t.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 10_000))
    monkeypatch.setattr(files, "MAX_UNPACKED_BYTES", 1000)
    assert "unpacks to more than 1000 bytes" in refused(path).message
    monkeypatch.setenv("GLIAL_MAX_UNPACKED_BYTES", "100000")
    assert read(path).height == 10_000
    monkeypatch.setenv("GLIAL_MAX_UNPACKED_BYTES", "many")
    refused(path)


def test_unknown_ending(put: Put) -> None:
    error = refused(put("t.xlsx", b"PK\x03\x04\0\0"))
    assert ".csv" in str(error.expected)
    refused(put("t.gz", gzip.compress(PNG)))


def test_glob(put: Put, tmp_path: Path) -> None:
    put("p1.csv", b"a,b\n1,x\n")
    put("p2.csv", b"b,a\ny,2\n")
    assert read(str(tmp_path / "p*.csv")).rows() == [("1", "x"), ("2", "y")]
    assert "no file fits" in refused(str(tmp_path / "q*.csv")).message


def test_a_name_with_brackets_is_a_file_first(put: Put) -> None:
    assert read(str(put("t[1].csv", CSV))).height == 3


def test_several_files_need_the_same_columns(put: Put) -> None:
    one, two = put("1.csv", b"a,b\n1,x\n"), put("2.csv", b"a,c\n2,y\n")
    error = refused([one, two])
    assert "other columns" in error.message
    assert "b" in str(error.do)


def test_several_files_need_types_that_can_be_joined(put: Put) -> None:
    one, two = put("1.csv", b"a,b,c\n1,x,2\n"), put("2.parquet", PARQUET)
    assert read([one, two]).schema["a"] == pl.String
    three = put("3.parquet", packed("write_parquet", FRAME.with_columns(a=pl.lit([1]))))
    assert "different types" in refused([two, three]).message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(put: Put, tmp_path: Path) -> None:
    path = put("t.csv", CSV)
    path.chmod(0)
    assert "cannot be opened" in refused(path).message
    tmp_path.chmod(0o300)
    refused(tmp_path / "other.csv")
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("name", ["\0", "", "x" * 5000, "x" * 5000 + "*", "[", "a/b/c.csv"])
def test_odd_names(name: str) -> None:
    refused(name)


def test_a_file_in_place_of_a_folder(put: Put) -> None:
    refused(put("t.csv", CSV) / "u.csv")


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_what_is_written_is_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    write_table(FRAME, path)
    expected = FRAME.cast(pl.String).fill_null("") if ending == "csv" else FRAME
    assert_frame_equal(read(path), expected)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["t.xlsx", "none/t.csv", "."])
def test_what_cannot_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        check_table_ending(tmp_path / name)
    with pytest.raises(InputError):
        write_table(FRAME, tmp_path / name)


@pytest.mark.parametrize(
    "series",
    [
        pl.Series("a", [1, 2]),
        pl.Series("a", [[1], [2]]),
        pl.Series("a", [{"x": 1}, {"x": 2}]),
        pl.Series("a", [{"x": [1]}, None]),
        pl.Series("a", [[1, 2], []]),
        pl.Series("a", [[], None]),
        pl.Series("a", [[[1], [2]], [[1, 2]]]),
        pl.Series("a", [["x", None], ["x", ""]]),
        pl.Series("a", [[[1, 2], [3, 4]], [[1, 2], [4, 3]]], dtype=pl.Array(pl.UInt8, (2, 2))),
        pl.Series("a", [[0, None], [0, 0]], dtype=pl.Array(pl.UInt8, 2)),
        pl.Series("a", [b"1", b"\xff"]),
        pl.Series("a", [datetime.timedelta(1), datetime.timedelta(2)]),
        pl.Series("a", [datetime.time(1), datetime.time(2)]),
        pl.Series("a", [1, 2], dtype=pl.Int128),
        pl.Series("a", ["1", "2"]).cast(pl.Decimal(10, 2)),
        pl.Series("a", ["x", "y"], dtype=pl.Categorical),
        pl.Series("a", [True, None]),
    ],
)
def test_fingerprint_tells_cells_apart(series: pl.Series) -> None:
    frame = series.to_frame()
    assert fingerprint(frame) == fingerprint(frame.clone())
    assert fingerprint(frame) != fingerprint(frame[[1, 0]])
    assert fingerprint(frame) != fingerprint(frame.rename({"a": "b"}))


def test_fingerprints_of_images_make_no_python_objects_of_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = pl.Series("a", np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3)).to_frame()
    monkeypatch.setattr(pl.Series, "to_list", None)
    assert fingerprint(images) != fingerprint(images[[1, 0]])


def test_fingerprint_knows_where_cells_end() -> None:
    one = pl.DataFrame({"a": ["xy", "z"], "b": ["", None]})
    two = pl.DataFrame({"a": ["x", "yz"], "b": ["", None]})
    assert len({fingerprint(f) for f in (one, two, one.with_columns(b=pl.lit("")))}) == 3


cells = {
    "i": st.none() | st.integers(-(2**63), 2**63 - 1),
    "f": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "s": st.none() | st.text(st.characters(codec="utf-8"), max_size=6),
    "b": st.none() | st.booleans(),
}
TYPES = {"i": pl.Int64, "f": pl.Float64, "s": pl.String, "b": pl.Boolean}


@pytest.mark.slow
@given(st.lists(st.fixed_dictionaries(cells), min_size=1, max_size=6))
@settings(max_examples=40)
def test_typed_formats_round_trip(rows: list[dict[str, object]]) -> None:
    frame = pl.DataFrame(rows, schema=TYPES)
    with tempfile.TemporaryDirectory() as folder:
        for ending, writer in (
            ("parquet", "write_parquet"),
            ("arrow", "write_ipc"),
            ("ipc", "write_ipc_stream"),
        ):
            path = Path(folder) / f"t.{ending}"
            path.write_bytes(packed(writer, frame))
            assert_frame_equal(read(path), frame)
        path = Path(folder) / "t.jsonl"
        path.write_bytes(packed("write_ndjson", frame))
        found = read(path)
        for name, column in frame.to_dict().items():
            if column.null_count() < len(column):
                assert found[name].to_list() == column.to_list()


def gives_a_table_or_an_input_error(ending: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t{ending}"
        path.write_bytes(content)
        try:
            frame = read_file(path)
        except InputError:
            return
        assert isinstance(frame, pl.DataFrame)


ENDINGS = [*READERS, *(f"{ending}.gz" for ending in READERS), "", ".gz", ".xlsx"]


@given(st.sampled_from(ENDINGS), st.binary(max_size=120), st.booleans())
@settings(max_examples=200)
def test_any_bytes_under_any_ending(ending: str, content: bytes, packs: bool) -> None:
    data = gzip.compress(content) if packs and ending.endswith(".gz") else content
    gives_a_table_or_an_input_error(ending, data)


flips = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=5)


@pytest.mark.slow
@given(st.sampled_from(ENDINGS), flips, st.integers(0, 40))
@settings(max_examples=200)
def test_mutated_text_under_any_ending(
    ending: str, changes: list[tuple[int, int]], cut: int
) -> None:
    content = bytearray(b'a,b;c\n1,"x, y";2\n"3","4";"5\n6"\n' * 2 + b'{"a": [1]}\n')
    for place, value in changes:
        content[place % len(content)] = value
    gives_a_table_or_an_input_error(ending, bytes(content[: len(content) - cut]))


@pytest.mark.slow
@given(
    st.sampled_from([(".jsonl", JSON_LINES), (".json", JSON_LINES), (".csv", CSV)]),
    flips,
)
@settings(max_examples=200)
def test_mutated_json_and_csv(kind: tuple[str, bytes], changes: list[tuple[int, int]]) -> None:
    content = bytearray(kind[1])
    for place, value in changes:
        content[place % len(content)] = value
    gives_a_table_or_an_input_error(kind[0], bytes(content))


@pytest.mark.slow
@given(
    st.sampled_from([(".parquet", PARQUET), (".arrow", ARROW), (".ipc", STREAM)]),
    flips,
)
@settings(max_examples=200)
def test_mutated_binary_tables(kind: tuple[str, bytes], changes: list[tuple[int, int]]) -> None:
    content = bytearray(kind[1])
    for place, value in changes:
        content[place % len(content)] = value
    gives_a_table_or_an_input_error(kind[0], bytes(content))


def test_arrays_of_complex_numbers_are_refused() -> None:
    refused(np.zeros((2, 2), dtype=complex))


def test_pandas_cells_of_every_kind_of_missing() -> None:
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(
        {
            "mixed": pd.Series([1, "x", pd.NA], dtype=object),
            "period": pd.period_range("2024-01", periods=3, freq="M"),
            "zoned": pd.to_datetime(["2024-01-01 12:00", None, "2024-07-01"], format="mixed"),
        }
    )
    table["zoned"] = table["zoned"].dt.tz_localize("Europe/Berlin")
    frame = read(table)
    assert frame["mixed"].to_list() == ["1", "x", None]
    assert frame["period"].to_list() == ["2024-01", "2024-02", "2024-03"]
    assert [str(moment) for moment in frame["zoned"]] == [
        "2024-01-01 11:00:00",
        "None",
        "2024-06-30 22:00:00",
    ]
