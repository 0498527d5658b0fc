"""Changes of a plan: what one is, what it knows, and those that are computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from glial.core.findings import Finding

# What an update should be of the weight that it changes, and how far one remedy moves a rate.
UPDATE_TO_WEIGHT = 1e-3
RATE_FACTORS = 3.0, 1e6
LOWER, HIGHER = 10.0, 10.0
LONGER = 2.0
# Keys that are no part of a recipe: what is computed where, for how long, and how it is told.
OUTSIDE = {
    *("train.seed", "train.epochs", "train.time_limit", "train.device", "train.threads"),
    *("train.deterministic", "train.step", "train.layout", "train.precision", "train.freeze"),
    *("train.unfreeze_every", "train.group_rate", "train.snapshots", "train.checkpoint_seconds"),
    *("train.monitor", "train.accumulate", "model.weights", "model.members", "train.report_to"),
}


@dataclass(frozen=True)
class PlanChange:
    """A change of a plan.

    Attributes:
        name: Its name, such as ``lower-rate``.
        does: What it changes, as in "divides the rate by 10".
        set: Dotted keys and their new values.
        longer: How many times as long the training becomes.
        takes_back: Whether it only takes back some of what was set by hand.

    Example:
        >>> PlanChange("lower-rate", "divides the rate by 10", {"train.lr": 0.1}).longer
        1.0
    """

    name: str
    does: str
    set: Mapping[str, Any]
    longer: float = 1.0
    takes_back: bool = False


@dataclass(frozen=True)
class Standing:
    """What a remedy knows: the finding, the plan that was trained, and what of it was asked for.

    Attributes:
        finding: What was found.
        plan: Dotted keys of the plan with every choice made.
        asked: Those keys that somebody set.
        usual: What the model recommends or a key has by itself; a key that is missing is none of
            the model's.

    Example:
        >>> found = Finding("dead-units", "warning", None, {}, "It.", "Do.")
        >>> Standing(found, {"train.lr": 9.0}, {"train.lr": 9.0}, {"train.lr": "auto"}).strays(
        ...     "train.lr"
        ... )
        {'train.lr': 'auto'}
    """

    finding: Finding
    plan: Mapping[str, Any]
    asked: Mapping[str, Any]
    usual: Mapping[str, Any] = field(default_factory=dict)

    def strays(self, *keys: str) -> dict[str, Any]:
        """The usual values of keys that somebody has set to others.

        Args:
            keys: Which are looked at.
        """
        return {
            key: self.usual[key]
            for key in keys
            if key in self.asked and key in self.usual and self.asked[key] != self.usual[key]
        }

    def takes_back(self, change: PlanChange) -> bool:
        """Whether a change only takes back some of what was set by hand.

        Args:
            change: Of this plan.
        """
        few = change.name != RECIPE_NAME or len(change.set) == 1
        return few and self.strays(*change.set) == dict(change.set)

    def number(self, key: str) -> float | None:
        """The value of a key where it is a number.

        Args:
            key: Dotted.
        """
        value = self.plan.get(key)
        return float(value) if isinstance(value, (int, float)) and value is not True else None

    def has(self, key: str) -> bool:
        """Whether the plan has such a key.

        Args:
            key: Dotted.
        """
        return key in self.usual

    @property
    def task(self) -> str:
        """The name of the task."""
        return str(self.plan.get("task.name"))


DROPOUTS = ("model.dropout", "model.input_dropout", "model.hidden_dropout")
PENALTIES = (
    *("train.weight_decay", "train.decay_schedule", "train.l1", "train.l2"),
    *(*DROPOUTS, "task.label_smoothing"),
)
RECIPE_NAME = "usual-recipe"
RECIPE = ("train.", "model.", "task.loss", "task.label_smoothing", "data.scal", "data.augment")

Change = Callable[[Standing], PlanChange | None]


def _told(changes: Mapping[str, Any]) -> str:
    return " and ".join(f"{key} to {value}" for key, value in changes.items())


def _set(name: str, changes: Mapping[str, Any], why: str, longer: float = 1.0) -> PlanChange | None:
    if not changes:
        return None
    return PlanChange(name, f"sets {_told(changes)}: {why}", dict(changes), longer)


def back_to_usual(name: str, why: str, *keys: str) -> Change:
    """A remedy that takes keys back to what suits the model."""
    return lambda standing: _set(name, standing.strays(*keys), why)


def one_key(
    name: str, why: str, key: str, value: Any, *, tasks: tuple[str, ...] = (), unless: Any = ()
) -> Change:
    """A remedy that sets one key, where the plan has it with another value."""

    def change(standing: Standing) -> PlanChange | None:
        fits = standing.has(key) and (not tasks or standing.task in tasks)
        held = standing.plan.get(key)
        return (
            _set(name, {key: value}, why) if fits and held != value and held not in unless else None
        )

    return change


def lower_rate(standing: Standing) -> PlanChange | None:
    """A lower learning rate."""
    return _other_rate(standing, "lower-rate", 1 / LOWER)


def raise_rate(standing: Standing) -> PlanChange | None:
    """A higher learning rate."""
    return _other_rate(standing, "raise-rate", HIGHER)


def _other_rate(standing: Standing, name: str, factor: float) -> PlanChange | None:
    """By what an update was of a weight, where that was seen; else by a factor of ten."""
    rate, seen = standing.number("train.lr"), standing.finding.evidence.get("update_to_weight")
    if rate is None:
        return None
    least, most = RATE_FACTORS
    if seen and math.isfinite(seen):
        asked = UPDATE_TO_WEIGHT / seen
        if (asked < 1) == (factor < 1):
            size = min(most, max(least, asked if asked > 1 else 1 / asked))
            factor = 1 / size if factor < 1 else size
    why = "steps of the size that weights can follow"
    return _set(name, {"train.lr": float(f"{rate * factor:.2g}")}, why)


def clip(standing: Standing) -> PlanChange | None:
    """A bound on the norm of the gradient, or a tighter one."""
    held = standing.number("train.clip_norm")
    bound = 1.0 if held is None else held / LOWER
    return _set("clip-gradient", {"train.clip_norm": bound}, "no gradient is longer than that")


def less_regularised(standing: Standing) -> PlanChange | None:
    """To the usual where it was strayed from, else without decay and with half the dropout."""
    strays = standing.strays(*PENALTIES)
    if not strays and standing.number("train.weight_decay"):
        strays["train.weight_decay"] = 0.0
    for key in DROPOUTS:
        share = standing.number(key)
        if not standing.strays(*PENALTIES) and standing.has(key) and share:
            strays[key] = share / 2
    return _set("regularise-less", strays, "the training rows can be fitted")


def more_regularised(standing: Standing) -> PlanChange | None:
    """More weight decay, and dropout where the model has it."""
    decay = standing.number("train.weight_decay") or 0.0
    changes = {"train.weight_decay": max(0.05, 5 * decay)}
    for key in DROPOUTS[:1]:
        if standing.has(key) and (standing.number(key) or 0.0) < 0.3:
            changes[key] = 0.3
    return _set("regularise-more", changes, "weights that only fit the training rows cost")


def longer(standing: Standing) -> PlanChange | None:
    """Twice the epochs."""
    epochs = standing.number("train.epochs")
    if not epochs or standing.plan.get("train.time_limit") is not None:
        return None
    changes = {"train.epochs": math.ceil(LONGER * epochs)}
    return _set("train-longer", changes, "the loss was still falling", LONGER)


def wider(standing: Standing) -> PlanChange | None:
    """Twice the units of each layer."""
    changes = {}
    for key in ("model.hidden_sizes", "model.widths"):
        sizes = standing.plan.get(key)
        if isinstance(sizes, list) and sizes:
            changes[key] = [2 * size for size in sizes]
    width = standing.number("model.width")
    if not changes and width is not None and standing.has("model.width"):
        changes["model.width"] = 2 * standing.plan["model.width"]
    return _set("widen", changes, "more units can fit more")


def other_activation(standing: Standing) -> PlanChange | None:
    """The usual, or one whose slope is nowhere nothing."""
    usual = standing.strays("model.activation")
    if not usual and standing.has("model.activation"):
        held, dead = standing.plan.get("model.activation"), standing.finding.problem == "dead-units"
        if held in ("sigmoid", "tanh", "softmax", "step", "linear") or (dead and held == "relu"):
            usual = {"model.activation": "leaky_relu" if dead else "relu"}
    return _set("change-activation", usual, "gradients pass it")


def more_accumulation(standing: Standing) -> PlanChange | None:
    """Batches in twice as many parts."""
    parts = int(standing.number("train.accumulate") or 1)
    return _set("split-batches", {"train.accumulate": 2 * parts}, "the same update in less memory")


def recipe(standing: Standing) -> PlanChange | None:
    """Everything that was set by hand, back to what suits the model."""
    keys = [key for key in standing.usual if key.startswith(RECIPE) and key not in OUTSIDE]
    strays = standing.strays(*keys)
    return _set(RECIPE_NAME, strays, "what suits this model")
