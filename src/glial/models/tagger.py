"""A label for each word: words, their shape and letters, read from both ends, and a chain of tags.

Variants: a conditional random field as head, or a softmax at each word.

Source:
    Ma and Hovy (2016), "End-to-end sequence labeling via bi-directional LSTM-CNNs-CRF",
    arXiv 1603.01354; Lample et al. (2016), arXiv 1603.01360. Capitals and parts of words beside
    words: Huang, Xu, Yu (2015), "Bidirectional LSTM-CRF models for sequence tagging",
    arXiv 1508.01991, section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional import dropout
from glial.models.settings import ModelSettings
from glial.models.text import text_recipe
from glial.nn.chains import ChainScores
from glial.nn.characters import CharacterVectors
from glial.nn.recurrent import LSTM
from glial.nn.tokens import PADDING, TokenVectors

# With more tags, [tag, tag] numbers a position cost more than they are worth.
MANY_TAGS = 40


class TaggerSettings(ModelSettings):
    """A network that gives a tag to each word.

    Attributes:
        size: Length of a word's vector.
        feature_size: Length of the vectors of its shape, its beginnings and its ends.
        letter_size: Length of a letter's vector.
        channels: Numbers that the letters of a word become.
        num_units: Units of each direction.
        num_layers: Recurrent layers.
        head: ``crf`` learns which tags follow each other; ``softmax`` decides word by word;
            ``auto`` is ``crf`` for up to 40 tags.
        word_dropout: Share of words taken for unknown in training.
        feature_dropout: Likewise of shapes, beginnings and ends.
        dropout: Share of the numbers of a word, and of units, dropped in training, the same
            at all positions of a row.

    Example:
        >>> network = TaggerSettings(num_units=8).build(0, 3, words=[[50, 9, 20, 20, 20, 20, 30]])
        >>> network(torch.ones(2, 4, 6 + 10, dtype=torch.long)).shape
        torch.Size([2, 4, 3, 3])
    """

    tasks: ClassVar[tuple[str, ...]] = ("tagging",)
    min_outputs: ClassVar[int] = 2
    takes_numbers: ClassVar[bool] = False
    takes_words: ClassVar[bool] = True
    per_position: ClassVar[bool] = True
    description: ClassVar[str] = "words: their letters, an LSTM from both ends, a CRF of tags"
    source: ClassVar[str] = "Ma and Hovy (2016), arXiv 1603.01354"

    name: Literal["tagger"] = "tagger"
    size: int = Field(default=64, ge=1)
    feature_size: int = Field(default=16, ge=1)
    letter_size: int = Field(default=16, ge=1)
    channels: int = Field(default=48, ge=1)
    num_units: int = Field(default=64, ge=1)
    num_layers: int = Field(default=1, ge=1)
    head: Literal["auto", "crf", "softmax"] = "auto"
    word_dropout: float = Field(default=0.1, ge=0, lt=1)
    feature_dropout: float = Field(default=0.1, ge=0, lt=1)
    dropout: float = Field(default=0.4, ge=0, lt=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall, and the epoch of the best F1.

        Example:
            >>> TaggerSettings.train_defaults("tagging")["monitor"]
            'score'
        """
        recipe = text_recipe(num_rows, lr=0.004, epochs=20)
        return {**recipe, "batch_size": 32, "monitor": "score"}

    def for_data(
        self, num_rows: int, num_inputs: int, num_outputs: int, task: str = "tagging"
    ) -> TaggerSettings:
        """The head that suits the number of tags."""
        head = self.head
        if head == "auto":
            head = "crf" if num_outputs <= MANY_TAGS else "softmax"
        return self.model_copy(update={"head": head})

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        words: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; without `for_data` its head is ``crf``.

        Args:
            num_inputs: 0.
            num_outputs: Tags.
            cardinalities: None.
            words: Of the one column of words, how many numbers each feature may be, and last how
                many each letter may be.

        Raises:
            InputError: If there is no column of words, or anything beside one.
        """
        self.check_sizes(num_inputs, num_outputs, cardinalities, words=words)
        return Tagger(self, list(words[0]), num_outputs)


class Tagger(nn.Module):
    """Vectors of words, an LSTM in both directions, and a head at each word.

    Args:
        settings: The settings.
        sizes: How many numbers each feature of a word may be, and last each letter.
        num_outputs: Tags.

    Example:
        >>> network = Tagger(TaggerSettings(num_units=3, head="softmax"), [9, 5, 20], 4)
        >>> network(torch.ones(1, 2, 2 + 6, dtype=torch.long)).shape
        torch.Size([1, 2, 4])
    """

    def __init__(self, settings: TaggerSettings, sizes: list[int], num_outputs: int) -> None:
        super().__init__()
        self.dropout = settings.dropout
        first, *others = sizes[:-1]
        words = TokenVectors(first, settings.size, dropout=settings.word_dropout)
        parts = [
            TokenVectors(count, settings.feature_size, dropout=settings.feature_dropout)
            for count in others
        ]
        self.features = nn.ModuleList([words, *parts])
        self.letters = CharacterVectors(sizes[-1], settings.letter_size, settings.channels)
        width = settings.size + len(parts) * settings.feature_size + settings.channels
        self.lstm = LSTM(
            width,
            settings.num_units,
            num_layers=settings.num_layers,
            bidirectional=True,
            input_dropout=settings.dropout,
        )
        self.num_features = 2 * settings.num_units
        self.head = nn.Linear(self.num_features, num_outputs)
        self.chain = None if settings.head == "softmax" else ChainScores(num_outputs)

    def embed(
        self, words: Int[Tensor, "row position feature"]
    ) -> Float[Tensor, "row position unit"]:
        """What the head sees of each word."""
        count = len(self.features)
        parts = [layer(words[:, :, place]) for place, layer in enumerate(self.features)]
        vectors = torch.cat([*parts, self.letters(words[:, :, count:])], dim=2)
        states: Tensor = self.lstm(vectors, (words[:, :, 0] != PADDING).sum(dim=1))[0]
        kept = dropout(torch.ones_like(states[:, :1]), self.dropout, training=self.training)
        return states * kept

    def forward(self, words: Int[Tensor, "row position feature"]) -> Float[Tensor, "row ..."]:
        """Potentials of a chain of tags, or logarithms of shares; 0 behind a row's end."""
        scores = self.head(self.embed(words))
        real = words[:, :, 0] != PADDING
        if self.chain is not None:
            outputs: Tensor = self.chain(scores, real.sum(dim=1))
            return outputs
        logs: Tensor = scores.log_softmax(dim=2)
        return logs * real[:, :, None]
