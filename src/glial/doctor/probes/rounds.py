"""Which tests are made after which rounds, within a budget of time."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from glial.doctor.evidence import Evidence, NotChecked, Probe
from glial.doctor.probes.fitting import probe_line, probe_one_batch
from glial.doctor.probes.padding import probe_padding
from glial.doctor.probes.replay import Replay, State, state_of, unnoticed
from glial.doctor.probes.structure import probe_modes, probe_repeat, probe_rows, probe_tokens
from glial.doctor.probes.targets import probe_bootstrap
from glial.doctor.watching.networks import Networks
from glial.doctor.watching.rounds import Round
from glial.doctor.watching.tape import CannotReplayError

EARLY = 1
LINES = (4, 9, 20, 45, 100, 220, 500, 1100, 2500, 5500, 12000)
SLOW_TEST = 1.0

# What is tested once, early: cheap tests first.
_TESTS: dict[str, Callable[[Replay], dict[str, float]]] = {
    "repeat": probe_repeat,
    "modes": probe_modes,
    "rows": probe_rows,
    "tokens": probe_tokens,
    "padding": probe_padding,
    "bootstrap": probe_bootstrap,
    "one_batch": probe_one_batch,
}


class RoundProbes:
    """Makes the tests.

    Args:
        evidence: Where they are kept.
        budget: The share of the training's time that they may take.
        floor: Seconds that they may take in any case.

    Example:
        >>> RoundProbes(Evidence(), 0.1, 2.0).wants(1)
        True
    """

    def __init__(self, evidence: Evidence, budget: float, floor: float) -> None:
        self._evidence, self._budget, self._floor = evidence, budget, floor
        self._state: State = {}
        self._previous: Round | None = None
        self._spent = 0.0
        self._began = time.perf_counter()
        self._models: list[nn.Module] = []
        self._lines = 0

    def wants(self, number: int) -> bool:
        """Whether a round, counted from 0, is tested."""
        late = self._lines < len(LINES) and number >= LINES[self._lines]
        return number == EARLY or late

    def needs(self, number: int) -> bool:
        """Whether a round has to be looked at closely: it is tested, or the next one is."""
        return self.wants(number) or self.wants(number + 1)

    def before_round(self, kept: Round, number: int) -> None:
        """Keep the state that a round begins with, if it will be tested."""
        self._state = {}
        kept.random = torch.get_rng_state()
        if self.wants(number) and self._affordable():
            self._state = state_of(self._models)

    def after_round(self, kept: Round, number: int, networks: Networks, step: int) -> None:
        """Test a round that has just ended."""
        self._models = [
            *{id(e.function): e.function for e in kept.tape.entries if e.is_model}.values()
        ]
        previous, self._previous = self._previous, kept if self.wants(number + 1) else None
        if not self._state or kept.tested is None or not self.wants(number):
            return
        start = time.perf_counter()
        try:
            with unnoticed():
                replay = Replay(kept, self._state)
                if number == EARLY:
                    self._test_early(replay, step)
                else:
                    self._lines += 1
                    for watch in kept.steps if len(kept.steps) == 1 else []:
                        found = probe_line(replay, watch.changes(), previous, step)
                        if found is not None:
                            watch.seen.line.append(found)
        except (CannotReplayError, RuntimeError, TypeError, ValueError, IndexError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            note = NotChecked("*", f"the round could not be made again: {why}"[:200])
            if note not in self._evidence.not_checked:
                self._evidence.not_checked.append(note)
        finally:
            self._state = {}
            self._spent += time.perf_counter() - start

    def _test_early(self, replay: Replay, step: int) -> None:
        for name, test in _TESTS.items():
            if not self._affordable():
                self._evidence.not_checked.append(NotChecked("*", f"no time for the test {name}"))
                return
            start = time.perf_counter()
            replay.reset()
            numbers = test(replay)
            seconds = time.perf_counter() - start
            self._spent += seconds
            if numbers:
                self._evidence.probes.append(Probe(name, None, step, numbers, seconds))
            if name == "repeat" and not _faithful(numbers):
                self._evidence.not_checked.append(
                    NotChecked("*", "the round gives another loss when it is made again")
                )
                return

    def _affordable(self) -> bool:
        gone = time.perf_counter() - self._began
        return self._spent < max(self._floor, self._budget * gone)


def _faithful(numbers: dict[str, float]) -> bool:
    first, again = numbers["loss"], numbers["again"]
    return abs(first - again) <= 1e-4 * max(1e-8, abs(first)) or first != first
