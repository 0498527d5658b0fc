"""What each activation computes, where its values lie, what it is for, and its curve."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from glial.nn.activations import Softmax, activation

INFINITY = math.inf


@dataclass(frozen=True)
class ActivationFacts:
    """What is to be known of one activation.

    Attributes:
        name: Its name in `ACTIVATIONS`.
        expression: Its formula.
        low: No value lies below it.
        high: No value lies above it.
        use: What it is for.

    Example:
        >>> activation_guide()["tanh"].low
        -1.0
    """

    name: str
    expression: str
    low: float
    high: float
    use: str


_FACTS = (
    ("linear", "x", -INFINITY, INFINITY, "output of unbounded values"),
    ("step", "1 if x >= 0 else 0", 0.0, 1.0, "perceptron; no gradient flows through it"),
    ("sigmoid", "1 / (1 + exp(-x))", 0.0, 1.0, "output of one probability; gates"),
    ("tanh", "2 sigmoid(2x) - 1", -1.0, 1.0, "recurrent networks; output in (-1, 1)"),
    ("relu", "max(0, x)", 0.0, INFINITY, "hidden layers: cheap, does not saturate above"),
    ("leaky_relu", "max(0.01x, x)", -INFINITY, INFINITY, "where units of relu die"),
    ("prelu", "max(ax, x), a learnt", -INFINITY, INFINITY, "as leaky_relu, its slope learnt"),
    ("elu", "x if x > 0 else exp(x) - 1", -1.0, INFINITY, "deep networks"),
    (
        "selu",
        "1.0507 (x if x > 0 else 1.6733 (exp(x) - 1))",
        -1.7581,
        INFINITY,
        "deep networks without normalisation, initialised by lecun",
    ),
    ("swish", "x sigmoid(x)", -0.2785, INFINITY, "hidden layers; smooth"),
    ("silu", "x sigmoid(x)", -0.2785, INFINITY, "another name of swish"),
    ("mish", "x tanh(log(1 + exp(x)))", -0.3089, INFINITY, "hidden layers of tables"),
    ("gelu", "x P(N(0, 1) <= x)", -0.17, INFINITY, "transformers"),
    ("softmax", "exp(x_i) / sum_j exp(x_j)", 0.0, 1.0, "output of exclusive classes; attention"),
)


def activation_guide() -> dict[str, ActivationFacts]:
    """Every activation with its formula, its range and its use.

    Example:
        >>> activation_guide()["relu"].expression
        'max(0, x)'
    """
    return {facts[0]: ActivationFacts(*facts) for facts in _FACTS}


def draw_activation(name: str, *, limit: float = 4.0) -> str:
    """The curve of an activation and, dashed, of its derivative, as an SVG.

    Args:
        name: A name in `ACTIVATIONS`. Of softmax the first of two classes is drawn, the
            second at zero, which is the sigmoid.
        limit: The input runs from -limit to limit.

    Returns:
        A picture that stands alone, 360 x 240.

    Raises:
        InputError: If the name is unknown.

    Example:
        >>> draw_activation("tanh").startswith("<svg")
        True
    """
    inputs = torch.linspace(-limit, limit, 161, dtype=torch.float64, requires_grad=True)
    values = _values(activation(name).double(), inputs)
    slopes = torch.zeros_like(inputs)
    if values.requires_grad:
        (slopes,) = torch.autograd.grad(values.sum(), inputs)
    values = values.detach()
    low = min(-0.25, float(values.min()), float(slopes.min()))
    high = max(1.25, float(values.max()), float(slopes.max()))

    def path(heights: torch.Tensor) -> str:
        across = (inputs.detach() / limit + 1) * 160 + 20
        down = 200 - (heights - low) / (high - low) * 180
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))

    zero = 200 - (0 - low) / (high - low) * 180
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 240" font-family="sans-serif">'
        f'<path d="M20 {zero:.1f}H340M180 20V200" stroke="#999" fill="none"/>'
        f'<polyline points="{path(values)}" stroke="#c2410c" stroke-width="2" fill="none"/>'
        f'<polyline points="{path(slopes)}" stroke="#1d4ed8" stroke-dasharray="4 3" fill="none"/>'
        f'<text x="20" y="228" font-size="13">{name} from {-limit:g} to {limit:g}, heights '
        f"{low:.3g} to {high:.3g}; dashed: its derivative</text></svg>\n"
    )


def _values(module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    if isinstance(module, Softmax):
        pairs: torch.Tensor = module(torch.stack([inputs, torch.zeros_like(inputs)], dim=1))
        return pairs[:, 0]
    values: torch.Tensor = module(inputs)
    return values
