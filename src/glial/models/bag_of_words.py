"""Text as which words and pairs of words it has, and as its words' vectors, pooled.

A wide part, linear in the words and pairs that a text has, learns what rare ones say; beside it a
deep one, the mean and the maximum of the words' vectors, learns which words are alike.

Variants: with or without the wide part, with or without vectors of pairs.

Source:
    Joulin, Grave, Bojanowski, Mikolov (2017), "Bag of tricks for efficient text classification",
    arXiv 1607.01759 (fastText: the mean, and pairs that share vectors by their hash). The maximum
    beside the mean: Shen et al. (2018), "Baseline needs more love", arXiv 1805.09843. Wide and
    deep in one: Cheng et al. (2016), "Wide & deep learning", arXiv 1606.07792.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional import dropout, masked_max, masked_mean
from glial.models.text import TextNetwork, TextSettings, text_recipe
from glial.nn.tokens import PADDING, TokenPresence, pair_numbers

# Numbers in the table of pairs' scores: as many as cost little beside the vectors.
_MOST_PLACES, _MOST_SCORES = 2**17, 2**19


class BagOfWordsSettings(TextSettings):
    """A bag of words, and of pairs of words.

    Attributes:
        pairs: Vectors that pairs of neighbouring tokens share by their hash, such as 20,000.
        wide: Scores that pairs share by their hash in the wide part; None is 131,072, and fewer
            from five outputs on. With 0 there is no wide part, and without ``pairs`` too the
            network is blind to the order of words.

    Example:
        >>> network = BagOfWordsSettings().build(0, 2, vocabularies=[100])
        >>> network(torch.tensor([[5, 7, 0]])).shape
        torch.Size([1, 2])
    """

    description: ClassVar[str] = (
        "a text or two: which words and pairs it has, words' vectors pooled"
    )
    source: ClassVar[str] = "Joulin et al. (2017), arXiv 1607.01759"

    name: Literal["bag_of_words"] = "bag_of_words"
    pairs: int = Field(default=0, ge=0)
    wide: int | None = Field(default=None, ge=0)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall.

        Example:
            >>> BagOfWordsSettings.train_defaults("classification")["lr"]
            0.003
        """
        return text_recipe(num_rows, lr=0.003, epochs=8)

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
        torch.Size([1, 10])
    """

    def __init__(
        self, settings: BagOfWordsSettings, vocabulary: int, num_outputs: int, size: int
    ) -> None:
        super().__init__(settings, vocabulary, size)
        self.pairs = nn.Embedding(settings.pairs, size) if settings.pairs else None
        if self.pairs is not None:
            nn.init.normal_(self.pairs.weight, std=1 / math.sqrt(size))
        self.num_pooled = pooled = size * (2 + (self.pairs is not None))
        self.norm = nn.LayerNorm(pooled)
        places = settings.wide
        if places is None:
            places = max(1, min(_MOST_PLACES, _MOST_SCORES // num_outputs))
        self.wide = TokenPresence(vocabulary, places, num_outputs) if places else None
        self.num_features = pooled + (num_outputs if places else 0)
        self.head = nn.Linear(self.num_features, num_outputs)
        if places:  # the head starts as the sum of both parts
            with torch.no_grad():
                self.head.weight[:, pooled:] = torch.eye(num_outputs)

    def embed(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row feature"]:
        """The tokens' vectors and those of pairs, pooled and normalised; the wide part's scores."""
        mask = tokens != PADDING
        vectors = self.embedding(tokens)
        parts = [masked_mean(vectors, mask), masked_max(vectors, mask)]
        if self.pairs is not None:
            both = pair_numbers(tokens, self.pairs.num_embeddings)
            parts.append(masked_mean(self.pairs(both), mask[:, 1:]))
        features: Tensor = self.norm(torch.cat(parts, dim=1))
        return features if self.wide is None else torch.cat([features, self.wide(tokens)], dim=1)

    def forward(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row output"]:
        """The head's output for each text; in training no score of the wide part is dropped."""
        features = self.embed(tokens)
        pooled = dropout(features[:, : self.num_pooled], self.dropout, training=self.training)
        outputs: Tensor = self.head(torch.cat([pooled, features[:, self.num_pooled :]], dim=1))
        return outputs
