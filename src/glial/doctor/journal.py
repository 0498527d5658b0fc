"""Where a watched process keeps its evidence while it runs, and how it is stopped."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from glial.core.files import write_atomic
from glial.doctor.evidence import Evidence
from glial.doctor.traces import Traces
from glial.doctor.watching.rows import RowStore
from glial.doctor.watching.stopping import stop_training

SECONDS = 1.0
PREFLIGHT_ROUNDS = 4
PREFLIGHT_PASSES = 200  # without a step: more than anybody adds up


class Journal:
    """The folder of one process; without a folder nothing is kept.

    Args:
        folder: It.
        most_steps: Updates after which the process is stopped; None lets it run.
        preflight: Whether it is stopped as soon as its start was seen.

    Example:
        >>> Journal(None).is_kept
        False
    """

    def __init__(
        self, folder: Path | None, most_steps: int | None = None, *, preflight: bool = False
    ) -> None:
        self._folder, self._most_steps, self._preflight = folder, most_steps, preflight
        self._process, self._written = os.getpid(), 0.0

    @property
    def is_kept(self) -> bool:
        """Whether this process keeps anything."""
        return self._folder is not None and os.getpid() == self._process

    @property
    def is_limited(self) -> bool:
        """Whether the process is stopped after a number of steps."""
        return self._most_steps is not None or self._preflight

    def write(self, evidence: Evidence, rows: RowStore | None = None) -> None:
        """Keep evidence, and rows for whoever reads it."""
        if self._folder is None or not self.is_kept:
            return
        if rows is not None:
            rows.save(Traces(self._folder).rows)
        write_atomic(Traces(self._folder).evidence, json.dumps(evidence.to_dict()))
        self._written = time.perf_counter()

    def has_enough(self, steps: int, rounds: int, passes: int) -> bool:
        """Whether as much of the training was seen as was asked for.

        Args:
            steps: Updates that were made.
            rounds: Rounds that are over.
            passes: Times that gradients were taken.
        """
        enough = self._most_steps is not None and steps >= self._most_steps
        idle = not steps and passes >= PREFLIGHT_PASSES
        return enough or (self._preflight and (rounds >= PREFLIGHT_ROUNDS or idle))

    def keep(
        self,
        evidence: Callable[[], Evidence],
        rows: RowStore,
        steps: int,
        rounds: int,
        passes: int,
    ) -> None:
        """Write what is due; end the process where enough was seen.

        Args:
            evidence: Gives what was seen so far.
            rows: What else is kept at the end.
            steps: Updates that were made.
            rounds: Rounds that are over.
            passes: Times that gradients were taken.
        """
        if self.has_enough(steps, rounds, passes):
            seen = evidence()
            seen.stopped = True
            self.write(seen, rows)
            stop_training(self._folder)
        elif self.is_kept and time.perf_counter() - self._written > SECONDS:
            self.write(evidence())
