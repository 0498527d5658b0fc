"""Sequences from a model that tells the next token: greedily, by beam search, or by drawing.

One decoder for recurrent networks and transformers: all it knows of a model is a step from tokens
and a state to scores of the next token and a state, and how to pick rows of a state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Tokens = Int[Tensor, " row"]
Scores = Float[Tensor, "row token"]
# The tokens so far, [row, length], to the tokens that may follow, [row, token].
Allowed = Callable[[Int[Tensor, "row length"]], Bool[Tensor, "row token"]]


@runtime_checkable
class Stepwise(Protocol):
    """A model that reads a token at a time.

    Example:
        >>> class Uniform:
        ...     def step(self, tokens, state):
        ...         return torch.zeros(len(tokens), 5), state
        ...     def select(self, state, rows):
        ...         return state
        >>> isinstance(Uniform(), Stepwise)
        True
    """

    def step(self, tokens: Tokens, state: Any) -> tuple[Scores, Any]:
        """Scores (logits) of the token that follows, and the state after it.

        Args:
            tokens: A token of each row.
            state: What an earlier step returned, or what the model starts from.
        """

    def select(self, state: Any, rows: Tokens) -> Any:
        """The state of some rows, in their order, some perhaps several times.

        Args:
            state: What a step returned.
            rows: Numbers of the rows.
        """


@dataclass(frozen=True)
class Decoded:
    """Sequences, the best of each row first.

    Attributes:
        tokens: [row, best, length], without the first token; behind an end all are ``end``.
        lengths: [row, best], the end token included.
        log_likelihoods: [row, best], the sum of the tokens' logarithms of probability.
        scores: [row, best], by which they are ordered; -inf where there is no such sequence.

    Example:
        >>> one = torch.zeros(1, 1)
        >>> Decoded(torch.tensor([[[4, 2]]]), torch.tensor([[2]]), one, one).tokens.shape
        torch.Size([1, 1, 2])
    """

    tokens: Int[Tensor, "row best length"]
    lengths: Int[Tensor, "row best"]
    log_likelihoods: Float[Tensor, "row best"]
    scores: Float[Tensor, "row best"]


@torch.no_grad()
def greedy(
    model: Stepwise,
    state: Any,
    start: Tokens,
    *,
    end: int,
    max_length: int,
    allowed: Allowed | None = None,
) -> Decoded:
    """The likeliest next token at each step.

    Args:
        model: What tells the next token.
        state: What it starts from.
        start: The first token of each row.
        end: The token after which nothing comes.
        max_length: The most tokens, the end included.
        allowed: Which tokens may follow; None is all.

    Example:
        >>> class Counting:
        ...     def step(self, tokens, state):
        ...         return torch.eye(5)[(tokens + 1) % 5] * 9, state
        ...     def select(self, state, rows):
        ...         return state
        >>> greedy(Counting(), None, torch.tensor([1]), end=4, max_length=9).tokens
        tensor([[[2, 3, 4]]])
    """
    return _one_by_one(
        model, state, start, end, max_length, allowed, lambda scores, _: scores.argmax(dim=1)
    )


@torch.no_grad()
def sample(
    model: Stepwise,
    state: Any,
    start: Tokens,
    *,
    end: int,
    max_length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    allowed: Allowed | None = None,
    generator: torch.Generator | None = None,
) -> Decoded:
    """The next token drawn by its probability, from what `filtered` leaves of them.

    Args:
        model: What tells the next token.
        state: What it starts from.
        start: The first token of each row.
        end: The token after which nothing comes.
        max_length: The most tokens, the end included.
        temperature: What scores are divided by, above 0; below 1 likely tokens get likelier.
        top_k: Only so many of the likeliest tokens are drawn from.
        top_p: Only the likeliest tokens that together reach this share are drawn from, in (0, 1].
        repetition_penalty: See `penalized`; 1 is none.
        allowed: Which tokens may follow; None is all.
        generator: What draws.

    Source:
        Holtzman et al. (2020), "The curious case of neural text degeneration", arXiv 1904.09751
        (top-p); Fan, Lewis, Dauphin (2018), arXiv 1805.04833 (top-k).

    Example:
        >>> class Coin:
        ...     def step(self, tokens, state):
        ...         return torch.zeros(len(tokens), 2), state
        ...     def select(self, state, rows):
        ...         return state
        >>> g = torch.Generator().manual_seed(0)
        >>> start = torch.zeros(1000, dtype=torch.long)
        >>> drawn = sample(Coin(), None, start, end=9, max_length=1, generator=g)
        >>> 0.45 < drawn.tokens.double().mean() < 0.55
        tensor(True)
    """

    def draw(scores: Tensor, before: Tensor) -> Tensor:
        scores = penalized(scores, before, repetition_penalty) / temperature
        shares = filtered(scores, top_k=top_k, top_p=top_p).softmax(dim=1)
        return torch.multinomial(shares, 1, generator=generator)[:, 0]

    return _one_by_one(model, state, start, end, max_length, allowed, draw)


def _one_by_one(
    model: Stepwise,
    state: Any,
    start: Tensor,
    end: int,
    max_length: int,
    allowed: Allowed | None,
    choose: Callable[[Tensor, Tensor], Tensor],
) -> Decoded:
    tokens, sums = start[:, None], torch.zeros(len(start), device=start.device)
    lengths = torch.zeros_like(start)
    running = torch.ones_like(start, dtype=torch.bool)
    while tokens.shape[1] <= max_length and running.any():
        scores, state = model.step(tokens[:, -1], state)
        if allowed is not None:
            scores = scores.masked_fill(~allowed(tokens), -torch.inf)
        chosen = choose(scores, tokens).masked_fill(~running, end)
        told = scores.log_softmax(dim=1).gather(1, chosen[:, None])[:, 0]
        sums = sums + told.masked_fill(~running, 0.0)
        lengths = lengths + running
        running = running & (chosen != end)
        tokens = torch.cat([tokens, chosen[:, None]], dim=1)
    return Decoded(tokens[:, None, 1:], lengths[:, None], sums[:, None], sums[:, None])


def penalized(scores: Scores, before: Int[Tensor, "row length"], penalty: float) -> Scores:
    """Scores with those of tokens that came already made smaller.

    Args:
        scores: Logits.
        before: The tokens that came.
        penalty: At least 1: a positive score is divided by it, a negative one multiplied.

    Source:
        Keskar et al. (2019), "CTRL", arXiv 1909.05858, section 4.1.

    Example:
        >>> penalized(torch.tensor([[2.0, -2.0, 2.0]]), torch.tensor([[0, 1]]), 2.0)
        tensor([[ 1., -4.,  2.]])
    """
    if penalty == 1:
        return scores
    old = scores.gather(1, before)
    return scores.scatter(1, before, torch.where(old > 0, old / penalty, old * penalty))


def filtered(scores: Scores, *, top_k: int | None = None, top_p: float | None = None) -> Scores:
    """Scores with all but the likeliest tokens at -inf.

    Args:
        scores: Logits.
        top_k: How many are kept.
        top_p: The fewest are kept whose shares reach this together; at least one.

    Example:
        >>> filtered(torch.tensor([[2.0, 1.0, 0.0]]), top_k=2)
        tensor([[2., 1., -inf]])
        >>> filtered(torch.tensor([[2.0, 1.0, 0.0]]), top_p=0.6)
        tensor([[2., -inf, -inf]])
    """
    if top_k is not None and top_k < scores.shape[1]:
        places = scores.topk(top_k, dim=1).indices
        kept = torch.zeros_like(scores, dtype=torch.bool).scatter(1, places, True)
        scores = scores.masked_fill(~kept, -torch.inf)
    if top_p is not None and top_p < 1:
        ordered, places = scores.sort(dim=1, descending=True, stable=True)
        shares = ordered.softmax(dim=1)
        enough = shares.cumsum(dim=1) - shares >= top_p
        scores = scores.masked_fill(enough.scatter(1, places, enough), -torch.inf)
    return scores


@torch.no_grad()
def beam_search(
    model: Stepwise,
    state: Any,
    start: Tokens,
    *,
    end: int,
    max_length: int,
    width: int = 4,
    best: int = 1,
    length_penalty: float = 0.0,
    allowed: Allowed | None = None,
) -> Decoded:
    """The likeliest whole sequences among those that a beam of prefixes leads to.

    A sequence that ends leaves the beam, which gets narrower by it; so a beam of 1 is greedy. The
    search ends where no prefix can get among the best any more, which changes no result.

    Args:
        model: What tells the next token.
        state: What it starts from.
        start: The first token of each row.
        end: The token after which nothing comes.
        max_length: The most tokens, the end included; what has not ended then counts as it is.
        width: Prefixes that are kept.
        best: Sequences returned, at most ``width``.
        length_penalty: 0 orders by likelihood; above, longer sequences count for more: the sum of
            logarithms is divided by ((5 + length) / 6) to this power.
        allowed: Which tokens may follow; None is all.

    Source:
        Sutskever, Vinyals, Le (2014), arXiv 1409.3215, section 3.2; Wu et al. (2016),
        arXiv 1609.08144, equation 14 (the length penalty).

    Example:
        >>> chances = torch.tensor([[0, 0.6, 0.4, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 1]])
        >>> class Table:
        ...     def step(self, tokens, state):
        ...         return chances[tokens].log(), state
        ...     def select(self, state, rows):
        ...         return state
        >>> found = beam_search(Table(), None, torch.tensor([0]), end=3, max_length=5, width=2)
        >>> found.tokens, found.log_likelihoods.exp()
        (tensor([[[2, 3]]]), tensor([[0.4000]]))
    """
    rows, device = len(start), start.device
    tokens = start[:, None, None].expand(rows, width, 1)
    sums = torch.full((rows, width), -torch.inf, device=device)
    sums[:, 0] = 0.0
    state = model.select(state, torch.arange(rows, device=device).repeat_interleave(width))
    done = _Finished(rows, width, max_length, end, length_penalty, device)
    for length in range(1, max_length + 1):
        scores, state = model.step(tokens[:, :, -1].flatten(), state)
        if allowed is not None:
            scores = scores.masked_fill(~allowed(tokens.flatten(0, 1)), -torch.inf)
        told = scores.log_softmax(dim=1).nan_to_num(nan=-torch.inf, neginf=-torch.inf)
        totals = (sums[:, :, None] + told.view(rows, width, -1)).flatten(1)
        sums, places = totals.topk(min(width, totals.shape[1]), dim=1)
        if sums.shape[1] < width:
            more = width - sums.shape[1]
            sums = torch.cat([sums, sums.new_full((rows, more), -torch.inf)], dim=1)
            places = torch.cat([places, places.new_zeros(rows, more)], dim=1)
        # Only as many go on as have not ended yet.
        sums = sums.masked_fill(
            torch.arange(width, device=device) >= done.left[:, None], -torch.inf
        )
        parents, chosen = places // told.shape[1], places % told.shape[1]
        old = tokens.gather(1, parents[:, :, None].expand(-1, -1, tokens.shape[2]))
        tokens = torch.cat([old, chosen[:, :, None]], dim=2)
        over = (chosen == end) | (length == max_length)
        done.take(tokens[:, :, 1:], sums, over & sums.isfinite())
        sums = sums.masked_fill(over, -torch.inf)
        sums = sums.masked_fill(done.settled(sums, best)[:, None], -torch.inf)
        if not sums.isfinite().any():
            break
        flat = parents + torch.arange(rows, device=device)[:, None] * width
        state = model.select(state, flat.flatten())
    return done.best(best)


class _Finished:
    """The sequences of a beam search that have ended."""

    def __init__(
        self, rows: int, width: int, max_length: int, end: int, penalty: float, device: Any
    ) -> None:
        self.tokens = torch.full((rows, width, max_length), end, device=device)
        self.lengths = torch.zeros(rows, width, dtype=torch.long, device=device)
        self.sums = torch.full((rows, width), -torch.inf, device=device)
        self.left = torch.full((rows,), width, device=device)
        self.penalty = penalty
        self.max_length = max_length

    def _score(self, sums: Tensor, lengths: Tensor | int) -> Tensor:
        return sums / ((5 + lengths) / 6) ** self.penalty

    def take(self, tokens: Tensor, sums: Tensor, over: Tensor) -> None:
        """Keep those that are over."""
        width, length = self.sums.shape[1], tokens.shape[2]
        slots = width - self.left[:, None] + over.cumsum(dim=1) - 1
        row, number = over.nonzero(as_tuple=True)
        slot = slots[row, number]
        self.tokens[row, slot, :length] = tokens[row, number]
        self.lengths[row, slot] = length
        self.sums[row, slot] = sums[row, number]
        self.left -= over.sum(dim=1)

    def settled(self, sums: Tensor, best: int) -> Tensor:
        """The rows whose running prefixes, of these sums, cannot get among the best any more."""
        hoped = self._score(sums.amax(dim=1), self.max_length)
        if self.penalty < 0:
            hoped = sums.amax(dim=1)
        kept = self._score(self.sums, self.lengths).topk(best, dim=1).values[:, -1]
        return kept >= hoped

    def best(self, count: int) -> Decoded:
        """The best of each row."""
        scores, order = self._score(self.sums, self.lengths).topk(count, dim=1)
        lengths = self.lengths.gather(1, order)
        tokens = self.tokens.gather(1, order[:, :, None].expand(-1, -1, self.max_length))
        longest = int(lengths.max())
        return Decoded(tokens[:, :, :longest], lengths, self.sums.gather(1, order), scores)
