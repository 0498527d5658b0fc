"""Batches whose rows belong together, such as images of one size."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from glial.core.seeds import derive_seed, torch_generator
from glial.data.batches import Augment, Batch, Finish, finished, take


class GroupedBatches:
    """Batches of rows held as tensors, each of one group, in a new seeded order every epoch.

    The rows of a group are dealt to as few batches as hold them, as evenly as can be; the batches
    of all groups come in a random order. The order depends on the seed and the epoch alone, so
    training can go on from any batch.

    Args:
        rows: All rows.
        groups: A number a row, equal for those that go together, [row].
        batch_size: Most rows of a batch.
        seed: Seed of the orders.
        augment: Changes a batch at random, as the number that it is given with it decides.
        finish: Makes what the network is called with of the held inputs of a batch.

    Example:
        >>> rows = Batch((torch.arange(6.0)[:, None],), torch.arange(6))
        >>> batches = GroupedBatches(rows, torch.tensor([0, 1, 0, 1, 0, 1]), 2, seed=0)
        >>> sorted(sorted(batch.target.tolist()) for batch in batches.epoch(0))[0][0]
        0
        >>> batches.num_batches
        4
    """

    def __init__(
        self,
        rows: Batch,
        groups: Tensor,
        batch_size: int,
        seed: int,
        *,
        augment: Augment | None = None,
        finish: Finish | None = None,
    ) -> None:
        self.rows = rows
        self.num_rows = len(rows.target)
        self.batch_size = min(batch_size, self.num_rows)
        self._groups = groups.cpu()
        self._counts = [-(-count // self.batch_size) for count in self._sizes()]
        self.num_batches = sum(self._counts)
        self._seed = seed
        self._augment = augment
        self._finish = finish

    def _sizes(self) -> list[int]:
        sizes: list[int] = torch.unique(self._groups, return_counts=True)[1].tolist()
        return sizes

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            epoch: Number of the epoch, from 0.
            start: Number of the first batch wanted, to go on in mid-epoch.

        Yields:
            Each batch in turn.
        """
        for number, index in enumerate(self.order(epoch)[start:], start):
            batch = take(self.rows, index.to(self.rows.target.device))
            seed = derive_seed(self._seed, "augment", epoch, number)
            yield finished(batch, self._augment, self._finish, seed)

    def order(self, epoch: int) -> list[Tensor]:
        """The row numbers of each batch of an epoch."""
        generator = torch_generator(self._seed, "shuffle", epoch)
        shuffled = torch.randperm(self.num_rows, generator=generator)
        ordered = shuffled[self._groups[shuffled].argsort(stable=True)]
        by_group = torch.split(ordered, self._sizes())
        parts = zip(by_group, self._counts, strict=True)
        batches = [part for rows, count in parts for part in rows.tensor_split(count)]
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
