"""What each row costs a run: the numbers of which metrics are means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glial.core.errors import InputError
from glial.data.cells import floats
from glial.runs import Answered
from glial.tasks.classification import Classification
from glial.tasks.multilabel import Multilabel
from glial.tasks.regression import Regression

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RowLosses:
    """What a run's answers are worth, row by row.

    Attributes:
        values: Metric to a number a row, [row], whose mean (weighted where rows are) is the
            metric; NaN where it is not defined, as the log loss of a class never seen.
        correct: Whether each row is right, [row]; None of numbers.
        loss: The one of these that training makes small.
        roots: Metrics that are square roots of such means: name to the name of the mean.

    Example:
        >>> RowLosses({"hamming_loss": np.array([0.0, 0.5])}, None, "hamming_loss").names
        ['hamming_loss']
    """

    values: Mapping[str, Floats]
    correct: NDArray[np.bool_] | None
    loss: str
    roots: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The metrics, the one first by which networks are told apart."""
        return list(dict.fromkeys([*self.roots, self.loss, *self.values]))


def row_losses(found: Answered) -> RowLosses:
    """What each row costs: log loss and errors of classes, squared and absolute errors of numbers.

    Args:
        found: What a run says of rows.

    Raises:
        InputError: If the run's task is not of one answer (or several) a row.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=2, out=False)
        >>> found = glial.runs.answer(run, "iris")
        >>> losses = row_losses(found)
        >>> metrics = glial.runs.evaluate(run, "iris")["metrics"]
        >>> all(np.isclose(losses.values[name].mean(), metrics[name]) for name in losses.values)
        True
    """
    task: Any = found.run.decoder
    if isinstance(task, Classification):
        return _of_classes(task, found)
    if isinstance(task, Multilabel):
        return _of_answers(task, found)
    if isinstance(task, Regression):
        return _of_numbers(task, found)
    raise InputError(
        f"a run of the task {task.name} is not judged row by row",
        expected="a run of the task classification, multilabel or regression",
        got=task.name,
        do="compare its metrics: glial compare RUN RUN, without --on",
    )


def _of_classes(task: Classification, found: Answered) -> RowLosses:
    shares = task.probabilities(found.outputs.double().cpu()).numpy()
    truth = task.encode(found.frame).numpy()
    decoded = task.decode(found.outputs, found.frame)
    guess = task.labels.codes(pl.Series(decoded.predictions["prediction"]))
    chosen = shares[np.arange(len(truth)), np.maximum(truth, 0)]
    surprise = -np.log(np.clip(chosen, np.finfo(np.float64).tiny, 1.0))
    right = guess == truth
    values = {"log_loss": np.where(truth < 0, np.nan, surprise), "accuracy": right.astype(float)}
    return RowLosses(values, right, "log_loss")


def _of_answers(task: Multilabel, found: Answered) -> RowLosses:
    shares = task.probabilities(found.outputs.double().cpu()).numpy()
    truth = task.encode(found.frame).numpy() > 0.5
    guess = shares >= (0.5 if task.thresholds is None else np.array(task.thresholds))
    clipped = np.clip(shares, 1e-15, 1 - 1e-15)
    right = (guess == truth).all(axis=1)
    values = {
        "log_loss": -np.log(np.where(truth, clipped, 1 - clipped)).mean(axis=1),
        "accuracy": right.astype(float),
        "hamming_loss": (guess != truth).mean(axis=1),
    }
    return RowLosses(values, right, "log_loss")


def _of_numbers(task: Regression, found: Answered) -> RowLosses:
    truth = np.stack([floats(found.frame[name]).to_numpy() for name in task.targets], axis=1)
    errors = task.values(found.outputs) - truth
    values = {
        "mean_squared_error": (errors**2).mean(axis=1),
        "mean_absolute_error": np.abs(errors).mean(axis=1),
    }
    one = len(task.targets) == 1  # of several, scikit-learn averages the roots
    roots = {"root_mean_squared_error": "mean_squared_error"} if one else {}
    return RowLosses(values, None, "mean_squared_error", roots)
