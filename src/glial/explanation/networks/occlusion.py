"""Occlusion: what the output loses when a part of the input is covered."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.explanation.networks.attribution import Attribution
from glial.explanation.networks.gradients import ROWS_AT_ONCE, Inputs, as_inputs, settled
from glial.explanation.networks.reading import Choice, Opened, Reading, chosen, untouched


def occlusion(
    network: nn.Module,
    inputs: Inputs,
    choice: Choice = None,
    *,
    window: Sequence[int] | int | None = None,
    stride: Sequence[int] | int | None = None,
    fill: float | Tensor = 0,
    place: int = 0,
) -> Attribution:
    """How far the output falls when a window over an input is filled with something else.

    Args:
        network: The network; it is left as it was.
        inputs: What it is called with, a row per row.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.
        window: Lengths of the window along the input's last axes; one number is for all axes of
            places: of images height and width, of series the steps, of tables and texts one cell.
            None is an eighth of each length, and 1 for tables and texts. Axes before these are
            covered whole.
        stride: From one window to the next; None is half a window.
        fill: What is put there: a number, or a tensor that can be broadcast to the input.
        place: Which input is covered.

    Returns:
        For each cell the mean fall over the windows that cover it, in units of the output.

    Source:
        Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks", arXiv
        1311.2901, section 4.2.

    Example:
        >>> network = nn.Linear(2, 1, bias=False)
        >>> inputs = torch.tensor([[1.0, 2.0]])
        >>> found = occlusion(network, inputs)
        >>> torch.allclose(found.values[0], inputs * network.weight)
        True
    """
    opened = Opened(network, as_inputs(inputs))
    covered = opened.inputs[place]
    lengths = _lengths(covered, window)
    steps = [max(1, n // 2) for n in lengths] if stride is None else _each(stride, len(lengths))
    with untouched(network), torch.no_grad():
        output, choice = settled(opened, opened.entries(), choice)
        kind = output.dtype
        sums = torch.zeros(covered.shape, dtype=kind, device=covered.device)
        counts = torch.zeros_like(sums)
        spots = list(_spots(covered.shape[-len(lengths) :], lengths, steps))
        together = max(1, ROWS_AT_ONCE // max(1, len(covered)))
        for begin in range(0, len(spots), together):
            some = spots[begin : begin + together]
            told = _covered(opened, place, some, fill, choice)
            for spot, values in zip(some, told, strict=True):
                where: Any = (..., *spot)
                fall = (output - values).view(-1, *[1] * (covered.ndim - 1))
                sums[where] += fall
                counts[where] += 1
    found: list[Tensor | None] = [None] * len(opened.inputs)
    found[place] = sums / counts.clamp_min(1)
    return Attribution(tuple(found), output)


def _covered(
    opened: Opened,
    place: int,
    spots: Sequence[tuple[slice, ...]],
    fill: float | Tensor,
    choice: Choice,
) -> Tensor:
    """The output of all rows with each of some spots covered, [spot, row]."""
    rows, count = len(opened.inputs[place]), len(spots)
    inputs = [x.repeat(count, *[1] * (x.ndim - 1)) for x in opened.inputs]
    whole = inputs[place].view(count, rows, *opened.inputs[place].shape[1:])
    filling = torch.as_tensor(fill, dtype=whole.dtype, device=whole.device)
    filling = filling.expand(opened.inputs[place].shape)
    for number, spot in enumerate(spots):
        where: Any = (..., *spot)
        whole[number][where] = filling[where]
    changed = Opened(opened.network, tuple(inputs), opened.codes)
    picked = choice.repeat(count) if isinstance(choice, Tensor) else choice
    outputs = changed.run(Reading(), [inputs[i] for i in changed.numbers])
    return chosen(outputs, picked).view(count, rows)


def _lengths(covered: Tensor, window: Sequence[int] | int | None) -> list[int]:
    """Lengths of the window along the last axes."""
    if window is not None and not isinstance(window, int):
        lengths = [int(length) for length in window]
    else:
        axes = 2 if covered.ndim >= 4 else 1
        sizes = covered.shape[-axes:]
        by_eighths = [max(1, size // 8) for size in sizes] if covered.ndim >= 4 else [1]
        lengths = by_eighths if window is None else [window] * axes
    sizes = covered.shape[len(covered.shape) - len(lengths) :]
    if len(lengths) >= covered.ndim or any(
        not 1 <= n <= size for n, size in zip(lengths, sizes, strict=False)
    ):
        raise InputError(
            "the window does not fit the input",
            expected=f"lengths from 1 to those of {tuple(covered.shape[1:])}",
            got=str(lengths),
        )
    return lengths


def _each(stride: Sequence[int] | int, count: int) -> list[int]:
    steps = [stride] * count if isinstance(stride, int) else list(stride)
    if len(steps) != count or min(steps) < 1:
        raise InputError(
            "the stride does not fit the window",
            expected=f"{count} numbers from 1 on",
            got=str(steps),
        )
    return steps


def _spots(
    sizes: Sequence[int], lengths: Sequence[int], steps: Sequence[int]
) -> Iterator[tuple[slice, ...]]:
    """Where windows stand, the last ones at the far ends."""
    axes = []
    for size, length, step in zip(sizes, lengths, steps, strict=True):
        starts = [*range(0, size - length, step), size - length]
        axes.append([slice(start, start + length) for start in dict.fromkeys(starts)])
    return itertools.product(*axes)
