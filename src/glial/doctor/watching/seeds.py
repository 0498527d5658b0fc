"""Whether what draws random numbers was ever given a seed."""

from __future__ import annotations

import random
import sys
from typing import Any

import torch

OWN_SEED = 2**32  # torch seeds itself with a number far above what anybody writes


class Seeds:
    """The generators that a script draws from, and those that it never seeded.

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
        self._begun: dict[str, Any] = {}
        self._seeded: set[str] = set()
        self._doors: list[tuple[Any, Any]] = []

    def put(self) -> None:
        """Begin to listen; a generator that is seeded before is not known to be."""
        self._begun = {"torch": torch.get_rng_state()}
        if not self._fresh:
            return
        self._listen("random", random, random.getstate())
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            self._listen("numpy", numpy.random, _numpy_state(numpy))

    def take_away(self) -> None:
        """Listen no more."""
        for owner, original in self._doors:
            owner.seed = original
        self._doors = []

    def unseeded(self) -> list[str]:
        """The generators that were used and never seeded."""
        found = []
        drawn = not torch.equal(torch.get_rng_state(), self._begun["torch"])
        if drawn and torch.initial_seed() >= OWN_SEED:
            found.append("torch")
        numpy = sys.modules.get("numpy")
        for name in ("numpy", "random"):
            if name not in self._begun or name in self._seeded:
                continue
            now = random.getstate() if name == "random" else _numpy_state(numpy)
            if now != self._begun[name]:
                found.append(name)
        return found

    def _listen(self, name: str, owner: Any, state: Any) -> None:
        original = owner.seed

        def seed(*args: Any, **kwargs: Any) -> Any:
            self._seeded.add(name)
            return original(*args, **kwargs)

        owner.seed = seed
        self._begun[name] = state
        self._doors.append((owner, original))


def _numpy_state(numpy: Any) -> Any:
    name, keys, *rest = numpy.random.get_state()
    return name, keys.tobytes(), *rest
