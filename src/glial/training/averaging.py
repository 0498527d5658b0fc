"""Averages of the weights over training: exponential (EMA) or equal (SWA)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from glial.training.settings import TrainSettings


class WeightAverage:
    """A running average of a network's parameters; buffers are always the latest.

    Args:
        model: The network.
        decay: Share of the old average kept at each update (EMA); None averages all updates
            equally (SWA; Izmailov et al. 2018, arXiv 1803.05407).

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.constant_(model.weight, 2.0)
        >>> average = WeightAverage(model, decay=0.5)
        >>> average.update()
        >>> _ = nn.init.constant_(model.weight, 4.0)
        >>> average.update()
        >>> with average.swapped_in():
        ...     model.weight.item()
        3.0
    """

    def __init__(self, model: nn.Module, decay: float | None) -> None:
        self._parameters = dict(model.named_parameters())
        self._average = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._decay = decay
        self.count = 0

    @classmethod
    def of(cls, model: nn.Module, settings: TrainSettings) -> WeightAverage | None:
        """The average that the settings ask for, if they ask for one."""
        if settings.ema is None and settings.swa_start is None:
            return None
        return cls(model, settings.ema)

    def update(self) -> None:
        """Take in the current weights."""
        self.count += 1
        if self.count == 1:
            share = 1.0
        else:
            share = 1 / self.count if self._decay is None else 1 - self._decay
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self._average.values()),
                [p.detach() for p in self._parameters.values()],
                share,
            )

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Put the average in the network's place for a while, once there is one."""
        if self.count == 0:
            yield
            return
        held = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._put(self._average)
        try:
            yield
        finally:
            self._put(held)

    def _put(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(values[name])

    def tensors(self) -> dict[str, Tensor]:
        """The average, for a checkpoint."""
        return dict(self._average)

    def load(self, tensors: dict[str, Tensor], count: int) -> None:
        """Go on from a checkpoint."""
        for name, value in tensors.items():
            self._average[name].copy_(value)
        self.count = count
