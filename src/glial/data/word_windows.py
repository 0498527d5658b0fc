"""Words of a text with the words around them, drawn anew every epoch, and how often they meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from glial.core.seeds import derive_seed, torch_generator
from glial.data.batches import Batch
from glial.data.encoders.tokens import FIRST, TokenEncoder, tokenize

# Meetings of so many words are counted at once.
COUNTED_WORDS = 1 << 20


@dataclass(frozen=True)
class WordStream:
    """A text as numbers of words, line after line.

    Attributes:
        words: Number of each word, [position]; 0 is no word.
        lines: Number of the line that it stands in, [position], not falling.

    Example:
        >>> WordStream.of([[2, 3], [], [3]]).lines.tolist()
        [0, 0, 2]
    """

    words: Tensor
    lines: Tensor

    @classmethod
    def of(cls, lines: list[list[int]]) -> WordStream:
        """The stream of lines of words."""
        words = torch.tensor([word for line in lines for word in line], dtype=torch.int32)
        lengths = torch.tensor([len(line) for line in lines], dtype=torch.long)
        numbers = torch.arange(len(lines), dtype=torch.int32)
        return cls(words, numbers.repeat_interleave(lengths))

    @classmethod
    def read(cls, texts: list[str], encoder: TokenEncoder) -> WordStream:
        """The known words of texts; others are as if they were not there.

        Args:
            texts: Texts, each of which ends a line.
            encoder: The words that are known.
        """
        found = tokenize(lines_of(texts), encoder.by).rename("word")
        counted = found.to_frame().with_row_index("line").explode("word")
        numbers = pl.DataFrame(
            {"word": encoder.tokens, "number": range(FIRST, encoder.size[0])},
            schema={"word": pl.String, "number": pl.Int32},
        )
        known = counted.join(numbers, on="word", how="inner", maintain_order="left")
        words = torch.from_numpy(known["number"].to_numpy(writable=True))
        return cls(words, torch.from_numpy(known["line"].cast(pl.Int32).to_numpy(writable=True)))

    def __len__(self) -> int:
        return self.words.shape[0]

    def counts(self, vocabulary: int) -> Tensor:
        """How often each word stands there, [word]."""
        return self.words.long().bincount(minlength=vocabulary)


def lines_of(texts: list[str]) -> pl.Series:
    r"""The lines of texts that have any character but spaces.

    Example:
        >>> lines_of(["to be\n\nor not", "to be"]).to_list()
        ['to be', 'or not', 'to be']
    """
    lines = pl.Series("text", texts, dtype=pl.String).str.split("\n").explode()
    return lines.filter(lines.str.strip_chars() != "")


class ContextBatches:
    """Blocks of a text in a new seeded order every epoch: each word with the words around it.

    Frequent words are thinned, and each word's window is drawn between 1 and the widest, so that
    near words count more. What is drawn depends on the seed, the epoch and the block alone, so
    training can go on from any batch.

    A batch has as inputs the words [position], those around them [position, place], 0 where there
    is none, and words of noise [noise], which all positions share.

    Args:
        stream: The text.
        window: Most words on either side.
        batch_size: Words of a block, before they are thinned.
        seed: Seed of all draws.
        keep: With which chance each word is kept, [word]; None keeps all.
        noise: How likely each word is drawn as noise, [word]; None draws none.
        num_noise: Words of noise of a batch.
        shuffle: Whether blocks come in another order every epoch.

    Source:
        Mikolov et al. (2013), arXiv 1301.3781, section 3.2 (the drawn windows), and arXiv
        1310.4546, section 2.3 (thinning).

    Example:
        >>> stream = WordStream.of([[2, 3, 4]])
        >>> batch = next(ContextBatches(stream, window=1, batch_size=8, seed=0).epoch(0))
        >>> batch.inputs[0].tolist(), batch.inputs[1].tolist()
        ([2, 3, 4], [[0, 3], [2, 4], [3, 0]])
    """

    def __init__(
        self,
        stream: WordStream,
        window: int,
        batch_size: int,
        seed: int,
        *,
        keep: Tensor | None = None,
        noise: Tensor | None = None,
        num_noise: int = 0,
        shuffle: bool = True,
    ) -> None:
        self.stream = stream
        self.num_rows = len(stream)
        self.batch_size = max(1, min(batch_size, self.num_rows))
        self.num_batches = -(-self.num_rows // self.batch_size)
        self._window = window
        self._seed = seed
        self._keep = keep
        self._summed = None if noise is None else noise.double().cumsum(0)
        self._num_noise = num_noise
        self._shuffle = shuffle
        self._places = torch.cat([torch.arange(-window, 0), torch.arange(1, window + 1)])

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0, from the one with the number ``start`` on."""
        order = torch.arange(self.num_batches)
        if self._shuffle:
            generator = torch_generator(self._seed, "shuffle", epoch)
            order = torch.randperm(self.num_batches, generator=generator)
        for block in order[start:].tolist():
            yield self.block(block, derive_seed(self._seed, "windows", epoch, block))

    def block(self, number: int, seed: int) -> Batch:
        """A block's words with those around them.

        Args:
            number: Which block, from 0.
            seed: What all draws of it come from.
        """
        generator = torch.Generator().manual_seed(seed)
        part = slice(number * self.batch_size, (number + 1) * self.batch_size)
        words, lines = self.stream.words[part].long(), self.stream.lines[part]
        rows = torch.zeros(len(words))
        if self._keep is not None:
            drawn = torch.rand(len(words), generator=generator, dtype=torch.float64)
            kept = drawn < self._keep[words]
            words, lines = words[kept], lines[kept]
        widths = torch.randint(1, self._window + 1, (len(words),), generator=generator)
        at = torch.arange(len(words))[:, None] + self._places
        inside = (at >= 0) & (at < len(words)) & (self._places.abs() <= widths[:, None])
        at = at.clamp(0, max(0, len(words) - 1))
        if len(words):
            inside &= lines[at] == lines[:, None]
        around = torch.where(inside, words[at], 0) if len(words) else at
        alone = ~inside.any(dim=1)
        return Batch((words[~alone], around[~alone], self._noise(generator)), rows)

    def _noise(self, generator: torch.Generator) -> Tensor:
        if self._summed is None:
            return torch.zeros(0, dtype=torch.long)
        drawn = torch.rand(self._num_noise, generator=generator, dtype=torch.float64)
        found = torch.searchsorted(self._summed, drawn, right=True)
        return found.clamp_max(len(self._summed) - 1)


def count_pairs(stream: WordStream, window: int) -> tuple[Tensor, Tensor]:
    """How often any two words stand near each other, each meeting weighed by 1 over its distance.

    Args:
        stream: The text.
        window: Most words between which a distance is counted.

    Returns:
        The pairs of words that meet, [pair, 2], in order, each both ways; and their counts,
        [pair].

    Source:
        Pennington et al. (2014), doi:10.3115/v1/D14-1162, section 3.1.

    Example:
        >>> pairs, counts = count_pairs(WordStream.of([[2, 3, 2]]), window=2)
        >>> pairs.tolist(), counts.tolist()
        ([[2, 2], [2, 3], [3, 2]], [1.0, 2.0, 2.0])
    """
    base = int(stream.words.max()) + 1 if len(stream) else 1
    keys, sums = torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.float64)
    for begin in range(0, len(stream), COUNTED_WORDS):
        end = begin + COUNTED_WORDS
        words = stream.words[begin : end + window].long()
        lines = stream.lines[begin : end + window]
        found, weights = [keys], [sums]
        for distance in range(1, window + 1):
            near = lines[distance:] == lines[:-distance]
            near[COUNTED_WORDS:] = False
            first, second = words[:-distance][near], words[distance:][near]
            found += [first * base + second, second * base + first]
            weights += [torch.full((len(first),), 1 / distance, dtype=torch.float64)] * 2
        keys, places = torch.unique(torch.cat(found), return_inverse=True)
        sums = torch.zeros(len(keys), dtype=torch.float64)
        sums.index_add_(0, places, torch.cat(weights))
    return torch.stack([keys // base, keys % base], dim=1), sums.float()
