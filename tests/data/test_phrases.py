"""Tokens that become texts again: laws, what is one token, and what is left out."""

from __future__ import annotations

import logging

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glial.core.errors import InputError
from glial.data.encoders import PhraseEncoder, Phrases, SubwordPhraseEncoder, fit_phrases
from glial.data.encoders.phrases import pieces
from glial.data.settings import DataSettings

TEXTS = ["Don't go, “Al” %(name)s {0}", "日本 15:30", "null", "none at all", "ﬁne—ok 1,5 %d"]


def fitted(tokens, texts=TEXTS, **settings):
    asked = DataSettings(tokens=tokens, min_token_count=1, max_tokens=2000, **settings)
    return fit_phrases(pl.Series("say", texts), asked)


@pytest.mark.parametrize("tokens", ["word", "character", "bpe"])
def test_texts_come_back(tokens):
    encoder = fitted(tokens)
    assert isinstance(encoder, Phrases)
    held = encoder.tensor(pl.Series(TEXTS))
    assert encoder.decode(held.tolist()) == TEXTS
    for row, text in zip(held.tolist(), TEXTS, strict=True):
        if tokens != "bpe":  # of which some are parts of a character
            assert "".join(encoder.spell(row)).replace("▁", " ").strip() == text


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30), st.sampled_from(["word", "character", "bpe"]))
def test_any_text_comes_back_but_for_blanks(text, tokens):
    encoder = fitted(tokens, [text, "a"], max_length=400)
    plain = " ".join(text.replace("▁", " ").split())
    found = encoder.decode(encoder.tensor(pl.Series([text])).tolist())
    # Signs that regular expressions and Python take for blanks differ in a few.
    assert "".join(found[0].split()) == "".join(plain.split())


def test_what_a_program_fills_in_is_one_token():
    found = pieces(pl.Series(["%(first name)s of %d: {count}, %(n).2f %%"]), "word")[0].to_list()
    assert "▁%d" in found
    assert "▁{count}" in found
    assert "▁%(n).2f" in found
    one = pieces(pl.Series(["%(name)s!"]), "word")[0].to_list()
    assert one == ["▁%(name)s", "!"]


@pytest.mark.parametrize("tokens", ["word", "character", "bpe"])
def test_no_text_is_padding_alone_and_words_for_nothing_are_words(tokens):
    encoder = fitted(tokens)
    held = encoder.tensor(pl.Series(["", None, "  ", "null"]))
    assert (held[:3, 0] == 1).all()
    assert not held[:3, 1:].any()
    assert encoder.decode(held.tolist()) == ["", "", "", "null"]


@pytest.mark.parametrize("tokens", ["word", "bpe"])
def test_the_end_of_a_long_text_is_left_out_and_that_is_said(tokens, caplog):
    encoder = fitted(tokens, ["a b c d e f"] * 3, max_length=4)
    with caplog.at_level(logging.WARNING):
        held = encoder.tensor(pl.Series("say", ["a b c d e f", "a"]))
    assert "1 of 2 texts have more than 4 tokens: their end is left out" in caplog.text
    assert held.shape == (2, 4)
    assert "a b c d e f".startswith(encoder.decode(held.tolist())[0])


def test_characters_are_taken_where_words_are_rare():
    assert fit_phrases(pl.Series(["ab cd", "ce da", "be"]), DataSettings()).by == "character"
    words = fit_phrases(pl.Series(["ab cd", "ab cd"]), DataSettings())
    assert (words.by, words.tokens) == ("word", ["▁ab", "▁cd"])


def test_pieces_of_a_published_vocabulary_are_refused():
    with pytest.raises(InputError, match="cannot be put together"):
        fitted("wordpiece")


@pytest.mark.parametrize(
    "make",
    [
        lambda: PhraseEncoder("word", ["a", "a"], 3),
        lambda: PhraseEncoder("word", ["a"], 0),
        lambda: SubwordPhraseEncoder(fitted("bpe").subwords, 0),
    ],
)
def test_encoders_that_cannot_be_are_refused(make):
    with pytest.raises(ValueError, match="a text column"):
        make()
