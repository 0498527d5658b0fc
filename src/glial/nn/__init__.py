"""Layers and blocks that torch lacks."""

from glial.nn.activations import ACTIVATIONS, ParametricActivation, Softmax, Step, activation
from glial.nn.dense import BatchNorm, BiasKind, Dense, DenseBlock, NormKind
from glial.nn.initialization import (
    BIAS_INITIALIZATIONS,
    INITIALIZATIONS,
    best_for,
    initialize,
    initialize_bias,
)

__all__ = [
    "ACTIVATIONS",
    "BIAS_INITIALIZATIONS",
    "INITIALIZATIONS",
    "BatchNorm",
    "BiasKind",
    "Dense",
    "DenseBlock",
    "NormKind",
    "ParametricActivation",
    "Softmax",
    "Step",
    "activation",
    "best_for",
    "initialize",
    "initialize_bias",
]
