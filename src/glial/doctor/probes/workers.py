"""Whether the workers of a loader draw the same random numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from glial.doctor.probes.replay import unnoticed
from glial.doctor.watching.statistics import is_plain
from glial.doctor.watching.tape import tensors_in

WORKERS = 2
SECONDS = 5.0


def workers_are_equal(loader: Any) -> bool | None:
    """Ask two workers, made as the loader's are, for one and the same row, twice each.

    Only where workers are forks, which share what the script has made, and for data sets that
    are asked by number. What is asked for happens in those processes alone.

    Args:
        loader: A ``DataLoader`` that is about to be iterated over.

    Returns:
        Whether both give the same although a worker's second answer differs from its first;
        None where no numbers are drawn, or nothing can be said.

    Example:
        >>> workers_are_equal(DataLoader([1, 2, 3]))  # has no workers
    """
    if not _can_be_tried(loader):
        return None
    trial = DataLoader(
        loader.dataset,
        batch_sampler=[[0]] * (2 * WORKERS),
        num_workers=WORKERS,
        collate_fn=loader.collate_fn,
        worker_init_fn=_Silent(loader.worker_init_fn),
        multiprocessing_context=loader.multiprocessing_context,
        timeout=SECONDS,
        generator=torch.Generator().manual_seed(0),
        prefetch_factor=2,
    )
    try:
        with unnoticed(), torch._C.DisableTorchFunction():
            begin = DataLoader.__iter__
            iterator = getattr(begin, "__wrapped__", begin)(trial)  # which nobody hears
            answers = [_numbers(batch) for batch in iterator]
    except Exception:  # noqa: BLE001 - whatever a data set may raise
        return None
    first, other, again, _ = answers
    if not first or _same(first, again):
        return None
    return _same(first, other)


def _can_be_tried(loader: Any) -> bool:
    context = getattr(loader, "multiprocessing_context", None)
    method = (context or torch.multiprocessing).get_start_method(allow_none=False)
    return (
        type(loader) is DataLoader
        and loader.num_workers >= WORKERS
        and method == "fork"
        and not isinstance(loader.dataset, IterableDataset)
        and not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    )


def _numbers(batch: Any) -> list[Tensor]:
    return [value.detach().clone() for value in tensors_in(batch) if is_plain(value)]


def _same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


class _Silent:
    """What a script does when a worker starts, without what it prints."""

    def __init__(self, begin: Callable[[int], None] | None) -> None:
        self._begin = begin

    def __call__(self, worker: int) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        if self._begin is not None:
            self._begin(worker)
