"""What the classes weigh in the loss."""

from __future__ import annotations

import torch
from torch import Tensor

from glial.core.errors import InputError, suggest
from glial.tasks.decisions import cost_weights
from glial.tasks.metrics import Floats
from glial.tasks.settings import TaskSettings


def class_weight(
    names: list[str], shares: list[float], settings: TaskSettings, costs: Floats | None
) -> Tensor | None:
    """What the classes weigh in the loss, by their weights and by their costs.

    Args:
        names: The classes.
        shares: Share of each among the training rows.
        settings: The plan's ``task`` part.
        costs: Costs, [true class, predicted class], where the plan has them.

    Returns:
        A weight a class; None where all weigh alike.

    Raises:
        InputError: If the plan weighs a class that is not there.

    Example:
        >>> class_weight(["a", "b"], [0.75, 0.25], TaskSettings(class_weights="balanced"), None)
        tensor([0.6667, 2.0000])
    """
    weight = _given_weight(names, shares, settings)
    if costs is None or settings.cost_use == "decision":
        return weight
    by_cost = torch.tensor(cost_weights(costs, shares))
    return by_cost if weight is None else by_cost * weight


def _given_weight(names: list[str], shares: list[float], settings: TaskSettings) -> Tensor | None:
    asked = settings.class_weights
    if asked == "none":
        return None
    if asked == "balanced":
        return torch.tensor([1 / (len(shares) * share) if share else 0.0 for share in shares])
    assert isinstance(asked, dict)  # noqa: S101 - narrows the type
    unknown = [name for name in asked if name not in names]
    if unknown:
        near = suggest(unknown[0], names)
        raise InputError(
            f"task.class_weights names the class {unknown[0]!r}, which is not in the data",
            expected=f"classes among {', '.join(names)}",
            got=repr(unknown[0]),
            do=f"did you mean {near!r}?" if near else "take this class out of task.class_weights",
        )
    return torch.tensor([asked.get(name, 1.0) for name in names])
