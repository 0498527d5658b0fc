"""What all networks of word vectors have in common: their settings, and a text as a mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.data.batches import Batches
from glial.data.word_windows import ContextBatches, WordStream
from glial.models.settings import ModelSettings
from glial.nn.tokens import UNKNOWN

FIRST = UNKNOWN + 1
PAIRS_AT_ONCE = 4096
# Scores of all words are computed for so many rows at once that this many stand in memory.
SCORES_AT_ONCE = 1 << 22


class WordVectorSettings(ModelSettings):
    """A network that learns vectors of words from plain text.

    Attributes:
        window: Most words on either side that a word is learnt with.

    Example:
        >>> WordVectorSettings().window
        5
    """

    tasks: ClassVar[tuple[str, ...]] = ("embedding",)
    takes_numbers: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = True
    objective: ClassVar[str] = "row_descent"
    way: ClassVar[str | None] = "word-vectors"

    window: int = Field(default=5, ge=1, le=1000)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Adagrad, its rate falling to zero along a line, and the last epoch's vectors.

        Args:
            task: ``embedding``.
            num_rows: Words of the text.

        Example:
            >>> WordVectorSettings.train_defaults("embedding")["schedule"]
            'linear'
        """
        return {
            "optimizer": "adagrad",
            "lr": 0.1,
            "eps": 1e-10,
            "schedule": "linear",
            "epochs": 10,
            "batch_size": block_size(num_rows, least=256, most=1024),
            "restore_best": False,
        }

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        vocabularies: Sequence[int] = (),
    ) -> nn.Module:
        """The network.

        Args:
            num_inputs: 0.
            num_outputs: Numbers of a word's vector.
            cardinalities: None.
            vocabularies: Number of tokens of the one text, padding and unknown ones included.

        Raises:
            InputError: If there is no text, or anything beside one.
        """
        self.check_sizes(num_inputs, num_outputs, cardinalities, vocabularies=vocabularies)
        if num_inputs or len(vocabularies) > 1:
            raise InputError(
                f"the model {getattr(self, 'name', '')!r} takes one text and nothing else",
                expected="one text",
                got=f"{num_inputs} numbers and {len(vocabularies)} texts",
                do="choose the model mixed",
            )
        return self.network(vocabularies[0], num_outputs)

    def network(self, vocabulary: int, size: int) -> nn.Module:
        """The network of a vocabulary, with vectors of so many numbers."""
        raise NotImplementedError


def block_size(num_words: int, *, least: int, most: int) -> int:
    """Words of a batch: about six hundred batches an epoch, where the bounds let it.

    Args:
        num_words: Words of the text.
        least: The least words of a batch.
        most: The most.

    Example:
        >>> [block_size(words, least=64, most=1024) for words in (1000, 160_000, 10**9)]
        [64, 256, 1024]
    """
    wanted = min(most, max(least, num_words / 600))
    return int(2 ** round(math.log2(wanted)))


class WordNetwork(nn.Module):
    """Vectors of words, learnt from pairs; called with a text it gives the mean of its words'.

    Who derives from it gives what is not implemented here. The buffer ``counts``
    holds how often each word stands in the text, [word]; words begin at 2, behind padding and the
    unknown word.

    Args:
        vocabulary: Number of tokens.
        size: Numbers of a word's vector.

    Example:
        >>> WordNetwork(10, 4).counts.shape
        torch.Size([10])
    """

    counts: Tensor

    def __init__(self, vocabulary: int, size: int) -> None:
        super().__init__()
        self.num_features = size
        counts = torch.ones(vocabulary, dtype=torch.long)
        counts[:FIRST] = 0
        self.register_buffer("counts", counts)

    def set_words(self, words: Sequence[str], counts: Int[Tensor, " word"]) -> None:
        """Take in the text's words and how often each stands there.

        Args:
            words: The words of the vocabulary, from number 2 on.
            counts: Counts of all numbers, [word].
        """
        self.counts.copy_(counts)

    def vectors(self) -> Float[Tensor, "word feature"]:
        """The vector of each word."""
        raise NotImplementedError

    def batches(self, stream: WordStream, batch_size: int, seed: int) -> Batches:
        """What it learns from, of a text."""
        raise NotImplementedError

    def foretold(self) -> Float[Tensor, " word"]:
        """How often each word is foretold in the text, as expected."""
        raise NotImplementedError

    def pairs(
        self, stream: WordStream, seed: int, most: int
    ) -> tuple[Int[Tensor, "row bag"], Int[Tensor, " row"]]:
        """Words of a text to be foretold, with what foretells them, as `log_probability` has them.

        Args:
            stream: The text.
            seed: What is drawn depends on it.
            most: How many are enough.
        """
        arounds, words, count = [], [], 0
        for batch in self.windows(stream, PAIRS_AT_ONCE, seed).epoch(0):
            around, word = self.split(*batch.inputs[:2])
            arounds.append(around)
            words.append(word)
            count += len(word)
            if count >= most:
                break
        return torch.cat(arounds)[:most], torch.cat(words)[:most]

    def split(
        self, words: Int[Tensor, " position"], around: Int[Tensor, "position place"]
    ) -> tuple[Int[Tensor, "row bag"], Int[Tensor, " row"]]:
        """What foretells a word, and the word: here each word each of those around it."""
        row, place = around.nonzero(as_tuple=True)
        return words[row][:, None], around[row, place]

    def windows(self, stream: WordStream, batch_size: int, seed: int) -> ContextBatches:
        """Words of a text with those around them."""
        raise NotImplementedError

    def loss(self, *inputs: Tensor) -> Float[Tensor, ""]:
        """The mean loss of a batch of pairs."""
        raise NotImplementedError

    def log_probability(
        self, around: Int[Tensor, "row bag"], word: Int[Tensor, " row"]
    ) -> Float[Tensor, " row"]:
        """What the network makes of each word's chance, given words beside it.

        Args:
            around: Those words, 0 where there is none.
            word: The words.
        """
        raise NotImplementedError

    def embed(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row feature"]:
        """The same as a call: there is no head."""
        vectors: Tensor = self(tokens)
        return vectors

    def forward(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row feature"]:
        """The mean vector of each text's known words; zeros where there is none."""
        known = tokens >= FIRST
        vectors = self.vectors()[tokens] * known[..., None]
        mean: Tensor = vectors.sum(dim=1) / known.sum(dim=1, keepdim=True).clamp_min(1)
        return mean


def rows_of(
    table: Float[Tensor, "word feature"], words: Int[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """Vectors of words, whose gradient is one of those rows alone.

    Args:
        table: The vectors.
        words: Numbers of rows.

    Example:
        >>> table = torch.eye(3, requires_grad=True)
        >>> rows_of(table, torch.tensor([2])).sum().backward()
        >>> table.grad.is_sparse
        True
    """
    return nn.functional.embedding(words, table, sparse=True)


def mean_of_rows(
    vectors: Float[Tensor, "place feature"], row: Int[Tensor, " place"], rows: int
) -> Float[Tensor, "row feature"]:
    """The mean of each row's vectors; zeros of none.

    Args:
        vectors: The vectors.
        row: Which row each belongs to.
        rows: How many rows there are.

    Example:
        >>> mean_of_rows(torch.tensor([[1.0], [3.0]]), torch.tensor([1, 1]), 2).tolist()
        [[0.0], [2.0]]
    """
    sums = vectors.new_zeros(rows, vectors.shape[1]).index_add(0, row, vectors)
    return sums / row.bincount(minlength=rows).clamp_min(1)[:, None]


def log_shares(
    vectors: Float[Tensor, "row feature"],
    table: Float[Tensor, "word feature"],
    bias: Float[Tensor, " word"],
    words: Int[Tensor, " row"],
) -> Float[Tensor, " row"]:
    """The logarithm of one word's share in the softmax over all, in bounded memory.

    Args:
        vectors: What is held against the table.
        table: A vector for each word.
        bias: What is added to each word's score.
        words: The word that is asked for.

    Example:
        >>> log_shares(torch.zeros(1, 2), torch.ones(4, 2), torch.zeros(4), torch.tensor([3])).exp()
        tensor([0.2500])
    """
    at_once = max(1, SCORES_AT_ONCE // max(1, table.shape[0]))
    pairs = zip(torch.split(vectors, at_once), torch.split(words, at_once), strict=True)
    parts = [
        (part @ table.T + bias).log_softmax(dim=1).gather(1, asked[:, None])[:, 0]
        for part, asked in pairs
    ]
    return torch.cat(parts)
