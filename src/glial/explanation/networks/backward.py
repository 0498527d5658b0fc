"""Gradients that rectifiers hand back otherwise: guided backpropagation and deconvolution."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from glial.explanation.networks.attribution import Attribution, gathered
from glial.explanation.networks.gradients import Inputs, as_inputs, gradients_of
from glial.explanation.networks.operations import not_in_place
from glial.explanation.networks.reading import Choice, Opened, Reading, untouched

_RECTIFIERS = ("relu", "relu_")


def guided_backpropagation(
    network: nn.Module, inputs: Inputs, choice: Choice = None
) -> Attribution:
    """Gradients that pass a rectifier only where they and what went through it are positive.

    Sharp pictures, but mostly of edges: they hardly change when the weights are drawn anew, which
    the check by random weights shows.

    Args:
        network: The network; its rectifiers may be modules or functions.
        inputs: What it is called with, a row per row.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.

    Source:
        Springenberg et al. (2015), "Striving for simplicity", arXiv 1412.6806, section 3.4; their
        independence of the weights: Adebayo et al. (2018), arXiv 1810.03292.

    Example:
        >>> import torch
        >>> network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
        >>> guided_backpropagation(network, torch.ones(1, 2)).values[0].shape
        torch.Size([1, 2])
    """
    return _by(_Guided(), network, inputs, choice)


def deconvolution(network: nn.Module, inputs: Inputs, choice: Choice = None) -> Attribution:
    """Gradients that pass a rectifier where they are positive, whatever went through it.

    Args:
        network: The network; its rectifiers may be modules or functions.
        inputs: What it is called with, a row per row.
        choice: Which output, see `glial.explanation.networks.reading.chosen`.

    Source:
        Zeiler and Fergus (2014), "Visualizing and understanding convolutional networks", arXiv
        1311.2901, section 2.1.

    Example:
        >>> import torch
        >>> deconvolution(nn.Sequential(nn.Linear(2, 1), nn.ReLU()), torch.ones(1, 2)).rest
        0.0
    """
    return _by(_Deconvolved(), network, inputs, choice)


def _by(reading: Reading, network: nn.Module, inputs: Inputs, choice: Choice) -> Attribution:
    opened = Opened(network, as_inputs(inputs))
    with untouched(network):
        output, gradients = gradients_of(opened, opened.entries(), choice, reading)
        return Attribution(gathered(opened, gradients), output)


class _Guided(Reading):
    def operation(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        if name not in _RECTIFIERS or not args[0].requires_grad:
            return func(*args, **kwargs)
        found: Tensor = args[0].relu()
        found.register_hook(lambda gradient: gradient.clamp(min=0))  # type: ignore[no-untyped-call]
        return found


class _Deconvolved(Reading):
    def operation(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        if name not in _RECTIFIERS or not args[0].requires_grad:
            return func(*args, **kwargs)
        inputs = not_in_place(args, kwargs)[0][0]
        passed = inputs - inputs.detach()  # a value of 0 whose gradient is 1
        passed = passed + inputs.detach().relu()
        passed.register_hook(lambda gradient: gradient.clamp(min=0))
        return passed
