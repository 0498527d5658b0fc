"""Pure tensor maths that torch lacks."""

from glial.functional.activations import smooth_clip, step
from glial.functional.dropout import dropout
from glial.functional.losses import (
    binary_cross_entropy,
    cross_entropy,
    focal,
    half_squared_error,
    huber,
    mean_absolute_error,
    mean_squared_error,
    reduce,
)
from glial.functional.masked import masked_max, masked_mean, reversed_within
from glial.functional.measures import activation_shift, largest_curvature

__all__ = [
    "activation_shift",
    "binary_cross_entropy",
    "cross_entropy",
    "dropout",
    "focal",
    "half_squared_error",
    "huber",
    "largest_curvature",
    "masked_max",
    "masked_mean",
    "mean_absolute_error",
    "mean_squared_error",
    "reduce",
    "reversed_within",
    "smooth_clip",
    "step",
]
