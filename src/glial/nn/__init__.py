"""Layers and blocks that torch lacks."""

from glial.nn.activation_guide import ActivationFacts, activation_guide, draw_activation
from glial.nn.activations import ACTIVATIONS, ParametricActivation, Softmax, Step, activation
from glial.nn.dense import BatchNorm, BiasKind, Dense, DenseBlock, NormKind
from glial.nn.initialization import (
    BIAS_INITIALIZATIONS,
    INITIALIZATIONS,
    best_for,
    initialize,
    initialize_bias,
)
from glial.nn.tokens import BidirectionalGRU, TokenVectors

__all__ = [
    "ACTIVATIONS",
    "BIAS_INITIALIZATIONS",
    "INITIALIZATIONS",
    "ActivationFacts",
    "BatchNorm",
    "BiasKind",
    "BidirectionalGRU",
    "Dense",
    "DenseBlock",
    "NormKind",
    "ParametricActivation",
    "Softmax",
    "Step",
    "TokenVectors",
    "activation",
    "activation_guide",
    "best_for",
    "draw_activation",
    "initialize",
    "initialize_bias",
]
