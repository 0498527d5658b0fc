"""Repair policies to hold the doctor's beside: random search, and the remedies of AutoTrainer.

Source:
    Zhang, Zhai, Ma, Shen (2021), "AutoTrainer: an automatic DNN training problem detection and
    repair system", ICSE. Symptoms, remedies and their order are those of its published code; what
    tells its symptoms here are the doctor's findings, which find more than its own rules.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from doctor import knobs
from doctor.knobs import Knob
from doctor.records import Record


@dataclass(frozen=True)
class Outcome:
    """What one training came to.

    Attributes:
        score: What the script printed last; None where there is none.
        seconds: What it took.
        problems: What its errors and warnings name, symptoms too.
    """

    score: float | None
    seconds: float
    problems: frozenset[str] = frozenset()


Train = Callable[[str], Outcome]


@dataclass
class Purse:
    """Trainings that may still be paid, in units of the first one.

    Attributes:
        budget: Trainings in all.
        unit: Seconds of the first; a training costs one at least.
    """

    budget: float
    unit: float = 0.0
    spent: float = 0.0
    attempts: list[Record] = field(default_factory=list)

    def pay(self, outcome: Outcome) -> Outcome:
        """One more training."""
        self.unit = self.unit or outcome.seconds
        self.spent += max(1.0, outcome.seconds / self.unit if self.unit else 1.0)
        return outcome

    @property
    def is_empty(self) -> bool:
        """Whether one more would be too many."""
        return self.spent + 1 > self.budget

    def note(self, remedy: str, before: Outcome, after: Outcome, **more: Any) -> None:
        """What was tried."""
        gain = None if None in (before.score, after.score) else after.score - before.score  # type: ignore[operator]
        self.attempts.append({"remedy": remedy, "gain": gain, "verdict": "dropped", **more})


@dataclass(frozen=True)
class Treated:
    """What a policy makes of a script: a text, or None where all stays as it is."""

    text: str | None
    attempts: list[Record]
    trainings: float


def better(one: Outcome, other: Outcome) -> bool:
    """Whether a score is clearly better: by a hundredth of the larger one."""
    if one.score is None or other.score is None:
        return one.score is not None
    return one.score - other.score > 0.01 * max(abs(one.score), abs(other.score))


def by_chance(text: str, train: Train, budget: float, seed: int) -> Treated:
    """Random search: the best of as many random changes as the budget pays.

    Each candidate turns one to three knobs of the script as it was. The first training is of the
    script itself; the best candidate is kept where its score is clearly better.
    """
    draw = random.Random(seed)
    purse = Purse(budget)
    control = purse.pay(train(text))
    best, best_text, best_note = control, None, None
    seen = {text}
    for _ in range(100):
        if purse.is_empty:
            break
        names, candidate = [], text
        for name in draw.sample(sorted(knobs.SPACE), draw.randint(1, 3)):
            make, values = knobs.SPACE[name]
            value = draw.choice(values)
            turned = make(value)(candidate)
            if turned is not None:
                candidate = turned
                names.append(f"{name} {value}")
        if candidate in seen:
            continue
        seen.add(candidate)
        outcome = purse.pay(train(candidate))
        purse.note(" + ".join(names), control, outcome)
        if better(outcome, best):
            best, best_text, best_note = outcome, candidate, purse.attempts[-1]
    if best_note is not None:
        best_note["verdict"] = "kept"
    return Treated(best_text, purse.attempts, purse.spent)


SYMPTOMS: dict[str, tuple[str, ...]] = {
    "vanishing": ("vanishing-gradient", "saturated-units", "activation-collapse"),
    "exploding": ("exploding-gradient", "loss-not-finite", "learning-rate-too-high"),
    "dying": ("dead-units",),
    "unstable": ("loss-oscillating", "loss-spike"),
    "slow": (
        *("learning-rate-too-low", "loss-not-decreasing", "undertrained", "underfitting"),
        "schedule-collapse",
    ),
}


def _several(name: str, turns: Iterable[Knob]) -> list[tuple[str, Knob]]:
    return [(name, turn) for turn in turns]


_SELU = ("selu", knobs.activation("SELU", "selu"))
_RELU = ("relu", knobs.activation("ReLU", "relu"))
_TANH = ("tanh", knobs.activation("Tanh", "tanh"))
_NORM = ("batch-norm", knobs.knob(knobs.normalisation))
_CLIP = _several("clip", [knobs.clipping(1.0), knobs.clipping(0.1)])
_STARTS = ("kaiming_normal_", "xavier_uniform_", "orthogonal_")
_START = _several("initialisation", map(knobs.initialisation, _STARTS))
_LEAKY = ("leaky-relu", knobs.activation("LeakyReLU", "leaky_relu"))
_ADAM = ("adam", knobs.optimizer("Adam"))
_RATES = _several("rate", map(knobs.rate, (0.1, 0.01, 10.0)))
_DECAY = ("decay", knobs.knob(knobs.decaying))
_BATCHES = _several("batch", map(knobs.batch, (2.0, 4.0, 8.0, 0.5)))
_MOMENTA = _several("momentum", map(knobs.momentum, (0.9, 0.5, 0.99)))
_KINDS = _several("optimizer", map(knobs.optimizer, ("Adam", "SGD", "RMSprop")))
STRATEGIES: dict[str, list[tuple[str, Knob]]] = {
    "vanishing": [_SELU, _RELU, _NORM],
    "exploding": [_SELU, _RELU, *_CLIP, _TANH, _NORM],
    "dying": [_SELU, _NORM, *_START, _LEAKY],
    "unstable": [_ADAM, *_RATES, _DECAY, *_BATCHES, *_MOMENTA, *_START],
    "slow": [*_KINDS, *_RATES, *_START],
}


def symptoms_of(outcome: Outcome) -> list[str]:
    """AutoTrainer's symptoms in what was found, in its order."""
    return [name for name, ids in SYMPTOMS.items() if outcome.problems & set(ids)]


def by_symptom(text: str, train: Train, budget: float, seed: int) -> Treated:
    """AutoTrainer: for the first symptom its remedies in order, until one makes it go.

    Whether the score rises is not looked at, as there. Where no remedy makes a symptom go, the
    next symptom is tried.
    """
    purse = Purse(budget)
    here, outcome, changed = text, purse.pay(train(text)), False
    given_up: set[str] = set()
    while True:
        waiting = [name for name in symptoms_of(outcome) if name not in given_up]
        if not waiting or purse.is_empty:
            return Treated(here if changed else None, purse.attempts, purse.spent)
        for remedy, turn in STRATEGIES[waiting[0]]:
            candidate = turn(here)
            if candidate is None or purse.is_empty:
                continue
            tried = purse.pay(train(candidate))
            purse.note(remedy, outcome, tried, problem=waiting[0])
            if waiting[0] not in symptoms_of(tried):
                purse.attempts[-1]["verdict"] = "kept"
                here, outcome, changed = candidate, tried, True
                break
        else:
            given_up.add(waiting[0])
