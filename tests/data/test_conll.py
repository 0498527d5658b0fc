"""CoNLL columns: what files look like in the wild, and what is wrong with some."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import polars as pl
import pytest

from glial.core.errors import InputError
from glial.data import read, read_source
from glial.data.conll import read_conll, split_of

TWO = [(["Visit", "Paris"], ["O", "B-place"]), (["Go"], ["O"])]


@pytest.mark.parametrize(
    "content",
    [
        "Visit\tO\nParis\tB-place\n\nGo\tO\n",
        "Visit O\nParis B-place\n\nGo O",
        "Visit   O\r\nParis B-place\r\n\r\nGo O\r\n\r\n",
        "\ufeffVisit\tO\nParis\tB-place\n\t\nGo\tO\n",  # a byte-order mark, a blank that is a tab
        "-DOCSTART-\tO\n\nVisit\tO\nParis\tB-place\n\n\n\nGo\tO\n",
        "# sent_id = 1\nVisit\tO\nParis\tB-place\n\n# text = Go\nGo\tO\n",
    ],
)
def test_what_sentences_look_like(content: str) -> None:
    assert read_conll(content.encode(), "a.conll").rows() == TWO


def test_words_may_look_like_comments_blanks_and_line_ends() -> None:
    content = "#\tO\n#Trump\tB-person\na\u2028b\tO\n\u00a0\tO\n"
    assert read_conll(content.encode(), "a.conll")["tokens"].to_list() == [
        ["#", "#Trump", "a\u2028b", "\u00a0"]
    ]


def test_columns_between_and_words_alone() -> None:
    frame = read_conll(b"EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n", "a.conll")
    assert frame.columns == ["tokens", "column_2", "column_3", "tags"]
    assert frame["tags"].to_list() == [["B-ORG", "O"]]
    assert read_conll(b"just\nwords\n", "a.conll").columns == ["tokens"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a\tO\nb\n", "line 2"),
        (b"a\tO\nb\tx\tO\nc\tO\n", "line 2"),
        (b"a\tO\nb\t\n", "line 2"),
        (b"# only\n\n-DOCSTART- O\n", "no words"),
        (b"\n\n", "no words"),
        (b"a\x00\x01\x02\xff", "text"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_conll(content, "a.conll")


def test_files_know_their_target(tmp_path: Path) -> None:
    path = tmp_path / "a.bio"
    path.write_text("Visit O\nParis B-place\n\nGo O\n")
    found = read_source(path)
    assert (found.target, found.frame.rows()) == ("tags", TWO)
    packed = tmp_path / "b.conll.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_source(str(packed)).target == "tags"
    assert read([path, path]).height == 4
    path.write_text("")
    with pytest.raises(InputError, match="empty"):
        read(path)
    path.write_text("just\nwords\n")
    assert read_source(path).target is None


def test_parts_of_an_archive_and_of_a_folder(tmp_path: Path) -> None:
    names = ("wnut17train.conll", "x.dev.conll", "x.test.annotated", "README.md")
    sentence = "{} O\nParis B-place\n"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(f"inner/{name}", sentence.format(name))
    (tmp_path / "folder").mkdir()
    for name in names:
        (tmp_path / "folder" / name).write_text(sentence.format(name))
    for root in (tmp_path / "a.zip", tmp_path / "folder"):
        found = read_source(root)
        assert found.target == "tags"
        assert [found.frame["tokens"][0][0], found.val["tokens"][0][0]] == list(names[:2])
        assert found.test["tokens"][0][0] == names[2]


def test_one_file_without_a_split_is_all_rows(tmp_path: Path) -> None:
    (tmp_path / "all.conll").write_text("a O\n")
    (tmp_path / "more.conll").write_text("b O\n")
    found = read_source(tmp_path)
    assert (found.frame.height, found.val, found.test) == (2, None, None)
    (tmp_path / "odd.conll").write_text("b X O\n")
    with pytest.raises(InputError, match="different numbers of columns"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train/a.conll", "train"),
        ("eng.testa", "val"),
        ("valid.txt", "val"),
        ("contest.conll", None),
        ("retrain.conll", None),
        ("train-test.conll", "test"),
    ],
)
def test_splits_by_name(name: str, split: str | None) -> None:
    assert split_of(name) == split


@pytest.mark.slow
@pytest.mark.shared_data
def test_emerging_entities(shared_data: Path) -> None:
    found = read_source(shared_data / "wnut17.zip")
    sizes = [part.height for part in (found.frame, found.val, found.test) if part is not None]
    assert sizes == [3394, 1009, 1287]
    words = [part["tokens"].list.len().sum() for part in (found.frame, found.val, found.test)]
    assert words == [62730, 15733, 23394]
    tags = pl.concat([found.frame, found.test])["tags"].explode()
    assert (tags == "B-person").sum() == 660 + 429
