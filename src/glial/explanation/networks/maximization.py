"""Activation maximisation: an input made up so that a unit or an output answers most strongly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glial.core.errors import InputError, unknown_name
from glial.explanation.networks.reading import untouched


@dataclass(frozen=True)
class Maximized:
    """An input that was made up.

    Attributes:
        inputs: The input, a row.
        before: What the unit gave for the input at the start.
        after: What it gives now.

    Example:
        >>> Maximized(torch.zeros(1, 2), 0.0, 1.0).after
        1.0
    """

    inputs: Tensor
    before: float
    after: float


def maximize_activation(
    network: nn.Module,
    shape: Sequence[int],
    unit: int,
    *,
    layer: str | None = None,
    steps: int = 200,
    lr: float = 0.05,
    l2: float = 1e-3,
    roughness: float = 1e-2,
    jitter: int = 0,
    low: Tensor | float | None = None,
    high: Tensor | float | None = None,
    seed: int = 0,
    tell: Callable[[float], None] | None = None,
) -> Maximized:
    """Climb the gradient of a unit from noise.

    Args:
        network: The network; it is left as it was.
        shape: Of one input, such as [channel, height, width].
        unit: Which output, or channel of a layer's maps (their mean is climbed).
        layer: A layer, by its path in ``named_modules()``; None is the network's output.
        steps: Steps of Adam.
        lr: Their size.
        l2: Weight of the mean square of the input, which is kept small.
        roughness: Weight of the mean square of differences between neighbouring pixels.
        jitter: Most pixels by which an image is rolled at each step, against fine patterns.
        low: The least that the input's numbers may be.
        high: The most.
        seed: Of the noise at the start, and of the jitter.
        tell: Is told the share of steps that are done.

    Raises:
        InputError: If there is no such layer or unit.

    Source:
        Erhan, Bengio, Courville, Vincent (2009), "Visualizing higher-layer features of a deep
        network", technical report 1341; Mahendran and Vedaldi (2016), doi:10.1007/s11263-016-0911-8
        (smoothness and jitter).

    Example:
        >>> found = maximize_activation(nn.Linear(2, 3), [2], unit=1, steps=20)
        >>> found.after > found.before
        True
    """
    generator = torch.Generator().manual_seed(seed)
    like = next(network.parameters())
    start = 0.01 * torch.randn(1, *shape, generator=generator).to(like)
    inputs = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([inputs], lr=lr)
    with untouched(network), torch.enable_grad():
        before = float(_answer(network, inputs, unit, layer).detach())
        for step in range(steps):
            moved = inputs
            if jitter:
                by = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
                moved = inputs.roll(by, dims=(-2, -1))
            cost = l2 * inputs.square().mean() + roughness * _roughness(inputs)
            optimizer.zero_grad()
            (cost - _answer(network, moved, unit, layer)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if low is not None or high is not None:
                with torch.no_grad():
                    inputs.copy_(inputs.clamp(low, high))  # type: ignore[arg-type]
            if tell is not None:
                tell((step + 1) / steps)
        after = float(_answer(network, inputs, unit, layer).detach())
    return Maximized(inputs.detach(), before, after)


def _roughness(images: Tensor) -> Tensor:
    """The mean square of differences between neighbours along the last axes."""
    axes = range(2, images.ndim)
    parts = [images.diff(dim=axis).square().mean() for axis in axes if images.shape[axis] > 1]
    return torch.stack(parts).sum() if parts else images.new_zeros(())


def _answer(network: nn.Module, inputs: Tensor, unit: int, layer: str | None) -> Tensor:
    modules = dict(network.named_modules())
    if layer is not None and layer not in modules:
        raise unknown_name("layer", layer, [name for name in modules if name])
    given: list[Tensor] = []
    handle = None
    if layer is not None:

        def leave(module: nn.Module, _: Any, output: Tensor) -> None:
            given.append(output)

        handle = modules[layer].register_forward_hook(leave)
    try:
        outputs = network(inputs)
    finally:
        if handle is not None:
            handle.remove()
    told = given[-1] if given else outputs
    if told.ndim > 2 and layer is None:  # members
        told = told.flatten(1, -2).mean(dim=1)
    if not 0 <= unit < told.shape[1]:
        raise InputError(
            "there is no such unit to maximise",
            expected=f"0 to {told.shape[1] - 1}",
            got=str(unit),
        )
    return told[:, unit].mean()
