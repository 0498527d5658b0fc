"""What the layers of a network give: which there are, and their maps as they come."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from glial.core.errors import InputError, unknown_name

Part = TypeVar("Part")


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        layer: Its path, as in ``named_modules()``.
        module: The layer.
        number: Which call of this layer it is, from 1 on.
        output: Its maps, [row, channel, height, width].
        is_active: Whether it is an activation: it changes numbers and neither mixes places nor
            has weights.
    """

    layer: str
    module: nn.Module
    number: int
    output: Tensor
    is_active: bool


def leaves(network: nn.Module) -> list[str]:
    """Paths of the modules that have none inside.

    Example:
        >>> leaves(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Sequential(nn.ReLU())))
        ['0', '1.0']
    """
    return [name for name, module in network.named_modules() if name and not _has_parts(module)]


def _has_parts(module: nn.Module) -> bool:
    return any(True for _ in module.children())


def check_layers(network: nn.Module, layers: Iterable[str]) -> None:
    """Refuse names of layers that the network does not have.

    Raises:
        InputError: If there is no layer of a name; the message has the nearest.

    Example:
        >>> check_layers(nn.Sequential(nn.ReLU()), ["0"])
    """
    known = [name for name, _ in network.named_modules() if name]
    for name in layers:
        if name not in known:
            raise unknown_name("layer", name, known)


def check_convolves(network: nn.Module) -> None:
    """Refuse a network without convolutions.

    Raises:
        InputError: If there is no convolution of images in it.

    Example:
        >>> check_convolves(nn.Conv2d(1, 1, 1))
    """
    if not any(isinstance(module, nn.Conv2d) for module in network.modules()):
        raise InputError(
            "the network has no convolutions to look at",
            expected="a network of images with convolutions, such as residual_cnn",
            got=type(network).__name__,
        )


@contextmanager
def watched(network: nn.Module, names: Collection[str]) -> Iterator[list[Call]]:
    """Collect what layers give while the network runs.

    Outputs that are no maps are passed over. Maps whose channels stand last are turned.

    Args:
        network: The network.
        names: The layers.

    Yields:
        The calls so far.
    """
    modules = dict(network.named_modules())
    names_of = {modules[name]: name for name in names}
    calls: list[Call] = []
    counts: dict[str, int] = {}
    latest: list[torch.Size] = []  # height and width of the last convolution's maps

    def leave(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not isinstance(output, Tensor) or output.ndim != 4 or isinstance(module, nn.Linear):
            return
        if isinstance(module, nn.Conv2d):
            latest[:] = [output.shape[2:]]
        is_turned = latest and output.shape[1:3] == latest[0] != output.shape[2:]
        maps = output.permute(0, 3, 1, 2) if is_turned else output
        if module in names_of:
            name = names_of[module]
            counts[name] = counts.get(name, 0) + 1
            # A copy, since an activation may write over what it is given.
            is_active = _is_active(module, args, output)
            calls.append(Call(name, module, counts[name], maps.clone(), is_active))

    convolutions = {module for module in modules.values() if isinstance(module, nn.Conv2d)}
    handles = [module.register_forward_hook(leave) for module in {*names_of, *convolutions}]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _is_active(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> bool:
    home = type(module).__module__
    if home.startswith("torch.nn."):
        return home == "torch.nn.modules.activation"
    if _has_parts(module) or not args or not isinstance(args[0], Tensor):
        return False
    has_weights = any(True for _ in module.parameters())
    is_named_otherwise = any(word in type(module).__name__ for word in ("Norm", "Drop", "Depth"))
    return not has_weights and not is_named_otherwise and args[0].shape == output.shape


def spread(parts: Sequence[Part], most: int) -> list[Part]:
    """At most so many of some parts, evenly spread, the first and the last among them.

    Example:
        >>> spread("abcdefg", 3), spread("ab", 3)
        (['a', 'd', 'g'], ['a', 'b'])
    """
    if len(parts) <= most:
        return list(parts)
    if most < 2:
        return list(parts[:most])
    return [parts[round(number * (len(parts) - 1) / (most - 1))] for number in range(most)]
