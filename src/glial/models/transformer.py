"""A transformer that reads one text and writes another.

Source:
    Vaswani et al. (2017), "Attention is all you need", arXiv 1706.03762; normalising first: Xiong
    et al. (2020), "On layer normalization in the transformer architecture", arXiv 2002.04745. Names
    and shapes of the layers' weights are those of ``torch.nn.Transformer``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional import dropout, sinusoidal_positions
from glial.models.translation import TranslationSettings
from glial.nn.attention import KeysAndValues, MultiHeadAttention, check_heads, check_length
from glial.nn.tokens import PADDING, TokenVectors

Tokens = Int[Tensor, "row position"]
Vectors = Float[Tensor, "row position size"]
Mask = Bool[Tensor, "row place"]


class TransformerSettings(TranslationSettings):
    """An encoder-decoder transformer.

    Attributes:
        layers: Layers of the encoder and of the decoder.
        heads: Heads of each attention, by which ``size`` can be divided.
        hidden: Units between the two linear layers of a position; None is four times ``size``.
        norm: Whether each part normalises what it is given (``first``) or what it gives
            (``last``, as published).
        positions: How places are told apart: by sines, by learnt vectors, or by queries and keys
            that are turned.
        context: The most places of each text, where positions are learnt.

    Example:
        >>> settings = TransformerSettings(size=8, heads=2, layers=1)
        >>> network = settings.build(0, 7, vocabularies=[9, 7])
        >>> network(torch.tensor([[5, 6, 0]]), torch.tensor([[2, 4]])).shape
        torch.Size([1, 2, 7])
    """

    description: ClassVar[str] = "two texts: a transformer of a reader and a writer"
    source: ClassVar[str] = "Vaswani et al. (2017), arXiv 1706.03762"

    name: Literal["transformer"] = "transformer"
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    hidden: int | None = Field(default=None, ge=1)
    norm: Literal["first", "last"] = "first"
    positions: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal"
    context: int = Field(default=512, ge=1)

    def network(self, vocabularies: tuple[int, int], num_outputs: int, size: int) -> nn.Module:
        """The network of two vocabularies.

        Raises:
            InputError: If the size cannot be divided by the heads.
        """
        check_heads(size, self.heads)
        return Transformer(self, vocabularies, num_outputs, size)


class _Layer(nn.Module):
    """What the layers of both sides share: attention to itself, and two linear layers."""

    def __init__(self, settings: TransformerSettings, size: int, *, causal: bool) -> None:
        super().__init__()
        hidden = settings.hidden or 4 * size
        self.rate = settings.dropout
        self.first = settings.norm == "first"
        self.self_attn = MultiHeadAttention(
            size,
            settings.heads,
            dropout=settings.dropout,
            causal=causal,
            rotary=settings.positions == "rotary",
        )
        self.linear1 = nn.Linear(size, hidden)
        self.linear2 = nn.Linear(hidden, size)
        self.norm1 = nn.LayerNorm(size)
        self.norm2 = nn.LayerNorm(size)

    def dropped(self, values: Tensor) -> Tensor:
        return dropout(values, self.rate, training=self.training)

    def among(self, vectors: Tensor, mask: Tensor | None, memory: KeysAndValues | None) -> Tensor:
        """The vectors with what each takes from the others added."""
        given = self.norm1(vectors) if self.first else vectors
        found = vectors + self.dropped(self.self_attn(given, None, mask, memory))
        return found if self.first else self.norm1(found)

    def alone(self, vectors: Tensor, norm: nn.Module) -> Tensor:
        """The vectors with what two linear layers make of each added."""
        given = norm(vectors) if self.first else vectors
        hidden = self.dropped(torch.relu(self.linear1(given)))
        found: Tensor = vectors + self.dropped(self.linear2(hidden))
        return found if self.first else norm(found)


class EncoderLayer(_Layer):
    """A layer of what reads.

    Args:
        settings: The settings.
        size: Numbers of a vector.

    Example:
        >>> EncoderLayer(TransformerSettings(heads=2), 8)(torch.zeros(1, 3, 8), None).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, settings: TransformerSettings, size: int) -> None:
        super().__init__(settings, size, causal=False)

    def forward(self, vectors: Vectors, mask: Mask | None) -> Vectors:
        """The vectors of the next layer.

        Args:
            vectors: One a place.
            mask: Places that are no padding.
        """
        return self.alone(self.among(vectors, mask, None), self.norm2)


class DecoderLayer(_Layer):
    """A layer of what writes: each position sees those before, and what was read.

    Args:
        settings: The settings.
        size: Numbers of a vector.

    Example:
        >>> layer = DecoderLayer(TransformerSettings(heads=2), 8)
        >>> layer(torch.zeros(1, 3, 8), torch.zeros(1, 5, 8), None).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, settings: TransformerSettings, size: int) -> None:
        super().__init__(settings, size, causal=True)
        self.multihead_attn = MultiHeadAttention(size, settings.heads, dropout=settings.dropout)
        self.norm3 = nn.LayerNorm(size)

    def forward(
        self,
        vectors: Vectors,
        read: Float[Tensor, "row place size"],
        mask: Mask | None,
        memories: tuple[KeysAndValues, KeysAndValues] | None = None,
    ) -> Vectors:
        """The vectors of the next layer.

        Args:
            vectors: One a position.
            read: The encoder's vectors.
            mask: Places of these that are no padding.
            memories: Positions that came before, to which these are added; and what was read.
        """
        own, other = (None, None) if memories is None else memories
        vectors = self.among(vectors, None, own)
        given = self.norm2(vectors) if self.first else vectors
        vectors = vectors + self.dropped(self.multihead_attn(given, read, mask, other))
        if not self.first:
            vectors = self.norm2(vectors)
        return self.alone(vectors, self.norm3)


class _Stack(nn.Module):
    """Layers one on the other, and a last normalisation."""

    def __init__(self, layers: list[nn.Module], size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(size)


@dataclass(frozen=True)
class Written:
    """What the decoder knows: what was read, and the positions that came.

    Attributes:
        read: The encoder's vectors, [row, place, size].
        mask: Places of these that are no padding, [row, place].
        memories: Of each layer what it keeps of positions that came, and of what was read.

    Example:
        >>> written = Written(torch.ones(1, 2, 3), torch.ones(1, 2, dtype=torch.bool), [])
        >>> written.select(torch.tensor([0, 0])).read.shape, written.length
        (torch.Size([2, 2, 3]), 0)
    """

    read: Float[Tensor, "row place size"]
    mask: Mask
    memories: list[tuple[KeysAndValues, KeysAndValues]]

    @property
    def length(self) -> int:
        """Positions so far."""
        return self.memories[0][0].length if self.memories else 0

    def select(self, rows: Int[Tensor, " chosen"]) -> Written:
        """The same of some rows, in their order."""
        memories = [(own.select(rows), other.select(rows)) for own, other in self.memories]
        return Written(self.read[rows], self.mask[rows], memories)


class Transformer(nn.Module):
    """An encoder, a decoder that attends to it, and scores of the next token.

    Args:
        settings: The settings.
        vocabularies: Tokens that are read, and that are written.
        num_outputs: Tokens that are scored.
        size: Length of a token's vector.

    Example:
        >>> network = Transformer(TransformerSettings(heads=2, layers=1), (9, 7), 7, 4)
        >>> scores, state = network.step(torch.tensor([2]), network.read(torch.tensor([[5, 0]])))
        >>> scores.shape, state.length
        (torch.Size([1, 7]), 1)
    """

    def __init__(
        self,
        settings: TransformerSettings,
        vocabularies: tuple[int, int],
        num_outputs: int,
        size: int,
    ) -> None:
        super().__init__()
        share, layers = settings.token_dropout, range(settings.layers)
        self.rate = settings.dropout
        self.positions = settings.positions
        self.source_embedding = TokenVectors(vocabularies[0], size, dropout=share)
        self.target_embedding = TokenVectors(vocabularies[1], size, dropout=share)
        if settings.positions == "learned":
            self.source_positions = nn.Embedding(settings.context, size)
            self.target_positions = nn.Embedding(settings.context, size)
        self.encoder = _Stack([EncoderLayer(settings, size) for _ in layers], size)
        self.decoder = _Stack([DecoderLayer(settings, size) for _ in layers], size)
        self.head = nn.Linear(size, num_outputs)
        for weight in (*self.encoder.parameters(), *self.decoder.parameters()):
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)

    def forward(
        self, sources: Int[Tensor, "row place"], targets: Tokens
    ) -> Float[Tensor, "row position token"]:
        """Scores of the token behind each position of targets that are known.

        Args:
            sources: Tokens that are read.
            targets: Tokens written so far, the start token first.

        Raises:
            InputError: If positions are learnt and there are more than the network knows.
        """
        read, mask = self._encoded(sources)
        return self._scores(targets, Written(read, mask, []))

    def read(self, sources: Int[Tensor, "row place"]) -> Written:
        """What decoding starts from.

        Args:
            sources: Tokens that are read; a row has one at least.
        """
        read, mask = self._encoded(sources)
        return Written(
            read, mask, [(KeysAndValues(), KeysAndValues()) for _ in self.decoder.layers]
        )

    def step(
        self, tokens: Int[Tensor, " row"], state: Written
    ) -> tuple[Float[Tensor, "row token"], Written]:
        """Scores of the token after these, and the state.

        Args:
            tokens: A token of each row.
            state: What came before.
        """
        memories = [
            (KeysAndValues(own.keys, own.values), KeysAndValues(other.keys, other.values))
            for own, other in state.memories
        ]
        state = Written(state.read, state.mask, memories)
        return self._scores(tokens[:, None], state)[:, 0], state

    def select(self, state: Written, rows: Int[Tensor, " chosen"]) -> Written:
        """The state of some rows, in their order."""
        return state.select(rows)

    def _encoded(self, sources: Tensor) -> tuple[Tensor, Tensor]:
        mask = sources != PADDING
        vectors = self._placed(self.source_embedding, sources, 0)
        for layer in self.encoder.layers:
            vectors = layer(vectors, mask)
        return self.encoder.norm(vectors), mask

    def _scores(self, targets: Tensor, state: Written) -> Tensor:
        vectors = self._placed(self.target_embedding, targets, state.length)
        for number, layer in enumerate(self.decoder.layers):
            memories = state.memories[number] if state.memories else None
            vectors = layer(vectors, state.read, state.mask, memories)
        scores: Tensor = self.head(self.decoder.norm(vectors))
        return scores

    def _placed(self, embedding: TokenVectors, tokens: Tensor, begin: int) -> Tensor:
        """Vectors of tokens, and of where they stand."""
        size = embedding.embedding_dim
        vectors = embedding(tokens) * math.sqrt(size)
        places = torch.arange(begin, begin + tokens.shape[1], device=tokens.device)
        if self.positions == "sinusoidal":
            vectors = vectors + sinusoidal_positions(places, size).to(vectors.dtype)
        elif self.positions == "learned":
            of_source = embedding is self.source_embedding
            table = self.source_positions if of_source else self.target_positions
            check_length(begin + tokens.shape[1], table.num_embeddings)
            vectors = vectors + table(places)
        return dropout(vectors, self.rate, training=self.training)
