"""Which tests are made after which rounds, within a budget of time."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable

import torch
from torch import nn

from glial.doctor.evidence import Evidence, NotChecked, Probe
from glial.doctor.probes.fitting import STEPS_IN_ALL, probe_line, probe_one_batch
from glial.doctor.probes.padding import probe_padding
from glial.doctor.probes.policies import probe_policy
from glial.doctor.probes.replay import Replay, State, state_of, unnoticed
from glial.doctor.probes.structure import (
    probe_modes,
    probe_noise,
    probe_repeat,
    probe_rows,
    probe_tokens,
)
from glial.doctor.probes.targets import probe_bootstrap
from glial.doctor.probes.through_time import probe_through_time
from glial.doctor.watching.rounds import Round
from glial.doctor.watching.tape import CannotReplayError

Test = Callable[[Replay], dict[str, float]]

EARLY, LATEST = 1, 3
LATE = 100  # by then a network reads what it is given: what it should not read may be seen
LINES = (4, 9, 20, 45, 100, 220, 500, 1100, 2500, 5500, 12000)
AT_ONCE, RAMP = 0.6, 0.05  # seconds, and a share of those so far
MOST_SECONDS = 60.0
MOST_MODELS = 8
A_STEP = 3.0  # in passes forward

# What is tested once, early, and takes a pass or two forward.
_TESTS: dict[str, Test] = {
    "repeat": probe_repeat,
    "modes": probe_modes,
    "rows": probe_rows,
    "noise": probe_noise,
    "tokens": probe_tokens,
    "padding": probe_padding,
    "bootstrap": probe_bootstrap,
    "policy": probe_policy,
}


_TESTS_AGAIN: dict[str, Test] = {"padding": probe_padding}


class RoundProbes:
    """Makes the tests.

    Args:
        evidence: Where they are kept.
        budget: The share of the training's time that they may take, up to a minute.
        floor: Seconds that they may take in any case.
        early: Whether what is tested once is tested.
        at_once: Seconds of the floor that may be taken from the start.
        ramp: The share of the time so far that may be taken of the rest of it.
        names: What a network is called.

    Example:
        >>> RoundProbes(Evidence(), 0.1, 2.0).wants(1)
        True
    """

    def __init__(
        self,
        evidence: Evidence,
        budget: float,
        floor: float,
        *,
        early: bool = True,
        at_once: float = AT_ONCE,
        ramp: float = RAMP,
        names: Callable[[nn.Module], str | None] = lambda _: None,
    ) -> None:
        self._names = names
        self._early = EARLY if early else None
        self._latest = LATEST
        self._again = _TESTS_AGAIN if early else {}
        self._evidence, self._budget = evidence, budget
        self._floor, self._at_once, self._ramp = floor, at_once, ramp
        self._state: State = {}
        self._previous: Round | None = None
        self._spent = 0.0
        self._began = time.perf_counter()
        self._models: dict[int, weakref.ref[nn.Module]] = {}
        self._lines = 0
        self._to_fit: Replay | None = None
        self._pass = 0.0

    @property
    def due(self) -> float:
        """The number of the next round at which the loss is drawn along a step."""
        return LINES[self._lines] if self._lines < len(LINES) else math.inf

    def begin_again(self, number: int) -> None:
        """Another training begins with a round: test what is tested early."""
        self._early, self._latest = number + EARLY, number + LATEST
        self._previous, self._again = None, _TESTS_AGAIN

    def wants(self, number: int) -> bool:
        """Whether a round, counted from 0, is tested."""
        return number == self._early or number >= self.due

    def needs(self, number: int) -> bool:
        """Whether a round has to be looked at closely: it is tested, or the next one is."""
        return self.wants(number) or self.wants(number + 1)

    def before_round(self, kept: Round, number: int) -> None:
        """Keep the state that a round begins with, if it will be tested."""
        self._state = {}
        kept.random = torch.get_rng_state()
        if self.wants(number) and self._can_afford():
            self._state = state_of([m for ref in self._models.values() if (m := ref()) is not None])

    def after_round(self, kept: Round, number: int, step: int) -> None:
        """Test a round that has just ended, and one from before that there is time for now."""
        # Rounds of several tasks call other networks in turn.
        called = {id(e.function): weakref.ref(e.function) for e in kept.tape.entries if e.is_model}
        alive = {key: ref for key, ref in self._models.items() if ref() is not None}
        self._models = dict([*{**alive, **called}.items()][-MOST_MODELS:])
        previous, self._previous = self._previous, kept if self.wants(number + 1) else None
        is_tested = self.wants(number)
        is_new = not called.keys() <= self._state.keys()
        if number == self._early and is_new and number < self._latest:
            self._early, is_tested = number + 1, False  # the next knows all of them
        # Passed over or not: a round that waits for its test keeps all others looked at.
        self._lines += is_tested and number != self._early
        if is_tested and self._state and kept.tested is not None:
            self._attempt(lambda: self._test(kept, previous, number, step))
        self._state = {}
        if self._can_afford(STEPS_IN_ALL * A_STEP * self._pass):
            self.fit(step)

    def fit(self, step: int) -> None:
        """Fit one batch, if that was put off: it is the longest of the tests."""
        if self._to_fit is not None:
            fitted, self._to_fit = self._to_fit, None
            self._attempt(lambda: self._make("one_batch", probe_one_batch, fitted, step))

    def end(self) -> None:
        """The training is over."""
        if self._to_fit is not None:
            note = NotChecked("misaligned-labels", "no time to fit one batch on a copy")
            self._evidence.not_checked.append(note)
            self._to_fit = None

    def _attempt(self, test: Callable[[], object]) -> None:
        """Make a test; one that fails is told."""
        start = time.perf_counter()
        try:
            with unnoticed():
                test()
        except (CannotReplayError, RuntimeError, TypeError, ValueError, IndexError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            note = NotChecked("*", f"the round could not be made again: {why}"[:200])
            if note not in self._evidence.not_checked:
                self._evidence.not_checked.append(note)
        finally:
            self._spent += time.perf_counter() - start

    def _test(self, kept: Round, previous: Round | None, number: int, step: int) -> None:
        replay = Replay(kept, self._state)
        if number == self._early:
            self._test_early(replay, number, step)
            return
        for watch in kept.steps if len(kept.steps) == 1 else []:
            found = probe_line(replay, watch.changes(), previous, step)
            if found is not None:
                watch.seen.line.append(found)
        self._follow_through_time(replay, step)
        if step >= LATE and self._again:
            tests, self._again = self._again, {}
            for name, test in tests.items():
                replay.reset()
                self._make(name, test, replay, step)

    def _test_early(self, replay: Replay, number: int, step: int) -> None:
        for name, test in _TESTS.items():
            replay.reset()
            seen = self._make(name, test, replay, step)
            if seen is not None and name == "repeat" and not _faithful(seen.numbers):
                if number < self._latest:  # an evaluation may have drawn numbers within it
                    self._early = number + 1
                    self._evidence.probes.remove(seen)
                    return
                note = "the round gives another loss when it is made again"
                self._evidence.not_checked.append(NotChecked("*", note))
                return
        self._follow_through_time(replay, step)
        replay.reset()
        start = time.perf_counter()
        replay.loss(replay.root)  # the first passes are slower than those that follow
        self._to_fit, self._pass = replay, time.perf_counter() - start

    def _follow_through_time(self, replay: Replay, step: int) -> None:
        replay.reset()
        start = time.perf_counter()
        for found in probe_through_time(replay):
            name, seconds = self._names(found.network), time.perf_counter() - start
            probe = Probe("through_time", name, step, found.numbers, seconds, found.layer)
            self._evidence.probes.append(probe)

    def _make(self, name: str, test: Test, replay: Replay, step: int) -> Probe | None:
        """Make a test and keep what it measured, if anything."""
        start = time.perf_counter()
        numbers = test(replay)
        if not numbers:
            return None
        seen = Probe(name, None, step, numbers, time.perf_counter() - start)
        self._evidence.probes.append(seen)
        return seen

    def _can_afford(self, seconds: float = 0.0) -> bool:
        """Whether a test is within the floor, or within what all watching may take."""
        gone = time.perf_counter() - self._began
        most = min(self._budget * gone, MOST_SECONDS)
        within = self._spent + seconds < min(self._floor, self._at_once + self._ramp * gone)
        return within or max(self._spent, self._evidence.watching) + seconds < most


def _faithful(numbers: dict[str, float]) -> bool:
    first, again = numbers["loss"], numbers["again"]
    return abs(first - again) <= 1e-4 * max(1e-8, abs(first)) or first != first
