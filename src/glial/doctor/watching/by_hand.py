"""Updates that the user's code makes by hand, without an optimiser of torch's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

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
        self._given: dict[int, Tensor] = {}

    def takes_gradients_of(self, inputs: Sequence[Any]) -> bool:
        """Whether tensors look like weights, and not like rows that are attacked or explained."""
        weights = [value for value in inputs if isinstance(value, Tensor) and value.is_leaf]
        made = all(isinstance(value, nn.Parameter) for value in weights)
        return self.is_possible and len(weights) == len(inputs) and (made or len(weights) > 1)

    def give(self, weights: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        """Gradients were returned to the user's code, and are not in the weights."""
        both = zip(weights, gradients, strict=True)
        self._given |= {id(weight): gradient for weight, gradient in both if gradient is not None}
        self._name(weights)

    def gradient(self, weight: Tensor) -> Tensor | None:
        """The last gradient of a weight, wherever it is."""
        return self._given.get(id(weight), weight.grad)

    def is_used_in(self, entry: Entry) -> bool:
        """Whether a call is the first to learn with weights that were awaited to change."""
        return (
            self.is_awaited
            and any(node_of(made) is not None for made in tensors_in(entry.result))
            and any(id(given) in self.ids for given in entry.given())
        )

    def await_change_of(self, weights: list[Tensor]) -> None:
        """Gradients were taken of some weights, and of those that were named before."""
        self._name(weights)
        held = self.param_groups[0]["params"]
        smallest = sorted(held, key=Tensor.numel)[:LOOKED_AT]
        self._old = [(weight, weight.detach().clone()) for weight in smallest]
        self.is_awaited = bool(smallest)

    def _name(self, weights: Sequence[Tensor]) -> None:
        for weight in weights:
            if id(weight) not in self.ids and is_plain(weight):
                self.param_groups[0]["params"].append(weight)
                self.ids.add(id(weight))

    def was_made(self) -> bool:
        """Whether the weights are others than when gradients were taken; asked once an update."""
        if not self.is_awaited or all(torch.equal(new, old) for new, old in self._old):
            return False
        self.is_awaited, self._given = False, {}  # nobody's memory is held for longer
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
        self.ids, self._old, self._given = set(), [], {}


Stepper = torch.optim.Optimizer | HandUpdate


def gradient_of(stepper: Stepper, weight: Tensor) -> Tensor | None:
    """The gradient that a weight is changed by.

    Example:
        >>> weight = nn.Parameter(torch.ones(1))
        >>> update = HandUpdate()
        >>> update.give([weight], [torch.tensor([2.0])])
        >>> weight.grad, gradient_of(update, weight)
        (None, tensor([2.]))
    """
    return stepper.gradient(weight) if isinstance(stepper, HandUpdate) else weight.grad
