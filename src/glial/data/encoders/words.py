"""Free text as counts of its commonest words."""

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
    """The logarithm of one more than how often each known word stands in the text.

    Attributes:
        words: The known words, in lower case.
    """

    words: list[str]

    def __post_init__(self) -> None:
        if not self.words or len(set(self.words)) != len(self.words):
            raise ValueError("a text column has no words, or one twice")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> TextEncoder | None:
        """The commonest words of the training cells; None where there is no word at all."""
        from sklearn.feature_extraction.text import CountVectorizer

        counter = CountVectorizer(max_features=settings.max_words)
        try:
            counter.fit(_cells(column))
        except ValueError:  # an empty vocabulary
            return None
        return cls(counter.get_feature_names_out().tolist())

    @property
    def labels(self) -> list[str]:
        """The words."""
        return [f"says {word}" for word in self.words]

    def transform(self, column: pl.Series) -> Floats:
        """The counts' logarithms, [row, word]; zeros for a missing text."""
        from sklearn.feature_extraction.text import CountVectorizer

        counts = CountVectorizer(vocabulary=self.words).transform(_cells(column))
        numbers: Floats = np.log1p(counts.toarray().astype(np.float64))
        return numbers


def _cells(column: pl.Series) -> list[str]:
    return texts(column).fill_null("").to_list()
