"""Columns of lists, and words as numbers."""

from __future__ import annotations

import polars as pl
import pytest
import torch

from glial.core.errors import InputError
from glial.data import DataSettings, Encoding
from glial.data.encoders import WordFeaturesEncoder
from glial.data.lists import (
    check_same_lengths,
    find_labelled,
    find_words,
    is_list,
    listed,
    split_words,
)

SENTENCES = [["Paris", "is", "big"], [], ["is", "it", "Paris", "2024"], ["is"]]


def test_lists_and_texts_are_the_same() -> None:
    column = pl.Series("tokens", SENTENCES)
    text = pl.Series("tokens", [" ".join(words) for words in SENTENCES])
    assert listed(text).to_list() == listed(column).to_list() == SENTENCES
    missing = pl.Series("tokens", [["a", None], None])
    assert listed(missing).to_list() == [["a", None], []]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([["a"]], True), ([[1]], True), ([[True]], True), ([[0.5]], False), (["a b"], False)],
)
def test_what_a_list_of_labels_is(values: list[object], expected: bool) -> None:
    assert is_list(pl.Series(values)) == expected


def test_plain_text_is_cut_into_words() -> None:
    text = pl.Series(["Dr. Who's at https://a.b/c?d=1 (AT&T) #fun 😂!!", "", None])
    assert split_words(text).to_list() == [
        ["Dr", ".", "Who's", "at", "https://a.b/c?d=1", "(", "AT&T", ")", "#fun", "😂", "!", "!"],
        [],
        [],
    ]


def test_words_are_found_by_their_number() -> None:
    frame = pl.DataFrame({"id": ["1", "2"], "pos": [["N"], ["N", "N"]], "text": ["a", "b c"]})
    frame = frame.with_columns(tags=pl.Series([["O"], ["O", "B-x"]]))
    assert find_words(frame, "tags", {}) == "text"
    assert find_words(frame, "tags", {"pos": "words"}) == "pos"
    with pytest.raises(InputError, match="row 2"):
        find_words(frame.drop("text", "pos"), "tags", {})
    with pytest.raises(InputError, match="no words for the labels"):
        find_words(frame.select("tags"), "tags", {})
    with pytest.raises(InputError, match=r"2 words and 1 labels \(rows like it: 1\)"):
        check_same_lengths(frame["text"], pl.Series("tags", [["O"], ["O"]]))


def test_words_are_labelled_before_steps() -> None:
    frame = pl.DataFrame({"n": [[1, 2], [3]], "x": ["[1.5, 2]", "[3]"], "id": ["a", "b"]})
    frame = frame.with_columns(tags=pl.Series([["s", None], ["t"]]))
    assert find_labelled(frame, "tags", {}) == {"n": "sequence", "x": "sequence"}
    assert find_labelled(frame, "tags", {"x": "identifier"}) == {"n": "sequence"}
    assert find_labelled(frame, "tags", {"n": "words"}) == {"n": "words"}
    worded = frame.with_columns(words=pl.Series(["a b", "c"]))
    assert find_labelled(worded, "tags", {}) == {"words": "words"}
    check_same_lengths(frame["x"], frame["tags"], steps=True)
    with pytest.raises(InputError, match="1 steps and 2 labels"):
        check_same_lengths(pl.Series("x", [[0.5], [1.0]]), frame["tags"], steps=True)
    with pytest.raises(InputError, match="a word has no label in row 1"):
        check_same_lengths(worded["words"], frame["tags"])


def test_features_and_letters_by_hand() -> None:
    column = pl.Series("tokens", SENTENCES)
    encoder = WordFeaturesEncoder.fit(column, DataSettings(min_token_count=1))
    assert encoder.words == ["is", "paris", "0000", "big", "it"]
    assert encoder.shapes == ["x", "Xx", "d"]
    held = encoder.tensor(column)
    assert held.shape == (4, 4, 6 + encoder.num_letters)
    assert held[:, :, 0].tolist() == [[3, 2, 5, 0], [0] * 4, [2, 6, 3, 4], [2, 0, 0, 0]]
    assert held[2, :, 1].tolist() == [2, 2, 3, 4]
    spelt = held[0, 0, 6:]
    assert [encoder.letters[code - 2] for code in spelt[:5].tolist()] == list("Paris")
    assert not spelt[5:].any()
    assert encoder.finish(held[[1, 3]]).shape == (2, 1, 26)
    assert encoder.finish(held[[1]]).shape == (1, 1, 26)


def test_what_training_never_showed_is_unknown() -> None:
    encoder = WordFeaturesEncoder.fit(pl.Series("t", [["ab", "ab"]]), DataSettings())
    held = encoder.tensor(pl.Series("t", [["", "Δ", "a" * 100, None]]))
    assert held[0, :, 0].tolist() == [1, 1, 1, 1]
    assert held[0, 1, 6:8].tolist() == [1, 0]
    assert (held[0, 2, 6:] == encoder.letters.index("a") + 2).all()


def test_of_a_long_word_both_ends_are_kept() -> None:
    encoder = WordFeaturesEncoder.fit(
        pl.Series("t", [["abcdefghijklmnopqrstuvwxyz"]]), DataSettings(min_token_count=1)
    )
    spelt = encoder.tensor(pl.Series("t", [["abcdefghijklmnopqrstuvwxyz"]]))[0, 0, 6:]
    kept = "".join(encoder.letters[code - 2] for code in spelt.tolist())
    assert kept == "abcdefghijqrstuvwxyz"


def test_they_survive_a_run_folder(tmp_path: object) -> None:
    frame = pl.DataFrame({"tokens": SENTENCES})
    encoding = Encoding.fit(frame, {"tokens": "words"}, DataSettings())
    encoding.save(tmp_path)  # type: ignore[arg-type]
    again = Encoding.load(tmp_path)  # type: ignore[arg-type]
    assert again.sizes("words") == encoding.sizes("words")
    (held,), (loaded,) = (e.arguments(e.transform(frame)) for e in (encoding, again))
    assert torch.equal(held, loaded)
