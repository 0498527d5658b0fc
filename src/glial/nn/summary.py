"""What a network is made of: layers, shapes, parameters, FLOPs and memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a network.

    Attributes:
        name: Its ``named_modules()`` path; empty for the network itself.
        kind: Its class.
        output_shape: Shape of what it gave.
        num_parameters: Parameters of its own, those of layers inside left out.
        flops: Floating-point operations of its forward pass, a multiply-add counting as two;
            only matrix products and convolutions count.
        output_bytes: Memory of what it gave.
    """

    name: str
    kind: str
    output_shape: list[int]
    num_parameters: int
    flops: int
    output_bytes: int


@dataclass(frozen=True)
class Summary:
    """A network's layers and totals.

    Attributes:
        layers: In the order in which they ran.
        num_parameters: All parameters.
        num_trainable: Those that training changes.
        flops: Of one forward pass on the inputs given: those of matrix products, convolutions and
            attention. Look-ups (embeddings) do no arithmetic; sums by element are not counted.
        parameter_bytes: Memory of the weights.
        activation_bytes: Memory of all layers' outputs, as training must keep it.
    """

    layers: list[LayerSummary]
    num_parameters: int
    num_trainable: int
    flops: int
    parameter_bytes: int
    activation_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON."""
        return asdict(self)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode for a while; every part has its own mode back afterwards.

    Example:
        >>> model = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
        >>> with evaluating(model):
        ...     model[0].training
        False
        >>> model[0].training, model[1].training
        (True, False)
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def summarize(model: nn.Module, inputs: tuple[Tensor, ...]) -> Summary:
    """Run a network once in evaluation mode and note what each layer does.

    Args:
        model: The network; it is left as it was.
        inputs: What it is called with.

    Returns:
        Its layers and totals.

    Example:
        >>> summary = summarize(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), (torch.zeros(2, 4),))
        >>> summary.num_parameters, summary.flops, summary.layers[0].output_shape
        (15, 48, [2, 3])
    """
    names = {module: name for name, module in model.named_modules()}
    layers: list[LayerSummary] = []

    counter = FlopCounterMode(display=False)
    before: dict[str, int] = {}

    def enter(module: nn.Module, args: Any) -> None:
        before[names[module]] = counter.get_total_flops()

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        if not isinstance(output, Tensor) or any(True for _ in module.children()):
            return
        name = names[module]
        flops = counter.get_total_flops() - before[name]
        layers.append(_layer(name, module, output, flops))

    handles = [m.register_forward_pre_hook(enter) for m in names]
    handles += [m.register_forward_hook(leave) for m in names]
    try:
        with evaluating(model), counter, torch.no_grad():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    parameters = list(model.parameters())
    return Summary(
        layers,
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        counter.get_total_flops(),
        sum(p.numel() * p.element_size() for p in parameters),
        sum(layer.output_bytes for layer in layers),
    )


def _layer(name: str, module: nn.Module, output: Tensor, flops: int) -> LayerSummary:
    return LayerSummary(
        name,
        type(module).__name__,
        list(output.shape),
        sum(p.numel() for p in module.parameters(recurse=False)),
        flops,
        output.numel() * output.element_size(),
    )
