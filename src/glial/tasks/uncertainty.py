"""How unsure several networks are of a row: what the data leaves open, and what they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glial.tasks.classification import Classification
from glial.tasks.metrics import Floats
from glial.tasks.multilabel import Multilabel
from glial.tasks.pooling import side_by_side
from glial.tasks.regression import Regression
from glial.tasks.task import Task

COLUMNS = ("uncertainty", "uncertainty_data", "uncertainty_model")


def class_doubt(shares: Floats) -> tuple[Floats, Floats, Floats]:
    """The entropy of the members' mean, and its two parts, in nats.

    Args:
        shares: Probabilities, [member, ..., class].

    Returns:
        The entropy of the mean, the mean of the members' entropies (what stays open were all
        sure that they are right), and their difference (the mutual information of class and
        member: how far the members disagree), [...] each. The last two sum to the first.

    Source:
        Depeweg, Hernandez-Lobato, Doshi-Velez, Udluft (2018), equation (2), arXiv 1710.07283.

    Example:
        >>> agree = np.array([[[0.5, 0.5]], [[0.5, 0.5]]])
        >>> differ = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
        >>> [round(part.item(), 3) for part in class_doubt(agree)]
        [0.693, 0.693, 0.0]
        >>> [round(part.item(), 3) for part in class_doubt(differ)]
        [0.693, 0.0, 0.693]
    """
    from scipy.special import entr

    total = entr(shares.mean(axis=0)).sum(axis=-1)
    data = entr(shares).sum(axis=-1).mean(axis=0)
    return total, np.minimum(data, total), (total - data).clip(0)


def number_doubt(values: Floats, noise: Floats) -> tuple[Floats, Floats, Floats]:
    """The standard deviation of what may come, and its two parts.

    Args:
        values: Predicted numbers, [member, row, output].
        noise: Usual error of each output, [output].

    Returns:
        The root of the sum of both squares, the noise, and the standard deviation between the
        members, [row, output] each.

    Source:
        Lakshminarayanan, Pritzel, Blundell (2017), section 2.4, arXiv 1612.01474: the variance of
        a mixture of members that all have the same variance.

    Example:
        >>> total, data, model = number_doubt(np.array([[[1.0]], [[9.0]]]), np.array([3.0]))
        >>> total.item(), data.item(), model.item()
        (5.0, 3.0, 4.0)
    """
    model = values.std(axis=0)
    data = np.broadcast_to(noise, model.shape)
    return np.hypot(data, model), data, model


def split_members(votes: Sequence[tuple[Task, Tensor]]) -> list[tuple[Task, Tensor]]:
    """Votes of networks with members, [row, member, output], as votes of each member.

    Example:
        >>> import torch
        >>> from glial.tasks.settings import TaskSettings
        >>> task = Multilabel(["a", "b", "c"], [], [], TaskSettings())
        >>> [outputs.shape for _, outputs in split_members([(task, torch.zeros(5, 2, 3))])]
        [torch.Size([5, 3]), torch.Size([5, 3])]
    """
    return [
        (task, part)
        for task, outputs in votes
        for part in (outputs.unbind(dim=1) if outputs.ndim == 3 else (outputs,))
    ]


def uncertainty(task: Task, votes: Sequence[tuple[Task, Tensor]]) -> dict[str, NDArray[np.float64]]:
    """How unsure several networks are of each row, as columns.

    What they say counts as they say it, before any calibration. The noise of numbers is the root
    mean squared error on the validation rows; where none is known, it is taken as 0.

    Args:
        task: What is learnt.
        votes: The task of each network and its outputs for the same rows.

    Returns:
        ``uncertainty``, ``uncertainty_data`` and ``uncertainty_model``, behind each
        ``_<name>`` where there are several outputs.

    Raises:
        TypeError: If the task is none of classes or numbers, one or several a row.
    """
    members = split_members(votes)
    known: Any = task
    if isinstance(known, Classification):
        shares = side_by_side(members, [f"probability_{name}" for name in known.labels.names])
        return dict(zip(COLUMNS, class_doubt(shares), strict=True))
    if isinstance(known, Multilabel):
        yes = side_by_side(members, [f"probability_{name}" for name in known.targets])
        parts = class_doubt(np.stack([1 - yes, yes], axis=-1))
        return _named(parts, [f"_{name}" for name in known.targets])
    if isinstance(known, Regression):
        several = len(known.targets) > 1
        ends = [f"_{name}" for name in known.targets] if several else [""]
        values = side_by_side(members, [f"prediction{end}" for end in ends])
        noise = np.zeros(len(ends)) if known.noise is None else np.array(known.noise)
        return _named(number_doubt(values, noise), ends)
    raise TypeError(f"the task {task.name} has no uncertainty of rows")


def _named(parts: Sequence[Floats], ends: Sequence[str]) -> dict[str, Floats]:
    return {
        f"{column}{end}": part[:, i]
        for i, end in enumerate(ends)
        for column, part in zip(COLUMNS, parts, strict=True)
    }
