"""All that a training goes on from, to be written to a checkpoint or held in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from glial.training.averaging import WeightAverage
from glial.training.best import BestWeights
from glial.training.checkpoints import (
    Progress,
    prefixed,
    random_state,
    restore_random_state,
    under,
)
from glial.training.objective import Objective


@dataclass
class Held:
    """A training's state at one moment, in memory of its own.

    Attributes:
        tensors: Weights, buffers, the objective's tensors, averages and random states.
        numbers: The plain values of the objective and the average.
        progress: Where the training stood.
        loss: The sum of losses over the epoch's rows.
        rows: The rows that it is over.
        best: The best weights until then.

    Example:
        >>> Held().tensors
        {}
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    loss: float = 0.0
    rows: int = 0
    best: dict[str, Tensor] | None = None


class TrainingState:
    """The parts of a training that change as it goes on.

    Args:
        model: The networks, as one module.
        objective: How a batch changes them.
        average: The average of the weights; None where there is none.
        best: The best weights.

    Attributes:
        progress: Where training stands.
        loss: Sum of the losses over the epoch's rows so far.
        rows: The rows that it is over.
        device: Where the networks are.

    Example:
        >>> from glial.training.objective import Descent
        >>> from glial.training.settings import TrainSettings
        >>> model = nn.Linear(1, 1)
        >>> loss = lambda outputs, target, weight: outputs.mean()
        >>> objective = Descent(model, loss, TrainSettings(), lr=0.1)
        >>> state = TrainingState(model, objective, None, BestWeights(("loss", True), 0.0))
        >>> held, before = state.hold(), model.weight.item()
        >>> _ = nn.init.zeros_(model.weight)
        >>> state.put_back(held)
        >>> model.weight.item() == before
        True
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        average: WeightAverage | None,
        best: BestWeights,
    ) -> None:
        self.model, self.objective, self.average, self.best = model, objective, average, best
        self.progress = Progress()
        self.loss, self.rows = 0.0, 0
        self.device = next(iter(model.parameters())).device

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a checkpoint."""
        return {**prefixed("model", self.model.state_dict()), **self._others()}

    def _others(self) -> dict[str, Tensor]:
        return {
            **prefixed("objective", self.objective.tensors()),
            **prefixed("average", self.average.tensors() if self.average else {}),
            **prefixed("random", random_state()),
        }

    def numbers(self) -> dict[str, Any]:
        """The plain values of a checkpoint."""
        return {**self._numbers(), "progress": asdict(self.progress), "sum": [self.loss, self.rows]}

    def _numbers(self) -> dict[str, Any]:
        return {
            "objective": self.objective.numbers(),
            "average_count": self.average.count if self.average else 0,
        }

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Args:
            tensors: What :meth:`tensors` gave.
            numbers: What :meth:`numbers` gave.
        """
        self.model.load_state_dict(under("model", tensors))
        self._load_others(tensors, numbers)
        self.loss, self.rows = numbers["sum"]
        vars(self.progress).update(vars(Progress(**numbers["progress"])))

    def _load_others(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        self.objective.load(under("objective", tensors), numbers["objective"])
        if self.average is not None:
            self.average.load(under("average", tensors), numbers["average_count"])
        restore_random_state(under("random", tensors))

    def hold(self, into: Held | None = None) -> Held:
        """The state as it is now; the memory of another that is no longer needed may be given.

        Args:
            into: What may be overwritten.
        """
        held = into or Held()
        places = held.tensors
        now = {**dict(self._weights()), **self._others()}
        held.tensors = {name: _copied(value, places.get(name)) for name, value in now.items()}
        held.numbers = self._numbers()
        progress = self.progress
        held.progress = {**vars(progress), "history": len(progress.history)}
        held.loss, held.rows, held.best = self.loss, self.rows, self.best.weights
        return held

    def put_back(self, held: Held) -> None:
        """Go on from a state that was held; it may be put back again later.

        Args:
            held: What :meth:`hold` gave.
        """
        with torch.no_grad():
            for name, value in self._weights():
                value.copy_(held.tensors[name])
        others = held.tensors.items()
        copies = {name: value.clone() for name, value in others if not name.startswith(_WEIGHTS)}
        self._load_others(copies, held.numbers)
        progress = self.progress
        del progress.history[held.progress["history"] :]
        kept = {"history": progress.history, "seconds": progress.seconds}
        vars(progress).update({**held.progress, **kept})
        self.loss, self.rows = held.loss, held.rows
        self.best.put_back(held.best)

    def _weights(self) -> Iterator[tuple[str, Tensor]]:
        """Parameters and buffers, also those that no checkpoint has; not what is no number."""
        for name, value in self.model.named_parameters():
            yield f"{_WEIGHTS}{name}", value.detach()
        for name, buffer in self.model.named_buffers():
            yield f"{_WEIGHTS}{name}", buffer

    def is_finite(self) -> bool:
        """Whether every weight and everything that their updates go on from is a number."""
        tensors: list[Tensor] = list(self.model.parameters())
        tensors += self.objective.tensors().values()
        with torch.no_grad():
            sums = [
                torch.sum(one, dtype=torch.float32 if one.itemsize < 4 else None)
                for one in tensors
                if one.is_floating_point()
            ]
            if not sums:
                return True
            return bool(torch.stack([one.to(self.device).float() for one in sums]).sum().isfinite())


_WEIGHTS = "weights."


def _copied(value: Tensor, place: Tensor | None) -> Tensor:
    """A copy in plain memory, in a place that is there already where it fits."""
    value = value.detach()
    if place is None or place.shape != value.shape or place.dtype != value.dtype:
        return value.to("cpu", copy=True)
    return place.copy_(value)
