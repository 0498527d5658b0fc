"""What a logger is, and what is written of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from glial.core.settings import flat

Status = Literal["finished", "interrupted", "failed"]
STATUSES: tuple[Status, ...] = ("finished", "interrupted", "failed")


@runtime_checkable
class MetricLogger(Protocol):
    """Writes the numbers of a training for another program to read.

    A logger is made as ``make(folder, name=..., group=...)``: the folder of the run that it tells
    of, what the run is called, and the runs that it belongs to. In a folder where it has written
    before it goes on with what is there. It raises what goes wrong; the class method ``check()``
    raises an InputError where its package is missing.

    Example:
        >>> class Kept:
        ...     def __init__(self): self.rows = []
        ...     def log(self, values, step=None): self.rows.append((step, dict(values)))
        ...     def log_params(self, params): ...
        ...     def log_text(self, name, text): ...
        ...     def summarize(self, metrics): ...
        ...     def last_step(self, name): return -1
        ...     def finish(self, status="finished"): ...
        >>> isinstance(Kept(), MetricLogger)
        True
    """

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Write numbers of a step; without one, of the step after the last."""

    def log_params(self, params: Any) -> None:
        """Write what the training was set to: a plan, or nested or flat values."""

    def log_text(self, name: str, text: str) -> None:
        """Write a text in Markdown."""

    def summarize(self, metrics: Mapping[str, float]) -> None:
        """Write the numbers that the training came to."""

    def last_step(self, name: str) -> int:
        """The last step of a number that was there before; -1 of none."""

    def finish(self, status: Status = "finished") -> None:
        """Write what is still held back, and say how the training ended."""


def flat_params(params: Any) -> dict[str, Any]:
    """Dotted keys and plain values of a plan, or of nested values.

    Args:
        params: Something with ``to_values()``, as a plan is, or a mapping.

    Example:
        >>> flat_params({"train": {"lr": 0.1, "betas": [0.9, 0.99]}, "seed": 0})
        {'train.lr': 0.1, 'train.betas': [0.9, 0.99], 'seed': 0}
    """
    values = params.to_values() if hasattr(params, "to_values") else params
    return flat(dict(values))
