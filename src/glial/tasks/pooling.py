"""What several networks say of the same rows, each with a task of its own, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glial.tasks.task import Task, undecided

Floats = NDArray[np.float64]


def side_by_side(members: Sequence[tuple[Task, Tensor]], columns: Sequence[str]) -> Floats:
    """What several networks say by themselves, uncalibrated, aligned by the names of columns.

    Args:
        members: The task of each network and its outputs for the same rows.
        columns: Names of decoded predictions or probabilities; a network that does not know
            one, such as the probability of a class that its rows lacked, says 0.

    Returns:
        Numbers, [member, row, column].

    Example:
        >>> import torch
        >>> from glial.data.scaling import Scaling
        >>> from glial.tasks.regression import Regression
        >>> from glial.tasks.settings import TaskSettings
        >>> levels = [Scaling("standard", shift=level) for level in (1.0, 3.0)]
        >>> tasks = [Regression(["y"], [0.0], [level], TaskSettings()) for level in levels]
        >>> members = [(task, torch.zeros(1, 1)) for task in tasks]
        >>> side_by_side(members, ["prediction"]).tolist()
        [[[1.0]], [[3.0]]]
    """
    tables = []
    for task, outputs in members:
        decoded = undecided(task).decode(outputs)
        known = {**decoded.predictions, **decoded.probabilities}
        unknown = np.zeros(len(outputs))
        tables.append(np.stack([known.get(name, unknown) for name in columns], axis=1))
    return np.stack(tables).astype(np.float64)


def deviation(values: Floats) -> Floats:
    """Standard deviation over members (of a sample, divided by one less than their number).

    Args:
        values: Numbers, [member, ...].

    Returns:
        One number a place; 0 where there is one member only.

    Example:
        >>> deviation(np.array([[1.0], [3.0]])).round(3).tolist()
        [1.414]
    """
    return values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1:])
