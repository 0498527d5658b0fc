"""A patient: whatever can be trained again, unchanged or treated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from glial.core.findings import Finding
from glial.doctor.evidence import Evidence
from glial.healing.treatment import Treatment


@dataclass(frozen=True)
class Trial:
    """What came of one training.

    Attributes:
        score: The held-out metric. None with ``failed``: this training came to none, which is
            worse than any number. None without: nothing is measured that could be compared.
        seconds: What it took, all in all.
        training_seconds: Those that were spent training.
        findings: What the doctor found; empty where nothing was watched.
        evidence: What that rests on; None where nothing was watched.
        failed: Why there is no score: an exception, a signal, a number that is not finite.
        length: The share of the training it was meant to be that was done; less than 1 where it
            ended by itself before.

    Example:
        >>> Trial(0.9, 1.0, 0.8).ended_early
        False
    """

    score: float | None
    seconds: float
    training_seconds: float
    findings: list[Finding] = field(default_factory=list)
    evidence: Evidence | None = None
    failed: str | None = None
    length: float = 1.0

    @property
    def ended_early(self) -> bool:
        """Whether it broke off, so that its seconds say little of what a training takes."""
        burst = self.evidence is not None and self.evidence.loss_not_finite is not None
        return self.failed is not None or burst or self.length <= 0

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems of its errors and warnings, the one to mend first at the front."""
        grave = [one.problem for one in self.findings if one.severity != "note"]
        return tuple(dict.fromkeys(grave))


@runtime_checkable
class Patient(Protocol):
    """What the search for a treatment knows of the thing it heals.

    Attributes:
        lower_is_better: Whether a lower score is a better one.
        measured_by: What the score is, such as ``val f1_macro``.
        can_shorten: Whether a part of a training can be made instead of the whole.

    Example:
        >>> class Well:
        ...     lower_is_better, measured_by, can_shorten = False, "val accuracy", False
        ...
        ...     def train(self, treatment, *, seed, share=1.0):
        ...         return Trial(0.9, 1.0, 0.8)
        ...
        ...     def candidates(self, trial, treatment):
        ...         return []
        >>> isinstance(Well(), Patient)
        True
    """

    lower_is_better: bool
    measured_by: str
    can_shorten: bool

    def train(self, treatment: Treatment, *, seed: int, share: float = 1.0) -> Trial:
        """Train from scratch.

        Args:
            treatment: What is changed; the control changes nothing.
            seed: 0 is the seed that the thing itself has, 1 and 2 others. Rows are held out alike.
            share: The share of the training that is made; less than 1 where it can be shortened.

        Raises:
            KeyboardInterrupt: If the user asked to stop.
        """

    def candidates(self, trial: Trial, treatment: Treatment) -> list[Treatment]:
        """What could be tried next: a treatment with one more step each, the best first.

        Where several errors seem to have nothing to do with each other, one of them may add the
        first remedy of each.

        Args:
            trial: A whole, watched training with the treatment.
            treatment: What it was trained with.
        """
