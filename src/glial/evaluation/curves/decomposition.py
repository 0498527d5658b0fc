"""Errors divided into bias, variance and noise: what more capacity, more rows, or nothing mends."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glial.core.errors import InputError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Decomposition:
    """The error that trainings on other rows have on the mean: ``bias + variance + noise``.

    Attributes:
        loss: ``squared`` or ``zero_one``.
        error: The mean error of a training.
        bias: The error of the main prediction: the mean of all trainings' (squared) or the
            commonest (0-1); squared for squared errors. Where the noise is not known it is in
            here.
        variance: What single trainings add to it by differing from the main prediction; of the
            0-1 loss what they add on rows whose main prediction is right, less what they mend on
            the others.
        noise: What no prediction could avoid, as it counts in the error.
        spread: Share of single predictions that differ from the main one, of the 0-1 loss.
        trainings: Number of trainings.

    Example:
        >>> Decomposition("squared", 3.0, 1.0, 2.0, 0.0, None, 10).dominant
        'variance'
    """

    loss: str
    error: float
    bias: float
    variance: float
    noise: float
    spread: float | None
    trainings: int

    @property
    def dominant(self) -> str:
        """Which of ``bias``, ``variance`` and ``noise`` is the largest part."""
        parts = {"bias": self.bias, "variance": self.variance, "noise": self.noise}
        return max(parts, key=lambda name: parts[name])

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self) | {"dominant": self.dominant}


def squared_decomposition(
    predictions: Floats, truth: Floats, noise: Floats | float = 0.0
) -> Decomposition:
    """The squared error of trainings, exactly divided.

    Args:
        predictions: What each training predicts, [training, row] or [training, row, output].
        truth: What is true without noise, or else the targets at hand, [row] or [row, output].
        noise: Variance of the noise, for each row or for all.

    Returns:
        Means over rows and outputs. ``error`` is that against targets with new noise.

    Raises:
        InputError: If there are fewer than two trainings, or shapes do not match.

    Source:
        Geman, Bienenstock and Doursat 1992, Neural networks and the bias/variance dilemma,
        equation 2.2.

    Example:
        >>> found = squared_decomposition(np.array([[1.0], [3.0]]), np.array([0.0]), noise=0.5)
        >>> found.error, found.bias, found.variance, found.noise
        (5.5, 4.0, 1.0, 0.5)
    """
    _check(predictions, truth)
    mean = predictions.mean(axis=0)
    away = float(np.mean(np.broadcast_to(noise, truth.shape)))
    error = float(((predictions - truth) ** 2).mean()) + away
    bias, variance = float(((mean - truth) ** 2).mean()), float(((predictions - mean) ** 2).mean())
    return Decomposition("squared", error, bias, variance, away, None, len(predictions))


def zero_one_decomposition(
    predictions: Codes, truth: Codes, noise: Floats | float = 0.0
) -> Decomposition:
    """The share of wrong answers of trainings, exactly divided.

    The main prediction of a row is the commonest (of equally common ones the first). Where it is
    right, trainings that differ from it add to the error; where it is wrong, those that are right
    take away from it.

    Args:
        predictions: The class that each training predicts, [training, row].
        truth: The best answer to each row, or else the label at hand, [row].
        noise: Probability that a row's label is not the best answer, for each row or for all;
            known for two classes only.

    Raises:
        InputError: If there are fewer than two trainings, shapes do not match, or noise is given
            for more than two classes.

    Source:
        Domingos 2000, A unified bias-variance decomposition, theorems 2 and 5:
        ``c1 noise + bias + c2 variance``.

    Example:
        >>> votes = np.array([[0, 1], [0, 1], [1, 0]])
        >>> found = zero_one_decomposition(votes, np.array([0, 0]))
        >>> round(found.error, 4), found.bias, round(found.variance, 4)
        (0.5, 0.5, 0.0)
    """
    _check(predictions, truth)
    probability = np.broadcast_to(np.asarray(noise, dtype=np.float64), truth.shape)
    if probability.any() and max(predictions.max(), truth.max()) > 1:
        raise InputError(
            "noise is divided for two classes only",
            expected="classes 0 and 1, or no noise",
            got=f"classes up to {max(predictions.max(), truth.max())}",
        )
    size = int(predictions.max(initial=0)) + 1
    counts = np.stack([(predictions == code).sum(axis=0) for code in range(size)])
    main = counts.argmax(axis=0)
    biased = main != truth
    differs = (predictions != main).mean(axis=0)
    right = (predictions == truth).mean(axis=0)
    variance = np.where(biased, -right, differs)
    noisy = (2 * right - 1) * probability
    return Decomposition(
        "zero_one",
        float((1 - right + noisy).mean()),
        float(biased.mean()),
        float(variance.mean()),
        float(noisy.mean()),
        float(differs.mean()),
        len(predictions),
    )


def _check(predictions: NDArray[Any], truth: NDArray[Any]) -> None:
    if len(predictions) < 2 or predictions.shape[1:] != truth.shape or not truth.size:
        raise InputError(
            "these predictions cannot be divided into bias and variance",
            expected="predictions of two trainings or more for every row of the truth",
            got=f"predictions of shape {predictions.shape}, truth of shape {truth.shape}",
        )
