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

__all__ = [
    "binary_cross_entropy",
    "cross_entropy",
    "dropout",
    "focal",
    "half_squared_error",
    "huber",
    "mean_absolute_error",
    "mean_squared_error",
    "reduce",
    "smooth_clip",
    "step",
]
