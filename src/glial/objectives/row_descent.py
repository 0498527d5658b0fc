"""Descent that touches only the rows of a table of vectors that a batch looked up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.data.batches import Batch
from glial.training.schedules import Moment, make_schedule
from glial.training.settings import TrainSettings

_NOT_HEEDED = (
    *("weight_decay", "l1", "l2", "clip_norm", "clip_value", "accumulate"),
    *("group_rate", "freeze", "unfreeze_every"),
)


class RowDescent:
    """Adagrad, or plain descent, whose steps cost what a batch touches and not what a table holds.

    Gradients of tables come as rows (``torch.nn.functional.embedding(..., sparse=True)``), and
    only those rows and their sums of squares change; other gradients change all of a parameter.

    Args:
        model: The network.
        loss: The mean loss of a batch.
        settings: ``optimizer`` is ``adagrad`` or ``sgd``; the schedule holds.
        lr: Base learning rate.

    Raises:
        InputError: If the settings ask for what this objective does not do.

    Source:
        Duchi, Hazan, Singer (2011), "Adaptive subgradient methods for online learning and
        stochastic optimization", JMLR 12, section 1.1.

    Example:
        >>> table = nn.Embedding(3, 1, sparse=True)
        >>> _ = nn.init.zeros_(table.weight)
        >>> settings = TrainSettings(optimizer="adagrad")
        >>> descent = RowDescent(table, lambda batch: -table(batch.target).sum(), settings, lr=0.5)
        >>> _ = descent.step(Batch((), torch.tensor([1])), Moment(0, 0, 0.0))
        >>> table.weight.flatten().tolist()
        [0.0, 0.5, 0.0]
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Batch], Tensor],
        settings: TrainSettings,
        lr: float,
    ) -> None:
        _check(settings)
        self._parameters = dict(model.named_parameters())
        self._loss = loss
        self._schedule = make_schedule(settings)
        self._lr, self._rate, self._eps = lr, lr, settings.eps
        adapts = settings.optimizer == "adagrad"
        self._sums = {name: torch.zeros_like(p) for name, p in self._parameters.items() if adapts}

    def step(self, batch: Batch, moment: Moment) -> Tensor:
        """Forward, loss, backward, and an update of the rows that were looked up."""
        self._rate = self._lr * self._schedule(moment)
        for parameter in self._parameters.values():
            parameter.grad = None
        loss = self._loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, self._sums.get(name))
                    parameter.grad = None
        return loss.detach()

    def _update(self, parameter: Tensor, gradient: Tensor, sums: Tensor | None) -> None:
        if not gradient.is_sparse:
            if sums is not None:
                sums.add_(gradient.square())
                gradient = gradient / sums.sqrt().add_(self._eps)
            parameter.sub_(gradient, alpha=self._rate)
            return
        rows, places = torch.unique(gradient._indices()[0], return_inverse=True)
        values = gradient._values()
        change = values.new_zeros(len(rows), *values.shape[1:]).index_add_(0, places, values)
        if sums is not None:
            sums.index_add_(0, rows, change.square())
            change /= sums.index_select(0, rows).sqrt_().add_(self._eps)
        parameter.index_add_(0, rows, change, alpha=-self._rate)

    def observe(self, value: float) -> None:
        """Validation changes nothing."""

    def rate(self) -> float:
        """The learning rate of the last step."""
        return self._rate

    def tensors(self) -> dict[str, Tensor]:
        """The sums of squares."""
        return dict(self._sums)

    def numbers(self) -> dict[str, Any]:
        """Nothing beside them."""
        return {}

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        for name, sums in self._sums.items():
            sums.copy_(tensors[name])


def _check(settings: TrainSettings) -> None:
    """Refuse settings that would be passed over."""
    plain = TrainSettings()
    wrong = [key for key in _NOT_HEEDED if getattr(settings, key) != getattr(plain, key)]
    wrong += ["schedule"] if settings.schedule == "plateau" else []
    wrong += ["optimizer"] if settings.optimizer not in ("adagrad", "sgd") else []
    if wrong:
        key, value = wrong[0], getattr(settings, wrong[0])
        raise InputError(
            f"train.{key} does not go with tables of which a step changes some rows",
            expected="train.optimizer adagrad or sgd, and no penalty, clipping or freezing",
            got=f"train.{key}: {value}",
            do=f"leave train.{key} out of the plan",
        )
