"""Text as the mean and the maximum of its words' vectors, and the mean of its pairs of words'.

Variants: with or without pairs of words.

Source:
    Joulin, Grave, Bojanowski, Mikolov (2017), "Bag of tricks for efficient text classification",
    arXiv 1607.01759 (fastText: the mean, and pairs that share vectors by their hash). The maximum
    beside the mean: Shen et al. (2018), "Baseline needs more love", arXiv 1805.09843.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional import masked_max, masked_mean
from glial.models.text import TextNetwork, TextSettings, text_recipe
from glial.nn.tokens import PADDING

_PRIME = 1_000_003


class BagOfWordsSettings(TextSettings):
    """A bag of words, and of pairs of words.

    Attributes:
        pairs: Vectors that pairs of neighbouring tokens share by their hash, such as 20,000;
            with none the network is blind to the order of words.

    Example:
        >>> network = BagOfWordsSettings().build(0, 2, vocabularies=[100])
        >>> network(torch.tensor([[5, 7, 0]])).shape
        torch.Size([1, 2])
    """

    description: ClassVar[str] = "a text or two: the vectors of words and pairs of words, pooled"
    source: ClassVar[str] = "Joulin et al. (2017), arXiv 1607.01759"

    name: Literal["bag_of_words"] = "bag_of_words"
    pairs: int = Field(default=0, ge=0)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall.

        Example:
            >>> BagOfWordsSettings.train_defaults("classification")["lr"]
            0.003
        """
        return text_recipe(num_rows, lr=0.003, epochs=20)

    def network(self, vocabulary: int, num_outputs: int, size: int) -> TextNetwork:
        """The network of a vocabulary."""
        return BagOfWords(self, vocabulary, num_outputs, size)


class BagOfWords(TextNetwork):
    """Vectors of tokens and of pairs, pooled over the text, and a linear head.

    Args:
        settings: The settings.
        vocabulary: Number of tokens.
        num_outputs: Outputs.
        size: Length of a token's vector.

    Example:
        >>> network = BagOfWords(BagOfWordsSettings(), 10, 2, 4)
        >>> network.embed(torch.tensor([[3, 4, 0]])).shape
        torch.Size([1, 8])
    """

    def __init__(
        self, settings: BagOfWordsSettings, vocabulary: int, num_outputs: int, size: int
    ) -> None:
        super().__init__(settings, vocabulary, size)
        self.pairs = nn.Embedding(settings.pairs, size) if settings.pairs else None
        if self.pairs is not None:
            nn.init.normal_(self.pairs.weight, std=1 / math.sqrt(size))
        self.num_features = size * (2 + (self.pairs is not None))
        self.norm = nn.LayerNorm(self.num_features)
        self.head = nn.Linear(self.num_features, num_outputs)

    def embed(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row feature"]:
        """Mean and maximum of the tokens' vectors, and mean of the pairs', normalised."""
        mask = tokens != PADDING
        vectors = self.embedding(tokens)
        parts = [masked_mean(vectors, mask), masked_max(vectors, mask)]
        if self.pairs is not None:
            both = (tokens[:, :-1] * _PRIME + tokens[:, 1:]) % self.pairs.num_embeddings
            parts.append(masked_mean(self.pairs(both), mask[:, 1:]))
        features: Tensor = self.norm(torch.cat(parts, dim=1))
        return features
