"""What an operator is: one way to break a training script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from doctor.catalogue import Program
from doctor.script import Fault, Script

Plant = Callable[[Script, Program], Fault | None]


@dataclass(frozen=True)
class Operator:
    """One kind of fault.

    Attributes:
        name: What it is called.
        accepted: The problems of which any is a right first answer.
        plant: Gives the fault in a script; None where it makes no sense there.
        visible: Whether a lower score shows it; a leak or a slow loader does not lower it.
    """

    name: str
    accepted: tuple[str, ...]
    plant: Plant
    visible: bool = True
