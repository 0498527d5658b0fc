"""BLEU and chrF against sacrebleu, and at their ends."""

from __future__ import annotations

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from glial.tasks.overlap import bleu, chrf, words_13a

TEXT = st.text(alphabet="ab c.,-1&%'{}()é\u00a0\n~`<>;", max_size=30)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4)
LINES = [
    ("Delete the file %(name)s?", "Delete this file: %(name)s?"),
    ("It costs 1,000.50 &amp; more", "It costs 1,000.5 & more"),
    ("", "something"),
    ("a b c d e", "a b c d e"),
]


@settings(max_examples=150, deadline=None)
@given(PAIRS)
def test_both_are_sacrebleus(pairs):
    texts, references = zip(*pairs, strict=True)
    peer = sacrebleu.corpus_bleu(texts, [references]), sacrebleu.corpus_chrf(texts, [references])
    assert bleu(texts, references) == pytest.approx(peer[0].score, abs=1e-9)
    assert chrf(texts, references) == pytest.approx(peer[1].score, abs=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_both_are_sacrebleus_on_sentences(count):
    texts, references = zip(*LINES[-count:], strict=True)
    assert bleu(texts, references) == pytest.approx(
        sacrebleu.corpus_bleu(texts, [references]).score, abs=1e-9
    )
    assert chrf(texts, references) == pytest.approx(
        sacrebleu.corpus_chrf(texts, [references]).score, abs=1e-9
    )


def test_what_is_right_has_all_and_what_is_nothing_has_none():
    lines = ["one two three four", "five six seven eight"]
    assert bleu(lines, lines) == pytest.approx(100)
    assert chrf(lines, lines) == pytest.approx(100)
    assert bleu(["", ""], lines) == chrf(["", ""], lines) == 0
    assert bleu([], []) == chrf([], []) == 0


def test_the_order_of_words_counts_for_bleu():
    assert bleu(["a b c d e f"], ["a b c d e f"]) > bleu(["f e d c b a"], ["a b c d e f"])


@given(TEXT)
def test_words_are_sacrebleus(text):
    peer = sacrebleu.metrics.BLEU()._preprocess_segment(text)
    assert words_13a(text) == peer.split()
