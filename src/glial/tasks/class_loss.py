"""The losses that classes are learnt by."""

from __future__ import annotations

from torch import Tensor, nn

from glial.functional import losses
from glial.tasks.settings import TaskSettings

_SQUARED = {
    "half_squared_error": losses.half_squared_error,
    "mean_squared_error": losses.mean_squared_error,
}


def class_loss(
    outputs: Tensor, target: Tensor, weight: Tensor | None, settings: TaskSettings
) -> Tensor:
    """Cross-entropy, focal loss or squared error of scores, the weighted mean over rows.

    Args:
        outputs: The score of the last of two classes, [row, 1], or of each, [row, class].
        target: Class of each row, [row].
        weight: Weight of each row, that of its class included.
        settings: Which loss, and how much labels are smoothed.

    Example:
        >>> import torch
        >>> class_loss(torch.zeros(2, 1), torch.tensor([0, 1]), None, TaskSettings())
        tensor(0.6931)
    """
    one = outputs.shape[1] == 1
    if settings.loss == "focal":
        scores = outputs[:, 0] if one else outputs
        return losses.focal(scores, target, gamma=settings.focal_gamma, weight=weight)
    if settings.loss in _SQUARED:
        return _SQUARED[settings.loss](outputs, _signs(target, outputs), weight=weight)
    smoothing = settings.label_smoothing or 0.0
    if one:
        smoothed = target.to(outputs.dtype) * (1 - smoothing) + smoothing / 2
        return losses.binary_cross_entropy(outputs[:, 0], smoothed, weight=weight)
    return losses.cross_entropy(outputs, target, weight=weight, label_smoothing=smoothing)


def _signs(target: Tensor, outputs: Tensor) -> Tensor:
    """Targets as +1 for the row's class and -1 elsewhere, one column an output."""
    if outputs.shape[1] == 1:
        return (2 * target - 1).to(outputs.dtype)[:, None]
    return 2 * nn.functional.one_hot(target, outputs.shape[1]).to(outputs.dtype) - 1
