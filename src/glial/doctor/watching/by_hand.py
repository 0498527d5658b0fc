"""Updates that the user's code makes by hand, without an optimiser of torch's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glial.doctor.evidence import OptimizerSeen
from glial.doctor.watching.statistics import is_plain
from glial.doctor.watching.tape import Entry, Tape, node_of, tensors_in

LOOKED_AT = 4
PLAIN_DESCENT = 0.99


def weights_behind(tape: Tape, roots: Sequence[Tensor]) -> list[Tensor]:
    """The weights that the last number whose gradients were taken in a round depends on.

    Args:
        tape: The round's calls.
        roots: The numbers whose gradients were taken, in their order.

    Example:
        >>> weights_behind(Tape(), [])
        []
    """
    found: dict[int, Tensor] = {}
    for entry in tape.slice_to(roots[-1]) if roots else []:
        given = entry.function.parameters() if entry.is_model else entry.given()
        found |= {id(value): value for value in given if value.requires_grad and value.is_leaf}
    return list(found.values())


class HandUpdate:
    """Stands for the optimiser where a loop changes its weights by itself.

    That an update was made is seen in the weights: they are compared with what they were when
    gradients were last taken.

    Attributes:
        param_groups: The weights that gradients are taken of, as an optimiser holds them.
        is_possible: Whether no optimiser of torch's has stepped so far.
        ids: The ``id`` of each of them.
        is_awaited: Whether gradients were taken, and no update was seen since.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> update = HandUpdate()
        >>> update.await_change_of([weight])
        >>> update.was_made()
        False
        >>> weight.data -= 0.1
        >>> update.was_made(), update.is_awaited
        (True, False)
    """

    step = None  # nothing is called

    def __init__(self) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": []}]
        self.ids: set[int] = set()
        self.is_possible = True
        self.is_awaited = False
        self._old: list[tuple[Tensor, Tensor]] = []

    def is_used_in(self, entry: Entry) -> bool:
        """Whether a call is the first to learn with weights that were awaited to change."""
        return (
            self.is_awaited
            and any(node_of(made) is not None for made in tensors_in(entry.result))
            and any(id(given) in self.ids for given in entry.given())
        )

    def await_change_of(self, weights: list[Tensor]) -> None:
        """Gradients were taken of some weights, and of those that were named before."""
        held = self.param_groups[0]["params"]
        for weight in weights:
            if id(weight) not in self.ids and is_plain(weight):
                held.append(weight)
                self.ids.add(id(weight))
        smallest = sorted(held, key=Tensor.numel)[:LOOKED_AT]
        self._old = [(weight, weight.detach().clone()) for weight in smallest]
        self.is_awaited = bool(smallest)

    def was_made(self) -> bool:
        """Whether the weights are others than when gradients were taken; asked once an update."""
        if not self.is_awaited or all(torch.equal(new, old) for new, old in self._old):
            return False
        self.is_awaited = False
        return True

    def describe(self, seen: OptimizerSeen, rate: float) -> None:
        """Call it what it is; of plain gradient descent the rate is known.

        Args:
            seen: Where that is kept.
            rate: How far the weights went, as a multiple of their gradients.
        """
        seen.name = seen.kind = "by hand"
        seen.parameters = len(self.ids)
        if seen.alignment.last > PLAIN_DESCENT:
            seen.settings["lr"] = rate

    def is_ruled_out(self) -> None:
        """An optimiser steps: weights are not changed by hand."""
        self.is_possible = self.is_awaited = False
        self.param_groups[0]["params"] = []
        self.ids, self._old = set(), []


Stepper = torch.optim.Optimizer | HandUpdate
