"""What is loaded for training: chunks of a large table, or rows of one whose files are decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from glial.core.seeds import numpy_generator
from glial.data.batches import Batch
from glial.data.streams.batches import Piece

Encode = Callable[[pl.DataFrame], Batch]
Change = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]


@runtime_checkable
class Rows(Protocol):
    """Rows in chunks that are read in any order, such as those of one split."""

    counts: Sequence[int]

    def read(self, number: int) -> pl.DataFrame:
        """The rows of a chunk."""


class ChunkSupply:
    """The rows of chunks, whose order is drawn anew every epoch; neighbours are shuffled together.

    A row meets those of its pool: chunks that stand one after the other in the epoch's order,
    as many as fit the buffer. A file in which like stands by like is mixed the better, the more
    chunks a pool has.

    Args:
        rows: The chunks.
        encode: Makes tensors of rows.
        buffer_rows: Most rows of a pool; a chunk that has more is a pool of its own.
        seed: Seed of the orders.
        change: Changes the rows of a chunk at random before they are encoded, with the
            generator that it is given and no other.

    Example:
        >>> from glial.data.streams import FrameChunks
        >>> chunks = FrameChunks(pl.DataFrame({"a": range(10)}), 2)
        >>> supply = ChunkSupply(chunks, lambda rows: rows, buffer_rows=4, seed=0)
        >>> [len(pool) for pool in supply.pools(0)]
        [2, 2, 1]
    """

    def __init__(
        self,
        rows: Rows,
        encode: Encode,
        *,
        buffer_rows: int,
        seed: int,
        change: Change | None = None,
    ) -> None:
        self.num_rows = sum(rows.counts)
        self._rows = rows
        self._encode = encode
        self._buffer_rows = buffer_rows
        self._seed = seed
        self._change = change

    def pools(self, epoch: int) -> list[list[Piece]]:
        """Chunks that have rows, in the epoch's order, as many together as fit the buffer."""
        counts = self._rows.counts
        order = numpy_generator(self._seed, "chunks", epoch).permutation(len(counts))
        pools: list[list[Piece]] = []
        held = 0
        for number in order.tolist():
            if counts[number] == 0:
                continue
            if not pools or held + counts[number] > self._buffer_rows:
                pools.append([])
                held = 0
            pools[-1].append(Piece(number, counts[number], number))
            held += counts[number]
        return pools

    def load(self, piece: Piece, generator: np.random.Generator) -> Batch:
        """The rows of a chunk, encoded."""
        rows = self._rows.read(piece.content)
        if self._change is not None:
            rows = self._change(rows, generator)
        return self._encode(rows)


class RowSupply:
    """The rows of a table in memory, fully shuffled; only what is made of them is not held.

    This is for tables of paths, whose files are decoded when their rows are.

    Args:
        frame: The table.
        encode: Makes tensors of rows; rows that cannot be read may be left out.
        piece_rows: Rows that are encoded at once.
        seed: Seed of the orders.

    Example:
        >>> supply = RowSupply(pl.DataFrame({"a": range(10)}), lambda r: r, piece_rows=4, seed=0)
        >>> [[piece.num_rows for piece in pool] for pool in supply.pools(0)]
        [[4], [4], [2]]
    """

    def __init__(self, frame: pl.DataFrame, encode: Encode, *, piece_rows: int, seed: int) -> None:
        self.num_rows = frame.height
        self._frame = frame
        self._encode = encode
        self._piece_rows = piece_rows
        self._seed = seed

    def pools(self, epoch: int) -> list[list[Piece]]:
        """Stretches of the epoch's permutation of all rows."""
        order: Any = numpy_generator(self._seed, "rows", epoch).permutation(self.num_rows)
        starts = range(0, self.num_rows, self._piece_rows)
        stretches = [order[start : start + self._piece_rows] for start in starts]
        return [[Piece(i, len(rows), rows)] for i, rows in enumerate(stretches)]

    def load(self, piece: Piece, generator: np.random.Generator) -> Batch:
        """The rows of a stretch, encoded."""
        return self._encode(self._frame[piece.content])
