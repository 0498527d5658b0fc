"""Small dense networks of imputers: trained by torch, kept and run as plain arrays."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from glial.core.progress import share_logger
from glial.data.imputers.drawing import Floats

logger = logging.getLogger(__name__)

BATCH_SIZE, LEAST_STEPS, MOST_STEPS = 128, 500, 3_000
CHUNK = 512  # rows that are filled at once, each with several samples
PASSES = 100
FARTHEST = 8.0  # standard deviations from which on a number is taken as no further away
HIDDEN_SHARES = (0.1, 0.8)  # of a row's numbers, hidden while it is learnt from

Weights = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class DenseLayer:
    """A dense layer's arrays.

    Attributes:
        weight: [input, output].
        bias: [output].

    Example:
        >>> DenseLayer(np.ones((2, 1)), np.zeros(1)).weight.shape
        (2, 1)
    """

    weight: Floats
    bias: Floats

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[1:]:
            raise ValueError("weights and biases of a layer do not fit")


def first_weights(sizes: Sequence[int], generator: np.random.Generator) -> Weights:
    """Weights of layers of these sizes, drawn by He's rule, as torch trains them.

    Example:
        >>> [w.shape for w, _ in first_weights([2, 3, 1], np.random.default_rng(0))]
        [torch.Size([2, 3]), torch.Size([3, 1])]
    """
    found: Weights = []
    for number, (before, after) in enumerate(itertools.pairwise(sizes)):
        gain = 2.0 if number < len(sizes) - 2 else 1.0
        drawn = generator.normal(size=(before, after)) * math.sqrt(gain / before)
        weight = torch.tensor(drawn, dtype=torch.float32, requires_grad=True)
        found.append((weight, torch.zeros(after, requires_grad=True)))
    return found


def passed(weights: Weights, inputs: Tensor) -> Tensor:
    """What the layers make of inputs, with a ReLU between them.

    Example:
        >>> passed([(torch.ones(2, 1), torch.ones(1))], torch.ones(1, 2))
        tensor([[3.]])
    """
    for number, (weight, bias) in enumerate(weights):
        inputs = (functional.relu(inputs) if number else inputs) @ weight + bias
    return inputs


def passed_arrays(layers: Sequence[DenseLayer], inputs: Floats) -> Floats:
    """The same of arrays.

    Example:
        >>> passed_arrays([DenseLayer(np.ones((2, 1)), np.ones(1))], np.ones((1, 2))).tolist()
        [[3.0]]
    """
    for number, layer in enumerate(layers):
        inputs = (np.maximum(inputs, 0) if number else inputs) @ layer.weight + layer.bias
    return inputs


def as_layers(weights: Weights) -> list[DenseLayer]:
    """Trained weights as arrays.

    Example:
        >>> as_layers([(torch.ones(2, 1), torch.ones(1))])[0].bias.tolist()
        [1.0]
    """
    return [
        DenseLayer(*(part.detach().double().numpy().copy() for part in pair)) for pair in weights
    ]


def near(rows: Floats) -> Floats:
    """Rows with 0 where a number is missing, and no number far out.

    Example:
        >>> near(np.array([[np.nan, 99.0]])).tolist()
        [[0.0, 8.0]]
    """
    return np.clip(np.nan_to_num(rows), -FARTHEST, FARTHEST)


def learn(
    rows: Floats,
    step: Callable[[Tensor, Tensor, Tensor, torch.Generator, float], None],
    seed: int,
    doing: str,
) -> None:
    """Go through rows again and again, some of each row's numbers hidden at random.

    Args:
        rows: Training rows, NaN where a number is missing.
        step: Takes values [row, number], 1 where they are there, 1 where they are to be seen,
            what draws noise, and the share of training that is done.
        seed: Of orders and noise.
        doing: What is said while it takes long.
    """
    there = torch.from_numpy(~np.isnan(rows)).float()
    values = torch.from_numpy(near(rows)).float()
    generator = torch.Generator().manual_seed(seed)
    tell = share_logger(logger, doing)
    size = min(BATCH_SIZE, len(rows))
    count = max(LEAST_STEPS, min(MOST_STEPS, PASSES * len(rows) // size))
    with torch.enable_grad():
        for number, some in enumerate(_orders(len(rows), size, count, generator)):
            low, high = HIDDEN_SHARES
            share = low + (high - low) * torch.rand(len(some), 1, generator=generator)
            kept = torch.rand(len(some), rows.shape[1], generator=generator) >= share
            step(values[some], there[some], there[some] * kept, generator, number / count)
            tell(number / count)


def _orders(num_rows: int, size: int, count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers of so many batches, every row once before any comes again."""
    given = 0
    while True:
        order = torch.randperm(num_rows, generator=generator)
        for first in range(0, num_rows - size + 1, size):
            if given == count:
                return
            yield order[first : first + size]
            given += 1


def falling(share: float) -> float:
    """The factor on the learning rate: half a cosine from 1 to 0.

    Example:
        >>> falling(0.0), round(falling(0.5), 2)
        (1.0, 0.5)
    """
    return 0.5 * (1 + math.cos(math.pi * share))


def filled_by(said: Callable[[Floats], Floats], rows: Floats, ends: Floats) -> Floats:
    """Rows with every NaN replaced by what is said of it, in a new array.

    Args:
        said: Numbers for rows with gaps, [row, number].
        rows: The rows.
        ends: The least and the greatest that each number may be, [2, number].

    Example:
        >>> rows, ends = np.array([[1.0, np.nan]]), np.array([[0.0, 0.0], [3.0, 3.0]])
        >>> filled_by(lambda some: np.full(some.shape, 9.0), rows, ends).tolist()
        [[1.0, 3.0]]
    """
    filled = rows.copy()
    gone = np.isnan(rows)
    touched = np.flatnonzero(gone.any(axis=1))
    for first in range(0, len(touched), CHUNK):
        some = touched[first : first + CHUNK]
        filled[some] = np.where(gone[some], np.clip(said(rows[some]), *ends), rows[some])
    return filled
