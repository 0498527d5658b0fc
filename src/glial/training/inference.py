"""A network's outputs on many rows, in evaluation mode and bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional

from glial.data.batches import Finish
from glial.nn.summary import evaluating

Mode = Callable[[nn.Module], AbstractContextManager[None]]
ROWS_AT_ONCE = 4096
ELEMENTS_AT_ONCE = 1 << 18  # of inputs: what a convolution makes of them is many times as large


def outputs_of(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    finish: Finish | None = None,
    groups: Tensor | None = None,
    mode: Mode = evaluating,
) -> Tensor:
    """The outputs of a network on all rows; its mode is what it was afterwards.

    Args:
        model: The network.
        inputs: What it is called with, each with a row per row.
        finish: Makes what it is called with of some rows of the inputs, where that differs.
        groups: A number a row, equal for rows that it may be called with at once; None is all.
        mode: What the network is in meanwhile: evaluated, or with its dropout on.

    Returns:
        Outputs, [row, ...], without gradient, on the inputs' device; see :func:`joined`.

    Example:
        >>> outputs_of(nn.Linear(2, 1), (torch.zeros(3, 2),)).shape
        torch.Size([3, 1])
    """
    if groups is not None and len(groups) and not bool((groups == groups[0]).all()):
        return _by_group(model, inputs, finish, groups, mode)
    with mode(model), torch.inference_mode():
        parts = []
        elements = sum(part[0].numel() for part in inputs) if len(inputs[0]) else 1
        size = max(1, min(ROWS_AT_ONCE, ELEMENTS_AT_ONCE // max(1, elements)))
        for start in range(0, max(1, len(inputs[0])), size):
            rows = tuple(part[start : start + size] for part in inputs)
            parts.append(model(*(rows if finish is None else finish(rows))))
    return joined(parts)


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Outputs of several batches as those of all their rows.

    Those of a position each, [row, position, ...], are padded at the end with zeros to the most
    positions of any.

    Example:
        >>> joined([torch.ones(1, 2, 1), torch.ones(1, 3, 1)])[..., 0]
        tensor([[1., 1., 0.],
                [1., 1., 1.]])
    """
    if len(parts) == 1:
        return parts[0]
    if parts[0].ndim > 2 and len({part.shape[1] for part in parts}) > 1:
        most = max(part.shape[1] for part in parts)
        behind = [0, 0] * (parts[0].ndim - 2)
        parts = [functional.pad(part, (*behind, 0, most - part.shape[1])) for part in parts]
    return torch.cat(list(parts))


def _by_group(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    finish: Finish | None,
    groups: Tensor,
    mode: Mode,
) -> Tensor:
    """The outputs of each group's rows, put back in the order of all."""
    members = [(groups == group).nonzero()[:, 0] for group in torch.unique(groups)]
    outputs = joined(
        [outputs_of(model, tuple(p[rows] for p in inputs), finish, mode=mode) for rows in members]
    )
    return outputs[torch.cat(members).argsort()]
