"""Decoding: exhaustive search over small models is the oracle, and the laws of beams and draws."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from glial.functional import Decoded, beam_search, filtered, greedy, penalized, sample

END, TOKENS = 3, 4


class Table:
    """The next token hangs on the last two, by scores that are drawn; its state is the last."""

    def __init__(self, seed: int, tokens: int = TOKENS) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.scores = 2 * torch.randn(tokens, tokens, tokens, generator=generator)

    def start(self, rows: int) -> Tensor:
        return torch.zeros(rows, dtype=torch.long)

    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.scores[state, tokens], tokens

    def select(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows]

    def log_likelihood(self, start: int, sequence: tuple[int, ...]) -> float:
        told, before, last = 0.0, 0, start
        for token in sequence:
            told += float(self.scores[before, last].log_softmax(0)[token])
            before, last = last, token
        return told


def sequences(longest: int) -> list[tuple[int, ...]]:
    """All that end, and those that are cut."""
    found = []
    for length in range(1, longest + 1):
        for middle in itertools.product(range(TOKENS), repeat=length):
            ends = middle[-1] == END
            if END not in middle[:-1] and (ends or length == longest):
                found.append(middle)
    return found


def listed(found: Decoded, row: int, number: int = 0) -> tuple[int, ...]:
    return tuple(found.tokens[row, number, : int(found.lengths[row, number])].tolist())


@pytest.mark.slow
@given(st.integers(0, 200), st.sampled_from([0.0, 0.6, 1.0, 2.0]))
def test_a_wide_beam_finds_what_exhaustive_search_finds(seed: int, penalty: float) -> None:
    model, starts, longest = Table(seed), torch.tensor([0, 2]), 4
    found = beam_search(
        model, model.start(2), starts, end=END, max_length=longest,
        width=200, best=5, length_penalty=penalty,
    )  # fmt: skip
    for row, start in enumerate(starts.tolist()):
        told = {s: model.log_likelihood(start, s) for s in sequences(longest)}
        scored = {s: v / ((5 + len(s)) / 6) ** penalty for s, v in told.items()}
        best = sorted(scored.values(), reverse=True)[:5]
        sequences_found = [listed(found, row, number) for number in range(5)]
        assert len(set(sequences_found)) == 5
        # Equally good ones may come in any order.
        for number, sequence in enumerate(sequences_found):
            assert math.isclose(scored[sequence], best[number], abs_tol=1e-4)
            assert math.isclose(found.scores[row, number], best[number], abs_tol=1e-4)
            assert math.isclose(found.log_likelihoods[row, number], told[sequence], abs_tol=1e-4)


@given(st.integers(0, 200), st.sampled_from([0.0, 1.0]))
def test_a_beam_of_one_is_greedy(seed: int, penalty: float) -> None:
    model, starts = Table(seed), torch.tensor([0, 1, 2])
    options: dict[str, Any] = {"end": END, "max_length": 6}
    one = beam_search(model, model.start(3), starts, width=1, length_penalty=penalty, **options)
    plain = greedy(model, model.start(3), starts, **options)
    for row in range(3):
        assert listed(one, row) == listed(plain, row)
        assert math.isclose(
            one.log_likelihoods[row, 0], plain.log_likelihoods[row, 0], abs_tol=1e-4
        )


@pytest.mark.slow
@given(st.integers(0, 200), st.integers(1, 6))
def test_rows_do_not_hang_on_each_other_and_the_best_come_first(seed: int, width: int) -> None:
    model, starts = Table(seed), torch.tensor([0, 1, 2])
    options: dict[str, Any] = {"end": END, "max_length": 5, "width": width, "best": width}
    together = beam_search(model, model.start(3), starts, **options)
    assert (together.scores.diff(dim=1) <= 1e-6).nan_to_num().all() or width == 1
    for row in range(3):
        alone = beam_search(model, model.start(1), starts[row : row + 1], **options)
        for number in range(width):
            if alone.scores[0, number].isfinite():
                assert listed(alone, 0, number) == listed(together, row, number)


def test_a_beam_finds_what_greed_misses() -> None:
    """The likeliest first token leads to nothing likely: 0.6 x 0.5 against 0.4 x 1."""
    chances = torch.tensor([[0, 0.6, 0.4, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 1.0], [0, 0, 0, 1]])

    class Chances(Table):
        def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            return chances[tokens].log(), state

    model, start = Chances(0), torch.tensor([0])
    options: dict[str, Any] = {"end": END, "max_length": 3}
    wide = beam_search(model, model.start(1), start, width=2, **options)
    plain = greedy(model, model.start(1), start, **options)
    assert math.isclose(wide.log_likelihoods.exp(), 0.4, abs_tol=1e-6)
    assert math.isclose(plain.log_likelihoods.exp(), 0.3, abs_tol=1e-6)


@pytest.mark.parametrize("decode", [greedy, beam_search, sample])
def test_what_is_not_allowed_does_not_come(decode: Any) -> None:
    """No token twice: the oracle is a look at what came."""

    def new(before: Tensor) -> Tensor:
        return torch.ones(len(before), TOKENS, dtype=torch.bool).scatter(1, before, False)

    for seed in range(20):
        model, starts = Table(seed), torch.tensor([0, 1, 2])
        found = decode(model, model.start(3), starts, end=END, max_length=5, allowed=new)
        for row, start in enumerate(starts.tolist()):
            sequence = (start, *listed(found, row))
            assert len(set(sequence)) == len(sequence)


@pytest.mark.slow
def test_draws_are_as_likely_as_the_model_says() -> None:
    model, rows = Table(5), 40_000
    generator = torch.Generator().manual_seed(0)
    starts = torch.zeros(rows, dtype=torch.long)
    found = sample(model, model.start(rows), starts, end=END, max_length=2, generator=generator)
    for sequence in sequences(2):
        chance = math.exp(model.log_likelihood(0, sequence))
        share = sum(listed(found, row) == sequence for row in range(rows)) / rows
        assert abs(share - chance) < 4 * math.sqrt(chance * (1 - chance) / rows) + 1e-9


def test_low_temperatures_and_few_tokens_are_greedy() -> None:
    for seed in range(10):
        model, starts = Table(seed), torch.tensor([0, 1, 2])
        options: dict[str, Any] = {"end": END, "max_length": 5}
        plain = greedy(model, model.start(3), starts, **options)
        for changes in ({"temperature": 1e-4}, {"top_k": 1}, {"top_p": 1e-6}):
            drawn = sample(model, model.start(3), starts, **options, **changes)  # type: ignore[arg-type]
            assert torch.equal(drawn.tokens, plain.tokens)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8, unique=True), st.floats(0.05, 0.99))
def test_the_fewest_tokens_that_reach_the_share_are_kept(scores: list[float], share: float) -> None:
    given = torch.tensor([scores], dtype=torch.float64)
    kept = filtered(given, top_p=share)[0].isfinite()
    chances = given[0].softmax(0)
    assert chances[kept].sum() >= share - 1e-9
    assert chances[kept].sum() - chances[kept].min() < share
    assert not kept.all() or chances.sum() - chances.min() < share
    assert chances[kept].min() >= chances[~kept].max() if (~kept).any() else True


def test_repeated_tokens_get_less_likely() -> None:
    scores = torch.tensor([[2.0, -1.0, 0.5]])
    assert penalized(scores, torch.tensor([[0, 1, 1]]), 1.0) is scores
    assert penalized(scores, torch.tensor([[0, 1, 1]]), 2.0).tolist() == [[1.0, -2.0, 0.5]]
