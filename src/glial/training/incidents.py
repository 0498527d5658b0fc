"""A fault that is being met: what went wrong, what is tried, and the states to go back to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from glial.training.state import Held


@dataclass
class Kept:
    """A state, with what is known of the losses before it.

    Attributes:
        held: The state.
        recent: The last losses.
        limit: What a loss must exceed to be a spike.
        damped_until: The step until which the rate is halved.

    Example:
        >>> Kept().recent
        []
    """

    held: Held = field(default_factory=Held)
    recent: list[float] = field(default_factory=list)
    limit: float = math.inf
    damped_until: int = 0


@dataclass
class Incident:
    """A fault that is being met.

    Attributes:
        problem: What went wrong.
        phase: ``search`` makes steps again, each with a look at it, until one goes wrong;
            ``replay`` makes them until the step that did; ``attempt`` tries a remedy from there.
        start: The step that went wrong, from 0.
        until: The step up to which steps were made before.
        remedies: What is tried, one after the other.
        after: Losses of the steps after a spike; infinity where they were not finite.
        present: The state where training was when it went back; None where it was lost.
        origin: The state before the step that went wrong.
        number: The remedy that is tried.
        skipped: Steps that are left out.
        found: Losses of the steps of an attempt.
        calm: Good steps since the last that was left out.

    Example:
        >>> Incident("loss-spike", "replay", 3, 20, ["skip-batch"], number=0).remedy
        'skip-batch'
    """

    problem: str
    phase: Literal["search", "replay", "attempt"]
    start: int
    until: int
    remedies: list[str]
    after: list[float] = field(default_factory=list)
    present: Kept | None = None
    origin: Kept = field(default_factory=Kept)
    number: int = -1
    skipped: set[int] = field(default_factory=set)
    found: dict[int, float] = field(default_factory=dict)
    calm: int = 0

    @property
    def remedy(self) -> str:
        """What is tried now; empty where nothing is, or nothing is left."""
        return self.remedies[self.number] if 0 <= self.number < len(self.remedies) else ""
