"""Windows of words: by hand, by their laws, and counts against counting."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from glial.data.encoders.tokens import TokenEncoder
from glial.data.word_windows import ContextBatches, WordStream, count_pairs, lines_of

LINES = [[2, 3, 4, 5], [], [6, 2], [3], [4, 4, 7]]


def drawn(stream, **options):
    options = {"window": 2, "batch_size": 100, "seed": 0, **options}
    return ContextBatches(stream, **options)


def test_reading_leaves_out_what_is_not_known():
    encoder = TokenEncoder("word", ["to", "be", "or"], max_length=5)
    stream = WordStream.read(["To be,\nor not\n\nto be", "never", "be"], encoder)
    assert stream.words.tolist() == [2, 3, 4, 2, 3, 3]
    assert stream.lines.tolist() == [0, 0, 1, 2, 2, 4]
    assert stream.counts(6).tolist() == [0, 0, 2, 3, 1, 0]


def test_blank_lines_are_no_lines():
    assert lines_of(["\n \n\t", "a\r\n\r\nb"]).str.strip_chars().to_list() == ["a", "b"]
    assert lines_of([]).to_list() == []


def test_words_around_are_those_of_the_line_within_the_window():
    stream = WordStream.of(LINES)
    words, around, noise = drawn(stream, window=1).block(0, seed=1).inputs
    # The word of a line of its own has nothing around it.
    assert words.tolist() == [2, 3, 4, 5, 6, 2, 4, 4, 7]
    expected = [[0, 3], [2, 4], [3, 5], [4, 0], [0, 2], [6, 0], [0, 4], [4, 7], [4, 0]]
    assert around.tolist() == expected
    assert len(noise) == 0


def test_nearer_words_stand_in_more_windows():
    stream = WordStream.of([[2, 3, 4, 5, 6, 7, 8, 9] * 50])
    batches = drawn(stream, window=4, batch_size=400)
    found = torch.zeros(8)
    for epoch in range(20):
        for batch in batches.epoch(epoch):
            found += (batch.inputs[1] > 0).sum(dim=0)
    shares = found / found.max()
    assert torch.allclose(shares[:4], torch.tensor([0.25, 0.5, 0.75, 1.0]), atol=0.05)
    assert torch.allclose(shares, shares.flip(0), atol=0.05)


def test_epochs_differ_and_each_can_be_gone_on_with():
    stream = WordStream.of([[2, 3, 4, 5, 6] * 20])
    batches = drawn(stream, batch_size=10, noise=torch.ones(7), num_noise=3)
    assert batches.num_batches == 10
    whole = list(batches.epoch(3))
    for first, second in zip(whole[4:], batches.epoch(3, start=4), strict=True):
        assert all(map(torch.equal, first.inputs, second.inputs))
    other = list(batches.epoch(4))
    assert any(a.inputs[0].shape != b.inputs[0].shape or not torch.equal(a.inputs[1], b.inputs[1])
               for a, b in zip(whole, other, strict=True))  # fmt: skip
    assert sum(len(batch.target) for batch in whole) == batches.num_rows == 100


def test_frequent_words_are_thinned():
    stream = WordStream.of([[2, 3] * 2000])
    keep = torch.tensor([0, 0, 0.25, 1.0])
    words = drawn(stream, batch_size=4000, keep=keep).block(0, seed=0).inputs[0]
    assert words.bincount()[2] == pytest.approx(500, abs=80)
    assert words.bincount()[3] == 2000


def test_nothing_is_left_where_all_is_thinned_out():
    batch = drawn(WordStream.of(LINES), keep=torch.zeros(8)).block(0, seed=0)
    assert [len(part) for part in batch.inputs] == [0, 0, 0]


def test_noise_is_drawn_by_its_shares():
    noise = torch.tensor([0, 0, 0.2, 0, 0.8])
    batches = drawn(WordStream.of(LINES), noise=noise, num_noise=5000)
    found = batches.block(0, seed=0).inputs[2].bincount(minlength=5) / 5000
    assert torch.allclose(found, noise, atol=0.03)


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_counts_are_those_of_counting(at_once, monkeypatch):
    monkeypatch.setattr("glial.data.word_windows.COUNTED_WORDS", at_once)
    expected: Counter[tuple[int, int]] = Counter()
    for line in LINES:
        for place, word in enumerate(line):
            for other in range(len(line)):
                if 0 < abs(other - place) <= 2:
                    expected[word, line[other]] += 1 / abs(other - place)
    pairs, counts = count_pairs(WordStream.of(LINES), window=2)
    assert {tuple(p): c for p, c in zip(pairs.tolist(), counts.tolist(), strict=True)} == expected


def test_of_no_text_nothing_is_counted():
    pairs, counts = count_pairs(WordStream.of([]), window=2)
    assert pairs.shape == (0, 2)
    assert len(counts) == 0
