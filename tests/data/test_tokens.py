"""Texts as tokens: segmentation by hand over scripts, vocabularies, lengths, and the way back."""

from __future__ import annotations

import logging
import re
import time
import unicodedata

import polars as pl
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from glial.data import DataSettings, Encoding
from glial.data.cells import MISSING
from glial.data.encoders import TensorEncoder, TokenEncoder, fit_column
from glial.data.encoders.tokens import tokenize

TRAIN = pl.Series("say", ["a b a", "b c", "a d"])
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def words(text: str) -> list[str]:
    return tokenize(pl.Series([text]), "word").to_list()[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop!!", ["don't", "stop", "!", "!"]),
        ("Don’t", ["don't"]),
        ("£1,000.50 at 12:30", ["£", "1,000.50", "at", "12:30"]),
        ("150p/day x2 a_b", ["150p", "/", "day", "x2", "a_b"]),
        ("co-op e.g.", ["co", "-", "op", "e", ".", "g", "."]),
        ("naïve Straße ÉTÉ", ["naïve", "straße", "été"]),
        ("cafe\u0301", ["café"]),
        ("ﬁne ＦＵＬＬ１２", ["fine", "full12"]),
        ("日本語テキスト", list("日本語テキスト")),
        ("中文 and English", ["中", "文", "and", "english"]),
        ("한국어 텍스트", ["한국어", "텍스트"]),
        ("שלום, עולם", ["שלום", ",", "עולם"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("ไทย", ["ไ", "ท", "ย"]),
        ("ok👍🏽👍", ["ok", "👍🏽", "👍"]),
        ("👨\u200d👩\u200d👧 ❤\ufe0f", ["👨\u200d👩\u200d👧", "❤\ufe0f"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("a\u200bb\x00c", ["a", "b", "c"]),
        ("  \t\n ", [""]),
        ("", [""]),
        ("\x00\u200b", [""]),
    ],
)
def test_words_of_any_script(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_characters_keep_spaces_between_words_as_one() -> None:
    found = tokenize(pl.Series(["Ab  \n c", None, ""]), "character").to_list()
    assert found == [["a", "b", " ", "c"], [""], [""]]


@given(any_text)
def test_no_letter_or_digit_is_lost(text: str) -> None:
    plain = unicodedata.normalize("NFKC", text)
    kept = "".join(words(text))
    assume(text.strip() not in MISSING)  # a missing text is the token ""
    expected = {c for c in plain.lower() if unicodedata.category(c)[0] in "LN"}
    known = {c for c in expected if unicodedata.category(c) != "Cn"}
    assert known <= set(kept) | set(kept.lower())


@pytest.mark.slow
@given(
    st.lists(any_text | st.none(), min_size=1, max_size=8), st.sampled_from(["word", "character"])
)
def test_any_text_has_a_token_in_front_and_padding_behind(cells, by) -> None:
    column = pl.Series("say", cells, dtype=pl.String)
    encoder = TokenEncoder.fit(column, DataSettings(tokens=by, max_length=6))
    held = encoder.tensor(column)
    is_token = held != 0
    assert held.shape[1] <= 6
    assert is_token[:, 0].all()
    assert (is_token[:, 1:] <= is_token[:, :-1]).all()
    assert int(held.max()) < encoder.size[0]


def test_numbers_of_tokens_by_hand() -> None:
    encoder = TokenEncoder.fit(TRAIN, DataSettings(tokens="word", max_length=4))
    assert encoder.tokens == ["a", "b"]  # c and d stand once: they teach what an unknown word is
    assert encoder.size == [4]
    found = encoder.tensor(pl.Series(["b a c never", "", None]))
    assert found.tolist() == [[3, 2, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0]]


def test_a_vocabulary_has_the_commonest_and_no_more_than_asked() -> None:
    settings = DataSettings(tokens="word", min_token_count=1, max_tokens=3)
    assert TokenEncoder.fit(TRAIN, settings).tokens == ["a", "b", "c"]


def test_missing_text_is_a_token_of_its_own_where_training_has_it_often() -> None:
    column = pl.Series([None, "", "a a", "?"])
    encoder = TokenEncoder.fit(column, DataSettings(tokens="word"))
    assert encoder.tokens == ["", "a"]
    assert encoder.tensor(column)[:, 0].tolist() == [2, 2, 3, 2]


def test_of_a_long_text_both_ends_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    encoder = TokenEncoder("word", list("abcdefg"), max_length=5)
    with caplog.at_level(logging.INFO, logger="glial"):
        found = encoder.tensor(pl.Series("say", ["a b c d e f g", "a"]))
    assert found.tolist() == [[2, 3, 4, 7, 8], [2, 0, 0, 0, 0]]
    assert "1 of 2 texts have more than 5 tokens" in caplog.text


def test_length_is_that_of_nearly_all_training_texts() -> None:
    column = pl.Series(["a " * 5] * 99 + ["a " * 10_000])
    assert TokenEncoder.fit(column, DataSettings()).max_length == 5
    long = pl.Series(["a " * 10_000] * 3)
    assert TokenEncoder.fit(long, DataSettings()).max_length == 400
    assert TokenEncoder.fit(long, DataSettings(tokens="character")).max_length == 1000
    assert TokenEncoder.fit(long, DataSettings(max_length=7)).max_length == 7


def test_texts_whose_words_are_all_different_are_read_by_character() -> None:
    codes = pl.Series([f"GATTACA{i:05d}ACGT" for i in range(50)])
    assert TokenEncoder.fit(codes, DataSettings()).by == "character"
    assert TokenEncoder.fit(codes, DataSettings(tokens="word")).by == "word"
    prose = pl.Series(["the cat sat on the mat", "the dog sat on the log"] * 5)
    assert TokenEncoder.fit(prose, DataSettings()).by == "word"


def test_finishing_trims_to_the_longest_text_of_the_batch() -> None:
    encoder = TokenEncoder("word", ["a"], max_length=4)
    held = encoder.tensor(pl.Series(["a a a a", "a a", "a"]))
    finished = encoder.finish(held[1:])
    assert held.dtype == torch.int16
    assert finished.dtype == torch.int64
    assert finished.tolist() == [[2, 2], [2, 0]]
    assert encoder.finish(held[:0]).shape == (0, 1)


def test_large_vocabularies_are_held_in_wider_numbers() -> None:
    encoder = TokenEncoder("word", [f"w{i}" for i in range(40_000)], max_length=2)
    held = encoder.tensor(pl.Series(["w39999"]))
    assert held.dtype == torch.int32
    assert held.tolist() == [[40_001]]


def test_a_saved_encoding_is_the_same(tmp_path) -> None:
    frame = pl.DataFrame(
        {"say": ["日本 a", "'quoted' \\ \"b\"", "👍🏽 a 👍🏽"], "x": [1.0, 2.0, 4.0]}
    )
    settings = DataSettings(text="tokens", tokens="word", min_token_count=1)
    encoding = Encoding.fit(frame, {"say": "text", "x": "number"}, settings)
    encoding.save(tmp_path)
    loaded = Encoding.load(tmp_path)
    assert loaded.encoders["say"] == encoding.encoders["say"]
    assert loaded.sizes("text") == encoding.sizes("text") == [[2 + 9]]
    first, second = encoding.transform(frame), loaded.transform(frame)
    assert torch.equal(first.tensors[0], second.tensors[0])
    assert len(loaded.arguments(second)) == 2


def test_a_vocabulary_knows_nothing_of_rows_beside_the_training_rows() -> None:
    encoding = Encoding.fit(
        pl.DataFrame({"say": ["a a b", "b c"]}), {"say": "text"}, DataSettings(text="tokens")
    )
    new = encoding.transform(pl.DataFrame({"say": ["secret words"]}))
    assert new.tensors[0].tolist() == [[1, 1]]


def test_a_vocabulary_with_a_word_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("twice")):
        TokenEncoder("word", ["a", "a"], 4)


def test_a_token_encoder_is_what_encodings_expect() -> None:
    encoder, own = fit_column(TRAIN, "text", DataSettings(text="tokens"))
    assert isinstance(encoder, TensorEncoder)
    assert own is None


@pytest.mark.slow
def test_many_texts_take_seconds() -> None:
    column = pl.Series(
        [f"the {i % 997} quick foxes, number {i}, jumped! " * 3 for i in range(100_000)]
    )
    start = time.process_time()
    TokenEncoder.fit(column, DataSettings()).tensor(column)
    assert time.process_time() - start < 30


def test_a_column_may_be_called_like_what_is_counted() -> None:
    assert TokenEncoder.fit(TRAIN.rename("count"), DataSettings(tokens="word")).tokens == ["a", "b"]
