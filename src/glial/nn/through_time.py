"""How much of a loss's gradient arrives at each step of a sequence, and a picture of it."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.nn.recurrence import Recurrent

COLOURS = ("#c2410c", "#1d4ed8", "#15803d", "#7e22ce", "#a16207", "#0e7490")
LOWEST = -12  # power of ten at the bottom of a picture, at most


def gradients_over_time(layer: nn.Module, loss: Callable[[], Tensor]) -> Float[Tensor, " time"]:
    """The norm of a loss's gradient with respect to what a layer holds at each step.

    Of a recurrent layer that is its state after the step (of an LSTM with its cell), whose gradient
    comes by way of all later states; the layer is run step by step meanwhile. Of several layers or
    directions the first is taken. Of any other layer it is its output at the step.

    Args:
        layer: A `Recurrent` layer, or one that gives a vector a step, [row, time, number].
        loss: Calls the network, in which the layer is called once, and returns the loss.

    Returns:
        One number a step, over all rows and units.

    Raises:
        InputError: If the layer is not called, or the loss does not hang on it.

    Source:
        Hochreiter (1991), "Untersuchungen zu dynamischen neuronalen Netzen"; Bengio, Simard,
        Frasconi (1994), doi:10.1109/72.279181.

    Example:
        >>> from glial.nn import RNN
        >>> network = RNN(1, 1)
        >>> with torch.no_grad():
        ...     _ = [p.fill_(v) for p, v in zip(network.parameters(), (0, 0.5, 0, 0), strict=True)]
        >>> gradients_over_time(network, lambda: network(torch.zeros(1, 4, 1))[0][:, -1].sum())
        tensor([0.1250, 0.2500, 0.5000, 1.0000])
    """
    held: list[list[Tensor]] = []
    if isinstance(layer, Recurrent):
        layer.taken = []
        try:
            value = loss()
            names = ("hidden", "cell")
            steps = layer.taken[0] if layer.taken else []
            held = [[step[name] for name in names if name in step] for step in steps]
        finally:
            layer.taken = None
    else:
        outputs: list[Tensor] = []
        handle = layer.register_forward_hook(lambda *call: outputs.append(call[-1]))
        try:
            value = loss()
        finally:
            handle.remove()
        held = [outputs] if outputs else []
    if not held:
        raise InputError(
            "the layer is not called by what was given",
            expected="a function that calls the network and returns its loss",
            got="no call of the layer",
        )
    return _norms(held, value, whole=not isinstance(layer, Recurrent))


def _norms(held: Sequence[Sequence[Tensor]], value: Tensor, *, whole: bool) -> Tensor:
    """Norms of the gradients of a value, step by step."""
    flat = [part for step in held for part in step]
    found: Sequence[Any] = torch.autograd.grad(value, flat, allow_unused=True)
    squares = [0.0 * p if g is None else g.detach() ** 2 for p, g in zip(flat, found, strict=True)]
    if whole:
        return squares[0].detach().sum(dim=(0, 2)).sqrt()
    parts = len(held[0])
    sums = torch.stack([part.detach().sum() for part in squares])
    return sums.reshape(len(held), parts).sum(dim=1).sqrt()


def draw_gradients(norms: Mapping[str, Sequence[float] | Tensor]) -> str:
    """Curves of gradient norms over time on a scale of powers of ten, as an SVG.

    Args:
        norms: What :func:`gradients_over_time` found, by a name; each is drawn as a share of its
            largest.

    Returns:
        A picture that stands alone, 480 x 300.

    Example:
        >>> draw_gradients({"rnn": [1e-6, 1e-3, 1.0], "lstm": [0.5, 0.7, 1.0]}).startswith("<svg")
        True
    """
    shares: dict[str, list[float]] = {}
    for name, values in norms.items():
        numbers = [float(value) for value in values]
        top = max((n for n in numbers if math.isfinite(n)), default=0.0) or 1.0
        shares[name] = [math.log10(max(n / top, 10.0**LOWEST)) for n in numbers]
    low = min(-1.0, *(math.floor(min(curve)) for curve in shares.values()))
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 300" font-family="sans-serif" '
        'font-size="12"><path d="M60 20V250H460" stroke="#999" fill="none"/>'
    ]
    for power in range(int(low), 1, max(1, round(-low / 6))):
        down = 20 + power / low * 230
        lines.append(f'<text x="52" y="{down + 4:.0f}" text-anchor="end">1e{power}</text>')
    for number, (name, curve) in enumerate(shares.items()):
        colour = COLOURS[number % len(COLOURS)]
        across = [60 + 400 * i / max(1, len(curve) - 1) for i in range(len(curve))]
        points = " ".join(
            f"{x:.1f},{20 + y / low * 230:.1f}" for x, y in zip(across, curve, strict=True)
        )
        lines.append(f'<polyline points="{points}" stroke="{colour}" fill="none"/>')
        lines.append(
            f'<text x="{70 + 90 * number}" y="290" fill="{colour}">{html.escape(name)}</text>'
        )
    lines.append('<text x="260" y="268" text-anchor="middle">step</text></svg>\n')
    return "".join(lines)
