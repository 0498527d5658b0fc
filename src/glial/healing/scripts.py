"""Somebody's script as a patient: trained again and again, its files never written."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from glial.core.errors import GlialError, InputError
from glial.core.findings import Finding, Place
from glial.doctor.causes import LEADS_TO, consequences
from glial.doctor.diagnosis import Sensitivity
from glial.doctor.evidence import Evidence
from glial.doctor.launching import Output, Script, Verdict, watch
from glial.doctor.remedies import Case, Change, Sources, changes, diff_of, texts_after
from glial.healing.metrics import PrintedMetric, evaluated, evaluation_loss
from glial.healing.patient import Trial
from glial.healing.shortening import Turns, find_turns, shortened
from glial.healing.treatment import Step, Treatment
from glial.healing.writing import write_texts

LEAST_SECONDS = 120.0  # for a training, however short the control's was
MOST_TIMES = 10.0  # as long as the control may a training take
NO_METRIC = "evaluation loss"
FOLLOWS = consequences(LEADS_TO)  # what each problem leads to


class Interrupted(KeyboardInterrupt):
    """The user asked to stop while a script trained.

    Attributes:
        signal: The number of the signal.

    Example:
        >>> Interrupted(2).signal
        2
    """

    def __init__(self, signal: int) -> None:
        super().__init__()
        self.signal = signal


class ScriptPatient:
    """A script, trained unchanged or with its files' texts replaced while it runs.

    Its files are never written. What it writes itself, it writes in every training, so what
    stays is what the last one wrote. The output of the first training is shown, that of the
    others is not.

    Args:
        script: What to run.
        metric: What its output is measured by; its evaluation loss if None.
        sensitivity: How much must speak for a finding.
        ignore: Problems, each as ``ID`` or ``ID@layer``, that are left out.
        output_to_error: Whether the script's standard output goes to standard error.

    Attributes:
        verdict: That of the first training of the control; None before it.
        lower_is_better: Whether a lower score is a better one: so of losses.
        measured_by: The expression, or the loss.
        can_shorten: Whether it is known where the script says how long it trains; False before
            the first training.

    Example:
        >>> from glial.doctor.launching import Script
        >>> patient = ScriptPatient(Script("code", ("-c", "pass")))
        >>> trial = patient.train(Treatment(), seed=0)
        >>> trial.score, trial.failed, patient.candidates(trial, Treatment())
        (None, None, [])
    """

    def __init__(
        self,
        script: Script,
        metric: PrintedMetric | None = None,
        *,
        sensitivity: Sensitivity = "normal",
        ignore: Collection[str] = (),
        output_to_error: bool = False,
    ) -> None:
        self.verdict: Verdict | None = None
        self.lower_is_better = metric is None or metric.lower_is_better
        self.measured_by = NO_METRIC if metric is None else metric.name
        self.can_shorten = False
        self._script, self._metric = script, metric
        self._sensitivity, self._ignore = sensitivity, ignore
        self._output_to_error = output_to_error
        self._sources = Sources()
        self._turns: Turns | None = None
        self._loss: str | None = None
        self._most_seconds: float | None = None

    def train(self, treatment: Treatment, *, seed: int, share: float = 1.0) -> Trial:
        """Run the script from its start to its end.

        Args:
            treatment: The texts that its files are to have.
            seed: By how many strides its seeds are moved; 0 leaves them.
            share: The share of its turns that it makes, where it is known where they are told.

        Returns:
            What came of it.

        Raises:
            InputError: If the first training ends well, and the metric finds no number in what
                it prints.
            Interrupted: If the user asked to stop.
        """
        texts = dict(treatment.texts)
        if share < 1 and self._turns is not None:
            texts = shortened(texts, self._turns, share) or texts
        is_first = self.verdict is None
        most_seconds = self._most_seconds and self._most_seconds * treatment.longer
        output, began = Output(hidden=not is_first), time.monotonic()
        try:
            verdict = watch(
                self._script,
                sensitivity=self._sensitivity,
                ignore=self._ignore,
                output_to_error=self._output_to_error,
                patches=texts,
                seed_shift=seed,
                output=output,
                most_seconds=most_seconds,
            )
        except GlialError as error:
            if is_first:
                raise
            return Trial(None, time.monotonic() - began, 0.0, failed=str(error))
        seconds = time.monotonic() - began
        if is_first:
            self._begin(verdict, seconds)
        if verdict.ended is not None and verdict.ended.asked is not None:
            raise Interrupted(verdict.ended.asked)
        try:
            score, failed = self._score(treatment, verdict, output)
        except InputError as error:  # the metric finds no number
            if is_first:
                raise
            score, failed = None, error.message
        training = verdict.evidence.seconds if verdict.evidence is not None else 0.0
        findings = list(verdict.findings)
        return Trial(score, seconds, training, findings, verdict.evidence, failed)

    def candidates(self, trial: Trial, treatment: Treatment) -> list[Treatment]:
        """What the findings of a training call for.

        In front stands the likeliest remedy of the first finding. Where there are several errors,
        or no error and several warnings, the likeliest remedies of all of them that follow from
        no other come next, together, then the others of the first finding, then those of the next.
        Notes come last, and only of the script as it is: whether they matter is what trying shows.

        Args:
            trial: A watched training with the treatment.
            treatment: What it was trained with.

        Returns:
            The treatment with one more step each, or with several.
        """
        if trial.evidence is None:
            return []
        sources = self._sources if treatment.is_control else Sources(treatment.texts)
        graves = [finding for finding in trial.findings if finding.severity != "note"]
        notes = [one for one in trial.findings if one not in graves and treatment.is_control]
        found = [
            (finding, change)
            for finding in (*graves, *notes)
            for change in changes(Case(_placed(finding), trial.evidence, sources))
        ]
        sets = [[one] for one in found]
        together = _together(found, graves)
        if len(together) > 1:
            sets.insert(1, together)
        return list(_distinct(_treatments(sets, treatment, sources)))

    def diff(self, treatment: Treatment, root: Path | None = None) -> str:
        """A treatment as a unified diff, which ``git apply`` and ``patch -p1`` take.

        Args:
            treatment: Of this script.
            root: Where paths are told from; the current folder if None.
        """
        return diff_of(treatment.texts, self._sources, root)

    def write(self, treatment: Treatment) -> dict[Path, Path]:
        """Give the script's files a treatment's texts.

        Args:
            treatment: Of this script.

        Returns:
            Where what each file held is kept.

        Raises:
            InputError: If a file was changed since it was first read, or cannot be written.
        """
        before = {path: self._sources.get(path) for path in treatment.texts}
        return write_texts(
            treatment.texts, {path: one.text for path, one in before.items() if one is not None}
        )

    def _begin(self, verdict: Verdict, seconds: float) -> None:
        """Learn from the first training what the others need."""
        self.verdict = verdict
        self._most_seconds = max(LEAST_SECONDS, MOST_TIMES * seconds)
        if verdict.evidence is not None and not verdict.failed:
            self._turns = find_turns(verdict.evidence, self._sources)
            self.can_shorten = self._turns is not None
        if verdict.evidence is not None and (loss := evaluated(verdict.evidence)) is not None:
            self._loss = loss.name

    def _score(
        self, treatment: Treatment, verdict: Verdict, output: Output
    ) -> tuple[float | None, str | None]:
        """The score of a training, and why it has none where it failed."""
        score = None
        if verdict.failed:
            return None, _how_it_failed(verdict)
        if self._metric is not None:
            score = self._metric.read(output.text, output.errors)
            if score is None:
                raise _nothing_found(self._metric, output.text)
        elif verdict.evidence is not None and self._is_comparable(treatment, verdict.evidence):
            score = evaluation_loss(verdict.evidence)
        if score is not None and not math.isfinite(score):
            return None, f"{self.measured_by} is not finite"
        return score, None

    def _is_comparable(self, treatment: Treatment, evidence: Evidence) -> bool:
        """Whether the loss means what the control's does; any will do where that came to none."""
        loss = evaluated(evidence)
        if loss is None:
            return False
        if self._loss is None and self.verdict is not None and self.verdict.failed:
            self._loss = loss.name
            return True
        return loss.name == self._loss and not treatment.alters_loss


def _placed(finding: Finding) -> Finding:
    """A finding whose place is told as evidence tells places: from the root."""
    at = finding.at
    if at is None:
        return finding
    return replace(finding, at=Place(str(Path(at.file).absolute()), at.line))


def _together(
    found: list[tuple[Finding, Change]], graves: list[Finding]
) -> list[tuple[Finding, Change]]:
    """The first change of each finding of the gravest kind that follows from none before it."""
    severity = "error" if any(one.severity == "error" for one in graves) else "warning"
    first: list[tuple[Finding, Change]] = []
    for finding, change in found:
        known = [(one.problem, one.where) for one, _ in first]
        follows = any(finding.problem in FOLLOWS.get(one.problem, ()) for one, _ in first)
        is_new = (finding.problem, finding.where) not in known
        if finding.severity == severity and is_new and not follows:
            first.append((finding, change))
    return first


def _treatments(
    sets: list[list[tuple[Finding, Change]]], treatment: Treatment, sources: Sources
) -> Iterator[Treatment]:
    """A treatment with each of some sets of changes; what cannot be together is left out."""
    for several in sets:
        steps, kept, texts = list(treatment.steps), list[Change](), dict[str, str]()
        longer = treatment.longer
        for finding, change in several:
            try:
                after = texts_after([*kept, change], sources)
            except ValueError:
                continue
            if after == texts:
                continue
            kept, texts, longer = [*kept, change], after, longer * change.longer
            step = Step(
                change.name, finding.problem, finding.where, change.does, change.alters_loss
            )
            steps.append(step)
        if texts:
            whole = {**treatment.texts, **texts}
            yield Treatment(tuple(steps), whole, longer=longer)


def _distinct(treatments: Iterator[Treatment]) -> Iterator[Treatment]:
    seen: list[Mapping[str, str]] = []
    for treatment in treatments:
        if treatment.texts not in seen:
            seen.append(treatment.texts)
            yield treatment


def _how_it_failed(verdict: Verdict) -> str:
    evidence, ended = verdict.evidence or Evidence(), verdict.ended
    if evidence.ended is not None:
        return f"{evidence.ended}: {evidence.error}"
    if ended is None:
        return "it was not run"
    if ended.late:
        return "its time was over"
    return f"it ended by {ended.signal}" if ended.signal else f"it exited with {ended.status}"


def _nothing_found(metric: PrintedMetric, output: str) -> InputError:
    lines = output.strip().splitlines()
    return InputError(
        "--metric matches nothing that the script prints",
        expected=f"a line that holds {metric.pattern!r}",
        got=f"{len(lines):,} lines, the last: {lines[-1]!r}" if lines else "no output",
        do="try the expression on what the script prints",
    )
