"""Convolutions over neighbouring words, and the largest value of each over the whole text.

Source:
    Kim (2014), "Convolutional neural networks for sentence classification", arXiv 1408.5882.
    Departures: vectors of words are learnt from the start, and words are dropped in training.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.functional import masked_max
from glial.models.text import TextNetwork, TextSettings, text_recipe
from glial.nn.tokens import PADDING


class TextCNNSettings(TextSettings):
    """A convolutional network of a text.

    Attributes:
        widths: Neighbouring tokens that a filter sees; a group of filters for each.
        channels: Filters of each group; None is as many as numbers in a token's vector.
        dropout: Share of features dropped in training, before the head.

    Example:
        >>> network = TextCNNSettings(channels=8).build(0, 2, vocabularies=[100])
        >>> network(torch.tensor([[5, 7, 0]])).shape
        torch.Size([1, 2])
    """

    description: ClassVar[str] = "a text or two: filters of neighbouring words, the largest of each"
    source: ClassVar[str] = "Kim (2014), arXiv 1408.5882"

    name: Literal["text_cnn"] = "text_cnn"
    widths: list[Annotated[int, Field(ge=1)]] = Field(default=[3, 4, 5], min_length=1)
    channels: int | None = Field(default=None, ge=1)
    dropout: float = Field(default=0.5, ge=0, lt=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall.

        Example:
            >>> TextCNNSettings.train_defaults("classification")["batch_size"]
            64
        """
        return text_recipe(num_rows, lr=0.001, epochs=10)

    def network(self, vocabulary: int, num_outputs: int, size: int) -> TextNetwork:
        """The network of a vocabulary."""
        return TextCNN(self, vocabulary, num_outputs, size)


class TextCNN(TextNetwork):
    """Vectors of tokens, groups of filters, their maxima over the text, and a linear head.

    Args:
        settings: The settings.
        vocabulary: Number of tokens.
        num_outputs: Outputs.
        size: Length of a token's vector.

    Example:
        >>> network = TextCNN(TextCNNSettings(widths=[2, 3]), 10, 2, 4)
        >>> network.embed(torch.tensor([[3, 4, 0]])).shape
        torch.Size([1, 8])
    """

    def __init__(
        self, settings: TextCNNSettings, vocabulary: int, num_outputs: int, size: int
    ) -> None:
        super().__init__(settings, vocabulary, size)
        channels = settings.channels or size
        self.filters = nn.ModuleList(nn.Conv1d(size, channels, w) for w in settings.widths)
        self.widths = settings.widths
        self.num_features = channels * len(settings.widths)
        self.head = nn.Linear(self.num_features, num_outputs)

    def embed(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row feature"]:
        """The largest value of each filter, centred on any token of the text.

        Behind a text's end a filter sees zeros, whether padding stands there or nothing.
        """
        mask = tokens != PADDING
        vectors = self.embedding(tokens).transpose(1, 2)
        found = []
        for filters, width in zip(self.filters, self.widths, strict=True):
            around = functional.pad(vectors, ((width - 1) // 2, width // 2))
            found.append(masked_max(filters(around).relu().transpose(1, 2), mask))
        return torch.cat(found, dim=1)
