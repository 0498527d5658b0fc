"""Ways to break a training script, one fault at a time."""

from __future__ import annotations

from doctor.mutations import data, loop, loss, network, particular
from doctor.mutations.operator import Operator

OPERATORS: tuple[Operator, ...] = (
    *loop.OPERATORS,
    *data.OPERATORS,
    *network.OPERATORS,
    *loss.OPERATORS,
    *particular.OPERATORS,
)
