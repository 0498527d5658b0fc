"""Where the layers of a network look while it reads something: their attention weights."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.nn.attention import Attention
from glial.nn.summary import evaluating


@runtime_checkable
class Attends(Protocol):
    """A layer of attention that can say where it looks.

    Example:
        >>> from glial.nn import MultiHeadAttention
        >>> isinstance(MultiHeadAttention(4, 2), Attends), isinstance(nn.ReLU(), Attends)
        (True, False)
    """

    def weights(self, vectors: Tensor, *others: Any) -> Tensor:
        """How much each place takes from each other, [row, head, place, seen].

        Its arguments are the first of ``forward``'s.
        """


@dataclass(frozen=True)
class Attended:
    """Where one layer of attention looked.

    Attributes:
        layer: Its path, as in ``named_modules()``.
        weights: Shares that add up to 1 over the places that are seen.
        crosses: Whether it looked at another sequence than its own.

    Example:
        >>> Attended("layer", torch.ones(1, 1, 2, 1), crosses=True).weights.shape
        torch.Size([1, 1, 2, 1])
    """

    layer: str
    weights: Float[Tensor, "row head query place"]
    crosses: bool


def _attends(module: nn.Module) -> bool:
    """Whether a module is a layer of attention, and not what holds several."""
    kinds = (Attention, Attends)
    parts = [part for part in module.modules() if part is not module]
    return isinstance(module, kinds) and not any(isinstance(part, kinds) for part in parts)


def attended(network: nn.Module, *inputs: Tensor) -> list[Attended]:
    """Where each layer of attention looks, in evaluation mode; the outputs are not changed.

    Args:
        network: A network with layers of `glial.nn.Attention`, or that are `Attends`.
        inputs: What it is called with.

    Returns:
        Each call of such a layer, in their order.

    Raises:
        InputError: If the network has no such layer.

    Example:
        >>> from glial.models import build
        >>> network = build("seq2seq", num_outputs=5, vocabularies=[9, 5], size=4)
        >>> found = attended(network, torch.tensor([[3, 4, 5]]), torch.tensor([[2, 1]]))
        >>> [(one.layer, one.weights.shape) for one in found]
        [('attention', torch.Size([1, 1, 2, 3]))]
    """
    found: list[Attended] = []
    layers = {module: name for name, module in network.named_modules() if _attends(module)}
    if not layers:
        raise InputError(
            "the network has no attention to look at",
            expected="a network with layers of attention, such as transformer or bert",
            got=type(network).__name__,
        )

    def leave(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if isinstance(module, Attention):
            found.append(Attended(layers[module], output[1][:, None], crosses=True))
        elif isinstance(module, Attends):
            count = len(inspect.signature(module.weights).parameters)
            crosses = len(args) > 1 and isinstance(args[1], Tensor) and args[1].ndim == 3
            found.append(Attended(layers[module], module.weights(*args[:count]), crosses))

    handles = [module.register_forward_hook(leave) for module in layers]
    try:
        with torch.no_grad(), evaluating(network):
            network(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found
