"""x"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional import dropout, masked_max, masked_mean
from glial.models.settings import ModelSettings
from glial.nn.tokens import PADDING, BidirectionalGRU, TokenVectors


class TextGRUSettings(ModelSettings):
    takes_numbers: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = True
    description: ClassVar[str] = "texts: a GRU from both ends, the largest of its states"
    source: ClassVar[str] = "Cho et al. (2014), arXiv 1406.1078"

    name: Literal["text_gru"] = "text_gru"
    embedding_size: int | None = Field(default=None, ge=1)
    num_units: int | None = Field(default=None, ge=1)
    pool: str = "max"
    token_dropout: float = Field(default=0.1, ge=0, lt=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        return {
            "optimizer": "adamw",
            "lr": 0.002,
            "batch_size": 64,
            "epochs": 10,
            "schedule": "cosine",
            "weight_decay": 0.01,
            "clip_norm": 1.0,
        }

    def for_data(
        self, num_rows: int, num_inputs: int, num_outputs: int, task: str = "classification"
    ) -> TextGRUSettings:
        return self.model_copy(update={"embedding_size": self.embedding_size or 64, "num_units": self.num_units or 64})

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        vocabularies: Sequence[int] = (),
    ) -> nn.Module:
        self.check_sizes(num_inputs, num_outputs, cardinalities, vocabularies=vocabularies)
        return TextGRU(self, vocabularies[0], num_outputs)


class TextGRU(nn.Module):
    def __init__(self, settings: TextGRUSettings, vocabulary: int, num_outputs: int) -> None:
        super().__init__()
        size = settings.embedding_size or 64
        units = settings.num_units or 64
        self.dropout = settings.dropout
        self.embedding = TokenVectors(vocabulary, size, dropout=settings.token_dropout)
        self.gru = BidirectionalGRU(size, units)
        self.num_features = 2 * units
        self.head = nn.Linear(self.num_features, num_outputs)

    def features(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row feature"]:
        mask = tokens != PADDING
        states = self.gru(self.embedding(tokens), mask.sum(dim=1))
        return masked_max(states, mask)

    def forward(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row output"]:
        return self.head(dropout(self.features(tokens), self.dropout, training=self.training))
