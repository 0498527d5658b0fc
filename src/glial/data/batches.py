"""Batches of tensors that fit in memory: sliced by a permutation, never collated row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from glial.core.seeds import derive_seed, torch_generator
from glial.data.orders import drawn_alike, grouped_order, stratified_order


class Batch(NamedTuple):
    """Some rows: what the model is called with, what it should say, and the rows' weights.

    Where rows are mixed with others, ``other`` and ``other_weight`` are the targets and weights
    of those: each row is held against both of its targets, each by its weight. ``group`` is the
    group of each row, where an objective is to treat groups alike.

    Example:
        >>> Batch((torch.zeros(2, 3),), torch.tensor([0, 1])).weight is None
        True
    """

    inputs: tuple[Tensor, ...]
    target: Tensor
    weight: Tensor | None = None
    other: Tensor | None = None
    other_weight: Tensor | None = None
    group: Tensor | None = None


GATHERED_BYTES = 1 << 22
Augment = Callable[["Batch", int], "Batch"]
Finish = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]


@runtime_checkable
class Batches(Protocol):
    """Batches of training rows, epoch by epoch, in an order that the epoch's number decides.

    Attributes:
        num_rows: Rows of an epoch.
        num_batches: Batches of an epoch.
        batch_size: Rows of a batch, but for the last.

    Example:
        >>> isinstance(TensorBatches(Batch((torch.ones(2, 1),), torch.ones(2)), 1, 0), Batches)
        True
    """

    num_rows: int
    num_batches: int
    batch_size: int

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0, from the one with the number ``start`` on."""


class TensorBatches:
    """Batches of rows held as tensors, in a new seeded order every epoch.

    The order depends on the seed and the epoch alone, so training can go on from any batch.
    A last batch of a single row is joined to the one before it, because normalisation over a
    batch needs two rows.

    Args:
        rows: All rows.
        batch_size: Rows of a batch; all rows when it is larger.
        seed: Seed of the orders.
        shuffle: Whether rows are shuffled; one full batch never is, since its gradient does
            not depend on the order.
        weighted: Whether each epoch draws its rows with replacement, every class equally likely;
            targets are then class indices.
        stratified: Whether every batch has each class in its share of the epoch's rows, to
            within one row; likewise.
        rows_per_class: Rows of a class that follow each other where there are as many; likewise.
        augment: Changes a batch at random, as the number that it is given with it decides.
        finish: Makes what the network is called with of the held inputs of a batch.

    Example:
        >>> rows = Batch((torch.arange(10.0)[:, None],), torch.arange(10))
        >>> batches = TensorBatches(rows, batch_size=4, seed=0)
        >>> [len(batch.target) for batch in batches.epoch(0)]
        [4, 4, 2]
        >>> batches.num_batches
        3
    """

    def __init__(
        self,
        rows: Batch,
        batch_size: int,
        seed: int,
        *,
        shuffle: bool = True,
        weighted: bool = False,
        stratified: bool = False,
        rows_per_class: int = 1,
        augment: Augment | None = None,
        finish: Finish | None = None,
    ) -> None:
        self.rows = rows
        self._augment = augment
        self._finish = finish
        self.num_rows = len(rows.target)
        self.batch_size = min(batch_size, self.num_rows)
        self._seed = seed
        self.num_batches = num_batches_of(self.num_rows, self.batch_size)
        # Several batches are gathered at once: slices of these cost nothing.
        self._at_once = max(1, GATHERED_BYTES // max(1, self.batch_size * _bytes_of_a_row(rows)))
        self._shuffle = shuffle and self.num_batches > 1
        self._weighted = weighted
        self._stratified = stratified and self.num_batches > 1
        self._rows_per_class = rows_per_class if self._shuffle else 1
        by_class = weighted or self._stratified or self._rows_per_class > 1
        self._codes = rows.target.cpu() if by_class else torch.empty(0)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            epoch: Number of the epoch, from 0.
            start: Number of the first batch wanted, to go on in mid-epoch.

        Yields:
            Each batch in turn.
        """
        if self.num_batches == 1 and not self._weighted:
            if start == 0:
                yield self._finished(self.rows, epoch, 0)
            return
        order = self.order(epoch).to(self.rows.target.device)
        edges = [*(index * self.batch_size for index in range(self.num_batches)), self.num_rows]
        # Going on in mid-epoch gathers the same batches together: products may round otherwise
        # where their operands lie otherwise.
        for first in range(start - start % self._at_once, self.num_batches, self._at_once):
            last = min(first + self._at_once, self.num_batches)
            rows = take(self.rows, order[edges[first] : edges[last]])
            for index in range(max(first, start), last):
                part = slice(edges[index] - edges[first], edges[index + 1] - edges[first])
                yield self._finished(_part(rows, part), epoch, index)

    def _finished(self, batch: Batch, epoch: int, index: int) -> Batch:
        """A batch as it is learnt from; the draws depend on its place in training alone."""
        drawn = self._augment is not None
        seed = derive_seed(self._seed, "augment", epoch, index) if drawn else 0
        return finished(batch, self._augment, self._finish, seed)

    def order(self, epoch: int) -> Tensor:
        """The row numbers of an epoch, in the order that they are used."""
        generator = torch_generator(self._seed, "shuffle", epoch)
        rows = torch.arange(self.num_rows)
        if self._weighted:
            rows = drawn_alike(self._codes, generator)
        if self._stratified:
            codes = self._codes[rows]
            return rows[stratified_order(codes, self.batch_size, self.num_batches, generator)]
        if self._rows_per_class > 1:
            return rows[grouped_order(self._codes[rows], self._rows_per_class, generator)]
        if self._weighted or not self._shuffle:
            return rows
        return torch.randperm(self.num_rows, generator=generator)


def num_batches_of(num_rows: int, batch_size: int) -> int:
    """Batches of an epoch, where a last batch of a single row is joined to the one before it.

    Example:
        >>> num_batches_of(10, 4), num_batches_of(9, 4)
        (3, 2)
    """
    full, rest = divmod(num_rows, batch_size)
    return full + (rest > 1 or (rest == 1 and batch_size == 1))


def finished(batch: Batch, augment: Augment | None, finish: Finish | None, seed: int) -> Batch:
    """A batch as a network learns from it: changed at random, then in its finished form.

    Args:
        batch: Rows as they are held.
        augment: Changes them at random.
        finish: Makes what the network is called with.
        seed: Decides what is random.

    Example:
        >>> rows = Batch((torch.tensor([[2.0]]),), torch.tensor([0]))
        >>> finished(rows, None, lambda inputs: (inputs[0] / 2,), seed=0).inputs[0]
        tensor([[1.]])
    """
    if augment is not None:
        batch = augment(batch, seed)
    return batch if finish is None else batch._replace(inputs=finish(batch.inputs))


def take(rows: Batch, index: Tensor) -> Batch:
    """The rows with the numbers given.

    Example:
        >>> rows = Batch((torch.eye(3),), torch.tensor([5, 6, 7]))
        >>> take(rows, torch.tensor([2, 0])).target
        tensor([7, 5])
    """
    weight = None if rows.weight is None else rows.weight.index_select(0, index)
    group = None if rows.group is None else rows.group.index_select(0, index)
    # Four to eighteen times as fast as rows[index].
    inputs = tuple(part.index_select(0, index) for part in rows.inputs)
    return Batch(inputs, rows.target.index_select(0, index), weight, group=group)


def split(batch: Batch, parts: int) -> list[Batch]:
    """A batch in parts of nearly equal size, of at least two rows each where it has as many.

    Example:
        >>> rows = Batch((torch.zeros(5, 1),), torch.arange(5))
        >>> [len(part.target) for part in split(rows, 2)]
        [3, 2]
    """
    parts = max(1, min(parts, len(batch.target) // 2))
    if parts == 1:
        return [batch]
    inputs = zip(*(value.tensor_split(parts) for value in batch.inputs), strict=True)
    rest = [[None] * parts if value is None else value.tensor_split(parts) for value in batch[1:]]
    return [Batch(*part) for part in zip(inputs, *rest, strict=True)]


def answers(batch: Batch) -> tuple[Tensor, Tensor | None]:
    """The targets that outputs are held against, and their weights.

    Of rows mixed with others, all first targets and then all second ones.

    Example:
        >>> pair = torch.tensor([0, 1]), torch.tensor([0.75, 0.75])
        >>> mixed = Batch((torch.zeros(2, 1),), *pair, pair[0].flip(0), torch.tensor([0.25, 0.25]))
        >>> answers(mixed)
        (tensor([0, 1, 1, 0]), tensor([0.7500, 0.7500, 0.2500, 0.2500]))
    """
    if batch.other is None or batch.weight is None or batch.other_weight is None:
        return batch.target, batch.weight
    target = torch.cat([batch.target, batch.other])
    return target, torch.cat([batch.weight, batch.other_weight])


def _part(rows: Batch, part: slice) -> Batch:
    """Neighbouring rows, as views."""
    weight = None if rows.weight is None else rows.weight[part]
    group = None if rows.group is None else rows.group[part]
    inputs = tuple(value[part] for value in rows.inputs)
    return Batch(inputs, rows.target[part], weight, group=group)


def _bytes_of_a_row(rows: Batch) -> int:
    return sum(value.nbytes for value in (*rows.inputs, rows.target)) // max(1, len(rows.target))
