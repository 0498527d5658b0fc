"""What was seen of networks, their layers and their parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from glial.core.findings import Place
from glial.doctor.evidence.numbers import Series, TensorSeen

Phase = Literal["train", "eval"]


@dataclass
class ParameterSeen:
    """One parameter.

    Attributes:
        name: Its path, as in ``named_parameters()``.
        layer: The path of the module that holds it.
        shape: Its sizes.
        dtype: As torch calls it, without ``torch.``.
        trainable: Whether it requires a gradient.
        optimizer: The name of the optimiser that holds it; None where none does.
        weight_decay: What that optimiser decays it by.
        lr: What that optimiser's rate for it was at first.
        reached: In how many sampled steps it was given a gradient.
        missed: In how many sampled steps it was given none.
        mean: At first.
        std: At first.
        equal_units: Share of its rows that equal another row, at first.
        equal_units_last: Likewise at last.
        changed: Whether it was ever seen to change.
        at: Where its layer was made.
        weight: Series of its L2 norm.
        gradient: Series of its gradient's L2 norm, when the optimiser steps.
        update: Series of the L2 norm of what a step changed.

    Example:
        >>> ParameterSeen("0.weight", "0", [3, 2]).trainable
        True
    """

    name: str
    layer: str
    shape: list[int]
    dtype: str = "float32"
    trainable: bool = True
    optimizer: str | None = None
    weight_decay: float = 0.0
    lr: float = math.nan
    reached: int = 0
    missed: int = 0
    mean: float = math.nan
    std: float = math.nan
    equal_units: float = 0.0
    equal_units_last: float = 0.0
    changed: bool = False
    at: Place | None = None
    weight: Series = field(default_factory=Series)
    gradient: Series = field(default_factory=Series)
    update: Series = field(default_factory=Series)


@dataclass
class LayerSeen:
    """One layer's outputs: a module, or a function that a module's ``forward`` calls.

    Attributes:
        name: Its path, as in ``named_modules()``; of a function the module's path, ``:`` and
            the function's name.
        kind: The class's name, or the function's.
        after: The path of the layer that made its input, where nothing was done to it since.
        history: Path and kind of the layers that made its input one after the other, the nearest
            first, up to four: a layer that is called twice has several of them.
        order: When it is first called in a forward pass, from 0.
        at: Where it was made, or is called.
        settings: What it was made with, as far as numbers tell (``p``, ``eps``, ``dim``, ...).
        input_shape: Of the last sampled call.
        output_shape: Of the last sampled call.
        training: Whether it was in training mode in the last sampled training step.
        mean: Series of the mean of its outputs.
        std: Series of their standard deviation.
        largest: Series of their largest absolute value.
        input_std: Series of the standard deviation of its inputs.
        spread: Series of the mean over its units of the standard deviation over the batch.
        dead: Series of the share of its units that gave the same for all of the batch.
        zero: Series of the share of its outputs that are zero.
        saturated: Series of the share of its outputs in a flat part (sigmoid, tanh, softmax).
        rank: Series of the effective rank of its outputs over the batch (the exponential of the
            entropy of the singular values), as a share of the most it could be.
        stale: Of batch normalisation, series of the share of its channels whose running mean lies
            more than a standard deviation of the batch away, or whose running variance is more
            than four times or less than a quarter of the batch's.
        not_finite: The first step at which an output was not finite; None where none was.

    Example:
        >>> LayerSeen("0", "Linear").order
        0
    """

    name: str
    kind: str
    order: int = 0
    after: str | None = None
    history: list[list[str]] = field(default_factory=list)
    at: Place | None = None
    settings: dict[str, float] = field(default_factory=dict)
    input_shape: list[int] = field(default_factory=list)
    output_shape: list[int] = field(default_factory=list)
    training: bool = True
    mean: Series = field(default_factory=Series)
    std: Series = field(default_factory=Series)
    largest: Series = field(default_factory=Series)
    input_std: Series = field(default_factory=Series)
    spread: Series = field(default_factory=Series)
    dead: Series = field(default_factory=Series)
    zero: Series = field(default_factory=Series)
    saturated: Series = field(default_factory=Series)
    rank: Series = field(default_factory=Series)
    stale: Series = field(default_factory=Series)
    not_finite: int | None = None


@dataclass
class AskedSeen:
    """What a network was asked at one place of the program.

    Attributes:
        at: Where.
        inputs: Its first argument.

    Example:
        >>> AskedSeen(Place("train.py", 9), TensorSeen(mean=1.0)).inputs.mean
        1.0
    """

    at: Place | None
    inputs: TensorSeen


@dataclass
class ModelSeen:
    """One network: a module with parameters that the user's code calls.

    Attributes:
        name: The variable that holds it, or its class's name.
        kind: Its class.
        at: Where it was made.
        size: Number of its parameters' values.
        layers: What it consists of, in the order of calls.
        parameters: All of them.
        inputs: Its float inputs, ``train`` and ``eval``, one for each argument.
        outputs: What it gives, ``train`` and ``eval``.
        asked: Its inputs in evaluation, by the place of the call.
        calls: Number of sampled calls, ``train`` (a gradient was taken) and ``eval``.
        eval_mode_training: Sampled training calls with the network in evaluation mode.
        training_mode_eval: Evaluation calls with the network in training mode.
        eval_sizes: Smallest and largest number of rows of an evaluation call.
        mode_matters: Whether it holds a layer that works otherwise in evaluation mode
            (dropout with p > 0, batch normalisation).
        train_at: Where it was called to learn, last seen.
        eval_at: Where it was called for evaluation.
        compiled: Whether it runs compiled, so that its layers are not seen.
        follows: The network whose output its input always is, and that network's last layer;
            empty where it is given other things, too.

    Example:
        >>> ModelSeen("net", "Sequential").compiled
        False
    """

    name: str
    kind: str
    at: Place | None = None
    size: int = 0
    layers: list[LayerSeen] = field(default_factory=list)
    parameters: list[ParameterSeen] = field(default_factory=list)
    inputs: dict[Phase, list[TensorSeen]] = field(default_factory=dict)
    outputs: dict[Phase, TensorSeen] = field(default_factory=dict)
    asked: list[AskedSeen] = field(default_factory=list)
    calls: dict[Phase, int] = field(default_factory=dict)
    eval_mode_training: int = 0
    training_mode_eval: int = 0
    eval_sizes: list[int] = field(default_factory=list)
    mode_matters: bool = False
    follows: list[str] = field(default_factory=list)
    train_at: Place | None = None
    eval_at: Place | None = None
    compiled: bool = False
