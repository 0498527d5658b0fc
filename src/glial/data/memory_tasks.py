"""Made tasks that ask how far back a network of sequences remembers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


class Adding(NamedTuple):
    """The adding problem: the numbers of each row, and the sum of the two that are marked.

    Who always says 1 has a mean squared error of 1/6.
    """

    steps: Float[Tensor, "row time 2"]
    sums: Float[Tensor, "row 1"]


def adding_problem(rows: int, length: int, generator: torch.Generator) -> Adding:
    """Numbers from 0 to 1, beside each a mark: 1 at one place of each half, else 0.

    Args:
        rows: Rows.
        length: Steps, at least 2.
        generator: Draws.

    Source:
        Hochreiter and Schmidhuber (1997), doi:10.1162/neco.1997.9.8.1735, section 5.4; with numbers
        from 0 to 1 as in Le, Jaitly, Hinton (2015), arXiv 1504.00941, section 4.1.

    Example:
        >>> steps, sums = adding_problem(3, 10, torch.Generator().manual_seed(0))
        >>> torch.equal((steps[..., 0] * steps[..., 1]).sum(1, keepdim=True), sums)
        True
    """
    numbers = torch.rand(rows, length, generator=generator)
    half = length // 2
    first = torch.randint(0, half, (rows,), generator=generator)
    second = torch.randint(half, length, (rows,), generator=generator)
    marks = functional.one_hot(first, length) + functional.one_hot(second, length)
    steps = torch.stack([numbers, marks.to(numbers)], dim=2)
    return Adding(steps, steps.prod(dim=2).sum(dim=1, keepdim=True))


class Copying(NamedTuple):
    """The copy task: symbols one-hot, and those that are to be said at the last steps."""

    steps: Float[Tensor, "row time symbol"]
    symbols: Int[Tensor, "row place"]


def copy_task(
    rows: int, gap: int, generator: torch.Generator, *, count: int = 3, symbols: int = 4
) -> Copying:
    """Symbols, a gap in which nothing comes, and a mark from which on they are to be said again.

    Args:
        rows: Rows.
        gap: Steps between the last symbol and the mark.
        generator: Draws.
        count: Symbols of a row, which are as many steps at its end.
        symbols: How many there are; who guesses is right once in so many.

    Returns:
        Steps, [row, 2 count + gap, symbols + 2], whose last two numbers say that nothing comes and
        that it is time to speak; and the symbols, in their order.

    Source:
        Hochreiter and Schmidhuber (1997); as in Arjovsky, Shah, Bengio (2016), arXiv 1511.06464,
        section 5.1, with the mark at every step of the answer.

    Example:
        >>> steps, symbols = copy_task(2, 5, torch.Generator().manual_seed(0))
        >>> steps.shape, torch.equal(steps[:, :3].argmax(dim=2), symbols)
        (torch.Size([2, 11, 6]), True)
    """
    drawn = torch.randint(0, symbols, (rows, count), generator=generator)
    nothing = torch.full((rows, gap), symbols)
    mark = torch.full((rows, count), symbols + 1)
    whole = torch.cat([drawn, nothing, mark], dim=1)
    return Copying(functional.one_hot(whole, symbols + 2).float(), drawn)
