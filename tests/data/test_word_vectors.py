"""Word vectors: files of others read and written byte for byte, damage refused, arithmetic."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest
import torch

from glial.core.errors import InputError
from glial.data.word_vectors import WordVectors, vector_size

FILES = Path(__file__).parent / "word_vectors"
TOLD = json.loads((FILES / "told.json").read_text(encoding="utf-8"))
FORMATS = {
    "word2vec.txt": None,
    "word2vec.bin": None,
    "word2vec.txt.gz": None,
    "glove.txt": "glove",
}


@pytest.mark.parametrize("name", FORMATS)
def test_files_of_gensim_are_read_and_written_byte_for_byte(name, tmp_path):
    vectors = WordVectors.load(FILES / name)
    assert vectors.words == TOLD["words"]
    assert torch.equal(vectors.matrix, torch.tensor(TOLD["vectors"]))
    vectors.save(tmp_path / name, format=FORMATS[name])
    written, expected = (tmp_path / name).read_bytes(), (FILES / name).read_bytes()
    if name.endswith(".gz"):
        written, expected = gzip.decompress(written), gzip.decompress(expected)
    assert written == expected


@pytest.mark.parametrize("name", ["a.txt", "a.vec", "a.vec.gz", "a.bin", "a.bin.gz"])
@pytest.mark.parametrize("format", [None, "glove"])
def test_what_is_written_is_read_again(name, format, tmp_path):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(7, 5, generator=generator) * 10.0 ** torch.arange(-20, 15, 5)[:, None]
    vectors = WordVectors([f"wörd{i}" for i in range(7)], matrix)
    format = None if ".bin" in name else format
    vectors.save(tmp_path / name, format=format)
    found = WordVectors.load(tmp_path / name)
    assert found.words == vectors.words
    assert torch.equal(found.matrix, matrix)


def test_some_rows_alone(tmp_path):
    assert WordVectors.load(FILES / "word2vec.txt", limit=2).words == TOLD["words"][:2]
    assert WordVectors.load(FILES / "word2vec.bin", limit=2).words == TOLD["words"][:2]
    kept = WordVectors.load(FILES / "word2vec.txt", only={"queen", "unheard"})
    assert kept.words == ["queen"]
    assert torch.equal(kept.matrix[0], torch.tensor(TOLD["vectors"][2]))
    assert WordVectors.load(FILES / "word2vec.txt", only=set()).matrix.shape == (0, 3)
    (tmp_path / "cased.txt").write_text("1 2\nLondon 1 2\n")
    assert WordVectors.load(tmp_path / "cased.txt", only={"london"}).words == ["London"]
    assert vector_size(FILES / "glove.txt") == 3


def test_words_of_glove_may_have_spaces_and_lines_of_c_end_with_one(tmp_path):
    (tmp_path / "a.txt").write_text("2 2 \n. . . 1 2 \nb 3 4 \n")
    assert WordVectors.load(tmp_path / "a.txt").words == [". . .", "b"]
    (tmp_path / "c.bin").write_bytes(b"2 1\na \0\0\0\0\nb \0\0\x80\x3f\n")
    found = WordVectors.load(tmp_path / "c.bin")
    assert (found.words, found.matrix.tolist()) == (["a", "b"], [[0.0], [1.0]])


BAD_TEXTS = {
    "": "at least|vectors",
    "3 2\na 1 2\nb 3 4\n": "3 words, as its header says",
    "1 2\na 1 2\nb 3 4\n": "1 words, as its header says",
    "2 2\na 1 2\nb 3\n": "2 numbers in row 2",
    "2 2\na 1 2\nb 3 x\n": "2 numbers in row 2",
    "2 2\na 1 2\nb nan 4\n": "finite numbers in row 2",
    "2 2\na 1 2\nb 3 1e99\n": "finite numbers in row 2",
    "2 2\na 1 2\na 3 4\n": "each word once in row 2",
    "2 2\na 1 2\n\nb 3 4\n": "row 2.*an empty line",
    "2 2\n 1 2\nb 3 4\n": "a word before its numbers in row 1",
    "0 2\n": "words, and vectors",
    "2 0\na\nb\n": "words, and vectors",
    "2 99999999999\na 1 2\n": "vectors of 1 to",
    "999999999999999 2\na 1 2\n": "words, as its header says",
    "a\n": "vectors of 1 to",
    "a 1 2\nb 3\n": "2 numbers in row 2",
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("text", "expected"), BAD_TEXTS.items())
def test_damaged_texts_are_refused(text, expected, tmp_path):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match=expected):
        WordVectors.load(tmp_path / "a.txt")


BAD_BINARIES = {
    b"": "header of two whole numbers",
    b"a 1 2\n": "header of two whole numbers",
    b"2 1\na \0\0\0\0": "row 2",
    b"2 1\na \0\0\0\0b \0\0": "1 numbers in row 2",
    b"1 1\na \0\0\0\0b": "the end of the file",
    b"1 1\na \0\0\xc0\x7f": "finite",
    b"1 1\n\xff\xfe \0\0\0\0": "UTF-8",
    b"2 1\na \0\0\0\0a \0\0\0\0": "each word once",
    b"1 1\n" + b"x" * 5000 + b" \0\0\0\0": "a word and a space",
    b"9999999999 65536\na \0\0\0\0": "65536 numbers in row 1",
    b"1 9999999999\na \0\0\0\0": "vectors of 1 to",
}


@pytest.mark.parametrize(("content", "expected"), BAD_BINARIES.items())
def test_damaged_binaries_are_refused(content, expected, tmp_path):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(InputError, match=expected):
        WordVectors.load(tmp_path / "a.bin")


def test_every_cut_of_a_file_is_refused(tmp_path):
    for name in ("word2vec.bin", "word2vec.txt", "word2vec.txt.gz"):
        content = (FILES / name).read_bytes()
        # The last digits of a text may be cut off and leave a number.
        for end in range(0, len(content) - 12, 7):
            (tmp_path / name).write_bytes(content[:end])
            with pytest.raises(InputError):
                WordVectors.load(tmp_path / name)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        WordVectors.load(tmp_path / "missing.txt")
    with pytest.raises(InputError, match="is a folder"):
        WordVectors.load(tmp_path)
    (tmp_path / "a.bin").write_bytes((793712314).to_bytes(4, "little") + bytes(100))
    with pytest.raises(InputError, match="a model of fastText"):
        WordVectors.load(tmp_path / "a.bin")
    (tmp_path / "a.txt.gz").write_bytes(b"2 2\na 1 2\n")
    with pytest.raises(InputError, match="gzip"):
        WordVectors.load(tmp_path / "a.txt.gz")
    (tmp_path / "long.txt").write_text("a" + " 1" * (1 << 20))
    with pytest.raises(InputError, match="lines of text"):
        WordVectors.load(tmp_path / "long.txt")


def test_a_header_takes_no_memory(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"999999999 65536\na " + bytes(4 * 65536))
    tracemalloc.start()
    with pytest.raises(InputError):
        WordVectors.load(tmp_path / "a.bin")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4_000_000


@pytest.mark.parametrize("word", ["", "a b", "a\n", "a\u00a0b"])
def test_words_that_others_could_not_read_are_not_written(word, tmp_path):
    with pytest.raises(InputError, match="cannot stand in a file"):
        WordVectors([word], torch.ones(1, 1)).save(tmp_path / "a.txt")
    assert not (tmp_path / "a.txt").exists()


def test_wrong_parts():
    with pytest.raises(ValueError, match="2 words"):
        WordVectors(["a", "b"], torch.ones(1, 2))
    with pytest.raises(ValueError, match="twice"):
        WordVectors(["a", "a"], torch.ones(2, 2))


VECTORS = WordVectors(
    ["man", "king", "woman", "queen", "stone"],
    torch.tensor([[1.0, 0, 0, 0], [1, 0, 2, 0], [0, 1, 0, 0], [0, 1, 2, 0], [0, 0, 0, 0]]),
)


def test_similarities_by_hand():
    assert VECTORS.similarity("man", "king") == pytest.approx(1 / 5**0.5)
    assert VECTORS.similarity("king", "queen") == pytest.approx(4 / 5)
    assert VECTORS.similarity("king", "stone") == 0
    assert torch.equal(VECTORS.vector("king"), VECTORS.matrix[1])


def test_nearest_leaves_out_the_word_itself():
    found = VECTORS.nearest("king", 2)
    assert [word for word, _ in found] == ["queen", "man"]
    assert found[0][1] == pytest.approx(0.8)
    assert VECTORS.nearest("king", 1, without=["queen", "unheard"])[0][0] == "man"
    assert VECTORS.nearest(VECTORS.vector("king"), 1)[0][0] == "king"
    assert len(VECTORS.nearest("king", 100)) == 4


@pytest.mark.parametrize("method", ["add", "multiply"])
def test_analogies_by_hand(method):
    (word, score), *_ = VECTORS.analogy("man", "king", "woman", method=method)
    near, far, less = 4 / 5, 1 / 5**0.5, 0.0
    if method == "add":
        expected = near - less + far
    else:
        expected = (near + 1) / 2 * (far + 1) / 2 / ((less + 1) / 2 + 1e-3)
    assert (word, score) == ("queen", pytest.approx(expected))
    assert VECTORS.solved([("man", "king", "woman", "queen")], method=method) == 1
    assert VECTORS.solved([("man", "king", "woman", "king")], method=method) == 0


def test_unknown_words_are_told():
    with pytest.raises(InputError, match="did you mean 'queen'"):
        VECTORS.nearest("quen")
    with pytest.raises(InputError, match="no vector"):
        VECTORS.analogy("man", "king", "zzzz")
    assert "quen" not in VECTORS
    assert VECTORS.solved([("man", "king", "woman", "quen")]) == 0
    assert VECTORS.solved([]) != VECTORS.solved([])
