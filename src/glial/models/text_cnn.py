"""x"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional import dropout, masked_max
from glial.models.settings import ModelSettings
from glial.nn.tokens import PADDING, TokenVectors


class TextCNNSettings(ModelSettings):
    takes_numbers: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = True
    description: ClassVar[str] = "texts: convolutions over neighbouring words, the largest of each"
    source: ClassVar[str] = "Kim (2014), arXiv 1408.5882"

    name: Literal["text_cnn"] = "text_cnn"
    embedding_size: int | None = Field(default=None, ge=1)
    widths: list[Annotated[int, Field(ge=1)]] = Field(default=[3, 4, 5], min_length=1)
    channels: int | None = Field(default=None, ge=1)
    token_dropout: float = Field(default=0.1, ge=0, lt=1)
    dropout: float = Field(default=0.5, ge=0, lt=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        return {
            "optimizer": "adamw",
            "lr": 0.001,
            "batch_size": 64,
            "epochs": 15,
            "schedule": "cosine",
            "weight_decay": 0.01,
        }

    def for_data(
        self, num_rows: int, num_inputs: int, num_outputs: int, task: str = "classification"
    ) -> TextCNNSettings:
        return self.model_copy(update={"embedding_size": self.embedding_size or 64, "channels": self.channels or 64})

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        vocabularies: Sequence[int] = (),
    ) -> nn.Module:
        self.check_sizes(num_inputs, num_outputs, cardinalities, vocabularies=vocabularies)
        return TextCNN(self, vocabularies[0], num_outputs)


class TextCNN(nn.Module):
    def __init__(self, settings: TextCNNSettings, vocabulary: int, num_outputs: int) -> None:
        super().__init__()
        size = settings.embedding_size or 64
        channels = settings.channels or 64
        self.dropout = settings.dropout
        self.embedding = TokenVectors(vocabulary, size, dropout=settings.token_dropout)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size, channels, width, padding="same") for width in settings.widths
        )
        self.num_features = channels * len(settings.widths)
        self.head = nn.Linear(self.num_features, num_outputs)

    def features(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row feature"]:
        mask = tokens != PADDING
        vectors = self.embedding(tokens).transpose(1, 2)
        found = [masked_max(conv(vectors).relu().transpose(1, 2), mask) for conv in self.convolutions]
        return torch.cat(found, dim=1)

    def forward(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row output"]:
        return self.head(dropout(self.features(tokens), self.dropout, training=self.training))
