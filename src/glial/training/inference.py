"""A network's outputs on many rows, in evaluation mode and bounded memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glial.nn.summary import evaluating

ROWS_AT_ONCE = 4096


def outputs_of(model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """The outputs of a network on all rows; its mode is what it was afterwards.

    Args:
        model: The network.
        inputs: What it is called with, each with a row per row.

    Returns:
        Outputs, [row, ...], without gradient, on the inputs' device.

    Example:
        >>> outputs_of(nn.Linear(2, 1), (torch.zeros(3, 2),)).shape
        torch.Size([3, 1])
    """
    with evaluating(model), torch.inference_mode():
        parts = [
            model(*(part[start : start + ROWS_AT_ONCE] for part in inputs))
            for start in range(0, max(1, len(inputs[0])), ROWS_AT_ONCE)
        ]
    return torch.cat(parts) if len(parts) != 1 else parts[0]
