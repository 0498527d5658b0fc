"""Competitive learning: the cell nearest to a row learns of it, and those beside it on a grid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.data.batches import Batch
from glial.functional import batch_map_step, faded, map_influence, online_map_steps
from glial.models.competing import Competes
from glial.training.schedules import Moment
from glial.training.settings import TrainSettings

# Where a rate ends, in units of its start.
_ENDS = {"linear": 0.0, "inverse": 1 / 101, "exponential": 0.01}
_NOT_HEEDED = (
    *("accumulate", "group_rate", "freeze", "unfreeze_every", "schedule", "warmup"),
    *("weight_decay", "l1", "l2", "clip_norm", "clip_value"),
)


class CompetitiveLearning:
    """Steps of a map's cells towards rows, with no gradient: batch by batch, or row by row.

    Radius and rate depend on the share of the training that is over, and stay for a batch; with
    one row a batch they fall from row to row. Online, rows come in the order that the network's
    second input gives, where there is one. A row's weight multiplies its rate in online
    learning, to 1 at most, and its share of means in batch learning.

    Args:
        network: A network that keeps `glial.models.competing.Competes`.
        settings: The plan's ``train`` part, of which ``lr`` and how batches are made matter.
        lr: The rate at the beginning, at most 1.

    Raises:
        InputError: If the settings ask for what this objective does not do.

    Source:
        Kohonen (2013), "Essentials of the self-organizing map", equations 3 and 8,
        doi:10.1016/j.neunet.2012.09.018.

    Example:
        >>> from glial.models.som import SOMSettings
        >>> network = SOMSettings(grid=[1, 2], radius=0.01, final_radius=0.01).build(1)
        >>> _ = network.prototypes.data.copy_(torch.tensor([[0.0], [4.0]]))
        >>> rows = torch.tensor([[1.0], [2.0], [5.0]])
        >>> learning = CompetitiveLearning(network, TrainSettings(), lr=1.0)
        >>> learning.step(Batch((rows,), rows), Moment(0, 0, 0.0)).item()
        2.0
        >>> network.prototypes.flatten().tolist()
        [1.5, 5.0]
    """

    def __init__(self, network: nn.Module, settings: TrainSettings, lr: float) -> None:
        _check(network, settings, lr)
        assert isinstance(network, Competes)  # noqa: S101 - narrows the type
        self._network: Competes = network
        self._lr = self._rate = lr

    def step(self, batch: Batch, moment: Moment) -> Tensor:
        """Learn from a batch; its loss is the mean squared distance to the nearest cell, a number.

        The distance is that before the step; of online learning before each row's own.
        """
        network = self._network
        decay = network.rate_decay
        self._rate = faded(self._lr, self._lr * _ENDS.get(decay, 1.0), moment.fraction, decay)
        radius = network.radius(moment.fraction)
        with torch.no_grad():
            rows = network.flat(*batch.inputs)
            if network.learning == "online":
                order = (
                    batch.inputs[1]
                    if len(batch.inputs) > 1
                    else torch.arange(len(rows), device=rows.device)
                )
                squares = self._online(rows, order, radius, batch.weight)
            else:
                squares = self._at_once(rows, radius, batch.weight)
            each = squares / rows.shape[1]
            if batch.weight is None:
                return each.mean()
            tiny = torch.finfo(each.dtype).tiny
            return (each * batch.weight).sum() / batch.weight.sum().clamp_min(tiny)

    def _online(self, rows: Tensor, order: Tensor, radius: float, weight: Tensor | None) -> Tensor:
        """Row by row; the squared distances are in the rows' own order."""
        network = self._network
        radii = torch.full((len(rows),), radius, dtype=torch.float64)
        rates = torch.full_like(radii, self._rate)
        if weight is not None:
            rates = (rates * weight[order].to(rates)).clamp(max=1.0)
        places, kind, cells = network.places, network.neighborhood, network.prototypes.data
        squares = online_map_steps(cells, rows[order], places, radii, rates, kind)
        return torch.empty_like(squares).index_copy_(0, order, squares)

    def _at_once(self, rows: Tensor, radius: float, weight: Tensor | None) -> Tensor:
        network = self._network
        near = map_influence(network.places, radius, network.neighborhood).to(rows.dtype)
        moved, squares = batch_map_step(network.prototypes.data, rows, near, self._rate, weight)
        network.prototypes.copy_(moved)
        return squares

    def observe(self, value: float) -> None:
        """A map looks at no validation."""

    def rate(self) -> float:
        """The rate of the last step."""
        return self._rate

    def tensors(self) -> dict[str, Tensor]:
        """Nothing beside the cells' vectors."""
        return {}

    def numbers(self) -> dict[str, Any]:
        """Nothing beside them: radius and rate follow from the step."""
        return {}

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Nothing to load."""


def _check(network: nn.Module, settings: TrainSettings, lr: float) -> None:
    """Refuse settings that would be passed over, and a network without competing cells."""
    plain = TrainSettings()
    for key in _NOT_HEEDED:
        if getattr(settings, key) != getattr(plain, key):
            raise InputError(
                f"train.{key} does not go with competitive learning",
                expected="a rate (train.lr), epochs and a batch size",
                got=f"train.{key}: {getattr(settings, key)}",
                do=f"leave train.{key} out; model.rate_decay and model.radius_decay say what falls",
            )
    if not lr <= 1:
        raise InputError(
            "a rate above 1 takes cells past the rows that they learn of",
            expected="train.lr from 0 to 1",
            got=f"train.lr: {lr:g}",
            do="set train.lr=1 for batch learning, or 0.5 for online learning",
        )
    if not isinstance(network, Competes):
        raise InputError(
            "the network has no cells that compete for rows",
            expected="a network such as som",
            got=type(network).__name__,
            do="see glial.models.competing.Competes",
        )
