"""Dropout of numbers, drawn four at a time, and of whole rows."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_LEVELS = 2**16


def dropout(
    inputs: Float[Tensor, "*shape"], rate: float, *, training: bool = True
) -> Float[Tensor, "*shape"]:
    """Inverted dropout: zeros at random, the rest scaled so that the mean stays.

    On a CPU 64 random bits make four decisions, so that it takes less than half the time of
    torch's own; the rate is rounded to 1/65536 and the scale is that of the rounded rate.

    Args:
        inputs: Any values.
        rate: Share of zeros, in [0, 1).
        training: Without training the inputs come back as they are.

    Returns:
        The inputs with zeros, divided by the share that is kept; differentiable.

    Source:
        Srivastava et al. (2014), "Dropout", JMLR 15, section 10 (inverted form).

    Example:
        >>> import torch
        >>> sorted(set(dropout(torch.ones(999), 0.5).tolist()))
        [0.0, 2.0]
    """
    dropped = round(rate * _LEVELS)
    if not training or dropped == 0:
        return inputs
    if inputs.device.type != "cpu" or torch.compiler.is_compiling():
        return functional.dropout(inputs, rate)
    count = inputs.numel()
    words = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    draws = words.view(torch.int16)[:count].reshape(inputs.shape)
    kept = (draws >= dropped - _LEVELS // 2).to(inputs.dtype)
    return inputs * (kept * (_LEVELS / (_LEVELS - dropped)))


def stochastic_depth(
    inputs: Float[Tensor, "*shape"], rate: float, *, training: bool = True
) -> Float[Tensor, "*shape"]:
    """Drop what a residual block adds, row by row, and scale the rest so that the mean stays.

    Args:
        inputs: What the block would add to its input.
        rate: Share of the rows dropped, in [0, 1).
        training: Without training the inputs come back as they are.

    Returns:
        The inputs, rows of them zero and the others divided by the share kept; differentiable.

    Source:
        Huang, Sun, Liu, Sedra, Weinberger (2016), "Deep networks with stochastic depth",
        arXiv 1603.09382, section 3; scaled in training, and so not in testing.

    Example:
        >>> import torch
        >>> rows = stochastic_depth(torch.ones(99, 2, 3), 0.5)
        >>> sorted(set(rows.flatten(1).mean(dim=1).tolist()))
        [0.0, 2.0]
    """
    if not training or rate == 0:
        return inputs
    kept = inputs.new_empty((inputs.shape[0], *(1 for _ in inputs.shape[1:]))).bernoulli_(1 - rate)
    return inputs * (kept / (1 - rate))
