"""Attention over sequences: of a state over an encoder's states, and of many heads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.functional import (
    attend,
    attend_nearby,
    attention_weights,
    causal_mask,
    rotated,
    window_mask,
)

ScoreName = Literal["dot", "scaled_dot", "general", "additive"]
Vectors = Float[Tensor, "row place size"]
BLOCK = 64  # places that a memory keeps room for


class Attention(nn.Module):
    """What a query takes from places, by one of the classic scores.

    Args:
        query_size: Numbers of a query.
        key_size: Numbers of a place; equal to the queries' for ``dot`` and ``scaled_dot``.
        score: ``dot`` is q k; ``scaled_dot`` divides it by the root of their size; ``general`` is
            q W k; ``additive`` is v tanh(W q + U k).
        units: Of the additive score's hidden layer; None is ``query_size``.

    Source:
        Bahdanau, Cho, Bengio (2015), arXiv 1409.0473, appendix A.1.2 (additive); Luong, Pham,
        Manning (2015), arXiv 1508.04025, section 3.1 (dot, general).

    Example:
        >>> layer = Attention(4, 3, score="additive")
        >>> mixed, weights = layer(torch.zeros(2, 5, 4), torch.ones(2, 7, 3))
        >>> mixed.shape, weights.shape
        (torch.Size([2, 5, 3]), torch.Size([2, 5, 7]))
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        *,
        score: ScoreName = "scaled_dot",
        units: int | None = None,
    ) -> None:
        super().__init__()
        if score in ("dot", "scaled_dot") and query_size != key_size:
            raise InputError(
                f"the score {score!r} multiplies queries and places",
                expected=f"places of {query_size} numbers, as many as a query has",
                got=str(key_size),
                do="choose the score general or additive",
            )
        self.score = score
        hidden = units or query_size
        if score == "general":
            self.weight = nn.Linear(key_size, query_size, bias=False)
        elif score == "additive":
            self.query = nn.Linear(query_size, hidden, bias=False)
            self.key = nn.Linear(key_size, hidden)
            self.value = nn.Linear(hidden, 1, bias=False)

    def scores(
        self, queries: Float[Tensor, "row query size"], keys: Float[Tensor, "row place key"]
    ) -> Float[Tensor, "row query place"]:
        """How well each place answers each query, before the softmax."""
        if self.score == "additive":
            both = self.query(queries)[:, :, None] + self.key(keys)[:, None]
            found: Tensor = self.value(torch.tanh(both))[..., 0]
            return found
        if self.score == "general":
            keys = self.weight(keys)
        products = queries @ keys.transpose(1, 2)
        return products / queries.shape[2] ** 0.5 if self.score == "scaled_dot" else products

    def forward(
        self,
        queries: Float[Tensor, "row query size"],
        keys: Float[Tensor, "row place key"],
        mask: Bool[Tensor, "row place"] | None = None,
    ) -> tuple[Float[Tensor, "row query key"], Float[Tensor, "row query place"]]:
        """The mixtures of the places, and the weights, which add up to 1.

        Args:
            queries: What is looked for.
            keys: Where it is looked for, and what is taken.
            mask: Places that are no padding, at least one a row; None counts all.
        """
        scores = self.scores(queries, keys)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None], -torch.inf)
        weights = scores.softmax(dim=2)
        return weights @ keys, weights


def check_heads(size: int, heads: int) -> None:
    """Refuse vectors that cannot be cut into heads.

    Args:
        size: Numbers of a vector.
        heads: Parts of equal length.

    Raises:
        InputError: If the size is no multiple.
    """
    if size % heads:
        raise InputError(
            "vectors cannot be cut into heads",
            expected=f"a size that is a multiple of {heads}",
            got=str(size),
            do="change the size or the number of heads",
        )


def check_length(length: int | torch.SymInt, context: int) -> None:
    """Refuse texts with more places than a network knows.

    Args:
        length: Places of the text.
        context: Places that the network knows.

    Raises:
        InputError: If there are more.
    """
    if length > context:
        raise InputError(
            "the text is longer than the network's context",
            expected=f"at most {context} tokens",
            got=str(length),
            do="shorten the text, or train a network with a larger context",
        )


@dataclass
class _Room:
    """Memory for keys and values of more places than have come: [row, head, place, feature]."""

    keys: Tensor
    values: Tensor
    filled: int


@dataclass
class KeysAndValues:
    """What one layer of attention remembers of the places that came: a cache for decoding.

    Without gradients, room is kept for places to come, so that a step copies its own place only.

    Attributes:
        keys: [row, head, place, feature]; None before the first place.
        values: Likewise.

    Example:
        >>> memory = KeysAndValues()
        >>> memory.extend(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4))[0].shape
        torch.Size([1, 2, 3, 4])
        >>> memory.select(torch.tensor([0, 0])).length, memory.length
        (3, 3)
    """

    keys: Tensor | None = None
    values: Tensor | None = None
    _room: _Room | None = field(default=None, repr=False, compare=False)

    @property
    def length(self) -> int:
        """Places so far."""
        return 0 if self.keys is None else self.keys.shape[2]

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Remember further places; all so far come back."""
        if self.keys is not None and self.values is not None:
            if torch.is_grad_enabled():
                keys = torch.cat([self.keys, keys], dim=2)
                values = torch.cat([self.values, values], dim=2)
            else:
                keys, values = self._put_behind(self.keys, self.values, keys, values)
        self.keys, self.values = keys, values
        return keys, values

    def _put_behind(
        self, old_keys: Tensor, old_values: Tensor, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        begin, end = self.length, self.length + keys.shape[2]
        room = self._room
        # Behind these places another copy of this memory may have put others already.
        if room is None or room.filled != begin or room.keys.shape[2] < end:
            room = self._room = _Room(_with_room(old_keys, end), _with_room(old_values, end), 0)
        room.keys[:, :, begin:end] = keys
        room.values[:, :, begin:end] = values
        room.filled = end
        return room.keys[:, :, :end], room.values[:, :, :end]

    def select(self, rows: Int[Tensor, " chosen"]) -> KeysAndValues:
        """The memory of some rows, in their order."""
        if self.keys is None or self.values is None:
            return KeysAndValues()
        return KeysAndValues(self.keys[rows], self.values[rows])


def _with_room(held: Tensor, length: int) -> Tensor:
    """A copy with room for half as many places again, and at least for a block of them."""
    more = held.new_empty(*held.shape[:2], length + max(BLOCK, length // 2), held.shape[3])
    more[:, :, : held.shape[2]] = held
    return more


class MultiHeadAttention(nn.Module):
    """Several mixtures of values, each by its own queries and keys, mixed once more.

    Parameters have the names of torch's ``nn.MultiheadAttention``: ``in_proj_weight``,
    ``in_proj_bias``, ``out_proj.weight`` and ``out_proj.bias``.

    Args:
        size: Numbers of a vector, a multiple of ``heads``.
        heads: Mixtures, of ``size / heads`` numbers each.
        dropout: Share of the weights dropped in training.
        causal: Whether each place sees itself and those before only.
        window: How many places to each side are seen (before only, where causal); None is all.
            Whole sequences then take time and memory that grow with their length only.
        rotary: Whether queries and keys are turned by their position.

    Source:
        Vaswani et al. (2017), "Attention is all you need", arXiv 1706.03762, section 3.2; windows:
        Beltagy, Peters, Cohan (2020), arXiv 2004.05150; rotary: Su et al. (2021), arXiv 2104.09864.

    Example:
        >>> MultiHeadAttention(8, 2)(torch.zeros(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        size: int,
        heads: int,
        *,
        dropout: float = 0.0,
        causal: bool = False,
        window: int | None = None,
        rotary: bool = False,
    ) -> None:
        super().__init__()
        check_heads(size, heads * (2 if rotary else 1))
        self.in_proj_weight = nn.Parameter(torch.empty(3 * size, size))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * size))
        self.out_proj = nn.Linear(size, size)
        self.heads = heads
        self.dropout = dropout
        self.causal = causal
        self.window = window
        self.rotary = rotary
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        vectors: Vectors,
        others: Float[Tensor, "row other size"] | None = None,
        mask: Bool[Tensor, "row seen"] | None = None,
        memory: KeysAndValues | None = None,
    ) -> Vectors:
        """The mixtures, mixed once more over the heads.

        Args:
            vectors: Who asks.
            others: Who answers (cross attention); None is ``vectors`` themselves.
            mask: Of those who answer, who is no padding; None is all.
            memory: Places that came before; these are added to it. In cross attention, keys and
                values of ``others``: made at the first call, and taken as they are from then on.
        """
        rate = self.dropout if self.training else 0.0
        query, key, value = self._parts(vectors, others, memory)
        whole = self.window is not None and others is None and key.shape[2] == vectors.shape[1]
        if self.window is not None and whole and not rate:
            after = 0 if self.causal else self.window
            mixed = attend_nearby(query, key, value, self.window, after, mask)
        else:
            cross = others is not None
            causal = self.causal and not cross and self.window is None and mask is None
            causal = causal and bool(key.shape[2] == vectors.shape[1])
            allowed = None if causal else self._allowed(query, key, cross, mask)
            mixed = attend(query, key, value, allowed, dropout=rate, causal=causal)
        output: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return output

    def weights(
        self,
        vectors: Vectors,
        others: Float[Tensor, "row other size"] | None = None,
        mask: Bool[Tensor, "row seen"] | None = None,
    ) -> Float[Tensor, "row head place seen"]:
        """How much each place takes from each other, of each head.

        Args:
            vectors: Who asks.
            others: Who answers; None is ``vectors`` themselves.
            mask: Of those who answer, who is no padding; None is all.
        """
        query, key, _ = self._parts(vectors, others, None)
        allowed = self._allowed(query, key, others is not None, mask)
        return attention_weights(query, key, allowed)

    def _parts(
        self, vectors: Tensor, others: Tensor | None, memory: KeysAndValues | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, [row, head, place, feature]."""
        size = vectors.shape[2]
        if others is not None and memory is not None and memory.keys is not None:
            return self._asked_again(vectors, memory)
        if others is None:
            projected = functional.linear(vectors, self.in_proj_weight, self.in_proj_bias)
            parts = projected.chunk(3, dim=2)
        else:
            of_query, of_rest = self.in_proj_weight[:size], self.in_proj_weight[size:]
            query = functional.linear(vectors, of_query, self.in_proj_bias[:size])
            rest = functional.linear(others, of_rest, self.in_proj_bias[size:])
            parts = (query, *rest.chunk(2, dim=2))
        query, key, value = (self._cut(part) for part in parts)
        if self.rotary and others is None:
            begin = memory.length if memory is not None else 0
            positions = torch.arange(begin, begin + vectors.shape[1], device=vectors.device)
            query, key = rotated(query, positions), rotated(key, positions)
        if memory is not None:
            key, value = memory.extend(key, value)
        return query, key, value

    def _asked_again(self, vectors: Tensor, memory: KeysAndValues) -> tuple[Tensor, Tensor, Tensor]:
        """As `_parts`, of places that are all remembered."""
        assert memory.keys is not None and memory.values is not None  # noqa: S101, PT018 - narrows
        size = vectors.shape[2]
        query = functional.linear(vectors, self.in_proj_weight[:size], self.in_proj_bias[:size])
        return self._cut(query), memory.keys, memory.values

    def _cut(self, part: Tensor) -> Tensor:
        """Vectors cut into heads, [row, head, place, feature]."""
        return part.reshape(*part.shape[:2], self.heads, -1).transpose(1, 2)

    def _allowed(
        self, query: Tensor, key: Tensor, cross: bool, mask: Tensor | None
    ) -> Tensor | None:
        """Where each query may look, to be broadcast to [row, head, query, place]."""
        asking, seen, device = query.shape[2], key.shape[2], query.device
        allowed = None if mask is None else mask[:, None, None]
        if cross:
            return allowed
        if self.window is not None:
            after = 0 if self.causal else self.window
            shape = window_mask(asking, seen, self.window, after, device)
        elif self.causal and asking > 1:
            shape = causal_mask(asking, seen, device)
        else:
            return allowed
        return shape if allowed is None else shape & allowed
