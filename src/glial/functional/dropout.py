"""Dropout that draws its random bits four numbers at a time."""

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
