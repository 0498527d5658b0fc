"""A script's seeds, each moved by the same number: another draw of the same training."""

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Callable
from typing import Any

STRIDE = 10_007  # between the seeds of two trainings; a prime, so that few seeds of one meet
LARGEST = 2**32  # numpy takes none beyond
# Seeds of a generator that the script never seeds: torch tells them from anybody's by their size.
UNSEEDED = 2**32


class Seeding:
    """Moves the seeds that a script gives to random generators, and seeds those it does not.

    Only generators that are shared are moved, and those of torch: a data set that is split by
    ``random_state=0`` stays split so.

    Args:
        shift: By how many strides; 0 leaves the script's own seeds as they are.

    Example:
        >>> Seeding(2).moved(1)
        20015
        >>> Seeding(0).moved(1)
        1
    """

    def __init__(self, shift: int) -> None:
        self._shift = shift

    def moved(self, seed: Any) -> Any:
        """A seed, moved; what is no number stays what it is."""
        if self._shift == 0 or not isinstance(seed, int) or isinstance(seed, bool):
            return seed
        return (seed + self._shift * STRIDE) % LARGEST

    def put_in_python(self) -> None:
        """Move the seeds of Python's own generator."""
        random.seed(self._shift * STRIDE)
        random.seed = self._moving(random.seed)

    def put_in_numpy(self) -> None:
        """Move the seeds of NumPy's shared generator, once ``numpy.random`` is there."""
        numpy_random: Any = sys.modules["numpy.random"]
        numpy_random.seed(self._shift * STRIDE)
        numpy_random.seed = self._moving(numpy_random.seed)

    def put_in_torch(self) -> None:
        """Move the seeds of torch's generators, once torch is there."""
        torch: Any = sys.modules["torch"]
        torch.default_generator.manual_seed(UNSEEDED + self._shift * STRIDE)
        if self._shift == 0:
            return
        # It seeds every device by one and the same door each: only the outermost is moved.
        torch.manual_seed = torch.random.manual_seed = self._moving(torch.random.manual_seed)
        for name in ("manual_seed", "manual_seed_all"):
            setattr(torch.cuda, name, self._moving(getattr(torch.cuda, name)))
        torch.Generator = self._generator(torch.Generator)

    def _moving(self, seed: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(seed)
        def seed_moved(*args: Any, **kwargs: Any) -> Any:
            args = (self.moved(args[0]), *args[1:]) if args else args
            kwargs = {name: self.moved(value) for name, value in kwargs.items()}
            return seed(*args, **kwargs)

        return seed_moved

    def _generator(self, kind: Any) -> Any:
        """A kind of generator whose seeds are moved; torch's own counts as one."""
        moved = self.moved

        class Kind(type(kind)):  # type: ignore[misc]
            def __instancecheck__(cls, value: Any) -> bool:
                return isinstance(value, kind)

        class Generator(kind, metaclass=Kind):  # type: ignore[misc]
            def manual_seed(self, seed: Any) -> Any:
                return super().manual_seed(moved(seed))

        Generator.__module__, Generator.__qualname__ = "torch", "Generator"
        return Generator
