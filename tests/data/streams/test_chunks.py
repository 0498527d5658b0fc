"""Chunks of every format hold what a reader of the whole file says, in any order."""

from __future__ import annotations

import csv
import io
import random

import polars as pl
import pytest

from glial.core.errors import InputError
from glial.data import read_file
from glial.data.streams import (
    ArrowChunks,
    DelimitedChunks,
    FrameChunks,
    JoinedChunks,
    JsonLinesChunks,
    ParquetChunks,
    open_chunks,
    rowends,
)
from glial.data.streams.parquet import row_groups

TABLE = pl.DataFrame(
    {
        "number": [0.1, 2.5, None, -3.0, 1e9, 7.25, 0.0],
        "word": ["a", 'b "quoted"', "two\nlines", "d,e", None, "é", " g "],
        "whole": [1, 2, 3, 4, 5, 6, 7],
    }
)
CELLS = ["1", "-2.5", "a b", "", "é", "x,y", "l1\nl2", 'say "hi"', "  ", " z"]


def whole(chunks):
    return pl.concat([chunks.read(number) for number in range(len(chunks.counts))])


def write(path, frame=TABLE):
    ending = path.suffix
    if ending == ".parquet":
        frame.write_parquet(path, row_group_size=3)
    elif ending == ".arrow":
        frame.write_ipc(path, record_batch_size=3)
    elif ending == ".jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="\t" if ending == ".tsv" else ",")
    return path


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".jsonl", ".csv", ".tsv"])
@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_chunks_hold_what_the_whole_file_holds(tmp_path, ending, rows):
    path = write(tmp_path / f"t{ending}")
    chunks = open_chunks(path, rows)
    expected = read_file(path)
    assert whole(chunks).equals(expected)
    assert chunks.schema == dict(expected.schema)
    assert sum(chunks.counts) == 7
    assert max(chunks.counts) <= rows
    backwards = [chunks.read(number) for number in reversed(range(len(chunks.counts)))]
    assert pl.concat(backwards[::-1]).equals(expected)


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".jsonl", ".csv"])
def test_some_columns_come_in_the_order_asked_for(tmp_path, ending):
    rows = open_chunks(write(tmp_path / f"t{ending}"), 3).read(1, ["whole", "word"])
    assert rows.columns == ["whole", "word"]
    assert rows["word"].to_list() == ["d,e", None if ending != ".csv" else "", "é"]


def test_small_row_groups_stand_together_and_large_ones_are_cut(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": range(100)}).write_parquet(path, row_group_size=30)
    assert [group.num_rows for group in row_groups(path)] == [30, 30, 30, 10]
    assert ParquetChunks(path, 60).counts == [60, 40]
    assert ParquetChunks(path, 30).counts == [30, 30, 30, 10]
    assert ParquetChunks(path, 20).counts == [15, 15, 15, 15, 15, 15, 10]
    assert ParquetChunks(path, 1000).counts == [100]


def test_row_groups_of_another_writer(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    frame = pl.DataFrame({"a": [1, None] * 50, "s": ["x", None] * 50, "l": [[1], None] * 50})
    pq.write_table(frame.to_arrow(), path, row_group_size=40, write_page_index=True)
    expected = pq.ParquetFile(path).metadata
    found = row_groups(path)
    assert [g.num_rows for g in found] == [
        expected.row_group(i).num_rows for i in range(expected.num_row_groups)
    ]
    assert [g.num_bytes for g in found] == [
        expected.row_group(i).total_byte_size for i in range(expected.num_row_groups)
    ]


def test_large_row_groups_are_noticed(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("glial.data.streams.parquet.LARGE_GROUP_BYTES", 10)
    ParquetChunks(write(tmp_path / "t.parquet"), 2)
    assert "row groups of" in caplog.text


def random_text(draw: random.Random) -> tuple[str, str]:
    """Delimited text with everything odd that files have, and its encoding."""
    delimiter, line = draw.choice(",;\t|"), draw.choice(["\n", "\r\n"])
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line)
    width = draw.randint(2, 4)
    writer.writerow([f"c{i}" for i in range(width)])
    for _ in range(draw.randint(1, 25)):
        writer.writerow([draw.choice(CELLS) for _ in range(width)])
        text.write(draw.choice(["", "", "", "", "", line, "   " + line]))
    if draw.random() < 0.2:
        text.write('5" pipe' + (delimiter + "q") * (width - 1) + line)
    if draw.random() < 0.2:
        text.write(("lone" + (delimiter + "q") * (width - 1) + "\r") * 2 + line)
    if draw.random() < 0.1:
        text.write("ragged" + line)
    if draw.random() < 0.1:
        text.write('"open' + line)
    content = text.getvalue()
    content = content.rstrip("\r\n") if draw.random() < 0.3 else content
    content = line + content if draw.random() < 0.2 else content
    content = f"sep={delimiter}{line}{content}" if draw.random() < 0.1 else content
    return content, draw.choice(["utf-8", "utf-8-sig", "cp1252"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(150))
def test_delimited_chunks_equal_the_whole_file_or_refuse_it_too(tmp_path, monkeypatch, seed):
    draw = random.Random(seed)
    monkeypatch.setattr(rowends, "BLOCK_BYTES", draw.choice([7, 50, 1000]))
    monkeypatch.setattr(rowends, "CAREFUL_ROWS", draw.choice([3, 100]))
    text, encoding = random_text(draw)
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    try:
        expected = read_file(path)
    except InputError:
        expected = None
    if expected is None:
        with pytest.raises(InputError):
            whole(DelimitedChunks(path, draw.randint(1, 9)))
    else:
        assert whole(DelimitedChunks(path, draw.randint(1, 9))).equals(expected)


def test_errors_name_the_line_of_the_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + '1,"x\ny"\n' * 10 + "1,2,3\n")
    chunks = DelimitedChunks(path, 4)
    assert chunks.read(0).height == 4
    with pytest.raises(InputError, match="line 22"):
        chunks.read(2)


def test_an_open_quote_names_its_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,x\n" * 10 + '1,"open\n' + "1,x\n" * 10)
    with pytest.raises(InputError, match="line 12"):
        DelimitedChunks(path, 4)


def test_bytes_that_are_not_utf8_late_in_a_file_decide_for_all_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(rowends, "BLOCK_BYTES", 64)
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"1,x\n" * 50 + "2,é\n".encode("cp1252"))
    chunks = DelimitedChunks(path, 10)
    assert chunks.read(5)["b"].to_list() == ["é"]


def test_types_of_json_lines_are_those_of_all_lines(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1, "b": null}\n{"a": 2}\n\n{"a": 2.5, "b": "x"}\n')
    chunks = JsonLinesChunks(path, 1)
    assert chunks.schema == {"a": pl.Float64, "b": pl.String}
    assert whole(chunks).rows() == [(1.0, None), (2.0, None), (2.5, "x")]
    assert whole(chunks).equals(read_file(path))


def test_several_files_follow_each_other_with_types_that_fit_all(tmp_path):
    write(tmp_path / "a.parquet", pl.DataFrame({"x": [1, 2], "y": ["a", "b"]}))
    write(tmp_path / "b.parquet", pl.DataFrame({"y": ["c"], "x": [0.5]}))
    chunks = open_chunks(str(tmp_path / "*.parquet"), 10)
    assert chunks.counts == [2, 1]
    assert whole(chunks).rows() == [(1.0, "a"), (2.0, "b"), (0.5, "c")]


def test_files_with_other_columns_are_refused(tmp_path):
    write(tmp_path / "a.parquet", pl.DataFrame({"x": [1], "y": [2]}))
    write(tmp_path / "b.parquet", pl.DataFrame({"x": [1], "z": [2]}))
    with pytest.raises(InputError, match="y, z is in one of them only"):
        open_chunks([str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")], 10)


def test_types_that_do_not_go_together_are_refused():
    lists = FrameChunks(pl.DataFrame({"x": [[1]]}), 1)
    with pytest.raises(InputError, match="different types"):
        JoinedChunks([FrameChunks(pl.DataFrame({"x": [1]}), 1), lists])


BAD = {
    "empty.csv": b"",
    "header.csv": b"a,b\n",
    "blank.csv": b"\n\n \n",
    "no_line.csv": b"a,b,c",
    "utf16.csv": "a,b\n1,2\n".encode("utf-16"),
    "twice.csv": b"a,a\n1,2\n",
    "no.parquet": b"PAR1 and nothing that follows",
    "short.parquet": b"PAR1",
    "text.parquet": b"a,b\n1,2\n",
    "no.arrow": b"ARROW1 and nothing that follows",
    "stream.arrow": b"\xff\xff\xff\xff" + bytes(40),
    "array.json": b'[{"a": 1}]',
    "no.jsonl": b'{"a": 1}\nwords\n',
    "packed.csv.gz": b"\x1f\x8b" + bytes(20),
    "odd.xyz": b"a,b\n1,2\n",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_with_one_clear_error(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BAD[name])
    with pytest.raises(InputError) as refused:
        open_chunks(path, 10)
    assert name in refused.value.message
    assert refused.value.do


@pytest.mark.parametrize("cut", [1, 5, 40, 200])
def test_cut_off_columnar_files_are_refused(tmp_path, cut):
    for ending in (".parquet", ".arrow"):
        path = write(tmp_path / f"t{ending}")
        path.write_bytes(path.read_bytes()[:-cut])
        with pytest.raises(InputError, match="whole"):
            whole(open_chunks(path, 10))


def test_footers_of_nonsense_are_refused_at_once(tmp_path):
    path = tmp_path / "t.parquet"
    draw = random.Random(0)
    for _ in range(200):
        footer = draw.randbytes(draw.randint(1, 60))
        path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
        with pytest.raises(InputError):
            ParquetChunks(path, 10)


def test_a_file_that_changes_is_noticed(tmp_path):
    path = write(tmp_path / "t.csv", pl.DataFrame({"a": range(10), "b": range(10)}))
    chunks = DelimitedChunks(path, 5)
    path.write_text(path.read_text().replace("7,7", "7\n7"))
    with pytest.raises(InputError):
        chunks.read(1)


def test_arrow_chunks_are_slices_of_any_batches(tmp_path):
    path = tmp_path / "t.arrow"
    pl.DataFrame({"a": range(10)}).write_ipc(path, compression="lz4", record_batch_size=4)
    assert ArrowChunks(path, 3).counts == [3, 3, 3, 1]
    assert ArrowChunks(path, 3).read(1)["a"].to_list() == [3, 4, 5]
