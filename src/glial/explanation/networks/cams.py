"""Class activation maps: where in an image, a sound or a series the maps of a layer speak for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from glial.core.errors import InputError, unknown_name
from glial.explanation.networks.attribution import Attribution
from glial.explanation.networks.gradients import Inputs, as_inputs
from glial.explanation.networks.reading import (
    Choice,
    Opened,
    Reading,
    chosen,
    chosen_columns,
    untouched,
)

_STRETCHES = {3: "linear", 4: "bilinear", 5: "trilinear"}


@dataclass(frozen=True)
class Maps:
    """What a layer gave.

    Attributes:
        layer: Its path, as in ``named_modules()``.
        values: [row, channel, place...].
    """

    layer: str
    values: Tensor


def grad_cam(
    network: nn.Module,
    inputs: Inputs,
    choice: Choice = None,
    *,
    layer: str | None = None,
    plus_plus: bool = False,
) -> Attribution:
    """Maps of a layer, each weighed by the mean of its gradient, where their sum is positive.

    Args:
        network: The network; it is left as it was.
        inputs: What it is called with; the first of more than two axes is explained by.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.
        layer: A layer that gives maps, by its path in ``named_modules()``; None is the last one.
        plus_plus: Whether places are weighed too, so that several objects of a class are found.

    Returns:
        Numbers not below 0, stretched to the size of the input; the same for all of its channels.

    Source:
        Selvaraju et al. (2017), "Grad-CAM", arXiv 1610.02391, equations 1 and 2; Chattopadhyay et
        al. (2018), "Grad-CAM++", arXiv 1710.11063, equations 10 and 19.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
        >>> grad_cam(network, torch.rand(1, 1, 4, 4)).values[0].shape
        torch.Size([1, 1, 4, 4])
    """
    held = as_inputs(inputs)
    opened = Opened(network, held)
    with untouched(network), torch.enable_grad():
        entries = [entry.detach().requires_grad_() for entry in opened.entries()]
        with _layers(network, layer) as given:
            output = chosen(opened.run(Reading(), entries), choice)
        maps = given[-1] if given else _no_maps(network)
        slopes = torch.autograd.grad(output.sum(), maps.values, materialize_grads=True)[0]
    values, places = maps.values.detach(), tuple(range(2, maps.values.ndim))
    if plus_plus:
        squares, cubes = slopes**2, slopes**3
        below = 2 * squares + values.sum(places, keepdim=True) * cubes
        shares = squares / torch.where(below == 0, torch.ones_like(below), below)
        weights = (shares * slopes.relu()).sum(places, keepdim=True)
    else:
        weights = slopes.mean(places, keepdim=True)
    found = (weights * values).sum(dim=1, keepdim=True).relu()
    return Attribution(_stretched(found, opened), output.detach())


def class_activation_map(
    network: nn.Module, inputs: Inputs, choice: int | Tensor | None = None
) -> Attribution:
    """The head's weighted sum of the last maps, place by place, before they are averaged.

    Its mean over the places, with the head's bias, is the output: this is checked, for it holds
    only where the head is one linear layer on averaged maps.

    Args:
        network: The network; it is left as it was.
        inputs: What it is called with.
        choice: Which output, or one for each row; None is the largest of each row.

    Raises:
        InputError: If the output is not made so.

    Source:
        Zhou et al. (2016), "Learning deep features for discriminative localization", arXiv
        1512.04150, equation 2.

    Example:
        >>> pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), *pool, nn.Linear(2, 3))
        >>> class_activation_map(network, torch.rand(1, 1, 4, 4)).values[0].shape
        torch.Size([1, 1, 4, 4])
    """
    opened = Opened(network, as_inputs(inputs))
    heads = [m for m in network.modules() if isinstance(m, nn.Linear)]
    with untouched(network), torch.no_grad():
        with _layers(network, None) as given:
            outputs = opened.run(Reading(), opened.entries())
        maps = given[-1] if given else _no_maps(network)
        head = heads[-1] if heads else None
        values = maps.values
        means = values.flatten(2).mean(dim=2)
        fits = (
            head is not None
            and outputs.ndim == 2
            and head.in_features == means.shape[1]
            and torch.allclose(head(means), outputs, rtol=1e-3, atol=1e-4)
        )
        if head is None or not fits:
            raise InputError(
                "the output is not a linear layer on averaged maps",
                expected="a network that averages its last maps, as a ResNet does",
                got=type(network).__name__,
                do="use grad_cam, which any network of convolutions has",
            )
        columns = chosen_columns(outputs, choice)
        found = torch.einsum("rc,rc...->r...", head.weight[columns], values)[:, None]
    return Attribution(_stretched(found, opened), chosen(outputs, columns))


def _stretched(maps: Tensor, opened: Opened) -> tuple[Tensor | None, ...]:
    """Maps at the size of the input that they are about."""
    values: list[Tensor | None] = [None] * len(opened.inputs)
    place = next((i for i in opened.numbers if opened.inputs[i].ndim == maps.ndim), None)
    if place is None:
        raise InputError(
            "there is no input to lay the maps over",
            expected=f"an input with {maps.ndim} axes",
            got=", ".join(str(tuple(x.shape)) for x in opened.inputs),
        )
    target = opened.inputs[place]
    # Series have their places before their numbers, and maps of them behind their channels.
    turned = maps.ndim == 3 and target.shape[1] != 1
    size = target.shape[1:2] if turned else target.shape[2:]
    wide = functional.interpolate(maps, size=size, mode=_STRETCHES[maps.ndim], align_corners=False)
    values[place] = (wide.transpose(1, 2) if turned else wide).expand_as(target)
    return tuple(values)


@contextmanager
def _layers(network: nn.Module, layer: str | None) -> Iterator[list[Maps]]:
    """The maps of a layer, or of all, as they come."""
    modules = {name: module for name, module in network.named_modules() if name}
    if layer is not None and layer not in modules:
        raise unknown_name("layer", layer, modules)
    watched = {layer: modules[layer]} if layer is not None else modules
    given: list[Maps] = []
    names = {module: name for name, module in watched.items()}

    def leave(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor) and 3 <= output.ndim <= 5 and output[0, 0].numel() > 1:
            if layer is None and not _convolves(module):
                return
            given.append(Maps(names[module], output))

    handles = [module.register_forward_hook(leave) for module in watched.values()]
    try:
        yield given
    finally:
        for handle in handles:
            handle.remove()
    if layer is not None and not given:
        raise InputError(
            f"the layer {layer} gives no maps",
            expected="[row, channel, place...]",
            got=type(modules[layer]).__name__,
            do="name a convolution, or what follows one",
        )


Kind = Literal["convolution", "after"]
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_AFTER = ("BatchNorm", "ReLU", "GELU", "SiLU", "Hardswish", "Mish", "GroupNorm", "LeakyReLU")


def _convolves(module: nn.Module) -> bool:
    """Whether a module gives maps: it convolves, or holds what does, or follows it."""
    return any(isinstance(part, _CONVOLUTIONS) for part in module.modules()) or any(
        name in type(module).__name__ for name in _AFTER
    )


def _no_maps(network: nn.Module) -> Maps:
    raise InputError(
        "the network gives no maps to explain by",
        expected="a network with convolutions",
        got=type(network).__name__,
        do="choose integrated_gradients or relevance",
    )
