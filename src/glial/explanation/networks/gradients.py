"""Explanations by gradients: what a small, or the whole, change of each input does to an output."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glial.explanation.networks.attribution import Attribution, gathered
from glial.explanation.networks.reading import Choice, Opened, Reading, chosen, untouched

Inputs = Tensor | Sequence[Tensor]
Floats = NDArray[np.float64]
ROWS_AT_ONCE = 64  # rows that go through the network together: more fit no processor's cache


def as_inputs(inputs: Inputs) -> tuple[Tensor, ...]:
    """The inputs of a network as a tuple.

    Example:
        >>> len(as_inputs(torch.zeros(1, 2)))
        1
    """
    return (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)


def saliency(network: nn.Module, inputs: Inputs, choice: Choice = None) -> Attribution:
    """The size of the gradient: how strongly the output answers to a small change of each input.

    Args:
        network: The network; it is left as it was.
        inputs: What it is called with, a row per row.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.

    Returns:
        Absolute gradients; of codes the length of their vector's gradient.

    Source:
        Simonyan, Vedaldi, Zisserman (2014), "Deep inside convolutional networks", arXiv 1312.6034,
        section 3.

    Example:
        >>> network = nn.Linear(2, 1, bias=False)
        >>> with torch.no_grad():
        ...     _ = network.weight.copy_(torch.tensor([[3.0, -4.0]]))
        >>> saliency(network, torch.zeros(1, 2)).values[0]
        tensor([[3., 4.]])
    """
    found = _by_gradient(network, inputs, choice, lambda entry, gradient: gradient)
    opened, output, gradients = found
    count = len(opened.numbers)
    sizes = [g.abs() for g in gradients[:count]]
    return Attribution(_with_lengths(opened, [*sizes, *gradients[count:]]), output)


def input_x_gradient(network: nn.Module, inputs: Inputs, choice: Choice = None) -> Attribution:
    """Each input times its gradient: its part in the output, were the network a straight line.

    Args:
        network: The network; it is left as it was.
        inputs: What it is called with, a row per row.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.

    Source:
        Shrikumar, Greenside, Kundaje (2017), arXiv 1704.02685, section 2.

    Example:
        >>> network = nn.Linear(2, 1, bias=False)
        >>> inputs = torch.tensor([[1.0, 2.0]])
        >>> found = input_x_gradient(network, inputs)
        >>> torch.allclose(found.total, network(inputs)[:, 0])
        True
    """
    opened, output, parts = _by_gradient(network, inputs, choice, torch.mul)
    return Attribution(gathered(opened, parts), output)


def smooth_grad(
    network: nn.Module,
    inputs: Inputs,
    choice: Choice = None,
    *,
    draws: int = 32,
    noise: float = 0.15,
    seed: int = 0,
    squared: bool = False,
) -> Attribution:
    """The mean gradient around the inputs: noise in the gradient averages out.

    Args:
        network: The network; it is left as it was.
        inputs: What it is called with, a row per row.
        choice: Which output; where it is None, the largest output of the inputs as they are.
        draws: Noisy copies.
        noise: Standard deviation of the noise, as a share of each row's range of numbers.
        seed: Of the noise.
        squared: Whether gradients are squared before they are averaged.

    Returns:
        Mean gradients; of codes the length of their vector's.

    Source:
        Smilkov et al. (2017), "SmoothGrad", arXiv 1706.03825, equation 1; squared: Hooker et al.
        (2019), arXiv 1806.10758.

    Example:
        >>> smooth_grad(nn.Linear(2, 1), torch.ones(1, 2), draws=4).values[0].shape
        torch.Size([1, 2])
    """
    opened = Opened(network, as_inputs(inputs))
    with untouched(network):
        entries = opened.entries()
        output, choice = settled(opened, entries, choice)
        spreads = [_range_of_rows(entry) * noise for entry in entries]
        generator = torch.Generator().manual_seed(seed)
        sums = [torch.zeros_like(entry) for entry in entries]
        for _ in range(draws):
            noisy = [
                entry + spread * torch.randn(entry.shape, generator=generator).to(entry)
                for entry, spread in zip(entries, spreads, strict=True)
            ]
            for total, part in zip(sums, gradients_of(opened, noisy, choice)[1], strict=True):
                total += part.square() if squared else part
        values = _with_lengths(opened, [total / draws for total in sums])
    return Attribution(values, output)


def integrated_gradients(
    network: nn.Module,
    inputs: Inputs,
    choice: Choice = None,
    *,
    reference: Inputs | None = None,
    steps: int = 50,
) -> Attribution:
    """The gradient along the straight way from a reference, times the way.

    The parts add up to the output's difference from the reference's, but for the error of the
    quadrature, which `Attribution.gap` tells.

    Args:
        network: The network; it is left as it was.
        inputs: What it is called with, a row per row.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.
        reference: Inputs that stand for nothing, of the same shapes or of one row; None is 0 for
            numbers and vectors of 0 for codes. A reference for codes is codes.
        steps: Points on the way, of Gauss and Legendre.

    Source:
        Sundararajan, Taly, Yan (2017), "Axiomatic attribution for deep networks", arXiv
        1703.01365, equation 1.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
        >>> found = integrated_gradients(network, torch.ones(1, 2))
        >>> bool(found.gap.abs() < 1e-4)
        True
    """
    opened = Opened(network, as_inputs(inputs))
    with untouched(network):
        entries = opened.entries()
        start = reference_entries(opened, entries, reference)
        output, choice = settled(opened, entries, choice)
        with torch.no_grad():
            told = chosen(opened.run(Reading(), start), choice).detach()
        ways = [entry - before for entry, before in zip(entries, start, strict=True)]
        points, weights = np.polynomial.legendre.leggauss(steps)
        sums = _along(opened, start, ways, (points + 1) / 2, weights / 2, choice)
        values = differences(opened, entries, start, sums, reference)
    return Attribution(values, output, told)


def differences(
    opened: Opened,
    entries: Sequence[Tensor],
    start: Sequence[Tensor],
    multipliers: Sequence[Tensor],
    reference: Inputs | None,
) -> tuple[Tensor | None, ...]:
    """What each input's difference from a reference brought about.

    Of codes it is what the input's own brought, less what the reference's would have brought: both
    may be looked up at different places.

    Args:
        opened: The network with its inputs.
        entries: Their entries.
        start: Those of the reference.
        multipliers: What a step of each entry does to the output.
        reference: The reference; None is zeros.
    """
    own = [entry * by for entry, by in zip(entries, multipliers, strict=True)]
    others = [before * by for before, by in zip(start, multipliers, strict=True)]
    values = gathered(opened, own)
    if reference is None:
        return values
    beside = gathered(_at_reference(opened, reference), others)
    return tuple(
        None if a is None or b is None else a - b for a, b in zip(values, beside, strict=True)
    )


def _along(
    opened: Opened,
    start: Sequence[Tensor],
    ways: Sequence[Tensor],
    points: Floats,
    weights: Floats,
    choice: Choice,
) -> list[Tensor]:
    """Weighted sums of the gradients at points of the ways, many points in one pass."""
    rows = len(opened.inputs[0])
    sums = [torch.zeros_like(way) for way in ways]
    axes = _row_axes(opened, start)
    together = 1 if axes is None else max(1, ROWS_AT_ONCE // max(1, rows))
    for begin in range(0, len(points), together):
        some, shares = points[begin : begin + together], weights[begin : begin + together]
        if axes is None:
            entries = [s + w * float(some[0]) for s, w in zip(start, ways, strict=True)]
            gradients = gradients_of(opened, entries, choice)[1]
            for total, part in zip(sums, gradients, strict=True):
                total += part * float(shares[0])
            continue
        count = len(some)
        repeated = tuple(_repeated(x, count) for x in opened.inputs)
        wide = Opened(opened.network, repeated, opened.codes)
        at = [
            torch.addcmul(s.unsqueeze(a), w.unsqueeze(a), _along_axis(some, w, a)).flatten(a, a + 1)
            for s, w, a in zip(start, ways, axes, strict=True)
        ]
        picked = choice.repeat(count) if isinstance(choice, Tensor) else choice
        found = gradients_of(wide, at, picked)[1]
        for total, part, a in zip(sums, found, axes, strict=True):
            cut = part.reshape(*total.shape[:a], count, *total.shape[a:])
            total += torch.tensordot(torch.as_tensor(shares).to(total), cut, dims=([0], [a]))
    return sums


def _row_axes(opened: Opened, entries: Sequence[Tensor]) -> list[int] | None:
    """The axis of each entry along which rows stand; None where it cannot be told.

    Vectors of codes may have members before their rows, or all codes of a row behind one another.
    """
    axes = [0] * len(opened.numbers)
    if not opened.codes:
        return axes
    twice = tuple(_repeated(x, 2) for x in opened.inputs)
    doubled = Opened(opened.network, twice, opened.codes).entries()
    for one, two in zip(entries[len(axes) :], doubled[len(axes) :], strict=True):
        longer = [i for i in range(one.ndim) if two.shape[i] != one.shape[i]]
        if len(longer) != 1 or two.shape[longer[0]] != 2 * one.shape[longer[0]]:
            return None
        axes.append(longer[0])
    return axes


def _repeated(value: Tensor, count: int) -> Tensor:
    return value.repeat(count, *[1] * (value.ndim - 1))


def _along_axis(numbers: Floats, like: Tensor, axis: int) -> Tensor:
    """Numbers along a new axis."""
    shape = [1] * axis + [-1] + [1] * (like.ndim - axis)
    return torch.as_tensor(numbers).to(like).view(shape)


def gradients_of(
    opened: Opened, entries: Sequence[Tensor], choice: Choice, reading: Reading | None = None
) -> tuple[Tensor, list[Tensor]]:
    """The chosen outputs, [row], and their gradients for each entry.

    Args:
        opened: The network, within `untouched`.
        entries: Where the gradients are taken.
        choice: Which output.
        reading: Who watches, and may change how gradients flow.
    """
    with torch.enable_grad():
        leaves = [entry.detach().requires_grad_() for entry in entries]
        output = chosen(opened.run(reading or Reading(), leaves), choice)
        if not output.requires_grad:  # nothing that is explained by goes into it
            return output.detach(), [torch.zeros_like(leaf) for leaf in leaves]
        found = torch.autograd.grad(output.sum(), leaves, materialize_grads=True)
    return output.detach(), list(found)


def reference_entries(
    opened: Opened, entries: Sequence[Tensor], reference: Inputs | None
) -> list[Tensor]:
    """The entries of a reference; zeros where none is given.

    Args:
        opened: The network, within `untouched`.
        entries: Those of the inputs.
        reference: Inputs that stand for nothing, of the inputs' shapes or of one row.
    """
    if reference is None:
        return [torch.zeros_like(entry) for entry in entries]
    return _at_reference(opened, reference).entries()


def _at_reference(opened: Opened, reference: Inputs) -> Opened:
    """The network with a reference in the inputs' place, a row for each of theirs."""
    held = [
        other.to(own).expand_as(own) if other.is_floating_point() else other.expand_as(own)
        for other, own in zip(as_inputs(reference), opened.inputs, strict=True)
    ]
    return Opened(opened.network, tuple(held), opened.codes)


def settled(opened: Opened, entries: Sequence[Tensor], choice: Choice) -> tuple[Tensor, Choice]:
    """The chosen output of the inputs as they are, and the choice, the same for all that follows.

    Args:
        opened: The network, within `untouched`.
        entries: Those of the inputs.
        choice: Which output; None becomes the largest output of each row.
    """
    with torch.no_grad():
        outputs = opened.run(Reading(), entries)
    if choice is None and outputs.ndim > 1:
        flat = outputs if outputs.ndim == 2 else outputs.flatten(1, -2).mean(dim=1)
        choice = flat.argmax(dim=1)
    return chosen(outputs, choice).detach(), choice


def _with_lengths(opened: Opened, gradients: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """Gradients for the inputs; of codes the length of their vector's: the root of its squares."""
    count = len(opened.numbers)
    found = gathered(opened, [*gradients[:count], *(g.square() for g in gradients[count:])])
    codes = opened.codes or ()
    return tuple(
        part.sqrt() if place in codes and part is not None else part
        for place, part in enumerate(found)
    )


def _by_gradient(
    network: nn.Module,
    inputs: Inputs,
    choice: Choice,
    make: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Opened, Tensor, list[Tensor]]:
    """The network, the chosen outputs, and for each entry what is made of it and its gradient."""
    opened = Opened(network, as_inputs(inputs))
    with untouched(network):
        entries = opened.entries()
        output, gradients = gradients_of(opened, entries, choice)
        parts = [make(entry, part) for entry, part in zip(entries, gradients, strict=True)]
    return opened, output, parts


def _range_of_rows(entry: Tensor) -> Tensor:
    """The range of each row's numbers, to be broadcast."""
    flat = entry.flatten(1)
    found = flat.amax(dim=1) - flat.amin(dim=1)
    return found.view(-1, *[1] * (entry.ndim - 1))
