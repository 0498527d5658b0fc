"""Layers of a deep Boltzmann machine: as halves of a restricted one, and taught one by one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glial.functional.rbm import RBMWeights, drawn
from glial.models.visible_units import Visible

GREEDY_BATCH, GREEDY_RATE, GREEDY_MOMENTUM = 100, 0.05, 0.9


def joined_halves(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> RBMWeights:
    """The restricted machine whose visible units are even layers, and whose hidden ones are odd.

    Args:
        weights: Between neighbouring layers, [upper, lower], the lowest first.
        biases: Of each layer, of the visible one first.

    Example:
        >>> weights = [torch.ones(2, 3), torch.ones(4, 2), torch.ones(5, 4)]
        >>> machine = joined_halves(weights, [torch.zeros(size) for size in (3, 2, 4, 5)])
        >>> machine.weight.shape, int(machine.weight.sum())  # 3 and 4 seen, 2 and 5 hidden
        (torch.Size([7, 7]), 34)
    """

    def between(even: int, odd: int) -> Tensor:
        if even == odd - 1:
            return weights[even]
        if even == odd + 1:
            return weights[odd].t()
        return biases[0].new_zeros(len(biases[odd]), len(biases[even]))

    evens, odds = range(0, len(biases), 2), range(1, len(biases), 2)
    rows = [torch.cat([between(even, odd) for even in evens], dim=1) for odd in odds]
    halves = [torch.cat([*biases[first::2]]) for first in (0, 1)]
    return RBMWeights(torch.cat(rows), *halves)


def parts_of_halves(of_machine: RBMWeights, sizes: Sequence[int]) -> dict[str, Tensor]:
    """What stands for each layer in such a machine, or in its gradient.

    Args:
        of_machine: As `joined_halves` gives it.
        sizes: Units of each layer, the visible one first.

    Returns:
        ``weights.<i>`` and ``biases.<i>``, as they were joined.

    Example:
        >>> machine = RBMWeights(torch.ones(2, 7), torch.zeros(7), torch.ones(2))
        >>> {name: tuple(part.shape) for name, part in parts_of_halves(machine, (3, 2, 4)).items()}
        {'weights.0': (2, 3), 'weights.1': (4, 2), 'biases.0': (3,), 'biases.2': (4,),
         'biases.1': (2,)}
    """
    evens = torch.split(of_machine.weight, list(sizes[::2]), dim=1)
    blocks = [torch.split(part, list(sizes[1::2])) for part in evens]
    found = {}
    for lower in range(len(sizes) - 1):
        even, odd = (lower, lower + 1) if lower % 2 == 0 else (lower + 1, lower)
        block = blocks[even // 2][odd // 2]
        found[f"weights.{lower}"] = block if lower % 2 == 0 else block.t()
    for first, half in enumerate((of_machine.visible_bias, of_machine.hidden_bias)):
        for number, part in enumerate(torch.split(half, list(sizes[first::2]))):
            found[f"biases.{first + 2 * number}"] = part
    return found


@torch.no_grad()
def teach_layer(
    machine: RBMWeights,
    rows: Visible,
    factors: tuple[float, float],
    epochs: int,
    generator: torch.Generator,
) -> None:
    """Teach two neighbouring layers rows: contrastive divergence of one step, with momentum.

    Args:
        machine: Of the two layers; changed in place.
        rows: Chances of the lower one.
        factors: What counts how often: what comes from below, and what comes from above.
        epochs: Passes.
        generator: Draws.

    Source:
        Salakhutdinov, Hinton (2009), "Deep Boltzmann machines", PMLR 5:448-455, section 3.2.

    Example:
        >>> machine = RBMWeights(torch.zeros(2, 3), torch.zeros(3), torch.zeros(2))
        >>> teach_layer(machine, torch.ones(50, 3), (2.0, 1.0), 20, torch.Generator())
        >>> bool((machine.visible_bias > 0.5).all())
        True
    """
    up, down = factors
    speeds = [torch.zeros_like(part) for part in machine[:3]]

    def hidden_of(lower: Tensor) -> Tensor:
        return torch.sigmoid(up * lower @ machine.weight.t() + machine.hidden_bias)

    for _ in range(epochs):
        order = torch.randperm(len(rows), generator=generator)
        for some in torch.split(order, GREEDY_BATCH):
            lower = rows[some]
            upper = hidden_of(lower)
            states = (drawn(upper, generator) < upper).to(upper)
            again = torch.sigmoid(down * states @ machine.weight + machine.visible_bias)
            other = hidden_of(again)
            changes = (
                upper.t() @ lower - other.t() @ again,
                (lower - again).sum(dim=0),
                (upper - other).sum(dim=0),
            )
            for part, speed, change in zip(machine[:3], speeds, changes, strict=True):
                assert part is not None  # noqa: S101 - narrows the type
                speed.mul_(GREEDY_MOMENTUM).add_(change / len(some), alpha=GREEDY_RATE)
                part.add_(speed)
