"""Parts of words: merges by hand, the way back, the same twice, and nothing loaded unchecked."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glial.core.errors import InputError
from glial.data import DataSettings, Encoding
from glial.data.encoders import SubwordEncoder, TensorEncoder
from glial.data.encoders.subwords import SPECIALS, Subwords, read_subwords, train_subwords
from glial.data.vocabularies import (
    PlainVocabulary,
    Vocabulary,
    fit_vocabulary,
    load_vocabulary,
    padded,
    vocabulary_state,
)

KINDS = ("word", "character", "bpe", "wordpiece")
CORPUS = ["the cat sat on the mat", "the dog sat", "a cat and a dog"] * 4
SCRIPTS = [
    "naïve Straße",
    "日本語テキスト",
    "👨\u200d👩\u200d👧 ❤\ufe0f 🇩🇪",
    "مرحبا",
    "a\tb  c\n",
    "",
]
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
BPE = train_subwords(CORPUS, "bpe", max_tokens=300)


def test_merges_by_hand() -> None:
    """Sennrich et al.: the commonest pair first. "ab" stands 6 times, then "abc" 4 times."""
    found = train_subwords(["abc"] * 4 + ["abd"] * 2, "bpe", max_tokens=263)
    assert found.merges == ["a b", "ab c"]
    assert found.tokens[-2:] == ["ab", "abc"]
    assert [found.tokens[i] for i in found.encode(["abcabd"])[0]] == ["abc", "ab", "d"]


def test_the_longest_known_piece_first() -> None:
    found = Subwords("wordpiece", [*SPECIALS, "un", "##aff", "##able", "una", "##ff"], [], True)
    pieces = [
        [found.tokens[i] for i in row] for row in found.encode(["unaffable", "Unáffableness"])
    ]
    assert pieces == [["una", "##ff", "##able"], ["[UNK]"]]  # no piece begins with "ness"


@given(any_text)
def test_bytes_are_decoded_to_the_text_itself(text: str) -> None:
    assert BPE.decode(BPE.encode([text])) == [text]


@pytest.mark.parametrize("text", SCRIPTS)
@pytest.mark.parametrize("by", ["bpe", "character"])
def test_any_script_comes_back(text: str, by: Any) -> None:
    vocabulary = fit_vocabulary([*CORPUS, *SCRIPTS], by, max_tokens=400)
    assert vocabulary.decode(vocabulary.encode([text])) == [text]


def test_pieces_come_back_as_plain_words() -> None:
    found = train_subwords(CORPUS, "wordpiece", max_tokens=60)
    assert found.decode(found.encode(["The CAT sat!", "日"])) == ["the cat sat [UNK]", "[UNK]"]


@pytest.mark.parametrize("by", KINDS)
def test_what_every_vocabulary_keeps(by: Any) -> None:
    vocabulary = fit_vocabulary(CORPUS, by, max_tokens=280)
    assert isinstance(vocabulary, Vocabulary)
    assert vocabulary.size == len(vocabulary.tokens) <= 280
    assert vocabulary.specials == {"padding": 0, "unknown": 1, "start": 2, "end": 3, "mask": 4}
    assert vocabulary.encode([]) == []
    assert vocabulary.encode(["", "cat"])[0] == []
    (row,) = vocabulary.encode(["the cat sat"])
    assert vocabulary.decode([[2, *row, 3, 0, 0]]) == ["the cat sat"]
    again = load_vocabulary(json.loads(json.dumps(vocabulary_state(vocabulary))))
    assert again == vocabulary
    assert again.encode(CORPUS) == vocabulary.encode(CORPUS)


@pytest.mark.parametrize("by", KINDS)
def test_what_looks_special_in_a_text_is_not(by: Any) -> None:
    vocabulary = fit_vocabulary([*CORPUS, "[MASK] [SEP] [PAD]"], by, max_tokens=400, min_count=1)
    (row,) = vocabulary.encode(["[MASK] [SEP] [PAD] [CLS]"])
    assert not {0, 2, 3, 4} & set(row)


def test_sizes_are_kept_and_small_ones_refused() -> None:
    whole = ["".join(chr(0x4E00 + (i * 7 + j) % 3000) for j in range(9)) for i in range(2000)]
    for size in (9, 50, 700):
        assert train_subwords(whole, "wordpiece", max_tokens=size).size <= size
    assert train_subwords(CORPUS, "bpe", max_tokens=261).merges == []
    for by, size in (("bpe", 260), ("wordpiece", 8)):
        with pytest.raises(InputError, match="no room"):
            train_subwords(CORPUS, by, max_tokens=size)  # type: ignore[arg-type]


def test_rows_of_tokens_side_by_side() -> None:
    assert padded([]).shape == (0, 0)
    assert padded([[], [7, 8]]).tolist() == [[0, 0], [7, 8]]
    assert padded([[5, 6, 7]], longest=2).tolist() == [[5, 6]]


@pytest.mark.slow
@pytest.mark.parametrize("by", ["bpe", "wordpiece"])
def test_trained_twice_in_two_processes_it_is_the_same(by: Any) -> None:
    """The library's hashes begin anew in each process."""
    texts = [f"{word} {i * 7 % 101}é{i % 13}" for i in range(300) for word in ("to", "be", "or")]
    program = (
        "import sys, json, hashlib\n"
        "from glial.data.encoders.subwords import train_subwords\n"
        "texts, by = json.load(sys.stdin)\n"
        "found = train_subwords(texts, by, max_tokens=500)\n"
        "print(hashlib.sha256(repr((found.tokens, found.merges)).encode()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([texts, by]),
        capture_output=True,
        text=True,
        check=True,
    )
    found = train_subwords(texts, by, max_tokens=500)
    own = hashlib.sha256(repr((found.tokens, found.merges)).encode()).hexdigest()
    assert done.stdout.strip() == own


def column_of(*cells: str | None) -> pl.Series:
    return pl.Series("say", cells, dtype=pl.String)


def test_start_and_end_stand_around_every_text() -> None:
    encoder = SubwordEncoder.fit(column_of(*CORPUS), DataSettings(tokens="bpe", max_tokens=300))
    assert isinstance(encoder, TensorEncoder)
    held = encoder.tensor(column_of("the cat", "", None, "  "))
    width = len(encoder.subwords.encode(["the cat"])[0]) + 2
    assert held.shape == (4, width)
    assert held[0, 0] == 2
    assert held[0, -1] == 3
    assert held[1:].tolist() == [[2, 3, *([0] * (width - 2))]] * 3
    assert encoder.finish(held[1:]).tolist() == [[2, 3]] * 3
    assert encoder.tensor(column_of()).shape == (0, 1)


@pytest.mark.parametrize("tokens", ["bpe", "wordpiece"])
@pytest.mark.parametrize("cells", [[None, None], [""], ["a"], ["\x00\u200b"]])
def test_columns_with_nearly_nothing_in_them(tokens: Any, cells: list[str | None]) -> None:
    encoder = SubwordEncoder.fit(column_of(*cells), DataSettings(tokens=tokens))
    held = encoder.tensor(column_of(*cells, "new 日本 👍"))
    assert (held[:, 0] == 2).all()
    assert ((held == 3).sum(dim=1) == 1).all()


def test_of_a_long_text_both_ends_are_kept_and_it_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    subwords = Subwords("wordpiece", [*SPECIALS, *"abcdefg"], [], True)
    encoder = SubwordEncoder(subwords, max_length=6)
    with caplog.at_level(logging.INFO, logger="glial"):
        held = encoder.tensor(column_of("a b c d e f g", "a", "a b c d e"))
    assert held.tolist() == [[2, 5, 6, 10, 11, 3], [2, 5, 3, 0, 0, 0], [2, 5, 6, 8, 9, 3]]
    assert "2 of 3 texts have more than 6 tokens" in caplog.text
    assert "4 tokens in all" in caplog.text


def fitted(**settings: Any) -> Encoding:
    frame = pl.DataFrame({"first": ["a cat"] * 5, "second": ["a dog"] * 5})
    chosen = DataSettings(text="tokens", **settings)
    return Encoding.fit(frame, {"first": "text", "second": "text"}, chosen)


@pytest.mark.parametrize("tokens", ["word", "wordpiece"])
def test_columns_share_a_vocabulary_where_they_are_told_to(tokens: Any) -> None:
    first, second = fitted(tokens=tokens).encoders.values()
    assert first != second
    first, second = fitted(tokens=tokens, shared_vocabulary=True).encoders.values()
    assert first == second


@pytest.mark.parametrize("tokens", ["bpe", "wordpiece"])
def test_a_saved_encoding_is_the_same(tmp_path: Path, tokens: Any) -> None:
    encoding = fitted(tokens=tokens, max_tokens=300)
    encoding.save(tmp_path)
    again = Encoding.load(tmp_path)
    assert again.encoders == encoding.encoders
    assert read_subwords(tmp_path) == encoding.encoders["first"].subwords  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tokens", ["[PAD]", "[UNK]"]),
        ("tokens", [*SPECIALS, "a", "a"]),
        ("tokens", [*SPECIALS[1:], "[PAD]"]),
        ("tokens", "a tokenizer"),
        ("tokens", [*SPECIALS, 7]),
        ("merges", ["a zzz"]),
        ("merges", [["a", "b"]]),
        ("by", "unigram"),
        ("by", "os.system"),
        ("lowercase", "yes"),
    ],
)
def test_a_changed_encoding_is_refused(
    tmp_path: Path, field: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever changes the tokens can mend the checksum too: the values are looked at."""
    import glial.data.stored as stored

    monkeypatch.setattr(stored, "_checksum", lambda *_: "mended")
    fitted(tokens="wordpiece").save(tmp_path)
    file = tmp_path / "encoding.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["columns"][0]["subwords"][field] = value
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="damaged"):
        Encoding.load(tmp_path)


def test_a_changed_checksum_is_refused(tmp_path: Path) -> None:
    fitted(tokens="bpe", max_tokens=300).save(tmp_path)
    file = tmp_path / "encoding.json"
    content = file.read_text(encoding="utf-8").replace('"bpe"', '"wordpiece"', 1)
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="damaged"):
        Encoding.load(tmp_path)


@pytest.mark.parametrize(
    "state",
    [{}, {"by": "word"}, {"by": "word", "tokens": ["a"]}, {"by": "bpe", "tokens": SPECIALS}],
)
def test_a_damaged_vocabulary_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="damaged"):
        load_vocabulary(state)


def test_a_byte_pair_vocabulary_needs_every_byte() -> None:
    state = vocabulary_state(BPE)
    with pytest.raises(InputError, match="damaged"):
        load_vocabulary({**state, "tokens": [t for t in BPE.tokens if t != "a"], "merges": []})


def test_published_vocabularies_are_read(tmp_path: Path) -> None:
    file = tmp_path / "vocab.txt"
    file.write_text("[PAD]\n[unused0]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ncat\n##s\n", encoding="utf-8")
    found = read_subwords(tmp_path)
    assert found.lowercase
    assert found.specials == {"padding": 0, "unknown": 2, "start": 3, "end": 4, "mask": 5}
    assert found.encode(["Cats"]) == [[6, 7]]
    settings = DataSettings(vocabulary=str(file), max_length=4)
    encoder = SubwordEncoder.fit(column_of("cats"), settings)
    assert encoder.tensor(column_of("cats dog")).tolist() == [[3, 6, 2, 4]]
    file.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nCat\n", encoding="utf-8")
    assert not read_subwords(file).lowercase


def test_vocabularies_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no vocabulary"):
        read_subwords(tmp_path)
    (tmp_path / "vocab.txt").write_text("cat\n", encoding="utf-8")
    with pytest.raises(InputError, match="no vocabulary"):
        read_subwords(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="no vocabulary"):
        read_subwords(tmp_path)
    frame = pl.DataFrame({"n": [1.0, 2.0]})
    Encoding.fit(frame, {"n": "number"}, DataSettings()).save(tmp_path)
    with pytest.raises(InputError, match="no vocabulary"):
        read_subwords(tmp_path)


def test_words_are_those_of_the_word_tokens() -> None:
    vocabulary = PlainVocabulary.fit(["Don't panic!", "don't"], "word", max_tokens=6)
    assert vocabulary.tokens[5:] == ["don't"]
    assert vocabulary.encode(["DON’T"]) == [[5]]
