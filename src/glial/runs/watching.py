"""The doctor in Glial's own loop: it looks into some steps, and the training does not notice."""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence

import torch
from torch import Tensor, nn

from glial.core.findings import Finding
from glial.data.batches import Batch, take
from glial.doctor.diagnosis import diagnose
from glial.doctor.evidence import Evidence
from glial.doctor.ignoring import check_ignored, is_ignored
from glial.doctor.measures import outcome
from glial.doctor.replays import ReplayWatcher
from glial.doctor.settings import DoctorSettings
from glial.doctor.telling import tell
from glial.models.unlabelled import Unlabelled
from glial.training import Fault, Moment, Objective, TrainingView, Watchable
from glial.training.faults import fault_findings

logger = logging.getLogger(__name__)

PREFLIGHT_LOOKS = 3
PREFLIGHT_ROWS = 32
PREFLIGHT_SECONDS = 0.3
# Seconds of training from which on a test is made before it; of shorter ones at the end, if it
# went badly. Rows are compared by forests, whose library alone takes a second or two to import.
LONG_FOR_FITTING = 10.0
LONG_FOR_COMPARING = 100.0
# What only the end of a training shows.
KNOWN_AT_THE_END = frozenset({"undertrained", "underfitting", "schedule-collapse"})


class TrainingWatch:
    """A callback that watches a training, and looks into its steps where the loop lets it.

    Args:
        model: The network.
        objective: What trains it; one that is not :class:`~glial.training.Watchable` is not
            looked into.
        settings: The plan's ``doctor`` part.
        steps: Steps of the whole training, as far as is known.
        keeps_best: Whether the weights of the best epoch are kept.

    Example:
        >>> from glial.training import Descent, TrainSettings
        >>> model, rows = nn.Linear(1, 1), Batch((torch.ones(4, 1),), torch.zeros(4, 1))
        >>> squared = lambda outputs, target, weight: (outputs - target).square().mean()
        >>> objective = Descent(model, squared, TrainSettings(), lr=0.1)
        >>> watch = TrainingWatch(model, objective, DoctorSettings())
        >>> watch.preflight(rows)
        >>> [finding.severity for finding in watch.findings(steps=0)]
        []
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        settings: DoctorSettings,
        *,
        steps: int | None = None,
        keeps_best: bool = True,
    ) -> None:
        self._steps, self._keeps_best = steps, keeps_best
        self._model, self._objective, self._settings = model, objective, settings
        watches = settings.watch and isinstance(objective, Watchable)
        self._watcher = ReplayWatcher(settings.budget, steps=steps) if watches else None
        self._told: set[str] = set()
        self._last_look: Batch | None = None
        self._put_off: list[Callable[[ReplayWatcher], None]] = []
        self.evidence: Evidence | None = None

    def preflight(self, rows: Batch | None, others: Batch | None = None) -> None:
        """Look at a few rows before anything is learnt, and say what is wrong.

        Args:
            rows: Training rows in no order; the first are a batch.
            others: Rows that are kept back.
        """
        if self._watcher is None or rows is None:
            return
        few = torch.arange(min(PREFLIGHT_ROWS, len(rows.target)), device=rows.target.device)
        batch = take(rows, few)
        if isinstance(self._model, Unlabelled):
            self._last_look = rows  # what codes and players come to in the end is to be judged
        start = Moment(0, 0, 0.0)
        before = self._watcher = ReplayWatcher(
            self._settings.budget, floor=PREFLIGHT_SECONDS, steps=self._steps
        )
        for _ in range(PREFLIGHT_LOOKS):
            self._look(batch, start)
            before.stepped(made=False)
        held = None if others is None else (others.inputs, others.target)

        def compare(watcher: ReplayWatcher) -> None:
            watcher.compare((rows.inputs, rows.target), held)

        def fit(_: ReplayWatcher) -> None:
            before.fit_one_batch()

        seconds = self._expected_seconds(batch, start)
        tests = [(fit, LONG_FOR_FITTING), (compare, LONG_FOR_COMPARING)]
        if isinstance(self._model, Unlabelled):
            del tests[-1]  # what is drawn of rows is not a question with an answer
        for test, long in tests:
            if seconds >= long:
                test(before)
            else:
                self._put_off.append(test)
        seen = before.evidence()
        self._say(self._diagnosed(seen))
        self._watcher = ReplayWatcher(self._settings.budget, steps=self._steps, preflight=seen)

    def _expected_seconds(self, batch: Batch, start: Moment) -> float:
        """About what the whole training takes, at least."""
        if self._steps is None or not isinstance(self._objective, Watchable):
            return math.inf
        begin = time.perf_counter()
        with _left_as_it_was(self._model):
            self._objective.make_passes(batch, start)
        return (time.perf_counter() - begin) * self._steps

    def is_due(self, step: int) -> bool:
        """Whether a step is looked into."""
        return self._watcher is not None and self._watcher.is_due(step)

    def before_step(self, batch: Batch, moment: Moment) -> None:
        """Make the passes of a step beside it."""
        self._look(batch, moment)

    def after_step(self) -> None:
        """See what the step changed."""
        if self._watcher is not None:
            self._watcher.stepped()

    def on_epoch_end(self, view: TrainingView) -> None:
        """Take in the losses of the epoch."""
        if self._watcher is not None and "train_loss" in view.metrics:
            learnt, judged = view.metrics["train_loss"], view.metrics.get("val_loss")
            self._watcher.judged(view.step, learnt, judged, keeps=self._keeps_best)

    def evidence_so_far(self) -> Evidence | None:
        """What was seen until now, to be read at once; None where nothing is watched."""
        return self.evidence or (None if self._watcher is None else self._watcher.evidence())

    def findings_so_far(self) -> list[Finding]:
        """Errors and warnings that what was seen until now shows."""
        evidence = self.evidence_so_far()
        if evidence is None:
            return []
        told = self._diagnosed(copy.deepcopy(evidence))
        return [f for f in told if f.severity != "note" and f.problem not in KNOWN_AT_THE_END]

    def findings(
        self, steps: int, *, finite: bool = True, met: Collection[int] = ()
    ) -> list[Finding]:
        """What is wrong with the training, now that it is over.

        Args:
            steps: Steps made.
            finite: Whether the loss stayed so.
            met: Steps, from 1, that went wrong and were made otherwise, or left out.
        """
        if self._watcher is None:
            return []
        if self._last_look is not None:
            self._look(self._last_look, Moment(steps, 0, 1.0))
            self._watcher.stepped(made=False)
        self.evidence = self._watcher.end(steps)
        if finite and self.evidence.loss_not_finite in met:
            self.evidence.loss_not_finite = None
        if not finite and self.evidence.loss_not_finite is None:
            self.evidence.loss_not_finite = steps  # in between the steps that were looked into
        found = self._diagnosed(self.evidence)
        if self._put_off and _is_doubtful(self.evidence, found):
            for test in self._put_off:
                test(self._watcher)
            found = self._diagnosed(self.evidence)
        self._put_off = []
        self._say(found, in_result=True)
        return found

    def _diagnosed(self, evidence: Evidence) -> list[Finding]:
        return diagnose(evidence, self._settings.sensitivity, self._settings.ignore)

    def _say(self, findings: list[Finding], *, in_result: bool = False) -> None:
        """Log what was not said before; whoever shows the result may leave the last of it out."""
        for finding in findings:
            if finding.severity != "note" and finding.problem not in self._told:
                self._told.add(finding.problem)
                told = " ".join(line.strip() for line in tell(finding))
                logger.warning("%s", told, extra={"in_result": in_result})

    def _look(self, batch: Batch, moment: Moment) -> None:
        objective = self._objective
        if self._watcher is None or not isinstance(objective, Watchable):
            return
        with _left_as_it_was(self._model):
            self._watcher.look(
                moment.step, lambda: objective.make_passes(batch, moment), *objective.optimizers
            )


def told_faults(faults: Sequence[Fault], steps: int, settings: DoctorSettings) -> list[Finding]:
    """Findings on the steps that went wrong and were met, but for what is to be left out.

    Args:
        faults: What was met.
        steps: Steps of the training.
        settings: The plan's ``doctor`` part.

    Example:
        >>> told_faults([], 100, DoctorSettings())
        []
    """
    silenced = check_ignored(settings.ignore)
    found = fault_findings(faults, steps)
    return [finding for finding in found if not is_ignored(finding, silenced)]


def _is_doubtful(evidence: Evidence, found: list[Finding]) -> bool:
    """Whether what was seen of a training asks for tests that take longer than it."""
    result = outcome(evidence)
    well = result is not None and not result.lags
    is_told = any(one.severity != "note" for one in found)
    return not well or is_told or evidence.seconds > LONG_FOR_COMPARING


@contextlib.contextmanager
def _left_as_it_was(model: nn.Module) -> Iterator[None]:
    """Put modes, buffers and random states back: passes move them."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(value, value.detach().clone()) for value in model.buffers()]
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.is_cuda})
    if not model.training:
        model.train()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        for module, training in modes:
            module.training = training
        _put_back(buffers)


def _put_back(buffers: list[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for value, old in buffers:
            value.copy_(old)
