"""Losses as pure functions with weights by row and by class.

Every loss takes ``reduction`` ("mean", "sum" or "none"). The mean of weighted rows divides
by the sum of the weights, so doubling every weight changes nothing.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

Reduction = Literal["mean", "sum", "none"]
Values = Float[Tensor, "*shape"]


def reduce(
    values: Values, weight: Tensor | None = None, reduction: Reduction = "mean"
) -> Float[Tensor, "..."]:
    """One number of many losses: the weighted mean, the weighted sum, or all of them.

    Args:
        values: Loss of each element.
        weight: Weight of each element or row, at least 0; missing trailing axes are repeated.
        reduction: What to return.

    Returns:
        The weighted mean divides by the sum of the weights; where that is zero it is 0.

    Example:
        >>> reduce(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 1.0]))
        tensor(2.)
    """
    if weight is None:
        return _plain(values, reduction)
    weight = weight.reshape(weight.shape + (1,) * (values.ndim - weight.ndim)).to(values.dtype)
    weight = weight.expand_as(values)
    if reduction == "none":
        return values * weight
    total = (values * weight).sum()
    if reduction == "sum":
        return total
    return total / weight.sum().clamp_min(torch.finfo(values.dtype).tiny)


def _plain(values: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "none":
        return values
    return values.sum() if reduction == "sum" else values.mean()


def half_squared_error(
    outputs: Values,
    target: Values,
    *,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "..."]:
    r"""Half the squared error, :math:`\frac{1}{2} (y - \hat y)^2`.

    Args:
        outputs: Predicted values.
        target: True values.
        weight: Weight of each element or row.
        reduction: See `reduce`.

    Returns:
        At least 0. Its derivative is exactly ``outputs - target`` (with reduction "sum").

    Example:
        >>> half_squared_error(torch.tensor([3.0]), torch.tensor([1.0]))
        tensor(2.)
    """
    return reduce((outputs - target).square() / 2, weight, reduction)


def mean_squared_error(
    outputs: Values,
    target: Values,
    *,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "..."]:
    r"""The squared error :math:`(y - \hat y)^2`; the mean is its minimiser.

    Args:
        outputs: Predicted values.
        target: True values.
        weight: Weight of each element or row.
        reduction: See `reduce`.

    Returns:
        At least 0, in squared units of the target.

    Example:
        >>> mean_squared_error(torch.tensor([3.0, 1.0]), torch.tensor([1.0, 1.0]))
        tensor(2.)
    """
    return reduce((outputs - target).square(), weight, reduction)


def mean_absolute_error(
    outputs: Values,
    target: Values,
    *,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "..."]:
    r"""The absolute error :math:`|y - \hat y|`; the median is its minimiser.

    Args:
        outputs: Predicted values.
        target: True values.
        weight: Weight of each element or row.
        reduction: See `reduce`.

    Returns:
        At least 0, in units of the target.

    Example:
        >>> mean_absolute_error(torch.tensor([3.0, 1.0]), torch.tensor([1.0, 1.0]))
        tensor(1.)
    """
    return reduce((outputs - target).abs(), weight, reduction)


def huber(
    outputs: Values,
    target: Values,
    *,
    delta: float = 1.0,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "..."]:
    """Half squared error near the target, absolute error beyond ``delta``: outliers pull less.

    Args:
        outputs: Predicted values.
        target: True values.
        delta: Where it turns, in units of the target; positive.
        weight: Weight of each element or row.
        reduction: See `reduce`.

    Returns:
        At least 0.

    Source:
        Huber (1964), "Robust estimation of a location parameter",
        doi:10.1214/aoms/1177703732.

    Example:
        >>> huber(torch.tensor([3.0]), torch.tensor([0.0]))
        tensor(2.5000)
    """
    values = functional.huber_loss(outputs, target, reduction="none", delta=delta)
    return reduce(values, weight, reduction)


def binary_cross_entropy(
    outputs: Values,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    class_weight: Float[Tensor, "2"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "..."]:
    """Log loss of logits against 0/1 labels (or probabilities in between).

    Args:
        outputs: Logits, before the sigmoid.
        target: Labels or probabilities in [0, 1], of the same shape.
        weight: Weight of each element or row.
        class_weight: Weights of the labels 0 and 1; a target in between mixes them.
        reduction: See `reduce`.

    Returns:
        At least 0 for hard labels; ``sigmoid(outputs) - target`` is its derivative.

    Example:
        >>> binary_cross_entropy(torch.tensor([0.0]), torch.tensor([1.0]))
        tensor(0.6931)
    """
    target = target.to(outputs.dtype)
    values = functional.binary_cross_entropy_with_logits(outputs, target, reduction="none")
    if class_weight is not None:
        by_class = torch.lerp(class_weight[0].to(values), class_weight[1].to(values), target)
        weight = by_class if weight is None else by_class * _like(weight, values)
    return reduce(values, weight, reduction)


def cross_entropy(
    outputs: Float[Tensor, "row label"],
    target: Int[Tensor, " row"],
    *,
    weight: Float[Tensor, " row"] | None = None,
    class_weight: Float[Tensor, " label"] | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Float[Tensor, "..."]:
    """Minus the log probability of the true class, from logits.

    Args:
        outputs: Logits, before the softmax.
        target: Index of the true class of each row.
        weight: Weight of each row.
        class_weight: Weight of each class; a row has its true class's.
        label_smoothing: Share of the target spread evenly over all classes, in [0, 1).
        reduction: See `reduce`.

    Returns:
        At least 0; 0 as the probability of the true class tends to 1 (without smoothing).

    Source:
        Label smoothing: Szegedy et al. (2016), arXiv 1512.00567, section 7. With weights by
        class the whole smoothed loss of a row takes its true class's weight; torch instead
        weights the smoothed part class by class.

    Example:
        >>> cross_entropy(torch.zeros(1, 4), torch.tensor([2]))
        tensor(1.3863)
    """
    values = functional.cross_entropy(
        outputs, target, reduction="none", label_smoothing=label_smoothing
    )
    return reduce(values, _row_weight(target, weight, class_weight), reduction)


def focal(
    outputs: Float[Tensor, "row ..."],
    target: Tensor,
    *,
    gamma: float = 2.0,
    weight: Float[Tensor, " row"] | None = None,
    class_weight: Float[Tensor, " label"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Tensor, "..."]:
    r"""Cross-entropy with easy rows turned down: :math:`(1 - p)^\gamma \cdot -\log p`.

    Args:
        outputs: Logits: [row] for two classes (of the class 1), [row, label] for more.
        target: Index of the true class of each row.
        gamma: How strongly easy rows are turned down; 0 is cross-entropy. At least 0.
        weight: Weight of each row.
        class_weight: Weight of each class (the paper's alpha).
        reduction: See `reduce`.

    Returns:
        At least 0 and at most the cross-entropy.

    Source:
        Lin et al. (2017), "Focal loss for dense object detection", arXiv 1708.02002, eq. (5).

    Example:
        >>> focal(torch.zeros(1), torch.tensor([1]))
        tensor(0.1733)
    """
    if outputs.ndim == 1:
        outputs = torch.stack([torch.zeros_like(outputs), outputs], dim=1)
    target = target.long()
    log_p = functional.log_softmax(outputs, dim=1).gather(1, target[:, None])[:, 0]
    # 1 - p is at least the smallest number, so that the power has a gradient at gamma < 1
    wrong = (-torch.expm1(log_p)).clamp_min(torch.finfo(outputs.dtype).tiny)
    values = -(wrong**gamma) * log_p if gamma else -log_p
    return reduce(values, _row_weight(target, weight, class_weight), reduction)


def _row_weight(
    target: Tensor, weight: Tensor | None, class_weight: Tensor | None
) -> Tensor | None:
    if class_weight is None:
        return weight
    by_class = class_weight[target]
    return by_class if weight is None else by_class * weight


def _like(weight: Tensor, values: Tensor) -> Tensor:
    return weight.reshape(weight.shape + (1,) * (values.ndim - weight.ndim)).to(values.dtype)
