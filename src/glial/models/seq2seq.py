"""A text written word by word by a recurrent network that has read another one.

Source:
    Sutskever, Vinyals, Le (2014), "Sequence to sequence learning with neural networks",
    arXiv 1409.3215 (without attention); Bahdanau, Cho, Bengio (2015), "Neural machine translation
    by jointly learning to align and translate", arXiv 1409.0473; Luong, Pham, Manning (2015),
    "Effective approaches to attention-based neural machine translation", arXiv 1508.04025, section
    3.1 (attention by the decoder's new state, so that all positions are learnt at once).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional import dropout
from glial.models.translation import TranslationSettings
from glial.nn.attention import Attention, ScoreName
from glial.nn.recurrence import Carried
from glial.nn.recurrent import GRU, LSTM
from glial.nn.tokens import PADDING, TokenVectors

Tokens = Int[Tensor, "row position"]


class Seq2SeqSettings(TranslationSettings):
    """A recurrent network that reads a text from both ends, and another one that writes.

    Attributes:
        unit: What the layers are made of.
        num_units: Units of the decoder and of each direction of the encoder; None is ``size``.
        num_layers: Layers of each.
        attention: How well a place that was read answers the decoder's state; ``none`` gives the
            decoder the encoder's last states and nothing else.

    Example:
        >>> network = Seq2SeqSettings(size=8).build(0, 7, vocabularies=[9, 7])
        >>> network(torch.tensor([[5, 6, 0]]), torch.tensor([[2, 4]])).shape
        torch.Size([1, 2, 7])
    """

    description: ClassVar[str] = "two texts: a recurrent reader, and a writer that attends to it"
    source: ClassVar[str] = "Bahdanau et al. (2015), arXiv 1409.0473"

    name: Literal["seq2seq"] = "seq2seq"
    unit: Literal["gru", "lstm"] = "gru"
    num_units: int | None = Field(default=None, ge=1)
    num_layers: int = Field(default=1, ge=1)
    attention: ScoreName | Literal["none"] = "general"

    def network(self, vocabularies: tuple[int, int], num_outputs: int, size: int) -> nn.Module:
        """The network of two vocabularies."""
        return Seq2Seq(self, vocabularies, num_outputs, size)


@dataclass(frozen=True)
class Reading:
    """What the decoder knows: the places that were read, and its own state.

    Attributes:
        places: What was read at each place, [row, place, unit].
        mask: Places that are no padding, [row, place].
        carried: The decoder's state, [layer, row, unit]; of an LSTM with its cell.

    Example:
        >>> mask = torch.ones(1, 2, dtype=torch.bool)
        >>> reading = Reading(torch.ones(1, 2, 3), mask, torch.zeros(1, 1, 3))
        >>> reading.select(torch.tensor([0, 0])).places.shape
        torch.Size([2, 2, 3])
    """

    places: Float[Tensor, "row place unit"]
    mask: Bool[Tensor, "row place"]
    carried: Carried

    def select(self, rows: Int[Tensor, " chosen"]) -> Reading:
        """The same of some rows, in their order."""
        whole = isinstance(self.carried, Tensor)
        parts = [self.carried] if isinstance(self.carried, Tensor) else self.carried
        chosen = tuple(part[:, rows] for part in parts)
        return Reading(self.places[rows], self.mask[rows], chosen[0] if whole else chosen)


class Seq2Seq(nn.Module):
    """An encoder in both directions, a decoder that begins with its last states, and attention.

    Args:
        settings: The settings.
        vocabularies: Tokens that are read, and that are written.
        num_outputs: Tokens that are scored.
        size: Length of a token's vector.

    Example:
        >>> network = Seq2Seq(Seq2SeqSettings(num_units=3), (9, 7), 7, 4)
        >>> scores, state = network.step(torch.tensor([2]), network.read(torch.tensor([[5, 0]])))
        >>> scores.shape, state.carried.shape
        (torch.Size([1, 7]), torch.Size([1, 1, 3]))
    """

    def __init__(
        self, settings: Seq2SeqSettings, vocabularies: tuple[int, int], num_outputs: int, size: int
    ) -> None:
        super().__init__()
        units, layers = settings.num_units or size, settings.num_layers
        kind = GRU if settings.unit == "gru" else LSTM
        self.rate = settings.dropout
        share = settings.token_dropout
        self.source_embedding = TokenVectors(vocabularies[0], size, dropout=share)
        self.target_embedding = TokenVectors(vocabularies[1], size, dropout=share)
        self.encoder = kind(size, units, num_layers=layers, bidirectional=True)
        self.decoder = kind(size, units, num_layers=layers)
        parts = 1 if settings.unit == "gru" else 2
        self.bridges = nn.ModuleList(nn.Linear(2 * units, units) for _ in range(parts))
        seen = 0
        if settings.attention != "none":
            # Scores that have weights of their own take places as they are.
            plain = settings.attention in ("dot", "scaled_dot")
            seen = units if plain else 2 * units
            self.places = nn.Linear(2 * units, units) if plain else nn.Identity()
            self.attention = Attention(units, seen, score=settings.attention)
        self.attends = seen > 0
        self.mixing = nn.Linear(units + seen, size)
        self.head = nn.Linear(size, num_outputs)

    def forward(
        self, sources: Int[Tensor, "row place"], targets: Tokens
    ) -> Float[Tensor, "row position token"]:
        """Scores of the token behind each position of targets that are known.

        Args:
            sources: Tokens that are read.
            targets: Tokens written so far, the start token first.
        """
        return self._written(targets, self.read(sources))[0]

    def read(self, sources: Int[Tensor, "row place"]) -> Reading:
        """What decoding starts from.

        Args:
            sources: Tokens that are read; a row has one at least.
        """
        mask = sources != PADDING
        vectors = self._dropped(self.source_embedding(sources))
        states, last = self.encoder(vectors, mask.sum(dim=1))
        ends = (last,) if isinstance(last, Tensor) else last
        begun = []
        for bridge, end in zip(self.bridges, ends, strict=True):
            both = torch.cat([end[0::2], end[1::2]], dim=2)
            begun.append(torch.tanh(bridge(both)))
        places = self.places(self._dropped(states)) if self.attends else states
        return Reading(places, mask, begun[0] if len(begun) == 1 else tuple(begun))

    def step(
        self, tokens: Int[Tensor, " row"], state: Reading
    ) -> tuple[Float[Tensor, "row token"], Reading]:
        """Scores of the token after these, and the state.

        Args:
            tokens: A token of each row.
            state: What came before.
        """
        scores, carried = self._written(tokens[:, None], state)
        return scores[:, 0], replace(state, carried=carried)

    def select(self, state: Reading, rows: Int[Tensor, " chosen"]) -> Reading:
        """The state of some rows, in their order."""
        return state.select(rows)

    def _written(self, targets: Tensor, state: Reading) -> tuple[Tensor, Carried]:
        vectors = self._dropped(self.target_embedding(targets))
        states, carried = self.decoder(vectors, None, state.carried)
        if self.attends:
            found, _ = self.attention(states, state.places, state.mask)
            states = torch.cat([states, found], dim=2)
        mixed = torch.tanh(self.mixing(states))
        scores: Tensor = self.head(self._dropped(mixed))
        return scores, carried

    def _dropped(self, values: Tensor) -> Tensor:
        return dropout(values, self.rate, training=self.training)
