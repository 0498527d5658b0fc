"""How large values are beside the largest before them, in bounded memory."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from glial.core.errors import InputError

LEAST_SEEN = 20


class Largest:
    """The value that a share of all seen so far exceed, told from the largest of them alone.

    Memory holds at most so many numbers, however many are seen. Once more than ``most / share``
    were, the least that is held stands for the one that is wanted, which is smaller.

    Args:
        share: Of the values seen, those that exceed the level.
        most: Values that are held.
        seen: How many were seen before, where one goes on.
        held: The largest of these, ascending.

    Raises:
        InputError: If there can be no such values.

    Example:
        >>> largest = Largest(0.1, most=5)
        >>> for value in range(30):
        ...     largest.see(float(value))
        >>> largest.level(), largest.held
        (27.0, [25.0, 26.0, 27.0, 28.0, 29.0])
    """

    def __init__(
        self, share: float = 0.005, most: int = 100, seen: int = 0, held: Sequence[float] = ()
    ) -> None:
        fits = 0 < share < 1 and most >= 1 and seen >= len(held) and len(held) <= most
        if not fits or list(held) != sorted(held) or not all(map(math.isfinite, held)):
            raise InputError(
                "these cannot be the largest values seen",
                expected="a share between 0 and 1, and at most as many values as were seen and are "
                "to be held, finite and ascending",
                got=f"a share of {share}, {len(held)} values of {seen}, at most {most}",
                do="give those of another such object",
            )
        self.share, self.most = share, most
        self.seen, self.held = seen, list(held)

    def level(self) -> float:
        """What the share of the values seen is at or above; NaN while there were few."""
        if self.seen < LEAST_SEEN:
            return math.nan
        place = max(1, math.ceil(self.share * self.seen))
        return self.held[-min(place, len(self.held))]

    def see(self, value: float) -> None:
        """Take one more value in; NaN is none."""
        if math.isnan(value):
            return
        self.seen += 1
        if len(self.held) < self.most or value > self.held[0]:
            bisect.insort(self.held, value)
            del self.held[: max(0, len(self.held) - self.most)]

    def copy(self) -> Largest:
        """Another one that has seen the same."""
        return Largest(self.share, self.most, self.seen, self.held)
