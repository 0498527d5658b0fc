"""CTC: the sum over every path is the oracle, and exhaustive search that of the beam."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from glial.functional import (
    ctc_beam_search,
    ctc_greedy,
    ctc_loss,
    frames_needed,
    stepwise_scorer,
)

LABELS = 3


def drawn(seed: int, frames: int, rows: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(rows, frames, LABELS, generator=generator, dtype=torch.float64)


def read(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    joined = [label for label, _ in itertools.groupby(path)]
    return tuple(label for label in joined if label != blank)


def listed(scores: Tensor, blank: int = 0) -> dict[tuple[int, ...], float]:
    """The probability of every labelling of one row: the sum over its paths."""
    shares = scores.softmax(dim=1).tolist()
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(LABELS), repeat=len(shares)):
        found[read(path, blank)] += math.prod(
            frame[label] for frame, label in zip(shares, path, strict=True)
        )
    return found


@settings(max_examples=30)
@given(st.integers(0, 500), st.integers(1, 5), st.integers(0, LABELS - 1))
def test_the_loss_is_the_sum_over_all_paths(seed: int, frames: int, blank: int) -> None:
    scores = drawn(seed, frames)
    every = listed(scores[0], blank)
    labelling = sorted(every)[seed % len(every)]
    target = torch.tensor([[*labelling, -1, -1]])
    assert int(frames_needed(target)) <= frames
    loss = ctc_loss(scores, target, torch.tensor([frames]), blank=blank)
    assert loss.item() == pytest.approx(-math.log(every[labelling]))


def test_what_needs_more_frames_is_never_read() -> None:
    every = listed(drawn(0, 4)[0])
    for labelling in itertools.product((1, 2), repeat=3):
        needed = int(frames_needed(torch.tensor([labelling])))
        assert (labelling in every) == (needed <= 4)


def test_its_gradient_is_that_of_small_steps() -> None:
    scores = drawn(3, 5, rows=2).requires_grad_()
    target, lengths = torch.tensor([[1, 1, -1], [2, -1, -1]]), torch.tensor([5, 3])
    assert torch.autograd.gradcheck(lambda s: ctc_loss(s, target, lengths), scores)


def test_frames_behind_a_row_and_other_rows_do_not_matter() -> None:
    scores, target = drawn(4, 6, rows=2), torch.tensor([[1, 2], [2, -1]])
    lengths = torch.tensor([3, 6])
    losses = ctc_loss(scores, target, lengths, reduction="none")
    spoilt = scores.clone()
    spoilt[0, 3:] = 50.0
    torch.testing.assert_close(ctc_loss(spoilt, target, lengths, reduction="none"), losses)
    alone = ctc_loss(scores[:1, :3], target[:1], lengths[:1], reduction="none")
    torch.testing.assert_close(alone, losses[:1])
    for decode in (ctc_greedy, ctc_beam_search):
        assert torch.equal(decode(spoilt, lengths).tokens, decode(scores, lengths).tokens)


def test_targets_that_are_too_long_are_refused_or_left_out() -> None:
    scores = drawn(5, 3, rows=2).requires_grad_()
    target, lengths = torch.tensor([[1, 1], [1, 2]]), torch.tensor([2, 3])
    with pytest.raises(ValueError, match="row 0 has 2 frames, and its labels need 3"):
        ctc_loss(scores, target, lengths)
    loss = ctc_loss(scores, target, lengths, infeasible="skip")
    torch.testing.assert_close(loss, ctc_loss(scores[1:], target[1:], lengths[1:]))
    loss.backward()
    assert not scores.grad[0].any()
    assert scores.grad[1].any()
    with pytest.raises(ValueError, match="is the blank"):
        ctc_loss(scores, torch.tensor([[0, 1], [1, 2]]), lengths)


def test_nothing_to_read_is_all_blanks() -> None:
    scores = drawn(6, 3)
    loss = ctc_loss(scores, torch.tensor([[-1]]), torch.tensor([3]))
    torch.testing.assert_close(loss, -scores.log_softmax(dim=2)[0, :, 0].sum())


def test_weights_are_those_of_rows() -> None:
    scores, target = drawn(7, 4, rows=2), torch.tensor([[1], [2]])
    lengths, weight = torch.tensor([4, 4]), torch.tensor([3.0, 1.0], dtype=torch.float64)
    first, second = ctc_loss(scores, target, lengths, reduction="none")
    found = ctc_loss(scores, target, lengths, weight=weight)
    torch.testing.assert_close(found, (3 * first + second) / 4)


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ([1, 1, 2], [1, 2]),
        ([1, 0, 1], [1, 1]),
        ([0, 0, 0], []),
        ([0, 1, 1], [1]),
        ([2, 1, 2], [2, 1, 2]),
    ],
)
def test_greedy_joins_and_then_leaves_out(path: list[int], labels: list[int]) -> None:
    scores = 5.0 * torch.nn.functional.one_hot(torch.tensor([path]), LABELS)
    found = ctc_greedy(scores, torch.tensor([3]))
    assert found.tokens[0, 0].tolist() == labels
    assert found.lengths.item() == len(labels)
    certain = scores.log_softmax(dim=2).amax(dim=2).sum()
    torch.testing.assert_close(found.log_likelihoods[0, 0], certain)


@settings(max_examples=30)
@given(st.integers(0, 500), st.integers(1, 5), st.integers(0, LABELS - 1))
def test_a_wide_beam_is_exhaustive_search(seed: int, frames: int, blank: int) -> None:
    scores = drawn(seed, frames)
    every = sorted(listed(scores[0], blank).items(), key=lambda item: -item[1])[:4]
    lengths = torch.tensor([frames])
    found = ctc_beam_search(scores, lengths, width=200, best=4, blank=blank)
    for number, (labelling, share) in enumerate(every):
        count = int(found.lengths[0, number])
        assert tuple(found.tokens[0, number, :count].tolist()) == labelling
        assert found.log_likelihoods[0, number].item() == pytest.approx(math.log(share), abs=1e-5)
    for number in range(len(every), 4):
        assert found.scores[0, number] == -torch.inf


class Pairs:
    """A language model of the label before."""

    def __init__(self) -> None:
        self.scores = torch.randn(LABELS, LABELS, generator=torch.Generator().manual_seed(9))

    def step(self, tokens: Tensor, state: int) -> tuple[Tensor, int]:
        return self.scores[tokens], state + 1

    def select(self, state: int, rows: Tensor) -> int:
        return state


@settings(max_examples=15)
@given(st.integers(0, 500), st.floats(0, 3), st.floats(-2, 2))
def test_a_language_model_and_a_bonus_weigh_whole_labellings(
    seed: int, weight: float, bonus: float
) -> None:
    scores, model = drawn(seed, 4), Pairs()
    logs = model.scores.log_softmax(dim=1)

    def total(labelling: tuple[int, ...], share: float) -> float:
        told = sum(float(logs[a, b]) for a, b in itertools.pairwise((0, *labelling)))
        return math.log(share) + weight * told + bonus * len(labelling)

    every = [(total(*item), item[0]) for item in listed(scores[0]).items()]
    best, labelling = max(every)
    found = ctc_beam_search(
        scores,
        torch.tensor([4]),
        width=200,
        language_model=stepwise_scorer(model, 0, start=0),
        language_weight=weight,
        length_bonus=bonus,
    )
    assert found.tokens[0, 0, : int(found.lengths[0, 0])].tolist() == list(labelling)
    assert found.scores[0, 0].item() == pytest.approx(best, abs=1e-5)


def test_narrow_beams_and_rows_without_frames() -> None:
    scores = drawn(11, 5, rows=3)
    lengths = torch.tensor([5, 0, 2])
    narrow = ctc_beam_search(scores, lengths, width=1, best=1)
    assert narrow.lengths[1].item() == 0
    assert narrow.log_likelihoods[1].item() == 0.0
    assert ctc_greedy(scores, lengths).lengths[1].item() == 0
    wide = ctc_beam_search(scores, lengths, width=64)
    assert (wide.log_likelihoods >= narrow.log_likelihoods - 1e-6).all()
    assert ctc_greedy(scores[:0], lengths[:0]).tokens.shape == (0, 1, 0)
