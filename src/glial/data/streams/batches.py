"""Batches of rows that are read, decoded and encoded while the network learns from those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.core.seeds import numpy_generator, torch_generator
from glial.data.batches import Batch, Finish, num_batches_of, take


class Piece(NamedTuple):
    """What a worker loads at once.

    Attributes:
        number: What tells its random stream from others.
        num_rows: Rows that it gives.
        content: What is to be loaded.

    Example:
        >>> Piece(0, 10, None).num_rows
        10
    """

    number: int
    num_rows: int
    content: Any


@runtime_checkable
class Supply(Protocol):
    """Rows to train on that are loaded piece by piece.

    Attributes:
        num_rows: Rows of an epoch.
    """

    num_rows: int

    def pools(self, epoch: int) -> Sequence[Sequence[Piece]]:
        """The pieces of an epoch in their order; those of a pool are shuffled together."""

    def load(self, piece: Piece, generator: np.random.Generator) -> Batch:
        """The rows of a piece, encoded; workers load several at once.

        Args:
            piece: One of those that :meth:`pools` named.
            generator: The piece's own random numbers of this epoch, for what is random.
        """


class StreamedBatches:
    """Batches whose rows are never all in memory, in a new seeded order every epoch.

    Pools of pieces are loaded one after the other, the rows of a pool are shuffled, and batches
    are cut from them, across the ends of pools. The order, and whatever is random in loading,
    depend on the seed and the epoch alone, not on the number of workers, so training can go on
    from any batch: only its pool and those after it are loaded. At most two pools are held at
    once, the second while it is loaded, and what workers take to load them.

    Args:
        supply: What is loaded.
        batch_size: Rows of a batch; a last batch of a single row is joined to the one before it.
        seed: Seed of the orders.
        workers: Threads that load; 0 loads where the batches are taken.
        finish: Makes what the network is called with of the held inputs of a batch.
        device: Where batches are wanted.

    Example:
        >>> from glial.data.streams import RowSupply
        >>> import polars as pl
        >>> encode = lambda rows: Batch((rows.to_torch().float(),), torch.arange(len(rows)))
        >>> supply = RowSupply(pl.DataFrame({"a": range(10)}), encode, piece_rows=3, seed=0)
        >>> batches = StreamedBatches(supply, batch_size=4, seed=0)
        >>> [len(batch.target) for batch in batches.epoch(0)]
        [4, 4, 2]
    """

    def __init__(
        self,
        supply: Supply,
        batch_size: int,
        seed: int,
        *,
        workers: int = 2,
        finish: Finish | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.num_rows = supply.num_rows
        self.batch_size = min(batch_size, self.num_rows)
        self.num_batches = num_batches_of(self.num_rows, self.batch_size)
        self._supply = supply
        self._seed = seed
        self._workers = workers
        self._finish = finish
        self._device = torch.device(device)

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        """The batches of one epoch.

        Args:
            epoch: Number of the epoch, from 0.
            start: Number of the first batch wanted, to go on in mid-epoch.

        Yields:
            Each batch in turn.
        """
        sizes = [self.batch_size] * self.num_batches
        sizes[-1] = self.num_rows - self.batch_size * (self.num_batches - 1)
        left = iter(sizes[start:])
        parts: list[Batch] = []
        lacking = next(left, 0)
        with closing(self._shuffled(epoch, start * self.batch_size)) as pools:
            for rows, order in pools:
                while len(order):
                    chosen, order = order[:lacking], order[lacking:]
                    parts.append(take(rows, chosen[chosen >= 0]))
                    lacking -= len(chosen)
                    if lacking == 0:
                        yield self._finished(joined(parts))
                        parts, lacking = [], next(left, 0)
                del rows  # before the next pool is put together

    def _finished(self, batch: Batch) -> Batch:
        if len(batch.target) == 0:
            raise InputError(
                "not one row of a batch could be read",
                expected="rows that can be decoded",
                got="none",
                do="look at the files that were named, and mend or drop them",
            )
        return batch if self._finish is None else batch._replace(inputs=self._finish(batch.inputs))

    def _shuffled(self, epoch: int, skip: int) -> Generator[tuple[Batch, Tensor], None, None]:
        """The rows of each pool and their order, -1 for those that could not be loaded."""
        pools = list(enumerate(self._supply.pools(epoch)))
        while pools and skip >= _num_rows(pools[0][1]):
            skip -= _num_rows(pools.pop(0)[1])
        with closing(self._loaded(epoch, [pool for _, pool in pools])) as loaded:
            for number, pool in pools:
                size = _num_rows(pool)
                generator = torch_generator(self._seed, "shuffle", epoch, number)
                rows = _filled((next(loaded) for _ in pool), size, self._device)
                order = torch.full((size,), -1)
                order[: len(rows.target)] = torch.randperm(len(rows.target), generator=generator)
                yield rows, order[skip:].to(self._device)
                skip = 0
                del rows

    def _loaded(self, epoch: int, pools: Sequence[Sequence[Piece]]) -> Generator[Batch, None, None]:
        """The pieces of pools in their order, loaded ahead by workers, but not far."""

        def load(piece: Piece) -> Batch:
            generator = numpy_generator(self._seed, "decode", epoch, piece.number)
            return self._supply.load(piece, generator)

        pieces = [piece for pool in pools for piece in pool]
        if self._workers == 0:
            yield from map(load, pieces)
            return
        room = max(map(_num_rows, pools), default=0)
        ahead: deque[tuple[int, Future[Batch]]] = deque()
        executor = ThreadPoolExecutor(self._workers, thread_name_prefix="glial-stream")
        try:
            for piece in pieces:
                while len(ahead) > self._workers and sum(n for n, _ in ahead) > room:
                    yield ahead.popleft()[1].result()
                ahead.append((piece.num_rows, executor.submit(load, piece)))
            while ahead:
                yield ahead.popleft()[1].result()
        finally:
            executor.shutdown(cancel_futures=True)


def _num_rows(pool: Sequence[Piece]) -> int:
    return sum(piece.num_rows for piece in pool)


def _filled(parts: Iterator[Batch], size: int, device: torch.device) -> Batch:
    """Batches of so many rows or fewer put one below the other, each given up once it is copied."""
    whole: list[Tensor] = []
    filled, weighted = 0, False
    for inputs, target, weight in parts:
        weighted = weight is not None
        tensors = [target, *inputs, *([] if weight is None else [weight])]
        if not whole:
            whole = [t.new_empty((size, *t.shape[1:]), device=device) for t in tensors]
        for into, tensor in zip(whole, tensors, strict=True):
            into[filled : filled + len(target)] = tensor
        filled += len(target)
    first, *rest = (tensor[:filled] for tensor in whole)
    weights = rest.pop() if weighted else None
    return Batch(tuple(rest), first, weights)


def joined(parts: Sequence[Batch]) -> Batch:
    """Batches one below the other, as one.

    Example:
        >>> one = Batch((torch.zeros(1, 2),), torch.tensor([7]))
        >>> joined([one, one]).target
        tensor([7, 7])
    """

    def put(tensors: Sequence[Tensor]) -> Tensor:
        return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))

    weights = [part.weight for part in parts if part.weight is not None]
    return Batch(
        tuple(put(columns) for columns in zip(*(part.inputs for part in parts), strict=True)),
        put([part.target for part in parts]),
        put(weights) if weights else None,
    )
