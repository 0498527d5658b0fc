"""Chains of tags: enumeration of every sequence is the oracle, and the laws of rows and padding."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from glial.functional import (
    chain_loss,
    chain_marginals,
    forbid,
    log_partition,
    pair_scores,
    sequence_score,
    viterbi,
)

TAGS, LONGEST = 3, 4
sizes = st.tuples(st.integers(0, 500), st.integers(1, LONGEST))


def drawn(seed: int, rows: int = 1, length: int = LONGEST) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(rows, length, TAGS, TAGS, generator=generator, dtype=torch.float64)


def listed(pairs: Tensor, length: int) -> dict[tuple[int, ...], float]:
    """Every sequence of one row and its score, term by term."""
    found = {}
    for tags in itertools.product(range(TAGS), repeat=length):
        before = (0, *tags)
        found[tags] = sum(float(pairs[i, before[i], tag]) for i, tag in enumerate(tags))
    return found


@settings(max_examples=30)
@given(sizes)
def test_sums_and_probabilities_are_those_of_all_sequences(size: tuple[int, int]) -> None:
    seed, length = size
    pairs, lengths = drawn(seed), torch.tensor([length])
    every = listed(pairs[0], length)
    scores = torch.tensor(list(every.values()), dtype=torch.float64)
    torch.testing.assert_close(log_partition(pairs, lengths)[0], scores.logsumexp(0))
    shares = scores.softmax(0)
    marginals = torch.zeros(LONGEST, TAGS, dtype=torch.float64)
    for share, tags in zip(shares, every, strict=True):
        for place, tag in enumerate(tags):
            marginals[place, tag] += share
    torch.testing.assert_close(chain_marginals(pairs, lengths)[0], marginals)
    some = list(every)[seed % len(every)]
    padded = torch.tensor([[*some, *[-1] * (LONGEST - length)]])
    torch.testing.assert_close(sequence_score(pairs, padded, lengths)[0].item(), every[some])
    loss = chain_loss(pairs, padded, lengths)[0]
    torch.testing.assert_close(loss, -shares[list(every).index(some)].log())


@settings(max_examples=30)
@given(sizes, st.integers(1, 5))
def test_the_best_sequences_are_those_of_exhaustive_search(
    size: tuple[int, int], best: int
) -> None:
    seed, length = size
    pairs = drawn(seed)
    every = sorted(listed(pairs[0], length).items(), key=lambda item: -item[1])[:best]
    found = viterbi(pairs, torch.tensor([length]), best=best)
    for number, (tags, score) in enumerate(every):
        assert found.tags[0, number].tolist() == [*tags, *[-1] * (LONGEST - length)]
        assert found.scores[0, number].item() == pytest.approx(score)
    # With one tag sequence after another there are no more than these.
    for number in range(len(every), best):
        assert found.scores[0, number] == -torch.inf
        assert (found.tags[0, number] == -1).all()


@settings(max_examples=30)
@given(sizes)
def test_forbidden_pairs_never_stand_in_the_best(size: tuple[int, int]) -> None:
    seed, length = size
    generator = torch.Generator().manual_seed(seed)
    may = torch.rand(TAGS, TAGS, generator=generator) < 0.6
    begin, finish = torch.tensor([True, True, False]), torch.tensor([True, False, True])
    may[:, 0] = may[0] = True  # something is always left
    pairs, lengths = drawn(seed), torch.tensor([length])
    shut = forbid(pairs, lengths, may, begin, finish)
    left = {
        tags: score
        for tags, score in listed(pairs[0], length).items()
        if begin[tags[0]]
        and finish[tags[-1]]
        and all(may[a, b] for a, b in itertools.pairwise(tags))
    }
    best = max(left, key=lambda tags: left[tags])
    found = viterbi(shut, lengths)
    assert tuple(found.tags[0, 0, :length].tolist()) == best
    assert found.scores[0, 0].item() == pytest.approx(left[best])


def test_the_gradient_of_the_sum_is_the_probability_of_each_tag() -> None:
    pairs, lengths = drawn(1, rows=3).requires_grad_(), torch.tensor([4, 1, 2])
    (gradient,) = torch.autograd.grad(log_partition(pairs, lengths).sum(), pairs)
    torch.testing.assert_close(gradient.sum(dim=2), chain_marginals(pairs.detach(), lengths))


def test_gradients_are_those_of_small_steps() -> None:
    emissions = torch.randn(2, 4, TAGS, dtype=torch.float64, requires_grad=True)
    weights = [torch.randn(s, dtype=torch.float64) for s in ((TAGS, TAGS), TAGS, TAGS)]
    lengths, tags = torch.tensor([4, 2]), torch.tensor([[0, 1, 2, 1], [2, 2, -1, -1]])

    def loss(*parts: Tensor) -> Tensor:
        return chain_loss(pair_scores(*parts, lengths), tags, lengths)

    assert torch.autograd.gradcheck(loss, (emissions, *(w.requires_grad_() for w in weights)))


def everything(pairs: Tensor, lengths: Tensor) -> list[Tensor]:
    """All that is said of some rows, cut to their first positions."""
    best = viterbi(pairs, lengths, best=3)
    return [
        log_partition(pairs, lengths),
        chain_loss(pairs, best.tags[:, 0], lengths),
        chain_marginals(pairs, lengths)[:, :LONGEST],
        best.tags[:, :, :LONGEST],
        best.scores,
    ]


def test_padding_and_the_order_of_rows_change_nothing() -> None:
    lengths, order = torch.tensor([2, 4, 0, 3]), torch.tensor([2, 0, 3, 1])
    pairs = drawn(7, rows=4)
    longer = torch.cat([pairs, pairs], dim=1)
    for row, length in enumerate(lengths):
        longer[row, length:] = 1e6
    plain = everything(pairs, lengths)
    for found, expected in zip(everything(longer, lengths), plain, strict=True):
        torch.testing.assert_close(found, expected)
    for found, expected in zip(everything(pairs[order], lengths[order]), plain, strict=True):
        torch.testing.assert_close(found, expected[order])


def test_rows_without_positions() -> None:
    lengths = torch.tensor([0])
    assert log_partition(drawn(0), lengths).tolist() == [0.0]
    found = viterbi(drawn(0), lengths, best=2)
    assert found.scores.tolist() == [[0.0, -torch.inf]]
    assert (found.tags == -1).all()
    assert not chain_marginals(drawn(0), lengths).any()


def test_a_chain_without_transitions_is_a_softmax_at_each_position() -> None:
    emissions, lengths = torch.randn(2, 5, TAGS), torch.tensor([5, 3])
    zeros = torch.zeros(TAGS)
    pairs = pair_scores(emissions, torch.zeros(TAGS, TAGS), zeros, zeros, lengths)
    marginals = chain_marginals(pairs, lengths)
    torch.testing.assert_close(marginals[0], emissions[0].softmax(dim=1))
    torch.testing.assert_close(marginals[1, :3], emissions[1, :3].softmax(dim=1))
    best = viterbi(pairs, lengths).tags[:, 0]
    assert best[1].tolist() == [*emissions[1, :3].argmax(dim=1).tolist(), -1, -1]


def test_starts_and_ends_count_once() -> None:
    start, end = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 10.0])
    pairs = pair_scores(torch.zeros(2, 3, 2), torch.zeros(2, 2), start, end, torch.tensor([3, 1]))
    tags = torch.tensor([[0, 0, 1], [0, 0, 0]])
    assert sequence_score(pairs, tags, torch.tensor([3, 1])).tolist() == [11.0, 1.0]
    assert not pairs[1, 1:].any()
