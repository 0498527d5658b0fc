"""A plan as a patient: trained again with other keys, in memory or in folders that are let go."""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from glial.core.errors import InputError
from glial.core.findings import Finding, is_healthy
from glial.core.settings import override
from glial.doctor.evidence import Evidence
from glial.doctor.evidence.table import evidence_files, load_evidence
from glial.doctor.measures import outcome
from glial.healing.patient import Trial
from glial.healing.treatment import Step, Treatment
from glial.runs import Plan, Run, TrainingInterrupted
from glial.runs.plan_changes import PlanChange
from glial.runs.remedies import plan_changes
from glial.tasks.metrics import LOWER_IS_BETTER

logger = logging.getLogger(__name__)

LEAST_REFERENCE = 0.1  # of the way to the perfect answer, which a forest goes
LEAST_EPOCHS = 8  # of a training that is worth shortening
# By which validation score each task is judged; others by what they monitor.
SCORES = {
    "classification": "f1_macro",
    "multilabel": "f1_macro",
    "regression": "root_mean_squared_error",
    "tagging": "f1",
}
# What changes which rows are held out; and what changes the meaning of a loss.
OF_ROWS = ("data.split", "data.duplicates", "data.types", "data.target", "data.max_length")
OF_LOSS = (
    *("task.loss", "task.label_smoothing", "task.temperature", "task.pretext", "data."),
    *("model.beta", "model.free_bits", "model.variance", "model.penalty", "model.likelihood"),
)
LOSSES = {"loss", "perplexity"}

TrainPlan = Callable[..., Run]


class PlanPatient:
    """A plan that is trained again: other seeds, the same rows held out.

    The score is the task's own on the validation rows: macro F1 of classes, the root mean squared
    error of numbers, else what the task monitors.

    Args:
        train: Trains with what the user asked for; called with ``set``, ``out`` and perhaps
            ``model``.
        asked: The plan that was asked for.
        control: The training without a change.
        set: Keys that the user set, which a treatment's come on top of.
        model: The user's own network as it was before any training.
        folder: Where whole trainings with the plan's own seed are kept; None keeps them in memory.

    Attributes:
        runs: Whole treated trainings with the plan's own seed.

    Example:
        >>> from functools import partial
        >>> from glial.runs import train
        >>> start = partial(train, "iris", model="linear", epochs=10)
        >>> control = start(out=False)
        >>> patient = PlanPatient(start, control.plan, control)
        >>> patient.measured_by, patient.lower_is_better, patient.can_shorten
        ('val f1_macro', False, True)
    """

    def __init__(
        self,
        train: TrainPlan,
        asked: Plan,
        control: Run,
        set: Mapping[str, Any] | None = None,
        *,
        model: nn.Module | None = None,
        folder: Path | None = None,
    ) -> None:
        self._train, self._asked, self._set = train, asked, dict(set or {})
        self._model, self._folder = model, folder
        self._metric = main_metric(control)
        self._plans: list[tuple[Treatment, Plan]] = [(Treatment(), control.plan)]
        self.runs: list[tuple[Treatment, Run]] = []
        self.lower_is_better = self._metric in LOWER_IS_BETTER
        self.measured_by = f"val {self._metric}"
        epochs = control.plan.train.epochs
        self.can_shorten = epochs >= LEAST_EPOCHS and not control.members

    def trial_of(self, run: Run, seconds: float) -> Trial:
        """What a run comes to as a trial.

        Args:
            run: A run of the plan, treated or not.
            seconds: What it took.
        """
        score = run.metrics.get("val", {}).get(self._metric)
        failed = None
        if score is not None and not math.isfinite(score):
            score, failed = None, f"{self._metric} is not finite"
        meant = run.plan.train.epochs * max(1, len(run.members))
        length = run.epochs / meant if meant and run.ended_by != "time_limit" else 1.0
        evidence = run.evidence
        if evidence is None and run.path is not None:  # the run was opened
            evidence = next(map(load_evidence, evidence_files(run.path)), None)
        found = [*run.findings, *_lagging(run.findings, evidence)]
        return Trial(score, seconds, run.seconds, found, evidence, failed, min(1.0, length))

    def train(self, treatment: Treatment, *, seed: int, share: float = 1.0) -> Trial:
        """Train the plan with the treatment's keys.

        Args:
            treatment: Its keys come on top of those asked for.
            seed: How far the plan's seed is moved; rows are split by the plan's own.
            share: Of the epochs.

        Raises:
            KeyboardInterrupt: If the user asked to stop.
        """
        own = self._asked.train.seed
        changes = {**self._set, **treatment.set}
        if seed:
            changes |= {"train.seed": own + seed, "data.split.seed": self._asked.split_seed}
        if share < 1:
            epochs = self._plan_of(treatment).train.epochs
            changes["train.epochs"] = max(1, round(share * treatment.longer * epochs))
        keeps = not seed and share == 1
        begin = time.monotonic()
        try:
            run = self._run(changes, kept=keeps)
        except TrainingInterrupted:
            raise
        except (InputError, RuntimeError, ValueError, MemoryError) as error:
            seconds = time.monotonic() - begin
            return Trial(None, seconds, seconds, failed=f"{type(error).__name__}: {error}")
        if keeps:
            self.runs.append((treatment, run))
            self._plans.append((treatment, run.plan))
        trial = self.trial_of(run, time.monotonic() - begin)
        if self._is_incomparable(treatment):
            return Trial(None, trial.seconds, trial.training_seconds, trial.findings)
        return trial

    def candidates(self, trial: Trial, treatment: Treatment) -> list[Treatment]:
        """Each change of the plan that could mend what was found, the first cause's in front.

        What takes back something that was set by hand comes before what adds something.

        Where there are several errors, what mends each is also tried together.

        Args:
            trial: What was found.
            treatment: With what.
        """
        grave = [one for one in trial.findings if one.severity != "note"]
        plan, asked = self._plan_of(treatment), self._asked_with(treatment)
        found = [(one, plan_changes(one, plan, asked)) for one in grave]
        each = [(finding, change) for finding, changes in found for change in changes]
        each.sort(key=lambda pair: not pair[1].takes_back)
        made = [_extended(treatment, [pair]) for pair in each]
        firsts = [(one, changes[0]) for one, changes in found if changes]
        errors = [pair for pair in firsts if pair[0].severity == "error"]
        if len(errors) > 1:
            made.insert(1, _extended(treatment, errors))
        return made

    def _run(self, changes: Mapping[str, Any], *, kept: bool) -> Run:
        out: Path | bool = False
        if kept and self._folder is not None:
            out = self._folder / str(len(self.runs) + 1)
        own = {} if self._model is None else {"model": copy.deepcopy(self._model)}
        if self._asked.train.report_to:  # loggers are told of the first training alone
            changes = {**changes, "train.report_to": []}
        with _silent():
            return self._train(set=changes, out=out, **own)

    def _plan_of(self, treatment: Treatment) -> Plan:
        """The plan as it was trained with a treatment, or else without."""
        same = [plan for known, plan in self._plans if known.has_same_changes(treatment)]
        return same[-1] if same else self._plans[0][1]

    def _asked_with(self, treatment: Treatment) -> Plan:
        values = self._asked.to_values(given_only=True)
        return Plan.from_values(override(values, treatment.set))

    def _is_incomparable(self, treatment: Treatment) -> bool:
        """Whether scores with and without it are of other rows, or of another loss."""
        keys = tuple(treatment.set)
        rows = any(key.startswith(OF_ROWS) for key in keys)
        return rows or (self._metric in LOSSES and any(key.startswith(OF_LOSS) for key in keys))


def main_metric(run: Run) -> str:
    """The validation score that a run is judged by.

    Args:
        run: Of any task.

    Example:
        >>> from glial.runs import train
        >>> main_metric(train("iris", model="linear", epochs=1, out=False))
        'f1_macro'
    """
    told = run.metrics.get("val", {})
    wished = [SCORES.get(run.task, ""), *reversed(run.decoder.monitored), *told]
    return next((name for name in wished if name in told), run.decoder.monitored[-1])


def _lagging(findings: list[Finding], evidence: Evidence | None) -> Iterator[Finding]:
    """A training that is told to be healthy and fits its rows much worse than a forest does.

    Nothing is known of why, which is too little to tell anybody, and enough to try something.
    """
    result = None if evidence is None or not is_healthy(findings) else outcome(evidence)
    if result is not None and result.suffers and result.reference > LEAST_REFERENCE:
        yield Finding(
            "underfitting",
            "warning",
            None,
            {"skill": result.skill, "reference": result.reference},
            "the training rows are fitted much worse than a forest predicts others",
            "see what was changed by hand",
        )


def _extended(treatment: Treatment, pairs: list[tuple[Finding, PlanChange]]) -> Treatment:
    """A treatment with a step more for each change."""
    steps = [
        Step(
            change.name,
            finding.problem,
            finding.where,
            change.does,
            any(key.startswith(OF_LOSS) for key in change.set),
        )
        for finding, change in pairs
    ]
    changes: dict[str, Any] = dict(treatment.set)
    longer = treatment.longer
    for _, change in pairs:
        changes |= change.set
        longer *= change.longer
    return Treatment((*treatment.steps, *steps), set=changes, longer=longer)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Leave out what trainings say of themselves: of many, nobody wants to know."""
    parts = [logging.getLogger(f"glial.{name}") for name in ("runs", "training", "data", "models")]
    levels = [part.level for part in parts]
    for part in parts:
        part.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for part, level in zip(parts, levels, strict=True):
            part.setLevel(level)
