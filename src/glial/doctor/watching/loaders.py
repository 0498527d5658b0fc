"""``DataLoader``s: how they are set, and how long training waits for them."""

from __future__ import annotations

import contextlib
import functools
import time
import weakref
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, TensorDataset
from torch.utils.data.dataloader import _BaseDataLoaderIter

from glial.core.findings import Place
from glial.doctor.evidence import LoaderSeen
from glial.doctor.probes.workers import workers_are_equal
from glial.doctor.watching.places import Places, name_of, place_of, user_frame, user_place
from glial.doctor.watching.statistics import is_plain

MOST_LOADERS = 50
MOST_TRIED = 2


class LoaderWatch:
    """All loaders that are iterated over.

    Args:
        tests: Whether workers may be tried.

    Example:
        >>> watch = LoaderWatch()
        >>> watch.put(None)
        >>> batches = list(DataLoader([1, 2, 3], batch_size=2))
        >>> watch.take_away()
        >>> [(seen.rows, seen.batch_size, seen.shuffles) for seen in watch.seen()]
        [(3, 2, False)]
    """

    def __init__(self, *, tests: bool = False) -> None:
        self._tests = tests
        self._seen: dict[int, tuple[weakref.ref[Any], LoaderSeen]] = {}
        self._places = Places()
        self._last: LoaderSeen | None = None
        self._left = 0.0
        self._doors: list[tuple[Any, str, Any]] = []

    def put(self, listener: Any) -> None:
        """Hear of loaders from now on, as long as ``listener`` listens at all."""
        make, begin, following = (
            DataLoader.__init__,
            DataLoader.__iter__,
            _BaseDataLoaderIter.__next__,
        )
        watch = self

        @functools.wraps(make)
        def __init__(loader: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            make(loader, *args, **kwargs)
            with contextlib.suppress(Exception):
                watch._places.keep(loader, user_place())

        @functools.wraps(begin)
        def __iter__(loader: Any) -> Any:  # noqa: N807
            seen = None
            with contextlib.suppress(Exception):  # nothing of ours may reach the script
                seen = watch._begin(loader)
            iterator = begin(loader)
            iterator._glial_seen = seen  # type: ignore[attr-defined]
            return iterator

        @functools.wraps(following)
        def __next__(iterator: Any) -> Any:  # noqa: N807
            start = time.perf_counter()
            seen = getattr(iterator, "_glial_seen", None)
            if isinstance(seen, LoaderSeen) and seen is watch._last and watch._left:
                seen.work += start - watch._left
            batch = following(iterator)
            if seen is not None:
                watch._left = time.perf_counter()
                seen.wait += watch._left - start
                watch._last = seen
            return batch

        self._doors = [
            (DataLoader, "__init__", make),
            (DataLoader, "__iter__", begin),
            (_BaseDataLoaderIter, "__next__", following),
        ]
        DataLoader.__init__ = __init__  # type: ignore[assignment, method-assign]
        DataLoader.__iter__ = __iter__  # type: ignore[method-assign]
        _BaseDataLoaderIter.__next__ = __next__  # type: ignore[assignment, method-assign]

    def take_away(self) -> None:
        """Hear of them no more."""
        for owner, name, original in self._doors:
            if getattr(getattr(owner, name), "__wrapped__", None) is original:
                setattr(owner, name, original)
        self._doors = []

    def _begin(self, loader: Any) -> LoaderSeen | None:
        known = self._seen.get(id(loader))
        if known is None or known[0]() is not loader:
            if len(self._seen) >= MOST_LOADERS:
                return None
            known = (weakref.ref(loader), _describe(loader, self._places.get(loader)))
            self._seen[id(loader)] = known
            tried = sum(seen.equal_workers is not None for _, seen in self._seen.values())
            if self._tests and tried < MOST_TRIED:
                known[1].equal_workers = workers_are_equal(loader)
        return known[1]

    def used(self) -> None:
        """A gradient is taken: the last batch was one to learn from."""
        if self._last is not None:
            self._last.training = True

    def tensors(self) -> tuple[Tensor, Tensor] | None:
        """All inputs and targets that are trained on, where a loader's data set holds them so."""
        for loader, seen in self._seen.values():
            held = getattr(loader(), "dataset", None)
            tensors = held.tensors if isinstance(held, TensorDataset) else ()
            if seen.training and len(tensors) == 2 and all(map(is_plain, tensors)):
                return tensors[0], tensors[1]
        return None

    def seen(self) -> list[LoaderSeen]:
        """What was seen of each."""
        return [seen for _, seen in self._seen.values()]


def _describe(loader: Any, made_at: Place | None) -> LoaderSeen:
    frame = user_frame()
    sampler = getattr(loader, "sampler", None)
    try:
        rows = len(loader.dataset)
    except TypeError:  # a stream
        rows = 0
    sized = isinstance(loader.batch_size, int)
    return LoaderSeen(
        name=name_of(loader, frame) or type(loader).__name__,
        at=made_at or place_of(frame),
        rows=rows,
        batch_size=loader.batch_size if sized else None,
        shuffles=isinstance(sampler, RandomSampler) or not isinstance(sampler, SequentialSampler),
        workers=loader.num_workers,
    )
