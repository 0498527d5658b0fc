"""The dense layer and the hidden block that is built on it."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from glial.nn.activations import activation
from glial.nn.initialization import initialize, initialize_bias

BiasKind = Literal["per-neuron", "shared", "none"]
NormKind = Literal["none", "batch", "layer"]


class Dense(nn.Module):
    """Every input joined to every unit: ``Z = W x + b``.

    Args:
        num_inputs: Inputs.
        num_outputs: Units.
        bias: One bias per neuron (best), one shared by the layer, or none.
        initialization: Starting weights, a name in `INITIALIZATIONS`.
        bias_initialization: Starting bias, a name in `BIAS_INITIALIZATIONS`.

    Example:
        >>> layer = Dense(2, 3, initialization="constant")
        >>> layer(torch.ones(1, 2))
        tensor([[1., 1., 1.]], grad_fn=<AddmmBackward0>)
        >>> Dense(2, 3, bias="shared").bias.shape
        torch.Size([1])
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        num_inputs: int,
        num_outputs: int,
        *,
        bias: BiasKind = "per-neuron",
        initialization: str = "he_uniform",
        bias_initialization: str = "zero",
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_outputs, num_inputs))
        initialize(initialization, self.weight)
        if bias == "none":
            self.register_parameter("bias", None)
            return
        self.bias = nn.Parameter(torch.empty(num_outputs if bias == "per-neuron" else 1))
        initialize_bias(bias_initialization, self.bias)

    def forward(self, inputs: Float[Tensor, "*row feature"]) -> Float[Tensor, "*row unit"]:
        """The weighted sums."""
        if self.bias is None:
            return functional.linear(inputs, self.weight)
        return functional.linear(inputs, self.weight, self.bias.expand(self.weight.shape[0]))

    def extra_repr(self) -> str:
        """The sizes, as the module's printed form shows them."""
        units, features = self.weight.shape
        kind = "none" if self.bias is None else "shared" if self.bias.numel() < units else "each"
        return f"{features}, {units}, bias={kind}"


class DenseBlock(nn.Module):
    """One hidden layer: dense, normalisation, activation, dropout, and a skip if asked for.

    Args:
        num_inputs: Inputs.
        num_outputs: Units.
        activation_name: A name in `ACTIVATIONS`.
        norm: Normalisation of the weighted sums, before the activation.
        dropout: Share of the units' outputs set to zero in training, in [0, 1).
        skip: Add the block's input to its output, through a matrix where sizes differ.
        bias: See `Dense`.
        initialization: See `Dense`.
        bias_initialization: See `Dense`.

    Example:
        >>> block = DenseBlock(4, 4, "relu", skip=True)
        >>> block(torch.zeros(2, 4)).tolist() == torch.zeros(2, 4).tolist()
        True
    """

    def __init__(
        self,
        num_inputs: int,
        num_outputs: int,
        activation_name: str,
        *,
        norm: NormKind = "none",
        dropout: float = 0.0,
        skip: bool = False,
        bias: BiasKind = "per-neuron",
        initialization: str = "he_uniform",
        bias_initialization: str = "zero",
    ) -> None:
        super().__init__()
        self.linear = Dense(
            num_inputs,
            num_outputs,
            bias=bias,
            initialization=initialization,
            bias_initialization=bias_initialization,
        )
        self.norm = _norm(norm, num_outputs)
        self.activation = activation(activation_name)
        self.dropout = nn.Dropout(dropout)
        self.has_skip = skip
        self.shortcut: nn.Module = nn.Identity()
        if skip and num_inputs != num_outputs:
            self.shortcut = Dense(num_inputs, num_outputs, bias="none", initialization="lecun")

    def forward(self, inputs: Float[Tensor, "row feature"]) -> Float[Tensor, "row unit"]:
        """The block's output."""
        outputs: Tensor = self.dropout(self.activation(self.norm(self.linear(inputs))))
        return outputs + self.shortcut(inputs) if self.has_skip else outputs


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes a batch of one row too, by its running statistics.

    Torch refuses one row in training mode, and the last batch of an epoch may be one row.

    Example:
        >>> BatchNorm(2)(torch.ones(1, 2)).shape
        torch.Size([1, 2])
    """

    def forward(self, inputs: Float[Tensor, "row feature"]) -> Float[Tensor, "row feature"]:
        """Each feature less its mean, divided by its standard deviation, scaled and shifted."""
        if not self.training or inputs.shape[0] != 1:
            return super().forward(inputs)
        return functional.batch_norm(
            inputs, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


def _norm(kind: NormKind, num_features: int) -> nn.Module:
    if kind == "batch":
        return BatchNorm(num_features)
    return nn.LayerNorm(num_features) if kind == "layer" else nn.Identity()
