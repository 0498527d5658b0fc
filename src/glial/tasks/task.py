"""The protocol of a task: head, loss, decoding, metrics and a healthy start."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from glial.core.errors import InputError

Outputs = Tensor
Loss = Callable[..., Tensor]
# What tasks fit on validation rows.
FITTED = ("thresholds", "calibration", "by_group", "sets", "refusal", "intervals")


@dataclass(frozen=True)
class Decoded:
    """What a network's outputs mean.

    Attributes:
        predictions: Column name to one decoded value a row.
        probabilities: Column name to one probability a row; empty where a task has none.

    Example:
        >>> Decoded({"prediction": np.array([1.0])}).probabilities
        {}
    """

    predictions: dict[str, Any]
    probabilities: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def frame(self) -> pl.DataFrame:
        """One table: a row per row, predictions first.

        Example:
            >>> Decoded({"prediction": np.array([1.0])}).frame().shape
            (1, 1)
        """
        return pl.DataFrame({**self.predictions, **self.probabilities})


@runtime_checkable
class Task(Protocol):
    """What is learnt: fitted on the training targets, saved as data in ``decoding.json``.

    Example:
        >>> from glial.tasks.labels import Labels
        >>> from glial.tasks.classification import Classification
        >>> from glial.tasks.settings import TaskSettings
        >>> task = Classification("y", Labels(["a", "b"]), [0.5, 0.5], TaskSettings())
        >>> isinstance(task, Task)
        True
    """

    name: str
    targets: list[str]
    monitored: tuple[str, ...]
    thresholds: list[float] | None

    @property
    def num_outputs(self) -> int:
        """Number of numbers that the network's head gives for a row."""

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """The targets of a table as a tensor with a row per row."""

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean training loss; outputs are [row, output] or [row, member, output]."""

    def mass(self, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """What the loss divides its sum over rows by: their number, or the sum of weights."""

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """Quick figures of a validation pass: ``loss`` (unsmoothed, unweighted) and a score."""

    def tune(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> None:
        """Fit on validation rows what the plan asks for, such as calibration and thresholds.

        Raises:
            InputError: If one of them cannot be fitted; all others have been.
        """

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """The predictions that outputs stand for, members averaged.

        Args:
            outputs: Outputs, a row per row.
            frame: The rows themselves, for what is decided by more than outputs; None where they
                are not at hand.
        """

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """Every metric of the task, by the names of scikit-learn's scorers."""

    def pool(self, members: Sequence[tuple[Task, Tensor]]) -> Tensor:
        """Outputs, in this task's terms, that stand for the mean of what several networks predict.

        Each member comes with the task that it was trained for and its outputs for the same
        rows: the mean is taken of probabilities, or of numbers in the targets' own units.
        """

    def spread(
        self, members: Sequence[tuple[Task, Tensor]], frame: pl.DataFrame | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """How far members differ: column name to a standard deviation a row."""

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """Outputs of the trivial predictor: the class shares, or the mean, of training."""

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """Confusion matrix and curves, where the task has them."""

    def state(self) -> dict[str, Any]:
        """What was fitted, as JSON."""


def healthy_first_loss(task: Task, target: Tensor) -> float:
    """The loss of outputs that are all zero: what a well-started network begins with.

    For C classes that is ln C, for targets scaled to unit variance 1 (mean squared error).

    Args:
        task: The task.
        target: Encoded training targets.

    Returns:
        The loss, in the units of the task's loss.

    Example:
        >>> from glial.tasks.regression import Regression
        >>> from glial.data.scaling import Scaling
        >>> from glial.tasks.settings import TaskSettings
        >>> task = Regression(["y"], [0.0], [Scaling()], TaskSettings())
        >>> healthy_first_loss(task, torch.tensor([[-1.0], [1.0]]))
        1.0
    """
    positions = () if target.is_floating_point() else target.shape[1:]
    outputs = torch.zeros(len(target), *positions, task.num_outputs, device=target.device)
    return float(task.loss(outputs, target))


def trivial_scores(
    task: Task, frame: pl.DataFrame, weight: NDArray[Any] | None = None
) -> dict[str, float]:
    """The metrics of the trivial predictor, which no threshold was tuned for.

    Args:
        task: The task.
        frame: Rows with their targets.
        weight: Weight of each row.

    Example:
        >>> from glial.tasks.labels import Labels
        >>> from glial.tasks.classification import Classification
        >>> from glial.tasks.settings import TaskSettings
        >>> task = Classification("y", Labels(["a", "b"]), [0.9, 0.1], TaskSettings(threshold=0.05))
        >>> trivial_scores(task, pl.DataFrame({"y": ["a", "a", "a", "b"]}))["accuracy"]
        0.75
    """
    plain = undecided(task)
    return plain.scores(plain.trivial_outputs(frame.height), frame, weight)


def undecided(task: Task) -> Task:
    """The task without what was fitted on validation rows: what a network says by itself.

    Example:
        >>> from glial.tasks.labels import Labels
        >>> from glial.tasks.classification import Classification
        >>> from glial.tasks.settings import TaskSettings
        >>> task = Classification("y", Labels(["a", "b"]), [0.9, 0.1], TaskSettings(threshold=0.05))
        >>> undecided(task).thresholds is None, task.thresholds
        (True, [0.05])
    """
    plain = copy.copy(task)
    for name in FITTED:
        if hasattr(plain, name):
            setattr(plain, name, None)
    return plain


def try_each(steps: Iterable[Callable[[], None]]) -> None:
    """Take every step, and raise the first error of the user's only then.

    Args:
        steps: What is done, in this order.

    Raises:
        InputError: The first that a step raised.

    Example:
        >>> def fail():
        ...     raise InputError("no")
        >>> try_each([fail, lambda: print("done")])
        Traceback (most recent call last):
        ...
        glial.core.errors.InputError: no
    """
    errors = []
    for step in steps:
        try:
            step()
        except InputError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def averaged_members(values: Tensor) -> Tensor:
    """Mean over the members of an ensemble trained as one: [row, member, output] to [row, output].

    Example:
        >>> averaged_members(torch.tensor([[[1.0], [3.0]]]))
        tensor([[2.]])
    """
    return values.mean(dim=1) if values.ndim == 3 else values


def count_of(target: Tensor) -> Tensor:
    """The number of rows, as a number on the targets' device.

    Example:
        >>> count_of(torch.zeros(3, 2))
        tensor(3.)
    """
    return torch.tensor(float(len(target)), device=target.device)


def expanded_to_members(
    outputs: Tensor, target: Tensor, weight: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Outputs of all members as rows, with targets and weights repeated for each member.

    Example:
        >>> o, t, _ = expanded_to_members(torch.zeros(2, 3, 1), torch.tensor([0, 1]), None)
        >>> o.shape, t.tolist()
        (torch.Size([6, 1]), [0, 0, 0, 1, 1, 1])
    """
    if outputs.ndim == 2:
        return outputs, target, weight
    members = outputs.shape[1]
    repeated = None if weight is None else weight.repeat_interleave(members, dim=0)
    return outputs.flatten(0, 1), target.repeat_interleave(members, dim=0), repeated
