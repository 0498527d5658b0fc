"""Anyone's loaders as batches: torch's ``DataLoader`` and data sets, generators, functions."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from glial.core.errors import InputError
from glial.core.seeds import derive_seed
from glial.data.batches import Batch

_TABLES = ("polars", "pandas", "pyarrow", "numpy", "sklearn", "torch")
UNKNOWN = 1 << 40  # batches of an epoch, where nothing tells


def is_loader(source: Any) -> bool:
    """Whether a source gives batches, or rows to make them of, and is no table.

    Example:
        >>> is_loader(iter([])), is_loader("iris"), is_loader([1, 2])
        (True, False, False)
    """
    if isinstance(source, (DataLoader, Dataset)):
        return True
    if isinstance(source, (str, Path, Mapping, list, tuple, type, nn.Module)):
        return False
    if type(source).__module__.split(".")[0] in _TABLES or hasattr(source, "model_fields"):
        return False
    return callable(source) or hasattr(source, "__iter__")


class LoaderBatches:
    """The batches of a loader, passed over anew every epoch.

    A batch is ``(input, ..., target)`` or a dictionary with a named target, of tensors or NumPy
    arrays. What the loader draws at random it draws from a stream of its own, seeded by the seed
    and the epoch: torch's, NumPy's and Python's global generators are set for each batch and put
    back after, and so is the ``generator`` of a ``DataLoader``. So an epoch goes on from a batch
    by passing over those before it, exactly, if the loader draws from nothing else.

    Args:
        source: A ``DataLoader``; a data set of torch, of which one is made; a function that
            returns an iterable of batches for each epoch; any iterable of batches. A plain
            generator can be passed over once.
        batch_size: Rows of a batch, where a loader is made of a data set.
        seed: Seed of what the loader draws.
        shuffle: Whether the rows of a data set are shuffled.
        workers: Processes of a loader that is made of a data set.
        target: Key of the target in batches that are dictionaries.
        model: The network, whose arguments tell the order of a dictionary's entries.
        device: Where batches are wanted.

    Example:
        >>> batches = LoaderBatches([(torch.zeros(2, 3), torch.tensor([0, 1]))], seed=0)
        >>> batches.num_batches, next(batches.epoch(0)).target
        (1, tensor([0, 1]))
    """

    def __init__(
        self,
        source: Any,
        batch_size: int = 64,
        seed: int = 0,
        *,
        shuffle: bool = True,
        workers: int = 0,
        target: str | None = None,
        model: nn.Module | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if isinstance(source, Dataset):
            shuffled = shuffle and not isinstance(source, IterableDataset)
            source = DataLoader(source, batch_size, shuffle=shuffled, num_workers=workers)
        self._source = source
        self._seed = seed
        self._target = target
        self._model = model
        self._device = torch.device(device)
        self.once = isinstance(source, Iterator)
        self._begun = False
        self.batch_size = int(getattr(source, "batch_size", None) or batch_size)
        self.num_batches, self.num_rows = self._sizes()

    def _sizes(self) -> tuple[int, int]:
        """Batches and rows of an epoch, where the loader tells them."""
        source = self._source
        try:
            batches = len(source)
            rows = len(getattr(source, "dataset", ()))
        except TypeError:
            return UNKNOWN, UNKNOWN
        if isinstance(source, DataLoader) and rows and source.batch_sampler is not None:
            full = batches * self.batch_size
            return batches, full if source.drop_last else min(rows, full)
        return batches, UNKNOWN

    @property
    def is_counted(self) -> bool:
        """Whether the batches and rows of an epoch are known."""
        return UNKNOWN not in (self.num_batches, self.num_rows)

    def count(self) -> None:
        """Pass over an epoch to count its batches and rows."""
        self.num_rows = self.num_batches = 0
        for batch in self.epoch(0):
            self.num_batches += 1
            self.num_rows += len(batch.target)

    def look(self, most: int) -> list[Batch]:
        """The first batches, of which a loader that can be passed over once loses none."""
        if not self.once:
            with closing(self.epoch(0)) as batches:
                return list(islice(batches, most))
        first = next(self._source, None)
        if first is None:
            raise _spent(0)
        self._source = chain([first], self._source)
        inputs, target = self.parts(first)
        return [self._placed(inputs, target)]

    def drawn(self) -> Iterator[Any]:
        """What the loader itself gives, batch by batch."""
        return self._drawn(0)

    def _placed(self, inputs: tuple[Tensor, ...], target: Tensor) -> Batch:
        return Batch(tuple(part.to(self._device) for part in inputs), target.to(self._device))

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        """The batches of one epoch.

        Args:
            epoch: Number of the epoch, from 0.
            start: Number of the first batch wanted; those before it are passed over.

        Yields:
            Each batch in turn.

        Raises:
            InputError: If there is no batch, or one is not understood.
        """
        if self.once and self._begun:
            raise _spent(epoch)
        self._begun = True
        number = rows = 0
        for batch in self._drawn(epoch):
            inputs, target = self.parts(batch)
            rows += len(target)
            number += 1
            if number > start:
                yield self._placed(inputs, target)
        if number == 0:
            raise _spent(epoch)
        if self.once:
            self.num_batches, self.num_rows = number, rows

    def _drawn(self, epoch: int) -> Iterator[Any]:
        """What the loader gives, drawn from a stream of its own."""
        source = self._source
        seed = derive_seed(self._seed, "loader", epoch)
        for place in (source, getattr(source, "sampler", None)):
            generator = getattr(place, "generator", None)
            if isinstance(generator, torch.Generator):
                generator.manual_seed(seed)
        set_epoch = getattr(getattr(source, "sampler", None), "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)
        stream = _Stream(seed)
        with stream.drawn_from():
            iterator = iter(source() if callable(source) else source)
        end = object()
        while True:
            with stream.drawn_from():
                batch = next(iterator, end)
            if batch is end:
                return
            yield batch

    def parts(self, batch: Any) -> tuple[tuple[Tensor, ...], Tensor]:
        """The inputs and the target of a batch.

        Args:
            batch: What a loader gave.

        Raises:
            InputError: If it is not understood.
        """
        if isinstance(batch, Mapping):
            if self._target not in batch:
                raise _misunderstood(
                    f"a dictionary of {', '.join(map(str, batch))}",
                    "name its target: glial.train(loader, target=KEY)",
                )
            names = [name for name in batch if name != self._target]
            inputs = [batch[name] for name in self._ordered([str(name) for name in names])]
            target = batch[self._target]
        elif isinstance(batch, (tuple, list)) and len(batch) > 1:
            *inputs, target = batch
        else:
            raise _misunderstood(type(batch).__name__, "give (input, target), or a dictionary")
        tensors = [as_tensor(part) for part in [*inputs, target]]
        if len({len(part) if part.ndim else -1 for part in tensors}) != 1 or not inputs:
            shapes = ", ".join(str(list(part.shape)) for part in tensors)
            raise _misunderstood(f"shapes {shapes}", "give each part a row per row")
        return tuple(tensors[:-1]), tensors[-1]

    def inputs(self, batch: Any, count: int) -> tuple[Tensor, ...]:
        """The inputs of a batch that may have no target.

        Args:
            batch: What a loader gave: one input, or several of which those of the network come
                first, or a dictionary.
            count: Inputs of the network.
        """
        if isinstance(batch, Mapping):
            names = [str(name) for name in batch if name != self._target]
            return tuple(as_tensor(batch[name]) for name in self._ordered(names))
        parts = batch if isinstance(batch, (tuple, list)) else (batch,)
        return tuple(as_tensor(part).to(self._device) for part in parts[:count])

    def _ordered(self, names: list[str]) -> list[str]:
        """The names in the order of the network's arguments."""
        if self._model is None or len(names) < 2:
            return names
        wanted = list(inspect.signature(self._model.forward).parameters)[: len(names)]
        if set(wanted) != set(names):
            raise _misunderstood(
                f"inputs {', '.join(names)}",
                f"name them as the network's first arguments: {', '.join(wanted)}",
            )
        return wanted


def as_tensor(part: Any) -> Tensor:
    """A part of a batch as a tensor; NumPy's 64-bit floats become 32-bit, as networks have them.

    Raises:
        InputError: If it is neither a tensor nor numbers.

    Example:
        >>> as_tensor(np.zeros((2, 1))).dtype
        torch.float32
    """
    if isinstance(part, Tensor):
        return part
    try:
        array = np.asarray(part)
        return torch.as_tensor(array.astype(np.float32) if array.dtype == np.float64 else array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise _misunderstood(type(part).__name__, "give tensors or NumPy arrays") from error


def _misunderstood(got: str, do: str) -> InputError:
    return InputError(
        "a batch of the loader is not understood",
        expected="(input, ..., target), or a dictionary with a named target",
        got=got,
        do=do,
    )


def _spent(epoch: int) -> InputError:
    return InputError(
        f"the loader has no batch in epoch {epoch + 1}",
        expected="batches in every epoch",
        got="none: a generator can be passed over once",
        do="give a function that returns a new generator, or epochs=1",
    )


class _Stream:
    """Torch's, NumPy's and Python's global random numbers, as one loader draws them."""

    def __init__(self, seed: int) -> None:
        self._state: Callable[[], None] = lambda: _seed_all(seed)

    @contextmanager
    def drawn_from(self) -> Iterator[None]:
        """Within the block global generators are the loader's; after it they are as before."""
        before = _states()
        self._state()
        try:
            yield
        finally:
            self._state = _states()
            before()


def _seed_all(seed: int) -> None:
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the generator that others' code draws from
    random.seed(seed)


def _states() -> Callable[[], None]:
    """What puts the global generators back to where they are now."""
    tensors, python = torch.get_rng_state(), random.getstate()
    numbers = np.random.get_state()  # noqa: NPY002

    def put_back() -> None:
        torch.set_rng_state(tensors)
        np.random.set_state(numbers)  # noqa: NPY002
        random.setstate(python)

    return put_back
