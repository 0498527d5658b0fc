"""A verdict: what is wrong, what was watched, and which exit status says so."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glial.core.findings import Finding, is_healthy
from glial.doctor.evidence import Evidence
from glial.doctor.launching.process import Ended

INTERRUPTED = 128 + signal.SIGINT


@dataclass(frozen=True)
class Verdict:
    """What came of watching a script, or of reading a run.

    Attributes:
        findings: The one to mend first at the top.
        evidence: What was seen; None where nothing was watched.
        ended: How the script's process ended; None for a run.
        steps_of: The steps of each process that was watched, the one that is judged first.
        note: What is to be said beside the findings: why nothing was seen, for one.

    Example:
        >>> Verdict([], None).healthy
        True
    """

    findings: list[Finding]
    evidence: Evidence | None
    ended: Ended | None = None
    steps_of: Mapping[int, int] = field(default_factory=dict)
    note: str | None = None

    @property
    def healthy(self) -> bool:
        """Whether there is no error and no warning."""
        return is_healthy(self.findings)

    @property
    def failed(self) -> bool:
        """Whether the script ended as it should not have, by itself."""
        if self.ended is None or (self.evidence is not None and self.evidence.stopped):
            return False
        if self.ended.late:
            return True
        if self.ended.forced:  # its status is the doctor's doing
            return self.evidence is not None and self.evidence.ended is not None
        return self.ended.status != 0

    @property
    def has_seen_training(self) -> bool:
        """Whether there was a step to judge."""
        return self.evidence is not None and self.evidence.steps > 0

    def exit_status(self, *, strict: bool = False) -> int:
        """What the command exits with.

        Args:
            strict: Whether a script of which no step was seen fails the check too.

        Returns:
            130 (or 143) interrupted, 3 the script failed, 1 it is not healthy, 0 it is.

        Example:
            >>> Verdict([], None, Ended(42, 0)).exit_status(strict=True)
            1
        """
        if self.ended is not None and self.ended.asked is not None:
            return 128 + self.ended.asked
        if self.failed:
            return 3
        blind = strict and self.ended is not None and not self.has_seen_training
        return int(not self.healthy or blind)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as the JSON that the command prints."""
        return {
            "healthy": self.healthy,
            "findings": [finding.to_dict() for finding in self.findings],
            "watched": self._watched(),
        }

    def _watched(self) -> dict[str, Any]:
        seen = self.evidence or Evidence()
        return {
            "exit_status": self.ended.shell_status if self.ended else None,
            "signal": self.ended.signal if self.ended else None,
            "models": [model.name for model in seen.models],
            "optimizers": [optimizer.name for optimizer in seen.optimizers],
            "losses": [loss.name for loss in seen.losses],
            "loaders": [loader.name for loader in seen.loaders],
            "steps": seen.steps,
            "stopped": seen.stopped,
            "error": self._error(),
            "processes": [{"pid": pid, "steps": steps} for pid, steps in self.steps_of.items()],
            "not_checked": [{"problem": x.problem, "why": x.why} for x in seen.not_checked],
            "seconds": seen.seconds,
            "overhead_share": seen.watching / seen.seconds if seen.seconds else 0.0,
            "note": self.note,
        }

    def _error(self) -> dict[str, Any] | None:
        if self.evidence is None or self.evidence.ended is None:
            return None
        place = self.evidence.error_at
        return {
            "kind": self.evidence.ended,
            "message": self.evidence.error,
            "at": {"file": place.file, "line": place.line} if place else None,
        }
