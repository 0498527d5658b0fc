"""Text as the mean of its words' vectors, and of its pairs of words.

Variants: with or without pairs, any hidden layers.

Source:
    Joulin, Grave, Bojanowski, Mikolov (2017), "Bag of tricks for efficient text classification",
    arXiv 1607.01759 (fastText; pairs of words share hashed vectors).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional import dropout, masked_max, masked_mean
from glial.models.settings import ModelSettings
from glial.nn.tokens import PADDING, TokenVectors

_PRIME = 1_000_003


class BagOfWordsSettings(ModelSettings):
    """The mean and the maximum of the vectors of a text's words.

    Attributes:
        embedding_size: Length of a token's vector; None chooses by the number of rows.
        pairs: Vectors that pairs of neighbouring tokens share by their hash; 0 for none, which
            leaves the network blind to the order of words.
        token_dropout: Share of tokens taken for unknown in training.
        dropout: Share of features dropped in training, before the head.

    Example:
        >>> network = BagOfWordsSettings().build(0, 2, vocabularies=[100])
        >>> network(torch.tensor([[5, 7, 0]])).shape
        torch.Size([1, 2])
    """

    takes_numbers: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = True
    description: ClassVar[str] = "texts: mean of the vectors of words and of pairs of words"
    source: ClassVar[str] = "Joulin et al. (2017), arXiv 1607.01759"

    name: Literal["bag_of_words"] = "bag_of_words"
    embedding_size: int | None = Field(default=None, ge=1)
    pairs: int = Field(default=0, ge=0)
    pool: Literal["mean", "max", "both"] = "both"
    token_dropout: float = Field(default=0.1, ge=0, lt=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        return {
            "optimizer": "adamw",
            "lr": 0.003,
            "batch_size": 64,
            "epochs": 30,
            "schedule": "cosine",
            "weight_decay": 0.01,
        }

    def for_data(
        self, num_rows: int, num_inputs: int, num_outputs: int, task: str = "classification"
    ) -> BagOfWordsSettings:
        return self.model_copy(update={"embedding_size": self.embedding_size or 64})

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        vocabularies: Sequence[int] = (),
    ) -> nn.Module:
        self.check_sizes(num_inputs, num_outputs, cardinalities, vocabularies=vocabularies)
        return BagOfWords(self, vocabularies[0], num_outputs)


class BagOfWords(nn.Module):
    def __init__(self, settings: BagOfWordsSettings, vocabulary: int, num_outputs: int) -> None:
        super().__init__()
        size = settings.embedding_size or 64
        self.dropout = settings.dropout
        self.pool = settings.pool
        self.embedding = TokenVectors(vocabulary, size, dropout=settings.token_dropout)
        self.pairs = nn.Embedding(settings.pairs, size) if settings.pairs else None
        if self.pairs: self.pairs.weight.data.mul_(size**-0.5)
        self.num_features = size * ((2 if self.pool == "both" else 1)  + (settings.pairs > 0))
        self.norm = nn.LayerNorm(self.num_features)
        self.head = nn.Linear(self.num_features, num_outputs)

    def features(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row feature"]:
        mask = tokens != PADDING
        vectors = self.embedding(tokens)
        parts = []
        if self.pool != "max": parts.append(masked_mean(vectors, mask))
        if self.pool != "mean": parts.append(masked_max(vectors, mask))
        if self.pairs is not None:
            both = (tokens[:, :-1] * _PRIME + tokens[:, 1:]) % self.pairs.num_embeddings
            parts.append(masked_mean(self.pairs(both), mask[:, 1:]))
        return self.norm(torch.cat(parts, 1))

    def forward(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row output"]:
        return self.head(dropout(self.features(tokens), self.dropout, training=self.training))
