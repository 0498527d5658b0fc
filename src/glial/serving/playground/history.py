"""What a training was like so far, at moments that get further apart the longer it goes."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Thinned(Generic[T]):
    """Keeps at most so many entries of a sequence, evenly spread, the first and last among them.

    When it is full every second entry is dropped, and from then on only every second one is taken.

    Args:
        most: Entries that are kept; at least 4.

    Example:
        >>> kept = Thinned(most=4)
        >>> for number in range(10):
        ...     kept.add(number)
        >>> kept.entries
        [0, 4, 8, 9]
    """

    def __init__(self, most: int) -> None:
        self._most, self._every, self._count = most, 1, 0
        self._kept: list[T] = []
        self._last: T | None = None

    def add(self, entry: T) -> None:
        """Take in the next entry."""
        self._last = entry
        if self._count % self._every == 0:
            self._kept.append(entry)
        self._count += 1
        if len(self._kept) >= self._most:
            self._kept = self._kept[::2]
            self._every *= 2

    @property
    def entries(self) -> list[T]:
        """What is kept, and the latest."""
        if self._last is None or self._kept[-1] is self._last:
            return list(self._kept)
        return [*self._kept, self._last]

    def __len__(self) -> int:
        """How many were taken in."""
        return self._count
