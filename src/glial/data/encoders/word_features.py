"""Words of a sentence as numbers: the word, its shape, its beginning and end, its letters."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.data.lists import flat, listed
from glial.data.settings import DataSettings, HeldAs

logger = logging.getLogger(__name__)

PADDING, UNKNOWN, FIRST = 0, 1, 2
LETTERS = 20
# What is looked at of each word, in the order in which the numbers stand.
FEATURES: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "words": lambda word: word.str.to_lowercase().str.replace_all(r"\d", "0"),
    "shapes": lambda word: (
        word.str.replace_all(r"\p{Lu}+", "X")
        .str.replace_all(r"[\p{L}\p{M}--X]+", "x")
        .str.replace_all(r"\p{N}+", "d")
        .str.head(12)
    ),
    "starts_2": lambda word: word.str.to_lowercase().str.head(2),
    "starts_3": lambda word: word.str.to_lowercase().str.head(3),
    "ends_2": lambda word: word.str.to_lowercase().str.tail(2),
    "ends_3": lambda word: word.str.to_lowercase().str.tail(3),
}


@dataclass(frozen=True)
class WordFeaturesEncoder:
    """Words that are given one by one, as numbers: features by vocabularies, then letters.

    A number of each feature, then one of each letter: 0 is padding, 1 what training hardly knew,
    then the vocabulary. Of a word of more letters both ends are kept.

    Attributes:
        words: In lower case, digits as 0.
        shapes: Runs of capitals as X, of other letters as x, of digits as d, the rest as it is.
        starts_2: First two letters, in lower case.
        starts_3: First three letters.
        ends_2: Last two letters.
        ends_3: Last three letters.
        letters: Single characters as they are.
        num_letters: Letters of a word that are kept.

    Source:
        Collobert et al. (2011), "Natural language processing (almost) from scratch", JMLR 12,
        sections 3.2 and 6 (capitals and suffixes beside words).

    Example:
        >>> column = pl.Series("tokens", [["Paris", "is", "Paris"], ["is"]])
        >>> encoder = WordFeaturesEncoder.fit(column, DataSettings())
        >>> encoder.words, encoder.shapes
        (['is', 'paris'], ['Xx', 'x'])
        >>> encoder.tensor(column)[:, :, 0].tolist()
        [[3, 2, 3], [2, 0, 0]]
    """

    modality: ClassVar[HeldAs] = "words"

    words: list[str]
    shapes: list[str]
    starts_2: list[str]
    starts_3: list[str]
    ends_2: list[str]
    ends_3: list[str]
    letters: list[str]
    num_letters: int = LETTERS

    def __post_init__(self) -> None:
        tables = [*self._tables, self.letters]
        if self.num_letters < 2 or any(len(set(table)) != len(table) for table in tables):
            raise ValueError("a column of words has one twice, or keeps less than two letters")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> WordFeaturesEncoder:
        """The words, features and letters of the training cells.

        Args:
            column: The training cells: lists of words, or text with blanks between them.
            settings: ``max_tokens`` and ``min_token_count``.
        """
        words = _words(column)
        told = pl.DataFrame({"word": words}).select(
            make(pl.col("word")).alias(name) for name, make in FEATURES.items()
        )
        tables = {name: _vocabulary(told[name], settings) for name in FEATURES}
        letters = _vocabulary(words.str.split("").explode(), settings)
        known = told["words"].is_in(tables["words"]).mean()
        logger.info(
            "column %r: %d words known (%.0f %% of the training text), %d letters",
            column.name,
            len(tables["words"]),
            100 * float(known or 0.0),  # type: ignore[arg-type]
            len(letters),
        )
        return cls(**{**tables, "letters": letters})  # type: ignore[arg-type]

    @property
    def _tables(self) -> list[list[str]]:
        return [getattr(self, name) for name in FEATURES]

    @property
    def size(self) -> list[int]:
        """How many numbers each feature may be, and last how many each letter may be."""
        return [FIRST + len(table) for table in (*self._tables, self.letters)]

    def tensor(self, column: pl.Series) -> Tensor:
        """Features and letters of each word, [row, position, feature], 0 behind a row's end."""
        lists = listed(column)
        lengths = lists.list.len().to_numpy().astype(np.int64)
        width = len(FEATURES) + self.num_letters
        kind = np.int16 if max(self.size) <= np.iinfo(np.int16).max else np.int32
        held = np.zeros((len(lists), int(lengths.max(initial=1)), width), dtype=kind)
        words = _words(column)
        # Each distinct word is looked up once.
        distinct = words.unique(maintain_order=True)
        places = words.replace_strict(distinct, pl.Series(range(len(distinct)), dtype=pl.Int64))
        positions = np.arange(held.shape[1]) < lengths[:, None]
        held[positions] = self._numbers(distinct)[places.to_numpy()]
        return torch.from_numpy(held)

    def _numbers(self, words: pl.Series) -> NDArray[np.int64]:
        """Features and letters of some words, [word, feature]."""
        told = pl.DataFrame({"word": words}).select(
            _codes(make(pl.col("word")), getattr(self, name)).alias(name)
            for name, make in FEATURES.items()
        )
        tail = self.num_letters // 2
        letters = words.str.split("")
        ends = letters.list.head(self.num_letters - tail).list.concat(letters.list.tail(tail))
        kept = ends.zip_with(letters.list.len() > self.num_letters, letters)
        counts = kept.list.len().to_numpy()
        spelt = np.zeros((len(words), self.num_letters), dtype=np.int64)
        codes = pl.DataFrame({"letter": flat(kept)}).select(_codes(pl.col("letter"), self.letters))
        spelt[np.arange(self.num_letters) < counts[:, None]] = codes.to_series().to_numpy()
        return np.concatenate([told.to_numpy(), spelt], axis=1)

    def finish(self, held: Tensor) -> Tensor:
        """The words of some rows, as many as the longest row has."""
        longest = int((held[:, :, 0] != PADDING).any(dim=0).sum())
        return held[:, : max(1, longest)].long()


def _words(column: pl.Series) -> pl.Series:
    """The words of all cells, one after the other."""
    return flat(listed(column)).cast(pl.String).fill_null("").str.normalize("NFC")


def _codes(feature: pl.Expr, table: list[str]) -> pl.Expr:
    return feature.replace_strict(
        pl.Series(table, dtype=pl.String),
        pl.Series(range(FIRST, FIRST + len(table)), dtype=pl.Int64),
        default=UNKNOWN,
        return_dtype=pl.Int64,
    )


def _vocabulary(found: pl.Series, settings: DataSettings) -> list[str]:
    """What stands often enough, commonest first."""
    counts = found.rename("found").value_counts(name="count").drop_nulls()
    often = counts.filter(pl.col("count") >= settings.min_token_count)
    kept = often.sort("count", "found", descending=[True, False]).head(settings.max_tokens)
    return kept["found"].to_list()
