"""What knobs choose among: the names that plans have for the same things."""

from __future__ import annotations

from typing import Literal

ActivationName = Literal[
    "linear",
    "step",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "prelu",
    "elu",
    "selu",
    "swish",
    "mish",
    "gelu",
    "softmax",
]
InitializationName = Literal[
    "auto",
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
]
ScheduleKnob = Literal[
    "constant", "step", "exponential", "linear", "cosine", "flat_cosine", "one_cycle", "plateau"
]
ClassLoss = Literal["cross_entropy", "focal", "mean_squared_error", "half_squared_error"]
NumberLoss = Literal["mean_squared_error", "half_squared_error", "mean_absolute_error", "huber"]
