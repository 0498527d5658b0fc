"""Vectors of words as means of vectors of their parts, so that unseen words have one too.

Source:
    Bojanowski, Grave, Joulin, Mikolov (2017), "Enriching word vectors with subword information",
    arXiv 1607.04606; the hash and the borders of parts are those of the authors' code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from glial.models.word2vec import Word2Vec, Word2VecSettings
from glial.models.word_vectors import FIRST

_BASIS, _PRIME = 2166136261, 16777619


def fnv1a(part: str) -> int:
    """A hash of 32 bits, of a text's bytes in UTF-8.

    Bytes from 128 on are taken as negative numbers, as they are in fastText, whose vectors
    could not be read otherwise.

    Source:
        Fowler, Noll, Vo, "The FNV non-cryptographic hash algorithm", RFC 9923.

    Example:
        >>> hex(fnv1a("a"))
        '0xe40c292c'
    """
    value = _BASIS
    for byte in part.encode():
        value = ((value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * _PRIME) & 0xFFFFFFFF
    return value


def subwords(word: str, min_n: int = 3, max_n: int = 6) -> list[str]:
    """The parts of a word between its borders ``<`` and ``>``; the borders alone are none.

    Args:
        word: The word.
        min_n: Least characters of a part.
        max_n: Most.

    Example:
        >>> subwords("as", 3, 4)
        ['<as', '<as>', 'as>']
    """
    whole = f"<{word}>"
    return [
        whole[begin : begin + length]
        for begin in range(len(whole))
        for length in range(min_n, max_n + 1)
        if begin + length <= len(whole)
        and not (length == 1 and (begin == 0 or begin == len(whole) - 1))
    ]


class FastTextSettings(Word2VecSettings):
    """Word2vec with vectors of words that are means of vectors of their parts.

    Attributes:
        min_n: Least characters of a part, borders of the word included.
        max_n: Most; 0 has no parts.
        buckets: Vectors that all parts share by their hash.

    Example:
        >>> network = FastTextSettings(buckets=20).build(0, 4, vocabularies=[10])
        >>> network.vector("unseen").shape
        torch.Size([4])
    """

    description: ClassVar[str] = "plain text: vectors of words, also unseen ones, by their parts"
    source: ClassVar[str] = "Bojanowski et al. (2017), arXiv 1607.04606"

    name: Literal["fasttext"] = "fasttext"  # type: ignore[assignment]
    min_n: int = Field(default=3, ge=1, le=100)
    max_n: int = Field(default=6, ge=0, le=100)
    buckets: int = Field(default=100_000, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> FastTextSettings:
        if self.max_n and self.max_n < self.min_n:
            raise ValueError(f"model.max_n of at least {self.min_n}, or 0, not {self.max_n}")
        return self

    def network(self, vocabulary: int, size: int) -> nn.Module:
        """The network of a vocabulary."""
        return FastText(self, vocabulary, size)


class FastText(Word2Vec):
    """Vectors of words and, behind them in one table, of the buckets that their parts fall in.

    The buffers ``parts`` and ``ends`` hold which rows each word is the mean of.

    Args:
        settings: The settings.
        vocabulary: Number of tokens.
        size: Numbers of a word's vector.

    Example:
        >>> network = FastText(FastTextSettings(buckets=20), 3, 4)
        >>> network.set_words(["as"], torch.tensor([0, 0, 1]))
        >>> network.ends.tolist()  # itself, '<as', '<as>' and 'as>'
        [1, 2, 6]
    """

    parts: Tensor
    ends: Tensor

    def __init__(self, settings: FastTextSettings, vocabulary: int, size: int) -> None:
        super().__init__(settings, vocabulary, size)
        self.settings: FastTextSettings = settings
        self.embedding = nn.Embedding(vocabulary + settings.buckets, size)
        with torch.no_grad():
            self.embedding.weight.uniform_(-1 / size, 1 / size)
            self.embedding.weight[:FIRST] = 0
        self.register_buffer("parts", torch.arange(vocabulary))
        self.register_buffer("ends", torch.arange(1, vocabulary + 1))

    @property
    def vocabulary(self) -> int:
        """Number of tokens."""
        return self.counts.shape[0]

    def buckets_of(self, word: str) -> list[int]:
        """Rows of the table in which a word's parts fall.

        Args:
            word: Any word.
        """
        found = subwords(word, self.settings.min_n, self.settings.max_n)
        return [self.vocabulary + fnv1a(part) % self.settings.buckets for part in found]

    def set_words(self, words: Sequence[str], counts: Int[Tensor, " word"]) -> None:
        """Take in the text's words, of which parts, and how often each stands there."""
        super().set_words(words, counts)
        rows = [[number] for number in range(FIRST)]
        rows += [[number, *self.buckets_of(word)] for number, word in enumerate(words, FIRST)]
        self.parts = torch.tensor([row for parts in rows for row in parts])
        self.ends = torch.tensor([len(parts) for parts in rows]).cumsum(0)

    def vectors(self) -> Float[Tensor, "word feature"]:
        """The vector of each word of the vocabulary."""
        starts = nn.functional.pad(self.ends[:-1], (1, 0))
        bags: Tensor = nn.functional.embedding_bag(
            self.parts, self.embedding.weight, starts, mode="mean"
        )
        return bags

    def vector(self, word: str) -> Float[Tensor, " feature"]:
        """The vector of a word that the text did not have; zeros where it has no part."""
        rows = self.buckets_of(word)
        table = self.embedding.weight
        return table[rows].mean(dim=0) if rows else table.new_zeros(table.shape[1])

    def hidden(self, words: Int[Tensor, " row"]) -> Float[Tensor, "row feature"]:
        """Vectors of words as they are learnt: their gradients are those of their parts' rows."""
        ends = self.ends[words]
        lengths = ends - nn.functional.pad(self.ends[:-1], (1, 0))[words]
        starts = lengths.cumsum(0) - lengths
        inside = torch.arange(int(lengths.sum())) - starts.repeat_interleave(lengths)
        places = (ends - lengths).repeat_interleave(lengths) + inside
        bags: Tensor = nn.functional.embedding_bag(
            self.parts[places], self.embedding.weight, starts, mode="mean", sparse=True
        )
        return bags

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take buffers of any length; the rows that they name must be there."""
        for name in ("parts", "ends"):
            value = state_dict.get(prefix + name)
            if isinstance(value, Tensor):
                setattr(self, name, value.new_empty(value.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if not _fit(self.parts, self.ends, self.vocabulary, self.embedding.num_embeddings):
            raise RuntimeError("the parts of words name rows that are not there")


def _fit(parts: Tensor, ends: Tensor, vocabulary: int, rows: int) -> bool:
    """Whether each word has parts, and each part a row."""
    whole = parts.ndim == ends.ndim == 1 and parts.dtype == ends.dtype == torch.int64
    if not whole or len(ends) != vocabulary or not len(parts):
        return False
    lengths = ends.diff(prepend=ends.new_zeros(1))
    inside = int(parts.min()) >= 0 and int(parts.max()) < rows
    return bool((lengths > 0).all()) and int(ends[-1]) == len(parts) and inside
