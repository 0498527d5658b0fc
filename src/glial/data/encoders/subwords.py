"""Parts of words as tokens: byte-pair and WordPiece, found in the training texts."""

from __future__ import annotations

import collections
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.core.optional import require
from glial.data.cells import texts as texts_of
from glial.data.settings import DataSettings, HeldAs
from glial.data.stored import read_columns

logger = logging.getLogger(__name__)

SubwordsName = Literal["bpe", "wordpiece"]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_MEANINGS = dict(zip(("padding", "unknown", "start", "end", "mask"), SPECIALS, strict=True))
_BYTES = 256
_INSIDE = "##"  # what a piece begins with that stands inside of a word
_MOST_CHARACTERS = 1000
LONGEST = 254  # two texts and what stands around them fit into 512 places


@dataclass(frozen=True)
class Subwords:
    """Words cut into parts, of which common ones are whole: no text is unknown for long.

    ``bpe`` joins bytes into ever longer parts, in the order of ``merges``; every text is decoded to
    itself. ``wordpiece`` cuts words, in lower case and without accents unless told otherwise, into
    the longest parts that are known; a character that training never showed makes its word unknown.
    What looks like a special token in a text is cut like the rest of it.

    Attributes:
        by: How words are cut.
        tokens: Each token, by its number, special ones included; padding is the first.
        merges: For ``bpe``, the pairs that are joined, first to last, a blank between each two.
        lowercase: For ``wordpiece``, whether capitals and accents are left out.

    Raises:
        ValueError: If a token stands there twice, a special one is missing, or a merge does not
            join tokens.

    Source:
        Sennrich, Haddow, Birch (2016), "Neural machine translation of rare words with subword
        units", arXiv 1508.07909, algorithm 1; on bytes: Radford et al. (2019), "Language models are
        unsupervised multitask learners", section 2.2. WordPiece: Wu et al. (2016), arXiv
        1609.08144, section 4.1.

    Example:
        >>> subwords = train_subwords(["low lower lowest"] * 5, "bpe", max_tokens=280)
        >>> subwords.decode(subwords.encode(["lowest slow 👍"]))
        ['lowest slow 👍']
    """

    by: SubwordsName
    tokens: list[str]
    merges: list[str]
    lowercase: bool

    def __post_init__(self) -> None:
        special_places(self.tokens)
        known = set(self.tokens)
        for merge in self.merges:
            left, _, right = merge.partition(" ")
            if not {left, right, left + right} <= known:
                raise ValueError(f"the merge {merge!r} does not join tokens")
        if self.by == "bpe" and sum(len(token) == 1 for token in known) < _BYTES:
            raise ValueError("a byte has no token")

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return len(self.tokens)

    @cached_property
    def specials(self) -> dict[str, int]:
        """Numbers of the special tokens."""
        return special_places(self.tokens)

    @cached_property
    def _tokenizer(self) -> Any:
        library = _library()
        places = {token: place for place, token in enumerate(self.tokens)}
        if self.by == "bpe":
            merges = [tuple(merge.split(" ")) for merge in self.merges]
            found = library.Tokenizer(library.models.BPE(places, merges))
        else:
            found = library.Tokenizer(library.models.WordPiece(places, unk_token="[UNK]"))
        return _cutting(found, self.by, lowercase=self.lowercase)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text."""
        found = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [one.ids for one in found]

    def decode(self, rows: Iterable[Sequence[int]]) -> list[str]:
        """The text of each row of tokens."""
        aside = set(self.specials.values()) - {self.specials["unknown"]}
        kept = [[int(place) for place in row if place not in aside] for row in rows]
        found: list[str] = self._tokenizer.decode_batch(kept, skip_special_tokens=False)
        return found


def special_places(tokens: Sequence[str]) -> dict[str, int]:
    """The number of each special token by its meaning.

    Args:
        tokens: All tokens by their number.

    Raises:
        ValueError: If a token stands there twice, or a special one is missing.

    Example:
        >>> special_places([*SPECIALS, "a"])["end"]
        3
    """
    if len(set(tokens)) != len(tokens) or tokens[:1] != SPECIALS[:1]:
        raise ValueError("a token stands there twice, or padding is not the first")
    return {meaning: tokens.index(token) for meaning, token in _MEANINGS.items()}


def train_subwords(
    texts: Sequence[str], by: SubwordsName, *, max_tokens: int = 20_000, min_count: int = 2
) -> Subwords:
    """The parts of words that are found in training texts: the same for the same texts.

    Args:
        texts: Training texts.
        by: How words are cut.
        max_tokens: The most tokens, special ones included; at least 261 for ``bpe``.
        min_count: Pairs that stand fewer times are not joined.

    Raises:
        InputError: If there is no room for all bytes, or the library is not installed.

    Example:
        >>> train_subwords(["low lower"] * 9, "wordpiece", max_tokens=30).tokens[5:]
        ['l', '##e', '##o', '##r', '##w', 'e', 'o', 'r', 'w', 'lo', 'low', '##er', 'lower']
    """
    least = len(SPECIALS) + (_BYTES if by == "bpe" else 4)
    if max_tokens < least:
        raise InputError(
            f"there is no room for a vocabulary by {by}",
            expected=f"data.max_tokens of at least {least}",
            got=str(max_tokens),
            do=f"set data.max_tokens to {max(least, 1000)} or more",
        )
    library = _library()
    options = {"vocab_size": max_tokens, "min_frequency": min_count, "show_progress": False}
    if by == "bpe":
        found = _cutting(library.Tokenizer(library.models.BPE()), by, lowercase=False)
        alphabet = sorted(library.pre_tokenizers.ByteLevel.alphabet())
        trainer = library.trainers.BpeTrainer(
            special_tokens=SPECIALS, initial_alphabet=alphabet, **options
        )
    else:
        found = _cutting(library.Tokenizer(library.models.WordPiece()), by, lowercase=True)
        first, inside = _characters(found, texts, (max_tokens - len(SPECIALS)) // 4)
        # Given beforehand, since the library numbers them in the order of a hash.
        pieces = [_INSIDE + character for character in inside]
        trainer = library.trainers.WordPieceTrainer(
            special_tokens=[*SPECIALS, *first, *pieces],
            initial_alphabet=sorted({*first, *inside}),
            limit_alphabet=len({*first, *inside}),
            **options,
        )
    found.train_from_iterator(texts, trainer)
    model = json.loads(found.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = [" ".join(pair) for pair in model.get("merges", [])]
    return Subwords(by, tokens, merges, by == "wordpiece")


def _library() -> Any:
    return require("tokenizers", extra="text", purpose="cutting words into parts")


def _cutting(tokenizer: Any, by: SubwordsName, *, lowercase: bool) -> Any:
    """A tokenizer with what comes before its model and after it."""
    library = _library()
    if by == "bpe":
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
    else:
        tokenizer.normalizer = library.normalizers.BertNormalizer(lowercase=lowercase)
        tokenizer.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = library.decoders.WordPiece(_INSIDE)
    return tokenizer


def _characters(tokenizer: Any, texts: Sequence[str], most: int) -> tuple[list[str], list[str]]:
    """The commonest characters: those that words begin with, and those inside of words."""
    words: collections.Counter[str] = collections.Counter()
    for text in texts:
        plain = tokenizer.normalizer.normalize_str(text)
        words.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(plain))
    counts: collections.Counter[str] = collections.Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    ordered = sorted(counts, key=lambda character: (-counts[character], character))
    known = set(ordered[: min(most, _MOST_CHARACTERS)])
    first = sorted(known & {word[0] for word in words})
    return first, sorted(known & {character for word in words for character in word[1:]})


@dataclass(frozen=True)
class SubwordEncoder:
    """A column of texts as numbers of subwords, between a start and an end.

    An empty or missing text is the start and the end alone. Of a text longer than ``max_length``
    both of its ends are kept.

    Attributes:
        subwords: The vocabulary.
        max_length: The most tokens of a text that are kept, start and end included.

    Example:
        >>> column = pl.Series("say", ["low lower"] * 9)
        >>> encoder = SubwordEncoder.fit(column, DataSettings(tokens="wordpiece", max_tokens=30))
        >>> encoder.tensor(pl.Series(["lower", None])).tolist()
        [[2, 17, 3], [2, 3, 0]]
    """

    modality: ClassVar[HeldAs] = "text"

    subwords: Subwords
    max_length: int

    def __post_init__(self) -> None:
        if self.max_length < 3:
            raise ValueError("a text column keeps less than three tokens of a text")

    @classmethod
    def fit(cls, column: pl.Series, settings: DataSettings) -> SubwordEncoder:
        """Subwords of the training cells, and a length that most of them have.

        Args:
            column: The training cells.
            settings: ``tokens``, ``vocabulary``, ``max_tokens``, ``min_token_count`` and
                ``max_length``.

        Raises:
            InputError: If there is no room for the vocabulary, or it cannot be read.
        """
        cells = texts_of(column).fill_null("").to_list()
        if settings.vocabulary is not None:
            subwords = read_subwords(Path(settings.vocabulary))
        else:
            by: SubwordsName = "bpe" if settings.tokens == "bpe" else "wordpiece"
            subwords = train_subwords(
                cells, by, max_tokens=settings.max_tokens, min_count=settings.min_token_count
            )
        longest = settings.max_length
        counts = np.array([len(row) + 2 for row in subwords.encode(cells)] or [2])
        if longest == "auto":
            usual = int(np.quantile(counts, 0.99, method="nearest"))
            longest = max(3, min(usual, LONGEST))
        logger.info(
            "column %r: tokens by %s%s, %d known, at most %d a row",
            column.name,
            subwords.by,
            "" if settings.vocabulary is None else f" of {settings.vocabulary}",
            subwords.size,
            longest,
        )
        return cls(subwords, max(3, int(longest)))

    @property
    def size(self) -> list[int]:
        """How many numbers a token may be."""
        return [self.subwords.size]

    def tensor(self, column: pl.Series) -> Tensor:
        """Tokens of each cell, [row, position], padded at the end with 0 to the longest text."""
        rows = self.subwords.encode(texts_of(column).fill_null("").to_list())
        room = self.max_length - 2
        over = [len(row) - room for row in rows if len(row) > room]
        if over:
            logger.info(
                "column %r: %d of %d texts have more than %d tokens: their middle is left out, "
                "%d tokens in all",
                column.name,
                len(over),
                len(rows),
                self.max_length,
                sum(over),
            )
        tail = room // 2
        start, end = self.subwords.specials["start"], self.subwords.specials["end"]
        kept = [r if len(r) <= room else [*r[: room - tail], *r[len(r) - tail :]] for r in rows]
        lengths = np.array([len(row) + 2 for row in kept], dtype=np.int64)
        kind = np.int16 if self.subwords.size <= np.iinfo(np.int16).max else np.int32
        held = np.zeros((len(rows), int(lengths.max(initial=1))), dtype=kind)
        whole = [token for row in kept for token in (start, *row, end)]
        held[np.arange(held.shape[1]) < lengths[:, None]] = whole
        return torch.from_numpy(held)

    def finish(self, held: Tensor) -> Tensor:
        """Tokens of some rows, as long as the longest text among them."""
        longest = int((held != 0).any(dim=0).sum())
        return held[:, : max(1, longest)].long()

    def spell(self, numbers: Sequence[int]) -> list[str]:
        """Each token alone, as the vocabulary has it.

        Args:
            numbers: Of tokens.
        """
        return [self.subwords.tokens[n] for n in numbers]


def read_subwords(path: Path) -> Subwords:
    """The subwords of a published vocabulary, or of a run.

    Args:
        path: A file ``vocab.txt`` with a token a line, as published with BERT, or a folder that
            holds one; or the folder of a run with subwords. A published vocabulary without capitals
            is taken for one of lower case.

    Raises:
        InputError: If there is none.
    """
    if (path / "encoding.json").exists():
        found = read_columns(path, "subwords", SubwordEncoder)
        if not found:
            raise _no_vocabulary(path, "a run whose texts are no subwords")
        return found[0].subwords
    file = path / "vocab.txt" if path.is_dir() else path
    try:
        tokens = file.read_text(encoding="utf-8").splitlines()
        lowercase = not any(t != t.lower() for t in tokens if not t.startswith("["))
        return Subwords("wordpiece", tokens, [], lowercase)
    except FileNotFoundError as error:
        raise _no_vocabulary(path, f"no {file.name} there") from error
    except (OSError, ValueError) as error:
        raise _no_vocabulary(path, str(error)) from error


def _no_vocabulary(path: Path, got: str) -> InputError:
    return InputError(
        f"there is no vocabulary at {path}",
        expected="a vocab.txt with a token a line, its folder, or the folder of a run",
        got=got,
        do="correct data.vocabulary; beside published weights lies their vocab.txt",
    )
