"""Running text as the numbers of its tokens, one behind the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

import polars as pl
import torch
from torch import Tensor

from glial.data.settings import HeldAs

if TYPE_CHECKING:
    from glial.data.vocabularies import Vocabulary


@dataclass(frozen=True)
class RunningTextEncoder:
    """A vocabulary for texts that are read from first to last, and not a row each.

    Attributes:
        by: What a token is.
        tokens: Each token, by its number.
        merges: For byte pairs, the pairs that are joined.
        lowercase: For WordPiece, whether capitals and accents are left out.

    Raises:
        ValueError: If the fields are not those of a vocabulary.

    Example:
        >>> from glial.data.vocabularies import fit_vocabulary
        >>> encoder = RunningTextEncoder.of(fit_vocabulary(["to be"], "character"))
        >>> encoder.stream(["be", "to"], separated=True).tolist()
        [3, 6, 7, 3, 9, 8, 3]
    """

    modality: ClassVar[HeldAs] = "text"

    by: Literal["word", "character", "bpe", "wordpiece"]
    tokens: list[str]
    merges: list[str]
    lowercase: bool

    def __post_init__(self) -> None:
        _ = self.vocabulary

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> RunningTextEncoder:
        """The encoder of a vocabulary."""
        by: Literal["word", "character", "bpe", "wordpiece"] = vocabulary.by  # type: ignore[assignment]
        merges = list(getattr(vocabulary, "merges", []))
        return cls(by, vocabulary.tokens, merges, getattr(vocabulary, "lowercase", False))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the numbers mean."""
        from glial.data.encoders.subwords import Subwords
        from glial.data.vocabularies import PlainVocabulary

        if self.by == "word" or self.by == "character":
            return PlainVocabulary(self.by, self.tokens)
        return Subwords(self.by, self.tokens, self.merges, self.lowercase)

    @property
    def size(self) -> list[int]:
        """How many numbers a token may be."""
        return [len(self.tokens)]

    def stream(self, texts: Sequence[str], *, separated: bool) -> Tensor:
        """The tokens of all texts, one behind the other, [token].

        Args:
            texts: The texts in their order.
            separated: Whether an end stands before, between and behind them.
        """
        end = [self.vocabulary.specials["end"]] if separated else []
        rows = self.vocabulary.encode(texts)
        return torch.tensor([*end, *(t for row in rows for t in (*row, *end))], dtype=torch.int32)

    def tensor(self, column: pl.Series) -> Tensor:
        """The tokens of each cell, [row, position], padded at the end with 0."""
        from glial.data.vocabularies import padded

        return padded(self.vocabulary.encode(column.fill_null("").to_list()))

    def finish(self, held: Tensor) -> Tensor:
        """The tokens of some rows."""
        return held.long()
