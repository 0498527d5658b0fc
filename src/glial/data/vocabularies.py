"""Texts as numbers of tokens and back: words, characters, or parts of words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

import polars as pl
import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.data.encoders.subwords import SPECIALS, Subwords, special_places, train_subwords
from glial.data.encoders.tokens import tokenize
from glial.data.stored import from_stored, to_stored

TokensName = Literal["word", "character", "bpe", "wordpiece"]


@runtime_checkable
class Vocabulary(Protocol):
    """What the numbers of tokens mean: 0 is padding.

    Attributes:
        by: What a token is.
        tokens: Each token, by its number.

    Example:
        >>> isinstance(PlainVocabulary.fit(["ab"], "character"), Vocabulary)
        True
    """

    @property
    def by(self) -> str:
        """What a token is."""

    @property
    def tokens(self) -> list[str]:
        """Each token, by its number."""

    @property
    def size(self) -> int:
        """How many tokens there are, special ones included."""

    @property
    def specials(self) -> dict[str, int]:
        """Numbers of ``padding``, ``unknown``, ``start``, ``end`` (a separator too), ``mask``."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, none special but the unknown one; none of an empty text."""

    def decode(self, rows: Iterable[Sequence[int]]) -> list[str]:
        """The text of each row of tokens, special ones but the unknown one left out."""


@dataclass(frozen=True)
class PlainVocabulary:
    """Words in lower case, or characters as they stand.

    Characters are decoded to the text that they came from; words to words with blanks between.

    Attributes:
        by: What a token is; words are those of `tokenize`.
        tokens: Each token, by its number; the first are the special ones.

    Raises:
        ValueError: If a token stands there twice, or a special one is missing.

    Example:
        >>> vocabulary = PlainVocabulary.fit(["a cat", "A dog"], "word")
        >>> vocabulary.encode(["a cow"])
        [[5, 1]]
        >>> vocabulary.decode([[5, 6, 0]])
        ['a cat']
    """

    by: Literal["word", "character"]
    tokens: list[str]

    def __post_init__(self) -> None:
        special_places(self.tokens)

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        by: Literal["word", "character"],
        *,
        max_tokens: int = 20_000,
        min_count: int = 1,
    ) -> PlainVocabulary:
        """The commonest tokens of some texts.

        Args:
            texts: The texts.
            by: What a token is.
            max_tokens: The most tokens, special ones included.
            min_count: Tokens that stand fewer times are unknown.
        """
        found = pl.Series("token", _cut(texts, by), dtype=pl.List(pl.String)).explode()
        counts = found.drop_nulls().value_counts(name="count")
        counts = counts.filter(pl.col("count") >= min_count, ~pl.col("token").is_in(SPECIALS))
        counts = counts.sort("count", "token", descending=[True, False])
        known = counts.head(max(0, max_tokens - len(SPECIALS)))["token"].to_list()
        return cls(by, [*SPECIALS, *known])

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return len(self.tokens)

    @cached_property
    def specials(self) -> dict[str, int]:
        """Numbers of the special tokens."""
        return special_places(self.tokens)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {token: place for place, token in enumerate(self.tokens)}

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text."""
        places, unknown = self._places, self.specials["unknown"]
        left = set(SPECIALS)
        return [
            [unknown if token in left else places.get(token, unknown) for token in row]
            for row in _cut(texts, self.by)
        ]

    def decode(self, rows: Iterable[Sequence[int]]) -> list[str]:
        """The text of each row of tokens."""
        unknown = self.specials["unknown"]
        aside = set(self.specials.values()) - {unknown}
        joint = " " if self.by == "word" else ""
        return [
            joint.join(self.tokens[place] for place in row if place not in aside) for row in rows
        ]


def _cut(texts: Sequence[str], by: Literal["word", "character"]) -> list[list[str]]:
    if by == "character":
        return [list(text) for text in texts]
    column = pl.Series("text", list(texts), dtype=pl.String)
    return [[token for token in row if token] for row in tokenize(column, by).to_list()]


def fit_vocabulary(
    texts: Sequence[str], by: TokensName, *, max_tokens: int = 20_000, min_count: int = 1
) -> Vocabulary:
    """The vocabulary of some texts: the same for the same texts.

    Args:
        texts: Training texts.
        by: What a token is: see `PlainVocabulary` and `Subwords`.
        max_tokens: The most tokens, special ones included.
        min_count: Tokens that stand fewer times are not told apart.

    Raises:
        InputError: If there is no room for the tokens that every vocabulary of a kind has, or the
            library that finds subwords is not installed.

    Example:
        >>> fit_vocabulary(["to be", "or not to be"], "character").size
        12
    """
    if by == "word" or by == "character":
        return PlainVocabulary.fit(texts, by, max_tokens=max_tokens, min_count=min_count)
    return train_subwords(texts, by, max_tokens=max_tokens, min_count=min_count)


def vocabulary_state(vocabulary: Vocabulary) -> dict[str, Any]:
    """A vocabulary as plain values, for a file of JSON.

    Example:
        >>> vocabulary_state(PlainVocabulary("character", [*SPECIALS, "a"]))["by"]
        'character'
    """
    return to_stored(vocabulary)[0]


def load_vocabulary(state: dict[str, Any]) -> Vocabulary:
    """The vocabulary that `vocabulary_state` took apart.

    Raises:
        InputError: If the values are not those of a vocabulary.

    Example:
        >>> state = vocabulary_state(PlainVocabulary("character", [*SPECIALS, "a"]))
        >>> load_vocabulary(state).encode(["ab"])
        [[5, 1]]
    """
    kind: Any = PlainVocabulary if state.get("by") in ("word", "character") else Subwords
    try:
        found: Vocabulary = from_stored(kind, state, {})
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            "a saved vocabulary is damaged",
            expected="tokens as Glial wrote them",
            got=f"{type(error).__name__}: {error}",
            do="the file was changed: restore it, or train again",
        ) from error
    return found


def padded(rows: Sequence[Sequence[int]], *, longest: int | None = None) -> Tensor:
    """Rows of tokens as one tensor, 0 behind the end of shorter ones.

    Args:
        rows: Tokens of each row.
        longest: Places of the tensor, of which longer rows keep the first; None is the longest row.

    Returns:
        Numbers of tokens, [row, place].

    Example:
        >>> padded([[5, 6], [7]]).tolist()
        [[5, 6], [7, 0]]
    """
    width = max((len(row) for row in rows), default=0) if longest is None else longest
    filled = [[*row[:width], *([0] * (width - len(row)))] for row in rows]
    return torch.tensor(filled, dtype=torch.int64).reshape(len(rows), width)
