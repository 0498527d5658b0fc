"""A treatment: the changes that a training is tried with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Step:
    """One remedy of a treatment.

    Attributes:
        remedy: Its name, such as ``lower-rate``.
        problem: The problem that it is to mend.
        where: The layer, parameter or column; None where it concerns the whole.
        does: What it changes, as in "divides the rate by 10".
        alters_loss: Whether losses before and after cannot be compared.

    Example:
        >>> Step("lower-rate", "learning-rate-too-high", None, "divides the rate by 10").remedy
        'lower-rate'
    """

    remedy: str
    problem: str
    where: str | None
    does: str
    alters_loss: bool = False


@dataclass(frozen=True)
class Treatment:
    """Changes that are tried together; none is the unchanged control.

    Attributes:
        steps: The remedies, in the order in which they were added.
        texts: Of a script: absolute path of a file to its whole new text.
        set: Of a plan: dotted key to value.
        longer: How many times as long as the control it trains, by its own doing.

    Example:
        >>> Treatment().is_control
        True
    """

    steps: tuple[Step, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    longer: float = 1.0

    @property
    def is_control(self) -> bool:
        """Whether it changes nothing."""
        return not self.texts and not self.set

    @property
    def name(self) -> str:
        """The names of its remedies.

        Example:
            >>> step = Step("lower-rate", "learning-rate-too-high", None, "Divide it by 10.")
            >>> Treatment((step, step), set={"train.lr": 0.1}).name
            'lower-rate + lower-rate'
        """
        return " + ".join(step.remedy for step in self.steps)

    @property
    def does(self) -> str:
        """What its remedies change, in one sentence.

        Example:
            >>> step = Step("lower-rate", "learning-rate-too-high", None, "divides it by 10")
            >>> Treatment((step, step), set={"train.lr": 0.1}).does
            'divides it by 10; divides it by 10'
        """
        return "; ".join(step.does for step in self.steps)

    @property
    def alters_loss(self) -> bool:
        """Whether losses with and without it cannot be compared."""
        return any(step.alters_loss for step in self.steps)

    def has_same_changes(self, other: Treatment) -> bool:
        """Whether two treatments come to the same, whatever their steps are called.

        Args:
            other: The other one.

        Example:
            >>> Treatment(set={"train.lr": 0.1}).has_same_changes(Treatment())
            False
        """
        return dict(self.texts) == dict(other.texts) and dict(self.set) == dict(other.set)

    def to_dict(self) -> dict[str, Any]:
        """Its names and sentences as JSON, as an attempt tells them."""

        def joined(words: list[str | None]) -> str | None:
            return " + ".join(dict.fromkeys(word for word in words if word)) or None

        return {
            "remedy": self.name,
            "problem": joined([step.problem for step in self.steps]),
            "where": joined([step.where for step in self.steps]),
            "does": self.does,
            "steps": [asdict(step) for step in self.steps],
        }
