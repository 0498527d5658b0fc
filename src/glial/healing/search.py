"""The search for a treatment: screened on single pairs, confirmed on several, kept if it helps."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

from glial.healing.account import DEFAULT_BUDGET, Account, check_budget
from glial.healing.ledger import Attempt, Healing
from glial.healing.patient import Patient, Trial
from glial.healing.treatment import Treatment
from glial.healing.verdict import SEEDS, Pair, judge

logger = logging.getLogger(__name__)

SHORT = 0.25  # the share of a training that candidates are screened on where there are several
WORTH_SHORTENING = 2  # candidates that parts of trainings must leave room for
# What shows only at the end of a training, or by its length.
NEEDS_THE_WHOLE = {"undertrained", "overfitting", "schedule-collapse", "batch-size-unsuitable"}


def heal(
    patient: Patient, *, budget: float = DEFAULT_BUDGET, control: Trial | None = None
) -> Healing:
    """Look for a treatment that helps, and keep it only if it does.

    The first training is the diagnosis. Where the patient knows remedies for it, they are
    screened on pairs of one seed, the best of the first cause in front: whole trainings, or
    shortened ones where there are several to choose from. What is better by a clear margin is
    extended while errors are left. Screening costs at most two trainings. The best is trained
    with three seeds beside the control and kept if every pair gains, and all together more than
    the pooled standard deviation between seeds. What was kept is the control of what follows.

    Args:
        patient: What is healed.
        budget: Most trainings in all, that of the control among them.
        control: The first training, where it has been made already.

    Returns:
        What was tried and what was kept; also where the user interrupts it.

    Raises:
        InputError: If the budget is too small.

    Example:
        >>> from glial.core.findings import Finding
        >>> from glial.healing import Step
        >>> class Steep:
        ...     "Scores 0.5, and 0.9 with a lower rate."
        ...
        ...     lower_is_better, measured_by, can_shorten = False, "val accuracy", False
        ...
        ...     def train(self, treatment, *, seed, share=1.0):
        ...         if treatment.is_control:
        ...             found = Finding("loss-spike", "error", None, {}, "It jumps.", "Lower it.")
        ...             return Trial(0.5, 1.0, 0.8, [found])
        ...         return Trial(0.9, 1.0, 0.8)
        ...
        ...     def candidates(self, trial, treatment):
        ...         step = Step("lower-rate", "loss-spike", None, "divides the rate by 10")
        ...         return [Treatment((step,), set={"train.lr": 0.01})]
        >>> healing = heal(Steep())
        >>> healing.kept.name, healing.trainings
        ('lower-rate', 6.0)
    """
    check_budget(budget)
    search = _Search(patient, budget)
    try:
        search.run(control)
    except KeyboardInterrupt as stop:
        search.healing.stopped = "interrupted"
        search.healing.signal = getattr(stop, "signal", None)
    return search.settled()


@dataclass
class _Base:
    """What candidates are held against: a treatment and its trainings."""

    treatment: Treatment
    whole: Trial
    short: Trial | None = None


class _Search:
    def __init__(self, patient: Patient, budget: float) -> None:
        self.patient = patient
        self.account = Account(budget)
        self.healing = Healing(patient.measured_by, patient.lower_is_better, budget)
        self._arm: dict[int, Trial] = self.healing.before  # what is to be bettered, by seed
        # Treatments that screening found better than what they were held against, with the
        # trainings of theirs that were whole.
        self._promising: list[tuple[Attempt, dict[int, Trial]]] = []
        self._too_long: list[Treatment] = []  # to be screened, that is

    def run(self, control: Trial | None) -> None:
        """From the diagnosis on, as far as remedies, the search's limit and the budget go."""
        healing, nothing = self.healing, Treatment()
        trial = control or self.patient.train(nothing, seed=SEEDS[0])
        self.account.charge(trial, is_control=True)
        healing.before[SEEDS[0]] = trial
        if trial.evidence is None and not trial.findings and trial.failed is None:
            healing.stopped = "not-watched"
            return
        while True:
            trial, treatment = self._arm[SEEDS[0]], healing.kept or nothing
            candidates: list[Treatment] = []
            if trial.problems or self._may_be_better(trial):
                candidates = self._fresh(self.patient.candidates(trial, treatment))
            if not candidates:
                none = "no-remedy" if trial.problems else "healthy"
                healing.stopped = "done" if healing.attempts else none
                return
            healing.stopped = "done"
            self._promising, self._too_long = [], []
            self._screen(_Base(treatment, trial), candidates)
            kept = self._confirm()
            if kept is None:
                return
            healing.kept, self._arm = kept
            healing.after = self._arm

    def _may_be_better(self, trial: Trial) -> bool:
        """Whether a training without errors or warnings is worth trying something on."""
        return self.healing.kept is None and trial.score is not None

    def settled(self) -> Healing:
        """The healing, with what it cost."""
        self.healing.trainings = self.account.trainings
        self.healing.search_cost = self.account.search_cost
        self.healing.confirm_cost = self.account.confirm_cost
        for attempt in self.healing.attempts:
            attempt.cost = self.account.in_trainings(attempt.seconds)
        return self.healing

    def _fresh(self, candidates: list[Treatment]) -> list[Treatment]:
        """Candidates that change something and were not tried before, noted as attempts."""
        fresh: list[Treatment] = []
        for candidate in candidates:
            known = [*(attempt.treatment for attempt in self.healing.attempts), *fresh]
            if not candidate.is_control and not any(map(candidate.has_same_changes, known)):
                fresh.append(candidate)
        self.healing.attempts += [Attempt(candidate) for candidate in fresh]
        return fresh

    def _in_front(self, candidates: list[Treatment], queue: list[Treatment]) -> list[Treatment]:
        """The queue with candidates put before it; one that waits in it comes forward."""
        fresh, waiting = self._fresh(candidates), list(queue)
        front: list[Treatment] = []
        for candidate in candidates:
            alike = [one for one in (*fresh, *waiting) if one.has_same_changes(candidate)]
            front += [one for one in alike[:1] if one not in front]
        return [*front, *(one for one in waiting if one not in front)]

    def _screen(self, base: _Base, queue: list[Treatment]) -> None:
        """Try candidates until one heals, none is left, or no more may be spent."""
        best = base
        while queue:
            if best is not base and not best.whole.problems:
                return
            if len(queue) > 1 and self._tried_whole() and self._shortens(best, queue):
                self._screen_shortened(best, queue)
                return
            queue.sort(key=self._holds_what_harmed)
            candidate = queue.pop(0)
            to_confirm = self._to_confirm(whole=True)
            if not self.account.can_search(self._times(candidate), to_confirm=to_confirm):
                self.healing.stopped = "budget"
                if candidate.longer > 1:
                    self._too_long.append(candidate)
                continue  # a shorter one may still do
            attempt = self._attempt_of(candidate)
            trial = self._try(attempt, best.whole, share=1.0)
            attempt.compare(base.whole, trial)
            if attempt.verdict == "unverified" and not trial.problems:
                return  # nothing tells more than that the findings are gone
            if self._is_promising(attempt):
                self._promising.append((attempt, {SEEDS[0]: trial}))
                best = _Base(candidate, trial)
                if trial.problems:
                    queue[:] = self._in_front(self.patient.candidates(trial, candidate), queue)

    def _screen_shortened(self, best: _Base, queue: list[Treatment]) -> None:
        """Try candidates on a part of a training each, beside the best until then."""
        to_confirm = self._to_confirm(whole=False)
        if best.short is None:
            best.short = self.patient.train(best.treatment, seed=SEEDS[0], share=SHORT)
            times = self._times(best.treatment, SHORT) / SHORT
            self.account.charge(best.short, share=SHORT, times=times, searching=True)
        for candidate in queue:
            if not self._can_be_short(candidate):
                self._too_long += [candidate] if candidate.longer > 1 else []
                continue
            expected = self._times(candidate, SHORT)
            if not self.account.can_search(expected, to_confirm=to_confirm, share=SHORT):
                self.healing.stopped = "budget"
                continue
            attempt = self._attempt_of(candidate)
            self._try(attempt, best.short, share=SHORT)
            if self._is_promising(attempt):
                self._promising.append((attempt, {}))

    def _try(self, attempt: Attempt, beside: Trial, *, share: float) -> Trial:
        """Train with a treatment, and note how it did beside another training."""
        treatment = attempt.treatment
        logger.info("trying %s: %s", treatment.name, treatment.does)
        trial = self.patient.train(treatment, seed=SEEDS[0], share=share)
        attempt.stage = "screened"
        attempt.seconds += trial.seconds
        times = self._times(treatment, share) / share
        self.account.charge(trial, share=share, times=times, searching=True)
        attempt.why = trial.failed
        if trial.failed is None and trial.score is None:
            attempt.verdict = "unverified"
            return trial
        pair = Pair(SEEDS[0], beside.score, trial.score)
        attempt.verdict = "failed" if trial.failed else "dropped"
        attempt.pairs = [pair]
        attempt.gain = pair.gain(lower_is_better=self.patient.lower_is_better)
        return trial

    def _holds_what_harmed(self, treatment: Treatment) -> bool:
        """Whether it is a combination with a step that by itself made things clearly worse."""
        worse = [
            set(one.treatment.steps)
            for one in self.healing.attempts
            if one.verdict != "kept" and one.harmed(lower_is_better=self.patient.lower_is_better)
        ]
        return any(one < set(treatment.steps) for one in worse)

    def _is_promising(self, attempt: Attempt) -> bool:
        lower = self.patient.lower_is_better
        return any(pair.is_clear(lower_is_better=lower) for pair in attempt.pairs)

    def _confirm(self) -> tuple[Treatment, dict[int, Trial]] | None:
        """The first promising treatment that several seeds agree on, the best one in front.

        What takes too long to be screened comes last, if the budget holds one of its trainings:
        to train longer is often all that is missing, and screening would only choose.
        """
        fits = [one for one in self._too_long if self._times(one) <= self.account.budget]
        unscreened = [(self._attempt_of(one), dict[int, Trial]()) for one in fits[:1]]
        for attempt, trials in [*self._by_score(), *unscreened]:
            needed = sum(seed not in arm for seed in SEEDS for arm in (self._arm, trials))
            if not self.account.can_train(needed):
                self.healing.stopped = "budget"
                continue
            attempt.pairs = []
            for pair in self._pairs(attempt, trials):
                attempt.pairs.append(pair)
                if pair.gain(lower_is_better=self.patient.lower_is_better) < 0:
                    break  # it is not kept, whatever the others say
            attempt.confirm(judge(attempt.pairs, lower_is_better=self.patient.lower_is_better))
            logger.info("%s: %s", attempt.treatment.name, attempt.verdict)
            if attempt.verdict == "kept":
                attempt.compare(self._arm[SEEDS[0]], trials[SEEDS[0]])
                return attempt.treatment, trials
        return None

    def _by_score(self) -> list[tuple[Attempt, dict[int, Trial]]]:
        """Promising treatments: those seen to the end first, of these what was found last.

        Whole trainings were held against the best until then, so the last is the best of them.
        """
        whole = [one for one in self._promising if one[1]]
        short = [one for one in self._promising if not one[1]]
        short.sort(key=lambda one: -(one[0].gain if one[0].gain is not None else -math.inf))
        return [*short, *reversed(whole)]

    def _pairs(self, attempt: Attempt, trials: dict[int, Trial]) -> Iterator[Pair]:
        base = self.healing.kept or Treatment()
        for seed in SEEDS:
            for treatment, arm in ((base, self._arm), (attempt.treatment, trials)):
                if seed in arm:
                    continue
                arm[seed] = trial = self.patient.train(treatment, seed=seed)
                is_control = treatment.is_control
                times = self._times(treatment)
                self.account.charge(trial, times=times, is_control=is_control)
                attempt.seconds += trial.seconds if arm is trials else 0.0
            yield Pair(seed, self._arm[seed].score, trials[seed].score)

    def _times(self, treatment: Treatment, share: float = 1.0) -> float:
        """How many times as long as the control a part of a treatment is expected to take."""
        control = self.healing.before[SEEDS[0]]
        part = control.training_seconds / control.seconds if control.seconds > 0 else 1.0
        return 1.0 + (share * treatment.longer - 1.0) * min(1.0, part)

    def _attempt_of(self, treatment: Treatment) -> Attempt:
        return next(one for one in self.healing.attempts if one.treatment is treatment)

    def _to_confirm(self, *, whole: bool) -> float:
        """Trainings that must be left once a candidate is screened, so that it can be kept."""
        return sum(seed not in self._arm for seed in SEEDS) + len(SEEDS) - whole

    def _tried_whole(self) -> bool:
        return any(attempt.stage is not None for attempt in self.healing.attempts)

    def _shortens(self, best: _Base, queue: list[Treatment]) -> bool:
        """Whether parts of trainings are to be made: more candidates can be tried by them."""
        short = [one for one in queue if self._can_be_short(one)]
        if not self.patient.can_shorten or queue[0] not in short or len(short) < WORTH_SHORTENING:
            return False
        wanted = [*([] if best.short else [best.treatment]), *short[:WORTH_SHORTENING]]
        expected = sum(self._times(one, SHORT) for one in wanted)
        to_confirm = self._to_confirm(whole=False)
        share = SHORT * len(wanted)
        return self.account.can_search(expected, to_confirm=to_confirm, share=share)

    @staticmethod
    def _can_be_short(treatment: Treatment) -> bool:
        return not any(step.problem in NEEDS_THE_WHOLE for step in treatment.steps)
