"""Starting values of weights and biases by name.

A layer that starts with equal units keeps them equal: their gradients are the same. So
`zero` and `constant` are for one-layer (convex) models and for showing that failure.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from glial.core.tables import Table

INITIALIZATIONS = Table(
    "weight initialisation",
    "initializations",
    {
        name: f"glial.nn.initialization:{name}"
        for name in (
            "zero",
            "constant",
            "normal",
            "uniform",
            "small",
            "xavier_normal",
            "xavier_uniform",
            "he_normal",
            "he_uniform",
            "lecun",
        )
    },
)

BIAS_INITIALIZATIONS = Table(
    "bias initialisation",
    "bias_initializations",
    {
        "zero": "glial.nn.initialization:zero",
        "constant": "glial.nn.initialization:small_constant",
        "random": "glial.nn.initialization:small",
    },
)

_BEST = {"sigmoid": "xavier_uniform", "tanh": "xavier_uniform", "softmax": "xavier_uniform"}
_BEST |= {"linear": "xavier_uniform", "selu": "lecun"}

Generator = torch.Generator | None


def initialize(name: str, weight: Tensor, generator: Generator = None) -> Tensor:
    """Fill a weight, laid out (out, in, ...) as torch's layers are, in place.

    Args:
        name: A name in `INITIALIZATIONS`.
        weight: The weight to fill.
        generator: Where the random numbers come from; None is torch's global generator.

    Returns:
        The same tensor.

    Raises:
        InputError: If the name is unknown.

    Example:
        >>> initialize("constant", torch.empty(1, 2)).tolist()
        [[0.5, 0.5]]
    """
    fill: Callable[[Tensor, Generator], Tensor] = INITIALIZATIONS.resolve(name)
    return fill(weight, generator)


def initialize_bias(name: str, bias: Tensor, generator: Generator = None) -> Tensor:
    """Fill a bias in place: zero, constant (0.01) or random (normal, std 0.01).

    Args:
        name: A name in `BIAS_INITIALIZATIONS`.
        bias: The bias to fill.
        generator: Where the random numbers come from; None is torch's global generator.

    Returns:
        The same tensor.

    Raises:
        InputError: If the name is unknown.

    Example:
        >>> initialize_bias("zero", torch.ones(2))
        tensor([0., 0.])
    """
    fill: Callable[[Tensor, Generator], Tensor] = BIAS_INITIALIZATIONS.resolve(name)
    return fill(bias, generator)


def best_for(activation: str) -> str:
    """The initialisation that keeps the variance through layers of an activation.

    Xavier for sigmoid, tanh and linear layers, LeCun for selu, He for the rectifier family.

    Example:
        >>> best_for("tanh"), best_for("relu")
        ('xavier_uniform', 'he_uniform')
    """
    return _BEST.get(activation, "he_uniform")


def zero(weight: Tensor, generator: Generator = None) -> Tensor:
    """All zero: right for biases and for one-layer models, never for hidden layers.

    Example:
        >>> zero(torch.ones(2))
        tensor([0., 0.])
    """
    return nn.init.zeros_(weight)


def constant(weight: Tensor, generator: Generator = None, *, value: float = 0.5) -> Tensor:
    """All equal: hidden units stay copies of each other.

    Example:
        >>> constant(torch.ones(2))
        tensor([0.5000, 0.5000])
    """
    return nn.init.constant_(weight, value)


def small_constant(bias: Tensor, generator: Generator = None) -> Tensor:
    """All 0.01: biases that let rectifiers fire at the start.

    Example:
        >>> small_constant(torch.ones(1))
        tensor([0.0100])
    """
    return nn.init.constant_(bias, 0.01)


def normal(weight: Tensor, generator: Generator = None, *, std: float = 0.05) -> Tensor:
    """Normal of mean 0 and standard deviation 0.05.

    Example:
        >>> normal(torch.empty(3)).shape
        torch.Size([3])
    """
    return nn.init.normal_(weight, 0.0, std, generator=generator)


def uniform(weight: Tensor, generator: Generator = None, *, bound: float = 0.05) -> Tensor:
    """Uniform between -0.05 and 0.05.

    Example:
        >>> bool((uniform(torch.empty(9)).abs() <= 0.05).all())
        True
    """
    return nn.init.uniform_(weight, -bound, bound, generator=generator)


def small(weight: Tensor, generator: Generator = None) -> Tensor:
    """Normal of mean 0 and standard deviation 0.01: close to zero, yet all different.

    Example:
        >>> bool((small(torch.empty(9)).abs() < 0.1).all())
        True
    """
    return nn.init.normal_(weight, 0.0, 0.01, generator=generator)


def xavier_normal(weight: Tensor, generator: Generator = None) -> Tensor:
    """Normal of variance 2 / (fan_in + fan_out), for sigmoid and tanh.

    Source:
        Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward
        neural networks", eq. (12).

    Example:
        >>> xavier_normal(torch.empty(2, 3)).shape
        torch.Size([2, 3])
    """
    return nn.init.xavier_normal_(weight, generator=generator)


def xavier_uniform(weight: Tensor, generator: Generator = None) -> Tensor:
    """Uniform of variance 2 / (fan_in + fan_out), for sigmoid and tanh.

    Source:
        Glorot and Bengio (2010), eq. (16).

    Example:
        >>> bool((xavier_uniform(torch.empty(2, 4)).abs() <= 1).all())
        True
    """
    return nn.init.xavier_uniform_(weight, generator=generator)


def he_normal(weight: Tensor, generator: Generator = None) -> Tensor:
    """Normal of variance 2 / fan_in, for rectifiers.

    Source:
        He, Zhang, Ren, Sun (2015), "Delving deep into rectifiers", arXiv 1502.01852, eq. (10).

    Example:
        >>> he_normal(torch.empty(2, 3)).shape
        torch.Size([2, 3])
    """
    return nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


def he_uniform(weight: Tensor, generator: Generator = None) -> Tensor:
    """Uniform of variance 2 / fan_in, for rectifiers.

    Example:
        >>> bool((he_uniform(torch.empty(2, 6)).abs() <= 1).all())
        True
    """
    return nn.init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)


def lecun(weight: Tensor, generator: Generator = None) -> Tensor:
    """Normal of variance 1 / fan_in, for selu and linear layers.

    Source:
        LeCun, Bottou, Orr, Müller (1998), "Efficient backprop", eq. (16).

    Example:
        >>> lecun(torch.empty(2, 3)).shape
        torch.Size([2, 3])
    """
    return nn.init.kaiming_normal_(weight, nonlinearity="linear", generator=generator)
