"""Vectors of words: what is near what, analogies, and the files in which others keep them."""

from __future__ import annotations

import gzip
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from glial.core.errors import InputError, suggest
from glial.core.files import write_atomic
from glial.data.word_vector_files import Format, format_of, read_vectors

Method = Literal["add", "multiply"]

SUGGESTED = 50_000
_SMALL = 1e-3


@dataclass(frozen=True)
class WordVectors:
    """Words, and a vector for each.

    Attributes:
        words: The words, each once; commonest first where their file has it so.
        matrix: Their vectors, [word, feature].

    Example:
        >>> vectors = WordVectors(["a", "b", "c"], torch.tensor([[1.0, 0], [1, 0.1], [0, 1]]))
        >>> vectors.nearest("a", 1)[0][0], "d" in vectors, len(vectors)
        ('b', False, 3)
    """

    words: list[str]
    matrix: Tensor

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or len(self.words) != self.matrix.shape[0]:
            raise ValueError(f"{len(self.words)} words, and vectors {list(self.matrix.shape)}")
        if len(self._index) != len(self.words):
            raise ValueError("a word stands there twice")

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words)}

    @cached_property
    def _directions(self) -> Tensor:
        return normalize(self.matrix.float(), dim=1)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._index

    @property
    def size(self) -> int:
        """Numbers of a vector."""
        return self.matrix.shape[1]

    def rows(self, words: Sequence[str]) -> list[int]:
        """The row of each word.

        Raises:
            InputError: If a word has no vector; the message suggests one that has.

        Example:
            >>> WordVectors(["a", "b"], torch.eye(2)).rows(["b"])
            [1]
        """
        for word in words:
            if word not in self._index:
                near = suggest(word, self.words[:SUGGESTED])
                raise InputError(
                    f"the word {word!r} has no vector",
                    expected=f"one of {len(self):,} words",
                    got=repr(word),
                    do=f"did you mean {near!r}?" if near else "choose another word",
                )
        return [self._index[word] for word in words]

    def vector(self, word: str) -> Tensor:
        """The vector of a word, [feature].

        Raises:
            InputError: If it has none.
        """
        return self.matrix[self.rows([word])[0]]

    def similarity(self, word: str, other: str) -> float:
        """The cosine of the angle between two words, in [-1, 1]; 0 where a vector is zero.

        Raises:
            InputError: If one has no vector.

        Example:
            >>> WordVectors(["a", "b"], torch.eye(2)).similarity("a", "b")
            0.0
        """
        first, second = self._directions[self.rows([word, other])]
        return float(first @ second)

    def nearest(
        self, word: str | Tensor, num_neighbours: int = 10, *, without: Sequence[str] = ()
    ) -> list[tuple[str, float]]:
        """The words whose directions are nearest, with their cosines, nearest first.

        Args:
            word: A word, which is not among its own neighbours, or a vector.
            num_neighbours: How many.
            without: Words to leave out; those without a vector do not matter.

        Raises:
            InputError: If the word has no vector.
        """
        if isinstance(word, str):
            without = [*without, word]
            word = self.vector(word)
        scores = self._directions @ normalize(word.float(), dim=0)
        return self._best(scores, num_neighbours, without)

    def analogy(
        self, a: str, b: str, c: str, num_neighbours: int = 1, *, method: Method = "add"
    ) -> list[tuple[str, float]]:
        r"""What is to c as b is to a, best first; the three words themselves are left out.

        ``add`` looks for the greatest :math:`\cos(x, b) - \cos(x, a) + \cos(x, c)`, ``multiply``
        for the greatest :math:`\cos(x, b) \cos(x, c) / (\cos(x, a) + 0.001)` of cosines that are
        shifted to [0, 1].

        Args:
            a: As "man".
            b: As "king".
            c: As "woman".
            num_neighbours: How many answers.
            method: How similarities are put together.

        Raises:
            InputError: If a word has no vector.

        Source:
            Levy and Goldberg (2014), "Linguistic regularities in sparse and explicit word
            representations", doi:10.3115/v1/W14-1618, eq. (3) and (4).

        Example:
            >>> words = ["man", "king", "woman", "queen"]
            >>> places = torch.tensor([[1.0, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1]])
            >>> WordVectors(words, places).analogy("man", "king", "woman")[0][0]
            'queen'
        """
        cosines = self._directions[self.rows([a, b, c])] @ self._directions.T
        if method == "add":
            scores = cosines[1] - cosines[0] + cosines[2]
        else:
            shifted = (cosines + 1) / 2
            scores = shifted[1] * shifted[2] / (shifted[0] + _SMALL)
        return self._best(scores, num_neighbours, [a, b, c])

    def solved(
        self, questions: Sequence[tuple[str, str, str, str]], *, method: Method = "add"
    ) -> float:
        """The share of analogies a : b as c : d whose best answer is d; NaN of none.

        A question with a word that has no vector counts as not solved.

        Args:
            questions: The four words of each.
            method: As for `analogy`.

        Example:
            >>> vectors = WordVectors(["a", "b", "c"], torch.eye(3))
            >>> vectors.solved([("a", "b", "a", "c"), ("a", "b", "c", "unheard")])
            0.5
        """
        right = [
            all(word in self for word in question)
            and [question[3]] == [word for word, _ in self.analogy(*question[:3], method=method)]
            for question in questions
        ]
        return sum(right) / len(right) if right else float("nan")

    def _best(
        self, scores: Tensor, num_neighbours: int, without: Sequence[str]
    ) -> list[tuple[str, float]]:
        left = sorted({self._index[word] for word in without if word in self._index})
        scores = scores.index_fill(0, torch.tensor(left, dtype=torch.long), -torch.inf)
        found = scores.topk(max(0, min(num_neighbours, len(self) - len(left))))
        pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
        return [(self.words[row], score) for row, score in pairs]

    def save(self, path: str | Path, format: Format | None = None) -> None:
        """Write a file of vectors that others read.

        Args:
            path: The file; with ``.gz`` at its end it is packed.
            format: word2vec's ``text`` (also fastText's ``.vec``) or ``binary``, or ``glove``,
                which is text without a header; None is binary for ``.bin``, else text.

        Raises:
            InputError: If a word is empty or has a space in it, or the file cannot be written.
        """
        path = Path(path)
        how = format or format_of(path)
        for word in self.words:
            if not word or any(letter.isspace() for letter in word):
                raise InputError(
                    f"the word {word!r} cannot stand in a file of vectors",
                    expected="words without spaces",
                    got=repr(word),
                    do="leave it out",
                )
        content = self._binary() if how == "binary" else self._text(header=how == "text")
        packed = path.name.lower().endswith(".gz")
        write_atomic(path, gzip.compress(content, mtime=0) if packed else content)

    def _binary(self) -> bytes:
        rows = self.matrix.float().cpu().numpy().astype("<f4")
        parts = [f"{len(self)} {self.size}\n".encode()]
        for word, row in zip(self.words, rows, strict=True):
            parts += [word.encode(), b" ", row.tobytes()]
        return b"".join(parts)

    def _text(self, *, header: bool) -> bytes:
        text = io.StringIO()
        if header:
            text.write(f"{len(self)} {self.size}\n")
        for word, row in zip(self.words, self.matrix.float().cpu().numpy(), strict=True):
            # The shortest digits that tell every two floats of 32 bits apart.
            text.write(f"{word} {' '.join(str(value) for value in row)}\n")
        return text.getvalue().encode()

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        limit: int | None = None,
        only: Collection[str] | None = None,
        format: Format | None = None,
    ) -> WordVectors:
        """Vectors from a file: of word2vec, GloVe or fastText, also packed as ``.gz``.

        The file is read row by row, and memory is taken only for rows that are there.

        Args:
            path: The file.
            limit: Only so many rows are read, from the first on; None is all.
            only: Only words that are among these, as they stand or in lower case, are kept.
            format: As for `save`; None is binary for ``.bin``, else text, whose header is seen.

        Raises:
            InputError: If the file is missing or damaged: another number of rows than its header
                says, rows of unequal length, what is no number or not finite, a word twice.
        """
        words, values, size = read_vectors(Path(path), format, limit, only)
        matrix = torch.frombuffer(values, dtype=torch.float32) if values else torch.zeros(0)
        return cls(words, matrix.reshape(len(words), size))


def vector_size(path: str | Path) -> int:
    """How many numbers a vector of a file has, by its first row.

    Raises:
        InputError: As by `WordVectors.load`.
    """
    return WordVectors.load(path, limit=1).size
