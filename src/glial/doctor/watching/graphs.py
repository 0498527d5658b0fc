"""Graphs of losses that are kept after their round: what makes memory grow step by step."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor

from glial.core.findings import Place
from glial.doctor.evidence import Evidence
from glial.doctor.watching.tape import Tape, node_of

MOST_MARKS = 400
OLD = 3  # rounds in which a script may still hold its last loss
_NAME = "glial_mark"


class _Mark:
    """Lives as long as the node of the graph that holds it."""

    def __init__(self, round_number: int) -> None:
        self.round = round_number


class Graphs:
    """Marks the graphs of losses, and counts those that outlive their round.

    A mark hangs at the node of the graph that made the loss, so that it is found however the
    loss is kept: itself, in a sum, or in what was computed from it.

    Example:
        >>> import torch
        >>> weight, kept, graphs = torch.ones(1, requires_grad=True), [], Graphs()
        >>> for number in range(5):
        ...     loss = (weight * number).sum()
        ...     graphs.mark(loss, number)
        ...     kept.append(loss + 1)
        >>> graphs.alive(5)
        3
    """

    def __init__(self) -> None:
        self._marks: list[weakref.ref[_Mark]] = []
        self._marked = 0

    def mark(self, root: Tensor, number: int) -> None:
        """Mark the graph of a round's loss."""
        node = node_of(root)  # its metadata is a dictionary; torch says that it is a method
        if node is None or len(self._marks) >= MOST_MARKS or _mark_of(node) is not None:
            return
        mark = _Mark(number)
        node.metadata[_NAME] = mark
        self._marks.append(weakref.ref(mark))
        self._marked += 1

    def alive(self, number: int) -> int:
        """How many graphs of rounds that are long over still exist."""
        found = [mark for mark in (mark() for mark in self._marks) if mark is not None]
        self._marks = [weakref.ref(mark) for mark in found]
        return sum(mark.round <= number - OLD for mark in found)

    def look(self, evidence: Evidence, tape: Tape, number: int) -> None:
        """Count at the end of a round, and see where it used the loss of an earlier one."""
        evidence.graphs.add(number, float(self.alive(number)))
        evidence.graphs_marked = self._marked
        evidence.graphs_at = _reuse(tape, number) or evidence.graphs_at


def _mark_of(node: Any) -> _Mark | None:
    found = node.metadata.get(_NAME)
    return found if isinstance(found, _Mark) else None


def _reuse(tape: Tape, number: int) -> Place | None:
    """Where a round first computes something from the loss of an earlier one, or from its sum."""
    for entry in tape.entries:
        for given in entry.given():
            node = node_of(given)
            behind = [] if node is None else [node, *(one for one, _ in node.next_functions)]
            marks = [_mark_of(one) for one in behind if one is not None]
            if any(mark is not None and mark.round < number for mark in marks):
                return entry.place
    return None
