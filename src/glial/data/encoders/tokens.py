"""Free text as tokens in their order: words or characters, by a vocabulary of the training rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor

from glial.data.cells import texts
from glial.data.settings import DataSettings, HeldAs

logger = logging.getLogger(__name__)

By = Literal["word", "character"]
PADDING, UNKNOWN, FIRST = 0, 1, 2
LONGEST = {"word": 400, "character": 1000}
FEW_KNOWN = 0.5

# Scripts that are written without spaces: each of their characters is a word.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_LETTERS = rf"[\p{{L}}\p{{M}}\p{{N}}_--[{_UNSPACED}]]+"
_WORDS = "|".join(
    [
        r"\p{Regional_Indicator}{2}",  # flags
        r"[\p{Extended_Pictographic}--\p{ASCII}]"  # emoji, joined ones too
        r"(?:\x{FE0F}|\p{Emoji_Modifier}|\x{200D}\p{Extended_Pictographic})*",
        rf"[{_UNSPACED}]\p{{M}}*",
        r"\p{N}+(?:[.,:]\p{N}+)+",  # 1,000.50 and 12:30
        rf"{_LETTERS}(?:'{_LETTERS})*",  # don't
        r"[^\s\p{C}]",
    ]
)
_PATTERNS = {"word": _WORDS, "character": r"(?s)."}


@dataclass(frozen=True)
class TokenEncoder:
    """The number of each token of a text: 0 is padding, 1 an unknown token, then the vocabulary.

    A text without any token, and a missing one, is the one token ``""``, so that no text is
    padding alone. Of a text longer than ``max_length`` both ends are kept.

    Attributes:
        by: What a token is.
        tokens: The vocabulary, commonest first.
        max_length: The most tokens of a text that are kept.

    Source:
        Sun, Qiu, Xu, Huang (2019), "How to fine-tune BERT for text classification?",
        arXiv 1905.05583, section 5.3.1 (both ends of a long text tell more than its start).

    Example:
        >>> encoder = TokenEncoder("word", ["good", "not"], max_length=4)
        >>> encoder.tensor(pl.Series(["not good", "Good grief!", None])).tolist()
        [[3, 2, 0], [2, 1, 1], [1, 0, 0]]
    """

    modality: ClassVar[HeldAs] = "text"

    by: By
    tokens: list[str]
    max_length: int

    def __post_init__(self) -> None:
        if len(set(self.tokens)) != len(self.tokens) or self.max_length < 2:
            raise ValueError("a text column has a token twice, or keeps less than two of a text")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> TokenEncoder:
        """The commonest tokens of the training cells, and a length that most of them have.

        Args:
            column: The training cells.
            settings: ``tokens``, ``max_tokens``, ``min_token_count`` and ``max_length``.
        """
        by: By = "character" if settings.tokens == "character" else "word"
        found = tokenize(column, by)
        known, share = known_tokens(found, settings)
        if settings.tokens == "auto" and share < FEW_KNOWN:
            by = "character"
            found = tokenize(column, by)
            known, share = known_tokens(found, settings)
        longest = settings.max_length
        if longest == "auto":
            usual = found.list.len().quantile(0.99, "nearest") or 2
            longest = max(2, min(int(usual), LONGEST[by]))
        logger.info(
            "column %r: tokens by %s, %d known (%.0f %% of the training text), at most %d a row",
            column.name,
            by,
            len(known),
            100 * share,
            longest,
        )
        return cls(by, known, int(longest))

    @property
    def size(self) -> list[int]:
        """How many numbers a token may be, padding and unknown ones included."""
        return [FIRST + len(self.tokens)]

    def tensor(self, column: pl.Series) -> Tensor:
        """Tokens of each cell, [row, position], padded at the end with 0 to the longest text."""
        found = tokenize(column, self.by)
        long = found.list.len() > self.max_length
        if long.any():
            logger.info(
                "column %r: %d of %d texts have more than %d tokens: their middle is left out",
                column.name,
                long.sum(),
                len(found),
                self.max_length,
            )
            tail = self.max_length // 2
            ends = found.list.head(self.max_length - tail).list.concat(found.list.tail(tail))
            found = ends.zip_with(long, found)
        lengths = found.list.len().to_numpy()
        codes = found.explode().replace_strict(
            pl.Series(self.tokens, dtype=pl.String),
            pl.Series(range(FIRST, self.size[0]), dtype=pl.Int32),
            default=UNKNOWN,
            return_dtype=pl.Int32,
        )
        kind = np.int16 if self.size[0] <= np.iinfo(np.int16).max else np.int32
        held = np.zeros((len(found), int(lengths.max(initial=1))), dtype=kind)
        held[np.arange(held.shape[1]) < lengths[:, None]] = codes.to_numpy()
        return torch.from_numpy(held)

    def finish(self, held: Tensor) -> Tensor:
        """Tokens of some rows, as long as the longest text among them."""
        longest = int((held != PADDING).any(dim=0).sum())
        return held[:, : max(1, longest)].long()

    def spell(self, numbers: Sequence[int]) -> list[str]:
        """Each token alone, in letters; ``""`` for padding and unknown ones.

        Args:
            numbers: Of tokens.

        Example:
            >>> TokenEncoder("word", ["good"], max_length=4).spell([2, 1])
            ['good', '']
        """
        return [self.tokens[n - FIRST] if n >= FIRST else "" for n in numbers]


def tokenize(column: pl.Series, by: By) -> pl.Series:
    """The tokens of each cell; an empty or missing cell has the one token ``""``.

    Text is brought to Unicode's form NFKC, by which full-width letters and ligatures are plain
    ones, and to lower case. Words are runs of letters, digits and marks with apostrophes inside
    them; numbers, emoji with their modifiers, and each punctuation mark are tokens of their own,
    as is each character of a script that is written without spaces.

    Args:
        column: Texts.
        by: What a token is.

    Returns:
        A list of tokens a cell.

    Source:
        Unicode Standard Annex 29, "Unicode text segmentation", of which this keeps the main
        rules.

    Example:
        >>> tokenize(pl.Series(["Don't panic, it's 12:30!", "日本"]), "word").to_list()
        [["don't", 'panic', ',', "it's", '12:30', '!'], ['日', '本']]
    """
    plain = texts(column).fill_null("").str.normalize("NFKC").str.to_lowercase()
    plain = plain.str.replace_all("’", "'", literal=True).str.replace_all(r"\s+", " ")
    found = pl.col("plain").str.extract_all(_PATTERNS[by])
    empty = pl.lit(pl.Series([[""]], dtype=pl.List(pl.String)))
    filled = pl.when(found.list.len() > 0).then(found).otherwise(empty)
    return pl.DataFrame({"plain": plain}).select(filled.alias(column.name)).to_series()


def known_tokens(found: pl.Series, settings: DataSettings) -> tuple[list[str], float]:
    """The tokens that are known, the most frequent first, and the share of the text they make.

    Args:
        found: A list of tokens a cell.
        settings: How often a token must stand there, and how many are known at most.

    Example:
        >>> found = pl.Series([["a", "b"], ["a", "b"], ["a", "c"], []])
        >>> known_tokens(found, DataSettings(min_token_count=2))
        (['a', 'b'], 0.8333333333333334)
    """
    counts = found.rename("token").explode().drop_nulls().value_counts(name="count")
    counts = counts.sort("count", "token", descending=[True, False])
    often = counts.filter(pl.col("count") >= settings.min_token_count).head(settings.max_tokens)
    return often["token"].to_list(), int(often["count"].sum()) / max(1, int(counts["count"].sum()))
