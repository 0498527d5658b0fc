"""Whether what draws random numbers was ever given a seed."""

from __future__ import annotations

import sys
from typing import Any

import torch

OWN_SEED = 2**32  # torch seeds itself with a number far above what anybody writes


class Seeds:
    """The generators that a script draws from, and those that it never seeded.

    Python's own is left out: libraries draw from it while they are imported.

    Args:
        fresh: Whether the process began with the script, so that all seeding is seen.

    Example:
        >>> seeds = Seeds(fresh=False)
        >>> seeds.put()
        >>> _ = torch.manual_seed(0)
        >>> seeds.unseeded()
        []
    """

    def __init__(self, *, fresh: bool) -> None:
        self._fresh = fresh
        self._torch: torch.Tensor | None = None
        self._numpy: Any = None
        self._door: Any = None
        self._seeded = False

    def put(self) -> None:
        """Begin to listen."""
        self._torch = torch.get_rng_state()
        numpy = sys.modules.get("numpy")
        if not self._fresh or numpy is None:
            return
        self._numpy, self._door = _numpy_state(numpy), numpy.random.seed

        def seed(*args: Any, **kwargs: Any) -> Any:
            self._seeded = True
            return original(*args, **kwargs)

        original, numpy.random.seed = self._door, seed

    def take_away(self) -> None:
        """Listen no more."""
        if self._door is not None:
            sys.modules["numpy"].random.seed = self._door
            self._door = None

    def unseeded(self) -> list[str]:
        """The generators that were used and never seeded."""
        found = []
        drawn = self._torch is not None and not torch.equal(torch.get_rng_state(), self._torch)
        if drawn and torch.initial_seed() >= OWN_SEED:
            found.append("torch")
        known = self._numpy is not None and not self._seeded
        if known and _numpy_state(sys.modules["numpy"]) != self._numpy:
            found.append("numpy")
        return found


def _numpy_state(numpy: Any) -> Any:
    name, keys, *rest = numpy.random.get_state()
    return name, keys.tobytes(), *rest
