"""Texts as they are read and divided."""

from __future__ import annotations

import gzip
import zipfile

import polars as pl
import pytest

from glial.core.errors import InputError
from glial.data import SplitSettings
from glial.data.corpora import Corpus, read_corpus, split_corpus

ODD = "\ufeffA b\r\n\tß 日本 👍🏽\x0b\n\n"


def test_files_are_read_byte_for_byte(tmp_path):
    (tmp_path / "a.txt").write_bytes(ODD.encode())
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(ODD.encode()))
    for name in ("a.txt", "b.txt.gz"):
        assert read_corpus(tmp_path / name).texts == [ODD]
    assert read_corpus(str(tmp_path / "*.txt*")).texts == [ODD, ODD]
    assert read_corpus([str(tmp_path / "b.txt.gz"), str(tmp_path / "a.txt")]).texts == [ODD, ODD]


def test_folders_and_archives_are_read_in_the_order_of_names(tmp_path):
    folder = tmp_path / "plays"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "2.txt").write_text("two")
    (folder / "a.md").write_text("one")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    assert read_corpus(folder).texts == ["one", "two"]
    with zipfile.ZipFile(tmp_path / "plays.zip", "w") as archive:
        archive.writestr("z.txt", "last")
        archive.writestr("a.txt", "first")
    assert read_corpus(tmp_path / "plays.zip").texts == ["first", "last"]


@pytest.mark.parametrize(
    "names", [("train/a.txt", "valid/a.txt", "test/a.txt"), ("wiki.train.txt", "wiki.valid.txt")]
)
def test_names_say_which_split_files_belong_to(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    parts = split_corpus(read_corpus(tmp_path), SplitSettings())
    assert parts["train"] == [names[0]]
    assert parts["val"] == [names[1]]
    assert parts["test"] == list(names[2:])


def test_a_running_text_is_divided_by_position():
    text = "".join(chr(97 + i % 26) for i in range(1000))
    for texts in ([text], [text[:333], text[333:700], text[700:]]):
        parts = split_corpus(Corpus(texts), SplitSettings())
        assert "".join("".join(parts[name]) for name in ("train", "val", "test")) == text
        assert [len("".join(part)) for part in parts.values()] == [700, 150, 150]


def test_rows_of_a_table_are_drawn_whole():
    frame = pl.DataFrame({"text": [f"row {i}" for i in range(20)], "id": range(20)})
    parts = split_corpus(read_corpus(frame), SplitSettings(), seed=1)
    assert [len(part) for part in parts.values()] == [14, 3, 3]
    assert sorted(text for part in parts.values() for text in part) == sorted(frame["text"])
    grouped = frame.with_columns(poet=pl.int_range(20) % 4)
    parts = split_corpus(read_corpus(grouped, "text"), SplitSettings(group="poet"))
    poets = [{int(text.split()[1]) % 4 for text in part} for part in parts.values()]
    assert sum(map(len, poets)) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"fine\nb\xe4d", "no UTF-8 text"),
    ],
)
def test_files_without_text_are_refused(tmp_path, content, message):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_corpus(path)
    if b"\xe4" in content:
        assert caught.value.got == "the byte 0xe4 in line 2"


def test_other_sources_are_refused(tmp_path):
    with pytest.raises(InputError, match="no file"):
        read_corpus(tmp_path / "none.txt")
    with pytest.raises(InputError, match="holds no file of text"):
        read_corpus(tmp_path)
    for content in (["", None], [None, None]):
        with pytest.raises(InputError, match="is empty"):
            read_corpus(pl.DataFrame({"text": content}, schema={"text": pl.String}))
    with pytest.raises(InputError, match="not clear"):
        read_corpus({"a": ["x"], "b": ["y"]})
    with pytest.raises(InputError, match="holds no text"):
        read_corpus({"a": ["x"], "n": [1]}, "n")
    with pytest.raises(InputError, match="unknown column"):
        read_corpus({"a": ["x"]}, "b")
    with pytest.raises(InputError, match="by position"):
        split_corpus(Corpus(["abc"]), SplitSettings(group="poet"))


def test_the_column_of_texts_is_found_and_blanks_are_kept():
    assert read_corpus({"n": ["1"], "Text": [" a "]}).texts == [" a "]
    assert read_corpus({"n": [1], "poem": ["x"]}).column == "poem"
    assert read_corpus({"a": ["", "x", None]}, keep_empty=True).texts == ["", "x", ""]
