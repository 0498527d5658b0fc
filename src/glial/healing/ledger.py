"""What healing tried, what that brought, and what was kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from glial.core.findings import Finding
from glial.healing.patient import Trial
from glial.healing.treatment import Treatment
from glial.healing.verdict import Judgement, Pair

Outcome = Literal["kept", "dropped", "unverified", "failed", "not-tried"]
Stage = Literal["screened", "confirmed"]


@dataclass
class Attempt:
    """One treatment that was tried, or would have been.

    Attributes:
        treatment: What was changed.
        stage: How far it came; None where it was not tried.
        verdict: What became of it.
        pairs: Scores with and without it, a pair for each seed.
        gain: What it brought on average: of screening against the best until then.
        noise: The noise that this was held against; None where it was only screened.
        seconds: What its own trainings took.
        cost: The same in units of one training of the control.
        gone: Problems of the control's errors and warnings that the treated training lacks.
        new: Problems that it has and the control lacks.
        why: Why it failed.

    Example:
        >>> Attempt(Treatment()).verdict
        'not-tried'
    """

    treatment: Treatment
    stage: Stage | None = None
    verdict: Outcome = "not-tried"
    pairs: list[Pair] = field(default_factory=list)
    gain: float | None = None
    noise: float | None = None
    seconds: float = 0.0
    cost: float = 0.0
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    why: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The attempt as JSON."""
        return {
            **self.treatment.to_dict(),
            "set": dict(self.treatment.set) or None,
            "stage": self.stage,
            "verdict": self.verdict,
            "scores": [[pair.seed, pair.before, pair.after] for pair in self.pairs],
            "gain": self.gain,
            "noise": self.noise,
            "cost": self.cost,
            "gone": list(self.gone),
            "new": list(self.new),
            "why": self.why,
        }

    def compare(self, control: Trial, treated: Trial) -> None:
        """Note which problems went with the treatment, and which came.

        Args:
            control: A watched training without it.
            treated: One with it.
        """
        self.gone = tuple(one for one in control.problems if one not in treated.problems)
        self.new = tuple(one for one in treated.problems if one not in control.problems)

    def harmed(self, *, lower_is_better: bool) -> bool:
        """Whether a training with it was clearly worse than one without.

        Args:
            lower_is_better: Whether a lower score is a better one.
        """
        turned = [Pair(pair.seed, pair.after, pair.before) for pair in self.pairs]
        return any(pair.is_clear(lower_is_better=lower_is_better) for pair in turned)

    def confirm(self, judgement: Judgement) -> None:
        """Take in what the pairs of all seeds come to.

        Args:
            judgement: Of them.
        """
        self.stage = "confirmed"
        self.verdict = "kept" if judgement.helps else "dropped"
        self.gain, self.noise = judgement.gain, judgement.noise


@dataclass
class Healing:
    """The whole of it: from a sick training to a better one, or back.

    Attributes:
        metric: What was measured.
        lower_is_better: Whether a lower score is a better one.
        budget: Trainings that were allowed.
        before: Trainings of the control, by seed.
        kept: What was kept; None where nothing was.
        after: Trainings with it, by seed.
        attempts: Everything that was tried, in order.
        trainings: How many were made; a shortened one counts as its share.
        search_cost: What screening took, in units of one training of the control.
        confirm_cost: What the control and confirming took, likewise.
        stopped: Why there was no more: ``healthy``, ``not-watched``, ``no-remedy``, ``done``,
            ``budget`` or ``interrupted``.
        signal: Number of the signal that interrupted it.

    Example:
        >>> Healing("val accuracy", False, 8).to_dict()["kept"]
        []
    """

    metric: str
    lower_is_better: bool
    budget: float
    before: dict[int, Trial] = field(default_factory=dict)
    kept: Treatment | None = None
    after: dict[int, Trial] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    trainings: float = 0.0
    search_cost: float = 0.0
    confirm_cost: float = 0.0
    stopped: str = "done"
    signal: int | None = None

    @property
    def findings(self) -> list[Finding]:
        """What was wrong with the control."""
        return self.before[0].findings if 0 in self.before else []

    @property
    def noise(self) -> float | None:
        """The noise that the last confirmed treatment was held against."""
        told = [one.noise for one in self.attempts if one.noise is not None]
        return told[-1] if told else None

    def to_dict(self, *, diff: str | None = None) -> dict[str, Any]:
        """The whole as JSON.

        Args:
            diff: What was kept as a unified diff, of a script.
        """
        kept = self.kept or Treatment()
        return {
            "metric": self.metric,
            "lower_is_better": self.lower_is_better,
            "before": _arm(self.before),
            "after": _arm(self.after) if self.kept else None,
            "noise": self.noise,
            "kept": [step.remedy for step in kept.steps],
            "diff": diff,
            "set": dict(kept.set) or None,
            "attempts": [attempt.to_dict() for attempt in self.attempts],
            "trainings": self.trainings,
            "search_cost": self.search_cost,
            "confirm_cost": self.confirm_cost,
            "budget": self.budget,
            "stopped": self.stopped,
        }


def _arm(trials: Mapping[int, Trial]) -> dict[str, Any]:
    """The scores of trainings and their mean, without those that have none; what was wrong."""
    scores = [trial.score for trial in trials.values()]
    told = [score for score in scores if score is not None]
    first = next(iter(trials.values()), None)
    return {
        "mean": sum(told) / len(told) if told else math.nan,
        "scores": scores,
        "problems": list(first.problems) if first else [],
    }
