"""Text as tokens that can be put together again: for texts that are to be written."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import polars as pl
import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.data.cells import spelt
from glial.data.encoders.subwords import Subwords, train_subwords
from glial.data.encoders.tokens import known_tokens
from glial.data.settings import DataSettings, HeldAs

logger = logging.getLogger(__name__)

By = Literal["word", "character"]
PADDING, UNKNOWN, FIRST = 0, 1, 2
BLANK = "▁"
LONGEST = {"word": 200, "character": 400, "bpe": 250}
FEW_KNOWN = 0.5

_LETTERS = r"[\p{L}\p{M}\p{N}_--[▁\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}]]+"
_PIECES = "|".join(
    [
        r"%\([^)▁]*\)[-#0+]*\d*(?:\.\d+)?[a-zA-Z]",  # %(name)s
        r"%[-#0+]*\d*(?:\.\d+)?[sdifgr]",
        r"\{[^{}▁]*\}",
        r"\p{N}+(?:[.,:]\p{N}+)+",
        rf"{_LETTERS}(?:['’]{_LETTERS})*",
        r"[^▁]",
    ]
)
_PATTERNS = {"word": f"{BLANK}?(?:{_PIECES})|{BLANK}", "character": r"(?s)."}


@runtime_checkable
class Phrases(Protocol):
    """An encoder of texts whose tokens become texts again: 0 is padding, 1 an unknown token.

    Attributes:
        max_length: The most tokens of a text that are kept.
    """

    modality: ClassVar[HeldAs]

    @property
    def max_length(self) -> int:
        """The most tokens of a text that are kept; the end of a longer one is left out."""

    @property
    def size(self) -> list[int]:
        """How many numbers a token may be, padding and unknown ones included."""

    def tensor(self, column: pl.Series) -> Tensor:
        """Tokens of each cell, [row, position], padded at the end; no row is padding alone."""

    def finish(self, held: Tensor) -> Tensor:
        """Tokens of some rows, as long as the longest text among them."""

    def decode(self, rows: Iterable[Sequence[int]]) -> list[str]:
        """The text of each row of tokens."""

    def spell(self, numbers: Sequence[int]) -> list[str]:
        """Each token alone, in letters."""


def fit_phrases(column: pl.Series, settings: DataSettings) -> Phrases:
    """The tokens of training texts that are to be written or translated.

    Args:
        column: The training cells.
        settings: ``tokens``, ``max_tokens``, ``min_token_count`` and ``max_length``; ``auto`` is
            words, and characters where most words are rare.

    Raises:
        InputError: If texts cannot be put together from such tokens, or none is known.

    Example:
        >>> fit_phrases(pl.Series(["to be or not to be"]), DataSettings()).tokens
        ['▁be', '▁to']
    """
    if settings.tokens == "wordpiece" or settings.vocabulary is not None:
        raise InputError(
            "texts cannot be put together again from these tokens",
            expected="data.tokens word, character or bpe, found in the training texts",
            got="wordpiece" if settings.vocabulary is None else f"{settings.vocabulary}",
            do="set data.tokens=bpe, and leave data.vocabulary out",
        )
    if settings.tokens == "bpe":
        return SubwordPhraseEncoder.fit(column, settings)
    return PhraseEncoder.fit(column, settings)


@dataclass(frozen=True)
class PhraseEncoder:
    """The number of each word or character of a text, and back.

    A word has the blank before it in it, as ``▁``, so that tokens side by side are the text again,
    but for runs of blanks, which become one. Capitals stay. What a program fills in, such as
    ``%(name)s`` and ``{0}``, is one token. Of a text longer than ``max_length`` the end is left
    out. An empty text is one unknown token, so that no text is padding alone.

    Attributes:
        by: What a token is.
        tokens: The vocabulary, commonest first.
        max_length: The most tokens of a text that are kept.

    Source:
        Kudo and Richardson (2018), "SentencePiece", arXiv 1808.06226, section 3.1 (the blank as a
        part of the token).

    Example:
        >>> encoder = PhraseEncoder("word", ["▁Delete", "▁%(name)s", "?"], max_length=9)
        >>> encoder.tensor(pl.Series(["Delete  %(name)s?", "Go?"])).tolist()
        [[2, 3, 4], [1, 4, 0]]
        >>> encoder.decode([[2, 3, 4]])
        ['Delete %(name)s?']
    """

    modality: ClassVar[HeldAs] = "text"

    by: By
    tokens: list[str]
    max_length: int

    def __post_init__(self) -> None:
        if len(set(self.tokens)) != len(self.tokens) or self.max_length < 1:
            raise ValueError("a text column has a token twice, or keeps nothing of a text")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> PhraseEncoder:
        """The commonest tokens of the training cells, and a length that all have up to a limit.

        Args:
            column: The training cells.
            settings: ``tokens``, ``max_tokens``, ``min_token_count`` and ``max_length``.
        """
        by: By = "character" if settings.tokens == "character" else "word"
        found = pieces(column, by)
        known, share = known_tokens(_said(found), settings)
        if settings.tokens == "auto" and share < FEW_KNOWN:
            by = "character"
            found = pieces(column, by)
            known, share = known_tokens(_said(found), settings)
        longest = _longest(found.list.len().to_list(), by, settings)
        logger.info(
            "column %r: tokens by %s, %d known (%.0f %% of the training text), at most %d a text",
            column.name,
            by,
            len(known),
            100 * share,
            longest,
        )
        return cls(by, known, longest)

    @property
    def size(self) -> list[int]:
        """How many numbers a token may be, padding and unknown ones included."""
        return [FIRST + len(self.tokens)]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens, FIRST)}

    def tensor(self, column: pl.Series) -> Tensor:
        """Tokens of each cell, [row, position], padded at the end with 0 to the longest text."""
        known = self._numbers
        rows = [[known.get(token, UNKNOWN) for token in row] for row in pieces(column, self.by)]
        return _held(rows, self.max_length, column.name)

    def finish(self, held: Tensor) -> Tensor:
        """Tokens of some rows, as long as the longest text among them."""
        return _finished(held)

    def decode(self, rows: Iterable[Sequence[int]]) -> list[str]:
        """The text of each row of tokens; padding and unknown ones say nothing.

        Args:
            rows: Numbers of tokens, as `tensor` gives them.
        """
        return ["".join(self.spell(row)).replace(BLANK, " ").strip() for row in rows]

    def spell(self, numbers: Sequence[int]) -> list[str]:
        """Each token in letters; ``""`` for padding and unknown ones.

        Args:
            numbers: Of tokens.
        """
        return [self.tokens[n - FIRST] if n >= FIRST else "" for n in numbers]


@dataclass(frozen=True)
class SubwordPhraseEncoder:
    """The numbers of the parts of words of a text, by byte pairs, and back: no text is unknown.

    Blanks and length as for `PhraseEncoder`.

    Attributes:
        subwords: The parts.
        max_length: The most tokens of a text that are kept.

    Example:
        >>> settings = DataSettings(tokens="bpe", max_tokens=300, max_length=20)
        >>> encoder = fit_phrases(pl.Series(["Lower the lowest"] * 9), settings)
        >>> encoder.decode(encoder.tensor(pl.Series(["The slow owl"])).tolist())
        ['The slow owl']
    """

    modality: ClassVar[HeldAs] = "text"

    subwords: Subwords
    max_length: int

    def __post_init__(self) -> None:
        specials = self.subwords.specials
        if self.max_length < 1 or specials["padding"] != PADDING or specials["unknown"] != UNKNOWN:
            raise ValueError("a text column keeps nothing of a text, or padding is not the first")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> SubwordPhraseEncoder:
        """Byte pairs of the training cells, and a length that all have up to a limit.

        Args:
            column: The training cells.
            settings: ``max_tokens``, ``min_token_count`` and ``max_length``.

        Raises:
            InputError: If there is no room for all bytes, or the library is not installed.
        """
        cells = _plain(column).to_list()
        subwords = train_subwords(
            cells, "bpe", max_tokens=settings.max_tokens, min_count=settings.min_token_count
        )
        counts = [len(row) for row in subwords.encode(cells)]
        longest = _longest(counts, "bpe", settings)
        logger.info(
            "column %r: tokens by bpe, %d known, at most %d a text",
            column.name,
            subwords.size,
            longest,
        )
        return cls(subwords, longest)

    @property
    def size(self) -> list[int]:
        """How many numbers a token may be, padding and unknown ones included."""
        return [self.subwords.size]

    def tensor(self, column: pl.Series) -> Tensor:
        """Tokens of each cell, [row, position], padded at the end with 0 to the longest text."""
        rows = self.subwords.encode(_plain(column).to_list())
        return _held([row or [UNKNOWN] for row in rows], self.max_length, column.name)

    def finish(self, held: Tensor) -> Tensor:
        """Tokens of some rows, as long as the longest text among them."""
        return _finished(held)

    def decode(self, rows: Iterable[Sequence[int]]) -> list[str]:
        """The text of each row of tokens; padding and unknown ones say nothing.

        Args:
            rows: Numbers of tokens, as `tensor` gives them.
        """
        kept = [[number for number in row if number > UNKNOWN] for row in rows]
        return [text.strip() for text in self.subwords.decode(kept)]

    def spell(self, numbers: Sequence[int]) -> list[str]:
        """Each token in letters, with ``▁`` for a blank; ``""`` for padding and unknown ones.

        Args:
            numbers: Of tokens.
        """
        told = self.subwords.decode([[n] if n > UNKNOWN else [] for n in numbers])
        return [text.replace(" ", BLANK) for text in told]


def pieces(column: pl.Series, by: By) -> pl.Series:
    """The tokens of each cell; an empty or missing cell has the one token ``""``.

    Args:
        column: Texts.
        by: What a token is.

    Returns:
        A list of tokens a cell, which side by side are the text with ``▁`` for blanks.

    Example:
        >>> pieces(pl.Series(["Don't go, Al", None]), "word").to_list()
        [["▁Don't", '▁go', ',', '▁Al'], ['']]
    """
    plain = _plain(column)
    marked = (BLANK if by == "word" else "") + plain.str.replace_all(" ", BLANK, literal=True)
    found = marked.str.extract_all(_PATTERNS[by])
    empty = pl.Series([[""]], dtype=pl.List(pl.String)).new_from_index(0, len(found))
    return found.zip_with(plain != "", empty).alias(column.name)


def _plain(column: pl.Series) -> pl.Series:
    """The texts with runs of blanks made one; missing ones are empty."""
    return spelt(column).fill_null("").str.replace_all(r"[\s▁]+", " ").str.strip_chars()


def _said(found: pl.Series) -> pl.Series:
    """The tokens without those that stand for a text of none."""
    return found.list.eval(pl.element().filter(pl.element() != ""))


def _longest(counts: list[int], by: str, settings: DataSettings) -> int:
    if settings.max_length != "auto":
        return int(settings.max_length)
    return max(1, min(max(counts, default=1), LONGEST[by]))


def _held(rows: list[list[int]], longest: int, name: str) -> Tensor:
    """Rows of tokens as one tensor; what is left out is said."""
    over = [len(row) - longest for row in rows if len(row) > longest]
    if over:
        logger.warning(
            "column %r: %d of %d texts have more than %d tokens: their end is left out, "
            "%d tokens in all",
            name,
            len(over),
            len(rows),
            longest,
            sum(over),
        )
    kept = [row[:longest] for row in rows]
    lengths = np.array([len(row) for row in kept], dtype=np.int64)
    held = np.zeros((len(rows), int(lengths.max(initial=1))), dtype=np.int32)
    held[np.arange(held.shape[1]) < lengths[:, None]] = [n for row in kept for n in row]
    return torch.from_numpy(held)


def _finished(held: Tensor) -> Tensor:
    longest = int((held != PADDING).any(dim=0).sum())
    return held[:, : max(1, longest)].long()
