"""Free text as weighed counts of its commonest words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.data.cells import texts
from glial.data.settings import DataSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TextEncoder:
    """How often each known word stands in a text, by its logarithm, or weighed by rarity.

    Attributes:
        words: The known words, in lower case.
        rarity: What each word's count is multiplied by, [word]; none for the logarithm of one
            more than the count. Weighed counts are divided by their length as a vector.

    Source:
        Spärck Jones (1972), "A statistical interpretation of term specificity and its
        application in retrieval", doi:10.1108/eb026526.
    """

    words: list[str]
    rarity: Floats

    def __post_init__(self) -> None:
        if not self.words or len(set(self.words)) != len(self.words):
            raise ValueError("a text column has no words, or one twice")
        if len(self.rarity) not in (0, len(self.words)):
            raise ValueError("the words of a text column and their rarity do not fit")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> TextEncoder | None:
        """The commonest words of the training cells; None where there is no word at all."""
        from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

        kind = TfidfVectorizer if settings.text == "tf-idf" else CountVectorizer
        counter = kind(max_features=settings.max_words)
        try:
            counter.fit(_cells(column))
        except ValueError:  # an empty vocabulary
            return None
        rarity = counter.idf_ if settings.text == "tf-idf" else np.zeros(0)
        return cls(counter.get_feature_names_out().tolist(), rarity)

    @property
    def labels(self) -> list[str]:
        """The words."""
        return [f"says {word}" for word in self.words]

    def transform(self, column: pl.Series) -> Floats:
        """A number a word, [row, word]; zeros for a missing text."""
        from sklearn.feature_extraction.text import CountVectorizer

        counted = CountVectorizer(vocabulary=self.words).transform(_cells(column))
        counts: Floats = counted.toarray().astype(np.float64)
        if len(self.rarity) == 0:
            return np.log1p(counts)
        weighed = counts * self.rarity
        lengths = np.sqrt((weighed**2).sum(axis=1, keepdims=True))
        shares: Floats = weighed / np.maximum(lengths, 1e-12)
        return shares


def _cells(column: pl.Series) -> list[str]:
    return texts(column).fill_null("").to_list()
