"""Activations by name: each entry makes a fresh module."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glial.core.tables import Table
from glial.functional.activations import step

ACTIVATIONS = Table(
    "activation",
    "activations",
    {
        "linear": "torch.nn:Identity",
        "step": "glial.nn.activations:Step",
        "sigmoid": "torch.nn:Sigmoid",
        "tanh": "torch.nn:Tanh",
        "relu": "torch.nn:ReLU",
        "leaky_relu": "torch.nn:LeakyReLU",
        "prelu": "torch.nn:PReLU",
        "elu": "torch.nn:ELU",
        "selu": "torch.nn:SELU",
        "swish": "torch.nn:SiLU",
        "silu": "torch.nn:SiLU",
        "mish": "torch.nn:Mish",
        "gelu": "torch.nn:GELU",
        "softmax": "glial.nn.activations:Softmax",
    },
)


def activation(name: str) -> nn.Module:
    """A fresh activation module.

    Hidden layers: relu, leaky_relu if units die, elu or selu in deep networks, mish or
    gelu where the last percent counts. Outputs: linear for unbounded values, sigmoid for
    one probability, softmax for exclusive classes, tanh for values in (-1, 1).

    Args:
        name: A name in `ACTIVATIONS`.

    Returns:
        A module that keeps the shape; `prelu` has a parameter, the others have none.

    Raises:
        InputError: If the name is unknown; the message suggests the nearest.

    Example:
        >>> activation("relu")(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    module: nn.Module = ACTIVATIONS.resolve(name)()
    return module


class Step(nn.Module):
    """Fires (1) at or above a threshold, else 0; its gradient is zero everywhere.

    Args:
        threshold: The least input that fires.

    Example:
        >>> Step()(torch.tensor([-0.1, 0.0, 0.1]))
        tensor([0., 1., 1.])
    """

    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, inputs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The firing of each input."""
        return step(inputs, threshold=self.threshold)

    def extra_repr(self) -> str:
        """The threshold, as the module's printed form shows it."""
        return f"threshold={self.threshold}"


class Softmax(nn.Module):
    """Softmax over the last axis.

    Example:
        >>> Softmax()(torch.zeros(1, 2))
        tensor([[0.5000, 0.5000]])
    """

    def forward(self, inputs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Positive numbers that sum to 1 over the last axis."""
        return torch.softmax(inputs, dim=-1)


class ParametricActivation(nn.Module):
    """A learned mixture of an activation and the identity, per feature and member.

    ``x + w * (f(x) - x)`` with w starting at 1, which is f itself; at 0 it is the identity.

    Args:
        name: The activation f, a name in `ACTIVATIONS`.
        num_members: How many networks are trained as one.
        num_features: Features of each.

    Source:
        Holzmüller, Grinsztajn, Steinwart (2024), "Better by default: strong pre-tuned MLPs
        and boosted trees on tabular data", arXiv 2407.04491, section 3.2.

    Example:
        >>> layer = ParametricActivation("relu", num_members=1, num_features=2)
        >>> layer(torch.tensor([[[-1.0, 2.0]]])).tolist()
        [[[0.0, 2.0]]]
    """

    def __init__(self, name: str, num_members: int, num_features: int) -> None:
        super().__init__()
        self.function = activation(name)
        self.weight = nn.Parameter(torch.ones(num_members, 1, num_features))

    def forward(
        self, inputs: Float[Tensor, "member row feature"]
    ) -> Float[Tensor, "member row feature"]:
        """The mixture."""
        return torch.lerp(inputs, self.function(inputs), self.weight)
